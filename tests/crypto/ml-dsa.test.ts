import { createHash, randomBytes } from "node:crypto";
import { ml_dsa44, ml_dsa65, ml_dsa87 } from "@noble/post-quantum/ml-dsa.js";
import { beforeAll, describe, expect, it } from "vitest";
import rfc9964 from "../vectors/rfc9964.json" with { type: "json" };
import { COMPILING, CryptoGuest, fromBase64url, ML_DSA_SETS, type MlDsaName, noHost } from "./guest.ts";

const Q = 8380417;

/** FIPS 204, tables 1 and 2. */
const SETS = {
  "ML-DSA-44": {
    other: ml_dsa44,
    k: 4,
    l: 4,
    key: 1312,
    length: 2420,
    omega: 80,
    z: 576,
    challenge: 32,
    steps: 44,
  },
  "ML-DSA-65": {
    other: ml_dsa65,
    k: 6,
    l: 5,
    key: 1952,
    length: 3309,
    omega: 55,
    z: 640,
    challenge: 48,
    steps: 16,
  },
  "ML-DSA-87": {
    other: ml_dsa87,
    k: 8,
    l: 7,
    key: 2592,
    length: 4627,
    omega: 75,
    z: 640,
    challenge: 64,
    steps: 16,
  },
} as const;

function keyOf(set: MlDsaName, seed = randomBytes(32)) {
  const { publicKey, secretKey } = SETS[set].other.keygen(seed);
  return { publicKey, sign: (text: Uint8Array) => SETS[set].other.sign(text, secretKey) };
}

describe("SHAKE", () => {
  let guest: CryptoGuest;
  beforeAll(async () => {
    guest = await CryptoGuest.create(noHost);
  }, COMPILING);

  it("agrees with another implementation on messages of every length up to three blocks, in any parts", () => {
    for (let length = 0; length <= 3 * 136 + 1; length++) {
      const text = Buffer.alloc(length, `text ${length}`);
      const expected = createHash("shake256", { outputLength: 272 }).update(text).digest();
      expect(guest.shake256(text)).toEqual(expected);
      expect(guest.shake256(text, 1 + (length % 140))).toEqual(expected);
    }
  });

  it("agrees with another implementation on two seeds at once", () => {
    for (const [first, second] of [
      [0, 1],
      [0x0302, 0x0604],
      [0xffff, 0],
    ] as const) {
      const seed = randomBytes(32);
      const expected = [first, second].map((nonce) =>
        createHash("shake128", { outputLength: 336 })
          .update(seed)
          .update(Uint8Array.of(nonce & 0xff, nonce >> 8))
          .digest(),
      );
      expect(guest.shake128(seed, first, second)).toEqual(expected);
    }
  });
});

