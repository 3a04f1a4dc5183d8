/** Conditions as trees, before their predicates are numbered. */
import type { Condition, Predicate } from "../config/schema.ts";

export type Expression = Predicate | { and: Expression[] } | { or: Expression[] } | { not: Expression };

/** Always true. */
export const ALWAYS: Expression = { and: [] };
/** Never true. */
export const NEVER: Expression = { or: [] };

/** All of them, without unnecessary nesting. */
export function and(expressions: Expression[]): Expression {
  const flat = expressions.flatMap((expression) => ("and" in expression ? expression.and : [expression]));
  return flat.length === 1 && flat[0] ? flat[0] : { and: flat };
}

/** Any of them, without unnecessary nesting. */
export function or(expressions: Expression[]): Expression {
  const flat = expressions.flatMap((expression) => ("or" in expression ? expression.or : [expression]));
  return flat.length === 1 && flat[0] ? flat[0] : { or: flat };
}

export function not(expression: Expression): Expression {
  return { not: expression };
}

/** Every predicate of a configuration, each once. */
export class PredicateTable {
  readonly predicates: Predicate[] = [];
  private readonly indexes = new Map<string, number>();

  /** @returns the expression with its predicates' indexes; equal alternatives are dropped */
  condition(expression: Expression): Condition {
    if ("and" in expression) {
      const and = this.conditions(expression.and);
      return and.length === 1 && and[0] !== undefined ? and[0] : { and };
    }
    if ("or" in expression) {
      const or = this.conditions(expression.or);
      return or.length === 1 && or[0] !== undefined ? or[0] : { or };
    }
    if ("not" in expression) return { not: this.condition(expression.not) };
    return this.index(expression);
  }

  /** The predicate of a leaf. */
  at(index: number): Predicate {
    const predicate = this.predicates[index];
    if (predicate === undefined) throw new RangeError(`no predicate ${index}`);
    return predicate;
  }

  private conditions(expressions: Expression[]): Condition[] {
    const seen = new Set<string>();
    return expressions
      .map((expression) => this.condition(expression))
      .filter((condition) => {
        const text = JSON.stringify(condition);
        return !seen.has(text) && seen.add(text);
      });
  }

  private index(predicate: Predicate): number {
    const text = JSON.stringify(predicate);
    const known = this.indexes.get(text);
    if (known !== undefined) return known;
    const index = this.predicates.push(predicate) - 1;
    this.indexes.set(text, index);
    return index;
  }
}
