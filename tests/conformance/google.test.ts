/**
 * The filter as a plugin of Google Cloud's Service Extensions: it works with everything that `compile --output google`
 * accepts on a host with 16 MiB of memory and without timers, calls, metrics, shared data and foreign functions.
 */
import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test, vi } from "vitest";
import { Reader, Writer } from "../../bench/meter/binary.ts";
import type { Host } from "../../tools/host/host.ts";
import { createNodeHost } from "../../tools/host/node.ts";
import { Vm } from "../../tools/host/vm.ts";
import { compile } from "../../tools/targets/compile.ts";
import { google, MAX_CONFIGURATION_BYTES } from "../../tools/targets/google.ts";
import { MODULE } from "../support/envoy.ts";
import { bearer, TestKey } from "../support/tokens.ts";

const ISSUER = "https://issuer.example";
const MEMORY = 16 * 1024 * 1024;
const PAGE = 64 * 1024;
/** The id of a module's section of memories. */
const MEMORY_SECTION = 5;
/** Its memory cannot grow further. AssemblyScript doubles the memory as long as it can, and then takes what it needs. */
const module = await WebAssembly.compile(withMaximum(readFileSync(MODULE), MEMORY / PAGE));

/** What a plugin does not have there (Service Extensions, limitations of plugins). */
const WITHOUT = [
  ...[
    "proxy_set_tick_period_milliseconds",
    "proxy_http_call",
    "proxy_grpc_call",
    "proxy_call_foreign_function",
  ],
  ...["proxy_define_metric", "proxy_increment_metric", "proxy_record_metric", "proxy_get_metric"],
  ...["proxy_get_shared_data", "proxy_set_shared_data", "proxy_register_shared_queue"],
  ...["proxy_get_property", "proxy_set_property", "proxy_set_effective_context", "proxy_get_log_level"],
];

/** The module with a maximum size of its memory (WebAssembly Core Specification 2.0, section 5.5.8). */
function withMaximum(bytes: Uint8Array, pages: number): Uint8Array<ArrayBuffer> {
  const reader = new Reader(bytes);
  reader.skip(8);
  const writer = new Writer().append(bytes.subarray(0, 8));
  while (!reader.done) {
    const section = reader.byte();
    const content = reader.part(reader.unsigned());
    if (section !== MEMORY_SECTION) {
      writer.byte(section).sized(bytes.subarray(content.at, content.end));
      continue;
    }
    expect([content.unsigned(), content.byte()], "one memory without a maximum").toEqual([1, 0]);
    const limits = new Writer().unsigned(1).byte(1).unsigned(content.unsigned()).unsigned(pages);
    writer.byte(section).sized(limits.bytes);
  }
  return Uint8Array.from(writer.bytes);
}

const googleHost = () => createNodeHost(module, { unimplemented: WITHOUT });

const resource = (kind: string, name: string, spec: object): string =>
  JSON.stringify({ apiVersion: "security.istio.io/v1", kind, metadata: { name, namespace: "a" }, spec });

/** What the command prints. */
function compiled(texts: readonly string[]): string {
  return render(texts).text ?? "";
}

const keys = {
  HS256: TestKey.generate("HS256", "h"),
  RS256: TestKey.generate("RS256", "r"),
  ES256: TestKey.generate("ES256", "e"),
  EdDSA: TestKey.generate("EdDSA", "d"),
};
type Algorithm = keyof typeof keys;
const rule = (jwk: object, issuer = ISSUER) => ({ issuer, jwks: JSON.stringify({ keys: [jwk] }) });
const authentication = (name: string, ...jwtRules: object[]) =>
  resource("RequestAuthentication", name, { jwtRules });
const policy = (name: string, rules: object[], action = "ALLOW") =>
  resource("AuthorizationPolicy", name, { action, rules });
const members = policy("members", [
  { from: [{ source: { requestPrincipals: [`${ISSUER}/*`] } }], to: [{ operation: { paths: ["/a"] } }] },
]);

