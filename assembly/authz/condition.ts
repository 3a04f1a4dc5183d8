/**
 * Conditions, compiled. Each predicate of a condition becomes one instruction with two targets, one for true and one
 * for false. This replaces `and`, `or` and `not`, so evaluation needs no stack. Code is laid out from the end: every
 * jump leads to an instruction before it or to a verdict, so every walk ends.
 */
import { CONDITION_FIELDS } from "../config/schema";
import { Reader } from "../document/reader";
import { JsonKind, NONE, Node } from "../encoding/json";
import { intAt } from "../memory/records";
import { Facts } from "./facts";
import { Predicates } from "./predicates";
import { SparseSet } from "../memory/sparse-set";

/** While a program is compiled, where a walk continues: an instruction's number or a verdict. */
export type Target = i32;
const MATCH: Target = -1;
const NO_MATCH: Target = -2;

/** Where a walk continues: an instruction's address, or a verdict, which is not an address. */
export type Address = usize;
const MATCHES: Address = <usize>MATCH;
const FIRST_VERDICT: Address = <usize>NO_MATCH;

/** How deep `and`, `or` and `not` may be nested. */
const MAX_DEPTH: i32 = 32;

/**
 * The numbers of one instruction: the predicate, the target if it holds, the target if it does not. `seal` replaces the
 * targets by addresses and puts the predicate's attribute below the predicate.
 */
const SIZE: i32 = 3;
const ON_TRUE: i32 = 1;
const ON_FALSE: i32 = 2;
/** Enough for every attribute of `Attributes`; a configuration has no room for 2^26 predicates. */
const ATTRIBUTE_BITS: i32 = 5;
const ATTRIBUTE_MASK: i32 = (1 << ATTRIBUTE_BITS) - 1;

/** The code of all conditions of a configuration. */
export class Program {
  private readonly code: Array<i32> = [];
  /** Children that are still to be compiled, from the last to the first. */
  private readonly pending: Array<Node> = [];
  /** By instruction: whether `implies` found it reachable. */
  private readonly reached: Array<bool> = [];

  /** @param predicates how many predicates there are */
  constructor(private readonly predicates: i32) {}

  /**
   * Compiles a condition; the reader has recorded any fault.
   *
   * @returns where its evaluation begins
   */
  compile(reader: Reader, condition: Node): Target {
    return this.emit(reader, condition, MATCH, NO_MATCH, 0);
  }

  /** Emits code that continues at `onTrue` if the condition holds and at `onFalse` if it does not. */
  private emit(reader: Reader, node: Node, onTrue: Target, onFalse: Target, depth: i32): Target {
    const json = reader.json;
    if (reader.failed) return NO_MATCH;
    if (json.kind(node) == JsonKind.Number) {
      const predicate = <i32>reader.integer(node, 0, <i64>this.predicates - 1);
      if (reader.failed) return NO_MATCH;
      const at = this.code.length;
      this.code.push(predicate);
      this.code.push(onTrue);
      this.code.push(onFalse);
      return at;
    }
    if (depth == MAX_DEPTH) {
      reader.fail(node, `must not be nested deeper than ${MAX_DEPTH.toString()} levels`);
      return NO_MATCH;
    }
    if (!reader.object(node, CONDITION_FIELDS) || json.size(node) != 1) {
      reader.fail(node, 'must be the number of a predicate, {"and": […]}, {"or": […]} or {"not": …}');
      return NO_MATCH;
    }
    const not = reader.get(node, "not");
    if (not != NONE) return this.emit(reader, not, onFalse, onTrue, depth + 1);
    const and = reader.get(node, "and");
    const parts = and != NONE ? and : reader.get(node, "or");
    if (!reader.array(parts)) return NO_MATCH;

    // The last part decides. Each earlier part continues at the next one unless it decides alone.
    const start = this.pending.length;
    for (let part = json.firstChild(parts); part != NONE; part = json.nextSibling(part))
      this.pending.push(part);
    let next = and != NONE ? onTrue : onFalse;
    while (this.pending.length > start) {
      const part = this.pending.pop();
      next =
        and != NONE
          ? this.emit(reader, part, next, onFalse, depth + 1)
          : this.emit(reader, part, onTrue, next, depth + 1);
    }
    return next;
  }

  /** Ends the compiling. The program must outlive what `addressOf` returns. */
  seal(predicates: Predicates): void {
    const code = this.code;
    for (let i = 0; i < code.length; i += SIZE) {
      const predicate = code[i];
      code[i] = (predicate << ATTRIBUTE_BITS) | predicates.attributeOf(predicate);
      code[i + 1] = <i32>this.addressOf(code[i + 1]);
      code[i + 2] = <i32>this.addressOf(code[i + 2]);
    }
  }

  /** Where a walk that was compiled to `target` begins, after `seal`. */
  addressOf(target: Target): Address {
    return target < 0 ? <Address>target : this.code.dataStart + sizeof<i32>() * <usize>target;
  }

  /**
   * Whether the condition compiled to `start` can hold only if one of the predicates in `guard` holds: whether every
   * walk to a match passes an instruction of one of them along its true target. This is checked on the code that runs.
   *
   * @param first where the code of this condition begins; no jump leads before it
   */
  implies(first: i32, start: Target, guard: SparseSet): bool {
    if (start < 0) return start == NO_MATCH;
    while (this.reached.length < this.code.length) this.reached.push(false);
    this.reached[start] = true;
    let result = true;
    for (let at = start; at >= first; at -= SIZE) {
      if (!this.reached[at]) continue;
      this.reached[at] = false;
      if (!guard.has(this.code[at]) && !this.reach(this.code[at + 1])) result = false;
      if (!this.reach(this.code[at + 2])) result = false;
    }
    return result;
  }

  /** Marks a target as reachable. @returns false if it is a match */
  private reach(target: Target): bool {
    if (target >= 0) this.reached[target] = true;
    return target != MATCH;
  }

  /** Where the next condition's code begins. */
  get length(): i32 {
    return this.code.length;
  }
}

/** Whether the condition that begins at `start` holds. */
export function holds(start: Address, facts: Facts): bool {
  let at = start;
  while (at < FIRST_VERDICT) {
    const predicate = intAt(at, 0);
    at = facts.holds(predicate >> ATTRIBUTE_BITS, predicate & ATTRIBUTE_MASK)
      ? <Address>intAt(at, ON_TRUE)
      : <Address>intAt(at, ON_FALSE);
  }
  return at == MATCHES;
}
