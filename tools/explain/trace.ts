/** The traced module's events for one request, put together. Nothing is decided here. */
import { latin1Encode, utf8Decode } from "../host/bytes.ts";
import {
  decodeEvent,
  KEY_OUTCOMES,
  KEY_TYPES,
  LOCATION_KINDS,
  RULE_SETS,
  STATUS,
  type TraceEvent,
} from "./events.ts";

/** A JSON object: a token's header, or its claims. */
export type Claims = Record<string, unknown>;

/** Where a token is searched for. */
export interface Location {
  kind: "header" | "parameter" | "cookie";
  /** In lower case for a header. */
  name: string;
  /** "" if the token is the whole value. */
  prefix: string;
}

/** The result for a token, a provider or authentication as a whole. */
export interface Result {
  /** A number of the module's Status. */
  status: number;
  /** The body of a refusal; "" if there is none. */
  refusal: string;
}

/** A key that was considered for a token. */
export interface TracedKey {
  /** Among the usable keys of its set, from 0. */
  index: number;
  kid: string;
  kty: string;
  alg: string;
  /** How many keys were tried before. */
  tried: number;
  outcome: (typeof KEY_OUTCOMES)[number];
}

/** A token that one provider checked. The token itself is not included. */
export interface TracedToken extends Result {
  place: Location;
  /** Of the token, in bytes; and the longest that is read. */
  length: number;
  limit: number;
  /** If it does not have the form of a JWS: how many segments it has, and the first empty one, from 0, or -1. */
  form?: { sections: number; empty: number };
  /** Absent if the token cannot be read. */
  content?: { header: Claims; claims: Claims };
  /** It was verified before, so that no key was tried. */
  remembered: boolean;
  keys: TracedKey[];
}

/** A provider that was asked. */
export interface TracedProvider extends Result {
  /** In the configuration. */
  index: number;
  /** Where it looks, in that order. */
  places: Location[];
  /** The tokens that it checked, in that order. */
  tokens: TracedToken[];
}

export interface TracedAuthentication extends Result {
  /** A CORS preflight is not authenticated. */
  preflight: boolean;
  /** In the order in which they were asked; one whose tokens changed in between is there twice. */
  providers: TracedProvider[];
  /** Whose token policies see; -1 if there is none. */
  verifiedBy: number;
}

export interface TracedRule {
  id: string;
  matched: boolean;
  /** Whether the filter evaluated it: after a refusal and after the first match, the rest is skipped. */
  asked: boolean;
}

export interface TracedRuleSet {
  action: "AUDIT" | "DENY" | "ALLOW";
  dryRun: boolean;
  rules: TracedRule[];
}

export interface TracedPolicies {
  /** Claims as policies see them, with lists in place of strings with spaces; absent without a verified token. */
  claims?: Claims;
  /** The values that predicates were compared with, by field. Texts are latin-1. */
  seen: Map<string, string[]>;
  /** Values of the headers that predicates are about, by name, without those that may be secret. */
  headers: Map<string, string[]>;
  /** The names of headers that are present and may hold a secret. */
  hidden: Set<string>;
  /** Properties that were read from the host, by path, with dots between its segments. */
  properties: Map<string, string>;
  /** The predicates that hold. */
  held: Set<number>;
  /** In the order in which the filter evaluates them. */
  ruleSets: TracedRuleSet[];
  refused: boolean;
  /** The rule that decided; "" if none did. */
  ruleId: string;
}

export interface Trace {
  /** Absent if the configuration has no provider. */
  authentication?: TracedAuthentication;
  /** Absent if policies were not evaluated. */
  policies?: TracedPolicies;
}

/** Headers whose values may be secret, besides locations of tokens. */
const SECRET_HEADER = /^(authorization|proxy-authorization|cookie|set-cookie)$|token|secret|key|jwt|auth/;

/**
 * Puts the events of one request together.
 *
 * @param events as the module sent them; of a request that waited, all events of each attempt: the last attempt counts
 * @returns undefined if the module never saw the request
 */
export function readTrace(events: readonly Uint8Array[]): Trace | undefined {
  const decoded = events.map(decodeEvent);
  const begin = decoded.findLastIndex(({ event }) => event === "Begin");
  return begin < 0 ? undefined : new Reader(decoded.slice(begin)).trace;
}

class Reader {
  readonly trace: Trace = {};
  /** The claim that was read last and that policies see as a list. */
  private list = { claim: "", elements: [] as string[] };

  constructor(events: readonly TraceEvent[]) {
    for (const event of events) {
      if (this.trace.policies === undefined) this.authenticate(event);
      else this.authorize(event, this.trace.policies);
    }
  }

