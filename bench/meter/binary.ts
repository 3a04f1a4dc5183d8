/** Reads and writes the binary format of WebAssembly (WebAssembly Core Specification 2.0, section 5). */

/** Reads numbers and bytes from the front of a range. */
export class Reader {
  constructor(
    readonly bytes: Uint8Array,
    public at = 0,
    readonly end = bytes.length,
  ) {}

  get done(): boolean {
    return this.at >= this.end;
  }

  byte(): number {
    const byte = this.bytes[this.at++];
    if (byte === undefined || this.at > this.end) throw new Error("the module is cut off");
    return byte;
  }

  /** An unsigned integer of at most 32 bits, LEB128. */
  unsigned(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }

  /** Skips an integer of any sign and size, LEB128. */
  skipInteger(): void {
    while (this.byte() >= 0x80);
  }

  skip(length: number): void {
    this.at += length;
  }

  /** The bytes from a place up to here. */
  since(start: number): Uint8Array {
    return this.bytes.subarray(start, this.at);
  }

  /** A reader of the next bytes, which are skipped. */
  part(length: number): Reader {
    const part = new Reader(this.bytes, this.at, this.at + length);
    this.skip(length);
    return part;
  }
}

/** Collects bytes. */
export class Writer {
  private buffer = new Uint8Array(256);
  length = 0;

  get bytes(): Uint8Array {
    return this.buffer.subarray(0, this.length);
  }

  byte(...bytes: number[]): this {
    return this.append(bytes);
  }

  append(bytes: ArrayLike<number>): this {
    const length = this.length + bytes.length;
    if (length > this.buffer.length) {
      const grown = new Uint8Array(2 * length);
      grown.set(this.bytes);
      this.buffer = grown;
    }
    this.buffer.set(bytes, this.length);
    this.length = length;
    return this;
  }

  unsigned(value: number): this {
    let rest = value;
    while (rest >= 0x80) {
      this.byte((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    return this.byte(rest);
  }

  /** `i32.const` of a number from 0 to 2^31 - 1. */
  constant(value: number): this {
    this.byte(0x41);
    let rest = value;
    // The sixth bit of the last byte is the sign.
    for (; rest >= 0x40; rest >>= 7) this.byte((rest & 0x7f) | 0x80);
    return this.byte(rest);
  }

  /** Bytes with their length before them. */
  sized(bytes: Uint8Array): this {
    return this.unsigned(bytes.length).append(bytes);
  }
}
