/**
 * Numbers between JSON text and double, exactly: decimal text to the nearest double, and a double to the texts that
 * Envoy writes (`std::to_string`, protobuf's JSON printer).
 *
 * Where a few machine operations cannot be exact, both directions compute with the fraction N / D of two big
 * integers. That is slower than the tables of the fast algorithms and small enough to audit; its work is bounded by
 * the 800 digits that can decide a rounding.
 *
 * The integers are module globals: a VM does one thing at a time, and nothing in them outlives a call.
 */
import { allocate } from "../memory/arena";
import { Slice, lengthOf, pointerOf, slice } from "../memory/slice";
import { BigInteger } from "./big-integer";

const PLUS: u8 = 0x2b;
const MINUS: u8 = 0x2d;
const POINT: u8 = 0x2e;
const ZERO: u8 = 0x30;

/** Below this many ASCII digits a significand fits into 64 bits. */
const SIGNIFICAND_DIGITS: i32 = 19;
/**
 * A double, or the middle between two, has at most 768 significant digits: of more digits than that, only whether
 * any is not zero can change the nearest double.
 */
const DECIDING_DIGITS: i32 = 770;
/** A written exponent is cut off here; with no text of 2 GiB can its digits make up for it. */
const EXPONENT_LIMIT: i64 = 100_000_000_000;

/** 2^1024 - 2^970, halfway from the largest double to 2^1024: what begins to round to infinity. */
// prettier-ignore
const FINITE_LIMIT: string =
  "1797693134862315807937289714053034150799341327100378269361737789804449682927647509466490179775872070" +
  "9633028641669288791094655554785194040263065748867150582068190890200070838367627385484581771153176447" +
  "5730270069855571366959622842914819860834936475292719074168444365510704342711559699508093042880177904" +
  "174497792";

const MAX_EXACT_INTEGER: u64 = 1 << 53;
/** The powers of ten that are doubles exactly: up to 10^22. */
const MAX_EXACT_POWER: i32 = 22;
// prettier-ignore
const EXACT_POWERS: StaticArray<f64> = [
  1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
  1e21, 1e22,
];

const numerator = new BigInteger();
const denominator = new BigInteger();

// The parts of the decimal that `scan` read last: significand * 10^exponent, of which `significand` has the first 19
// significant digits.
let isNegative: bool = false;
let significand: u64 = 0;
/** Of `significand`'s last digit. */
let exponent: i64 = 0;
/** How many significant digits the text has, zeros at the end included; 0 for zero. */
let digitCount: i32 = 0;
/** The address of the first significant digit. */
let firstDigit: usize = 0;

/** Reads the parts of a JSON number. */
function scan(text: Slice): void {
  let p = pointerOf(text);
  const end = p + <usize>lengthOf(text);
  isNegative = load<u8>(p) == MINUS;
  if (isNegative) p++;
  significand = 0;
  digitCount = 0;
  firstDigit = 0;
  let fractionDigits: i64 = 0;
  let isFraction = false;
  for (; p < end; p++) {
    const c = load<u8>(p);
    if (c == POINT) {
      isFraction = true;
      continue;
    }
    const digit: u8 = c - ZERO;
    if (digit > 9) break;
    if (isFraction) fractionDigits++;
    if (digit == 0 && digitCount == 0) continue;
    if (digitCount == 0) firstDigit = p;
    if (digitCount < SIGNIFICAND_DIGITS) significand = significand * 10 + digit;
    digitCount++;
  }
  let written: i64 = 0;
  if (p < end) {
    p++; // e
    const sign = load<u8>(p);
    if (sign == MINUS || sign == PLUS) p++;
    for (; p < end; p++) {
      if (written < EXPONENT_LIMIT) written = written * 10 + (load<u8>(p) - ZERO);
    }
    if (sign == MINUS) written = -written;
  }
  exponent = written - fractionDigits + <i64>max(digitCount - SIGNIFICAND_DIGITS, 0);
}

