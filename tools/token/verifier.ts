/** Whether a token is valid under policies, as decided by the module that runs in Envoy, and why. */
import { withContents } from "../config/contents.ts";
import type { Configuration, Provider } from "../config/schema.ts";
import { type Documents, type Modules, TracedGate } from "../explain/gate.ts";
import { type ProviderStep, providerSteps, type Surroundings } from "../explain/tokens.ts";
import type { Claims } from "../explain/trace.ts";
import { readable } from "../host/bytes.ts";
import type { HttpResponse } from "../host/context.ts";

/** The header that carries the token: a provider's locations do not matter here. */
const HEADER = "x-jwtgate-token";

export interface Verdict {
  valid: boolean;
  /** The filter's answer, if it is not valid. */
  answer?: { status: number; body: string };
  /** The provider that accepted it. */
  provider?: Provider;
  claims?: Claims;
  /** Each provider's result for the token, in the order in which they were asked. */
  steps: ProviderStep[];
}

export interface VerifyOptions {
  modules: Modules;
  configuration: Configuration;
  /** The positions of the fields that TokenPolicies set. */
  positions: Surroundings["positions"];
  /** Key sets and discovery documents, by their URLs. */
  documents: Documents;
  /** The answers of servers that returned no document, by URL. */
  answers?: ReadonlyMap<string, HttpResponse>;
  /** Milliseconds since 1970. */
  now: number;
}

/** @param token characters are bytes (latin-1) */
export async function verifyToken(token: string, options: VerifyOptions): Promise<Verdict> {
  const { modules, positions, documents, answers, now } = options;
  const configuration = anywhere(options.configuration);
  const gate = await TracedGate.open(modules, {
    configuration,
    listener: {},
    documents,
    ...(answers && { answers }),
    now,
  });
  const { outcome, trace } = await gate.send({ headers: [[HEADER, token]] });
  const { answer } = outcome;
  const { providers = [], verifiedBy = -1 } = trace?.authentication ?? {};
  const provider = configuration.providers?.[verifiedBy];
  const taken = providers.find(({ index }) => index === verifiedBy)?.tokens[0]?.content;
  return {
    valid: answer === undefined,
    ...(answer && { answer: { status: answer.status, body: readable(answer.body || answer.details) } }),
    ...(provider && { provider }),
    ...(taken && { claims: taken.claims }),
    steps: providerSteps(providers, {
      configuration,
      positions,
      now: Math.floor(now / 1000),
      fetchFailures: gate.fetchFailures,
    }),
  };
}

/** The same providers, but each takes the token from one location; without policies, and none is required. */
function anywhere({ version, providers = [], limits }: Configuration): Configuration {
  return withContents({
    version,
    ...(limits && { limits }),
    providers: providers.map(({ fromParams, fromCookies, presence, ...provider }) => ({
      ...provider,
      fromHeaders: [{ name: HEADER }],
    })),
  });
}

/** A provider that accepts no token: what it refuses before it tries its key, every provider refuses. */
const NOBODY = withContents({
  version: 1,
  providers: [{ name: "nobody", localJwks: { keys: [{ kty: "oct", k: "AA" }] } }],
  limits: { maxTokenBytes: 65_536 },
});

/**
 * Why the filter refuses a token with any policies and keys.
 *
 * @param token characters are bytes (latin-1)
 * @returns undefined if the token can be read, so that the filter would check issuer, times and keys
 */
export async function refusalUnseen(token: string, modules: Modules): Promise<string | undefined> {
  const positions = { constraints: {} };
  const verifying = { modules, configuration: NOBODY, positions, documents: new Map(), now: Date.now() };
  const { answer, steps } = await verifyToken(token, verifying);
  return steps[0]?.tokens[0]?.claims === undefined ? answer?.body : undefined;
}
