/**
 * The rules of one action, enforced or dry-run, in the byte order of their ids, and the index over their guards. For a
 * request, only rules without a guard and rules with a guard that holds are evaluated.
 */
import { Slice, compare } from "../memory/slice";
import { RULE_FIELDS } from "../config/schema";
import { Reader } from "../document/reader";
import { NONE, Node } from "../encoding/json";
import { traceRule } from "../trace";
import { Program, Target } from "./condition";
import { Facts } from "./facts";
import { Attributes, Predicates, only } from "./predicates";
import { SparseSet } from "./sparse-set";

/** A rule's position in its list. */
export type Rule = i32;
export const NO_RULE: Rule = -1;

export class Rules {
  /** By rule. */
  private readonly ids: Array<Slice> = [];
  private readonly conditions: Array<Target> = [];
  /** Rules without a guard, ascending. */
  private readonly unguarded: Array<Rule> = [];
  /** The attributes that guards are about. */
  private guardAttributes: Attributes = 0;
  /**
   * The rules that predicate p guards, ascending: `guarded[start]` to `guarded[end - 1]`, with `start` = `firsts[p]`
   * and `end` = `firsts[p + 1]`.
   */
  private firsts: StaticArray<i32> = [];
  private guarded: StaticArray<Rule> = [];
  /** Rules that were evaluated for this request, because a rule may have several guards. */
  private seen: SparseSet = new SparseSet(0);

  private constructor(
    private readonly predicates: Predicates,
    private readonly program: Program,
  ) {}

  get count(): i32 {
    return this.ids.length;
  }

  /** Loads a list of rules; the reader has recorded any fault. */
  static load(reader: Reader, list: Node, predicates: Predicates, program: Program): Rules {
    const rules = new Rules(predicates, program);
    if (!reader.array(list)) return rules;
    const json = reader.json;
    const guard = new SparseSet(predicates.count);
    // Pairs of a predicate and a rule that it guards.
    const guards: Array<i32> = [];
    const guardedRules: Array<Rule> = [];
    for (let n = json.firstChild(list); n != NONE && !reader.failed; n = json.nextSibling(n)) {
      if (!reader.object(n, RULE_FIELDS)) break;
      const rule = rules.ids.length;
      rules.loadId(reader, reader.require(n, "id"));
      const first = program.length;
      const condition = reader.require(n, "condition");
      if (reader.failed) break;
      const target = program.compile(reader, condition);
      rules.conditions.push(target);
      const guardNode = reader.get(n, "guard");
      if (guardNode == NONE) {
        rules.unguarded.push(rule);
        continue;
      }
      guard.clear();
      if (!reader.array(guardNode)) break;
      for (let g = json.firstChild(guardNode); g != NONE; g = json.nextSibling(g)) {
        const predicate = <i32>reader.integer(g, 0, <i64>predicates.count - 1);
        if (reader.failed) break;
        if (!guard.add(predicate)) continue;
        rules.guardAttributes |= only(predicates.attributeOf(predicate));
        guards.push(predicate);
        guardedRules.push(rule);
      }
      if (!reader.failed && !program.implies(first, target, guard)) {
        reader.fail(guardNode, "must be predicates of which one holds wherever the condition does");
      }
    }
    rules.index(guards, guardedRules);
    rules.seen = new SparseSet(rules.ids.length);
    return rules;
  }

  private loadId(reader: Reader, node: Node): void {
    const id = reader.nonEmptyString(node);
    if (reader.failed) return;
    if (this.ids.length > 0 && compare(this.ids[this.ids.length - 1], id) >= 0) {
      reader.fail(node, "must be behind the rule before it in byte order");
    }
    this.ids.push(id);
  }

  /** Sorts the pairs by predicate with a counting sort; the rules of each predicate stay in order. */
  private index(guards: Array<i32>, rules: Array<Rule>): void {
    const firsts = new StaticArray<i32>(this.predicates.count + 1);
    for (let i = 0; i < guards.length; i++) firsts[guards[i]]++;
    let end = 0;
    for (let predicate = 0; predicate < firsts.length; predicate++) {
      end += firsts[predicate];
      firsts[predicate] = end;
    }
    this.guarded = new StaticArray<Rule>(guards.length);
    for (let i = guards.length - 1; i >= 0; i--) this.guarded[--firsts[guards[i]]] = rules[i];
    this.firsts = firsts;
  }

  /** The first rule whose condition holds, or NO_RULE. */
  firstMatch(facts: Facts): Rule {
    let best = this.ids.length;
    for (let i = 0; i < this.unguarded.length; i++) {
      const rule = unchecked(this.unguarded[i]);
      if (this.matches(rule, facts)) {
        best = rule;
        break;
      }
    }
    facts.learnAll(this.guardAttributes);
    this.seen.clear();
    // Predicates that are found to hold while conditions are evaluated belong to other attributes, so they guard no
    // rule.
    const count = facts.held.count;
    for (let i = 0; i < count; i++) {
      const predicate = facts.held.at(i);
      const end = unchecked(this.firsts[predicate + 1]);
      for (let k = unchecked(this.firsts[predicate]); k < end; k++) {
        const rule = unchecked(this.guarded[k]);
        if (rule >= best) break;
        if (this.seen.add(rule) && this.matches(rule, facts)) {
          best = rule;
          break;
        }
      }
    }
    return best == this.ids.length ? NO_RULE : best;
  }

  private matches(rule: Rule, facts: Facts): bool {
    return this.program.holds(unchecked(this.conditions[rule]), facts);
  }

  /**
   * Reports for every rule whether it matches. @param wereAsked whether the filter evaluated them, up to the first
   * match
   */
  trace(facts: Facts, wereAsked: bool): void {
    let isAsked = wereAsked;
    for (let rule = 0; rule < this.ids.length; rule++) {
      const matches = this.matches(rule, facts);
      traceRule(this.id(rule), matches, isAsked);
      if (matches) isAsked = false;
    }
  }

  /** The id of a rule that `firstMatch` returned. */
  id(rule: Rule): Slice {
    return unchecked(this.ids[rule]);
  }
}
