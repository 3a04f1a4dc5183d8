/**
 * Exact conversions between JSON text and double: decimal text to the nearest double, and a double to the texts that
 * Envoy writes (`std::to_string`, protobuf's JSON printer).
 *
 * If a few machine operations are not exact, both directions multiply by a power of five to 128 bits. That decides the
 * rounding of all numbers except halves, exact results and numbers of more than 19 digits. Those are computed as the
 * fraction N / D of two big integers: one multiplication by a power of five and one division with a quotient of 64
 * bits. The work is bounded by the 770 digits that can affect a rounding.
 *
 * The integers are module globals: a VM does one thing at a time, and nothing in them outlives a call.
 */
import { allocate } from "../memory/arena";
import { Slice, lengthOf, pointerOf, slice } from "../memory/slice";
import { BigInteger } from "./big-integer";
import {
  dropLowest,
  isMoreThanHalf,
  kept,
  MAX_POWER_OF_FIVE,
  multiply,
  productPower,
} from "./powers-of-five";

const PLUS: u8 = 0x2b;
const MINUS: u8 = 0x2d;
const POINT: u8 = 0x2e;
const ZERO: u8 = 0x30;

/** A significand with this many ASCII digits fits into 64 bits. */
const SIGNIFICAND_DIGITS: i32 = 19;
/**
 * A double, or the middle between two, has at most 768 significant digits. So of further digits it only matters whether
 * any is not zero.
 */
const DECIDING_DIGITS: i32 = 770;
/** A written exponent is cut off here; no text below 2 GiB has enough digits to compensate for it. */
const EXPONENT_LIMIT: i64 = 100_000_000_000;

/** 2^1024 - 2^970, halfway from the largest double to 2^1024: the least number that rounds to infinity. */
// prettier-ignore
const FINITE_LIMIT: string =
  "1797693134862315807937289714053034150799341327100378269361737789804449682927647509466490179775872070" +
  "9633028641669288791094655554785194040263065748867150582068190890200070838367627385484581771153176447" +
  "5730270069855571366959622842914819860834936475292719074168444365510704342711559699508093042880177904" +
  "174497792";

/** Digits are added to a big integer in groups that fit into 32 bits. */
const BILLION: u32 = 1_000_000_000;

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

// The parts of the decimal that `scan` read last: significand * 10^exponent. `significand` has the first 19 significant
// digits.
let isNegative: bool = false;
let significand: u64 = 0;
/** The decimal exponent of `significand`'s last digit. */
let exponent: i64 = 0;
/** How many significant digits the text has, trailing zeros included; 0 for zero. */
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
 * Whether a number is finite as a double: less than halfway from the largest double to 2^1024.
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
 * The double nearest to a number, ties to even (IEEE 754 section 4.3.1); infinite if `isFiniteDecimal` is false.
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
  // Both operands of the one operation are exact, so only its result is rounded (Clinger 1990).
  if (digits <= MAX_EXACT_INTEGER && power >= -MAX_EXACT_POWER && power <= MAX_EXACT_POWER) {
    return power < 0
      ? <f64>digits / unchecked(EXACT_POWERS[<i32>-power])
      : <f64>digits * unchecked(EXACT_POWERS[<i32>power]);
  }
  // The least double is 4.9e-324, and there are at most 20 digits.
  if (digits == 0 || power < -MAX_POWER_OF_FIVE - 2) return 0;
  if (power > 309) return f64.POSITIVE_INFINITY;
  const exponent = <i32>power;
  if (exponent >= -MAX_POWER_OF_FIVE) {
    const length = multiply(digits, exponent);
    const scale = productPower + exponent;
    const lowest = lowestBit(scale + length);
    if (lowest - scale < 128 && dropLowest(lowest - scale)) {
      return NativeMath.scalbn(<f64>(isMoreThanHalf ? kept + 1 : kept), lowest);
    }
  }
  numerator.set(digits);
  return fractionToDouble(exponent);
}

/** The exponent of the lowest of 53 bits of a double whose highest bit is just below 2^power, but at least -1074. */
function lowestBit(power: i32): i32 {
  return max(power - 53, -1074);
}

