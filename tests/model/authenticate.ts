/**
 * What must happen to a request's tokens, step by step: the filter's authenticator (assembly/authn), written plainly.
 */
import type { Configuration, Jwk, Provider } from "../../tools/config/schema.ts";
import type { ProviderStep, TokenStep } from "../../tools/explain/tokens.ts";
import type { Location } from "../../tools/explain/trace.ts";
import { wireText } from "../../tools/host/bytes.ts";
import { type Claims, claimAt } from "./authz.ts";
import { audienceAllowed, type Jws, parseJws, REFUSAL, Refusal, verifyJws } from "./jws.ts";

/** Text is latin-1: one character for each byte. */
type Header = [name: string, value: string];

export interface Authentication {
  /** "" if the request reaches the policies; else the response's body. */
  refusal: string;
  /** A CORS preflight is not authenticated. */
  preflight: boolean;
  /** Each that was asked, in order; one whose tokens changed in between is there twice. */
  steps: ProviderStep[];
  /** The provider and the claims that policies see; absent without a verified token. */
  verified?: { provider: Provider; claims: Claims };
  /** The request's headers after authentication, pseudo-headers included. */
  headers: Header[];
}

/** A provider's keys; `undefined` if they could not be fetched. */
export type KeysOf = (provider: Provider) => readonly Jwk[] | undefined;

const DEFAULT_MAX_TOKEN_BYTES = 16_384;
const DEFAULT_MAX_TOKENS = 8;
/** How many tokens are checked, for any configuration. */
const MAX_CANDIDATES = 64;
const DEFAULT_MAX_KEYS_TRIED = 16;
const DEFAULT_CLOCK_SKEW_SECONDS = 60;

/**
 * @param headers as the filter sees them, pseudo-headers included
 * @param now seconds since 1970
 */
export function authenticate(
  configuration: Configuration,
  headers: readonly (readonly [string, string])[],
  now: number,
  keysOf: KeysOf,
): Authentication {
  return new Authenticator(configuration, headers, now, keysOf).run();
}

interface Candidate {
  place: Location;
  token: string;
  /** The header that it was found in; absent for a parameter and a cookie. */
  header?: Header;
  /** Whether it is still in the request. */
  present: boolean;
}

class Authenticator {
  private readonly providers: readonly Provider[];
  private readonly anyRequired: boolean;
  private headers: Header[];
  private candidates: Candidate[] = [];
  private readonly steps: ProviderStep[] = [];
  private verified: Authentication["verified"];
  /** Whether tokens were added or removed since the request was read. */
  private changed = false;
  /** Whether a verified token wrote a header, and whether it was one in which tokens are searched for. */
  private wrote = false;
  private wrotePlace = false;

  constructor(
    private readonly configuration: Configuration,
    headers: readonly (readonly [string, string])[],
    private readonly now: number,
    private readonly keysOf: KeysOf,
  ) {
    this.providers = configuration.providers ?? [];
    this.anyRequired = this.providers.some(({ presence }) => presence === "REQUIRED");
    this.headers = headers.map(([name, value]) => [name, value]);
  }

  run(): Authentication {
    // No client supplies an identity: output headers are removed from every request, with or without their lookalikes.
    const folded = (name: string) =>
      this.configuration.removeLookalikes ? name.replace(/[^a-z0-9]/g, "-") : name;
    const outputs = new Set(
      this.providers.flatMap(({ forwardPayloadHeader, claimToHeaders = [] }) => [
        ...(forwardPayloadHeader ? [folded(forwardPayloadHeader)] : []),
        ...claimToHeaders.map(({ headerName }) => folded(headerName)),
      ]),
    );
    this.headers = this.headers.filter(([name]) => name.startsWith(":") || !outputs.has(folded(name)));
    const preflight = this.isPreflight();
    const refusal = preflight || this.providers.length === 0 ? "" : this.authenticate();
    return {
      refusal,
      preflight,
      steps: this.steps,
      ...(refusal === "" && this.verified && { verified: this.verified }),
      headers: this.headers,
    };
  }

  private value(name: string): string | undefined {
    return this.headers.find(([other]) => other === name)?.[1];
  }