/**
 * Whether a number is finite as a double, so less than halfway from the largest double to 2^1024.
 *
 * @param text a number by JSON's grammar
 */
export function isFiniteDecimal(text: Slice): bool {
  scan(text);
  if (digitCount == 0) return true;
  // The decimal exponent of the first digit.
  const magnitude = exponent + <i64>min(digitCount, SIGNIFICAND_DIGITS) - 1;
  if (magnitude != 308) return magnitude < 308;
  let p = firstDigit;
  for (let i = 0; i < digitCount && i < FINITE_LIMIT.length; p++) {
    const c = load<u8>(p);
    if (c == POINT) continue;
    const limit = <u8>FINITE_LIMIT.charCodeAt(i++);
    if (c != limit) return c < limit;
  }
  return digitCount < FINITE_LIMIT.length;
}

/**
 * The double nearest to a number, ties to even (IEEE 754 section 4.3.1); infinite where `isFiniteDecimal` is false.
 *
 * @param text a number by JSON's grammar
 */
export function parseDouble(text: Slice): f64 {
  scan(text);
  let magnitude: f64 = 0;
  if (digitCount > 0) {
    if (digitCount <= SIGNIFICAND_DIGITS) {
      magnitude = decimalToDouble(significand, exponent);
    } else {
      const first = exponent + SIGNIFICAND_DIGITS - 1;
      magnitude = first > 309 ? f64.POSITIVE_INFINITY : first < -400 ? 0 : longDecimalToDouble(<i32>exponent);
    }
  }
  return isNegative ? -magnitude : magnitude;
}

/** The double nearest to digits * 10^power. */
function decimalToDouble(digits: u64, power: i64): f64 {
  // Both operands of the one operation are exact, so its rounding is the only one (Clinger 1990).
  if (digits <= MAX_EXACT_INTEGER && power >= -MAX_EXACT_POWER && power <= MAX_EXACT_POWER) {
    return power < 0
      ? <f64>digits / unchecked(EXACT_POWERS[<i32>-power])
      : <f64>digits * unchecked(EXACT_POWERS[<i32>power]);
  }
  if (digits == 0 || power < -400) return 0;
  if (power > 309) return f64.POSITIVE_INFINITY;
  numerator.set(digits);
  return fractionToDouble(<i32>power);
}

/** The double nearest to the digits that `scan` found, of which the 19th has the decimal exponent `power`. */
function longDecimalToDouble(power: i32): f64 {
  numerator.set(0);
  let p = firstDigit;
  const used = min(digitCount, DECIDING_DIGITS);
  for (let i = 0; i < used; p++) {
    const c = load<u8>(p);
    if (c == POINT) continue;
    numerator.multiplyAdd(10, <u32>(c - ZERO));
    i++;
  }
  let last = power + SIGNIFICAND_DIGITS - used;
  for (let i = used; i < digitCount; p++) {
    const c = load<u8>(p);
    if (c == POINT) continue;
    if (c != ZERO) {
      // One more digit stands for all that are left.
      numerator.multiplyAdd(10, 1);
      last--;
      break;
    }
    i++;
  }
  return fractionToDouble(last);
}

/** The double nearest to `numerator` * 10^power. */
function fractionToDouble(power: i32): f64 {
  denominator.set(1);
  if (power < 0) denominator.multiplyPowerOfTen(-power);
  else numerator.multiplyPowerOfTen(power);
  // N / D = (quotient + rest) * 2^scale with 0 <= rest < 1 and 63 or 64 bits in the quotient.
  const scale = align() - 63;
  const quotient = divide(64);
  const isExact = numerator.isZero();
  // The lowest bit that is kept: a double has 53, and none below 2^-1074.
  const lowest = max(scale + 64 - <i32>clz(quotient) - 53, -1074);
  const dropped = lowest - scale;
  if (dropped > 64) return 0;
  const low = dropped < 64 ? quotient & (((<u64>1) << dropped) - 1) : quotient;
  const half = (<u64>1) << (dropped - 1);
  let kept = dropped < 64 ? quotient >>> dropped : 0;
  if (low > half || (low == half && (!isExact || (kept & 1) != 0))) kept++;
  // Exact: `kept` is at most 2^53, and its lowest bit is one that a double has.
  return NativeMath.scalbn(<f64>kept, lowest);
}