/** The double nearest to the digits that `scan` found; the 19th of them has the decimal exponent `power`. */
function longDecimalToDouble(power: i32): f64 {
  numerator.set(0);
  let p = firstDigit;
  const used = min(digitCount, DECIDING_DIGITS);
  let factor: u32 = 1;
  let part: u32 = 0;
  for (let i = 0; i < used; p++) {
    const c = load<u8>(p);
    if (c == POINT) continue;
    factor *= 10;
    part = part * 10 + (c - ZERO);
    if (++i < used && factor < BILLION) continue;
    numerator.multiplyAdd(factor, part);
    factor = 1;
    part = 0;
  }
  let last = power + SIGNIFICAND_DIGITS - used;
  for (let i = used; i < digitCount; p++) {
    const c = load<u8>(p);
    if (c == POINT) continue;
    if (c != ZERO) {
      // One more digit represents all that are left.
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
  if (power < 0) denominator.multiplyPowerOfFive(-power);
  else numerator.multiplyPowerOfFive(power);
  // N / D = (quotient + rest) * 2^shift with 0 <= rest < 1 and 63 or 64 bits in the quotient.
  const shift = numerator.bitLength() - denominator.bitLength() - 63;
  if (shift > 0) denominator.shiftLeft(shift);
  else numerator.shiftLeft(-shift);
  const quotient = numerator.divide(denominator);
  const scale = shift + power;
  const isExact = numerator.isZero();
  const lowest = lowestBit(scale + 64 - <i32>clz(quotient));
  const dropped = lowest - scale;
  if (dropped > 64) return 0;
  const low = dropped < 64 ? quotient & (((<u64>1) << dropped) - 1) : quotient;
  const half = (<u64>1) << (dropped - 1);
  let rounded = dropped < 64 ? quotient >>> dropped : 0;
  if (low > half || (low == half && (!isExact || (rounded & 1) != 0))) rounded++;
  // Exact: `rounded` is at most 2^53, and a double can have its lowest bit.
  return NativeMath.scalbn(<f64>rounded, lowest);
}

/** The parts of a finite double's absolute value: significandOf(value) * 2^powerOf(value). */
function significandOf(value: f64): u64 {
  const bits = reinterpret<u64>(value);
  const fraction = bits & 0x000f_ffff_ffff_ffff;
  return (bits & 0x7ff0_0000_0000_0000) == 0 ? fraction : fraction | (1 << 52);
}

function powerOf(value: f64): i32 {
  const biased = <i32>((reinterpret<u64>(value) >>> 52) & 0x7ff);
  return max(biased, 1) - 1075;
}

/** An unsigned integer in decimal, in the arena. */
export function formatUnsigned(value: u64): Slice {
  const text = allocate(20);
  return slice(text, <i32>(writeUnsigned(value, text) - text));
}

/** Writes `value` in decimal. @returns the address after it */
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
 * A double as C's `%f` writes it, and therefore C++'s `std::to_string(double)`: six decimals, the exact value rounded,
 * ties to even.
 *
 * @param value finite
 * @returns the text, in the arena
 */
export function formatFixed(value: f64): Slice {
  const text = allocate(FIXED_SIZE);
  let p = text;
  if (<i64>reinterpret<u64>(value) < 0) store<u8>(p++, MINUS);
  // The value in millionths.
  numerator.set(significandOf(value));
  numerator.multiplyAdd(1_000_000, 0);
  const power = powerOf(value);
  if (power < 0) numerator.shiftRightRounded(-power);
  else numerator.shiftLeft(power);
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

/** `%.15g` writes integers below this without an exponent. */
const PLAIN_LIMIT: f64 = 1e15;

/**
 * Writes a double as protobuf's JSON printer does (`io::SimpleDtoa`): with C's `%.15g`, or with `%.17g` if 15 digits do
 * not read back as the same double.
 *
 * @param value finite
 * @param p room for 24 bytes
 * @returns the address after the text
 */
export function writeShortest(value: f64, p: usize): usize {
  if (<i64>reinterpret<u64>(value) < 0) store<u8>(p++, MINUS);
  const magnitude = abs(value);
  if (magnitude < PLAIN_LIMIT && floor(magnitude) == magnitude) return writeUnsigned(<u64>magnitude, p);
  divideByPowerOfTen(magnitude);
  let precision = 15;
  let digits = roundToDigits(precision);
  if (decimalToDouble(digits, roundedPower) != magnitude) {
    precision = 17;
    digits = roundToDigits(precision);
  }
  return writeGeneral(digits, precision, roundedPower + precision - 1, p);
}

/** 10^17: the least integer of 18 digits. */
const EIGHTEEN_DIGITS: u64 = 100_000_000_000_000_000;

// The result of `divideByPowerOfTen`: (leadingDigits + rest) * 10^leadingPower.
/** Of 17 or 18 digits. */
let leadingDigits: u64 = 0;
let leadingPower: i32 = 0;
/** Negative, zero, positive: rest < 1/2, rest == 1/2, rest > 1/2. */
let restOrder: i32 = 0;
let hasRest: bool = false;

/** @param value positive and finite */
function divideByPowerOfTen(value: f64): void {
  const significand = significandOf(value);
  const power = powerOf(value);
  // 2^binary <= value < 2^(binary + 1), so floor(log10(value)) is floor(log10(2^binary)) or one more.
  const binary = power + 63 - <i32>clz(significand);
  leadingPower = floorLog10PowerOfTwo(binary) - 16;
  multiply(significand, -leadingPower);
  if (dropLowest(leadingPower - power - productPower)) {
    leadingDigits = kept;
    hasRest = true;
    restOrder = isMoreThanHalf ? 1 : -1;
    return;
  }
  numerator.set(significand);
  denominator.set(1);
  if (leadingPower > 0) denominator.multiplyPowerOfFive(leadingPower);
  else numerator.multiplyPowerOfFive(-leadingPower);
  const shift = power - leadingPower;
  if (shift < 0) denominator.shiftLeft(-shift);
  else numerator.shiftLeft(shift);
  leadingDigits = numerator.divide(denominator);
  hasRest = !numerator.isZero();
  restOrder = numerator.compareDouble(denominator);
}

/**
 * floor(log10(2^exponent)), exact for exponents from -1100 to 1100, because 315653 / 2^20 is close enough to log10(2).
 */
function floorLog10PowerOfTwo(exponent: i32): i32 {
  return (exponent * 315653) >> 20;
}

/** The power of ten of the last result of `roundToDigits`. */
let roundedPower: i32 = 0;

/**
 * The nearest decimal with a given number of digits, ties to even, of the number that `divideByPowerOfTen` divided:
 * digits * 10^roundedPower.
 *
 * @param precision 1 to 17
 */
function roundToDigits(precision: i32): u64 {
  const dropped = (leadingDigits < EIGHTEEN_DIGITS ? 17 : 18) - precision;
  let unit: u64 = 1;
  for (let i = 0; i < dropped; i++) unit *= 10;
  let digits = leadingDigits / unit;
  let order = restOrder;
  if (dropped > 0) {
    const rest = leadingDigits % unit;
    const half = unit / 2;
    order = rest != half ? (rest < half ? -1 : 1) : hasRest ? 1 : 0;
  }
  if (order > 0 || (order == 0 && (digits & 1) != 0)) digits++;
  roundedPower = leadingPower + dropped;
  // 99…9 rounds up to a number with one digit more.
  if (digits * unit == (leadingDigits < EIGHTEEN_DIGITS ? EIGHTEEN_DIGITS : EIGHTEEN_DIGITS * 10)) {
    roundedPower++;
    digits /= 10;
  }
  return digits;
}

/**
 * Writes digits as C's `%.Pg` does: without trailing zeros, with an exponent if it is below -4 or at least P.
 *
 * @param digits P = `precision` decimal digits
 * @param first the decimal exponent of the first of them
 * @returns the address after the text
 */
function writeGeneral(digits: u64, precision: i32, first: i32, p: usize): usize {
  let count = precision;
  while (digits % 10 == 0) {
    digits /= 10;
    count--;
  }
  const isScientific = first < -4 || first >= precision;
  // The number of digits before the point; zeros fill both sides.
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