describe("without what Google Cloud does not have, the filter", () => {
  test.each(Object.keys(keys) as Algorithm[])("verifies %s, and decides", async (algorithm) => {
    const host = await googleHost();
    const loaded = host.configure(compiled([authentication("a", rule(keys[algorithm].jwk)), members]));
    expect(loaded).toMatchObject({ accepted: true });
    expect(loaded.trapped).toBeUndefined();
    const token = keys[algorithm].token({ iss: ISSUER, sub: "s" });
    for (let i = 0; i < 3; i++) {
      expect(host.send({ path: "/a", headers: [bearer(token)] }).outcome?.upstream).toBeDefined();
      expect(host.send({ path: "/b", headers: [bearer(token)] }).outcome?.answer).toMatchObject({
        status: 403,
      });
      expect(host.send({ path: "/a" }).outcome?.answer).toMatchObject({ status: 403 });
      expect(host.send({ path: "/a", headers: [bearer(`${token}x`)] }).outcome?.answer).toMatchObject({
        status: 401,
      });
    }
    expect(host.trapped).toBeUndefined();
  });

  test("answers 500 if a configuration for another host needs a missing function", async () => {
    const host = await googleHost();
    const text = policy("ports", [{ to: [{ operation: { ports: ["80"] } }] }], "DENY");
    const { configuration } = compile([{ name: "a.json", text }], { target: "config" });
    expect(host.configure(configuration).accepted).toBe(true);
    expect(host.send({}).outcome?.answer).toMatchObject({ status: 500 });
  });

  test("that is to fetch keys refuses every token", async () => {
    const host = await googleHost();
    const text = authentication("a", { issuer: ISSUER, jwksUri: "https://keys.example/jwks" });
    const { configuration } = compile([{ name: "a.json", text }], { target: "config" });
    expect(host.configure(configuration).accepted).toBe(true);
    const token = keys.ES256.token({ iss: ISSUER });
    expect(host.send({ headers: [bearer(token)] }).outcome?.upstream).toBeUndefined();
  });
});

/** Keys that differ only in their names, which cost as much as different keys. */
const jwks = {
  RSA: generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({ format: "jwk" }),
  "large RSA": generateKeyPairSync("rsa", { modulusLength: 4096 }).publicKey.export({ format: "jwk" }),
  "P-256": generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ format: "jwk" }),
  "P-521": generateKeyPairSync("ec", { namedCurve: "P-521" }).publicKey.export({ format: "jwk" }),
  Ed25519: generateKeyPairSync("ed25519").publicKey.export({ format: "jwk" }),
  secret: { kty: "oct", k: Buffer.alloc(32, 7).toString("base64url") },
};
const upTo = <T>(count: number, make: (i: number) => T) => Array.from({ length: count }, (_, i) => make(i));
/** As many policies as the API server requires for that many rules. */
const policies = (count: number, make: (i: number) => object, action?: string) =>
  upTo(Math.ceil(count / 500), (p) =>
    policy(
      `p${p}`,
      upTo(Math.min(500, count - p * 500), (i) => make(p * 500 + i)),
      action,
    ),
  );

/** The parts of which a configuration can have many. */
const SHAPES: Record<string, (count: number) => string[]> = {
  "rules of one path": (n) => policies(n, (i) => ({ to: [{ operation: { paths: [`/${i}`] } }] })),
  "rules of one prefix": (n) => policies(n, (i) => ({ to: [{ operation: { paths: [`/${i}*`] } }] })),
  "rules of one template": (n) =>
    policies(n, (i) => ({ to: [{ operation: { paths: [`/${i}/{*}/{**}`] } }] })),
  "rules of conditions": (n) =>
    policies(n, (i) => ({
      from: [{ source: { requestPrincipals: [`i/${i}`] } }],
      to: [{ operation: { methods: ["GET", "POST"], paths: [`/${i}`, `/${i}/*`], hosts: [`${i}.example`] } }],
      when: [{ key: "request.auth.claims[group]", values: [`${i % 50}`] }],
    })),
  ...Object.fromEntries(
    [9, 60, 300].map((count) => [
      `rules of the same ${count} values`,
      (n: number) => {
        const paths = upTo(count, (i) => `/${i}`);
        return policies(n, () => ({ to: [{ operation: { paths, notPaths: paths } }] }), "DENY");
      },
    ]),
  ),
  "rules of alternatives": (n) =>
    policies(n, () => ({ to: upTo(20, (i) => ({ operation: { paths: [`/${i}`], methods: ["GET"] } })) })),
  "rules of negations": (n) =>
    policies(n, (i) => ({ to: [{ operation: { notPaths: [`/${i}`], notHosts: [`${i}`] } }] }), "DENY"),
  "values of a claim": (n) => [
    policy("p", [{ when: [{ key: "request.auth.claims[s]", values: upTo(n, (i) => i.toString(36)) }] }]),
  ],
  "values of a header": (n) => [
    policy("p", [{ when: [{ key: "request.headers[h]", values: upTo(n, (i) => i.toString(36)) }] }]),
  ],
  "claims of one value": (n) =>
    policies(n, (i) => ({ when: [{ key: `request.auth.claims[${i.toString(36)}]`, values: ["a"] }] })),
  "headers of one value": (n) =>
    policies(n, (i) => ({ when: [{ key: `request.headers[${i.toString(36)}]`, values: ["a"] }] })),
  hosts: (n) => policies(n, (i) => ({ to: [{ operation: { hosts: [`${i.toString(36)}.*`] } }] })),
  ...Object.fromEntries(
    Object.entries(jwks).flatMap(([name, jwk]) => [
      [
        `providers with a key, ${name}`,
        (n: number) =>
          upTo(Math.ceil(n / 1000), (p) =>
            authentication(
              `r${p}`,
              ...upTo(Math.min(1000, n - p * 1000), (i) => rule(jwk, `i${p * 1000 + i}`)),
            ),
          ),
      ],
      [
        `sets of 100 keys, ${name}`,
        (n: number) => [
          authentication(
            "r",
            ...upTo(Math.ceil(n / 100), (p) => ({
              issuer: `i${p}`,
              jwks: JSON.stringify({
                keys: upTo(Math.min(100, n - p * 100), (i) => ({ ...jwk, kid: `${i}` })),
              }),
            })),
          ),
        ],
      ],
    ]),
  ),
};

