/** Assembles bytes in the arena. One object, reset for each text. */
import { allocate } from "../memory/arena";
import { Slice, lengthOf, pointerOf, slice } from "../memory/slice";

export class ByteBuilder {
  private start: usize = 0;
  private length: i32 = 0;
  private capacity: i32 = 0;

  /** Begins a text of at most `capacity` bytes; bytes beyond that are dropped. */
  begin(capacity: i32): ByteBuilder {
    this.start = allocate(<usize>capacity);
    this.capacity = capacity;
    this.length = 0;
    return this;
  }

  append(bytes: Slice): ByteBuilder {
    const length = min(lengthOf(bytes), this.capacity - this.length);
    memory.copy(this.start + <usize>this.length, pointerOf(bytes), <usize>length);
    this.length += length;
    return this;
  }

  appendByte(byte: u8): ByteBuilder {
    if (this.length == this.capacity) return this;
    store<u8>(this.start + <usize>this.length, byte);
    this.length++;
    return this;
  }

  /** Appends with `_` for each white space, as Envoy writes response-code details. */
  appendUnderscored(bytes: Slice): ByteBuilder {
    const from = this.length;
    this.append(bytes);
    for (let i = from; i < this.length; i++) {
      const byte = load<u8>(this.start + <usize>i);
      if (byte == 0x20 || (byte >= 0x09 && byte <= 0x0d)) store<u8>(this.start + <usize>i, 0x5f);
    }
    return this;
  }

  /** Appends with `_` for each ASCII control character: for access logs and answers, where one could end a line. */
  appendPrintable(bytes: Slice): ByteBuilder {
    const from = this.length;
    this.append(bytes);
    for (let i = from; i < this.length; i++) {
      const byte = load<u8>(this.start + <usize>i);
      if (byte < 0x20 || byte == 0x7f) store<u8>(this.start + <usize>i, 0x5f);
    }
    return this;
  }

  /** The assembled bytes, valid until the arena's next reset. */
  get slice(): Slice {
    return slice(this.start, this.length);
  }
}
