/**
 * Conditions, compiled: each predicate of a condition becomes one instruction that says where to go where it holds
 * and where not, so that `and`, `or` and `not` are gone and evaluation is a walk without a stack. Code is laid out
 * from the end: every jump leads to an instruction before it or to a verdict, so every walk ends.
 */
import { CONDITION_FIELDS } from "../config/schema";
import { Reader } from "../document/reader";
import { JsonKind, NONE, Node } from "../encoding/json";
import { Facts } from "./facts";
import { SparseSet } from "./sparse-set";

/** Where a walk goes on: an instruction, or what it ends with. */
export type Target = i32;
const MATCH: Target = -1;
const NO_MATCH: Target = -2;

/** How deep `and`, `or` and `not` may be nested. */
const MAX_DEPTH: i32 = 32;

/** Numbers of one instruction: the predicate, where to go where it holds, where to go where not. */
const SIZE: i32 = 3;

/** The code of all conditions of a configuration. */
export class Program {
  private readonly code: Array<i32> = [];
  /** Children on the way to be compiled from the last to the first. */
  private readonly pending: Array<Node> = [];
  /** Targets that `implies` found reachable, by instruction. */
  private readonly reached: Array<bool> = [];

  /** @param predicates how many there are */
  constructor(private readonly predicates: i32) {}

  /**
   * Compiles a condition.
   *
   * @returns where its evaluation begins; the reader has recorded what is wrong with it
   */
  compile(reader: Reader, condition: Node): Target {
    return this.emit(reader, condition, MATCH, NO_MATCH, 0);
  }

  /** Emits what goes to `onTrue` where the condition holds and to `onFalse` where not. */
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

    // The last part decides; each part before it goes there unless it decides alone.
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

  /** Whether the condition compiled to `start` holds. */
  holds(start: Target, facts: Facts): bool {
    let at = start;
    while (at >= 0) {
      at = facts.holds(unchecked(this.code[at]))
        ? unchecked(this.code[at + 1])
        : unchecked(this.code[at + 2]);
    }
    return at == MATCH;
  }

  /**
   * Whether the condition compiled to `start` holds only where one of the predicates in `guard` does: whether every
   * walk to a match passes an instruction of one of them by the way where it holds. Read off the code that runs.
   *
   * @param first where the code of this condition begins; nothing in it leads before that
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

  /** Marks a target as reachable. @returns false where it is a match */
  private reach(target: Target): bool {
    if (target >= 0) this.reached[target] = true;
    return target != MATCH;
  }

  /** Where the next condition's code will begin. */
  get length(): i32 {
    return this.code.length;
  }
}
