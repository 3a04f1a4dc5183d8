/** Archives whose bytes depend only on their content: not on time, owner or machine. */
import { gzipSync } from "node:zlib";
import { packTar } from "modern-tar";

export interface Entry {
  /** Relative, with `/`. */
  path: string;
  data: Uint8Array;
}

/** An archive of files that belong to root, are readable by all, and are dated 1 January 1970. */
export async function tar(entries: readonly Entry[]): Promise<Uint8Array> {
  return packTar(
    entries.map(({ path, data }) => ({
      header: { name: path, size: data.length, mode: 0o644, uid: 0, gid: 0, mtime: new Date(0) },
      body: data,
    })),
  );
}

/** The longest stored block of DEFLATE (RFC 1951 §3.2.4), in bytes. */
const MAX_STORED = 0xffff;

/**
 * Bytes in gzip's form (RFC 1952) without compression: the output of a compressor differs between versions of zlib and
 * between processors, and with it every digest.
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
  // Every gzip member ends with CRC-32 and length, which zlib computes.
  return Buffer.concat([...parts, gzipSync(data, { level: 0 }).subarray(-8)]);
}
