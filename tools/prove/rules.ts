/**
 * Rules that decide nothing: no request matches them, or other rules have decided about all that they match; and
 * protections that other rules make pointless.
 */
import type { Condition, Configuration, Predicate, Rule } from "../config/schema.ts";
import { readable } from "../host/bytes.ts";
import { DEFAULT_REQUEST } from "../host/http-connection-manager.ts";
import { VERIFIED } from "./authentication.ts";
import { FALSE, type Formula, TRUE } from "./formula.ts";
import { Model } from "./model.ts";
import { type Scenario, scenariosOf, type View } from "./scenarios.ts";
import { type Difference, Paused, Search } from "./search.ts";
import { Undecided } from "./undecided.ts";

/** A rule without effect, and why. */
export interface IdleRule {
  id: string;
  /** `never`: no request matches it. `denied`: DENY rules match all that it does. `redundant`: other rules do. */
  why: "never" | "denied" | "redundant";
  /** The rules that together match all of it, none of which can be left out; empty if no request matches it. */
  by: readonly string[];
}

/** Requests for which a rule asks for a token. */
export interface Protection {
  /** The id of the rule, which allows. */
  id: string;
  /** Matches the requests, with or without a token. */
  condition: Condition;
  /** What the condition is about. */
  predicates: readonly Predicate[];
}

/** A protection without effect: all its requests pass without a token. */
export interface Opening {
  /** The number of the protection. */
  protection: number;
  /** The id of a rule that lets them through. */
  by: string;
  /** One of the requests. */
  example: { method: string; path: string };
}

/** What is found about the rules of a configuration. */
export interface RuleFindings {
  /** In the order of the rules. */
  idle: IdleRule[];
  openings: Opening[];
  /** The ids of rules about which a question took too long. */
  undecided: string[];
}

/** How many restrictions of formulas one question may take; if it takes more, it is not decided. */
const MAX_STEPS = 50_000;
/** The same for all questions together. */
const MAX_ALL_STEPS = 1_000_000;

/**
 * Finds rules without effect, and protections that others make pointless. It is exact: each rule that it names is without
 * effect for every request, and every request of a protection that it names passes without a token. Of rules that do the
 * same, the last is named.
 *
 * @param configuration of the policies, as compiled
 * @param applies whether a rule applies to every workload that another applies to, by their ids
 * @param protections whose predicates the configuration has too
 * @returns no findings if the policies have something that is not modelled
 */
export function reviewRules(
  configuration: Configuration,
  applies: (other: string, id: string) => boolean,
  protections: readonly Protection[],
): RuleFindings {
  try {
    return new RuleReviewer(configuration, applies).review(protections);
  } catch (error) {
    if (error instanceof Undecided) return { idle: [], openings: [], undecided: [] };
    throw error;
  }
}

class RuleReviewer {
  private readonly scenarios: Scenario[];
  private readonly model: Model;
  private readonly conditions: Formula[];
  private steps = 0;
  /** Whether a question took too long since this was set to false. */
  private gaveUp = false;
  private readonly undecided = new Set<string>();
  /** When each rule matches, by view. */
  private readonly rules = new Map<View, Map<Rule, Formula>>();

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

  review(protections: readonly Protection[]): RuleFindings {
    const { deny, allow } = this.configuration.authorization ?? {};
    const denied = this.idle(deny?.rules ?? [], []);
    const idle = [...denied, ...this.idle(allow?.rules ?? [], deny?.rules ?? [])];
    const openings = protections.flatMap(
      (one, number) => this.ask(one.id, () => this.opening(one, number)) ?? [],
    );
    return { idle, openings, undecided: [...this.undecided] };
  }

  /** What a question finds about a rule. Notes the rule if it finds nothing because it took too long. */
  private ask<T>(id: string, question: () => T | undefined): T | undefined {
    this.gaveUp = false;
    const found = question();
    if (found === undefined && this.gaveUp) this.undecided.add(id);
    return found;
  }

