/**
 * Guards: predicates of a rule of which at least one is true whenever the rule's condition holds, so that the filter
 * can find the rule through an index instead of trying it for every request.
 */
import type { Condition } from "../config/schema.ts";
import { costOf } from "./attributes.ts";
import type { PredicateTable } from "./expression.ts";

interface Guard {
  predicates: Set<number>;
  /** How many requests in a thousand are expected to pass it. */
  cost: number;
}

/**
 * The most selective guard of a condition.
 *
 * @returns indexes in ascending order; none if the condition can hold without any predicate that can be indexed
 */
export function guardOf(condition: Condition, table: PredicateTable): number[] | undefined {
  const guard = find(condition, table);
  return guard && guard.predicates.size > 0 ? [...guard.predicates].sort((a, b) => a - b) : undefined;
}

function find(condition: Condition, table: PredicateTable): Guard | undefined {
  if (typeof condition === "number") {
    const cost = costOf(table.at(condition));
    return cost === undefined ? undefined : { predicates: new Set([condition]), cost };
  }
  if ("and" in condition) {
    // The guard of any one conjunct is a guard of all.
    const guards = condition.and.flatMap((part) => find(part, table) ?? []);
    return guards.reduce<Guard | undefined>(
      (best, guard) => (best && best.cost <= guard.cost ? best : guard),
      undefined,
    );
  }
  if ("or" in condition) {
    const guards = condition.or.map((part) => find(part, table));
    if (!guards.every((guard) => guard !== undefined)) return undefined;
    return {
      predicates: new Set(guards.flatMap((guard) => [...guard.predicates])),
      cost: guards.reduce((sum, guard) => sum + guard.cost, 0),
    };
  }
  return undefined;
}
