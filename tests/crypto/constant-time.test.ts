/**
 * The steps of verifying an HMAC depend neither on the key nor on where a tag is wrong
 * (assembly/crypto/hmac.ts). Time would be too noisy to tell: the statements that run are counted, and that
 * the whole tag is read is seen by one that ends outside of the memory.
 */
import { createHmac } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { compileCounted } from "../support/assembly.ts";
import { COMPILING, CryptoGuest, HASHES, noHost, SOURCE } from "./guest.ts";

const COUNTED = ["constant-time", "hmac", "sha2"].map((name) => `assembly/crypto/${name}.ts`);
const text = Buffer.from("what is signed");
const KEYS = [Buffer.alloc(32), Buffer.alloc(32, 0xff), Buffer.from("a key of thirty-two bytes, or so")];

let module: WebAssembly.Module;
let count: number;
beforeAll(async () => {
  const { bytes, sites } = await compileCounted(SOURCE, COUNTED, "-O1", "--noAssert");
  module = await WebAssembly.compile(bytes as Uint8Array<ArrayBuffer>);
  count = sites.length;
}, COMPILING);

describe.each(HASHES)("HMAC with %s", (hash) => {
  test("runs the same statements for every key, and for a tag that is right or wrong in any bit", () => {
    const guest = CryptoGuest.of(module, noHost);
    const runs = new Set<string>();
    for (const key of KEYS) {
      expect(guest.loadHmac(key)).toBeUndefined();
      const tag = createHmac(hash, key).update(text).digest();
      const run = (changed: Buffer, isGood: boolean): void => {
        guest.takeCounts(count);
        expect(guest.verifyHmac(hash, changed, text)).toBe(isGood);
        const counts = guest.takeCounts(count);
        expect(Math.max(...counts)).toBeGreaterThanOrEqual(tag.length);
        runs.add(counts.join());
      };
      run(tag, true);
      run(Buffer.from(tag.map((byte) => ~byte)), false);
      for (let bit = 0; bit < 8 * tag.length; bit++) {
        const changed = Buffer.from(tag);
        changed[bit >> 3] = tag.readUInt8(bit >> 3) ^ (1 << (bit & 7));
        run(changed, false);
      }
    }
    expect(runs.size).toBe(1);
  });

  test("reads a tag to its end, wherever it is wrong", () => {
    const size = createHmac(hash, "").digest().length;
    for (const inside of [1, size / 2, size - 1]) {
      const guest = CryptoGuest.of(module, noHost);
      expect(guest.loadHmac(Buffer.from("key"))).toBeUndefined();
      const tag = createHmac(hash, "key").update(text).digest();
      const memory = Buffer.from(guest.memory.buffer);
      const start = memory.length - inside;
      memory.set(tag.subarray(0, inside), start);
      expect(() => guest.verifyHmacAt(hash, start, size, text)).toThrow(WebAssembly.RuntimeError);
      memory[start] = tag.readUInt8(0) ^ 1;
      expect(() => guest.verifyHmacAt(hash, start, size, text)).toThrow(WebAssembly.RuntimeError);
      // All of it inside, so that what is thrown above is for its end.
      memory.set(tag, memory.length - size);
      expect(guest.verifyHmacAt(hash, memory.length - size, size, text)).toBe(true);
    }
  });
});
