import { allocate, reset } from "../memory/arena";

/** Larger than what is left of any block, so that each gets its own. */
const LARGE: usize = 300 * 1024;

describe("the arena", () => {
  it("gives each its own bytes, aligned to 16", () => {
    reset();
    const sizes: StaticArray<usize> = [1, 16, 17, LARGE, 3, LARGE, 0];
    const starts = new StaticArray<usize>(sizes.length);
    for (let i = 0; i < sizes.length; i++) {
      starts[i] = allocate(sizes[i]);
      expect(starts[i] & 15).toBe(0);
      memory.fill(starts[i], <u8>(i + 1), sizes[i]);
    }
    for (let i = 0; i < sizes.length; i++) {
      for (let at: usize = 0; at < sizes[i]; at++) {
        if (load<u8>(starts[i] + at) != <u8>(i + 1)) throw new Error(`byte ${at} of ${i} is another's`);
      }
    }
    reset();
  });

  it("frees all large blocks of a callback, not only the last one", () => {
    let after: i32 = 0;
    for (let callback = 0; callback < 50; callback++) {
      reset();
      for (let i = 0; i < 4; i++) allocate(LARGE);
      if (callback == 4) after = memory.size();
    }
    reset();
    expect(memory.size()).toBe(after);
  });
});
