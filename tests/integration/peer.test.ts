/**
 * Policies on the peer's certificate. Envoy 1.38 and newer show it to the filter; an older Envoy shows the first name of
 * each kind. `npm run test:envoys` runs this with both.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Configuration } from "../../tools/config/schema.ts";
import type { Envoy } from "../../tools/envoy/process.ts";
import { cluster, listener } from "../../tools/render/bootstrap.ts";
import { compile } from "../../tools/targets/compile.ts";
import type { Names } from "../support/certificate.ts";
import { OPEN } from "../support/configuration.ts";
import { envoyMinorVersion, MODULE, startEnvoy } from "../support/envoy.ts";
import { http1 } from "../support/http1.ts";
import { CertificateAuthority } from "../support/pki.ts";
import { startUpstream, type Upstream } from "../support/upstream.ts";

const BAR = "spiffe://cluster.local/ns/foo/sa/bar";
const OTHER = "spiffe://cluster.local/ns/foo/sa/other";
const NOTE = "this Envoy does not show peers' certificates";
const GAUGE = "jwtgate_peer_certificate_partial";

/** ALLOW policies: by path, the source that is allowed. */
const SOURCES = {
  "/principals": { principals: ["cluster.local/ns/foo/sa/bar"] },
  "/namespaces": { namespaces: ["foo"] },
  "/not": { notPrincipals: ["cluster.local/ns/foo/sa/bar"] },
};

function policies(): Configuration {
  const policy = {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name: "allow" },
    spec: {
      rules: Object.entries(SOURCES).map(([path, source]) => ({
        from: [{ source }],
        to: [{ operation: { paths: [path] } }],
      })),
    },
  };
  const text = JSON.stringify(policy);
  const { configuration, diagnostics } = compile([{ name: "allow.yaml", text }], { target: "envoy" });
  if (configuration === undefined) throw new Error(JSON.stringify(diagnostics));
  return configuration;
}

const folder = mkdtempSync(join(tmpdir(), "jwtgate-peer-"));
const authority = new CertificateAuthority();
let upstream: Upstream;
let showsCertificates: boolean;

beforeAll(async () => {
  upstream = await startUpstream();
  showsCertificates = (await envoyMinorVersion()) >= 38;
});
afterAll(async () => {
  await upstream?.close();
  rmSync(folder, { recursive: true, force: true });
});

function start(configuration: Configuration): Promise<Envoy> {
  const server = authority.issue({ dns: ["gate.example"] });
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const tls = {
    certificate: write("server.pem", server.certificate),
    key: write("server.key", server.key),
    clientCa: write("ca.pem", authority.certificate),
  };
  return startEnvoy({
    listeners: [
      listener({
        name: "mtls",
        address: { host: "127.0.0.1", port: 0 },
        tls,
        module: MODULE,
        configuration,
        cluster: "upstream",
        accessLog: false,
      }),
    ],
    clusters: [cluster({ name: "upstream", address: { host: "127.0.0.1", port: upstream.port } })],
  });
}

describe("names in a client's certificate", () => {
  let envoy: Envoy;
  let notesAtStart: number;
  const notes = () => envoy.log.split(NOTE).length - 1;
  beforeAll(async () => {
    envoy = await start(policies());
    notesAtStart = notes();
  });
  afterAll(() => envoy?.stop());

  const statuses = async (names: Names) => {
    const { certificate, key } = authority.issue(names);
    const target = {
      host: "127.0.0.1",
      port: await envoy.portOf("mtls"),
      tls: { ca: authority.certificate, servername: "gate.example", cert: certificate, key },
    };
    const answers: number[] = [];
    for (const path of Object.keys(SOURCES)) answers.push((await http1(target, { path })).status);
    return answers;
  };

  test("one URI, as in a mesh, is seen by every Envoy", async () => {
    expect(await statuses({ uris: [BAR] })).toEqual([200, 200, 403]);
    expect(await statuses({ uris: [OTHER] })).toEqual([403, 200, 200]);
    expect(await statuses({ uris: ["spiffe://cluster.local/ns/far/sa/bar"] })).toEqual([403, 403, 200]);
  });

  test("of several URIs an older Envoy shows the first", async () => {
    expect(await statuses({ uris: [BAR, OTHER] })).toEqual([200, 200, 403]);
    expect(await statuses({ uris: [OTHER, BAR] })).toEqual(
      showsCertificates ? [200, 200, 403] : [403, 200, 200],
    );
  });

  test("without a URI an older Envoy shows too little to decide: 500, never allowed", async () => {
    expect(await statuses({ dns: ["client.example"] })).toEqual(
      showsCertificates ? [403, 403, 200] : [500, 500, 500],
    );
  });

  test("an older Envoy is named at start, by each virtual machine once, in the log and as a gauge", async () => {
    expect(notesAtStart > 0).toBe(!showsCertificates);
    expect(notes()).toBe(notesAtStart);
    expect((await envoy.stats(GAUGE)).get(`wasmcustom.${GAUGE}`)).toBe(showsCertificates ? 0 : 1);
  });
});

test("nothing is reported about peers if no policy is about them", async () => {
  const envoy = await start(OPEN);
  try {
    expect(envoy.log).not.toContain(NOTE);
    expect((await envoy.stats(GAUGE)).size).toBe(0);
  } finally {
    await envoy.stop();
  }
});
