/**
 * Products with powers of five to 128 bits. They decide nearly every rounding between decimal and binary without a big
 * integer, and report if they cannot.
 *
 * The table is computed when a number first needs it (a twentieth of a millisecond), not stored in the module.
 */
import { BigInteger } from "./big-integer";

/** 5^-342 to 5^342: all that a double needs. */
export const MAX_POWER_OF_FIVE: i32 = 342;

/** For each power, its 64 highest bits and the 64 below them. The highest bit is set, and lower bits are dropped. */
const TABLE: usize = memory.data((2 * MAX_POWER_OF_FIVE + 1) * 16, 8);
let isFilled: bool = false;

/** 2^RECIPROCAL_BITS / 5^342 still has more than 128 bits. */
const RECIPROCAL_BITS: i32 = 959;

const LOW_HALF: u64 = 0xffff_ffff;

/** Used only by `fill`. Made once, because a request may be the first to need the table. */
const power = new BigInteger();

function fill(): void {
  power.set(1);
  for (let k = 0; k <= MAX_POWER_OF_FIVE; k++) {
    power.storeLeading(entryOf(k));
    power.multiplyAdd(5, 0);
  }
  power.set(1);
  power.shiftLeft(RECIPROCAL_BITS);
  for (let k = 1; k <= MAX_POWER_OF_FIVE; k++) {
    // Dividing a rounded-down quotient is the same as dividing once: floor(floor(x / 5) / 5) = floor(x / 25).
    power.divideSmall(5);
    power.storeLeading(entryOf(-k));
  }
  isFilled = true;
}

// @ts-ignore: decorator
@inline
function entryOf(k: i32): usize {
  return TABLE + ((<usize>(k + MAX_POWER_OF_FIVE)) << 4);
}

/** floor(log2(5^k)), exact for k from -360 to 360, because 1217359 / 2^19 is close enough to log2(5). */
function floorLog2(k: i32): i32 {
  return (k * 1217359) >> 19;
}

// The result of `multiply`.
let high: u64 = 0;
let low: u64 = 0;

/** The power of two of the last product of `multiply`. */
export let productPower: i32 = 0;

/**
 * value * 5^k = (product + error) * 2^productPower with 0 <= error < 2. The product has 127 or 128 bits.
 *
 * @param value not zero
 * @param k -MAX_POWER_OF_FIVE to MAX_POWER_OF_FIVE
 * @returns the length of the product in bits
 */
export function multiply(value: u64, k: i32): i32 {
  if (!isFilled) fill();
  const shift = <i32>clz(value);
  const factor = value << (<u64>shift);
  const powerHigh = load<u64>(entryOf(k));
  const powerLow = load<u64>(entryOf(k), 8);
  low = factor * powerHigh;
  high = multiplyHigh(factor, powerHigh);
  const carry = multiplyHigh(factor, powerLow);
  low += carry;
  if (low < carry) high++;
  productPower = floorLog2(k) - 63 - shift;
  return 128 - <i32>clz(high);
}

/** floor(a * b / 2^64) */
function multiplyHigh(a: u64, b: u64): u64 {
  const aLow = a & LOW_HALF;
  const aHigh = a >>> 32;
  const bLow = b & LOW_HALF;
  const bHigh = b >>> 32;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 32);
  const other = aLow * bHigh + (middle & LOW_HALF);
  return aHigh * bHigh + (middle >>> 32) + (other >>> 32);
}

/** The last product without its `dropped` lowest bits. */
export let kept: u64 = 0;

/** Whether the dropped part is more than half. */
export let isMoreThanHalf: bool = false;

/**
 * Sets `kept` and `isMoreThanHalf`.
 *
 * @param dropped 65 to 127
 * @returns false if they are not certain, because the dropped part may be exactly nothing, half, or all
 */
export function dropLowest(dropped: i32): bool {
  const shift = <u64>(dropped - 64);
  const unit: u64 = 1 << shift;
  const half = unit >>> 1;
  const rest = high & (unit - 1);
  kept = high >>> shift;
  isMoreThanHalf = rest >= half;
  // The error is less than two: a part just below half or all may reach it or pass it; a part of zero or half may be
  // exact or more.
  if (low >= u64.MAX_VALUE - 1) return rest + 1 != half && rest + 1 != unit;
  return low != 0 || (rest != 0 && rest != half);
}
