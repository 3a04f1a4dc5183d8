/** Loopback addresses for listeners whose port is fixed because policies are about it. */

/**
 * Addresses 127.A.B.C that no other process of these tests uses at the same time: A and B come from the process's id.
 */
export function* addressPool(): Generator<string, never> {
  const slot = process.pid % 8192;
  for (let i = 0; ; i++) {
    const a = 64 + (slot >> 7);
    const b = 2 * (slot & 127) + Math.floor(i / 250);
    yield `127.${a}.${b}.${1 + (i % 250)}`;
  }
}
