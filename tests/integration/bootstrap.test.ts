/** The bootstrap in a real Envoy: every option is valid, and each setting has its effect. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import type { Configuration } from "../../tools/config/schema.ts";
import { type Envoy, validateBootstrap } from "../../tools/envoy/process.ts";
import {
  type BootstrapOptions,
  cluster,
  type ListenerOptions,
  listener,
  type Message,
  PATH_NORMALIZATIONS,
  printBootstrap,
  renderBootstrap,
} from "../../tools/render/bootstrap.ts";
import { compile } from "../../tools/targets/compile.ts";
import { OPEN, whole } from "../support/configuration.ts";
import { envoyBinary, MODULE, startEnvoy } from "../support/envoy.ts";
import { type Http1Response, http1 } from "../support/http1.ts";
import { CertificateAuthority } from "../support/pki.ts";
import { receivedOf, startUpstream, type Upstream } from "../support/upstream.ts";

/** An ALLOW policy with this source. */
function allow(source: object): Configuration {
  const policy = {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name: "allow" },
    spec: { rules: [{ from: [{ source }] }] },
  };
  const { configuration, diagnostics } = compile([{ name: "allow.yaml", text: JSON.stringify(policy) }], {
    target: "envoy",
  });
  if (configuration === undefined) throw new Error(JSON.stringify(diagnostics));
  return configuration;
}

let folder: string;
let authority: CertificateAuthority;
let files: { certificate: string; key: string; clientCa: string };
let upstream: Upstream;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "jwtgate-bootstrap-"));
  authority = new CertificateAuthority();
  const server = authority.issue({ dns: ["gate.example"] });
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  files = {
    certificate: write("server.pem", server.certificate),
    key: write("server.key", server.key),
    clientCa: write("ca.pem", authority.certificate),
  };
  upstream = await startUpstream();
});

afterAll(async () => {
  await upstream?.close();
  rmSync(folder, { recursive: true, force: true });
});

describe("is valid for Envoy", () => {
  const loopback = { host: "127.0.0.1", port: 8080 };
  const base: BootstrapOptions = {
    listen: loopback,
    upstream: { host: "backend.example", port: 80 },
    mode: "gateway",
    pathNormalization: "BASE",
    module: MODULE,
  };

  test.each<[string, () => Partial<BootstrapOptions>, Configuration]>([
    ["a gateway", () => ({}), OPEN],
    ["a sidecar with admin", () => ({ mode: "sidecar", admin: { host: "127.0.0.1", port: 9901 } }), OPEN],
    ["IPv6", () => ({ listen: { host: "::1", port: 8080 }, upstream: { host: "::1", port: 80 } }), OPEN],
    ["TLS", () => ({ tls: { certificate: files.certificate, key: files.key } }), OPEN],
    ["mutual TLS", () => ({ tls: files }), OPEN],
    ["policies on the direct peer", () => ({}), allow({ ipBlocks: ["10.0.0.0/8"] })],
    ...PATH_NORMALIZATIONS.map(
      (pathNormalization): [string, () => Partial<BootstrapOptions>, Configuration] => [
        pathNormalization,
        () => ({ pathNormalization }),
        OPEN,
      ],
    ),
  ])("%s", async (_, options, configuration) => {
    const file = join(folder, "envoy.yaml");
    writeFileSync(file, printBootstrap(renderBootstrap(configuration, { ...base, ...options() }), "1.0.0"));
    expect(await validateBootstrap(await envoyBinary(), file)).toBeUndefined();
  });

  test("a bad one is refused: the filter reports the place of the fault", async () => {
    const file = join(folder, "envoy.yaml");
    const configuration = whole({ providers: [{ name: 1 }] });
    writeFileSync(file, printBootstrap(renderBootstrap(configuration, base), "1.0.0"));
    expect(await validateBootstrap(await envoyBinary(), file)).toContain("/providers/0/name");
  });

  test("a configuration of any characters survives YAML", () => {
    const name = "ü \u2028 \u0085 \ud83d\ude00 ' \" : # {{ %YAML \t\n---\n";
    const configuration = whole({ compiler: name });
    const message = renderBootstrap(configuration, base);
    for (const version of ["1.1", "1.2"] as const) {
      expect(parse(printBootstrap(message, "1.0.0"), { version })).toEqual(message);
    }
    expect(JSON.stringify(message)).not.toMatch(/[^\x20-\x7e]/);
  });

  test("there is no admin that was not asked for", () => {
    expect(renderBootstrap(OPEN, base)).not.toHaveProperty("admin");
  });
});

