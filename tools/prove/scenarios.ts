/**
 * The possible results of authentication for a request: which tokens it has, what each side's providers make
 * of them, and what policies then see. Tokens with the same result under every provider of every side are one
 * class.
 */
import type { TokenConstraints } from "../config/constraints.ts";
import { type Configuration, DEFAULT_CLOCK_SKEW_SECONDS, type Jwk, type Provider } from "../config/schema.ts";
import { isSingleHeader } from "../host/header-map.ts";
import {
  type Authenticated,
  authenticate,
  comparePlaces,
  isSamePlace,
  MISSED,
  outputNames,
  type Place,
  placesOf,
  type Status,
  UNKNOWN_ISSUER,
  VERIFIED,
  WRONG_AUDIENCE,
} from "./authentication.ts";
import { sanitizedAudience } from "./patterns.ts";
import { Undecided } from "./undecided.ts";

/** A token, as far as providers can distinguish tokens. */
export interface TokenClass {
  /** It is not a JWT. */
  isMalformed?: true;
  issuer?: string;
  time: "valid" | "expired" | "early";
  /** The key that signed it; undefined: a key that no provider has. */
  key?: string;
  /** Whether `aud` is one of these. */
  audiences: { of: readonly string[]; isOne: boolean }[];
  /** A claim with a control character, which no header can carry. */
  spoiltClaim?: string;
  /** What providers of the issuer ask of its tokens, which it satisfies. */
  constraints?: TokenConstraints;
}

/** A token at a place. `slot` names it within the scenario. */
export interface ScenarioToken {
  place: Place;
  slot: string;
  token: TokenClass;
}

/** What a header holds that a verified token wrote. */
export interface Source {
  slot: string;
  /** As in `outputClaimToHeaders`; undefined: the payload. */
  claim?: string;
}

/** What policies see of a scenario. */
export interface View {
  /** The body of authentication's refusal; "" if policies are evaluated. */
  refusal: Status;
  /** The token whose claims they see, and its provider. */
  claims?: { slot: string; provider: number };
  /** Headers that are not there, whatever the client sent. */
  absent: ReadonlySet<string>;
  /** Headers that verified tokens wrote. */
  written: ReadonlyMap<string, readonly Source[]>;
  removedParams: ReadonlySet<string>;
}

/** Whether a header contains a token's prefix; without a prefix, whether it is there. */
export interface HeaderCondition {
  header: string;
  prefix: string;
  holds: boolean;
}

export interface Scenario {
  isPreflight: boolean;
  /** What a client sends. */
  tokens: readonly ScenarioToken[];
  /** By side. */
  views: readonly View[];
  headers: readonly HeaderCondition[];
}

/** The kind of token of a request, for properties. */
export type TokenState = "none" | "valid" | "bad";

/** What two sides' scenarios need to be complete. */
export interface Scenarios {
  all: Scenario[];
  /** What is not covered. */
  notCovered: string[];
}

const MAX_SCENARIOS = 40_000;
/** `maxKeysTried` of the configuration. */
const MAX_KEYS = 16;
/** The headers that make an OPTIONS request a CORS preflight (assembly/http/request.ts, isCorsPreflight). */
export const PREFLIGHT = ["access-control-request-method", "origin"];

/** The issuer of tokens that no provider knows. */
export const STRANGER = "https://stranger.example";

/**
 * Every scenario of one side, or of two.
 *
 * @throws {Undecided} if there are too many
 */
export function scenariosOf(sides: readonly Configuration[]): Scenarios {
  const providers = sides.map(({ providers: own = [] }) => own);
  for (const own of providers) refuseUnmodelled(own);
  const [first = [], second = first] = providers;
  const isAlike = signature(first) === signature(second);
  return isAlike ? alike(first, sides.length) : different(providers);
}

/** What a provider does with tokens, without names and without how keys are fetched. */
function signature(providers: readonly Provider[]): string {
  return JSON.stringify(
    providers.map((provider) => [
      provider.issuer ?? null,
      audiencesOf(provider) ?? null,
      keysOf(provider),
      placesOf(provider),
      provider.forward ?? false,
      provider.forwardPayloadHeader ?? "",
      provider.claimToHeaders ?? [],
      [...new Set(provider.spaceDelimitedClaims ?? [])].sort(),
      provider.presence ?? "OPTIONAL",
      constraintsOf(provider),
    ]),
  );
}

