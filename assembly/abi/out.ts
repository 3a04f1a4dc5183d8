/** Where host calls put their results: two 32-bit numbers, pointer and size, one after the other. */
export const OUT: usize = memory.data(16, 16);
