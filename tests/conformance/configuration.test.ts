/** How the filter handles configurations, valid and invalid, in the project's own host. */

import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { parseDocument } from "yaml";
import type { Configuration } from "../../tools/config/schema.ts";
import type { Host } from "../../tools/host/host.ts";
import { createNodeHost } from "../../tools/host/node.ts";
import { printResources } from "../../tools/render/resources.ts";
import { renderWasmPlugin } from "../../tools/render/wasmplugin.ts";
import { compile } from "../../tools/targets/compile.ts";
import { configurationOf, isRefused, recordedCases } from "../support/cases.ts";
import { whole } from "../support/configuration.ts";
import { MODULE } from "../support/envoy.ts";
import { bearer, TestKey } from "../support/tokens.ts";

let module: WebAssembly.Module;
let host: Host;
beforeAll(async () => {
  module = await WebAssembly.compile(readFileSync(MODULE));
  host = await createNodeHost(module);
});

const key = TestKey.generate("ES256", "k");
const other = TestKey.generate("ES256", "k");

const configurationFor = (signer: TestKey): Configuration =>
  whole({
    providers: [
      {
        name: "origins-0",
        issuer: "https://issuer.example",
        localJwks: { keys: [signer.jwk as never] },
        fromHeaders: [{ name: "authorization", valuePrefix: "Bearer " }],
      },
    ],
  });

const statusOf = (token: string): number => {
  const { outcome } = host.send({ headers: [bearer(token)] });
  return outcome?.answer?.status ?? (outcome?.upstream ? 200 : 0);
};
const token = key.token({ iss: "https://issuer.example", sub: "s" });
const otherToken = other.token({ iss: "https://issuer.example", sub: "s" });

/** Loads an invalid configuration. @returns the reason in the log */
function refusal(configuration: unknown): string {
  const loaded = host.configure(configuration);
  expect(loaded.trapped).toBeUndefined();
  expect(loaded.accepted).toBe(false);
  return loaded.logs.map(({ message }) => message).join("\n");
}

describe("a bad configuration is refused with the place of its fault", () => {
  const good = configurationFor(key);
  const manyKeys = (count: number) => ({
    ...good,
    providers: [{ ...good.providers?.[0], localJwks: { keys: Array(count).fill(key.jwk) } }],
  });

  test.each<[string, unknown, RegExp]>([
    ["nothing", "", /configuration/],
    ["no JSON", "version: 1", /JSON/],
    ["a list", "[]", /object/],
    ["no version", {}, /lacks "version"/],
    ["an unknown version", { ...good, version: 2 }, /compile with jwtgate/],
    ["an unknown field", { ...good, provider: [] }, /\/provider\b/],
    ["a field twice", '{"version":1,"version":1}', /JSON/],
    [
      "a secret of another type",
      { ...good, providers: [{ ...good.providers?.[0], issuer: 5 }] },
      /\/providers\/0\/issuer/,
    ],
    ["no keys", manyKeys(0), /\/providers\/0\/localJwks/],
    ["a key set of a megabyte", manyKeys(8000), /\/providers\/0\/localJwks/],
    [
      "only unusable keys",
      {
        ...good,
        providers: [
          { ...good.providers?.[0], localJwks: { keys: [{ kty: "EC", crv: "P-256", x: "AA", y: "AA" }] } },
        ],
      },
      /\/providers\/0\/localJwks/,
    ],
    [
      "a rule that names no predicate",
      { ...good, authorization: { predicates: [], deny: { rules: [{ id: "r", condition: 0 }] } } },
      /\/authorization\/deny\/rules\/0\/condition/,
    ],
    ...[
      ":path",
      ":authority",
      "host",
      "X-Upper",
      "x a",
      "x:a",
      "x\u00e9",
      "content-length",
      "transfer-encoding",
    ].map((headerName): [string, unknown, RegExp] => [
      `the output header ${headerName}`,
      {
        ...good,
        providers: [{ ...good.providers?.[0], claimToHeaders: [{ headerName, claimName: "sub" }] }],
      },
      /\/providers\/0\/claimToHeaders\/0\/headerName: must/,
    ]),
    [
      "a payload header that frames the request",
      { ...good, providers: [{ ...good.providers?.[0], forwardPayloadHeader: "connection" }] },
      /\/providers\/0\/forwardPayloadHeader/,
    ],
    [
      "a payload header that looks like one",
      {
        ...good,
        removeLookalikes: true,
        providers: [{ ...good.providers?.[0], forwardPayloadHeader: "content_length" }],
      },
      /\/providers\/0\/forwardPayloadHeader/,
    ],
    [
      "tokens in the Host header",
      { ...good, providers: [{ ...good.providers?.[0], fromHeaders: [{ name: "host" }] }] },
      /\/providers\/0\/fromHeaders\/0\/name/,
    ],
    ["a limit with a fraction", { ...good, limits: { maxTokens: 2.5 } }, /\/limits\/maxTokens/],
    ...["prefix", "suffix"].map((kind): [string, unknown, RegExp] => [
      `an empty ${kind}, which every text has`,
      {
        ...good,
        authorization: {
          predicates: [{ path: { [kind]: "" } }],
          deny: { rules: [{ id: "r", condition: 0 }] },
        },
      },
      new RegExp(`/authorization/predicates/0/path/${kind}: must not be empty`),
    ]),
    ["deep nesting", `{"version":1,"providers":${"[".repeat(100_000)}`, /JSON/],
    ["bytes that are not UTF-8", Buffer.from('{"version":1,"compiler":"\xff"}', "latin1"), /JSON/],
  ])("%s", (_name, configuration, reason) => {
    expect(refusal(configuration)).toMatch(reason);
  });

  test("cut off anywhere", () => {
    const text = JSON.stringify(whole({ ...good, shadow: true }));
    for (let length = 0; length < text.length; length++) refusal(text.slice(0, length));
    expect(host.configure(text).accepted).toBe(true);
  });

  test("the old one stays in force", () => {
    expect(host.configure(configurationFor(key)).accepted).toBe(true);
    refusal({ ...configurationFor(other), version: 3 });
    expect([statusOf(token), statusOf(otherToken)]).toEqual([200, 401]);
  });

  test("no log line contains a secret", () => {
    const secret = TestKey.generate("HS256", "s");
    const spoiled = { ...configurationFor(secret), nonsense: true };
    expect(refusal(spoiled)).not.toContain(secret.jwk["k"]);
  });
});

