/**
 * The rules of CUSTOM policies, which Envoy's own RBAC evaluates (tools/render/rbac.ts): an authorizer is asked about a
 * request exactly if the module refuses it under the same rules in a DENY policy. Random rules and random requests in
 * one Envoy, where each request meets both.
 *
 * RANDOM_SEED, RANDOM_GATES and RANDOM_REQUESTS (for each gate) choose another run, or a longer one.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { compile, WHOLE_ENVOY } from "../../tools/compile.ts";
import { formatDiagnostic } from "../../tools/diagnostics.ts";
import type { Envoy } from "../../tools/envoy/process.ts";
import { cluster, listener } from "../../tools/render/bootstrap.ts";
import { renderExtAuthz } from "../../tools/render/ext-authz.ts";
import { Random } from "../fuzz/random.ts";
import { type Authorizer, startHttpAuthorizer } from "../support/authorizers.ts";
import { envoyMinorVersion, MODULE, startEnvoy } from "../support/envoy.ts";
import { Http1Client, type Http1Request } from "../support/http1.ts";
import { startUpstream, type Upstream } from "../support/upstream.ts";

const numberOf = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise);
const SEED = numberOf("RANDOM_SEED", 20_261_126);
const GATES = numberOf("RANDOM_GATES", 40);
const REQUESTS = numberOf("RANDOM_REQUESTS", 60);

/** Values of fields and keys, by their names: those that some request has, and others. */
const FIELDS = {
  source: {
    ipBlocks: ["127.0.0.1", "127.0.0.0/8", "127.0.0.2/31", "10.0.0.0/8", "::1"],
    remoteIpBlocks: ["127.0.0.1", "127.0.0.2", "9.9.9.9", "9.0.0.0/8", "2001:db8::/32"],
  },
  operation: {
    hosts: ["a.example", "A.Example", "*.example", "a.*", "*", "a.example:*", "b.example:80"],
    ports: ["0", "80", "65535"],
    methods: ["GET", "POST", "P*", "*T", "*", "get"],
    paths: ["/", "/a", "/a/*", "*/b", "*", "/a/{*}", "/a/{*}/c", "/{**}", "/a/b/c", "/A", "/a b", "/%2e"],
  },
  when: {
    "source.ip": ["127.0.0.1", "127.0.0.2/31", "10.0.0.0/8"],
    "remote.ip": ["127.0.0.1", "9.9.9.9/32", "9.0.0.0/8"],
    "destination.ip": ["127.0.0.1", "127.0.0.0/8", "10.0.0.1"],
    "destination.port": ["0", "80"],
    "connection.sni": ["a.example", "*"],
    "request.headers[x-a]": ["1", "1*", "*1", "*", "1,2"],
    "request.headers[X-B]": ["b", "*", "B"],
    "request.headers[host]": ["a.example", "*"],
    "request.headers[:method]": ["GET", "P*"],
  },
};

type Values = Record<string, string[]>;

/** Some fields with some of their values, plain and negated. */
function randomFields(random: Random, fields: Readonly<Values>): Values {
  const names = random.list(1, 3, () => random.pick(Object.keys(fields)));
  return Object.fromEntries(
    names.map((name) => {
      const values = random.list(1, 3, () => random.pick(fields[name] ?? []));
      const negated = `not${name[0]?.toUpperCase()}${name.slice(1)}`;
      return [random.oneIn(3) ? negated : name, [...new Set(values)]];
    }),
  );
}

function randomCondition(random: Random): object {
  const key = random.pick(Object.keys(FIELDS.when)) as keyof typeof FIELDS.when;
  const values = random.list(1, 2, () => random.pick(FIELDS.when[key]));
  return { key, [random.oneIn(3) ? "notValues" : "values"]: [...new Set(values)] };
}

function randomRule(random: Random): object {
  const list = <T>(name: string, make: () => T) =>
    random.oneIn(2) ? { [name]: random.list(1, 3, make) } : {};
  return {
    ...list("from", () => ({ source: randomFields(random, FIELDS.source) })),
    ...list("to", () => ({ operation: randomFields(random, FIELDS.operation) })),
    ...list("when", () => randomCondition(random)),
  };
}

/** A header that identifies the request. Neither rules nor clients use it. */
const NUMBER = "x-number";

