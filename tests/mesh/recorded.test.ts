/**
 * What a real istiod made of the resources of key-servers.ts (`npm run test:mesh -- --only clusters --record
 * tests/mesh/recorded`): the compiler names these clusters, and each speaks TLS to the server of its URL, or plain text.
 */
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { expect, test } from "vitest";
import { compile } from "../../tools/targets/compile.ts";
import { type Cluster, KEY_SERVERS, NAMESPACE, POLICIES, RESOURCES } from "./key-servers.ts";

const recorded: Record<string, Cluster> = JSON.parse(
  readFileSync(new URL("recorded/clusters.json", import.meta.url), "utf8"),
);

const { configuration, diagnostics } = compile([{ name: "mesh.yaml", text: POLICIES + RESOURCES }], {
  target: "wasmplugin",
  namespace: NAMESPACE,
  labels: { istio: "ingressgateway" },
});
const clusters = new Map(
  configuration?.providers?.map(({ remoteJwks }) => [remoteJwks?.uri, remoteJwks?.cluster ?? ""]),
);

test("the compiler names clusters that istiod made, and no others", () => {
  expect(diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
  expect([...clusters.values()].sort()).toEqual(Object.keys(recorded).sort());
});

test.each(KEY_SERVERS)("$uri", ({ uri }) => {
  const url = new URL(uri);
  const cluster = recorded[clusters.get(uri) ?? ""];
  const host = url.hostname;
  const isSecure = url.protocol === "https:";
  const isAddress = isIP(host) !== 0;
  expect(cluster?.tls).toEqual(isSecure ? { ...(!isAddress && { sni: host }), names: [host] } : undefined);
  // A Service, and what is STATIC, has its endpoints elsewhere.
  const isElsewhere = isAddress || !host.includes(".");
  const port = url.port === "" ? (isSecure ? 443 : 80) : Number(url.port);
  expect(cluster?.endpoints).toEqual(isElsewhere ? [] : [`${host}:${port}`]);
});
