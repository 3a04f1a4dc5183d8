/** The module's memory as the host reads and writes it. Every access is checked, and nothing outside is touched. */
import { latin1Decode, latin1Encode } from "./bytes.ts";

export class GuestMemory {
  /**
   * @param memory the module's exported memory
   * @param malloc the module's own allocator (`malloc`): returns the address of that many bytes, 0 if there are none
   */
  constructor(
    private readonly memory: WebAssembly.Memory,
    private readonly malloc: (size: number) => number,
  ) {}

  /** The buffer changes when the memory grows, so each access makes a new view. */
  private get bytes(): Uint8Array {
    return new Uint8Array(this.memory.buffer);
  }

  private contains(address: number, size: number): boolean {
    return address + size <= this.memory.buffer.byteLength;
  }

  /** The module's memory, in bytes. */
  get size(): number {
    return this.memory.buffer.byteLength;
  }

  /** A copy of `size` bytes; undefined if they are not all in the memory. */
  read(address: number, size: number): Uint8Array | undefined {
    return this.contains(address, size) ? this.bytes.slice(address, address + size) : undefined;
  }

  /** `size` bytes as text whose characters are bytes; undefined if they are not all in the memory. */
  readText(address: number, size: number): string | undefined {
    return this.contains(address, size)
      ? latin1Decode(this.bytes.subarray(address, address + size))
      : undefined;
  }

  /** @returns false if the bytes do not fit into the memory at that address */
  write(address: number, bytes: Uint8Array): boolean {
    if (!this.contains(address, bytes.length)) return false;
    this.bytes.set(bytes, address);
    return true;
  }

  writeUint32(address: number, value: number): boolean {
    if (!this.contains(address, 4)) return false;
    new DataView(this.memory.buffer).setUint32(address, value, true);
    return true;
  }

  writeUint64(address: number, value: bigint): boolean {
    if (!this.contains(address, 8)) return false;
    new DataView(this.memory.buffer).setBigUint64(address, value, true);
    return true;
  }

  /**
   * Passes bytes to the module: allocates room in it, copies them there and writes their address and size. Without
   * bytes both results are 0 and nothing is allocated.
   * @param data bytes, or text whose characters are bytes
   * @returns false if the module allocated no memory or the results cannot be written
   */
  give(data: Uint8Array | string, addressResult: number, sizeResult: number): boolean {
    const bytes = typeof data === "string" ? latin1Encode(data) : data;
    let address = 0;
    if (bytes.length > 0) {
      address = this.malloc(bytes.length) >>> 0;
      if (address === 0 || !this.write(address, bytes)) return false;
    }
    return this.writeUint32(addressResult, address) && this.writeUint32(sizeResult, bytes.length);
  }
}
