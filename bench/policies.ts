/** Istio policies of any number of rules, and the requests that they allow. */
import { type CompileResult, compile } from "../tools/compile.ts";
import type { Configuration } from "../tools/config/schema.ts";
import { formatDiagnostic } from "../tools/diagnostics.ts";
import { ISSUER } from "./tokens.ts";

export const SHAPES = ["exact", "prefix", "header", "mix"] as const;
/** The kind of conditions in a policy's rules. */
export type Shape = (typeof SHAPES)[number];

/** The decisive parts of a request: its path, and headers besides those that every request has. */
export interface Target {
  path: string;
  host: string;
  headers: Record<string, string>;
}

export const HOST = "bench.example";

interface RuleMaker {
  /** The rule without the principal, which every rule asks for. */
  rule: object;
  /** A request that only this rule allows. */
  target: Partial<Target>;
}

const MAKERS: Record<Exclude<Shape, "mix">, (name: string) => RuleMaker> = {
  exact: (name) => ({
    rule: { to: [{ operation: { paths: [`/api/v1/${name}`] } }] },
    target: { path: `/api/v1/${name}` },
  }),
  prefix: (name) => ({
    rule: { to: [{ operation: { paths: [`/api/v1/${name}/*`] } }] },
    target: { path: `/api/v1/${name}/items/7` },
  }),
  header: (name) => ({
    rule: { when: [{ key: "request.headers[x-tenant]", values: [name] }] },
    target: { headers: { "x-tenant": name } },
  }),
};

/** Every kind of condition in turn, several of them in one rule. */
const MIX: readonly ((name: string) => RuleMaker)[] = [
  MAKERS.exact,
  MAKERS.prefix,
  MAKERS.header,
  (name) => ({
    rule: {
      to: [{ operation: { hosts: [`${name}.example`], methods: ["GET", "HEAD"], notPaths: ["/admin/*"] } }],
    },
    target: { host: `${name}.example` },
  }),
  (name) => ({
    rule: {
      to: [{ operation: { paths: [`*/${name}.json`], methods: ["GET"] } }],
      when: [{ key: "request.auth.claims[groups]", values: ["staff", "admin"] }],
    },
    target: { path: `/files/${name}.json` },
  }),
  (name) => ({
    rule: {
      to: [{ operation: { paths: [`/teams/{*}/${name}/{**}`] } }],
      when: [{ key: "request.headers[x-stage]", notValues: ["closed"] }],
    },
    target: { path: `/teams/blue/${name}/board` },
  }),
];

function makerOf(shape: Shape, index: number): RuleMaker {
  const make = shape === "mix" ? MIX[index % MIX.length] : MAKERS[shape];
  return (make ?? MAKERS.exact)(`resource-${index}`);
}

/** How many rules Istio allows in one policy. */
const RULES_OF_A_POLICY = 512;

/** The policies as Kubernetes would store them: trusted issuers, and allowed requests. */
function resources(jwks: string, shape: Shape, rules: number): object[] {
  const apiVersion = "security.istio.io/v1";
  const metadata = { name: "bench", namespace: "bench" };
  const from = [{ source: { requestPrincipals: [`${ISSUER}/*`] } }];
  const policies = Array.from({ length: Math.ceil(rules / RULES_OF_A_POLICY) }, (_, policy) => {
    const first = policy * RULES_OF_A_POLICY;
    const length = Math.min(RULES_OF_A_POLICY, rules - first);
    return {
      apiVersion,
      kind: "AuthorizationPolicy",
      metadata: { ...metadata, name: `bench-${policy}` },
      spec: {
        action: "ALLOW",
        rules: Array.from({ length }, (_, i) => ({ from, ...makerOf(shape, first + i).rule })),
      },
    };
  });
  const jwtRules = [{ issuer: ISSUER, jwks }];
  return [{ apiVersion, kind: "RequestAuthentication", metadata, spec: { jwtRules } }, ...policies];
}

/** The filter's configuration for `count` rules of that shape. */
export function compilePolicy(jwks: string, shape: Shape, rules: number): Configuration {
  const text = resources(jwks, shape, rules)
    .map((resource) => JSON.stringify(resource))
    .join("\n---\n");
  const result: CompileResult = compile([{ name: "bench.yaml", text }]);
  if (result.configuration === undefined) {
    throw new Error(result.diagnostics.map((diagnostic) => formatDiagnostic(diagnostic)).join("\n"));
  }
  return result.configuration;
}

/** At most 64 requests, each allowed by another rule, spread evenly over all rules. */
export function targets(shape: Shape, rules: number): Target[] {
  const count = Math.min(rules, 64);
  return Array.from({ length: count }, (_, i) => ({
    path: "/",
    host: HOST,
    headers: {},
    ...makerOf(shape, Math.floor((i * rules) / count)).target,
  }));
}

/** The bytes of a request with that token, as a client with few headers sends it. */
export function requestBytes({ path, host, headers }: Target, token: string): Buffer {
  const lines = [
    `GET ${path} HTTP/1.1`,
    `Host: ${host}`,
    "User-Agent: jwtgate-bench/1",
    "Accept: application/json",
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    `Authorization: Bearer ${token}`,
  ];
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
}
