/**
 * Whether a token is good under policies: the very module decides that runs in Envoy, and a plain evaluator says why.
 */
import { withContents } from "../config/contents.ts";
import type { Configuration, Provider } from "../config/schema.ts";
import { authenticate, type ProviderStep } from "../explain/authenticate.ts";
import { type Documents, Gate, keysOf } from "../explain/gate.ts";
import { readable } from "../host/bytes.ts";

/** Where the token is put: what a provider says of places is not the question. */
const HEADER = "x-jwtgate-token";

export interface Verdict {
  valid: boolean;
  /** What the filter would answer, where it is not valid. */
  answer?: { status: number; body: string };
  /** The provider that took it. */
  provider?: Provider;
  claims?: Record<string, unknown>;
  /** What each provider said of the token, in the order in which they were asked. */
  steps: ProviderStep[];
  /** The module and the evaluator are not of one mind: a bug of one of them. */
  disagreement?: string;
}

export interface VerifyOptions {
  module: WebAssembly.Module;
  configuration: Configuration;
  /** Key sets and discovery documents, by their URLs. */
  documents: Documents;
  /** Milliseconds since 1970. */
  now: number;
}

/** @param token characters are bytes (latin-1) */
export async function verifyToken(token: string, options: VerifyOptions): Promise<Verdict> {
  const { module, documents, now } = options;
  const configuration = anywhere(options.configuration);
  const gate = await Gate.open({ module, configuration, listener: {}, documents, now });
  const { answer } = await gate.send({ headers: [[HEADER, token]] });
  const said = answer ? readable(answer.body) : "";
  const { refusal, steps, verified } = authenticate(
    configuration,
    [
      [":method", "GET"],
      [":path", "/"],
      [":authority", "localhost"],
      [HEADER, token],
    ],
    Math.floor(now / 1000),
    (provider) => keysOf(provider, documents),
  );
  return {
    valid: answer === undefined,
    ...(answer && { answer: { status: answer.status, body: said } }),
    ...(verified && { provider: verified.provider, claims: verified.claims }),
    steps,
    ...(said !== refusal && {
      disagreement: `the filter says ${quote(said)}, the steps say ${quote(refusal)}`,
    }),
  };
}

const quote = (refusal: string) => (refusal === "" ? "that it is good" : JSON.stringify(refusal));

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
