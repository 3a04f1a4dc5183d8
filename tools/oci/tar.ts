/** Archives whose bytes depend on their content alone: no time, no owner, no machine. */
import { gzipSync } from "node:zlib";

export interface Entry {
  /** Relative, with `/`, at most 100 bytes of ASCII. */
  path: string;
  data: Uint8Array;
}

const BLOCK = 512;

/**
 * A tar archive of files (POSIX.1-1988, ustar), owned by root, readable by all, of 1 January 1970.
 *
 * @throws {RangeError} where a path is too long for its field
 */
export function tar(entries: readonly Entry[]): Buffer {
  const parts = entries.flatMap(({ path, data }) => [
    header(path, data.length),
    data,
    Buffer.alloc(-data.length & (BLOCK - 1)),
  ]);
  // Two empty blocks end an archive.
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}

/** One file's header. Numbers are octal text with a NUL behind. */
function header(path: string, size: number): Buffer {
  if (Buffer.byteLength(path) > 100) throw new RangeError(`the path is too long for a tar header: ${path}`);
  const block = Buffer.alloc(BLOCK);
  const text = (value: string, offset: number) => block.write(value, offset, "latin1");
  const octal = (value: number, offset: number, digits: number) =>
    text(`${value.toString(8).padStart(digits, "0")}\0`, offset);
  text(path, 0);
  octal(0o644, 100, 7);
  octal(0, 108, 7); // owner
  octal(0, 116, 7); // group
  octal(size, 124, 11);
  octal(0, 136, 11); // time of change
  text("        ", 148); // the checksum counts itself as spaces
  text("0", 156); // a regular file
  text("ustar\0" + "00", 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  text(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}

/** The longest stored block of DEFLATE (RFC 1951 §3.2.4), in bytes. */
const MAX_STORED = 0xffff;

/**
 * Bytes in gzip's form (RFC 1952) without being made smaller: what a compressor makes of them differs from one zlib and
 * one processor to the next, and with it would every digest.
 */
export function gzipStored(data: Uint8Array): Buffer {
  const parts: Uint8Array[] = [
    // Magic number, DEFLATE, no flags, no time, no extra flags, unknown operating system.
    Buffer.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff),
  ];
  for (let at = 0; at === 0 || at < data.length; at += MAX_STORED) {
    const piece = data.subarray(at, at + MAX_STORED);
    const head = Buffer.alloc(5);
    head.writeUInt8(at + MAX_STORED >= data.length ? 1 : 0, 0);
    head.writeUInt16LE(piece.length, 1);
    head.writeUInt16LE(piece.length ^ 0xffff, 3);
    parts.push(head, piece);
  }
  // CRC-32 and length end every gzip member, and zlib knows how to count them.
  return Buffer.concat([...parts, gzipSync(data, { level: 0 }).subarray(-8)]);
}
