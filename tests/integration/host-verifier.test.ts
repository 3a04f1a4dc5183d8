/** An Envoy that does not let the filter call `verify_signature`: the filter verifies everything itself. */

import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Envoy } from "../../tools/envoy/process.ts";
import { cluster, listener, type Message } from "../../tools/render/bootstrap.ts";
import { whole } from "../support/configuration.ts";
import { MODULE, startEnvoy, wasmPlugin } from "../support/envoy.ts";
import { http1 } from "../support/http1.ts";
import { bearer, TestKey } from "../support/tokens.ts";
import { startUpstream, type Upstream } from "../support/upstream.ts";

const ISSUER = "https://issuer.example";
const rsa = TestKey.generate("RS256", "rsa");
const ec = TestKey.generate("ES256", "ec");

/** All that the module imports, except `proxy_call_foreign_function`. */
const ALLOWED = WebAssembly.Module.imports(new WebAssembly.Module(readFileSync(MODULE)))
  .map(({ name }) => name)
  .concat("proxy_on_context_create", "proxy_on_configure", "proxy_on_tick", "proxy_on_http_call_response")
  .concat("proxy_on_request_headers", "proxy_on_delete")
  .filter((name) => name !== "proxy_call_foreign_function");

let upstream: Upstream;
beforeAll(async () => {
  upstream = await startUpstream();
});
afterAll(() => upstream?.close());

function start(...keys: TestKey[]): Promise<Envoy> {
  const configuration = whole({
    providers: [
      {
        name: "origins-0",
        issuer: ISSUER,
        localJwks: { keys: keys.map(({ jwk }) => jwk as never) },
        fromHeaders: [{ name: "authorization", valuePrefix: "Bearer " }],
      },
    ],
  });
  const restricted = listener({
    name: "gate",
    address: { host: "127.0.0.1", port: 0 },
    module: MODULE,
    configuration,
    cluster: "upstream",
    accessLog: false,
  });
  wasmPlugin(restricted)["capability_restriction_config"] = {
    allowed_capabilities: Object.fromEntries(ALLOWED.map((name): [string, Message] => [name, {}])),
  };
  return startEnvoy(
    {
      listeners: [restricted],
      clusters: [cluster({ name: "upstream", address: { host: "127.0.0.1", port: upstream.port } })],
    },
    { logLevel: "info" },
  );
}

describe("without verify_signature", () => {
  test("RSA and P-256 are verified in Wasm, which the log and a metric report", async () => {
    const envoy = await start(rsa, ec);
    try {
      const target = { host: "127.0.0.1", port: await envoy.portOf("gate") };
      const status = async (token: string) => (await http1(target, { headers: [bearer(token)] })).status;
      const good = rsa.token({ iss: ISSUER, sub: "someone" });
      const [header, payload] = good.split(".");
      const [, , other] = rsa.token({ iss: ISSUER, sub: "somebody else" }).split(".");
      expect(await status(good)).toBe(200);
      expect(await status(`${header}.${payload}.${other}`)).toBe(401);
      const [ecHeader, ecPayload, ecSignature] = ec.token({ iss: ISSUER, sub: "someone" }).split(".");
      for (let use = 0; use < 3; use++) {
        expect(await status(`${ecHeader}.${ecPayload}.${ecSignature}`)).toBe(200);
        expect(await status(ec.token({ iss: ISSUER, sub: `user ${use}` }))).toBe(200);
      }
      const [, otherPayload] = ec.token({ iss: ISSUER, sub: "somebody else" }).split(".");
      expect(await status(`${ecHeader}.${otherPayload}.${ecSignature}`)).toBe(401);
      expect(envoy.log).toContain("the host has no verify_signature: RSA and P-256 are verified in Wasm");
      const gauge = "jwtgate_host_verifies_signatures";
      expect((await envoy.stats(gauge)).get(`wasmcustom.${gauge}`)).toBe(0);
    } finally {
      await envoy.stop();
    }
  });
});
