/** The part of a provider that TokenPolicies set. It is not in the schema's file, whose types the library writes anew. */
import type { Provider } from "./schema.ts";

/** What a provider asks of its tokens besides issuer, audience and signature. */
export type TokenConstraints = Pick<
  Provider,
  "tokenTypes" | "requireTokenType" | "requiredClaims" | "maxLifetimeSeconds" | "clockSkewSeconds"
>;
