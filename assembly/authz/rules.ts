/**
 * The rules of one action, enforced or dry-run, in the byte order of their ids, and the index over their guards. For a
 * request, only rules without a guard and rules with a guard that holds are evaluated.
 */
import { IntList, Records, intAt, newInts, newRecord, newRecords, recordAt, setInt } from "../memory/records";
import { Region } from "../memory/region";
import { Slice, compare } from "../memory/slice";
import { RULE_FIELDS } from "../config/schema";
import { Reader } from "../document/reader";
import { NONE, Node } from "../encoding/json";
import { traceRule } from "../trace";
import { Program, Target, holds } from "./condition";
import { Facts } from "./facts";
import { Attributes, Predicates, only } from "./predicates";
import { SparseSet } from "../memory/sparse-set";

/** A rule's position in its list. */
export type Rule = i32;
export const NO_RULE: Rule = -1;


@unmanaged
class Entry {
  id: Slice;
  /** Where the evaluation of its condition begins: a `Target`, and an `Address` after `seal`. */
  condition: usize;
  reserved: usize;
}


@unmanaged
export class Rules {
  /** How many rules there are. */
  count: i32;
  private entries: Records;
  /** Rules without a guard, ascending, and how many they are. */
  private unguarded: IntList;
  private unguardedCount: i32;
  /** The attributes that guards are about. */
  private guardAttributes: Attributes;
  /**
   * The rules that predicate p guards, ascending: numbers `start` to `end - 1` of `guarded`, with `start` = number p and
   * `end` = number p + 1 of `firsts`.
   */
  private firsts: IntList;
  private guarded: IntList;
  /** Rules that were evaluated for this request, because a rule may have several guards. */
  private seen: SparseSet;

  /**
   * Loads a list of rules; the reader has recorded any fault.
   *
   * @param tables holds what requests read
   */
  static load(reader: Reader, list: Node, predicates: Predicates, program: Program, tables: Region): Rules {
    const rules = newRecord<Rules>(tables);
    if (!reader.array(list)) return rules;
    const json = reader.json;
    rules.entries = newRecords<Entry>(tables, json.size(list));
    const guard = predicates.scratch;
    const unguarded: Array<Rule> = [];
    // Pairs of a predicate and a rule that it guards.
    const guards: Array<i32> = [];
    const guardedRules: Array<Rule> = [];
    for (let n = json.firstChild(list); n != NONE && !reader.failed; n = json.nextSibling(n)) {
      if (!reader.object(n, RULE_FIELDS)) break;
      const rule = rules.count;
      rules.loadId(reader, reader.require(n, "id"));
      const first = program.length;
      const condition = reader.require(n, "condition");
      if (reader.failed) break;
      const target = program.compile(reader, condition);
      rules.at(rule).condition = <usize>target;
      const guardNode = reader.get(n, "guard");
      if (guardNode == NONE) {
        unguarded.push(rule);
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
        reader.fail(guardNode, "must be predicates of which one holds whenever the condition does");
      }
    }
    rules.unguardedCount = unguarded.length;
    rules.unguarded = newInts(tables, unguarded.length);
    for (let i = 0; i < unguarded.length; i++) setInt(rules.unguarded, i, unguarded[i]);
    rules.index(guards, guardedRules, predicates.count, tables);
    rules.seen = SparseSet.create(tables, rules.count);
    return rules;
  }

  private loadId(reader: Reader, node: Node): void {
    const id = reader.nonEmptyString(node);
    if (reader.failed) return;
    if (this.count > 0 && compare(this.id(this.count - 1), id) >= 0) {
      reader.fail(node, "must be after the rule before it in byte order");
    }
    this.at(this.count++).id = id;
  }

  /** Sorts the pairs by predicate with a counting sort; the rules of each predicate stay in order. */
  private index(guards: Array<i32>, rules: Array<Rule>, predicates: i32, tables: Region): void {
    const firsts = newInts(tables, predicates + 1);
    for (let i = 0; i < guards.length; i++) setInt(firsts, guards[i], intAt(firsts, guards[i]) + 1);
    let end = 0;
    for (let predicate = 0; predicate <= predicates; predicate++) {
      end += intAt(firsts, predicate);
      setInt(firsts, predicate, end);
    }
    this.guarded = newInts(tables, guards.length);
    for (let i = guards.length - 1; i >= 0; i--) {
      const place = intAt(firsts, guards[i]) - 1;
      setInt(firsts, guards[i], place);
      setInt(this.guarded, place, rules[i]);
    }
    this.firsts = firsts;
  }

  /** Ends the loading, after `program` is sealed. Rules can be matched afterwards. */
  seal(program: Program): void {
    for (let rule = 0; rule < this.count; rule++) {
      const entry = this.at(rule);
      entry.condition = program.addressOf(<Target>entry.condition);
    }
  }

  /** The first rule whose condition holds, or NO_RULE. */
  firstMatch(facts: Facts): Rule {
    let best = this.count;
    for (let i = 0; i < this.unguardedCount; i++) {
      const rule = intAt(this.unguarded, i);
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
      const end = intAt(this.firsts, predicate + 1);
      for (let k = intAt(this.firsts, predicate); k < end; k++) {
        const rule = intAt(this.guarded, k);
        if (rule >= best) break;
        if (this.seen.add(rule) && this.matches(rule, facts)) {
          best = rule;
          break;
        }
      }
    }
    return best == this.count ? NO_RULE : best;
  }

  private matches(rule: Rule, facts: Facts): bool {
    return holds(this.at(rule).condition, facts);
  }

  /**
   * Reports for every rule whether it matches. @param wereAsked whether the filter evaluated them, up to the first
   * match
   */
  trace(facts: Facts, wereAsked: bool): void {
    let isAsked = wereAsked;
    for (let rule = 0; rule < this.count; rule++) {
      const matches = this.matches(rule, facts);
      traceRule(this.id(rule), matches, isAsked);
      if (matches) isAsked = false;
    }
  }

  /** The id of a rule that `firstMatch` returned. */
  id(rule: Rule): Slice {
    return this.at(rule).id;
  }

  // @ts-ignore: decorator
  @inline
  private at(rule: Rule): Entry {
    return recordAt<Entry>(this.entries, rule);
  }
}
