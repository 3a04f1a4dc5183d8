/** Percent-decoding of query parameters, as Envoy does it (Http::Utility::PercentEncoding::urlDecodeQueryParameter). */
import { allocate } from "../abi/arena";
import { Slice, indexOfByte, lengthOf, pointerOf, slice } from "../abi/slice";

const PERCENT: u8 = 0x25;

/**
 * Decodes `%XX` where it stands for printable ASCII other than space `"` `<` `>` `\` `^` `{` `|` `}`; any other `%XX`
 * stays as it is. A `%` with two characters behind it that are not hexadecimal is dropped, one with fewer stays, and
 * `+` is no space: so Envoy has it, and a token is found where Envoy finds it.
 *
 * @returns the decoded bytes: `text` itself where there is no `%`, else in the arena
 */
export function percentDecode(text: Slice): Slice {
  if (indexOfByte(text, PERCENT) < 0) return text;
  let p = pointerOf(text);
  const end = p + <usize>lengthOf(text);
  const target = allocate(end - p);
  let q = target;
  while (p < end) {
    const c = load<u8>(p);
    if (c != PERCENT || p + 2 >= end) {
      store<u8>(q++, c);
      p++;
      continue;
    }
    const high = hexDigit(load<u8>(p, 1));
    const low = hexDigit(load<u8>(p, 2));
    if (high < 0 || low < 0) {
      p++;
      continue;
    }
    const decoded = <u8>((high << 4) | low);
    if (isDecoded(decoded)) {
      store<u8>(q++, decoded);
    } else {
      memory.copy(q, p, 3);
      q += 3;
    }
    p += 3;
  }
  return slice(target, <i32>(q - target));
}

/** 0 to 15, or -1 for no hexadecimal digit. */
function hexDigit(c: u8): i32 {
  const digit: u8 = c - 0x30;
  if (digit < 10) return <i32>digit;
  const letter: u8 = (c | 0x20) - 0x61;
  return letter < 6 ? <i32>letter + 10 : -1;
}

/** Whether Envoy decodes an escape of this character (kUrlDecodedCharTable). */
function isDecoded(c: u8): bool {
  if (c <= 0x20 || c >= 0x7f) return false;
  switch (c) {
    case 0x22 /* " */:
    case 0x3c /* < */:
    case 0x3e /* > */:
    case 0x5c /* \ */:
    case 0x5e /* ^ */:
    case 0x7b /* { */:
    case 0x7c /* | */:
    case 0x7d /* } */:
      return false;
    default:
      return true;
  }
}
