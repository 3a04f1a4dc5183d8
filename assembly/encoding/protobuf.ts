/**
 * Protocol Buffers' wire format (https://protobuf.dev/programming-guides/encoding), as far as Envoy's foreign functions
 * need it: writes messages of byte strings and reads a varint.
 */
import { Slice, byteAt, lengthOf, pointerOf } from "../memory/slice";

const enum WireType {
  Varint = 0,
  Fixed64 = 1,
  Bytes = 2,
  Fixed32 = 5,
}

/** The most bytes that `putBytes` writes besides the content: a tag (fields 1 to 15) and a length below 2^32. */
export const BYTES_FIELD_OVERHEAD: i32 = 6;

/** Writes `value` at `target`. @returns the address after it */
function putVarint(target: usize, value: u32): usize {
  while (value >= 0x80) {
    store<u8>(target++, <u8>(value | 0x80));
    value >>= 7;
  }
  store<u8>(target++, <u8>value);
  return target;
}

/**
 * Writes a `bytes` or `string` field.
 * @param target room for `BYTES_FIELD_OVERHEAD` bytes and the content
 * @param field the field's number, 1 to 15
 * @returns the address after it
 */
export function putBytes(target: usize, field: u32, content: Slice): usize {
  target = putVarint(target, (field << 3) | WireType.Bytes);
  target = putVarint(target, lengthOf(content));
  memory.copy(target, pointerOf(content), lengthOf(content));
  return target + <usize>lengthOf(content);
}

/** Where `readVarint` stopped, or -1 if there was no varint. */
let position: i32 = 0;

/** Reads the varint at `start` (at most ten bytes) and moves `position` after it. */
function readVarint(message: Slice, start: i32): u64 {
  let value: u64 = 0;
  for (let i = 0; i < 10 && start + i < lengthOf(message); i++) {
    const byte = byteAt(message, start + i);
    value |= (<u64>(byte & 0x7f)) << (7 * i);
    if (byte < 0x80) {
      position = start + i + 1;
      return value;
    }
  }
  position = -1;
  return 0;
}

/**
 * The value of a varint field (bool, int, enum); if there are several, the last one counts.
 * @returns zero, the default, if the field is absent or the message is malformed
 */
export function varintField(message: Slice, field: u32): u64 {
  const length = lengthOf(message);
  let found: u64 = 0;
  let at = 0;
  while (at < length) {
    const tag = readVarint(message, at);
    if (position < 0) return 0;
    switch ((<u32>tag) & 7) {
      case WireType.Varint: {
        const value = readVarint(message, position);
        if (position < 0) return 0;
        if (tag >> 3 == field) found = value;
        at = position;
        break;
      }
      case WireType.Bytes: {
        const size = readVarint(message, position);
        if (position < 0 || size > <u64>(length - position)) return 0;
        at = position + <i32>size;
        break;
      }
      case WireType.Fixed64:
      case WireType.Fixed32: {
        const size = ((<u32>tag) & 7) == WireType.Fixed64 ? 8 : 4;
        if (size > length - position) return 0;
        at = position + size;
        break;
      }
      default:
        return 0;
    }
  }
  return found;
}
