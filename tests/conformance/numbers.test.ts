/** Numbers in forwarded claims are read and written as exact arithmetic does, on every path through the filter. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { createNodeHost } from "../../tools/host/node.ts";
import { Random } from "../fuzz/random.ts";
import { whole } from "../support/configuration.ts";
import { MODULE } from "../support/envoy.ts";
import { bearer, TestKey } from "../support/tokens.ts";

const key = TestKey.generate("HS256", "k");
const host = await createNodeHost(await WebAssembly.compile(readFileSync(MODULE)));
const provider = {
  name: "origins-0",
  issuer: "i",
  localJwks: { keys: [key.jwk] },
  fromHeaders: [{ name: "authorization", valuePrefix: "Bearer " }],
  claimToHeaders: [{ headerName: "x-list", claimName: "list" }],
};
expect(host.configure(whole({ providers: [provider] }))).toMatchObject({ accepted: true });

/** What a backend receives for a list of numbers. */
function forwarded(numbers: readonly string[]): string[] {
  const token = key.tokenOf(`{"iss":"i","list":[${numbers.join()}]}`);
  const headers = host.send({ headers: [bearer(token)] }).outcome?.upstream?.headers ?? [];
  const value = new Map(headers).get("x-list") ?? "";
  return Buffer.from(value, "base64").toString().slice(1, -1).split(",");
}

const bits = new DataView(new ArrayBuffer(8));

function doubleOf(value: bigint): number {
  bits.setBigUint64(0, value);
  return bits.getFloat64(0);
}

/** A positive double as significand * 2^power. */
function partsOf(value: number): { significand: bigint; power: number } {
  bits.setFloat64(0, value);
  const all = bits.getBigUint64(0);
  const biased = Number(all >> 52n);
  const fraction = all & ((1n << 52n) - 1n);
  return {
    significand: biased === 0 ? fraction : fraction | (1n << 52n),
    power: Math.max(biased, 1) - 1075,
  };
}

/** The value as integer * 10^exponent, exactly. */
function decimalOf(significand: bigint, power: number): { integer: bigint; exponent: number } {
  return power >= 0
    ? { integer: significand << BigInt(power), exponent: 0 }
    : { integer: significand * 5n ** BigInt(-power), exponent: power };
}

/** C's `%.{precision}g`, ties to even. */
function general(value: number, precision: number): string {
  const { significand, power } = partsOf(value);
  const { integer, exponent } = decimalOf(significand, power);
  let digits = integer;
  let last = exponent;
  const dropped = String(integer).length - precision;
  if (dropped > 0) {
    const unit = 10n ** BigInt(dropped);
    digits = integer / unit;
    const rest = 2n * (integer % unit);
    if (rest > unit || (rest === unit && digits % 2n === 1n)) digits++;
    last += dropped;
  }
  const first = last + String(digits).length - 1;
  const text = String(digits).replace(/0+$/, "");
  if (first < -4 || first >= precision) {
    const mantissa = text.length === 1 ? text : `${text[0]}.${text.slice(1)}`;
    return `${mantissa}e${first < 0 ? "-" : "+"}${String(Math.abs(first)).padStart(2, "0")}`;
  }
  if (first < 0) return `0.${"0".repeat(-first - 1)}${text}`;
  const whole = text.slice(0, first + 1).padEnd(first + 1, "0");
  return text.length > first + 1 ? `${whole}.${text.slice(first + 1)}` : whole;
}

/** What protobuf's JSON printer writes for the nearest double of a positive number. */
function expected(text: string): string {
  const value = Number(text);
  if (Number.isInteger(value) && value < 1e15) return String(value);
  const short = general(value, 15);
  return Number(short) === value ? short : general(value, 17);
}

function compare(numbers: readonly string[]): void {
  expect(forwarded(numbers)).toEqual(numbers.map(expected));
}

const random = new Random(12);
const digits = (count: number): string =>
  Array.from({ length: count }, (_, i) => (i === 0 ? 1 + random.below(9) : random.below(10))).join("");
const times = (count: number, make: () => string): string[] => Array.from({ length: count }, make);
const significand = (): bigint =>
  (1n << 52n) | (BigInt(random.below(2 ** 26)) << 26n) | BigInt(random.below(2 ** 26));

test("decimals of all lengths and exponents", () => {
  for (let i = 0; i < 40; i++) {
    compare(times(250, () => `${digits(1 + random.below(20))}e${random.below(630) - 340}`));
    compare(times(60, () => `${digits(1)}.${digits(1 + random.below(100))}e${random.below(630) - 330}`));
    compare([`${digits(1)}.${digits(3000)}e${random.below(600) - 320}`]);
  }
});

test("doubles of all sizes, with many and with few bits set", () => {
  for (let i = 0; i < 40; i++) {
    const double = (): string => {
      const zeros = BigInt(random.below(53));
      const fraction = ((significand() & ((1n << 52n) - 1n)) >> zeros) << zeros;
      const biased = BigInt(random.oneIn(2) ? random.below(2047) : 960 + random.below(130));
      return String(doubleOf((biased << 52n) | fraction));
    };
    compare(times(250, double));
  }
});

test("numbers halfway between two doubles, and next to that", () => {
  for (let i = 0; i < 300; i++) {
    const power = random.below(2046) - 1075;
    const half = 2n * (power === -1075 ? significand() >> BigInt(random.below(52)) : significand()) + 1n;
    const { integer, exponent } = decimalOf(half, power);
    const near = [-1n, 0n, 1n].map((difference) => `${integer + difference}e${exponent}`);
    // The nearest that 64 bits can express.
    const cut = String(integer).length - 19;
    const leading = integer / 10n ** BigInt(Math.max(cut, 0));
    if (cut > 0) near.push(`${leading}e${exponent + cut}`, `${leading + 1n}e${exponent + cut}`);
    compare(near);
  }
});

test("halves of the last digit that is written", () => {
  // 2^-25 has 18 digits, of which the last is a 5.
  expect(forwarded(["2.98023223876953125e-8", "1e23", "4.9e-324", "1.7976931348623157e308", "1e15"])).toEqual(
    ["2.9802322387695312e-08", "1e+23", "4.94065645841247e-324", "1.7976931348623157e+308", "1e+15"],
  );
  compare(
    times(300, () => String((random.below(2 ** 20) * 2 + 1) * 2 ** -(random.below(60) + 1))).filter(
      (text) => Number(text) > 0,
    ),
  );
});
