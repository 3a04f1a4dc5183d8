/** Rules compared with each other: which matches whatever another matches. */
import type { Clause, PolicyRule } from "../istio/authorization-policy.ts";
import { covers } from "./patterns.ts";

/** Whether `wide` matches every request that `narrow` does. Sound, not complete: false where it is not clear. */
export function ruleCovers(wide: PolicyRule, narrow: PolicyRule): boolean {
  return (
    anyOfCovers(wide.from, narrow.from) &&
    anyOfCovers(wide.to, narrow.to) &&
    allOfCovers(wide.when, narrow.when)
  );
}

/** Any of alternatives; none of them is always true. */
function anyOfCovers(wide: Clause[][], narrow: Clause[][]): boolean {
  if (wide.length === 0) return true;
  return narrow.length > 0 && narrow.every((one) => wide.some((other) => allOfCovers(other, one)));
}

/** Each condition of the wide one is implied by one of the narrow one. */
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

/** Every condition of a rule, wherever it stands. */
export function clausesOf({ from, to, when }: PolicyRule): Clause[] {
  return [...from.flat(), ...to.flat(), ...when];
}
