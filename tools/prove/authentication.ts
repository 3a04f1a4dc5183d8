/**
 * The result of authentication for tokens, without their bytes: which provider verifies which, and what
 * changes in the request. It follows assembly/authn/authenticator.ts step by step; tests/prove compares the
 * two.
 */
import type { Provider } from "../config/schema.ts";
import type { Location } from "../explain/trace.ts";

/** Where a token can be. */
export type Place = Location;

/** A provider's result for a token: "" if it verifies it. */
export type Status = string;

export const VERIFIED: Status = "";
export const MISSED: Status = "Jwt is missing";
export const UNKNOWN_ISSUER: Status = "Jwt issuer is not configured";
export const WRONG_AUDIENCE: Status = "Audiences in Jwt are not allowed";

/** A token in a request. */
export interface PlacedToken {
  place: Place;
  /** By provider. */
  statuses: readonly Status[];
}

/** A header that a verified token wrote. */
export interface Output {
  header: string;
  /** The number of the token in the request. */
  token: number;
  /** A claim as `outputClaimToHeaders` names it; undefined for the payload. */
  claim?: string;
}

/** The result of authentication. */
export interface Authenticated {
  /** The body of the refusal; "" if the request reaches the policies. */
  refusal: Status;
  /** The number of the token whose claims policies see. */
  verified?: number;
  /** The provider that verified it. */
  provider?: number;
  outputs: readonly Output[];
  /** Names of headers and of query parameters that were removed. */
  removedHeaders: ReadonlySet<string>;
  removedParams: ReadonlySet<string>;
}

export function placesOf({ fromHeaders = [], fromParams = [], fromCookies = [] }: Provider): Place[] {
  return [
    ...fromHeaders.map(({ name, valuePrefix = "" }) => ({
      kind: "header" as const,
      name,
      prefix: valuePrefix,
    })),
    ...fromParams.map((name) => ({ kind: "parameter" as const, name, prefix: "" })),
    ...fromCookies.map((name) => ({ kind: "cookie" as const, name, prefix: "" })),
  ];
}

export function isSamePlace(a: Place, b: Place): boolean {
  return a.kind === b.kind && a.name === b.name && a.prefix === b.prefix;
}

const KINDS = ["header", "parameter", "cookie"];

/** The order in which the filter looks (assembly/authn/location.ts, compareLocations). */
export function comparePlaces(a: Place, b: Place): number {
  if (a.kind !== b.kind) return KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind);
  const [one, two] = [a.name + a.prefix, b.name + b.prefix];
  if (one !== two) return one < two ? -1 : 1;
  return a.name < b.name ? -1 : Number(a.name > b.name);
}

/** The names of all headers that providers write, which are removed from every request. */
export function outputNames(providers: readonly Provider[]): Set<string> {
  return new Set(
    providers.flatMap(({ forwardPayloadHeader, claimToHeaders = [] }) => [
      ...(forwardPayloadHeader === undefined ? [] : [forwardPayloadHeader]),
      ...claimToHeaders.map(({ headerName }) => headerName),
    ]),
  );
}

/**
 * @param tokens in the order in which the filter looks for them
 */
export function authenticate(providers: readonly Provider[], tokens: readonly PlacedToken[]): Authenticated {
  return new Authentication(providers, tokens).run();
}

class Authentication {
  private readonly present: boolean[];
  private changed = false;
  private wrote = false;
  private outputs: Output[] = [];
  private readonly removedHeaders = new Set<string>();
  private readonly removedParams = new Set<string>();
  private verified: number | undefined;
  private provider: number | undefined;
  private readonly statuses: Status[] = [];
  private readonly places: Place[][];

  constructor(
    private readonly providers: readonly Provider[],
    private readonly tokens: readonly PlacedToken[],
  ) {
    this.places = providers.map(placesOf);
    this.present = tokens.map(() => true);
  }

