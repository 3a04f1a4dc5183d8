/**
 * The move that docs/istio.md describes: the plugin in front of Envoy's own filters with the same policies. In shadow, and
 * while it leaves the token where it is, every request gets what Istio alone would give it.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Envoy } from "../../tools/envoy/process.ts";
import { cluster, listener, type Message } from "../../tools/render/bootstrap.ts";
import { compile } from "../../tools/targets/compile.ts";
import { connectionManager, MODULE, startEnvoy } from "../support/envoy.ts";
import { http1 } from "../support/http1.ts";
import { AUTHENTICATED, jwtAuthn, provider, rbac, withFilters } from "../support/native.ts";
import { bearer, TestKey } from "../support/tokens.ts";
import { receivedOf, startUpstream, type Upstream } from "../support/upstream.ts";

const ISSUER = "https://issuer.example";
const key = TestKey.generate("ES256", "k");
const stranger = TestKey.generate("ES256", "k");

function policies(rule = ""): string {
  return `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: a, namespace: foo}
spec:
  jwtRules:
  - {issuer: '${ISSUER}', jwks: '${key.jwks}', outputClaimToHeaders: [{header: x-sub, claim: sub}]${rule}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: deny, namespace: foo}
spec:
  action: DENY
  rules: [{from: [{source: {notRequestPrincipals: ['*']}}], to: [{operation: {notPaths: [/open]}}]}]`;
}

/** The filters that istiod generates for these policies. */
const NATIVE = [
  jwtAuthn(
    {
      "origins-0": provider(ISSUER, key.jwks, {
        claim_to_headers: [{ header_name: "x-sub", claim_name: "sub" }],
      }),
    },
    { requires_any: { requirements: [{ provider_name: "origins-0" }, { allow_missing: {} }] } },
  ),
  rbac(
    "DENY",
    "ns[foo]-policy[deny]-rule[0]",
    [{ not_id: AUTHENTICATED }],
    [{ not_rule: { url_path: { path: { exact: "/open" } } } }],
  ),
];

/** The states of the move: what the plugin is compiled with, and whether Istio's filters still have the policies. */
const STATES = {
  before: { policies: policies(), plugin: false, istio: true },
  shadow: { policies: policies(), shadow: true, plugin: true, istio: true },
  both: { policies: policies(", forwardOriginalToken: true"), plugin: true, istio: true },
  after: { policies: policies(), plugin: true, istio: false },
  "both, with the token taken away": { policies: policies(), plugin: true, istio: true },
} satisfies Record<string, { policies: string; shadow?: boolean; plugin: boolean; istio: boolean }>;
type State = keyof typeof STATES;

const REQUESTS: Record<string, { path: string; token?: string }> = {
  "a good token": { path: "/", token: key.token({ iss: ISSUER, sub: "alice" }) },
  "no token": { path: "/" },
  "no token if none is needed": { path: "/open" },
  "a token of an unknown key": { path: "/", token: stranger.token({ iss: ISSUER, sub: "alice" }) },
  "an expired token if none is needed": { path: "/open", token: key.token({ iss: ISSUER, exp: 1 }) },
};

let upstream: Upstream;
let envoy: Envoy;
const ports = new Map<string, number>();

function listenerOf(name: State): Message {
  const { plugin, istio, policies, ...options } = STATES[name];
  const { configuration } = compile([{ name: "policies.yaml", text: policies }], {
    target: "envoy",
    ...options,
  });
  if (configuration === undefined) throw new Error(`the policies of ${name} are refused`);
  const made = listener({
    name,
    address: { host: "127.0.0.1", port: 0 },
    module: MODULE,
    configuration,
    cluster: "upstream",
    accessLog: false,
  });
  const filters = connectionManager(made)["http_filters"] as Message[];
  const gate = plugin ? filters.filter((filter) => filter["name"] === "jwtgate") : [];
  return withFilters(made, [...gate, ...(istio ? NATIVE : [])]);
}

beforeAll(async () => {
  upstream = await startUpstream();
  const names = Object.keys(STATES) as State[];
  envoy = await startEnvoy({
    listeners: names.map(listenerOf),
    clusters: [cluster({ name: "upstream", address: { host: "127.0.0.1", port: upstream.port } })],
  });
  for (const name of names) ports.set(name, await envoy.portOf(name));
});

afterAll(async () => {
  await envoy?.stop();
  await upstream?.close();
});

/** What the client gets, and the headers of interest that the backend gets. */
async function answer(state: State, { path, token }: { path: string; token?: string }) {
  const response = await http1(
    { host: "127.0.0.1", port: ports.get(state) ?? 0 },
    { path, headers: [["Host", "gate.example"], ["X-Sub", "forged"], ...(token ? [bearer(token)] : [])] },
  );
  const received = receivedOf(response)?.headers.filter(([name]) => /^(x-sub|authorization)$/i.test(name));
  return { status: response.status, ...(received ? { received } : { body: response.body }) };
}

describe.each(Object.entries(REQUESTS))("%s", (_, request) => {
  test.each<State>(["shadow", "both", "after"])("is answered in the state %j as before", async (state) => {
    expect(await answer(state, request)).toEqual(await answer("before", request));
  });
});

test("a plugin that removes the token makes Istio's filters refuse every request: use one of the two", async () => {
  const good = REQUESTS["a good token"];
  expect(good && (await answer("before", good)).status).toBe(200);
  expect(good && (await answer("both, with the token taken away", good)).status).toBe(403);
});
