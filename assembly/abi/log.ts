/** Log lines. They allocate: never on the way of an ordinary request. */
import { proxy_log } from "@solo-io/proxy-runtime/assembly/imports";
import { LogLevelValues } from "@solo-io/proxy-runtime/assembly/runtime";
import { allocate } from "../memory/arena";
import { Slice, byteAt, lengthOf } from "../memory/slice";

/** What of a request's text a log line has, in bytes: what a line leaves behind stays small until it is collected. */
const MAX_REQUEST_TEXT: i32 = 256;

const BACKSLASH: u8 = 0x5c;

let lines: i32 = 0;

/** How many lines were written since `resetLineCount`: each left garbage. */
export function lineCount(): i32 {
  return lines;
}

/** Begins to count anew, after a collection. */
export function resetLineCount(): void {
  lines = 0;
}

function log(level: LogLevelValues, message: string): void {
  const bytes = String.UTF8.encode(message);
  lines++;
  proxy_log(level, changetype<usize>(bytes), bytes.byteLength);
}

export function logInfo(message: string): void {
  log(LogLevelValues.info, message);
}

export function logWarning(message: string): void {
  log(LogLevelValues.warn, message);
}

export function logError(message: string): void {
  log(LogLevelValues.error, message);
}

/**
 * A text of a request for a log line: its first 256 bytes, with `\xNN` for each byte that is not printable ASCII, for
 * spaces and for backslashes. So a request can neither end the line nor add to it what looks like another field.
 */
export function loggable(text: Slice): string {
  const length = min(lengthOf(text), MAX_REQUEST_TEXT);
  const start = allocate(<usize>(4 * length));
  let p = start;
  for (let i = 0; i < length; i++) {
    const byte = byteAt(text, i);
    if (byte > 0x20 && byte < 0x7f && byte != BACKSLASH) {
      store<u8>(p++, byte);
      continue;
    }
    store<u8>(p, BACKSLASH);
    store<u8>(p, 0x78 /* x */, 1);
    store<u8>(p, hexDigit(byte >> 4), 2);
    store<u8>(p, hexDigit(byte & 15), 3);
    p += 4;
  }
  return String.UTF8.decodeUnsafe(start, p - start);
}

function hexDigit(value: u8): u8 {
  return value < 10 ? 0x30 + value : 0x57 + value;
}
