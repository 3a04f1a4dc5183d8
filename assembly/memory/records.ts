/**
 * Records and lists of integers in a region, one after another, so that what is read together takes few lines of the
 * processor's caches. A record is an object of an `@unmanaged` class: the garbage collector does not know it, and it
 * lives as long as the region. Indexes are not checked: the caller keeps them in range.
 */
import { Region } from "./region";

/** The address of records of one class, one after another. */
export type Records = usize;
/** The address of 32-bit integers, one after another. */
export type IntList = usize;

/** @returns a record of class T, with zeros in every field */
// @ts-ignore: decorator
@inline
export function newRecord<T>(region: Region): T {
  return recordOf<T>(newRecords<T>(region, 1));
}

/** @returns `count` records of class T, with zeros in every field */
// @ts-ignore: decorator
@inline
export function newRecords<T>(region: Region, count: i32): Records {
  return region.allocate(count * <i32>offsetof<T>());
}

/** Record `index` of those at `records`. */
// @ts-ignore: decorator
@inline
export function recordAt<T>(records: Records, index: i32): T {
  return recordOf<T>(records + <usize>index * offsetof<T>());
}

/** The record at an address. */
// @ts-ignore: decorator
@inline
export function recordOf<T>(address: usize): T {
  return changetype<T>(address);
}

/** Makes a record equal to another one. */
// @ts-ignore: decorator
@inline
export function copyRecord<T>(target: T, source: T): void {
  memory.copy(changetype<usize>(target), changetype<usize>(source), offsetof<T>());
}

/** Copies the first `count` records of `source` to `target`. */
// @ts-ignore: decorator
@inline
export function copyRecords<T>(target: Records, source: Records, count: i32): void {
  memory.copy(target, source, <usize>count * offsetof<T>());
}

/** @returns `count` zeros */
export function newInts(region: Region, count: i32): IntList {
  return region.allocate(4 * count);
}

// @ts-ignore: decorator
@inline
export function intAt(list: IntList, index: i32): i32 {
  return load<i32>(list + 4 * <usize>index);
}

// @ts-ignore: decorator
@inline
export function setInt(list: IntList, index: i32, value: i32): void {
  store<i32>(list + 4 * <usize>index, value);
}

/** Sets the first `count` integers to -1. */
export function fillMinusOne(list: IntList, count: i32): void {
  memory.fill(list, 0xff, 4 * <usize>count);
}

/** Two integers, each -1, that live as long as the module. */
export const TWO_MINUS_ONE: IntList = memory.data<i32>([-1, -1]);
