/**
 * Why keys could not be fetched: what the filter logs in a real Envoy, and what `explain --fetch` and `token verify` say
 * of the same server, which they ask with Node and whose answer they hand to the module.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Configuration } from "../../tools/config/schema.ts";
import type { Envoy } from "../../tools/envoy/process.ts";
import { renderBootstrap } from "../../tools/render/bootstrap.ts";
import { compile } from "../../tools/targets/compile.ts";
import { fetchDocuments } from "../../tools/token/documents.ts";
import { verifyToken } from "../../tools/token/verifier.ts";
import { MODULE, startEnvoy, TRACE_MODULE } from "../support/envoy.ts";
import { answer, JwksServer } from "../support/jwks-server.ts";
import { CertificateAuthority } from "../support/pki.ts";
import { TestKey } from "../support/tokens.ts";
import { until } from "../support/until.ts";

const key = TestKey.generate("ES256", "k");
const authority = new CertificateAuthority();
const servers: { close(): unknown }[] = [];

/** The timeout of a policy, in milliseconds. */
const TIMEOUT_MS = 1000;

async function raw(onConnection: (socket: Socket) => void): Promise<string> {
  const server: Server = createServer((socket) => {
    socket.on("error", () => {});
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  servers.push({ close: () => server.close() });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function http(status: number, body: string | Buffer, headers = {}): Promise<string> {
  const server = await JwksServer.start(answer(status, body, headers));
  servers.push(server);
  return server.origin;
}

async function tls(certificates: CertificateAuthority, name: string): Promise<string> {
  const server = await JwksServer.start(answer(200, key.jwks), certificates.issue({ dns: [name] }));
  servers.push(server);
  return `https://localhost:${new URL(server.origin).port}`;
}

const OR_TLS =
  "the server refused the connection, or its certificate was refused (another name, an unknown authority, expired)";
const UPSTREAM_ERROR =
  "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure";

interface Case {
  origin: () => Promise<string>;
  /** What the filter logs. */
  reason: string;
  /** What Node reports in addition, if there was no response. */
  node?: RegExp;
}

const CASES: Record<string, Case> = {
  "no server listens": {
    origin: async () => "http://127.0.0.1:1",
    reason: "the server refused the connection",
    node: /ECONNREFUSED/,
  },
  "no server listens, https": {
    origin: async () => "https://127.0.0.1:2",
    reason: OR_TLS,
    node: /ECONNREFUSED/,
  },
  "the server resets": {
    origin: async () =>
      `http://${await raw((socket) => socket.once("data", () => socket.resetAndDestroy()))}`,
    reason: "the server closed the connection without an answer",
    node: /ECONNRESET|socket hang up/,
  },
  "the server closes": {
    origin: async () => `http://${await raw((socket) => socket.once("data", () => socket.end()))}`,
    reason: "the server closed the connection without an answer",
    node: /socket hang up/,
  },
  "the server answers something else": {
    origin: async () =>
      `http://${await raw((socket) => socket.once("data", () => socket.end("hello\r\n\r\n")))}`,
    reason: "the server does not speak HTTP/1.1",
    node: /Parse Error/,
  },
  "the server does not answer": {
    origin: async () => `http://${await raw(() => {})}`,
    reason: "the server did not answer in time",
    node: /did not answer within 1000 ms/,
  },
  "a certificate of another name": {
    origin: () => tls(authority, "other.example"),
    reason: OR_TLS,
    node: /Hostname\/IP does not match certificate's altnames/,
  },
  "a certificate of an unknown authority": {
    origin: () => tls(new CertificateAuthority(), "localhost"),
    reason: OR_TLS,
    node: /certificate|signature/i,
  },
  "status 404": { origin: () => http(404, "no"), reason: "the answer's status is 404, not 200" },
  "status 503 of the server": {
    origin: () => http(503, "busy"),
    reason: "the answer's status is 503, not 200",
  },
  "a server's answer in Envoy's words": {
    origin: () => http(503, UPSTREAM_ERROR),
    reason: "the answer's status is 503, not 200",
  },
  "status 504 of the server": {
    origin: () => http(504, "late"),
    reason: "the answer's status is 504, not 200",
  },
  "a redirect": {
    origin: () => http(302, "", { location: "https://login.example/in?state=secret" }),
    reason: "the answer's status is 302, a redirect to https://login.example/in, which is not followed",
  },
  "no body": { origin: () => http(200, ""), reason: "the answer is empty" },
  HTML: {
    origin: () => http(200, "\n<!doctype html><title>Log in</title>"),
    reason: "the answer is not JSON (it is HTML or XML)",
  },
  gzip: {
    origin: () => http(200, gzipSync(key.jwks), { "content-encoding": "gzip" }),
    reason: "the answer is not JSON (it is compressed with gzip)",
  },
  "a byte order mark": {
    origin: () => http(200, `\ufeff${key.jwks}`),
    reason: "the answer is not JSON (it begins with a byte order mark)",
  },
  "UTF-16": {
    origin: () => http(200, Buffer.from(`\ufeff${key.jwks}`, "utf16le")),
    reason: "the answer is not JSON (it is UTF-16)",
  },
  PEM: { origin: () => http(200, authority.certificate), reason: "the answer is not JSON (it is PEM)" },
  text: { origin: () => http(200, "ok"), reason: "the answer is not JSON" },
  "no key set": {
    origin: () => http(200, "{}"),
    reason: "the answer is not a key set: [keys] is not a list",
  },
  "no usable key": {
    origin: () => http(200, JSON.stringify({ keys: [{ ...key.jwk, use: "enc" }, null] })),
    reason:
      'the answer is not a key set: no key can be used: keys[0]: [use] is not "sig" or "jwt-svid"; keys[1]: it is not an object',
  },
  "bytes that are not UTF-8": {
    origin: () => http(200, Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d])),
    reason: "the answer is not JSON",
  },
  "600,000 bytes": {
    origin: () => http(200, Buffer.alloc(600_000, " ")),
    reason: "the answer has 600000 bytes, more than maxJwksBytes",
  },
  "101 keys": {
    origin: () => http(200, JSON.stringify({ keys: Array(101).fill(key.jwk) })),
    reason: "the answer is not a key set: 101 keys are more than 100",
  },
};

let folder: string;
let caFile: string;
const origins: Record<string, string> = {};
let configuration: Configuration;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "jwtgate-reasons-"));
  caFile = join(folder, "ca.pem");
  writeFileSync(caFile, authority.certificate);
  for (const [name, { origin }] of Object.entries(CASES)) origins[name] = await origin();
  const jwtRules = Object.entries(origins).map(([issuer, origin]) => ({
    issuer,
    jwksUri: `${origin}/keys`,
    timeout: `${TIMEOUT_MS / 1000}s`,
  }));
  const policy = {
    apiVersion: "security.istio.io/v1",
    kind: "RequestAuthentication",
    metadata: { name: "all", namespace: "foo" },
    spec: { jwtRules },
  };
  const compiled = compile([{ name: "policy.json", text: JSON.stringify(policy) }], { target: "envoy" });
  if (compiled.configuration === undefined) throw new Error(JSON.stringify(compiled.diagnostics));
  configuration = compiled.configuration;
});

