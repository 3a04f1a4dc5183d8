/** Finds faults of answers. The terminal and the console's page check each answer while it is typed. */
import { review } from "../check/review.ts";
import { oneLine } from "../diagnostics.ts";
import { InvalidValue } from "../values.ts";
import {
  type Answers,
  type ClaimValue,
  type Issuer,
  renderResources,
  type Scope,
  type TokenLocation,
} from "./resources.ts";

/** A header for the service, and the claim that it gets. */
export type ClaimHeader = Answers["claimHeaders"][number];

/** `NAME=VALUE`; a name in brackets selects a member of an object. @throws {InvalidValue} */
export function parseClaim(text: string): ClaimValue {
  const [, name, value] = /^(\[[^=]+\]|[^=[\]]+)=(.+)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined)
    throw new InvalidValue("Write NAME=VALUE, such as role=admin or '[realm_access][roles]=admin'.");
  return { name, value };
}

/** `NAME` or `NAME:PREFIX`; the prefix with its space, as it is before the token. @throws {InvalidValue} */
export function parseHeader(text: string): TokenLocation {
  const [, name, prefix] = /^([^:\s]+)(?::(.*))?$/s.exec(text) ?? [];
  if (name === undefined) throw new InvalidValue("Write NAME or 'NAME:PREFIX ', such as 'x-auth:Token '.");
  return { kind: "header", name, ...(prefix && { prefix }) };
}

/** `HEADER=CLAIM`. @throws {InvalidValue} */
export function parseClaimHeader(text: string): ClaimHeader {
  const [, header, claim] = /^([^=\s]+)=(\S+)$/.exec(text) ?? [];
  if (header === undefined || claim === undefined)
    throw new InvalidValue("Write HEADER=CLAIM, such as x-user=sub.");
  return { header, claim };
}

/**
 * A path or a pattern: no request has another, so the resource would compile and never match. @throws
 * {InvalidValue}
 */
export function parsePath(text: string): string {
  if (/^[/*]/.test(text)) return text;
  throw new InvalidValue("Write a path that begins with / or *, such as /healthz, /public/* or */health.");
}

/** A method: policies compare methods with their case. */
export function parseMethod(text: string): string {
  return text.toUpperCase();
}

/** A parser's message about a text; undefined if it has none. */
export function faultOfText(parse: (text: string) => unknown, text: string): string | undefined {
  try {
    parse(text);
    return undefined;
  } catch (error) {
    if (error instanceof InvalidValue) return error.message;
    throw error;
  }
}

/** A label of DNS (RFC 1123), which every name in Kubernetes may be. */
export function faultOfName(text: string): string | undefined {
  if (/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(text)) return undefined;
  return "Write lower-case letters, digits and -, at most 63 characters.";
}

/** A valid issuer. */
const DRAFT_ISSUER: Issuer = { issuer: "https://idp.example.com", audiences: [], keys: {}, locations: [] };

/** Valid answers, to find the faults of one more. */
const DRAFT: Answers = {
  name: "draft",
  issuers: [DRAFT_ISSUER],
  forward: false,
  claimHeaders: [],
  scopes: [],
  claims: [],
  scope: "all",
  match: { paths: [], hosts: [], methods: [] },
};

/** The compiler's message about some answers, among others that are valid. */
export function faultOf(answers: Partial<Answers>): string | undefined {
  const text = renderResources({ ...DRAFT, ...answers });
  const { diagnostics } = review([{ name: "<new>", text }]);
  const error = diagnostics.find(({ severity }) => severity === "error");
  return error && oneLine(error.message);
}

/** The same, of an issuer. */
export function faultOfIssuer(issuer: Partial<Issuer>): string | undefined {
  return faultOf({ issuers: [{ ...DRAFT_ISSUER, ...issuer }] });
}

/** Of an issuer's name, wherever its keys are. */
export function faultOfIssuerName(issuer: string): string | undefined {
  if (issuer === "") return "Write what the claim iss has, such as https://idp.example.com";
  return faultOfIssuer({ issuer, keys: { jwksUri: "https://idp.example.com/jwks.json" } });
}

/** Whether an issuer's keys can be found by its discovery document. */
export function isDiscoverable(issuer: string): boolean {
  return issuer.startsWith("https://") && faultOfIssuer({ issuer }) === undefined;
}

/** Of a location that a token may have. */
export function faultOfLocation(location: TokenLocation): string | undefined {
  return location.name === "" ? "Write its name." : faultOfIssuer({ locations: [location] });
}

/** Of paths, hosts or methods that requests are matched by. */
export function faultOfMatch(scope: Scope, match: Partial<Answers["match"]>): string | undefined {
  const bad = match.paths?.map((path) => faultOfText(parsePath, path)).find((fault) => fault !== undefined);
  if (bad !== undefined) return bad;
  const all = { paths: [], hosts: [], methods: [], ...match };
  const isEmpty = Object.values(all).every((values) => values.length === 0);
  return isEmpty ? undefined : faultOf({ scope, match: all });
}
