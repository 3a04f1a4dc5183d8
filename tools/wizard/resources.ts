/** Converts a gateway's answers to the two Istio resources, as a person would write them. */
import { type Reasons, toBareYaml } from "../render/yaml.ts";

/** Where a request carries the token. */
export interface TokenLocation {
  kind: "header" | "parameter" | "cookie";
  name: string;
  /** Of a header's value, before the token. */
  prefix?: string;
}

/** Selects requests: those for which every non-empty list has a match. */
export interface Match {
  paths: string[];
  hosts: string[];
  methods: string[];
}

/** Which requests need a token. */
export type Scope = "all" | "matched" | "unmatched";

/** Who issues tokens, and where a request carries one. */
export interface Issuer {
  issuer: string;
  /** None: a token for any audience is accepted. */
  audiences: string[];
  /** A key set's JSON, or its URL; neither: discovered from the issuer. */
  keys: { jwks?: string; jwksUri?: string };
  /** None: `DEFAULT_LOCATION`. */
  locations: TokenLocation[];
}

/**
 * If a rule names no location, Istio also takes tokens from the query parameter access_token, and URLs are kept in
 * logs. So a location is always written.
 */
export const DEFAULT_LOCATION: TokenLocation = { kind: "header", name: "Authorization", prefix: "Bearer " };

/** A value that a claim must have. */
export interface ClaimValue {
  /** A claim, or names in brackets for a value inside of objects: `[realm_access][roles]`. */
  name: string;
  /** Exact, or a pattern: `x*`, `*x`, `*`. */
  value: string;
}

export interface Answers {
  /** Of both resources; the policy's gets an ending. */
  name: string;
  /** Absent: the namespace of `kubectl -n`. */
  namespace?: string;
  /** Of the workloads; absent: all of the namespace. */
  labels?: Record<string, string>;
  /** A Gateway of the Gateway API, instead of labels. */
  gateway?: string;
  /** At least one. */
  issuers: Issuer[];
  /** Whether the upstream receives the token. */
  forward: boolean;
  /** Header that gets the whole payload. */
  payloadHeader?: string;
  claimHeaders: { header: string; claim: string }[];
  scope: Scope;
  match: Match;
  /** A token must have all of them in its claim scope. */
  scopes: string[];
  /** Of the values of one claim, a token must have one. */
  claims: ClaimValue[];
}

/** The two resources. */
export function makeResources(answers: Answers): object[] {
  return [requestAuthentication(answers), authorizationPolicy(answers)];
}

/** The resources as YAML, ready for `compile` and for `kubectl apply`. */
export function renderResources(answers: Answers): string {
  return toBareYaml(makeResources(answers), { reasons: REASONS, shortLists: true });
}

function requestAuthentication(answers: Answers): object {
  return {
    apiVersion: "security.istio.io/v1",
    kind: "RequestAuthentication",
    metadata: metadata(answers, answers.name),
    spec: { ...target(answers), jwtRules: answers.issuers.map((issuer) => jwtRule(issuer, answers)) },
  };
}

function jwtRule({ issuer, audiences, keys, locations }: Issuer, answers: Answers): object {
  const { forward, payloadHeader, claimHeaders } = answers;
  const written = locationsOf(locations);
  const headers = written.filter(({ kind }) => kind === "header");
  const names = (wanted: TokenLocation["kind"]) =>
    written.filter(({ kind }) => kind === wanted).map(({ name }) => name);
  const [params, cookies] = [names("parameter"), names("cookie")];
  return {
    issuer,
    ...(audiences.length > 0 && { audiences }),
    ...(keys.jwks !== undefined && { jwks: keys.jwks }),
    ...(keys.jwksUri !== undefined && { jwksUri: keys.jwksUri }),
    ...(headers.length > 0 && {
      fromHeaders: headers.map(({ name, prefix }) => ({ name, ...(prefix && { prefix }) })),
    }),
    ...(params.length > 0 && { fromParams: params }),
    ...(cookies.length > 0 && { fromCookies: cookies }),
    ...(forward && { forwardOriginalToken: true }),
    ...(payloadHeader !== undefined && { outputPayloadToHeader: payloadHeader }),
    ...(claimHeaders.length > 0 && { outputClaimToHeaders: claimHeaders }),
  };
}

