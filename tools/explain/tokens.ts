/** Each provider's result for a request's tokens, in words. Verdicts are the module's (trace.ts). */
import type { SourceMap } from "../compile.ts";
import type { Configuration, Provider } from "../config/schema.ts";
import { formatPosition } from "../diagnostics.ts";
import type { TokenPolicyField } from "../istio/token-constraints.ts";
import { STATUS } from "./events.ts";
import type { Claims, Location, TracedKey, TracedProvider, TracedToken } from "./trace.ts";

/** The result of trying one key. */
export interface KeyAttempt {
  /** Among the usable keys of its set, from 0. */
  index: number;
  kid?: string;
  kty: string;
  alg?: string;
  /** `verified`, or why not. */
  outcome: string;
}

/** A token that one provider checked. The token itself is not included. */
export interface TokenStep {
  place: Location;
  /** "" if it is valid; else the response's body. */
  refusal: string;
  /** Why, if the refusal does not say it. */
  reason?: string;
  header?: Claims;
  claims?: Claims;
  /** It was verified before, so no key was tried. */
  remembered?: true;
  /** The keys that were tried, if any. */
  keys?: KeyAttempt[];
}

/** One provider's result. */
export interface ProviderStep {
  /** Its name in the configuration. */
  provider: string;
  policy?: string;
  issuer?: string;
  /** Where it looks. */
  places: Location[];
  tokens: TokenStep[];
  /** "" if it lets the request pass; else the response's body. */
  refusal: string;
}

/** What providers' results are explained with. */
export interface Surroundings {
  configuration: Configuration;
  positions: Pick<SourceMap, "constraints">;
  /** Seconds since 1970, by the module's clock. */
  now: number;
  /** Why keys could not be fetched, by the URL that a provider names. */
  fetchFailures: ReadonlyMap<string, string>;
}

/** @param asked the providers that the module asked */
export function providerSteps(asked: readonly TracedProvider[], surroundings: Surroundings): ProviderStep[] {
  const { providers = [] } = surroundings.configuration;
  return asked.map(({ index, places, tokens, refusal }) => {
    const provider = providers[index];
    if (provider === undefined) throw new RangeError(`the configuration has no provider ${index}`);
    const { name, policy, issuer } = provider;
    return {
      provider: name,
      ...(policy !== undefined && { policy }),
      ...(issuer !== undefined && { issuer }),
      places,
      tokens: tokens.map((token) => tokenStep(token, provider, surroundings)),
      refusal,
    };
  });
}

function tokenStep(token: TracedToken, provider: Provider, surroundings: Surroundings): TokenStep {
  const { place, refusal, content, keys, remembered } = token;
  const reason = reasonOf(token, provider, surroundings);
  const algorithm = String(content?.header["alg"]);
  const kid = String(content?.header["kid"]);
  return {
    place,
    refusal,
    ...(content && { header: content.header, claims: content.claims }),
    ...(reason !== undefined && { reason }),
    ...(remembered && { remembered }),
    ...(keys.length > 0 && { keys: keys.map((key) => keyAttempt(key, algorithm, kid)) }),
  };
}

function keyAttempt(key: TracedKey, algorithm: string, tokenKid: string): KeyAttempt {
  const { index, kid, kty, alg, tried, outcome } = key;
  const words: Record<TracedKey["outcome"], string> = {
    OtherKid: `not tried: its kid is not ${JSON.stringify(tokenKid)}`,
    OtherAlgorithm: `not tried: it is for ${alg} only, and the token has ${algorithm}`,
    WrongLength: "the signature is not 64 bytes long, so the search ends here",
    Unable: `not tried: a key of this type does not verify ${algorithm}`,
    Limit: `not tried: ${tried} keys were`,
    Bad: "tried: the signature is not by this key",
    Verified: "verified",
  };
  return { index, ...(kid && { kid }), kty, ...(alg && { alg }), outcome: words[outcome] };
}

/** Why a token is refused, if the body of the refusal does not say it. */
function reasonOf(
  { status, length, limit, form, content }: TracedToken,
  provider: Provider,
  { positions, now, fetchFailures }: Surroundings,
): string | undefined {
  const { name: providerName, issuer, audiences, remoteJwks } = provider;
  const claims = content?.claims ?? {};
  const line = (field: TokenPolicyField) => {
    const at = positions.constraints[providerName]?.[field];
    return at ? ` (${formatPosition(at)})` : "";
  };
  const has = (name: string) => Object.hasOwn(claims, name);
  switch (status) {
    case STATUS.JwtTooLarge:
      return `it has ${length} bytes, and the limit is ${limit}`;
    case STATUS.JwtBadFormat:
      return form && whatIsWrong(form);
    case STATUS.JwtUnknownIssuer: {
      const names = has("iss") && claims["iss"] !== "";
      const said = names
        ? `the token's iss is ${JSON.stringify(claims["iss"])}`
        : "the token names no issuer";
      return `${said}, not ${JSON.stringify(issuer)}`;
    }
    case STATUS.JwtNotYetValid:
      return `nbf is ${away(claims["nbf"], now)}`;
    case STATUS.JwtExpired:
      return `exp is ${away(claims["exp"], now)}`;
    case STATUS.JwtAudienceNotAllowed: {
      const said = has("aud") ? `its aud is ${JSON.stringify(claims["aud"])}` : "it has no aud";
      return `${said}, and one of ${JSON.stringify(audiences)} is needed`;
    }
    case STATUS.JwtHeaderTypNotAllowed: {
      const header = content?.header ?? {};
      const said = Object.hasOwn(header, "typ")
        ? `its typ is ${JSON.stringify(header["typ"])}`
        : "it has no typ";
      return `${said}, and one of ${JSON.stringify(provider.tokenTypes)} is needed${line("tokenTypes")}`;
    }
    case STATUS.JwtClaimMissing: {
      const { requiredClaims = [] } = provider;
      const lacks = (claim: string) => !has(claim) || claims[claim] === null;
      const missing = requiredClaims.find(lacks);
      if (missing === undefined) return `maxLifetime needs exp and iat${line("maxLifetime")}`;
      const said = has(missing) ? `its ${missing} is null` : `it has no ${missing}`;
      return `${said}${line("requiredClaims")}`;
    }
    case STATUS.JwtLifetimeTooLong: {
      const said = `iat is ${away(claims["iat"], now)}; exp is ${away(claims["exp"], now)}`;
      return `${said}; the limit is ${provider.maxLifetimeSeconds} s${line("maxLifetime")}`;
    }
    case STATUS.JwksFetchFail: {
      const uri = remoteJwks?.uri ?? remoteJwks?.discovery?.uri ?? "";
      const failure = fetchFailures.get(uri);
      return `there are no keys from ${uri}${failure === undefined ? "" : `: ${failure}`}`;
    }
    default:
      return undefined;
  }
}

function whatIsWrong({ sections, empty }: { sections: number; empty: number }): string {
  if (sections !== 3) return `it has ${sections} section${sections === 1 ? "" : "s"} instead of 3`;
  return `its ${["header", "payload", "signature"][empty]} is empty`;
}

/** A NumericDate, without its fraction, as text, and how far away it is. */
function away(claim: unknown, now: number): string {
  const seconds = Math.trunc(Number(claim));
  const text = seconds <= 8.64e12 ? new Date(seconds * 1000).toISOString().replace(".000", "") : `${seconds}`;
  const difference = Math.round(Math.abs(seconds - now));
  return `${text}, ${difference} s ${seconds < now ? "ago" : "from now"}`;
}