/** Makes `numerator` and `denominator` equally long, so that 1/2 < N / D < 2; returns the power of two taken out of N / D. */
function align(): i32 {
  const shift = numerator.bitLength() - denominator.bitLength();
  if (shift > 0) denominator.shiftLeft(shift);
  else numerator.shiftLeft(-shift);
  return shift;
}

/**
 * Long division in base two of aligned integers: floor(N / D * 2^(count - 1)).
 *
 * @param count 1 to 64: how many bits of quotient. The remainder of the last step is left in `numerator`
 */
function divide(count: i32): u64 {
  let quotient: u64 = 0;
  for (let i = 0; i < count; i++) {
    if (i > 0) numerator.shiftLeft(1);
    quotient <<= 1;
    if (numerator.compare(denominator) >= 0) {
      numerator.subtract(denominator);
      quotient |= 1;
    }
  }
  return quotient;
}

/** Sets N / D to the absolute value of a finite double that is not zero. */
function setFraction(value: f64): void {
  const bits = reinterpret<u64>(value);
  const biased = <i32>((bits >>> 52) & 0x7ff);
  const fraction = bits & 0x000f_ffff_ffff_ffff;
  const power = max(biased, 1) - 1075;
  numerator.set(biased == 0 ? fraction : fraction | (1 << 52));
  denominator.set(1);
  if (power > 0) numerator.shiftLeft(power);
  else denominator.shiftLeft(-power);
}

/** An unsigned integer in decimal, in the arena. */
export function formatUnsigned(value: u64): Slice {
  const text = allocate(20);
  return slice(text, <i32>(writeUnsigned(value, text) - text));
}

/** Writes `value` in decimal; returns the address behind it. */
function writeUnsigned(value: u64, p: usize): usize {
  let length: usize = 1;
  for (let rest = value / 10; rest != 0; rest /= 10) length++;
  const end = p + length;
  let rest = value;
  for (let digit = end; digit > p;) {
    store<u8>(--digit, ZERO + <u8>(rest % 10));
    rest /= 10;
  }
  return end;
}

/** A sign, 309 digits, a point and 6 digits, rounded up. */
const FIXED_SIZE: usize = 320;

/**
 * A double as C's `%f` writes it, and so `std::to_string(double)` of C++: six decimals, the exact value rounded, ties
 * to even.
 *
 * @param value finite
 * @returns the text, in the arena
 */
export function formatFixed(value: f64): Slice {
  const text = allocate(FIXED_SIZE);
  let p = text;
  if (<i64>reinterpret<u64>(value) < 0) store<u8>(p++, MINUS);
  // The value in millionths.
  setFraction(value);
  numerator.multiplyPowerOfTen(6);
  numerator.shiftRightRounded(denominator.bitLength() - 1);
  const end = text + FIXED_SIZE;
  let digits = numerator.writeDecimal(end);
  while (end - digits < 7) store<u8>(--digits, ZERO);
  const whole = end - 6 - digits;
  memory.copy(p, digits, whole);
  p += whole;
  store<u8>(p++, POINT);
  memory.copy(p, end - 6, 6);
  return slice(text, <i32>(p + 6 - text));
}

/** Below this `%.15g` writes integers plainly. */
const PLAIN_LIMIT: f64 = 1e15;

/**
 * Writes a double as protobuf's JSON printer does (`io::SimpleDtoa`): with C's `%.15g`, or with `%.17g` where 15 digits
 * do not read back as the same double.
 *
 * @param value finite
 * @param p room for 24 bytes
 * @returns the address behind the text
 */