describe("in use", () => {
  let envoy: Envoy;
  const lines: string[] = [];

  const on = (name: string, options: Partial<ListenerOptions>): Message =>
    listener({
      name,
      address: { host: "127.0.0.1", port: 0 },
      module: MODULE,
      configuration: OPEN,
      cluster: "upstream",
      ...options,
    });

  beforeAll(async () => {
    envoy = await startEnvoy(
      {
        listeners: [
          ...PATH_NORMALIZATIONS.map((pathNormalization) => on(pathNormalization, { pathNormalization })),
          on("tls", { tls: { certificate: files.certificate, key: files.key } }),
          on("mtls", { tls: files, configuration: allow({ principals: ["cluster.local/ns/foo/sa/bar"] }) }),
          on("direct", { mode: "sidecar", configuration: allow({ ipBlocks: ["127.0.0.2"] }) }),
          on("remote-at-edge", { mode: "gateway", configuration: allow({ remoteIpBlocks: ["127.0.0.2"] }) }),
          on("remote-in-sidecar", {
            mode: "sidecar",
            configuration: allow({ remoteIpBlocks: ["10.9.8.7"] }),
          }),
        ],
        clusters: [cluster({ name: "upstream", address: { host: "127.0.0.1", port: upstream.port } })],
      },
      { logFlushMs: 10, onLine: (line) => lines.push(line) },
    );
  });

  afterAll(() => envoy?.stop());

  const get = async (
    name: string,
    path: string,
    options: { from?: string; headers?: [string, string][] } = {},
  ) => {
    const { from, headers = [] } = options;
    const target = { host: "127.0.0.1", port: await envoy.portOf(name), ...(from !== undefined && { from }) };
    return http1(target, { path, headers });
  };
  const pathUpstream = (response: Http1Response) => receivedOf(response)?.path;

  test.each([
    ["NONE", "/a/../b//c%2fd%41"],
    ["BASE", "/b//c%2fdA"],
    ["MERGE_SLASHES", "/b/c%2fdA"],
    ["DECODE_AND_MERGE_SLASHES", "/b/c/dA"],
  ])("%s", async (name, expected) => {
    expect(pathUpstream(await get(name, "/a/../b//c%2fd%41"))).toBe(expected);
  });

  test("a fragment is cut off, not refused", async () => {
    expect(pathUpstream(await get("BASE", "/a#b?c"))).toBe("/a");
  });

  test("a header whose name has an underscore is passed on, as in Istio", async () => {
    const received = receivedOf(await get("BASE", "/", { headers: [["api_key", "k"]] }));
    expect(received?.headers).toContainEqual(["api_key", "k"]);
  });

  test("the access log has the path without its query, and the details", async () => {
    await get("BASE", "/logged?access_token=secret");
    const logged = () => lines.find((line) => line.includes("/logged"));
    await expect.poll(logged).toBeDefined();
    expect(JSON.parse(logged() ?? "")).toMatchObject({
      method: "GET",
      path: "/logged",
      status: 200,
      details: "via_upstream",
      client: "127.0.0.1",
    });
    expect(lines.join()).not.toContain("secret");
  });

  const overTls = async (name: string, credentials: { certificate?: string; key?: string } = {}) =>
    http1(
      {
        host: "127.0.0.1",
        port: await envoy.portOf(name),
        tls: {
          ca: authority.certificate,
          servername: "gate.example",
          cert: credentials.certificate,
          key: credentials.key,
          minVersion: "TLSv1.2",
        },
      },
      {},
    );

  test("TLS is served under the certificate", async () => {
    expect((await overTls("tls")).status).toBe(200);
  });

  test("mutual TLS gives policies the client's identity", async () => {
    const bar = "spiffe://cluster.local/ns/foo/sa/bar";
    expect((await overTls("mtls", authority.issue({ uris: [bar] }))).status).toBe(200);
    expect((await overTls("mtls", authority.issue({ uris: [`${bar}/baz`] }))).status).toBe(403);
  });

  test("mutual TLS refuses clients without a certificate, or with another authority's", async () => {
    await expect(overTls("mtls")).rejects.toThrow();
    const stranger = new CertificateAuthority().issue({ uris: ["spiffe://cluster.local/ns/foo/sa/bar"] });
    await expect(overTls("mtls", stranger)).rejects.toThrow();
  });

  test("the direct peer is the client that connects, with any X-Forwarded-For", async () => {
    expect((await get("direct", "/", { from: "127.0.0.2" })).status).toBe(200);
    expect((await get("direct", "/", { headers: [["x-forwarded-for", "127.0.0.2"]] })).status).toBe(403);
  });

  test("the client is the peer at the edge, and the last forwarded address in a sidecar", async () => {
    const forged: [string, string][] = [["x-forwarded-for", "127.0.0.2"]];
    expect((await get("remote-at-edge", "/", { from: "127.0.0.2" })).status).toBe(200);
    expect((await get("remote-at-edge", "/", { headers: forged })).status).toBe(403);
    const forwarded: [string, string][] = [["x-forwarded-for", "1.2.3.4, 10.9.8.7"]];
    expect((await get("remote-in-sidecar", "/", { headers: forwarded })).status).toBe(200);
    expect((await get("remote-in-sidecar", "/")).status).toBe(403);
  });
});