  private isPreflight(): boolean {
    return (
      this.value(":method") === "OPTIONS" &&
      Boolean(this.value("origin")) &&
      Boolean(this.value("access-control-request-method"))
    );
  }

  private authenticate(): string {
    if (!this.extractAll()) return REFUSAL.tooMany;
    if (this.anyRequired) return this.all();
    const [only] = this.providers;
    if (this.providers.length === 1 && only) {
      const refusal = this.ask(only);
      return refusal === REFUSAL.missing ? "" : refusal;
    }
    return this.any();
  }

  /** Searches every location. @returns false if there are too many tokens */
  private extractAll(): boolean {
    const { maxTokens = DEFAULT_MAX_TOKENS } = this.configuration.limits ?? {};
    const places = distinct(this.providers.flatMap(placesOf));
    this.candidates = places.flatMap((place) => this.extract(place));
    // A token that several prefixes find in one header counts once.
    const held = new Set(this.candidates.map((candidate) => candidate.header ?? candidate));
    return held.size <= maxTokens && this.candidates.length <= MAX_CANDIDATES;
  }

  /** Any of {P0, P1, …, all of {any of {P0, missing}, …}}: Envoy's choice among the failures. */
  private any(): string {
    let final: string = REFUSAL.missing;
    const said = new Map<Provider, string>();
    const prefer = (refusal: string): string => {
      const telling = refusal !== REFUSAL.missing && refusal !== REFUSAL.issuer;
      return telling || final === REFUSAL.missing ? refusal : final;
    };
    for (const provider of this.providers) {
      const refusal = this.ask(provider);
      if (refusal === "") return "";
      said.set(provider, refusal);
      final = prefer(refusal);
    }
    const refusal = this.all(said);
    return refusal === "" ? "" : prefer(refusal);
  }

  /** All of {P, or any of {P, missing} if P is optional}. */
  private all(said?: ReadonlyMap<Provider, string>): string {
    for (const provider of this.providers) {
      const known = this.changed ? undefined : said?.get(provider);
      const refusal = known ?? this.ask(provider);
      const passes = refusal === "" || (refusal === REFUSAL.missing && provider.presence !== "REQUIRED");
      if (!passes) return refusal;
    }
    return "";
  }

  /** Verifies every token at the provider's locations, from the last one. */
  private ask(provider: Provider): string {
    const places = placesOf(provider);
    const { name, policy, issuer } = provider;
    const step: ProviderStep = {
      provider: name,
      ...(policy !== undefined && { policy }),
      ...(issuer !== undefined && { issuer }),
      places,
      tokens: [],
      refusal: "",
    };
    this.steps.push(step);
    if (this.wrote) {
      // If two providers write the same header, only the later one's value remains, even if that provider finds no
      // token.
      const outputs = outputsOf(provider);
      this.headers = this.headers.filter(([header]) => !outputs.includes(header));
    }
    if (this.wrotePlace && !this.extractAll()) {
      step.refusal = REFUSAL.tooMany;
      return step.refusal;
    }
    const chosen = this.candidates.filter(
      (candidate) => candidate.present && places.some((place) => isSame(place, candidate.place)),
    );
    if (chosen.length === 0) step.refusal = REFUSAL.missing;
    for (const candidate of chosen.reverse()) {
      const token = this.verify(provider, candidate);
      step.tokens.push(token);
      step.refusal = token.refusal;
      if (token.refusal !== "") break;
    }
    return step.refusal;
  }

  private verify(provider: Provider, candidate: Candidate): TokenStep {
    const { place, token } = candidate;
    const { maxTokenBytes = DEFAULT_MAX_TOKEN_BYTES } = this.configuration.limits ?? {};
    if (token.length > maxTokenBytes) {
      const reason = `it has ${token.length} bytes, and the limit is ${maxTokenBytes}`;
      return { place, refusal: REFUSAL.tooLarge, reason };
    }
    let jws: Jws;
    try {
      jws = parseJws(token);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const reason = whyUnreadable(token, error.message);
      return { place, refusal: error.message, ...(reason !== undefined && { reason }) };
    }
    const step: TokenStep = { place, refusal: "", header: jws.header, claims: jws.payload };
    Object.assign(step, this.check(provider, jws));
    if (step.refusal === "") step.refusal = this.accept(provider, candidate, jws);
    return step;
  }

