/**
 * Log lines. Writing one allocates, so ordinary requests write none.
 *
 * A line quotes requests, configurations and answers of servers. None of them can end the line or control a terminal
 * that shows it.
 */
import { proxy_log } from "@solo-io/proxy-runtime/assembly/imports";
import { allocate } from "../memory/arena";
import { Slice, byteAt, lengthOf } from "../memory/slice";
import { LogLevel } from "./values";

/** The most bytes of a request's text in one log line. The limit bounds the garbage of a line. */
const MAX_REQUEST_TEXT: i32 = 256;

const BACKSLASH: u8 = 0x5c;

let lines: i32 = 0;

/** The number of lines written since `resetLineCount`. Each left garbage. */
export function lineCount(): i32 {
  return lines;
}

/** Resets the count, after a collection. */
export function resetLineCount(): void {
  lines = 0;
}

function log(level: LogLevel, message: string): void {
  const bytes = String.UTF8.encode(oneLine(message));
  lines++;
  proxy_log(level, changetype<usize>(bytes), bytes.byteLength);
}

export function logInfo(message: string): void {
  log(LogLevel.Info, message);
}

export function logWarning(message: string): void {
  log(LogLevel.Warn, message);
}

export function logError(message: string): void {
  log(LogLevel.Error, message);
}

/**
 * Quotes a request's text for a log line: its first 256 bytes, with `\xNN` for spaces, backslashes and every byte that
 * is not printable ASCII. So a request can neither end the line nor add what looks like another field.
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
    store<u8>(p, <u8>hexDigit(byte >> 4), 2);
    store<u8>(p, <u8>hexDigit(byte & 15), 3);
    p += 4;
  }
  return String.UTF8.decodeUnsafe(start, p - start);
}

/** How many characters longer `\uXXXX` is than the character that it replaces. */
const ESCAPE_GROWTH: i32 = 5;
const LETTER_U: u16 = 0x75;

/**
 * Writes line ends, control and direction characters, and lone surrogates of the message as `\uXXXX`. Time and memory
 * grow linearly with its length.
 */
export function oneLine(message: string): string {
  let count = 0;
  for (let i = 0; i < message.length; i++) count += i32(isEscaped(message, i));
  if (count == 0) return message;
  const length = message.length + count * ESCAPE_GROWTH;
  const result = changetype<string>(__new((<usize>length) << 1, idof<string>()));
  let at = changetype<usize>(result);
  for (let i = 0; i < message.length; i++) {
    const unit = <u16>message.charCodeAt(i);
    if (!isEscaped(message, i)) {
      store<u16>(at, unit);
      at += 2;
      continue;
    }
    store<u16>(at, <u16>BACKSLASH);
    store<u16>(at, LETTER_U, 2);
    for (let digit = 0; digit < 4; digit++) {
      store<u16>(at + 4 + ((<usize>digit) << 1), hexDigit((unit >> (<u16>(12 - 4 * digit))) & 0xf));
    }
    at += 12;
  }
  return result;
}

function hexDigit(digit: u16): u16 {
  return digit < 10 ? 0x30 + digit : 0x61 + digit - 10;
}

/** The characters that `printable` of the tooling escapes (tools/diagnostics.ts), and lone surrogates. */
function isEscaped(text: string, i: i32): bool {
  const unit = text.charCodeAt(i);
  if (unit < 0x7f) return unit < 0x20;
  if (unit < 0xa0) return true;
  if (unit < 0x061c) return false;
  if (unit >= 0xd800 && unit < 0xdc00) return !isInRange(text, i + 1, 0xdc00);
  if (unit >= 0xdc00 && unit < 0xe000) return !isInRange(text, i - 1, 0xd800);
  return (
    unit == 0x061c ||
    unit == 0x200e ||
    unit == 0x200f ||
    (unit >= 0x2028 && unit <= 0x202e) ||
    (unit >= 0x2066 && unit <= 0x2069) ||
    unit == 0xfeff
  );
}

/** Whether there is a code unit at `i` and it is one of the 1,024 from `first` on. */
function isInRange(text: string, i: i32, first: i32): bool {
  if (i < 0 || i >= text.length) return false;
  const unit = text.charCodeAt(i);
  return unit >= first && unit < first + 0x400;
}