/**
 * What TokenPolicies ask of a provider's tokens, equal if it is the same. Required claims stay in their order, because a
 * refusal names the first that is missing.
 */
function constraintsOf(provider: Provider): TokenConstraints & { clockSkewSeconds: number } {
  const { tokenTypes, requireTokenType = false, requiredClaims = [], maxLifetimeSeconds = 0 } = provider;
  const { clockSkewSeconds = DEFAULT_CLOCK_SKEW_SECONDS } = provider;
  return {
    ...(tokenTypes && { tokenTypes: [...new Set(tokenTypes)].sort(), requireTokenType }),
    requiredClaims,
    maxLifetimeSeconds,
    clockSkewSeconds,
  };
}

/**
 * Tokens are not classified by what TokenPolicies ask of them. If all providers of an issuer ask the same, a token that
 * does not satisfy it is refused by the same providers as one that was signed with an unknown key, so only tokens that
 * satisfy it matter.
 */
function refuseDifferingConstraints(providers: readonly Provider[]): void {
  for (const issuer of new Set([STRANGER, ...providers.flatMap(({ issuer }) => issuer ?? [])])) {
    const asked = providersOf(providers, issuer).map((provider) => JSON.stringify(constraintsOf(provider)));
    if (new Set(asked).size > 1) {
      const whose = issuer === STRANGER ? "without an issuer" : `of the issuer ${issuer}`;
      throw new Undecided(`providers ${whose} differ in what TokenPolicies ask of tokens`);
    }
  }
}

/** The providers that check tokens of an issuer. */
function providersOf(providers: readonly Provider[], issuer: string): Provider[] {
  return providers.filter((provider) => (provider.issuer ?? issuer) === issuer);
}

/** Sorted, each once, as they are compared. */
export function audiencesOf({ audiences }: Provider): string[] | undefined {
  return audiences && [...new Set(audiences.map(sanitizedAudience))].sort();
}

/** Names of a provider's keys: a JWK, or where keys are fetched from. Sorted, each once. */
export function keysOf({ localJwks, remoteJwks, issuer = "" }: Provider): string[] {
  if (localJwks) return [...new Set(localJwks.keys.map(keyName))].sort();
  const { uri, discovery } = remoteJwks ?? {};
  return [uri ?? `${discovery?.uri} of ${issuer}, ${JSON.stringify(discovery?.jwksHosts ?? [])}`];
}