export function writeShortest(value: f64, p: usize): usize {
  if (<i64>reinterpret<u64>(value) < 0) store<u8>(p++, MINUS);
  const magnitude = abs(value);
  if (magnitude < PLAIN_LIMIT && floor(magnitude) == magnitude) return writeUnsigned(<u64>magnitude, p);
  let precision = 15;
  let digits = roundToDigits(magnitude, precision);
  if (decimalToDouble(digits, roundedPower) != magnitude) {
    precision = 17;
    digits = roundToDigits(magnitude, precision);
  }
  return writeGeneral(digits, precision, roundedPower + precision - 1, p);
}

/** The power of ten that belongs to the result of the last `roundToDigits`. */
let roundedPower: i32 = 0;

/**
 * The nearest decimal of a given number of digits, ties to even: value = digits * 10^roundedPower.
 *
 * @param value positive
 * @param precision 1 to 17
 */
function roundToDigits(value: f64, precision: i32): u64 {
  let limit: u64 = 1;
  for (let i = 0; i < precision; i++) limit *= 10;
  // The exponent of the first digit is floor(log10(value)). It is this, or one more than this: value > 2^(binary - 1),
  // and 0.30102 is just below log10(2).
  setFraction(value);
  const binary = <f64>(numerator.bitLength() - denominator.bitLength());
  let power = <i32>floor<f64>((binary - 1) * 0.30102) - precision + 1;
  let quotient = divideByPower(value, power);
  while (quotient >= limit) quotient = divideByPower(value, ++power);
  numerator.shiftLeft(1);
  const order = numerator.compare(denominator);
  if (order > 0 || (order == 0 && (quotient & 1) != 0)) quotient++;
  // 99…9 rounds up to a number of one digit more.
  const carried = quotient == limit;
  roundedPower = carried ? power + 1 : power;
  return carried ? quotient / 10 : quotient;
}

/** floor(value / 10^power), or 2^64-1 where that is more than 63 bits; leaves the remainder N and the divisor D. */
function divideByPower(value: f64, power: i32): u64 {
  setFraction(value);
  if (power > 0) denominator.multiplyPowerOfTen(power);
  else numerator.multiplyPowerOfTen(-power);
  const shift = align();
  return shift < 63 ? divide(shift + 1) : u64.MAX_VALUE;
}

/**
 * Writes digits as C's `%.Pg` does: without zeros at the end, with an exponent where that is below -4 or not below P.
 *
 * @param digits P = `precision` decimal digits
 * @param first the decimal exponent of the first of them
 * @returns the address behind the text
 */
function writeGeneral(digits: u64, precision: i32, first: i32, p: usize): usize {
  let count = precision;
  while (digits % 10 == 0) {
    digits /= 10;
    count--;
  }
  const isScientific = first < -4 || first >= precision;
  // How many digits stand before the point; zeros fill up on either side.
  const whole = isScientific ? 1 : first + 1;
  if (whole <= 0) {
    store<u8>(p++, ZERO);
    store<u8>(p++, POINT);
    for (let i = whole; i < 0; i++) store<u8>(p++, ZERO);
    p = writeUnsigned(digits, p);
  } else if (whole >= count) {
    p = writeUnsigned(digits, p);
    for (let i = count; i < whole; i++) store<u8>(p++, ZERO);
  } else {
    const point = p + <usize>whole;
    p = writeUnsigned(digits, p) + 1;
    memory.copy(point + 1, point, <usize>(count - whole));
    store<u8>(point, POINT);
  }
  if (isScientific) {
    store<u8>(p++, 0x65 /* e */);
    store<u8>(p++, first < 0 ? MINUS : PLUS);
    if (abs(first) < 10) store<u8>(p++, ZERO);
    p = writeUnsigned(<u64>abs(first), p);
  }
  return p;
}
