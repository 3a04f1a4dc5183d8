/** Whether a token is good under policies, as the module decides it that runs in Envoy, and why. */
import { withContents } from "../config/contents.ts";
import type { Configuration, Provider } from "../config/schema.ts";
import { type Documents, type Modules, TracedGate } from "../explain/gate.ts";
import { type ProviderStep, providerSteps } from "../explain/tokens.ts";
import type { Claims } from "../explain/trace.ts";
import { readable } from "../host/bytes.ts";
import type { HttpResponse } from "../host/context.ts";

/** Where the token is put: what a provider says of places is not the question. */
const HEADER = "x-jwtgate-token";

export interface Verdict {
  valid: boolean;
  /** What the filter would answer, if it is not valid. */
  answer?: { status: number; body: string };
  /** The provider that took it. */
  provider?: Provider;
  claims?: Claims;
  /** What each provider said of the token, in the order in which they were asked. */
  steps: ProviderStep[];
}

export interface VerifyOptions {
  modules: Modules;
  configuration: Configuration;
  /** Key sets and discovery documents, by their URLs. */
  documents: Documents;
  /** What servers answered in place of documents, by URL. */
  answers?: ReadonlyMap<string, HttpResponse>;
  /** Milliseconds since 1970. */
  now: number;
}

/** @param token characters are bytes (latin-1) */
export async function verifyToken(token: string, options: VerifyOptions): Promise<Verdict> {
  const { modules, documents, answers, now } = options;
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
    steps: providerSteps(providers, configuration, Math.floor(now / 1000), gate.fetchFailures),
  };
}

/** The same providers, each of which takes the token from one place; without policies, and none is required. */
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

/** A provider that knows no token: what it refuses before it looks at its key, all do. */
const NOBODY = withContents({
  version: 1,
  providers: [{ name: "nobody", localJwks: { keys: [{ kty: "oct", k: "AA" }] } }],
  limits: { maxTokenBytes: 65_536 },
});

/**
 * Why the filter refuses a token whatever the policies and the keys are.
 *
 * @param token characters are bytes (latin-1)
 * @returns undefined if the token can be read, so that the filter would look at issuer, times and keys
 */
export async function refusalUnseen(token: string, modules: Modules): Promise<string | undefined> {
  const verifying = { modules, configuration: NOBODY, documents: new Map(), now: Date.now() };
  const { answer, steps } = await verifyToken(token, verifying);
  return steps[0]?.tokens[0]?.claims === undefined ? answer?.body : undefined;
}
