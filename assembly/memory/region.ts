/**
 * Bytes that live as long as their owner: a loaded configuration or a key set. They are freed together when the owner
 * is collected (`__collect` runs only while the stack is empty: after a configuration, on a tick).
 */
import { Slice, lengthOf, pointerOf, slice } from "./slice";

const CHUNK_SIZE: i32 = 16 * 1024;

export class Region {
  private readonly chunks: Array<ArrayBuffer> = new Array<ArrayBuffer>();
  private cursor: usize = 0;
  private limit: usize = 0;

  /**
   * @param size bytes
   * @returns the address of `size` zeroed bytes, aligned to 16, valid as long as this region lives
   */
  allocate(size: i32): usize {
    const aligned = (<usize>size + 15) & ~15;
    if (aligned > this.limit - this.cursor) {
      const chunk = new ArrayBuffer(max(<i32>aligned, CHUNK_SIZE));
      this.chunks.push(chunk);
      this.cursor = changetype<usize>(chunk);
      this.limit = this.cursor + <usize>chunk.byteLength;
    }
    const result = this.cursor;
    this.cursor += aligned;
    return result;
  }

  /** A copy of `s` that lives as long as this region. */
  keep(s: Slice): Slice {
    const length = lengthOf(s);
    const target = this.allocate(length);
    memory.copy(target, pointerOf(s), <usize>length);
    return slice(target, length);
  }

  /** A copy of `first` followed by `second` that lives as long as this region. */
  join(first: Slice, second: Slice): Slice {
    const length = lengthOf(first) + lengthOf(second);
    const target = this.allocate(length);
    memory.copy(target, pointerOf(first), <usize>lengthOf(first));
    memory.copy(target + <usize>lengthOf(first), pointerOf(second), <usize>lengthOf(second));
    return slice(target, length);
  }
}
