/** The cache without the filter: its bounds, its equality, its seed and its bookkeeping. */
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Random } from "../fuzz/random.ts";
import { compileAssembly } from "../support/assembly.ts";

interface Exports {
  memory: WebAssembly.Memory;
  _initialize(): void;
  tokenAddress(): number;
  create(maxEntries: number, maxBytes: number): number;
  dispose(): void;
  hash(length: number): bigint;
  insert(length: number, hash: bigint, provider: number): void;
  find(length: number, hash: bigint, provider: number): number;
  forget(length: number, hash: bigint, provider: number): void;
  count(): number;
}

/** Bytes of a block besides the token (VerifiedToken). */
const HEAD = 80;

let module: WebAssembly.Module;
beforeAll(async () => {
  module = await WebAssembly.compile(await compileAssembly("tests/support/guest/cache.ts"));
});

class Cache {
  private readonly exports: Exports;

  /** @param random fills with random bytes; without it the host has none */
  constructor(random?: (bytes: Uint8Array) => void) {
    const { exports } = new WebAssembly.Instance(module, {
      wasi_snapshot_preview1: {
        random_get: (address: number, length: number): number => {
          random?.(new Uint8Array(this.exports.memory.buffer, address, length));
          return random === undefined ? 52 : 0;
        },
      },
    });
    this.exports = exports as unknown as Exports;
    this.exports._initialize();
  }

  create(maxEntries: number, maxBytes: number): boolean {
    return this.exports.create(maxEntries, maxBytes) !== 0;
  }

  dispose(): void {
    this.exports.dispose();
  }

  hash(token: string): bigint {
    return this.exports.hash(this.write(token));
  }

  insert(token: string, hash = this.hash(token), provider = 0): void {
    this.exports.insert(this.write(token), hash, provider);
  }

  has(token: string, hash = this.hash(token), provider = 0): boolean {
    return this.exports.find(this.write(token), hash, provider) !== 0;
  }

  forget(token: string, hash = this.hash(token), provider = 0): void {
    this.exports.forget(this.write(token), hash, provider);
  }

  get count(): number {
    return this.exports.count();
  }

  get memorySize(): number {
    return this.exports.memory.buffer.byteLength;
  }

  private write(token: string): number {
    const bytes = Buffer.from(token, "latin1");
    Buffer.from(this.exports.memory.buffer).set(bytes, this.exports.tokenAddress());
    return bytes.length;
  }
}

const random = (bytes: Uint8Array): void => void crypto.getRandomValues(bytes);
/** A token of 100 bytes with its own end, like a signature. */
const token = (i: number): string => ` token ${i}`.padStart(100, "x");
const BLOCK = Math.ceil((HEAD + 100) / 16) * 16;

let cache: Cache;
beforeEach(() => {
  cache = new Cache(random);
});

describe("bounds", () => {
  test("never more entries than allowed", () => {
    cache.create(10, 1_000_000);
    for (let i = 0; i < 1_000; i++) {
      cache.insert(token(i));
      expect(cache.count).toBeLessThanOrEqual(10);
    }
    expect(cache.count).toBe(10);
  });

  test("never more bytes than allowed", () => {
    const maxBytes = 20 * BLOCK;
    cache.create(1_000_000, maxBytes);
    for (let i = 0; i < 1_000; i++) {
      cache.insert(token(i));
      expect(cache.count * BLOCK).toBeLessThanOrEqual(maxBytes);
    }
    expect(cache.count).toBeGreaterThanOrEqual(16);
  });

  test("it starts small, grows in a few steps, and then stops growing", () => {
    cache.create(4_096, 4_194_304);
    const use = (from: number, to: number) => {
      for (let i = from; i < to; i++) {
        cache.insert(token(i));
        cache.has(token(i - (i % 7)));
      }
    };
    const empty = cache.memorySize;
    expect(empty).toBeLessThan(1_048_576);
    use(0, 10_000);
    const full = cache.memorySize;
    expect(full - empty).toBeLessThan(2 * 4_194_304);
    use(10_000, 60_000);
    expect(cache.memorySize).toBe(full);
  });

  test("tokens stay when it grows", () => {
    cache.create(4_096, 4_194_304);
    for (let i = 0; i < 2_000; i++) {
      cache.insert(token(i));
      expect(cache.count).toBe(i + 1);
    }
    for (let i = 0; i < 2_000; i++) expect(cache.has(token(i))).toBe(true);
  });

  test("a cache that is made after another was disposed of takes no more memory", () => {
    cache.create(4_096, 4_194_304);
    const before = cache.memorySize;
    for (let i = 0; i < 100; i++) {
      cache.dispose();
      cache.create(4_096, 4_194_304);
    }
    expect(cache.memorySize).toBe(before);
  });

  test("without tokens or bytes, nothing is remembered", () => {
    for (const [entries, bytes] of [
      [0, 1_000_000],
      [1_000, 0],
    ] as const) {
      cache.create(entries, bytes);
      cache.insert(token(1));
      expect(cache.has(token(1))).toBe(false);
      expect(cache.count).toBe(0);
    }
  });

  test("a token larger than the whole is not remembered and drops nothing", () => {
    cache.create(100, 40 * BLOCK);
    for (let i = 0; i < 5; i++) cache.insert(token(i));
    cache.insert("y".repeat(3_000));
    expect(cache.has("y".repeat(3_000))).toBe(false);
    for (let i = 0; i < 5; i++) expect(cache.has(token(i))).toBe(true);
  });
});

