/** What TokenPolicies ask of the tokens of a rule, and which field of which policy asks it. */
import type { TokenConstraints } from "../config/constraints.ts";
import type { Position } from "../diagnostics.ts";

/** The fields of a provider that a TokenPolicy sets, by the names of its own fields. */
export const FIELDS = {
  tokenTypes: "tokenTypes",
  requireType: "requireTokenType",
  requiredClaims: "requiredClaims",
  maxLifetime: "maxLifetimeSeconds",
  clockSkew: "clockSkewSeconds",
} as const satisfies Record<string, keyof TokenConstraints>;

export type TokenPolicyField = keyof typeof FIELDS;

/** A field that a TokenPolicy sets for a rule. */
export interface SetField {
  at: Position;
  /** The policy that sets it. */
  policy: string;
}

/** What TokenPolicies ask of the tokens of a rule. */
export interface RuleConstraints {
  values: TokenConstraints;
  /** The position of each field that is set. */
  fields: Partial<Record<TokenPolicyField, SetField>>;
}