  /** issuer → type → time → audience → claims → lifetime → keys. */
  private check(provider: Provider, jws: Jws): Pick<TokenStep, "refusal" | "reason" | "keys"> {
    const { issuer, audiences = [], clockSkewSeconds = DEFAULT_CLOCK_SKEW_SECONDS } = provider;
    const iss = Object.hasOwn(jws.payload, "iss") ? String(jws.payload["iss"]) : "";
    if (issuer !== undefined && iss !== issuer) {
      const has = iss === "" ? "the token names no issuer" : `the token's iss is ${JSON.stringify(iss)}`;
      return { refusal: REFUSAL.issuer, reason: `${has}, not ${JSON.stringify(issuer)}` };
    }
    const wrongType = wrongTypeOf(provider, jws);
    if (wrongType) return wrongType;
    if (this.now + clockSkewSeconds < jws.notBefore) {
      return { refusal: REFUSAL.notYetValid, reason: `nbf is ${this.away(jws.notBefore)}` };
    }
    if (this.now > jws.expiresAt + clockSkewSeconds) {
      return { refusal: REFUSAL.expired, reason: `exp is ${this.away(jws.expiresAt)}` };
    }
    if (audiences.length > 0 && !audienceAllowed(jws, audiences)) {
      const has = Object.hasOwn(jws.payload, "aud")
        ? `its aud is ${JSON.stringify(jws.payload["aud"])}`
        : "it has no aud";
      return {
        refusal: REFUSAL.audience,
        reason: `${has}, and one of ${JSON.stringify(audiences)} is needed`,
      };
    }
    const lacking = this.lackingOf(provider, jws);
    if (lacking) return lacking;
    const keys = this.keysOf(provider);
    if (keys === undefined) {
      const uri = provider.remoteJwks?.uri ?? provider.remoteJwks?.discovery?.uri;
      return { refusal: REFUSAL.fetch, reason: `there are no keys from ${uri}` };
    }
    const { maxKeysTried = DEFAULT_MAX_KEYS_TRIED } = this.configuration.limits ?? {};
    const { refusal, attempts } = verifyJws(jws, keys, maxKeysTried);
    return { refusal, keys: attempts };
  }

  /** What is wrong with a token's claims and lifetime (docs/token-policy.md). */
  private lackingOf(
    { requiredClaims = [], maxLifetimeSeconds = 0, clockSkewSeconds = DEFAULT_CLOCK_SKEW_SECONDS }: Provider,
    { payload, expiresAt, issuedAt }: Jws,
  ): Pick<TokenStep, "refusal" | "reason"> | undefined {
    for (const claim of requiredClaims) {
      const has = Object.hasOwn(payload, claim);
      if (has && payload[claim] !== null) continue;
      const reason = has ? `its ${claim} is null` : `it has no ${claim}`;
      return { refusal: `Jwt payload [${claim}] field is required`, reason };
    }
    if (maxLifetimeSeconds === 0) return undefined;
    for (const claim of ["exp", "iat"]) {
      if (Object.hasOwn(payload, claim)) continue;
      return { refusal: `Jwt payload [${claim}] field is required`, reason: "maxLifetime needs exp and iat" };
    }
    const start = Math.min(issuedAt ?? 0, this.now + clockSkewSeconds);
    if (expiresAt - start <= maxLifetimeSeconds) return undefined;
    const said = `iat is ${this.away(issuedAt ?? 0)}; exp is ${this.away(expiresAt)}`;
    return { refusal: REFUSAL.lifetime, reason: `${said}; the limit is ${maxLifetimeSeconds} s` };
  }

  /** A time as text, and how far away it is. */
  private away(seconds: number): string {
    const text =
      seconds <= 8.64e12 ? new Date(seconds * 1000).toISOString().replace(".000", "") : `${seconds}`;
    const difference = Math.round(Math.abs(seconds - this.now));
    return `${text}, ${difference} s ${seconds < this.now ? "ago" : "from now"}`;
  }

