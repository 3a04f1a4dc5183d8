/** A gateway's answers → the two Istio resources, as a person would write them. */
import { type Reasons, toBareYaml } from "../render/yaml.ts";

/** Where a request carries the token. */
export interface TokenPlace {
  kind: "header" | "parameter" | "cookie";
  name: string;
  /** Of a header's value, before the token. */
  prefix?: string;
}

/** What requests are meant: those of which every list that is not empty has a match. */
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
  /** None: a token for any audience will do. */
  audiences: string[];
  /** A key set's JSON, or its URL; neither: discovered from the issuer. */
  keys: { jwks?: string; jwksUri?: string };
  /** None: `DEFAULT_PLACE`. */
  places: TokenPlace[];
}

/**
 * Istio takes tokens from the query parameter access_token too if a rule names no place, and URLs are kept in logs. So a
 * place is always written.
 */
export const DEFAULT_PLACE: TokenPlace = { kind: "header", name: "Authorization", prefix: "Bearer " };

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
  /** Absent: whatever `kubectl -n` says. */
  namespace?: string;
  /** Of the workloads; absent: all of the namespace. */
  labels?: Record<string, string>;
  /** A Gateway of the Gateway API, in the place of labels. */
  gateway?: string;
  /** At least one. */
  issuers: Issuer[];
  /** Whether the upstream gets the token. */
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

function jwtRule({ issuer, audiences, keys, places }: Issuer, answers: Answers): object {
  const { forward, payloadHeader, claimHeaders } = answers;
  const written = placesOf(places);
  const headers = written.filter(({ kind }) => kind === "header");
  const names = (wanted: TokenPlace["kind"]) =>
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
export function placesOf(places: readonly TokenPlace[]): readonly TokenPlace[] {
  return places.length > 0 ? places : [DEFAULT_PLACE];
}

/**
 * Authentication alone lets a request without a token pass, so a policy denies it. A DENY refuses whatever other ALLOW
 * policies say, and needs none beside it. Each condition is a rule of its own, because one that matches is enough to deny.
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

/** One operation has all its conditions; of several, one is enough. Not (paths and hosts) is not paths, or not hosts. */
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

/** Many services answer `/a/` as they answer `/a`, so what is denied is denied in both spellings. */
function withSlash(path: string): string[] {
  return /^\/[^*{}]*[^*{}/]$/.test(path) ? [path, `${path}/`] : [path];
}

/**
 * A client may name a port after the host, or end the name in a dot, and would be another host then.
 *
 * @param dotted whether a host that ends in a dot is meant too, as it is if hosts are denied
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

/** Why the policy says what it says, by the members' names. */
const REASONS: Reasons = {
  notRequestPrincipals: "Without a verified token there is no principal.",
  paths: "Many services answer /a/ as they answer /a.",
  notValues: "A token without one of these values is refused, and so is a request without a token.",
  hosts: "A client may name a port, or end the name in a dot.",
  notHosts: "A client may name a port.",
};
