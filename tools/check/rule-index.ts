/** Finds the rules that can cover another one without comparing it with all of them. */
import type { Clause, PolicyRule } from "../istio/authorization-policy.ts";
import { keyOf, keysAround } from "./patterns.ts";
import { clausesOf } from "./rules.ts";

const SECTIONS = ["from", "to", "when"] as const;

/**
 * Rules, indexed by what they require. A rule covers another only if one of its conditions accepts the first value of a
 * condition of the other. So each rule is filed under the values of some of its conditions: those that are rarest among
 * all rules.
 */
export class RuleIndex {
  /** Indexes of rules, ascending, by group and key. */
  private readonly filed = new Map<string, number[]>();
  /** Lengths of the rules' prefixes and suffixes. */
  private readonly lengths = new Set<number>();

  /**
   * @param rules in the order of the search; rules are identified by their index in this list
   * @param groupOf the group of a rule; only rules of the requested groups are found
   */
  constructor(rules: readonly PolicyRule[], groupOf: (place: number) => string) {
    const counts = new Map<string, number>();
    for (const rule of rules) for (const length of lengthsOf(rule)) this.lengths.add(length);
    const choices = rules.map((rule) => choicesOf(rule, this.lengths));
    for (const key of choices.flat(4)) counts.set(key, (counts.get(key) ?? 0) + 1);
    const weightOf = (keys: readonly string[]) => keys.reduce((sum, key) => sum + (counts.get(key) ?? 0), 0);
    const rarest = (lists: readonly string[][]) =>
      lists.reduce<string[] | undefined>(
        (best, keys) => (best === undefined || weightOf(keys) < weightOf(best) ? keys : best),
        undefined,
      );
    for (const [place, sections] of choices.entries()) {
      const usable = sections.flatMap((entries) => {
        const chosen = entries.map(rarest);
        return entries.length > 0 && chosen.every((keys) => keys !== undefined) ? [chosen.flat()] : [];
      });
      for (const key of new Set(rarest(usable) ?? [ANY_RULE])) this.file(`${groupOf(place)}\n${key}`, place);
    }
  }

  private file(key: string, place: number): void {
    const places = this.filed.get(key);
    if (places) places.push(place);
    else this.filed.set(key, [place]);
  }

  /** The indexes of all rules of some groups that may cover this one, and possibly of others, in order. */
  *candidates(rule: PolicyRule, groups: readonly string[]): Generator<number> {
    const keys = new Set([ANY_RULE]);
    for (const section of SECTIONS) {
      const clauses = section === "when" ? rule.when : (rule[section][0] ?? []);
      for (const clause of clauses) {
        for (const key of this.keysFor(clause)) keys.add(`${section}\n${clause.name}\n${key}`);
      }
    }
    const lists = groups.flatMap((group) =>
      [...keys].flatMap((key) => {
        const places = this.filed.get(`${group}\n${key}`);
        return places ? [{ places, next: 0 }] : [];
      }),
    );
    for (;;) {
      let least = Number.POSITIVE_INFINITY;
      for (const { places, next } of lists) least = Math.min(least, places[next] ?? least);
      if (least === Number.POSITIVE_INFINITY) return;
      for (const list of lists) if (list.places[list.next] === least) list.next++;
      yield least;
    }
  }

  /** The keys under which conditions that cover this one may be filed. */
  private *keysFor({ attribute, values, notValues }: Clause): Generator<string> {
    if (!attribute) return;
    const [first] = values;
    if (first) yield* keysAround(attribute, first.value, this.lengths);
    for (const { value } of notValues) yield `!${keyOf(attribute, value)}`;
  }
}

/** The key of rules without any better key. */
const ANY_RULE = "any";
/** The lengths of a rule's prefixes and suffixes. */
function lengthsOf(rule: PolicyRule): number[] {
  return clausesOf(rule).flatMap(({ attribute, values, notValues }) => {
    if (!attribute) return [];
    const keys = [...values, ...notValues].map(({ value }) => keyOf(attribute, value));
    return keys.filter((key) => /^[<>]/.test(key)).map((key) => key.length - 1);
  });
}

/**
 * For each part of a rule, for each of its alternatives, for each condition: its keys.
 *
 * @param lengths that prefixes and suffixes can have
 */
function choicesOf({ from, to, when }: PolicyRule, lengths: ReadonlySet<number>): string[][][][] {
  const choices = (section: string, entries: Clause[][]) =>
    entries.map((clauses) =>
      clauses.flatMap(({ name, attribute, values, notValues }) => {
        if (!attribute) return [];
        const [excluded] = notValues;
        // A condition that only excludes is also filed under the keys that may exclude its first value.
        const keys =
          values.length > 0 || excluded === undefined
            ? values.map(({ value }) => keyOf(attribute, value))
            : [...keysAround(attribute, excluded.value, lengths)].map((key) => `!${key}`);
        return keys.length === 0 ? [] : [keys.map((key) => `${section}\n${name}\n${key}`)];
      }),
    );
  return [choices("from", from), choices("to", to), choices("when", when.length > 0 ? [when] : [])];
}