describe.each(ML_DSA_SETS)("%s", (set) => {
  const { k, l, key, length, omega, z, challenge, steps } = SETS[set];
  const hintsAt = challenge + l * z;
  let guest: CryptoGuest;
  beforeAll(async () => {
    guest = await CryptoGuest.create(noHost);
  }, COMPILING);

  it("verifies the example of RFC 9964", () => {
    const { jwk, jws } = rfc9964.examples.find((example) => example.jwk.alg === set) ?? {};
    const [header = "", payload = "", signature] = jws?.split(".") ?? [];
    expect(guest.loadMlDsa(set, fromBase64url(jwk?.pub))).toBeUndefined();
    const text = Buffer.from(`${header}.${payload}`);
    expect(guest.verifyMlDsa(fromBase64url(signature), text)).toBe(true);
    expect(guest.loadKeys([jwk ?? {}])).toBe(true);
    expect(guest.verifyJws(jws ?? "")).toBe(0);
    for (const other of ML_DSA_SETS) {
      if (other !== set) expect(guest.loadKeys([{ ...jwk, alg: other }])).toBe(false);
    }
    expect(guest.verifyMlDsa(fromBase64url(signature), Buffer.concat([text, Buffer.of(0)]))).toBe(false);
  });

  it("agrees with another implementation on messages of many lengths, on contexts, and on changed bits", () => {
    const { other } = SETS[set];
    for (let i = 0; i < 12; i++) {
      const { publicKey, secretKey } = other.keygen(randomBytes(32));
      guest.loadMlDsa(set, publicKey);
      const text = randomBytes(61 * i);
      const context = randomBytes(i === 0 ? 0 : 23 * i + 2);
      const signature = Buffer.from(other.sign(text, secretKey, { context }));
      for (let use = 0; use < 2; use++) {
        expect(guest.verifyMlDsa(signature, text, context)).toBe(true);
        if (i > 0) expect(guest.verifyMlDsa(signature, text)).toBe(false);
      }
      const bit = Math.floor(Math.random() * 8 * length);
      signature[bit >> 3] = (signature[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const expected = other.verify(signature, text, publicKey, { context });
      expect(expected).toBe(false);
      expect(guest.verifyMlDsa(signature, text, context)).toBe(expected);
    }
  });

  it("refuses a signature with any byte changed, a message with any byte changed, and any other key", () => {
    const { publicKey, sign } = keyOf(set);
    const text = randomBytes(300);
    const signature = sign(text);
    const accepted: string[] = [];
    guest.loadMlDsa(set, publicKey);
    expect(guest.verifyMlDsa(signature, text)).toBe(true);
    for (const [name, bytes] of Object.entries({ signature, text })) {
      for (let at = 0; at < bytes.length; at++) {
        const old = bytes[at] ?? 0;
        bytes[at] = old ^ (1 << (at & 7));
        if (guest.verifyMlDsa(signature, text)) accepted.push(`${name} ${at}`);
        bytes[at] = old;
      }
    }
    for (let at = 0; at < key; at++) {
      const changed = Buffer.from(publicKey);
      changed[at] = (changed[at] ?? 0) ^ (1 << (at & 7));
      guest.loadMlDsa(set, changed);
      if (guest.verifyMlDsa(signature, text)) accepted.push(`key ${at}`);
    }
    expect(accepted).toEqual([]);
  });

  /** A signature with room for another hint and with a row of two, which are from `from` up to `to`. */
  function signWithHints(sign: (text: Uint8Array) => Uint8Array) {
    for (let i = 0; ; i++) {
      const text = Buffer.from(`message ${i}`);
      const signature = sign(text);
      const ends = [...signature.subarray(length - k)];
      const used = ends.at(-1) ?? 0;
      const row = ends.findIndex((end, index) => end - (ends[index - 1] ?? 0) >= 2);
      if (used === omega || row < 0) continue;
      return { text, signature, used, from: ends[row - 1] ?? 0, to: ends[row] ?? 0 };
    }
  }

  it("refuses other encodings of the same hints", () => {
    const { publicKey, sign } = keyOf(set);
    guest.loadMlDsa(set, publicKey);
    const { text, signature, used, from, to } = signWithHints(sign);
    const verify = (edit: (hints: Uint8Array) => void) => {
      const changed = Uint8Array.from(signature);
      edit(changed.subarray(hintsAt));
      return guest.verifyMlDsa(changed, text);
    };
    expect(verify(() => undefined)).toBe(true);
    const swapped = verify((hints) => {
      [hints[from], hints[from + 1]] = [hints[from + 1] ?? 0, hints[from] ?? 0];
    });
    // The same position twice, so that each later row begins one further on.
    const repeated = verify((hints) => {
      hints.copyWithin(from + 1, from, used);
      for (let row = omega; row < omega + k; row++) {
        const end = hints[row] ?? 0;
        if (end >= to) hints[row] = end + 1;
      }
    });
    const filled = verify((hints) => {
      hints[omega - 1] = 255;
    });
    expect([swapped, repeated, filled]).toEqual([false, false, false]);
  });

  it("refuses hints that cannot be, without a look beyond the signature", () => {
    const { publicKey, sign } = keyOf(set);
    guest.loadMlDsa(set, publicKey);
    const text = Buffer.from("message");
    const signature = sign(text);
    for (let row = 0; row < k; row++) {
      for (const end of [omega + 1, 255]) {
        const changed = Uint8Array.from(signature);
        changed.fill(end, length - k + row);
        expect(guest.verifyMlDsa(changed, text)).toBe(false);
      }
      // Fewer than in the row before.
      const changed = Uint8Array.from(signature);
      changed[length - k + row] = omega;
      if (row + 1 < k) expect(guest.verifyMlDsa(changed, text)).toBe(false);
    }
  });

  it("takes only one encoding of hints", () => {
    /** @param positions of all rows @param ends where each row ends; the last counts for the rows after it too */
    const valid = (positions: number[], ends: number[]) => {
      const hints = new Uint8Array(omega + k);
      hints.set(positions);
      for (let row = 0; row < k; row++) hints[omega + row] = ends[row] ?? ends.at(-1) ?? 0;
      return guest.hintsAreValid(set, hints);
    };
    expect(valid([], [0])).toBe(true);
    expect(valid([3, 7], [2])).toBe(true);
    // A row may begin below the end of the one before.
    expect(valid([7, 3, 255], [1, 3])).toBe(true);
    expect(
      valid(
        Array.from({ length: omega }, (_, i) => i),
        [omega],
      ),
    ).toBe(true);
    expect(valid([7, 3], [2])).toBe(false);
    expect(valid([3, 3], [2])).toBe(false);
    expect(valid([0, 0], [2])).toBe(false);
    // An empty row that ends before it begins: a careless reader finds the same hints.
    expect(valid([3, 7], [2, 1, 2])).toBe(false);
    expect(valid([3, 0], [2, 1])).toBe(false);
    expect(valid([3, 7], [1])).toBe(false);
    expect(valid([], [omega + 1])).toBe(false);
  });

  it("takes keys, signatures and contexts of exactly their lengths", () => {
    const { other } = SETS[set];
    const { publicKey, secretKey } = other.keygen(randomBytes(32));
    const reason = `the public key does not have ${key} bytes`;
    expect(guest.loadMlDsa(set, Buffer.alloc(0))).toBe(reason);
    expect(guest.loadMlDsa(set, publicKey.subarray(1))).toBe(reason);
    expect(guest.loadMlDsa(set, Buffer.concat([publicKey, Buffer.of(0)]))).toBe(reason);
    expect(guest.loadMlDsa(set, publicKey)).toBeUndefined();
    const text = Buffer.from("message");
    const context = randomBytes(255);
    const signature = other.sign(text, secretKey, { context });
    expect(guest.verifyMlDsa(signature, text, context)).toBe(true);
    expect(guest.verifyMlDsa(signature.subarray(0, length - 1), text, context)).toBe(false);
    expect(guest.verifyMlDsa(Buffer.concat([signature, Buffer.of(0)]), text, context)).toBe(false);
    expect(guest.verifyMlDsa(Buffer.alloc(0), text, context)).toBe(false);
    // The length of the context is one byte of the message.
    const empty = other.sign(Buffer.concat([Buffer.alloc(256), text]), secretKey);
    expect(guest.verifyMlDsa(empty, Buffer.concat([Buffer.alloc(256), text]))).toBe(true);
    expect(guest.verifyMlDsa(empty, text, Buffer.alloc(256))).toBe(false);
  });

  it("is right for more keys than have tables, in any order, and after tables were given to others", () => {
    const text = Buffer.from("message");
    const keys = Array.from({ length: 12 }, () => {
      const { publicKey, sign } = keyOf(set);
      return { publicKey, signature: sign(text) };
    });
    const use = ({ publicKey, signature }: (typeof keys)[number], i: number, times: number) => {
      guest.loadMlDsa(set, publicKey);
      for (let n = 0; n < times; n++) {
        expect(guest.verifyMlDsa(signature, text)).toBe(true);
        expect(guest.verifyMlDsa(keys[(i + 1) % keys.length]?.signature ?? signature, text)).toBe(false);
      }
    };
    for (let round = 0; round < 2; round++) for (const [i, one] of keys.entries()) use(one, i, 2);
    // Enough that every table has rested long enough, and the last keys get one.
    const [first] = keys;
    if (first !== undefined) use(first, 0, 600);
    for (const [i, one] of keys.toReversed().entries()) use(one, keys.length - 1 - i, 2);
  });

  it("needs no memory for each verification, nor for each key beyond those that have tables", () => {
    const text = Buffer.from("message");
    const loadAndUse = (count: number) => {
      for (let i = 0; i < count; i++) {
        const { publicKey, sign } = keyOf(set);
        guest.loadMlDsa(set, publicKey);
        const signature = sign(text);
        for (let use = 0; use < 3; use++) expect(guest.verifyMlDsa(signature, text)).toBe(true);
      }
    };
    loadAndUse(8);
    const before = guest.collect();
    loadAndUse(12);
    expect(guest.collect()).toBe(before);
  });

  it("encodes the high bits of numbers at every border and of random ones, with and without a hint", () => {
    const step = (Q - 1) / steps;
    const width = steps === 16 ? 4 : 6;
    /** FIPS 204, algorithms 36 and 40. */
    const decompose = (r: number): [high: number, low: number] => {
      const rest = r % step;
      const low = rest > step / 2 ? rest - step : rest;
      return r - low === Q - 1 ? [0, low - 1] : [(r - low) / step, low];
    };
    const unpack = (bytes: Buffer) => {
      const bits = BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);
      return (i: number) => Number((bits >> BigInt(i * width)) & ((1n << BigInt(width)) - 1n));
    };
    const wrong: number[] = [];
    const check = (numbers: Int32Array, expected: (r: number, i: number) => number) => {
      const high = guest.highBits(set, Int32Array.from(numbers));
      expect(high.length).toBe(32 * width);
      const at = unpack(high);
      for (const [i, r] of numbers.entries()) if (at(i) !== expected(r, i)) wrong.push(r);
    };
    // Around every border of two high bits, and at random.
    const borders = Array.from({ length: 2 * steps + 1 }, (_, i) => (i * step) / 2);
    const near = borders.flatMap((b) => [-2, -1, 0, 1, 2].map((d) => b + d)).filter((r) => r >= 0 && r < Q);
    const random = Array.from({ length: 20_000 }, () => Math.floor(Math.random() * Q));
    const numbers = [...near, ...random];
    for (let i = 0; i < numbers.length; i += 256) {
      const part = Int32Array.from({ length: 256 }, (_, n) => numbers[i + n] ?? 0);
      check(part, (r) => decompose(r)[0]);
      const moved = part.map((r) => guest.hinted(set, r));
      check(moved, (_, n) => {
        const [high, low] = decompose(part[n] ?? 0);
        return (high + (low > 0 ? 1 : -1) + steps) % steps;
      });
    }
    expect(wrong).toEqual([]);
  });
});

describe("Polynomials", () => {
  let guest: CryptoGuest;
  beforeAll(async () => {
    guest = await CryptoGuest.create(noHost);
  }, COMPILING);

  /** FIPS 204, algorithm 43 and §7.5, naively: the value at each odd power of the root. */
  const root = (exponent: number) => {
    let result = 1;
    for (let i = 0; i < exponent; i++) result = (result * 1753) % Q;
    return result;
  };
  const roots = Array.from({ length: 512 }, (_, i) => root(i));
  const order = Array.from(
    { length: 256 },
    (_, i) => 2 * Number.parseInt(i.toString(2).padStart(8, "0").split("").reverse().join(""), 2) + 1,
  );
  const evaluate = (p: Int32Array) =>
    order.map((power) =>
      p.reduce((sum, c, i) => (((sum + c * (roots[(power * i) % 512] ?? 0)) % Q) + Q) % Q, 0),
    );
  /** The inverse, from 0 to q - 1. */
  const interpolate = (values: number[]) =>
    Int32Array.from({ length: 256 }, (_, i) => {
      const sum = values.reduce(
        (s, v, n) => (s + v * (roots[(512 * 256 - (order[n] ?? 0) * i) % 512] ?? 0)) % Q,
        0,
      );
      return (sum * 8347681) % Q;
    });
  const constant = (value: number) => new Int32Array(256).fill(value);
  const random = (low: number, high: number) =>
    Int32Array.from({ length: 256 }, () => low + Math.floor(Math.random() * (high - low + 1)));

  it.each<[string, () => [a: Int32Array[], b: Int32Array[], c: Int32Array, d: Int32Array]]>([
    [
      "random ones",
      () => [
        [random(0, Q - 1), random(0, Q - 1)],
        [random(-(2 ** 19), 2 ** 19), random(-(2 ** 17), 2 ** 17)],
        random(-1, 1),
        random(0, 1023),
      ],
    ],
    [
      "the greatest ones",
      () => [
        Array(7).fill(constant(Q - 1)),
        Array(7).fill(constant(2 ** 19 - 1)),
        constant(1),
        constant(1023),
      ],
    ],
    [
      "the least ones",
      () => [
        Array(7).fill(constant(Q - 1)),
        Array(7).fill(constant(1 - 2 ** 19)),
        constant(-1),
        constant(1023),
      ],
    ],
    [
      "extreme ones of both signs",
      () => [
        Array.from({ length: 7 }, () => random(0, 1).map((bit) => bit * (Q - 1))),
        Array.from({ length: 7 }, () => random(0, 1).map((bit) => (2 * bit - 1) * (2 ** 19 - 1))),
        random(0, 1).map((bit) => 2 * bit - 1),
        random(0, 1).map((bit) => bit * 1023),
      ],
    ],
    ["zeros", () => [[constant(0)], [constant(0)], constant(0), constant(0)]],
  ])("are multiplied and added as FIPS 204 defines it: %s", (_, make) => {
    const [a, b, c, d] = make();
    const expected = b.map(evaluate).map((values, i) => values.map((v, n) => (v * (a[i]?.[n] ?? 0)) % Q));
    const [cs, ds] = [evaluate(c), evaluate(d)];
    expected.push(cs.map((v, n) => Q - ((((v * (ds[n] ?? 0)) % Q) * 8192) % Q)));
    const sums = expected.reduce((sum, values) => sum.map((s, n) => (s + (values[n] ?? 0)) % Q));
    expect(guest.product(a, b, c, d)).toEqual(interpolate(sums));
  });

  it("have as many coefficients of 1 and -1 as a challenge has, at the places that FIPS 204 says", () => {
    for (let i = 0; i < 300; i++) {
      const challenge = randomBytes(48);
      const tau = [39, 49, 60][i % 3] ?? 0;
      const bytes = createHash("shake256", { outputLength: 272 }).update(challenge).digest();
      const expected = new Int32Array(256);
      let at = 8;
      for (let n = 256 - tau; n < 256; n++) {
        while ((bytes[at] ?? 0) > n) at++;
        const [j, bit] = [bytes[at++] ?? 0, n + tau - 256];
        expected[n] = expected[j] ?? 0;
        expected[j] = ((bytes[bit >> 3] ?? 0) >> (bit & 7)) & 1 ? -1 : 1;
      }
      expect(guest.ball(challenge, tau)).toEqual(expected);
    }
  });

  it("end where the digest of a challenge is too short", () => {
    // 250 positions need far more than 264 candidates.
    expect(guest.ball(randomBytes(32), 250)).toBeUndefined();
  });
});