/** Where a request may carry a token of an issuer. */
export function locationsOf(locations: readonly TokenLocation[]): readonly TokenLocation[] {
  return locations.length > 0 ? locations : [DEFAULT_LOCATION];
}

/**
 * Authentication alone lets a request without a token pass, so a policy denies it. A DENY refuses whatever other ALLOW
 * policies allow, and needs none of its own. Each condition is a separate rule, because one that matches is enough to
 * deny.
 */
function authorizationPolicy(answers: Answers): object {
  const operations = operationsOf(answers);
  const to = operations.length > 0 && { to: operations.map((operation) => ({ operation })) };
  return {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: metadata(answers, `${answers.name}-require-token`),
    spec: {
      ...target(answers),
      action: "DENY",
      rules: [
        { from: [{ source: { notRequestPrincipals: ["*"] } }], ...to },
        ...conditionsOf(answers).map(({ name, values }) => ({
          ...to,
          when: [{ key: `request.auth.claims${brackets(name)}`, notValues: values }],
        })),
      ],
    },
  };
}

/** What a token must have: for each entry one of the values. */
export function conditionsOf({ scopes, claims }: Answers): { name: string; values: string[] }[] {
  const byName = new Map<string, string[]>();
  for (const { name, value } of claims) {
    const key = brackets(name);
    byName.set(key, [...(byName.get(key) ?? []), value]);
  }
  return [
    ...[...new Set(scopes)].map((scope) => ({ name: "[scope]", values: [scope] })),
    ...[...byName].map(([name, values]) => ({ name, values: [...new Set(values)] })),
  ];
}

function brackets(claim: string): string {
  return claim.startsWith("[") ? claim : `[${claim}]`;
}

/**
 * One operation has all its conditions; of several, one is enough. Not (paths and hosts) means not paths, or not hosts.
 */
function operationsOf({ scope, match }: Answers): object[] {
  if (scope === "all") return [];
  const { methods } = match;
  const paths = scope === "matched" ? [...new Set(match.paths.flatMap(withSlash))] : match.paths;
  const hosts = match.hosts.flatMap((host) => spellings(host, scope === "matched"));
  const lists = [
    { name: "paths", not: "notPaths", values: paths },
    { name: "hosts", not: "notHosts", values: hosts },
    { name: "methods", not: "notMethods", values: methods },
  ].filter(({ values }) => values.length > 0);
  return scope === "matched"
    ? [Object.fromEntries(lists.map(({ name, values }) => [name, values]))]
    : lists.map(({ not, values }) => ({ [not]: values }));
}

/** Many services answer `/a/` as they answer `/a`, so both spellings are denied. */
function withSlash(path: string): string[] {
  return /^\/[^*{}]*[^*{}/]$/.test(path) ? [path, `${path}/`] : [path];
}

/**
 * A client may append a port to the host, or a dot to the name, and would then ask for another host.
 *
 * @param dotted whether a host that ends in a dot is included, as it must be if hosts are denied
 */
function spellings(host: string, dotted: boolean): string[] {
  const [, name, port = ""] = /^([^:[\]]*[^:[\].*])(:.*)?$/.exec(host) ?? [];
  const names = name !== undefined && dotted ? [host, `${name}.${port}`] : [host];
  return host.includes(":") || host.includes("*") ? names : names.flatMap((one) => [one, `${one}:*`]);
}

function metadata({ namespace }: Answers, name: string): object {
  return { name, ...(namespace !== undefined && { namespace }) };
}

function target({ labels, gateway }: Answers): object {
  return {
    ...(labels !== undefined && { selector: { matchLabels: labels } }),
    ...(gateway !== undefined && {
      targetRefs: [{ group: "gateway.networking.k8s.io", kind: "Gateway", name: gateway }],
    }),
  };
}

/** The reasons for the policy's values, by the names of the members. */
const REASONS: Reasons = {
  notRequestPrincipals: "Without a verified token there is no principal.",
  paths: "Many services answer /a/ as they answer /a.",
  notValues: "A token without one of these values is refused, and so is a request without a token.",
  hosts: "A client may name a port, or end the name in a dot.",
  notHosts: "A client may name a port.",
};
