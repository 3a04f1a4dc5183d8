/** Where host calls put their results: two 32-bit numbers, first the pointer, then the size. */
export const OUT: usize = memory.data(16, 16);
