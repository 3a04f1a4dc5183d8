/**
 * Conditions as trees of what Istio's AuthorizationPolicy can express, and the disjunctive normal form of such a tree.
 */
import type { Position } from "../diagnostics.ts";
import type { Report } from "../istio/report.ts";

/** One attribute has any of the values. */
export interface Atom {
  /** A field of `source` or `operation`, such as `paths`, or a key of `when`, such as `request.headers[x]`. */
  attribute: string;
  /** In Istio's patterns: exact, `x*`, `*x`, `*`. */
  values: readonly string[];
  /** The position of the condition in the source. */
  at: Position;
  /** Absent if it holds for exactly the requests for which the source's condition holds. */
  misfit?: Misfit;
}

/** How an atom differs from the source's condition. */
export interface Misfit {
  /** `other`: Istio has no equivalent, and the atom has no meaning. */
  matches: "more" | "fewer" | "other";
  /** A sentence without a full stop; the consequence follows it. */
  reason: string;
  /** If `fewer` is not enough: the values of the same attribute that match exactly, of which there are many. */
  exactly?: readonly string[];
}

export type Expression = Atom | { all: Expression[] } | { any: Expression[] } | { not: Expression };

/** True of every request. */
export const ALWAYS: Expression = { all: [] };
/** True of none. */
export const NEVER: Expression = { any: [] };

export function all(...expressions: Expression[]): Expression {
  return expressions.length === 1 && expressions[0] ? expressions[0] : { all: expressions };
}

export function any(...expressions: Expression[]): Expression {
  return expressions.length === 1 && expressions[0] ? expressions[0] : { any: expressions };
}

export function not(expression: Expression): Expression {
  return { not: expression };
}

/** A condition without an equivalent in Istio. @param reason a sentence without a full stop */
export function without(at: Position, reason: string): Expression {
  return { attribute: "", values: [], at, misfit: { matches: "other", reason } };
}

/** Replaces each atom by another expression. */
export function mapAtoms(expression: Expression, map: (atom: Atom) => Expression): Expression {
  if ("all" in expression) return { all: expression.all.map((one) => mapAtoms(one, map)) };
  if ("any" in expression) return { any: expression.any.map((one) => mapAtoms(one, map)) };
  if ("not" in expression) return { not: mapAtoms(expression.not, map) };
  return map(expression);
}

/** What the values of one attribute must be: one of each list of `values`, and none of `notValues`. */
export interface Constraint {
  values: readonly (readonly string[])[];
  notValues: readonly string[];
}

/** Constraints, by attribute, that all hold. */
export type Term = ReadonlyMap<string, Constraint>;

/** Reports conditions that cannot be converted exactly. */
export interface Losses {
  report: Report;
  /** The action of the rules, which determines what may match more requests than the source, and what fewer. */
  action: "ALLOW" | "DENY" | "AUDIT";
  /** Whether a condition without an equivalent is replaced by one that refuses more. */
  keepGoing: boolean;
}

/** A policy with more terms than these would be unreadable. */
export const MAX_TERMS = 1000;

/** The expression has more than `MAX_TERMS` terms. */
export class TooManyTerms extends Error {}

/**
 * The terms, one of which holds whenever the expression holds.
 *
 * @param losses reports misfits
 * @throws {TooManyTerms} if there are more than `MAX_TERMS`
 */
export function termsOf(expression: Expression, losses: Losses): Term[] {
  return simplify(new Normalizer(losses).terms(expression, false));
}

/** All pairs of terms, each as one. @throws {TooManyTerms} if there are more than `MAX_TERMS` */
export function product(left: readonly Term[], right: readonly Term[]): Term[] {
  if (left.length * right.length > MAX_TERMS) throw new TooManyTerms();
  return simplify(left.flatMap((one) => right.map((other) => both(one, other))));
}

class Normalizer {
  private readonly said = new Set<string>();

  constructor(private readonly losses: Losses) {}

  terms(expression: Expression, negated: boolean): Term[] {
    if ("not" in expression) return this.terms(expression.not, !negated);
    if ("all" in expression)
      return negated ? this.sum(expression.all, true) : this.product(expression.all, false);
    if ("any" in expression)
      return negated ? this.product(expression.any, true) : this.sum(expression.any, false);
    return this.literal(expression, negated);
  }

