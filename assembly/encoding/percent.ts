/** Percent-decoding of query parameters, as Envoy does it (Http::Utility::PercentEncoding::decode). */
import { allocate } from "../memory/arena";
import { Slice, indexOfByte, lengthOf, pointerOf, slice } from "../memory/slice";

const PERCENT: u8 = 0x25;

/**
 * Decodes every `%XX`. A `%` without two hexadecimal digits after it is kept, and so is `+`.
 *
 * @returns the decoded bytes, each 0 to 255: `text` itself if it has no `%`, else in the arena
 */
export function percentDecode(text: Slice): Slice {
  if (indexOfByte(text, PERCENT) < 0) return text;
  let p = pointerOf(text);
  const end = p + <usize>lengthOf(text);
  const target = allocate(end - p);
  let q = target;
  while (p < end) {
    let c = load<u8>(p++);
    if (c == PERCENT && p + 1 < end) {
      const high = hexDigit(load<u8>(p));
      const low = hexDigit(load<u8>(p, 1));
      if (high >= 0 && low >= 0) {
        c = <u8>((high << 4) | low);
        p += 2;
      }
    }
    store<u8>(q++, c);
  }
  return slice(target, <i32>(q - target));
}

/** 0 to 15, or -1 if `c` is not a hexadecimal digit. */
function hexDigit(c: u8): i32 {
  const digit: u8 = c - 0x30;
  if (digit < 10) return <i32>digit;
  const letter: u8 = (c | 0x20) - 0x61;
  return letter < 6 ? <i32>letter + 10 : -1;
}