describe("equality", () => {
  test("tokens with one hash are distinguished by their bytes", () => {
    cache.create(100, 100_000);
    for (let i = 0; i < 20; i++) cache.insert(token(i), 7n);
    for (let i = 0; i < 20; i++) expect(cache.has(token(i), 7n)).toBe(true);
    for (let i = 20; i < 40; i++) expect(cache.has(token(i), 7n)).toBe(false);
  });

  test.each([1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 100])("every byte counts, of %d", (length) => {
    cache.create(100, 100_000);
    const original = token(1).slice(0, length);
    cache.insert(original, 7n);
    for (let at = 0; at < length; at++) {
      const changed = `${original.slice(0, at)}\xff${original.slice(at + 1)}`;
      expect(cache.has(changed, 7n)).toBe(false);
    }
    expect(cache.has(original.slice(1), 7n)).toBe(false);
    expect(cache.has(original.slice(0, -1), 7n)).toBe(false);
    expect(cache.has(`${original}x`, 7n)).toBe(false);
    expect(cache.has(original, 7n)).toBe(true);
  });

  test("one provider's token is not another's", () => {
    cache.create(100, 100_000);
    cache.insert(token(1), 7n, 1);
    expect(cache.has(token(1), 7n, 0)).toBe(false);
    expect(cache.has(token(1), 7n, 1)).toBe(true);
  });
});

describe("the hash", () => {
  test("needs a seed from the host", () => {
    expect(new Cache().create(10, 10_000)).toBe(false);
    expect(cache.create(10, 10_000)).toBe(true);
  });

  test("differs from seed to seed", () => {
    const hashes = new Set<bigint>();
    for (let i = 0; i < 100; i++) {
      cache.create(10, 10_000);
      hashes.add(cache.hash(token(1)));
    }
    expect(hashes.size).toBe(100);
  });

  test("depends on the length and on every byte of the signature", () => {
    cache.create(10, 10_000);
    // HS256's is the shortest: 43 bytes.
    for (const length of [1, 8, 31, 32, 33, 64, 65, 100]) {
      const original = token(1).slice(-length);
      const first = Math.max(length - 43, 0);
      const hashes = new Set([cache.hash(original), cache.hash(`x${original}`)]);
      for (let at = first; at < length; at++) {
        hashes.add(cache.hash(`${original.slice(0, at)}\xff${original.slice(at + 1)}`));
      }
      expect(hashes.size).toBe(length - first + 2);
    }
  });

  test("spreads tokens evenly in all bits", () => {
    cache.create(10, 10_000);
    const hashes = Array.from({ length: 4_096 }, (_, i) => cache.hash(token(i)));
    for (const shift of [0n, 20n, 40n, 52n]) {
      const buckets = new Array<number>(256).fill(0);
      for (const hash of hashes) buckets[Number((hash >> shift) & 255n)]!++;
      // 16 on average; of 256 Poisson variables none reaches 48 in 10^9 runs.
      expect(Math.max(...buckets)).toBeLessThan(48);
    }
  });
});