  /** Applies a verified token to the request. @returns why it is refused after all, or "" */
  private accept(provider: Provider, { place }: Candidate, jws: Jws): string {
    const { forwardPayloadHeader, claimToHeaders = [], forward = false } = provider;
    const outputs: Header[] = forwardPayloadHeader ? [[forwardPayloadHeader, jws.payloadSegment]] : [];
    for (const { headerName, claimName } of claimToHeaders) {
      const value = claimHeader(claimAt(jws.payload, claimName.split(".")));
      if (/[\0-\x08\x0a-\x1f\x7f]/.test(value)) {
        const shown = claimName.replace(/[\0-\x1f\x7f]/g, "_");
        return `Jwt claim [${shown}] is not a valid header value`;
      }
      if (value !== "") outputs.push([headerName, value]);
    }
    this.headers.push(...outputs);
    if (outputs.length > 0) {
      this.wrote = true;
      if (outputsOf(provider).some((name) => this.isLookedAt(name))) this.wrotePlace = this.changed = true;
    }
    if (!forward) this.remove(place);
    this.verified = { provider, claims: jws.payload };
    return "";
  }

  /** Whether some provider looks for tokens in that header. */
  private isLookedAt(header: string): boolean {
    const places = this.providers.flatMap(placesOf);
    return places.some(
      ({ kind, name }) =>
        (kind === "header" && name === header) || (kind === "cookie" && header === "cookie"),
    );
  }

  /**
   * Removes a token from the request, with everything in the same header or parameter. Cookies stay, unless it was
   * found by the name of their header.
   */
  private remove({ kind, name }: Location): void {
    this.changed = true;
    if (kind === "cookie") return;
    if (kind === "header") this.headers = this.headers.filter(([other]) => other !== name);
    else this.removeParameter(name);
    for (const candidate of this.candidates) {
      const { place } = candidate;
      const isCookie = place.kind === "cookie" && kind === "header" && name === "cookie";
      if ((place.kind === kind && place.name === name) || isCookie) candidate.present = false;
    }
  }

  private removeParameter(name: string): void {
    const path = this.value(":path") ?? "";
    const rest = parametersOf(path).filter((parameter) => parameter.name !== wireText(name));
    const query = rest.map(({ text }) => text).join("&");
    const changed = path.replace(/[?#].*/s, "") + (rest.length === 0 ? "" : `?${query}`);
    this.headers = this.headers.map(([header, value]) => [header, header === ":path" ? changed : value]);
  }

  private extract(place: Location): Candidate[] {
    const found = (token: string): Candidate => ({ place, token, present: true });
    if (place.kind === "parameter") {
      const wanted = wireText(place.name);
      const parameter = parametersOf(this.value(":path") ?? "").find(({ name }) => name === wanted);
      return parameter ? [found(parameter.value)] : [];
    }
    if (place.kind === "cookie") {
      const cookies = this.headers
        .filter(([name]) => name === "cookie")
        .flatMap(([, value]) => cookiesOf(value));
      const cookie = cookies.find(({ name }) => name === wireText(place.name));
      return cookie ? [found(cookie.value)] : [];
    }
    const name = place.name === "host" ? ":authority" : place.name;
    const prefix = wireText(place.prefix);
    return this.headers
      .filter(([other, value]) => other === name && value.includes(prefix))
      .map((header) => ({ ...found(behind(header[1], prefix)), header }));
  }
}

/** After the first occurrence of the prefix, from the first character that a token can begin with (extractJWT). */
function behind(value: string, prefix: string): string {
  if (prefix === "") return value;
  const rest = value.slice(value.indexOf(prefix) + prefix.length);
  const start = rest.search(/[A-Za-z0-9\-_.]/);
  return start < 0 ? value : rest.slice(start);
}

/** A provider's locations, in the order in which Envoy searches them: by kind, by name, by prefix. */
function placesOf({ fromHeaders = [], fromParams = [], fromCookies = [] }: Provider): Location[] {
  return distinct([
    ...fromHeaders.map(
      ({ name, valuePrefix = "" }): Location => ({ kind: "header", name, prefix: valuePrefix }),
    ),
    ...fromParams.map((name): Location => ({ kind: "parameter", name, prefix: "" })),
    ...fromCookies.map((name): Location => ({ kind: "cookie", name, prefix: "" })),
  ]);
}

const KINDS: readonly Location["kind"][] = ["header", "parameter", "cookie"];

function distinct(places: readonly Location[]): Location[] {
  const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));
  // A header's name and its prefix are one key.
  const sorted = [...places].sort(
    (a, b) =>
      KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind) ||
      byBytes(a.name + a.prefix, b.name + b.prefix) ||
      byBytes(a.name, b.name),
  );
  return sorted.filter((place, i) => {
    const before = sorted[i - 1];
    return before === undefined || !isSame(before, place);
  });
}