/** @param repeats how often a header may be repeated */
function randomRequest(random: Random, repeats: number): Http1Request {
  const headers: [string, string][] = [];
  for (const [name, values] of Object.entries({
    "x-a": ["1", "12", "21", "1,2", "", "2"],
    "x-b": ["b", "B", "c"],
    "x-forwarded-for": ["9.9.9.9", "127.0.0.2", "2001:db8::1", "junk"],
  })) {
    for (let i = 0; i < repeats; i++) if (random.oneIn(3)) headers.push([name, random.pick(values)]);
  }
  return {
    method: random.pick(["GET", "POST", "PUT", "DELETE"]),
    path: random.pick([
      "/",
      "/a",
      "/a/b",
      "/a/b?q=/a",
      "/a/b/c",
      "/a//c",
      "/x/../a",
      "/A",
      "/a%20b",
      "/a/%2e/b",
    ]),
    authority: random.pick([
      "a.example",
      "A.EXAMPLE",
      "a.example:80",
      "b.example",
      "b.example:80",
      "example",
    ]),
    headers,
  };
}

const MODES = ["gateway", "sidecar"] as const;

let envoy: Envoy;
let upstream: Upstream;
let authorizer: Authorizer;
const rules: object[][] = [];

beforeAll(async () => {
  upstream = await startUpstream();
  authorizer = await startHttpAuthorizer(() => ({ allow: true }));
  const random = new Random(SEED);
  for (let i = 0; i < GATES; i++) rules.push(random.list(1, 3, () => randomRule(random)));
  const gates = rules.map((own, i) => gateOf(own, i));
  envoy = await startEnvoy({
    listeners: gates.map((gate) => gate.listener),
    clusters: [
      cluster({ name: "upstream", address: { host: "127.0.0.1", port: upstream.port } }),
      ...gates.flatMap((gate) => gate.clusters),
    ],
  });
});
afterAll(async () => {
  await envoy?.stop();
  await upstream?.close();
  await authorizer?.close();
});

/** A listener whose authorizer and whose filter have the same rules. */
function gateOf(own: readonly object[], index: number) {
  const name = `p${index}`;
  const policies = [
    { metadata: { name: "asked" }, spec: { action: "CUSTOM", provider: { name }, rules: own } },
    { metadata: { name: "denied" }, spec: { action: "DENY", rules: own } },
  ];
  const text = policies
    .map((policy) =>
      JSON.stringify({ apiVersion: "security.istio.io/v1", kind: "AuthorizationPolicy", ...policy }),
    )
    .join("\n---\n");
  const provider = {
    service: "127.0.0.1",
    port: authorizer.port,
    includeRequestHeadersInCheck: [NUMBER],
  };
  const mesh = { extensionProviders: [{ name, envoyExtAuthzHttp: provider }] };
  const { workloads, diagnostics } = compile([{ name: "policies.yaml", text }], {
    target: WHOLE_ENVOY,
    meshConfig: { name: "mesh.json", text: JSON.stringify(mesh) },
  });
  const [workload] = workloads;
  if (workload === undefined) throw new Error(diagnostics.map(formatDiagnostic).join("\n"));
  const { filters, clusters } = renderExtAuthz(workload.custom);
  return {
    clusters,
    listener: listener({
      name: `gate-${index}`,
      address: { host: "127.0.0.1", port: 0 },
      mode: MODES[index % 2] ?? "gateway",
      module: MODULE,
      configuration: workload.configuration,
      filtersBefore: filters,
      cluster: "upstream",
      accessLog: false,
    }),
  };
}

test(`${GATES} random CUSTOM policies call the authorizer for the requests that the module matches, ${REQUESTS} requests each`, async () => {
  const random = new Random(SEED + 1);
  // Envoy before 1.38 joins the values of a repeated header before RBAC compares them; the module never does.
  const repeats = (await envoyMinorVersion()) >= 38 ? 2 : 1;
  let asked = 0;
  for (const [index, own] of rules.entries()) {
    const client = new Http1Client({ host: "127.0.0.1", port: await envoy.portOf(`gate-${index}`) });
    try {
      for (let i = 0; i < REQUESTS; i++) {
        const request = randomRequest(random, repeats);
        const number = `${index}-${i}`;
        const headers = [...(request.headers ?? []), [NUMBER, number] as const];
        const before = authorizer.checks.length;
        const { status } = await client.request({ ...request, headers });
        const checks = authorizer.checks.slice(before).map((check) => check.headers[NUMBER]);
        expect([200, 403]).toContain(status);
        expect({ own, request, checks }).toEqual({ own, request, checks: status === 403 ? [number] : [] });
        if (status === 403) asked++;
      }
    } finally {
      client.close();
    }
  }
  // Rules that match everything or nothing would prove little.
  expect(asked).toBeGreaterThan((GATES * REQUESTS) / 5);
  expect(asked).toBeLessThan((GATES * REQUESTS * 4) / 5);
});