describe("eviction", () => {
  test("tokens that were hit stay during a flood of tokens that come once", () => {
    cache.create(256, 1_000_000);
    const hot = Array.from({ length: 32 }, (_, i) => token(1_000_000 + i));
    for (let round = 0; round < 2; round++) for (const one of hot) if (!cache.has(one)) cache.insert(one);
    const lost = new Set<string>();
    for (let i = 0; i < 100_000; i++) {
      cache.insert(token(i));
      // Each hot token comes back once in 3,200: a queue of the latest 256 would have lost them all.
      const one = hot[Math.floor(i / 100) % hot.length]!;
      if (i % 100 === 0 && !cache.has(one)) {
        lost.add(one);
        cache.insert(one);
      }
    }
    expect(lost.size).toBeLessThanOrEqual(2);
  });

  test("tokens that become hot during a flood are stored", () => {
    cache.create(256, 1_000_000);
    for (let i = 0; i < 10_000; i++) cache.insert(token(i));
    let hits = 0;
    for (let i = 10_000; i < 20_000; i++) {
      cache.insert(token(i));
      const late = token(1_000_000 + (i % 16));
      if (cache.has(late)) hits++;
      else cache.insert(late);
    }
    expect(hits).toBeGreaterThan(9_500);
  });

  test("alternating tokens are both stored, although their hashes are similar", () => {
    cache.create(256, 1_000_000);
    for (let i = 0; i < 256; i++) cache.insert(token(i));
    const alike = [1n, 2n, 3n, 4n].map((upper) => (upper << 32n) | 7n);
    for (let round = 0; round < 2; round++) {
      for (const [i, hash] of alike.entries()) cache.insert(token(1_000 + i), hash);
    }
    for (const [i, hash] of alike.entries()) expect(cache.has(token(1_000 + i), hash)).toBe(true);
  });

  test("a full cache stores a token that comes a second time, not one that comes once", () => {
    cache.create(256, 1_000_000);
    for (let i = 0; i < 256; i++) cache.insert(token(i));
    for (let i = 1_000; i < 1_100; i++) {
      cache.insert(token(i));
      expect(cache.has(token(i))).toBe(false);
      cache.insert(token(i));
      expect(cache.has(token(i))).toBe(true);
      expect(cache.count).toBe(256);
    }
  });

  test("if all are hot, one insertion drops at most one, and the next ones are kept", () => {
    cache.create(4_096, 10_000_000);
    for (let i = 0; i < 4_096; i++) cache.insert(token(i));
    for (let hits = 0; hits < 5; hits++) for (let i = 0; i < 4_096; i++) cache.has(token(i));
    let admitted = 0;
    for (let i = 5_000; i < 6_000; i++) {
      for (let time = 0; time < 2; time++) {
        const before = cache.count;
        cache.insert(token(i));
        expect(cache.count).toBeGreaterThanOrEqual(before - 1);
      }
      if (cache.has(token(i))) admitted++;
    }
    expect(admitted).toBeGreaterThan(100);
  });
});

/**
 * Compared with a map that remembers everything: every token that is found was inserted and not forgotten,
 * and bounds hold.
 */
test("random use of tokens of random lengths", () => {
  const { below } = new Random(1);
  for (const [entries, bytes] of [
    [16, 100_000],
    [1_000, 5_000],
    [64, 20_000],
  ] as const) {
    cache.create(entries, bytes);
    const inserted = new Set<string>();
    let hits = 0;
    for (let i = 0; i < 20_000; i++) {
      const one = `${below(120)} `.padEnd(10 + below(3) * 150, "z");
      // Few hashes, so that chains in the table grow and are closed again.
      const hash = BigInt(one.length % 5) | (BigInt(below(1)) << 32n);
      const action = below(10);
      if (action === 0) {
        cache.forget(one, hash);
        inserted.delete(one);
      } else if (cache.has(one, hash)) {
        hits++;
        expect(inserted.has(one)).toBe(true);
      } else {
        cache.insert(one, hash);
        inserted.add(one);
      }
      expect(cache.count).toBeLessThanOrEqual(entries);
    }
    expect(hits).toBeGreaterThan(500);
  }
});
