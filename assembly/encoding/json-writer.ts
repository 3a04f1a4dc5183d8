/** Writes the JSON text of a parsed value, as Envoy writes a claim that is a list or object into a header. */
import { allocate } from "../memory/arena";
import { Slice, lengthOf, pointerOf, slice } from "../memory/slice";
import { JsonDocument, JsonKind, NONE, Node } from "./json";
import { writeShortest } from "./number";
import { decode, sequenceLength } from "./utf8";

const NULL: Slice = slice(memory.data<u8>([0x6e, 0x75, 0x6c, 0x6c]), 4);
const TRUE: Slice = slice(memory.data<u8>([0x74, 0x72, 0x75, 0x65]), 4);
const FALSE: Slice = slice(memory.data<u8>([0x66, 0x61, 0x6c, 0x73, 0x65]), 5);

const QUOTE: u8 = 0x22;
const COMMA: u8 = 0x2c;
const COLON: u8 = 0x3a;
const BRACKET_OPEN: u8 = 0x5b;
const BACKSLASH: u8 = 0x5c;
const BRACKET_CLOSE: u8 = 0x5d;
const BRACE_OPEN: u8 = 0x7b;
const BRACE_CLOSE: u8 = 0x7d;

/** No byte of JSON grows beyond the six of a \u escape. */
const MAX_GROWTH: usize = 6;

/**
 * A value as protobuf's MessageToJsonString writes a Struct or ListValue (json/internal/writer.cc): no white space,
 * numbers as `%.15g` if that is exact and as `%.17g` if not, more escapes than JSON requires. Members keep their order;
 * protobuf does not define one.
 *
 * @returns the text, in the arena
 */
export function compactJson(json: JsonDocument, n: Node): Slice {
  const target = allocate(<usize>lengthOf(json.raw(n)) * MAX_GROWTH);
  return slice(target, <i32>(writeValue(json, n, target) - target));
}

/** Writes a value. The recursion is bounded by the reader's depth limit. @returns the address after the text */
function writeValue(json: JsonDocument, n: Node, target: usize): usize {
  let p = target;
  switch (json.kind(n)) {
    case JsonKind.Null:
      return writeBytes(NULL, p);
    case JsonKind.False:
      return writeBytes(FALSE, p);
    case JsonKind.True:
      return writeBytes(TRUE, p);
    case JsonKind.Number:
      return writeShortest(json.number(n), p);
    case JsonKind.String:
      return writeString(json.text(n), p);
    default: {
      const isObject = json.kind(n) == JsonKind.Object;
      store<u8>(p++, isObject ? BRACE_OPEN : BRACKET_OPEN);
      const first = json.firstChild(n);
      for (let child = first; child != NONE; child = json.nextSibling(child)) {
        if (child != first) store<u8>(p++, COMMA);
        if (isObject) {
          p = writeString(json.key(child), p);
          store<u8>(p++, COLON);
        }
        p = writeValue(json, child, p);
      }
      store<u8>(p++, isObject ? BRACE_CLOSE : BRACKET_CLOSE);
      return p;
    }
  }
}

function writeBytes(text: Slice, p: usize): usize {
  memory.copy(p, pointerOf(text), <usize>lengthOf(text));
  return p + <usize>lengthOf(text);
}

/** Writes a string with the escapes of protobuf's JSON printer. */
function writeString(text: Slice, target: usize): usize {
  let p = target;
  store<u8>(p++, QUOTE);
  let source = pointerOf(text);
  const end = source + <usize>lengthOf(text);
  while (source < end) {
    const length = sequenceLength(source, end);
    const codePoint = decode(source, length);
    const short = shortEscape(codePoint);
    if (short != 0) {
      store<u8>(p++, BACKSLASH);
      store<u8>(p++, short);
    } else if (isEscaped(codePoint)) {
      p = writeEscape(codePoint, p);
    } else {
      memory.copy(p, source, <usize>length);
      p += <usize>length;
    }
    source += <usize>length;
  }
  store<u8>(p++, QUOTE);
  return p;
}

/** The character after the backslash of a two-character escape, or 0. */
function shortEscape(codePoint: u32): u8 {
  switch (codePoint) {
    case 0x08:
      return 0x62; // b
    case 0x09:
      return 0x74; // t
    case 0x0a:
      return 0x6e; // n
    case 0x0c:
      return 0x66; // f
    case 0x0d:
      return 0x72; // r
    case QUOTE:
      return QUOTE;
    case BACKSLASH:
      return BACKSLASH;
    default:
      return 0;
  }
}

/**
 * The characters that protobuf escapes beyond JSON's requirements: angle brackets of HTML, and invisible characters.
 */
function isEscaped(codePoint: u32): bool {
  if (codePoint < 0x7f) return codePoint < 0x20 || codePoint == 0x3c || codePoint == 0x3e;
  switch (codePoint) {
    case 0x00ad:
    case 0x06dd:
    case 0x070f:
    case 0x17b4:
    case 0x17b5:
    case 0xfeff:
    case 0xe0001:
      return true;
    default:
      return (
        isWithin(codePoint, 0x007f, 0x009f) ||
        isWithin(codePoint, 0x0600, 0x0603) ||
        isWithin(codePoint, 0x200b, 0x200f) ||
        isWithin(codePoint, 0x2028, 0x202e) ||
        isWithin(codePoint, 0x2060, 0x2064) ||
        isWithin(codePoint, 0x206a, 0x206f) ||
        isWithin(codePoint, 0xfff9, 0xfffb) ||
        isWithin(codePoint, 0x1d173, 0x1d17a) ||
        isWithin(codePoint, 0xe0020, 0xe007f)
      );
  }
}

// @ts-ignore: decorator
@inline
function isWithin(codePoint: u32, first: u32, last: u32): bool {
  return codePoint - first <= last - first;
}

/** Writes \uXXXX, or a pair of them for a character that UTF-16 writes as surrogates. */
function writeEscape(codePoint: u32, p: usize): usize {
  if (codePoint < 0x10000) return writeUnit(codePoint, p);
  const offset = codePoint - 0x10000;
  return writeUnit(0xdc00 + (offset & 0x3ff), writeUnit(0xd800 + (offset >> 10), p));
}

function writeUnit(unit: u32, p: usize): usize {
  store<u8>(p, BACKSLASH);
  store<u8>(p, 0x75 /* u */, 1);
  for (let i = 0; i < 4; i++) {
    const digit = <u8>((unit >> (12 - 4 * i)) & 15);
    store<u8>(p + 2 + <usize>i, digit < 10 ? 0x30 + digit : 0x61 + digit - 10);
  }
  return p + 6;
}
