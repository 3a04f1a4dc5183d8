/**
 * A writer of DER (ITU-T X.690 §10). It writes from the end to the front, so the content of an element is complete, and
 * its length known, when its header is written. It covers public keys (RFC 5280 §4.1.2.7, RFC 8017 A.1.1, RFC 5480) and
 * ECDSA signatures (RFC 3279 §2.2.3).
 */
import { Slice, byteAt, lengthOf, pointerOf, slice, subslice } from "../memory/slice";

/** The identifier octets that are used. */
export const enum DerTag {
  Integer = 0x02,
  BitString = 0x03,
  Null = 0x05,
  ObjectIdentifier = 0x06,
  Sequence = 0x30,
}

/** The object identifier rsaEncryption, 1.2.840.113549.1.1.1 (RFC 8017 A.1). */
// prettier-ignore
export const RSA_ENCRYPTION: Slice = slice(memory.data<u8>([0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01]), 9);

/** The most bytes that an element has before its content: one of tag, one to five of length. */
export const DER_HEADER_SIZE: i32 = 6;

/**
 * Writes into the caller's buffer, which must be large enough (a header takes at most `DER_HEADER_SIZE` bytes, and an
 * integer one more for its sign).
 */
export class DerWriter {
  private end: usize = 0;
  private cursor: usize = 0;

  /** Resets the writer to the `size` bytes at `buffer`. */
  begin(buffer: usize, size: i32): void {
    this.end = buffer + <usize>size;
    this.cursor = this.end;
  }

  /** Where the latest element begins. Pass this value to `close` an element that ends here. */
  get position(): usize {
    return this.cursor;
  }

  /** The bytes written so far. */
  get written(): Slice {
    return slice(this.cursor, <i32>(this.end - this.cursor));
  }

  /** A copy of the bytes written so far. Allocates. */
  copyWritten(): StaticArray<u8> {
    const length = <i32>(this.end - this.cursor);
    const result = new StaticArray<u8>(length);
    memory.copy(changetype<usize>(result), this.cursor, <usize>length);
    return result;
  }

  /** Prepends one byte. */
  byte(value: u8): void {
    store<u8>(--this.cursor, value);
  }

  /** Prepends bytes unchanged. */
  bytes(content: Slice): void {
    const length = <usize>lengthOf(content);
    this.cursor -= length;
    memory.copy(this.cursor, pointerOf(content), length);
  }

  /** Makes the bytes up to `end` the content of an element (X.690 §8.1.3, §10.1: shortest length). */
  close(tag: DerTag, end: usize): void {
    const length = <u32>(end - this.cursor);
    if (length < 0x80) {
      this.byte(<u8>length);
    } else {
      let octets: u8 = 0;
      for (let rest = length; rest != 0; rest >>= 8) {
        this.byte(<u8>rest);
        octets++;
      }
      this.byte(0x80 | octets);
    }
    this.byte(<u8>tag);
  }

  /** Prepends an element with the given content. */
  element(tag: DerTag, content: Slice): void {
    const end = this.cursor;
    this.bytes(content);
    this.close(tag, end);
  }

  /** Prepends an INTEGER (X.690 §8.3: no superfluous zero octets, and one if the first bit would read as a sign). */
  unsignedInteger(magnitude: Slice): void {
    const end = this.cursor;
    const significant = withoutLeadingZeros(magnitude);
    this.bytes(significant);
    if (lengthOf(significant) == 0 || byteAt(significant, 0) >= 0x80) this.byte(0);
    this.close(DerTag.Integer, end);
  }
}

/** A big-endian number without leading zero bytes; zero becomes empty. */
export function withoutLeadingZeros(number: Slice): Slice {
  const length = lengthOf(number);
  let start = 0;
  while (start < length && byteAt(number, start) == 0) start++;
  return subslice(number, start, length);
}
