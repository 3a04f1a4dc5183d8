import { allocate, reset } from "../memory/arena";
import { slice } from "../memory/slice";
import { formatFixed, formatUnsigned, isFiniteDecimal, parseDouble, writeShortest } from "../encoding/number";
import { bytes, toText } from "./support";

/** 2^1024 - 2^970, halfway from the largest double to 2^1024: rounds to infinity. */
const LIMIT =
  "1797693134862315807937289714053034150799341327100378269361737789804449682927647509466490179775872070963302864" +
  "1669288791094655554785194040263065748867150582068190890200070838367627385484581771153176447573027006985557136" +
  "6959622842914819860834936475292719074168444365510704342711559699508093042880177904174497792";
/** One less. */
const BELOW_LIMIT = LIMIT.substring(0, 308) + "1";

function parse(text: string): f64 {
  return parseDouble(bytes(text));
}

function fixed(value: f64): string {
  reset();
  return toText(formatFixed(value));
}

function shortest(value: f64): string {
  reset();
  const text = allocate(24);
  return toText(slice(text, <i32>(writeShortest(value, text) - text)));
}

describe("decimal to double", () => {
  it("rounds to the nearest, ties to even", () => {
    expect(parse("9007199254740993")).toBe(9007199254740992);
    expect(parse("9007199254740993.0000000000000001")).toBe(9007199254740994);
    expect(parse("9007199254740992.9999999999999999")).toBe(9007199254740992);
    expect(parse("9007199254740995")).toBe(9007199254740996);
    expect(parse("0.1")).toBe(0.1);
    expect(parse("0.3")).toBe(0.3);
    expect(parse("0.30000000000000004")).toBe(0.30000000000000004);
    expect(parse("1e23")).toBe(1e23);
    expect(parse("8.5e22")).toBe(8.5e22);
    expect(parse("123456789012345678901234567890")).toBe(123456789012345678901234567890.0);
    expect(parse("7205759403792793199999e-5")).toBe(72057594037927928.0);
    expect(parse("7205759403792793200001e-5")).toBe(72057594037927936.0);
    expect(parse("7205759403792794")).toBe(7205759403792794.0);
  });

  it("reads every digit that can affect the rounding", () => {
    // 1 + 2^-53 is halfway between 1 and the next double.
    const half = "1.00000000000000011102230246251565404236316680908203125";
    expect(parse(half)).toBe(1);
    expect(parse(half + "0".repeat(800))).toBe(1);
    expect(parse(half + "0".repeat(800) + "1")).toBe(1.0000000000000002);
    expect(parse(half + "0".repeat(10000) + "1")).toBe(1.0000000000000002);
    expect(parse("1.00000000000000011102230246251565404236316680908203124" + "9".repeat(800))).toBe(1);
    expect(parse("0." + "0".repeat(1000) + "1e1001")).toBe(1);
  });

  it("denormal numbers and underflow", () => {
    expect(parse("2.2250738585072011e-308")).toBe(2.225073858507201e-308);
    expect(parse("2.2250738585072014e-308")).toBe(f64.MIN_NORMAL_VALUE);
    expect(parse("4.9406564584124654e-324")).toBe(5e-324);
    expect(parse("2.4703282292062328e-324")).toBe(5e-324);
    expect(parse("2.4703282292062327e-324")).toBe(0);
    expect(parse("7.4e-324")).toBe(5e-324);
    expect(parse("7.5e-324")).toBe(1e-323);
    expect(parse("1e-325")).toBe(0);
    expect(parse("123456789012345678901e-345")).toBe(0);
  });

  it("overflow begins halfway to 2^1024", () => {
    expect(isFiniteDecimal(bytes(BELOW_LIMIT))).toBe(true);
    expect(parse(BELOW_LIMIT)).toBe(f64.MAX_VALUE);
    expect(isFiniteDecimal(bytes(BELOW_LIMIT + ".99999"))).toBe(true);
    expect(isFiniteDecimal(bytes(BELOW_LIMIT + "9e-1"))).toBe(true);
    expect(isFiniteDecimal(bytes(`0.0${BELOW_LIMIT}1e310`))).toBe(true);
    expect(isFiniteDecimal(bytes(LIMIT))).toBe(false);
    expect(isFiniteDecimal(bytes("-" + LIMIT))).toBe(false);
    expect(isFiniteDecimal(bytes(LIMIT + ".0"))).toBe(false);
    expect(isFiniteDecimal(bytes(LIMIT + "0e-1"))).toBe(false);
    expect(parse(LIMIT)).toBe(Infinity);
    expect(isFiniteDecimal(bytes("0e999"))).toBe(true);
    expect(isFiniteDecimal(bytes("0.000e999"))).toBe(true);
    expect(isFiniteDecimal(bytes("1e-999"))).toBe(true);
    expect(isFiniteDecimal(bytes("17976931348623157e292"))).toBe(true);
    expect(isFiniteDecimal(bytes("17976931348623159e292"))).toBe(false);
  });
});