  private sum(expressions: readonly Expression[], negated: boolean): Term[] {
    const terms: Term[] = [];
    for (const one of negated ? expressions : merged(expressions)) {
      terms.push(...this.terms(one, negated));
      if (terms.length > MAX_TERMS) throw new TooManyTerms();
    }
    return simplify(terms);
  }

  private product(expressions: readonly Expression[], negated: boolean): Term[] {
    return expressions.reduce<Term[]>(
      (terms, one) => product(terms, this.terms(one, negated)),
      [new Map<string, Constraint>()],
    );
  }

  /** A condition or its negation; its replacement if it has no exact equivalent. */
  private literal(atom: Atom, negated: boolean): Term[] {
    const { attribute, values, misfit } = atom;
    const term = (list: readonly string[]): Term[] => [
      new Map([[attribute, negated ? { values: [], notValues: list } : { values: [list], notValues: [] }]]),
    ];
    if (misfit === undefined) return term(values);
    const { action, keepGoing, report } = this.losses;
    const isWider = misfit.matches === (negated ? "fewer" : "more");
    const isAllowed = misfit.matches !== "other" && (action === "AUDIT" || (action === "DENY") === isWider);
    if (isAllowed) {
      this.once(atom, `${misfit.reason}${STRICTER[action]}`, (at, message) => report.warning(at, message));
      return term(values);
    }
    if (misfit.exactly !== undefined) return term(misfit.exactly);
    const consequence = misfit.matches === "other" || action === "AUDIT" ? "" : OPENER[action];
    if (!keepGoing) {
      this.once(atom, `${misfit.reason}${consequence}`, (at, message) => report.error(at, message));
      return [];
    }
    this.once(atom, `${misfit.reason}${REPLACED[action]}`, (at, message) => report.warning(at, message));
    return action === "DENY" ? [new Map()] : [];
  }

  private once(atom: Atom, message: string, report: (at: Position, message: string) => void): void {
    const key = `${atom.at.line}:${atom.at.column}: ${message}`;
    if (!this.said.has(key)) report(atom.at, message);
    this.said.add(key);
  }
}

const STRICTER = {
  ALLOW: ": fewer requests are allowed than Envoy allows",
  DENY: ": more requests are denied than Envoy denies",
  AUDIT: ": other requests are reported than Envoy reports; no answer changes",
} as const;

const OPENER = {
  ALLOW: ": requests would be allowed that Envoy denies",
  DENY: ": requests would be allowed that Envoy denies",
} as const;

const REPLACED = {
  ALLOW: ": a rule with this condition allows nothing (--keep-going)",
  DENY: ": a rule with this condition denies whether it holds or not (--keep-going)",
  AUDIT: ": a rule with this condition is left out (--keep-going)",
} as const;

/** Joins alternatives of one attribute into one list. */
function merged(expressions: readonly Expression[]): Expression[] {
  const lists = new Map<string, { atom: Atom; values: Set<string> }>();
  const others: Expression[] = [];
  const collect = (one: Expression): void => {
    if ("any" in one) {
      for (const inner of one.any) collect(inner);
    } else if ("attribute" in one && one.misfit === undefined) {
      const known = lists.get(one.attribute) ?? { atom: one, values: new Set() };
      for (const value of one.values) known.values.add(value);
      lists.set(one.attribute, known);
    } else {
      others.push(one);
    }
  };
  for (const one of expressions) collect(one);
  return [...[...lists.values()].map(({ atom, values }) => ({ ...atom, values: [...values] })), ...others];
}

function both(left: Term, right: Term): Term {
  const result = new Map(left);
  for (const [attribute, constraint] of right) {
    const known = result.get(attribute);
    result.set(
      attribute,
      known === undefined
        ? constraint
        : {
            values: distinct([...known.values, ...constraint.values]),
            notValues: union(known.notValues, constraint.notValues),
          },
    );
  }
  return result;
}

/** Each term once; a term that is always true replaces all. */
function simplify(terms: readonly Term[]): Term[] {
  const always = terms.find((term) => term.size === 0);
  if (always !== undefined) return [always];
  return distinct(terms, (term) => [...term].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Removes duplicates and keeps the order. @param key what is compared */
export function distinct<T>(items: readonly T[], key: (item: T) => unknown = (item) => item): T[] {
  return [...new Map(items.map((item) => [JSON.stringify(key(item)), item])).values()];
}

function union(left: readonly string[], right: readonly string[]): string[] {
  return [...new Set([...left, ...right])];
}