describe("a configuration that lost a part is refused: it would allow requests that the whole configuration refuses", () => {
  const policies = `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: a}
spec: {jwtRules: [{issuer: a, jwks: '${key.jwks}'}, {issuer: b, jwks: '${key.jwks}'}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: a}
spec: {action: DENY, rules: [{to: [{operation: {paths: [/admin, /x*]}}]}, {to: [{operation: {methods: [PUT]}}]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: b, annotations: {istio.io/dry-run: "true"}}
spec: {action: DENY, rules: [{to: [{operation: {hosts: [a.example]}}]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: c}
spec: {rules: [{when: [{key: "request.auth.claims[a]", values: [b]}, {key: "request.headers[x]", notValues: ["1"]}]}]}
`;
  const { configuration, diagnostics } = compile([{ name: "a.yaml", text: policies }], { target: "envoy" });
  if (configuration === undefined) throw new Error(JSON.stringify(diagnostics));
  const { authorization, providers } = configuration;

  test.each<[string, unknown, string]>([
    [
      "all providers",
      { ...configuration, providers: undefined },
      "the compiler wrote 2 providers, but there are 0 here",
    ],
    [
      "a provider",
      { ...configuration, providers: providers?.slice(1) },
      "wrote 2 providers, but there are 1 here",
    ],
    [
      "all policies",
      { ...configuration, authorization: undefined },
      "the compiler wrote 4 rules, but there are 0 here",
    ],
    [
      "a rule set",
      { ...configuration, authorization: { ...authorization, deny: undefined } },
      "wrote 4 rules, but there are 1 here",
    ],
    [
      "a rule",
      {
        ...configuration,
        authorization: {
          ...authorization,
          deny: { ...authorization?.deny, rules: authorization?.deny?.rules?.slice(1) },
        },
      },
      "wrote 4 rules, but there are 3 here",
    ],
    [
      "a dry-run rule",
      {
        ...configuration,
        authorization: { ...authorization, deny: { ...authorization?.deny, shadowRules: [] } },
      },
      "wrote 4 rules, but there are 3 here",
    ],
    [
      "every rule set",
      { ...configuration, authorization: { predicates: authorization?.predicates } },
      '/authorization: has none of "audit", "deny" and "allow"',
    ],
    [
      "the rules of a rule set",
      { ...configuration, authorization: { ...authorization, deny: {} } },
      '/authorization/deny: has neither "rules" nor "shadowRules"',
    ],
    ["its end", { ...configuration, contents: undefined }, 'lacks "contents"'],
    ["a part of its end", { ...configuration, contents: { providers: 2 } }, '/contents: lacks "rules"'],
    [
      "everything",
      { version: 1, contents: { providers: 0, rules: 0 } },
      'has no "providers" and no "authorization"',
    ],
    [
      "everything but a list",
      { version: 1, providers: [], contents: { providers: 0, rules: 0 } },
      "would let everything",
    ],
    [
      "nothing, and got a rule more",
      { ...configuration, contents: { providers: 2, rules: 3 } },
      "wrote 3 rules, but there are 4 here",
    ],
  ])("%s", (_part, lost, reason) => {
    expect(refusal(JSON.stringify(lost))).toContain(reason);
  });

  test("for a WasmPlugin that was cut off anywhere", () => {
    const plugin = renderWasmPlugin({ namespace: "foo" }, configuration, {
      image: "oci://a/b:1",
      mode: "sidecar",
    });
    const text = printResources([plugin], { version: "1.0.0", output: "wasmplugin", reasons: {} });
    const seen = new Set<string>();
    let accepted = 0;
    for (let length = 0; length <= text.length; length++) {
      const document = parseDocument(text.slice(0, length));
      if (document.errors.length > 0) continue;
      const cut = (document.toJS() as { spec?: { pluginConfig?: unknown } } | null)?.spec?.pluginConfig;
      const content = JSON.stringify(cut ?? null);
      if (seen.has(content)) continue;
      seen.add(content);
      if (!host.configure(content).accepted) continue;
      accepted++;
      expect(cut).toEqual(configuration);
    }
    expect(accepted).toBe(1);
    expect(seen.size).toBeGreaterThan(100);
  });

  test("the output of compile is accepted for any policy, also for one that checks nothing", () => {
    const empty =
      "{apiVersion: security.istio.io/v1, kind: RequestAuthentication, metadata: {name: a}, spec: {}}";
    for (const text of [policies, empty]) {
      const made = compile([{ name: "a.yaml", text }], { target: "wasmplugin" }).workloads;
      expect(made).toHaveLength(1);
      expect(host.configure(made[0]?.configuration).accepted).toBe(true);
    }
  });
});

