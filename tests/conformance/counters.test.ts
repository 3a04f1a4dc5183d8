/** What the filter counts reaches the host once, and gauges follow what they are of. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { WasmResult } from "../../tools/host/abi.ts";
import { createNodeHost } from "../../tools/host/node.ts";
import { whole } from "../support/configuration.ts";
import { MODULE } from "../support/envoy.ts";
import { TestKey } from "../support/tokens.ts";

const module = await WebAssembly.compile(readFileSync(MODULE));
const ISSUER = "https://issuer.example";
const fromHeaders = [{ name: "authorization", valuePrefix: "Bearer " }];
const keys = Array.from({ length: 3 }, (_, i) => TestKey.generate("HS256", `k${i}`).jwk);

test("requests are counted once, however often counters are passed to the host", async () => {
  const host = await createNodeHost(module);
  const providers = [{ name: "origins-0", issuer: ISSUER, localJwks: { keys }, fromHeaders }];
  expect(host.configure(whole({ providers })).accepted).toBe(true);
  for (let i = 0; i < 3; i++) host.send({});
  for (let seconds = 0; seconds < 5; seconds++) {
    host.advance(1000);
    expect(host.metrics.values()).toMatchObject({ jwtgate_allowed: 3 });
  }
});

test("the gauge of keys is how many there are now", async () => {
  let served = keys;
  const host = await createNodeHost(module, {
    fetch: async () => ({ status: 200, body: JSON.stringify({ keys: served }) }),
  });
  const remoteJwks = { uri: `${ISSUER}/keys`, cluster: "keys", refreshMs: 1000, minRefreshMs: 1000 };
  const providers = [{ name: "origins-0", issuer: ISSUER, remoteJwks, fromHeaders }];
  expect(host.configure(whole({ providers })).accepted).toBe(true);
  for (const count of [3, 1, 2]) {
    served = keys.slice(0, count);
    for (let i = 0; i < 30; i++) {
      host.advance(100);
      await host.settle();
    }
    expect(host.metrics.values()).toMatchObject({ jwtgate_jwks_keys: count });
  }
});

test.each([
  ["verifies signatures", 1],
  ["does not verify signatures", 0],
])("whether the host %s is in a gauge", async (_, value) => {
  const options = { foreignFunctions: { verify_signature: () => WasmResult.NotFound } };
  const host = await createNodeHost(module, value === 0 ? options : {});
  const authorization = { predicates: [], audit: { rules: [] } };
  expect(host.configure(whole({ authorization })).accepted).toBe(true);
  expect(host.metrics.values()).toMatchObject({ jwtgate_host_verifies_signatures: value });
});

test("in shadow a request that cannot be decided counts as failed, not as allowed", async () => {
  const host = await createNodeHost(module, { unimplemented: ["proxy_get_property"] });
  const rule = { id: "ns[foo]-policy[p]-rule[0]", condition: 0 };
  const authorization = { predicates: [{ destinationPort: 22 }], deny: { rules: [rule] } };
  expect(host.configure(whole({ authorization, shadow: true })).accepted).toBe(true);
  expect(host.send({}).outcome?.upstream).toBeDefined();
  host.advance(1000);
  expect(host.metrics.values()).toMatchObject({ jwtgate_failed: 1, jwtgate_allowed: 0 });
});