function keyName(jwk: Jwk): string {
  return JSON.stringify(Object.entries(jwk).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Without its name and algorithm. */
function materialOf(jwk: Jwk): string {
  const { kid, alg, ...material } = jwk;
  return keyName(material);
}

/** What is not followed: a header that one provider writes and another reads tokens from, or that makes a preflight. */
function refuseUnmodelled(providers: readonly Provider[]): void {
  const outputs = outputNames(providers);
  for (const name of PREFLIGHT)
    if (outputs.has(name))
      throw new Undecided(`a verified token writes the header ${name}, which makes a CORS preflight`);
  if (providers.some((provider) => keysOf(provider).length > MAX_KEYS))
    throw new Undecided(`a provider has more than ${MAX_KEYS} keys, of which the filter tries only some`);
  const places = providers.flatMap(placesOf);
  const both = places.find(({ kind, name }) =>
    outputs.has(kind === "cookie" ? "cookie" : kind === "header" ? name : ""),
  );
  if (both)
    throw new Undecided(`a verified token writes the header ${both.name}, in which tokens are looked for`);
}

function uniquePlaces(providers: readonly Provider[]): Place[] {
  const found: Place[] = [];
  for (const place of providers.flatMap(placesOf))
    if (!found.some((other) => isSamePlace(other, place))) found.push(place);
  return found.sort(comparePlaces);
}

/**
 * Sides whose providers are the same: authentication has one result for both, so only what policies see of it matters.
 * Each scenario is a case of `verified by this provider at this place`, with all headers that other tokens could have
 * changed left open.
 */
function alike(providers: readonly Provider[], sides: number): Scenarios {
  const outputs = outputNames(providers);
  const places = uniquePlaces(providers);
  const times = (view: View): View[] => Array.from({ length: sides }, () => view);
  const nothing = { refusal: VERIFIED, written: new Map(), removedParams: new Set<string>() };
  const none = times({ ...nothing, absent: outputs });
  const all: Scenario[] = [];
  const required = providers.flatMap(({ presence }, i) => (presence === "REQUIRED" ? [i] : []));
  const lastRequired = required.at(-1);
  const refused = (refusal: Status): View[] =>
    times({ refusal, absent: new Set(), written: new Map(), removedParams: new Set() });
  if (lastRequired !== undefined) {
    all.push({ isPreflight: false, tokens: [], views: refused(MISSED), headers: [] });
  }
  const [first] = places;
  if (first !== undefined) {
    const bad: ScenarioToken = {
      place: first,
      slot: "0",
      token: { isMalformed: true, time: "valid", audiences: [] },
    };
    all.push({ isPreflight: false, tokens: [bad], views: refused(MALFORMED), headers: [] });
  }
  if (lastRequired === undefined) {
    const headers = places.filter(({ kind }) => kind === "header");
    const empty = headers.map(({ name, prefix }) => ({ header: name, prefix, holds: false }));
    all.push({ isPreflight: false, tokens: [], views: none, headers: empty });
  }
  if (providers.length > 0) all.push({ isPreflight: true, tokens: [], views: none, headers: [] });
  for (const [i, provider] of providers.entries()) {
    if (lastRequired !== undefined && i < lastRequired) continue;
    for (const place of placesOf(provider)) {
      const others = required
        .filter((other) => other !== i)
        .map((other) => tokenFor(providers, other, places, place));
      const token: ScenarioToken = { place, slot: "0", token: goodToken(provider) };
      const isRemoved = !provider.forward && place.kind === "header";
      const isShared = providers.some(
        (other) => other !== provider && placesOf(other).some((one) => one.name === place.name),
      );
      const view: View = {
        refusal: VERIFIED,
        claims: { slot: "0", provider: i },
        absent: new Set(isRemoved ? [place.name] : []),
        written: writtenBy(providers, i, outputs),
        removedParams: new Set(!provider.forward && place.kind === "parameter" ? [place.name] : []),
      };
      const isLeft = place.kind === "header" && !isRemoved && !isShared;
      const headers = [
        ...(isLeft ? [{ header: place.name, prefix: place.prefix, holds: true }] : []),
        // Every token at a place of the provider was verified, and removed with its header.
        ...(provider.forward ? [] : placesOf(provider))
          .filter((other) => other.kind === "header" && other.name !== place.name)
          .map(({ name, prefix }) => ({ header: name, prefix, holds: false })),
      ];
      all.push({ isPreflight: false, tokens: [token, ...others], views: times(view), headers });
    }
  }
  return { all, notCovered: [] };
}

/** A provider's own outputs, and whatever the tokens of others may have written. */
function writtenBy(
  providers: readonly Provider[],
  index: number,
  outputs: ReadonlySet<string>,
): Map<string, Source[]> {
  const written = new Map<string, Source[]>([...outputs].map((name) => [name, []]));
  for (const [i, { forwardPayloadHeader, claimToHeaders = [] }] of providers.entries()) {
    const slot = i === index ? "0" : "other";
    if (forwardPayloadHeader !== undefined) written.get(forwardPayloadHeader)?.push({ slot });
    for (const { headerName, claimName } of claimToHeaders)
      written.get(headerName)?.push({ slot, claim: claimName });
  }
  return written;
}

function goodToken(provider: Provider): TokenClass {
  const [key] = keysOf(provider);
  const of = audiencesOf(provider);
  return {
    ...(provider.issuer !== undefined && { issuer: provider.issuer }),
    time: "valid",
    ...(key !== undefined && { key }),
    audiences: of ? [{ of, isOne: true }] : [],
    constraints: constraintsOf(provider),
  };
}

/** A token that a REQUIRED provider asks for, next to that of another. */
function tokenFor(
  providers: readonly Provider[],
  index: number,
  places: readonly Place[],
  taken: Place,
): ScenarioToken {
  const provider = providers[index] as Provider;
  const own = placesOf(provider);
  const place = own.find((one) => !isSamePlace(one, taken)) ?? own[0] ?? (places[0] as Place);
  return { place, slot: `required ${index}`, token: goodToken(provider) };
}

/** Sides whose providers differ: every combination of classes of tokens at every place. */
function different(sides: readonly (readonly Provider[])[]): Scenarios {
  const notCovered: string[] = [];
  const all = sides.flat();
  if (hasRenamedKey(sides))
    throw new Undecided("a key has another kid or alg, which distinguishes only some of its tokens");
  refuseDifferingConstraints(all);
  const classes = tokenClasses(sides);
  const places = uniquePlaces(all);
  // A header that repeats can hold several tokens.
  const slots = places.flatMap((place) => {
    const repeats = place.kind === "header" && !isSingleHeader(place.name);
    if (repeats) notCovered.push(`three or more tokens in several headers ${place.name}`);
    return repeats
      ? [
          { place, isAgain: false },
          { place, isAgain: true },
        ]
      : [{ place, isAgain: false }];
  });
  let most = slots.length;
  if ((classes.length + 1) ** slots.length > MAX_SCENARIOS) {
    most = classes.length ** 2 * slots.length ** 2 > MAX_SCENARIOS ? 1 : 2;
    notCovered.push(`more than ${most === 1 ? "one token" : "two tokens"} in one request`);
  }
  const found = new Map<string, Scenario>();
  const add = (scenario: Scenario): void => {
    const key = JSON.stringify([
      scenario.isPreflight,
      scenario.headers,
      scenario.views.map(({ absent, written, removedParams, ...rest }) => [
        rest,
        [...absent],
        [...written],
        [...removedParams],
      ]),
      scenario.views.some(({ refusal }) => refusal === VERIFIED)
        ? scenario.tokens.map(({ slot, token }) => [slot, token.audiences, token.issuer])
        : [],
    ]);
    const known = found.get(key);
    if (known === undefined || rarityOf(scenario) < rarityOf(known)) found.set(key, scenario);
  };
  const none: Authenticated = {
    refusal: VERIFIED,
    outputs: [],
    removedHeaders: new Set(),
    removedParams: new Set(),
  };
  const chosen: { index: number; number: number }[] = [];
  const visit = (index: number): void => {
    if (index === slots.length) {
      add(combined(sides, places, slots, chosen, classes));
      return;
    }
    visit(index + 1);
    if (chosen.length === most) return;
    // The second of two places is used only after the first.
    if (slots[index]?.isAgain && chosen.at(-1)?.index !== index - 1) return;
    for (const number of classes.keys()) {
      chosen.push({ index, number });
      visit(index + 1);
      chosen.pop();
    }
  };
  visit(0);
  const views = sides.map((own) => viewOf(own, none, []));
  return { all: [...found.values(), { isPreflight: true, tokens: [], views, headers: [] }], notCovered };
}

/** Scenarios with few tokens, in headers, make the better examples. */
function rarityOf({ tokens }: Scenario): number {
  return 10 * tokens.length + tokens.filter(({ place }) => place.kind !== "header").length;
}

function combined(
  sides: readonly (readonly Provider[])[],
  places: readonly Place[],
  slots: readonly { place: Place }[],
  chosen: readonly { index: number; number: number }[],
  classes: readonly ClassifiedToken[],
): Scenario {
  const tokens = chosen.map(({ index, number }) => {
    const { place } = slots[index] as { place: Place };
    return { place, slot: String(index), ...(classes[number] as ClassifiedToken) };
  });
  const headers = places
    .filter(({ kind }) => kind === "header")
    .map((place) => ({
      header: place.name,
      prefix: place.prefix,
      holds: tokens.some((token) => isSamePlace(token.place, place)),
    }));
  const views = sides.map((own, side) => {
    const placed = tokens.map(({ place, statuses }) => ({ place, statuses: statuses[side] ?? [] }));
    return viewOf(
      own,
      authenticate(own, placed),
      tokens.map(({ slot }) => slot),
    );
  });
  return {
    isPreflight: false,
    tokens: tokens.map(({ place, slot, token }) => ({ place, slot, token })),
    views,
    headers,
  };
}

function viewOf(
  providers: readonly Provider[],
  { refusal, verified, provider, outputs, removedHeaders, removedParams }: Authenticated,
  slots: readonly string[],
): View {
  const written = new Map<string, Source[]>();
  for (const { header, token, claim } of outputs) {
    const source = { slot: slots[token] ?? "", ...(claim !== undefined && { claim }) };
    written.set(header, [...(written.get(header) ?? []), source]);
  }
  const absent = new Set(removedHeaders);
  for (const name of outputNames(providers)) if (!written.has(name)) absent.add(name);
  const isRefused = refusal !== VERIFIED;
  return {
    refusal,
    ...(verified !== undefined &&
      provider !== undefined && { claims: { slot: slots[verified] ?? "", provider } }),
    absent: isRefused ? new Set() : absent,
    written: isRefused ? new Map() : written,
    removedParams: isRefused ? new Set() : removedParams,
  };
}

interface ClassifiedToken {
  token: TokenClass;
  /** By side and provider. */
  statuses: readonly (readonly Status[])[];
}

/** One token for each way in which providers can judge it. */
function tokenClasses(sides: readonly (readonly Provider[])[]): ClassifiedToken[] {
  const classes = new Map<string, ClassifiedToken>();
  for (const token of tokensOf(sides.flat())) {
    const statuses = sides.map((providers) => providers.map((provider) => statusOf(token, provider)));
    const key = JSON.stringify(statuses);
    if (!classes.has(key)) classes.set(key, { token, statuses });
  }
  return [...classes.values()];
}

function* tokensOf(providers: readonly Provider[]): Generator<TokenClass> {
  const issuers = [...new Set(providers.map(({ issuer }) => issuer ?? STRANGER)), STRANGER];
  for (const issuer of new Set(issuers)) {
    const own = providersOf(providers, issuer);
    const [constraints] = own.map(constraintsOf);
    const keys = [...new Set(own.flatMap(keysOf))];
    const lists = [...new Set(own.flatMap((provider) => JSON.stringify(audiencesOf(provider) ?? [])))]
      .map((list) => JSON.parse(list) as string[])
      .filter(({ length }) => length > 0);
    if (lists.length > 5) throw new Undecided("an issuer has more than five lists of audiences");
    const all = lists.map((of) => ({ of, isOne: true }));
    const signers = [...keys.map((key) => ({ key })), {}];
    const spoilt = new Set(
      own.flatMap(({ claimToHeaders = [] }) => claimToHeaders.map(({ claimName }) => claimName)),
    );
    const claims = [{}, ...[...spoilt].map((spoiltClaim) => ({ spoiltClaim }))];
    for (const claim of claims) {
      for (const signer of signers) {
        for (let bits = (1 << lists.length) - 1; bits >= 0; bits--) {
          const audiences = lists.map((of, i) => ({ of, isOne: ((bits >> i) & 1) === 1 }));
          yield {
            issuer,
            time: "valid",
            ...signer,
            audiences,
            ...claim,
            ...(constraints && { constraints }),
          };
        }
      }
    }
    for (const time of ["expired", "early"] as const)
      for (const key of keys)
        yield { issuer, time, key, audiences: all, ...(constraints && { constraints }) };
  }
  yield { isMalformed: true, time: "valid", audiences: [] };
}

const MALFORMED = "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections";

/** What a provider makes of a token, in the order of authenticator.ts, check. */
function statusOf(token: TokenClass, provider: Provider): Status {
  if (token.isMalformed) return MALFORMED;
  if (provider.issuer !== undefined && token.issuer !== provider.issuer) return UNKNOWN_ISSUER;
  if (token.time === "early") return "Jwt not yet valid";
  if (token.time === "expired") return "Jwt is expired";
  const own = audiencesOf(provider);
  if (own) {
    const list = token.audiences.find(({ of }) => JSON.stringify(of) === JSON.stringify(own));
    if (!list?.isOne) return WRONG_AUDIENCE;
  }
  if (token.key === undefined || !keysOf(provider).includes(token.key)) return "Jwt verification fails";
  const { spoiltClaim } = token;
  const isForwarded = provider.claimToHeaders?.some(({ claimName }) => claimName === spoiltClaim);
  return isForwarded ? `Jwt claim [${spoiltClaim}] is not a valid header value` : VERIFIED;
}

/** Whether the same key has several kids or algorithms. */
function hasRenamedKey(sides: readonly (readonly Provider[])[]): boolean {
  const names = new Map<string, string>();
  for (const { localJwks } of sides.flat()) {
    for (const jwk of localJwks?.keys ?? []) {
      const [material, name] = [materialOf(jwk), keyName(jwk)];
      if ((names.get(material) ?? name) !== name) return true;
      names.set(material, name);
    }
  }
  return false;
}