describe("one fault at a time in real configurations", () => {
  /** Every position in a value, as a path of names and indexes. */
  function* places(value: unknown, path: (string | number)[] = []): Generator<(string | number)[]> {
    yield path;
    if (typeof value !== "object" || value === null) return;
    for (const [name, inner] of Object.entries(value)) {
      yield* places(inner, [...path, Array.isArray(value) ? Number(name) : name]);
    }
  }

  /** A copy in which the value at a position is replaced. */
  function replaced(value: unknown, path: (string | number)[], by: (old: unknown) => unknown): unknown {
    const copy = structuredClone({ root: value }) as Record<string | number, unknown>;
    let parent = copy;
    const full = ["root", ...path];
    for (const name of full.slice(0, -1)) parent = parent[name] as Record<string | number, unknown>;
    const last = full.at(-1) ?? "root";
    parent[last] = by(parent[last]);
    return copy["root"];
  }

  const samples = recordedCases()
    .filter(
      (recorded) =>
        !isRefused(recorded) &&
        /^(output-001|principals-00[23]|path-010|header_when-001|port_ip-004|mixed-010)\.json$/.test(
          recorded.file,
        ),
    )
    .map((recorded) => [recorded.name, configurationOf(recorded)] as const);

  test.each(samples)("%s", (_name, configuration) => {
    let refused = 0;
    for (const path of places(configuration)) {
      const wrong = [null, true, -1, 1.5, 1e300, "", "\u0000", [], {}, [[[]]], { a: 1 }, "x".repeat(70_000)];
      for (const value of wrong) {
        const loaded = host.configure(replaced(configuration, path, () => value));
        expect(loaded.trapped, `${path.join("/")} = ${JSON.stringify(value).slice(0, 50)}`).toBeUndefined();
        if (loaded.accepted) continue;
        refused++;
        expect(loaded.logs.filter(({ level }) => level === "error" || level === "critical")).not.toEqual([]);
      }
      const loaded = host.configure(
        replaced(configuration, path, (old) =>
          typeof old === "object" && old !== null && !Array.isArray(old)
            ? { ...old, unknown: 1 }
            : { unknown: 1 },
        ),
      );
      // Keys are read leniently: they may have unknown members (RFC 7517, 4).
      if (path.includes("keys") && path.length > 4) continue;
      expect(loaded.accepted, `an unknown field at ${path.join("/")}`).toBe(false);
    }
    expect(refused).toBeGreaterThan(20);
  });
});

test("1,000 configurations, one after the other, leave memory flat", async () => {
  const reloading = await createNodeHost(module);
  const configurations = recordedCases()
    .filter((recorded) => !isRefused(recorded))
    .map((recorded) => JSON.stringify(configurationOf(recorded)))
    .filter((_, i) => i % 12 === 0);
  const reload = (times: number): void => {
    for (let i = 0; i < times; i++) {
      const configuration = configurations[i % configurations.length];
      expect(reloading.configure(configuration).accepted).toBe(true);
      reloading.send({ headers: [bearer(token)] });
      reloading.logs.length = 0;
    }
  };
  reload(100);
  const before = reloading.memorySize;
  reload(900);
  expect(reloading.memorySize).toBe(before);
  expect(reloading.contextCount).toBe(1);
});
