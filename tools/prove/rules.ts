/** Rules that decide nothing: no request matches them, or other rules have decided about all that they match. */
import type { Configuration, Rule } from "../config/schema.ts";
import { VERIFIED } from "./authentication.ts";
import { FALSE, type Formula, TRUE } from "./formula.ts";
import { Model } from "./model.ts";
import { type Scenario, scenariosOf, type View } from "./scenarios.ts";
import { Paused, Search } from "./search.ts";
import { Undecided } from "./undecided.ts";

/** A rule without effect, and why. */
export interface IdleRule {
  id: string;
  /** `never`: no request matches it. `denied`: DENY rules match all that it does. `redundant`: other rules of its action do. */
  why: "never" | "denied" | "redundant";
  /** The rule that matches all of it; absent if several do so together, or if no request matches it. */
  by?: string;
}

/** How many restrictions of formulas one question may take; if it takes more, the rule counts as one with effect. */
const MAX_STEPS = 50_000;
/** The same for all questions together. */
const MAX_ALL_STEPS = 1_000_000;

/**
 * Finds rules without effect. It is exact: each rule that it names is without effect for every request. Of rules that do the
 * same, the last is named.
 *
 * @param configuration of the policies, as compiled
 * @param applies whether a rule applies to every workload that another applies to, by their ids
 * @returns in the order of the rules; none if the policies have something that is not modelled
 */
export function idleRules(
  configuration: Configuration,
  applies: (other: string, id: string) => boolean,
): IdleRule[] {
  try {
    return new RuleReviewer(configuration, applies).review();
  } catch (error) {
    if (error instanceof Undecided) return [];
    throw error;
  }
}

class RuleReviewer {
  private readonly scenarios: Scenario[];
  private readonly model: Model;
  private readonly conditions: Formula[];
  private steps = 0;

  constructor(
    private readonly configuration: Configuration,
    private readonly applies: (other: string, id: string) => boolean,
  ) {
    if (configuration.peerPrincipal !== undefined) throw new Undecided("a waypoint's peers are not modelled");
    const { all } = scenariosOf([configuration]);
    this.scenarios = all.filter(({ views: [view] }) => view?.refusal === VERIFIED);
    this.model = new Model([configuration], this.scenarios, { normalization: "BASE" });
    this.conditions = this.scenarios.map((scenario) => this.model.condition(scenario));
  }

  review(): IdleRule[] {
    const { deny, allow } = this.configuration.authorization ?? {};
    const denied = this.idle(deny?.rules ?? [], []);
    return [...denied, ...this.idle(allow?.rules ?? [], deny?.rules ?? [])];
  }

  /** @param before rules that decide before these */
  private idle(rules: readonly Rule[], before: readonly Rule[]): IdleRule[] {
    const kept = new Set(rules);
    const found: IdleRule[] = [];
    for (const rule of [...rules].reverse()) {
      const idle = this.reason(
        rule,
        [...kept].filter((other) => other !== rule),
        before,
      );
      if (idle === undefined) continue;
      found.unshift(idle);
      kept.delete(rule);
    }
    return found;
  }

  private reason(rule: Rule, others: readonly Rule[], before: readonly Rule[]): IdleRule | undefined {
    const { id } = rule;
    const applying = (list: readonly Rule[]) => list.filter((other) => this.applies(other.id, id));
    if (this.isCovered(rule, [])) return isWritten(rule) ? { id, why: "never" } : undefined;
    const earlier = applying(before);
    if (earlier.length > 0 && this.isCovered(rule, earlier)) return this.named(rule, "denied", earlier);
    const same = applying(others);
    if (same.length > 0 && this.isCovered(rule, [...same, ...earlier]))
      return this.named(rule, "redundant", same);
    return undefined;
  }

  private named(rule: Rule, why: IdleRule["why"], others: readonly Rule[]): IdleRule {
    const by = others.find((other) => this.isCovered(rule, [other]))?.id;
    return { id: rule.id, why, ...(by !== undefined && { by }) };
  }

  /** Whether others match all that a rule does, in every scenario. False if it is too much to decide. */
  private isCovered(rule: Rule, others: readonly Rule[]): boolean {
    const { formulas } = this.model.space;
    return this.scenarios.every(({ views }, i) => {
      const view = views[0] as View;
      const matches = this.formula(rule, view);
      if (matches === FALSE) return true;
      const covered = formulas.or(others.map((other) => this.formula(other, view)));
      const search = new Search(formulas, this.model.space, Math.min(MAX_STEPS, MAX_ALL_STEPS - this.steps));
      const condition = formulas.and([this.conditions[i] ?? TRUE, matches]);
      for (;;) {
        try {
          const isCovered = search.difference(condition, TRUE, covered) === undefined;
          this.steps += search.steps;
          return isCovered;
        } catch (error) {
          if (error instanceof Undecided) {
            this.steps += search.steps;
            return false;
          }
          if (!(error instanceof Paused)) throw error;
        }
      }
    });
  }

  private formula({ condition }: Rule, view: View): Formula {
    return this.model.rule(0, condition, this.configuration.authorization?.predicates ?? [], view);
  }
}

/** Whether a rule was written: a policy without rules is compiled to one that never matches. */
function isWritten({ condition }: Rule): boolean {
  return !(typeof condition === "object" && "or" in condition && condition.or.length === 0);
}
