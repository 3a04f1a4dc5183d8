/** A request that waits for keys, or was answered, never reaches the backend, not even by its body. */

import { expect, test } from "vitest";
import { bootstrapCluster, hostOf, portOf } from "../../tools/jwks/source.ts";
import { cluster, listener } from "../../tools/render/bootstrap.ts";
import { whole } from "../support/configuration.ts";
import { MODULE, startEnvoy } from "../support/envoy.ts";
import { http1 } from "../support/http1.ts";
import { JwksServer, signingKey } from "../support/jwks-server.ts";
import { addressPool } from "../support/loopback.ts";
import { startUpstream } from "../support/upstream.ts";

const ISSUER = "https://issuer.example";
const PORT = 28080;

test("also if the plugin may stop only the headers (allow_on_headers_stop_iteration)", async () => {
  const upstream = await startUpstream();
  // The keys are never delivered.
  const server = await JwksServer.start(() => {});
  const url = new URL(`${server.origin}/keys`);
  const configuration = whole({
    limits: { maxWaitMs: 500 },
    providers: [
      {
        name: "origins-0",
        issuer: ISSUER,
        remoteJwks: { uri: url.href, cluster: bootstrapCluster(url), timeoutMs: 5000 },
        fromHeaders: [{ name: "authorization", valuePrefix: "Bearer " }],
      },
    ],
  });
  const host = addressPool().next().value;
  const gate = listener({
    name: "gate",
    address: { host, port: PORT },
    module: MODULE,
    configuration,
    cluster: "upstream",
    accessLog: false,
  });
  const text = JSON.stringify(gate);
  const marked = text.replace('"vm_config":', '"allow_on_headers_stop_iteration":true,"vm_config":');
  expect(marked).not.toBe(text);
  const envoy = await startEnvoy({
    listeners: [JSON.parse(marked)],
    clusters: [
      cluster({ name: "upstream", address: { host: "127.0.0.1", port: upstream.port } }),
      cluster({ name: bootstrapCluster(url), address: { host: hostOf(url), port: portOf(url) } }),
    ],
  });
  try {
    const waiting = await (await signingKey("k")).sign(ISSUER);
    for (const token of [waiting, "malformed"]) {
      const headers: [string, string][] = [["authorization", `Bearer ${token}`]];
      const { status } = await http1({ host, port: PORT }, { method: "POST", headers, body: "a body" });
      expect(status).toBe(401);
    }
    expect(upstream.count).toBe(0);
  } finally {
    await envoy.stop();
    await server.close();
    await upstream.close();
  }
});