/** The headers that a provider writes. */
function outputsOf({ forwardPayloadHeader, claimToHeaders = [] }: Provider): string[] {
  const names = claimToHeaders.map(({ headerName }) => headerName);
  return forwardPayloadHeader === undefined ? names : [forwardPayloadHeader, ...names];
}

function isSame(a: Location, b: Location): boolean {
  return a.kind === b.kind && a.name === b.name && a.prefix === b.prefix;
}

/** Query parameters as Envoy finds them; names and values decoded, a name without `=` unchanged. */
function parametersOf(path: string): { text: string; name: string; value: string }[] {
  const query = /^[^?#]*\?([^#]*)/s.exec(path)?.[1] ?? "";
  return query.split("&").flatMap((text, i, all) => {
    // After a trailing & there is no parameter.
    if (text === "" && i === all.length - 1) return [];
    const equals = text.indexOf("=");
    return equals < 0
      ? [{ text, name: percentDecode(text), value: "" }]
      : [{ text, name: percentDecode(text.slice(0, equals)), value: percentDecode(text.slice(equals + 1)) }];
  });
}

function percentDecode(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

/** Cookies as Envoy reads them (source/common/http/utility.cc, parseCookies). */
function cookiesOf(header: string): { name: string; value: string }[] {
  return header.split(";").flatMap((text) => {
    const cookie = text.replace(/^ +/, "");
    const equals = cookie.indexOf("=");
    if (equals < 0) return [];
    return [{ name: cookie.slice(0, equals), value: cookie.slice(equals + 1).replace(/^"(.*)"$/s, "$1") }];
  });
}

/** A claim as a header's value, as Envoy's claim_to_headers writes it; "" for none. */
function claimHeader(value: unknown): string {
  switch (typeof value) {
    case "string":
      return wireText(value);
    case "boolean":
      return String(value);
    case "number":
      return Number.isInteger(value) && value >= 0 && value < 2 ** 64
        ? BigInt(value).toString()
        : fixed(value);
    case "object":
      return value === null ? "" : Buffer.from(JSON.stringify(value)).toString("base64");
    default:
      return "";
  }
}

/** `%f` of C: six decimals, and never an exponent. */
function fixed(value: number): string {
  return Math.abs(value) < 1e21 ? value.toFixed(6) : `${BigInt(value)}.000000`;
}

/** The fault, if the refusal does not name it. */
function whyUnreadable(token: string, refusal: string): string | undefined {
  if (refusal !== REFUSAL.format) return undefined;
  const sections = token.split(".");
  if (sections.length !== 3) {
    return `it has ${sections.length} section${sections.length === 1 ? "" : "s"} instead of 3`;
  }
  return `its ${["header", "payload", "signature"][sections.indexOf("")]} is empty`;
}

/** What is wrong with a token's `typ`: media types without regard to case, `application/` if there is no slash. */
function wrongTypeOf(
  { tokenTypes = [], requireTokenType = false }: Provider,
  { header }: Jws,
): Pick<TokenStep, "refusal" | "reason"> | undefined {
  const has = Object.hasOwn(header, "typ");
  if (tokenTypes.length === 0 || (!has && !requireTokenType)) return undefined;
  const typ = header["typ"];
  const full = (type: string) => (type.includes("/") ? type : `application/${type}`).toLowerCase();
  if (typeof typ === "string" && tokenTypes.some((type) => full(type) === full(typ))) return undefined;
  const said = has ? `its typ is ${JSON.stringify(typ)}` : "it has no typ";
  return { refusal: REFUSAL.type, reason: `${said}, and one of ${JSON.stringify(tokenTypes)} is needed` };
}