describe("double to text", () => {
  it("unsigned integers", () => {
    reset();
    expect(toText(formatUnsigned(0))).toBe("0");
    expect(toText(formatUnsigned(7))).toBe("7");
    expect(toText(formatUnsigned(10))).toBe("10");
    expect(toText(formatUnsigned(u64.MAX_VALUE))).toBe("18446744073709551615");
  });

  it("six decimals, as std::to_string", () => {
    expect(fixed(0)).toBe("0.000000");
    expect(fixed(-0.0)).toBe("-0.000000");
    expect(fixed(-3)).toBe("-3.000000");
    expect(fixed(1.5)).toBe("1.500000");
    expect(fixed(0.1)).toBe("0.100000");
    expect(fixed(123456789.123456789)).toBe("123456789.123457");
    expect(fixed(999999.9999999)).toBe("1000000.000000");
    expect(fixed(-1e-9)).toBe("-0.000000");
    expect(fixed(5e-324)).toBe("0.000000");
    expect(fixed(18446744073709551616.0)).toBe("18446744073709551616.000000");
    expect(fixed(-9007199254740993.0)).toBe("-9007199254740992.000000");
    expect(fixed(1e22)).toBe("10000000000000000000000.000000");
    expect(fixed(1e23)).toBe("99999999999999991611392.000000");
    expect(fixed(f64.MAX_VALUE).length).toBe(316);
  });

  it("six decimals, ties to even", () => {
    expect(fixed(0.00000762939453125)).toBe("0.000008");
    expect(fixed(0.0078125)).toBe("0.007812");
    expect(fixed(0.0234375)).toBe("0.023438");
    expect(fixed(1.0078125)).toBe("1.007812");
  });

  it("shortest of 15 and 17 digits, as protobuf's JSON", () => {
    expect(shortest(0)).toBe("0");
    expect(shortest(-0.0)).toBe("-0");
    expect(shortest(1)).toBe("1");
    expect(shortest(-1)).toBe("-1");
    expect(shortest(1.5)).toBe("1.5");
    expect(shortest(0.1)).toBe("0.1");
    expect(shortest(100)).toBe("100");
    expect(shortest(999999999999999)).toBe("999999999999999");
    expect(shortest(1e15)).toBe("1e+15");
    expect(shortest(1234567890123456)).toBe("1234567890123456");
    expect(shortest(9007199254740993)).toBe("9007199254740992");
    expect(shortest(123456789012345678)).toBe("1.2345678901234568e+17");
    expect(shortest(1e21)).toBe("1e+21");
    expect(shortest(1e100)).toBe("1e+100");
    expect(shortest(0.0001)).toBe("0.0001");
    expect(shortest(0.00001)).toBe("1e-05");
    expect(shortest(0.00012345)).toBe("0.00012345");
    expect(shortest(0.30000000000000004)).toBe("0.30000000000000004");
    expect(shortest(1.0 / 3.0)).toBe("0.33333333333333331");
    expect(shortest(5e-324)).toBe("4.94065645841247e-324");
    expect(shortest(f64.MAX_VALUE)).toBe("1.7976931348623157e+308");
    expect(shortest(-2.5e-7)).toBe("-2.5e-07");
    expect(shortest(99999999999999.95)).toBe("99999999999999.953");
    expect(shortest(0.99999999999999989)).toBe("0.99999999999999989");
  });

  it("shortest reads back as the same double", () => {
    let state: u64 = 88172645463325252;
    for (let i = 0; i < 2000; i++) {
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
      const value = reinterpret<f64>(state);
      if (!isFinite(value)) continue;
      const text = shortest(value);
      if (parse(text) != value) expect(text).toBe(value.toString());
    }
    expect(state).toBeTruthy();
  });
});
