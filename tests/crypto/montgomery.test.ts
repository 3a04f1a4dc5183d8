import { beforeAll, describe, expect, it } from "vitest";
import { Random } from "../fuzz/random.ts";
import { COMPILING, CryptoGuest, noHost } from "./guest.ts";

/** A reproducible stream of numbers below 2^bits. */
function random(seed: number): (bits: number) => bigint {
  const choices = new Random(seed);
  return (bits) => {
    let value = 0n;
    for (let i = 0; i < bits; i += 16) value = (value << 16n) | BigInt(choices.below(2 ** 16));
    return value & ((1n << BigInt(bits)) - 1n);
  };
}

function power(base: bigint, exponent: number, n: bigint): bigint {
  let result = 1n;
  for (const bit of exponent.toString(2)) {
    result = (result * result) % n;
    if (bit === "1") result = (result * base) % n;
  }
  return result;
}

/** A number all of whose digits of 13 bits are `digit`, as long as `bits`. */
function repeated(digit: number, bits: number): bigint {
  let value = 0n;
  for (let at = 0; at < bits; at += 13) value |= BigInt(digit) << BigInt(at);
  return value & ((1n << BigInt(bits)) - 1n);
}

describe("Montgomery's multiplication", () => {
  let guest: CryptoGuest;
  beforeAll(async () => {
    guest = await CryptoGuest.create(noHost);
  }, COMPILING);

  const check = (n: bigint, base: bigint, exponent: number) => {
    expect(
      guest.power(n, base, exponent)?.toString(16),
      `${base.toString(16)} ^ ${exponent} mod ${n.toString(16)}`,
    ).toBe(power(base, exponent, n).toString(16));
  };

  it("agrees with arithmetic on random numbers of every length from 2 to 600 bits", () => {
    const next = random(1);
    for (let bits = 2; bits <= 600; bits++) {
      const n = next(bits) | (1n << BigInt(bits - 1)) | 1n;
      check(n, next(bits + 8) % n, bits % 2 === 0 ? 3 : 65537);
    }
  });

  it.each([2047, 2048, 2049, 2056, 2077, 2078, 3071, 3072, 3073, 4095, 4096, 4097, 6000, 8191, 8192])(
    "agrees with arithmetic on random numbers of %i bits",
    (bits) => {
      const next = random(bits);
      for (let i = 0; i < 8; i++) {
        const n = next(bits) | (1n << BigInt(bits - 1)) | 1n;
        check(n, next(bits + 8) % n, 3);
        check(n, next(bits + 8) % n, 65537);
      }
    },
  );

  // Digits at the ends of their range, in the modulus, in its inverse and in the base: the greatest sums.
  it.each([256, 521, 2048, 2080, 3072, 4096, 8192])("agrees on extreme digits of %i bits", (bits) => {
    const top = 1n << BigInt(bits - 1);
    const all = (1n << BigInt(bits)) - 1n;
    const moduli = [all, top + 1n, top | repeated(0x1000, bits) | 1n, top | repeated(0x0fff, bits) | 1n];
    moduli.push(top | repeated(0x1001, bits) | 1n, all - 0x1ffen, (all ^ (all >> 1n)) + 1n);
    for (const n of moduli) {
      const bases = [0n, 1n, 2n, n - 1n, n - 2n, n >> 1n, (n >> 1n) + 1n];
      for (const digit of [0x0fff, 0x1000, 0x1001, 0x1fff, 1]) bases.push(repeated(digit, bits) % n);
      for (const base of bases) {
        check(n, base, 3);
        check(n, base, 65537);
      }
    }
  });

  it("refuses a base that is not less than the modulus", () => {
    const n = (1n << 2048n) - 0x1234567n;
    for (const base of [n, n + 1n, n + 2n, (1n << 2048n) - 1n])
      expect(guest.power(n, base, 3)).toBeUndefined();
    check(n, n - 1n, 3);
  });

  it("is not affected by the remains of a longer number", () => {
    const next = random(7);
    const long = next(8192) | (1n << 8191n) | 1n;
    for (const bits of [2048, 4096, 256, 3072, 521]) {
      check(long, next(8192) % long, 65537);
      const n = next(bits) | (1n << BigInt(bits - 1)) | 1n;
      check(n, next(bits) % n, 65537);
    }
  });
});

describe("scalars modulo the order of Ed25519's base point", () => {
  const L = (1n << 252n) + 27742317777372353535851937790883648493n;
  let guest: CryptoGuest;
  beforeAll(async () => {
    guest = await CryptoGuest.create(noHost);
  }, COMPILING);

  it("agrees with arithmetic on random numbers", () => {
    const next = random(3);
    for (let i = 0; i < 2000; i++) {
      const number = next(512 - (i % 300));
      expect(guest.reduce(number)).toBe(number % L);
    }
  });

  it("agrees next to multiples of the order, and of 2^252", () => {
    const all = (1n << 512n) - 1n;
    for (const unit of [L, 1n << 252n]) {
      for (const factor of [
        0n,
        1n,
        2n,
        3n,
        15n,
        16n,
        1n << 7n,
        (1n << 128n) - 1n,
        1n << 133n,
        1n << 200n,
        all / unit,
      ]) {
        for (const offset of [-2n, -1n, 0n, 1n, 2n]) {
          const number = unit * factor + offset;
          if (number >= 0n && number <= all) expect(guest.reduce(number)).toBe(number % L);
        }
      }
    }
    expect(guest.reduce(all)).toBe(all % L);
  });
});
