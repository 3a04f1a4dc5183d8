/** Base64 with the standard alphabet and padding (RFC 4648 section 4). */
import { allocate } from "../memory/arena";
import { Slice, lengthOf, pointerOf, slice } from "../memory/slice";

/** @returns the encoding of `bytes`, in the arena */
export function encode(bytes: Slice): Slice {
  let p = pointerOf(bytes);
  const length = lengthOf(bytes);
  const size = ((length + 2) / 3) * 4;
  const target = allocate(<usize>size);
  let q = target;
  for (let left = length; left > 0; left -= 3) {
    const second = left > 1 ? <u32>load<u8>(p, 1) : 0;
    const third = left > 2 ? <u32>load<u8>(p, 2) : 0;
    const bits = ((<u32>load<u8>(p)) << 16) | (second << 8) | third;
    store<u8>(q, character(bits >> 18));
    store<u8>(q, character((bits >> 12) & 63), 1);
    store<u8>(q, left > 1 ? character((bits >> 6) & 63) : 0x3d /* = */, 2);
    store<u8>(q, left > 2 ? character(bits & 63) : 0x3d /* = */, 3);
    p += 3;
    q += 4;
  }
  return slice(target, size);
}

function character(sextet: u32): u8 {
  if (sextet < 26) return <u8>(sextet + 0x41);
  if (sextet < 52) return <u8>(sextet - 26 + 0x61);
  if (sextet < 62) return <u8>(sextet - 52 + 0x30);
  return sextet == 62 ? 0x2b /* + */ : 0x2f; /* / */
}
