/**
 * A reader of DER (ITU-T X.690 section 10): elements one after another, each with its length in the one shortest form.
 * It never reads beyond its bytes. After the first fault it has no more elements.
 */
import { EMPTY, Slice, byteAt, lengthOf, subslice } from "../memory/slice";

/** Tag numbers from 31 on take more bytes; certificates do not use them. */
const HIGH_TAG_NUMBER: i32 = 0x1f;
const LONG_FORM: i32 = 0x80;

export class DerReader {
  private bytes: Slice = EMPTY;
  private at: i32 = 0;
  /** The identifier octet of the latest element: class, constructed bit and tag number. */
  tag: i32 = 0;
  /** The contents of that element. */
  content: Slice = EMPTY;
  /** Whether some bytes were not DER. */
  failed: bool = false;

  /** Begins at the first element of `bytes`. */
  begin(bytes: Slice): void {
    this.bytes = bytes;
    this.at = 0;
    this.failed = false;
  }

  /** Whether there are bytes left. */
  get hasMore(): bool {
    return !this.failed && this.at < lengthOf(this.bytes);
  }

  /** Whether there is another element with that tag. */
  isNext(tag: i32): bool {
    return this.hasMore && <i32>byteAt(this.bytes, this.at) == tag;
  }

  /** Reads the next element. @returns false, and sets `failed`, if there is none */
  next(): bool {
    const end = lengthOf(this.bytes);
    if (this.failed || end - this.at < 2) return this.fail();
    this.tag = <i32>byteAt(this.bytes, this.at);
    if ((this.tag & HIGH_TAG_NUMBER) == HIGH_TAG_NUMBER) return this.fail();
    let length = <i32>byteAt(this.bytes, this.at + 1);
    let start = this.at + 2;
    if (length >= LONG_FORM) {
      // One to three bytes follow, because no input has 16 MiB.
      const count = length - LONG_FORM;
      if (count < 1 || count > 3 || end - start < count) return this.fail();
      length = 0;
      for (let i = 0; i < count; i++) length = (length << 8) | (<i32>byteAt(this.bytes, start + i));
      const shortest = count == 1 ? LONG_FORM : 1 << (8 * (count - 1));
      if (length < shortest) return this.fail();
      start += count;
    }
    if (length > end - start) return this.fail();
    this.content = subslice(this.bytes, start, start + length);
    this.at = start + length;
    return true;
  }

  /** Reads the next element, which must have that tag. */
  expect(tag: i32): bool {
    return this.next() && (this.tag == tag || this.fail());
  }

  private fail(): bool {
    this.failed = true;
    this.content = EMPTY;
    return false;
  }
}