  private authenticate(event: TraceEvent): void {
    const provider = this.trace.authentication?.providers.at(-1);
    const token = provider?.tokens.at(-1);
    switch (event.event) {
      case "Preflight":
        this.authentication.preflight = true;
        break;
      case "Provider":
        this.authentication.providers.push({ index: event.index, places: [], tokens: [], ...OK });
        break;
      case "Location":
        provider?.places.push(locationOf(event));
        break;
      case "Token": {
        const { length, limit } = event;
        provider?.tokens.push({
          place: locationOf(event),
          length,
          limit,
          remembered: false,
          keys: [],
          ...OK,
        });
        break;
      }
      case "Malformed":
        if (token) token.form = { sections: event.sections, empty: event.empty };
        break;
      case "Content":
        if (token) token.content = { header: claimsOf(event.header), claims: claimsOf(event.claims) };
        break;
      case "Remembered":
        if (token) token.remembered = true;
        break;
      case "Key":
        token?.keys.push({
          index: event.index,
          kid: textOf(event.kid),
          kty: nameIn(KEY_TYPES, event.type).replace("Oct", "oct"),
          alg: event.algorithm,
          tried: event.tried,
          outcome: nameIn(KEY_OUTCOMES, event.outcome),
        });
        break;
      case "TokenEnd":
        if (token) Object.assign(token, resultOf(event));
        break;
      case "ProviderEnd":
        if (provider) Object.assign(provider, resultOf(event));
        break;
      case "Authenticated":
        Object.assign(this.authentication, resultOf(event), { verifiedBy: event.provider });
        break;
      case "Policies":
        this.trace.policies = {
          seen: new Map(),
          headers: new Map(),
          hidden: new Set(),
          properties: new Map(),
          held: new Set(),
          ruleSets: [],
          refused: false,
          ruleId: "",
        };
        break;
    }
  }

  private get authentication(): TracedAuthentication {
    this.trace.authentication ??= { preflight: false, providers: [], verifiedBy: -1, ...OK };
    return this.trace.authentication;
  }

  /** Whether a header may hold a token or another secret. */
  private isSecret(header: string): boolean {
    const places = (this.trace.authentication?.providers ?? []).flatMap((provider) => provider.places);
    return (
      SECRET_HEADER.test(header) || places.some(({ kind, name }) => kind === "header" && name === header)
    );
  }

  private authorize(event: TraceEvent, policies: TracedPolicies): void {
    const { seen, headers, hidden, properties, held, ruleSets } = policies;
    switch (event.event) {
      case "Seen": {
        const { name, value } = event;
        if (name === "") append(seen, event.field, value);
        else if (this.isSecret(name)) hidden.add(name);
        else append(headers, name, value);
        break;
      }
      case "Property":
        properties.set(event.path.replaceAll("\0", "."), event.value);
        break;
      case "Payload":
        policies.claims = claimsOf(event.claims);
        break;
      case "List":
        this.list = { claim: textOf(event.claim), elements: [] };
        break;
      case "Element":
        // If no element follows, the claim stays a string.
        this.list.elements.push(textOf(event.element));
        policies.claims = { ...policies.claims, [this.list.claim]: this.list.elements };
        break;
      case "Holds":
        held.add(event.predicate);
        break;
      case "RuleSet":
        ruleSets.push({ ...ruleSetOf(nameIn(RULE_SETS, event.ruleSet)), rules: [] });
        break;
      case "Rule": {
        const { id, matched, asked } = event;
        ruleSets.at(-1)?.rules.push({ id, matched: matched === 1, asked: asked === 1 });
        break;
      }
      case "Decision":
        policies.refused = event.refused === 1;
        policies.ruleId = event.rule;
        break;
    }
  }
}

const OK: Result = { status: STATUS.Ok, refusal: "" };

function append(lists: Map<string, string[]>, name: string, value: string): void {
  lists.set(name, [...(lists.get(name) ?? []), value]);
}

function ruleSetOf(name: (typeof RULE_SETS)[number]): Omit<TracedRuleSet, "rules"> {
  const dryRun = name.startsWith("DryRun");
  return { action: name.replace("DryRun", "").toUpperCase() as TracedRuleSet["action"], dryRun };
}

function locationOf({ kind, name, prefix }: { kind: number; name: string; prefix: string }): Location {
  return {
    kind: nameIn(LOCATION_KINDS, kind).toLowerCase() as Location["kind"],
    name: textOf(name),
    prefix: textOf(prefix),
  };
}

/** @param body of the refusal; "" if it names a claim, and so differs from token to token */
function resultOf({ status, body, claim }: { status: number; body: string; claim: string }): Result {
  switch (status) {
    case STATUS.JwtClaimNotHeaderValue:
      return { status, refusal: `Jwt claim [${textOf(claim)}] is not a valid header value` };
    case STATUS.JwtClaimMissing:
      return { status, refusal: `Jwt payload [${textOf(claim)}] field is required` };
    default:
      return { status, refusal: body };
  }
}

/** A token's JSON, which the module has parsed; `null` counts as an object without members. */
function claimsOf(json: string): Claims {
  return (JSON.parse(textOf(json)) ?? {}) as Claims;
}

/** Text from bytes. */
function textOf(bytes: string): string {
  return utf8Decode(latin1Encode(bytes));
}

function nameIn<T extends string>(names: readonly T[], number: number): T {
  const name = names[number];
  if (name === undefined) throw new RangeError(`the traced module sent the unknown number ${number}`);
  return name;
}