  private opening(protection: Protection, number: number): Opening | undefined {
    const index = this.scenarios.findIndex(({ isPreflight, tokens }) => !isPreflight && tokens.length === 0);
    const view = this.scenarios[index]?.views[0];
    if (view === undefined) return undefined;
    const { formulas } = this.model.space;
    const { deny, allow } = this.configuration.authorization ?? {};
    const about = formulas.and([
      this.conditions[index] ?? TRUE,
      this.model.rule(0, protection.condition, protection.predicates, view),
    ]);
    const denied = formulas.or((deny?.rules ?? []).map((rule) => this.formula(rule, view)));
    const allowing = (allow?.rules ?? []).filter(
      ({ id }) => id !== protection.id && this.applies(id, protection.id),
    );
    const passes = formulas.and([
      formulas.not(denied),
      formulas.or(allowing.map((rule) => this.formula(rule, view))),
    ]);
    if (!this.isImplied(about, passes)) return undefined;
    const found = this.search(about, TRUE, FALSE);
    if (found === undefined || found === "undecided") return undefined;
    const examples = this.model.space.examples(found.assignment);
    const one = formulas.and([about, this.model.space.formulaOf(found.assignment)]);
    const by = allowing.find((rule) => this.isImplied(one, this.formula(rule, view)));
    const [path] = examples.get("path") ?? [];
    if (by === undefined || path === undefined) return undefined;
    const method = examples.get("method")?.[0] ?? DEFAULT_REQUEST.method;
    return { protection: number, by: by.id, example: { method, path: readable(path) } };
  }

  /** @param before rules that decide before these */
  private idle(rules: readonly Rule[], before: readonly Rule[]): IdleRule[] {
    const kept = new Set(rules);
    const found: IdleRule[] = [];
    for (const rule of [...rules].reverse()) {
      const others = [...kept].filter((other) => other !== rule);
      const idle = this.ask(rule.id, () => this.reason(rule, others, before));
      if (idle === undefined) continue;
      found.unshift(idle);
      kept.delete(rule);
    }
    return found;
  }

  private reason(rule: Rule, others: readonly Rule[], before: readonly Rule[]): IdleRule | undefined {
    const { id } = rule;
    const applying = (list: readonly Rule[]) => list.filter((other) => this.applies(other.id, id));
    if (this.isCovered(rule, [])) return isWritten(rule) ? { id, why: "never", by: [] } : undefined;
    const earlier = applying(before);
    if (earlier.length > 0 && this.isCovered(rule, earlier))
      return { id, why: "denied", by: this.needed(rule, earlier) };
    const same = applying(others);
    if (same.length > 0 && this.isCovered(rule, [...same, ...earlier]))
      return { id, why: "redundant", by: this.needed(rule, [...same, ...earlier]) };
    return undefined;
  }

  /** One of several rules if it covers a rule alone; else those that cover it together, without those that need not. */
  private needed(rule: Rule, others: readonly Rule[]): string[] {
    const alone = others.find((other) => this.isCovered(rule, [other]));
    if (alone) return [alone.id];
    let needed = [...others];
    for (const other of others) {
      const rest = needed.filter((one) => one !== other);
      if (this.isCovered(rule, rest)) needed = rest;
    }
    return needed.map(({ id }) => id);
  }

  /** Whether others match all that a rule does, in every scenario. False if it is too much to decide. */
  private isCovered(rule: Rule, others: readonly Rule[]): boolean {
    const { formulas } = this.model.space;
    return this.scenarios.every(({ views }, i) => {
      const view = views[0] as View;
      const matches = this.formula(rule, view);
      if (matches === FALSE) return true;
      const covered = formulas.or(others.map((other) => this.formula(other, view)));
      return this.isImplied(formulas.and([this.conditions[i] ?? TRUE, matches]), covered);
    });
  }

  /** Whether every request of a formula is one of another. False if it is too much to decide. */
  private isImplied(condition: Formula, by: Formula): boolean {
    return this.search(condition, TRUE, by) === undefined;
  }

  private search(condition: Formula, first: Formula, second: Formula): Difference | undefined | "undecided" {
    const { space } = this.model;
    const search = new Search(space.formulas, space, Math.min(MAX_STEPS, MAX_ALL_STEPS - this.steps));
    try {
      for (;;) {
        try {
          return search.difference(condition, first, second);
        } catch (error) {
          if (error instanceof Undecided) {
            this.gaveUp = true;
            return "undecided";
          }
          if (!(error instanceof Paused)) throw error;
        }
      }
    } finally {
      this.steps += search.steps;
    }
  }

  private formula(rule: Rule, view: View): Formula {
    const formulas = this.rules.get(view) ?? new Map<Rule, Formula>();
    this.rules.set(view, formulas);
    const known = formulas.get(rule);
    if (known !== undefined) return known;
    const predicates = this.configuration.authorization?.predicates ?? [];
    const formula = this.model.rule(0, rule.condition, predicates, view);
    formulas.set(rule, formula);
    return formula;
  }
}

/** Whether a rule was written: a policy without rules is compiled to one that never matches. */
function isWritten({ condition }: Rule): boolean {
  return !(typeof condition === "object" && "or" in condition && condition.or.length === 0);
}
