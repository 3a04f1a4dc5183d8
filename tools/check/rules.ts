/** Compares rules with each other: whether one matches every request that another matches. */
import type { Clause, PolicyRule } from "../istio/authorization-policy.ts";
import { covers } from "./patterns.ts";

/** Whether `wide` matches every request that `narrow` matches. Sound but not complete: false if unclear. */
export function ruleCovers(wide: PolicyRule, narrow: PolicyRule): boolean {
  return (
    anyOfCovers(wide.from, narrow.from) &&
    anyOfCovers(wide.to, narrow.to) &&
    allOfCovers(wide.when, narrow.when)
  );
}

/** Any of several alternatives; an empty list is always true. */
function anyOfCovers(wide: Clause[][], narrow: Clause[][]): boolean {
  if (wide.length === 0) return true;
  return narrow.length > 0 && narrow.every((one) => wide.some((other) => allOfCovers(other, one)));
}

/** Each condition of `wide` follows from one of `narrow`. */
function allOfCovers(wide: Clause[], narrow: Clause[]): boolean {
  return wide.every((condition) => narrow.some((other) => clauseCovers(condition, other)));
}

function clauseCovers(wide: Clause, narrow: Clause): boolean {
  // A key that istiod has no matcher for is left out, so its effect is unknown.
  if (wide.name !== narrow.name || !wide.attribute || !narrow.attribute) return false;
  const { attribute } = wide;
  const isWithin = (values: Clause["values"], others: Clause["values"]) =>
    values.every(({ value }) => covers(attribute, others, value));
  const positive =
    wide.values.length === 0 || (narrow.values.length > 0 && isWithin(narrow.values, wide.values));
  return positive && isWithin(wide.notValues, narrow.notValues);
}

/** All conditions of a rule, from every part of it. */
export function clausesOf({ from, to, when }: PolicyRule): Clause[] {
  return [...from.flat(), ...to.flat(), ...when];
}