/** A configuration of the shape, at most a tenth smaller than the largest that `compile` accepts. */
function largest(shape: (count: number) => string[], more: readonly string[]): string {
  for (let count = 100, tries = 0; tries < 8; tries++) {
    const { size, text } = render([...shape(count), ...more]);
    if (text !== undefined && size > MAX_CONFIGURATION_BYTES * 0.9) return text;
    count = Math.max(1, Math.floor((count * MAX_CONFIGURATION_BYTES * 0.97) / size));
  }
  throw new Error("no size fits");
}

/** What the command prints, if it is not too large, and how large it would be. */
function render(texts: readonly string[]): { size: number; text?: string } {
  const sources = texts.map((text, i) => ({ name: `${i}.json`, text }));
  const { workloads, configuration, diagnostics } = compile(sources, { target: "google" });
  if (configuration === undefined) throw new Error(diagnostics[0]?.message);
  const size = JSON.stringify(configuration).length;
  return size < MAX_CONFIGURATION_BYTES - 1 ? { size, text: google.render(workloads).text } : { size };
}

/** Fills the cache with tokens, and keeps requests in progress. */
function use(host: Host): void {
  const note = "x".repeat(700);
  for (let i = 0; i < 5000; i++) {
    const token = keys.HS256.token({ iss: ISSUER, sub: `${i}`, note });
    host.send({ path: "/a", headers: [bearer(token)] }).close();
  }
  const large = keys.HS256.token({ iss: ISSUER, sub: "large", note: "x".repeat(11_000) });
  // The host ends a request with its answer; here the module is not called at the end, so all requests stay in
  // progress.
  const call = Vm.prototype.call;
  const ends = /^proxy_on_(log|done|delete)$/;
  const kept = vi.spyOn(Vm.prototype, "call").mockImplementation(function (this: Vm, context, name, ...args) {
    return ends.test(name) ? { result: 0, stopped: false } : call.call(this, context, name, ...args);
  });
  for (let i = 0; i < 1000; i++) host.send({ path: "/a", headers: [bearer(large)] });
  kept.mockRestore();
}

describe("with 16 MiB of memory there is room for the largest configuration that compile accepts, a full cache and 1,000 requests", () => {
  const more = [authentication("mine", { ...rule(keys.HS256.jwk), forwardOriginalToken: false }), members];
  test.each(Object.keys(SHAPES))("%s", async (name) => {
    const text = largest(SHAPES[name] ?? (() => []), more);
    expect(text.length).toBeGreaterThan(MAX_CONFIGURATION_BYTES * 0.9);
    const host = await googleHost();
    const loaded = host.configure(text);
    expect(loaded.logs.filter(({ level }) => level === "error")).toEqual([]);
    expect(loaded.accepted).toBe(true);
    use(host);
    expect(host.trapped).toBeUndefined();
    expect(host.memorySize).toBeLessThanOrEqual(MEMORY);
  });
});