  run(): Authenticated {
    const status = this.decide();
    const { verified, provider, outputs, removedHeaders, removedParams } = this;
    const isOk = status === VERIFIED;
    return {
      refusal: status,
      ...(isOk && verified !== undefined && { verified }),
      ...(isOk && provider !== undefined && { provider }),
      outputs,
      removedHeaders,
      removedParams,
    };
  }

  private decide(): Status {
    const { providers } = this;
    const anyRequired = providers.some(({ presence }) => presence === "REQUIRED");
    const isLookedAt = this.tokens.some(({ place }) =>
      this.places.some((places) => places.some((one) => isSamePlace(one, place))),
    );
    if (!isLookedAt && !anyRequired) return VERIFIED;
    if (anyRequired) return this.all(false);
    if (providers.length === 1) {
      const status = this.ask(0);
      return status === MISSED ? VERIFIED : status;
    }
    return this.any();
  }

  private all(onlyAgain: boolean): Status {
    for (const [i, { presence }] of this.providers.entries()) {
      const status = onlyAgain && !this.changed ? (this.statuses[i] ?? MISSED) : this.ask(i);
      if (status !== VERIFIED && (status !== MISSED || presence === "REQUIRED")) return status;
    }
    return VERIFIED;
  }

  private any(): Status {
    let final: Status = MISSED;
    for (const i of this.providers.keys()) {
      const status = this.ask(i);
      if (status === VERIFIED) return VERIFIED;
      this.statuses[i] = status;
      final = prefer(final, status);
    }
    const status = this.all(true);
    return status === VERIFIED ? VERIFIED : prefer(final, status);
  }

  private ask(index: number): Status {
    const provider = this.providers[index] as Provider;
    if (this.wrote) {
      const own = outputNames([provider]);
      this.outputs = this.outputs.filter(({ header }) => !own.has(header));
    }
    const places = this.places[index] ?? [];
    const chosen = [...this.tokens.keys()].filter(
      (token) =>
        this.present[token] &&
        places.some((place) => isSamePlace(place, (this.tokens[token] as PlacedToken).place)),
    );
    if (chosen.length === 0) return MISSED;
    for (const token of chosen.reverse()) {
      const status = this.tokens[token]?.statuses[index] ?? MISSED;
      if (status !== VERIFIED) return status;
      this.accept(index, provider, token);
    }
    return VERIFIED;
  }

  private accept(index: number, provider: Provider, token: number): void {
    const { forwardPayloadHeader, claimToHeaders = [], forward } = provider;
    if (forwardPayloadHeader !== undefined) this.outputs.push({ header: forwardPayloadHeader, token });
    for (const { headerName, claimName } of claimToHeaders)
      this.outputs.push({ header: headerName, token, claim: claimName });
    if (forwardPayloadHeader !== undefined || claimToHeaders.length > 0) this.wrote = true;
    if (!forward) {
      this.remove((this.tokens[token] as PlacedToken).place);
      this.changed = true;
    }
    this.verified = token;
    this.provider = index;
  }

  private remove(place: Place): void {
    if (place.kind === "cookie") return;
    (place.kind === "header" ? this.removedHeaders : this.removedParams).add(place.name);
    for (const [i, { place: other }] of this.tokens.entries()) {
      const isInCookies = other.kind === "cookie" && place.kind === "header" && place.name === "cookie";
      if (isInCookies || (other.kind === place.kind && other.name === place.name)) this.present[i] = false;
    }
  }
}

/** Envoy's choice among the failures of an any-of (authenticator.ts, prefer). */
function prefer(final: Status, status: Status): Status {
  const isTelling = status !== MISSED && status !== UNKNOWN_ISSUER;
  return isTelling || final === MISSED ? status : final;
}

/** The status code of a refusal. */
export function statusCodeOf(refusal: Status): number {
  return refusal === WRONG_AUDIENCE ? 403 : 401;
}