afterAll(async () => {
  await Promise.all(servers.map((server) => server.close()));
  rmSync(folder, { recursive: true, force: true });
});

describe("a fetch that fails", () => {
  let envoy: Envoy;
  beforeAll(async () => {
    const { static_resources: resources } = renderBootstrap(configuration, {
      listen: { host: "127.0.0.1", port: 0 },
      upstream: { host: "127.0.0.1", port: 1 },
      mode: "gateway",
      pathNormalization: "BASE",
      module: MODULE,
      jwksCa: caFile,
    }) as { static_resources: { listeners: object[]; clusters: object[] } };
    envoy = await startEnvoy(resources as never);
  });
  afterAll(() => envoy?.stop());

  test.each(Object.keys(CASES))("says why: %s", async (name) => {
    const line = `jwtgate: ${origins[name]}/keys: fetch failed: `;
    const found = await until(line, async () => envoy.log.split(line)[1]?.split("; there are no keys")[0]);
    expect(found).toBe(CASES[name]?.reason);
  });

  test("is counted by its kind", async () => {
    const kinds = ["connection", "timeout", "status", "document", "keys"];
    await until("every kind is counted", async () => {
      const counted = await envoy.stats("jwks_fetch_failed");
      return kinds.every((kind) => (counted.get(`wasmcustom.jwtgate_jwks_fetch_failed_${kind}`) ?? 0) > 0);
    });
  });
});

test.each(Object.keys(CASES))("token verify and explain --fetch say the same: %s", async (name) => {
  const modules = {
    release: await WebAssembly.compile(readFileSync(MODULE)),
    trace: await WebAssembly.compile(readFileSync(TRACE_MODULE)),
  };
  const provider = configuration.providers?.find(({ issuer }) => issuer === name);
  if (provider === undefined) throw new Error(name);
  const one = { ...configuration, providers: [provider] };
  const { documents, answers, failures } = await fetchDocuments(one, new Map(), caFile);
  const verdict = await verifyToken(key.token({ iss: name }), {
    modules,
    configuration: one,
    positions: { constraints: {} },
    documents,
    answers,
    now: Date.now(),
  });
  expect(verdict.answer?.body).toBe("Jwks remote fetch is failed");
  const { reason, node } = CASES[name] as Case;
  expect(verdict.steps[0]?.tokens[0]?.reason).toBe(`there are no keys from ${origins[name]}/keys: ${reason}`);
  if (node) expect(failures.get(`${origins[name]}/keys`)).toMatch(node);
  else expect(failures.size).toBe(0);
});

test("explain --fetch stops to read an answer that is too long for every configuration", async () => {
  const origin = await http(200, Buffer.alloc(5_000_000, " "));
  const uri = `${origin}/keys`;
  const one = {
    ...configuration,
    providers: [{ name: "i", issuer: "i", remoteJwks: { uri, cluster: "c" } }],
  };
  const { answers, failures } = await fetchDocuments(one, new Map());
  expect(failures.get(uri)).toBe("the document is larger than 4194304 bytes");
  expect(answers.get(uri)).toMatchObject({ status: 200, body: " ".repeat(4_194_305) });
});
