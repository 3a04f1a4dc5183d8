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

export interface Answers {
  /** Of both resources; the policy's gets an ending. */
  name: string;
  /** Absent: whatever `kubectl -n` says. */
  namespace?: string;
  /** Of the workloads; absent: all of the namespace. */
  labels?: Record<string, string>;
  /** A Gateway of the Gateway API, in the place of labels. */
  gateway?: string;
  issuer: string;
  audiences: string[];
  /** A key set's JSON, or its URL; neither: discovered from the issuer. */
  keys: { jwks?: string; jwksUri?: string };
  /** None: `Authorization: Bearer` and the parameter access_token, as Istio has it. */
  places: TokenPlace[];
  /** Whether the upstream gets the token. */
  forward: boolean;
  /** Header that gets the whole payload. */
  payloadHeader?: string;
  claimHeaders: { header: string; claim: string }[];
  scope: Scope;
  match: Match;
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
  const { issuer, audiences, keys, forward, payloadHeader, claimHeaders, places } = answers;
  const headers = places.filter(({ kind }) => kind === "header");
  const names = (wanted: TokenPlace["kind"]) =>
    places.filter(({ kind }) => kind === wanted).map(({ name }) => name);
  const [params, cookies] = [names("parameter"), names("cookie")];
  return {
    apiVersion: "security.istio.io/v1",
    kind: "RequestAuthentication",
    metadata: metadata(answers, answers.name),
    spec: {
      ...target(answers),
      jwtRules: [
        {
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
        },
      ],
    },
  };
}

/**
 * Authentication alone lets a request without a token pass, so a policy denies it. A DENY refuses whatever other ALLOW
 * policies say, and needs none beside it.
 */
function authorizationPolicy(answers: Answers): object {
  const operations = operationsOf(answers);
  return {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: metadata(answers, `${answers.name}-require-token`),
    spec: {
      ...target(answers),
      action: "DENY",
      rules: [
        {
          from: [{ source: { notRequestPrincipals: ["*"] } }],
          ...(operations.length > 0 && { to: operations.map((operation) => ({ operation })) }),
        },
      ],
    },
  };
}

/** One operation has all its conditions; of several, one is enough. Not (paths and hosts) is not paths, or not hosts. */
function operationsOf({ scope, match }: Answers): object[] {
  if (scope === "all") return [];
  const { paths, methods } = match;
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

/**
 * Hosts that need no token after all where a request names a port: Istio has no pattern for an end with any port.
 */
export function hostsOpenByPort({ scope, match }: Answers): string[] {
  return scope === "matched" ? match.hosts.filter((host) => /^\*.*[^*]$/.test(host)) : [];
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
  hosts: "A client may name a port, or end the name in a dot.",
  notHosts: "A client may name a port.",
};
