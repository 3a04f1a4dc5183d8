/** Several configurations in one Envoy: at the same time, one after the other, and bad ones. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Configuration } from "../../tools/config/schema.ts";
import type { Envoy } from "../../tools/envoy/process.ts";
import { cluster, listener, type Message } from "../../tools/render/bootstrap.ts";
import { compile } from "../../tools/targets/compile.ts";
import { MODULE, startEnvoy, wasmPlugin } from "../support/envoy.ts";
import { http1 } from "../support/http1.ts";
import { WatchingEnvoy } from "../support/lds.ts";
import { bearer, TestKey } from "../support/tokens.ts";
import { receivedOf, startUpstream, type Upstream } from "../support/upstream.ts";

let upstream: Upstream;
beforeAll(async () => {
  upstream = await startUpstream();
});
afterAll(() => upstream.close());

const clusters = (): Message[] => [
  cluster({ name: "upstream", address: { host: "127.0.0.1", port: upstream.port } }),
];

/** A configuration that accepts tokens of one issuer under one key, and allows one subject. */
function configurationFor(key: TestKey, issuer: string, subject: string): Configuration {
  const { configuration } = compile(
    [
      {
        name: "policies.yaml",
        text: `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: a, namespace: foo}
spec:
  jwtRules:
  - {issuer: ${issuer}, jwks: '${key.jwks}', outputClaimToHeaders: [{header: x-sub, claim: sub}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: a, namespace: foo}
spec:
  rules: [{from: [{source: {requestPrincipals: ['${issuer}/${subject}']}}]}]
`,
      },
    ],
    { target: "envoy" },
  );
  if (configuration === undefined) throw new Error("the policies do not compile");
  return configuration;
}

function listenerFor(name: string, configuration: Configuration): Message {
  return listener({
    name,
    address: { host: "127.0.0.1", port: 0 },
    module: MODULE,
    configuration,
    cluster: "upstream",
    accessLog: false,
  });
}

describe("two listeners with different keys and policies in one Envoy", () => {
  const ISSUER = "https://same.example";
  // The same issuer and kid at both, so that only the configuration distinguishes them.
  const keys = [TestKey.generate("ES256", "k"), TestKey.generate("ES256", "k")] as const;
  const subjects = ["alice", "bob"] as const;
  let envoy: Envoy;
  let ports: number[];
  beforeAll(async () => {
    const names = ["first", "second"];
    envoy = await startEnvoy({
      listeners: names.map((name, i) =>
        listenerFor(name, configurationFor(keys[i] ?? keys[0], ISSUER, subjects[i] ?? "")),
      ),
      clusters: clusters(),
    });
    ports = await Promise.all(names.map((name) => envoy.portOf(name)));
  });
  afterAll(() => envoy?.stop());

  test("never see each other's verdicts", async () => {
    const tokens = keys.flatMap((key, k) =>
      subjects.map((sub) => ({ key: k, sub, token: key.token({ iss: ISSUER, sub }) })),
    );
    // More than once, so that each verdict is met by a warm cache of the other.
    for (let round = 0; round < 4; round++) {
      for (const [i, port] of ports.entries()) {
        for (const { key, sub, token } of tokens) {
          const answer = await http1({ host: "127.0.0.1", port }, { headers: [bearer(token)] });
          const expected = key !== i ? 401 : sub === subjects[i] ? 200 : 403;
          expect(answer.status, `round ${round}, listener ${i}, key ${key}, ${sub}`).toBe(expected);
          if (expected === 200) {
            expect(receivedOf(answer)?.headers).toContainEqual(["x-sub", sub]);
          }
        }
      }
    }
  });

  test("share one machine", async () => {
    const stats = await envoy.stats("wasm.envoy.wasm.runtime.v8.active");
    // The base, the main thread's and the worker's: no more than one plugin alone would have.
    expect(stats.get("wasm.envoy.wasm.runtime.v8.active")).toBe(3);
  });
});

describe("a configuration that is replaced while Envoy runs", () => {
  const ISSUER = "https://issuer.example";
  const old = TestKey.generate("ES256", "k");
  const next = TestKey.generate("ES256", "k");
  const oldToken = old.token({ iss: ISSUER, sub: "s" });
  const nextToken = next.token({ iss: ISSUER, sub: "s" });
  const oldListener = () => listenerFor("gate", configurationFor(old, ISSUER, "s"));
  const nextListener = () => listenerFor("gate", configurationFor(next, ISSUER, "s"));
  let watching: WatchingEnvoy;
  let port: number;
  beforeAll(async () => {
    watching = await WatchingEnvoy.start([oldListener()], clusters());
    port = await watching.envoy.portOf("gate");
  });
  afterAll(() => watching?.stop());

  const statusOf = async (token: string): Promise<number> =>
    (await http1({ host: "127.0.0.1", port }, { headers: [bearer(token)] })).status;

  test("a token under a removed key is refused at once, although it was verified before", async () => {
    expect(await statusOf(oldToken)).toBe(200);
    expect(await watching.update([nextListener()])).toBe(true);
    expect([await statusOf(oldToken), await statusOf(nextToken)]).toEqual([401, 200]);
    expect(await watching.update([oldListener()])).toBe(true);
    expect([await statusOf(oldToken), await statusOf(nextToken)]).toEqual([200, 401]);
  });

  test.each<[string, (configuration: string) => string, RegExp]>([
    ["truncated", (text) => text.slice(0, text.length / 2), /configuration/],
    ["empty", () => "", /configuration/],
    ["of an unknown version", (text) => text.replace('"version":1', '"version":2'), /compile with jwtgate/],
    ["with an unknown field", (text) => text.replace('"version":1', '"version":1,"verison":1'), /\/verison/],
    [
      "with a wrong type",
      (text) => text.replace('"issuer":"', '"issuer":["').replace(`${ISSUER}"`, `${ISSUER}"]`),
      /\/providers\/0\/issuer/,
    ],
    ["without keys", (text) => text.replace(/"keys":\[[^\]]*\]/, '"keys":[]'), /\/providers\/0\/localJwks/],
  ])("%s: refused with the reason, and the old one stays in force", async (_name, spoil, reason) => {
    const spoiled = nextListener();
    const configuration = wasmPlugin(spoiled)["configuration"] as { value: string };
    const good = JSON.stringify(JSON.parse(configuration.value));
    configuration.value = spoil(good);
    expect(configuration.value).not.toBe(good);
    const logged = watching.envoy.log.length;
    expect(await watching.update([spoiled])).toBe(false);
    expect(watching.envoy.log.slice(logged)).toMatch(reason);
    expect([await statusOf(oldToken), await statusOf(nextToken)]).toEqual([200, 401]);
  });

  test("many times leaves memory flat", async () => {
    const rss = (): number =>
      Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${watching.envoy.pid}/status`, "utf8"))?.[1]);
    const reload = async (times: number): Promise<void> => {
      for (let i = 0; i < times; i++) {
        expect(await watching.update([i % 2 === 0 ? nextListener() : oldListener()])).toBe(true);
        expect(await statusOf(i % 2 === 0 ? nextToken : oldToken)).toBe(200);
      }
      await watching.drained();
    };
    await reload(20);
    const before = rss();
    await reload(60);
    expect(rss() - before).toBeLessThan(6 * 1024);
    const stats = await watching.envoy.stats("wasm.envoy.wasm.runtime.v8.active");
    expect(stats.get("wasm.envoy.wasm.runtime.v8.active")).toBe(3);
  });
});
