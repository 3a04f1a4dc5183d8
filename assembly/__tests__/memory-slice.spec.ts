import { Slice, endsWith, equals, indexOfEither, slice, startsWith } from "../memory/slice";

/** Longer than twice what is compared at a time. */
const LONGEST: i32 = 160;
const OFFSETS: i32 = 3;
const QUESTION_MARK: u8 = 0x3f;
const HASH: u8 = 0x23;

/** Memory of a test, with bytes before and after the compared ones. */
function memoryOf(byte: u8): usize {
  const size: usize = LONGEST + 2 * OFFSETS;
  const start = heap.alloc(size);
  memory.fill(start, byte, size);
  return start;
}

const left = memoryOf(0x61);
const right = memoryOf(0x61);

describe("slices", () => {
  it("are equal if all bytes are, regardless of the bytes around them", () => {
    let wrong = 0;
    for (let length = 0; length <= LONGEST; length++) {
      for (let offset = 0; offset < OFFSETS; offset++) {
        const a = slice(left + 1, length);
        const b = slice(right + 1 + <usize>offset, length);
        const before = right + <usize>offset;
        const behind = right + 1 + <usize>(offset + length);
        store<u8>(before, 0x62);
        store<u8>(behind, 0x62);
        if (!equals(a, b) || !startsWith(a, b) || !endsWith(a, b)) wrong++;
        store<u8>(before, 0x61);
        store<u8>(behind, 0x61);
      }
    }
    expect(wrong).toBe(0);
  });

  it("differ if any bit of any byte differs", () => {
    let wrong = 0;
    for (let length = 1; length <= LONGEST; length++) {
      for (let at = 0; at < length; at++) {
        const place = right + <usize>at;
        const flipped = 0x61 ^ (1 << (at & 7));
        store<u8>(place, <u8>flipped);
        if (equals(slice(left, length), slice(right, length))) wrong++;
        store<u8>(place, 0x61);
      }
    }
    expect(wrong).toBe(0);
  });

  it("differ if one is longer", () => {
    let wrong = 0;
    for (let length = 0; length < LONGEST; length++) {
      if (equals(slice(left, length), slice(right, length + 1))) wrong++;
      if (startsWith(slice(left, length), slice(right, length + 1))) wrong++;
      if (endsWith(slice(left, length), slice(right, length + 1))) wrong++;
    }
    expect(wrong).toBe(0);
  });

  it("are searched for two bytes: the first of either is found after any other bytes", () => {
    const ground: u8[] = [0x00, 0x22, 0x24, 0x3e, 0x40, 0x61, 0x80, 0xa3, 0xbf, 0xff];
    let wrong = 0;
    for (let g = 0; g < ground.length; g++) {
      const start = memoryOf(ground[g]);
      for (let length = 0; length <= 40; length++) {
        const s: Slice = slice(start, length);
        if (indexOfEither(s, QUESTION_MARK, HASH) != -1) wrong++;
        for (let at = 0; at < length; at++) {
          store<u8>(start + <usize>at, (at & 1) == 0 ? QUESTION_MARK : HASH);
          if (indexOfEither(s, QUESTION_MARK, HASH) != at) wrong++;
          if (at + 1 < length) store<u8>(start + <usize>at + 1, HASH);
          if (indexOfEither(s, QUESTION_MARK, HASH) != at) wrong++;
          store<u8>(start + <usize>at, ground[g]);
          if (at + 1 < length) store<u8>(start + <usize>at + 1, ground[g]);
        }
      }
      heap.free(start);
    }
    expect(wrong).toBe(0);
  });
});
