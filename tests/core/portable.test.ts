/** The tools' core without Node: compiler, review, explanation, test runner and token signing. */
import { generateKeyPairSync, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { runInContext } from "node:vm";
import { beforeAll, describe, expect, test } from "vitest";
import { concat } from "../../tools/host/bytes.ts";
import { verifySignature as atNode } from "../../tools/host/node.ts";
import { writeField } from "../../tools/host/protobuf.ts";
import { verifySignature as atWeb } from "../../tools/host/web.ts";
import { MODULE_FILE, TRACE_MODULE_FILE } from "../../tools/package.ts";
import { bundlePortable, webContext } from "../support/portable.ts";

const ENTRY = `
export * from "./tools/core.ts";
export { ALGORITHMS } from "./tools/jwks/algorithms.ts";
`;

/** Runs in the engine: from a new key of each algorithm to a decision and its explanation. */
const DECIDE = `
async function decide(algorithm) {
  const key = await jwtgate.PrivateKey.generate(algorithm.alg);
  const signer = await jwtgate.Signer.read(JSON.stringify({ ...key.signing, kid: "k" }), { algorithm: algorithm.alg });
  const jwks = JSON.stringify({ keys: [{ ...key.verifying, kid: "k", alg: algorithm.alg }] });
  const text = policies(jwks);
  const sources = [{ name: "policies.yaml", text }];
  const result = jwtgate.compile(sources, { target: "envoy" });
  const errors = result.diagnostics.filter(({ severity }) => severity === "error");
  if (errors.length > 0) return errors;
  const { findings } = jwtgate.check(sources);
  const now = 1_800_000_000_000;
  const explainer = await jwtgate.Explainer.open(result, sources, { modules: { release, trace }, now });
  const ask = async (token) => {
    const headers = [["authorization", "Bearer " + token]];
    const { outcome, decidedBy, authentication } = await explainer.explain({ headers, peer: { ip: "10.0.0.1", port: 1 } });
    return [outcome.answer?.status ?? 200, decidedBy?.at.line, authentication.steps[0].tokens[0].keys?.map(({ outcome }) => outcome)];
  };
  const token = await signer.sign({ iss: "https://a", sub: "alice", exp: now / 1000 + 60 });
  const parts = token.split(".");
  const other = await signer.sign({ iss: "https://a", sub: "bob", exp: now / 1000 + 60 });
  return { findings: findings.map(({ code }) => code), good: await ask(token), forged: await ask([parts[0], other.split(".")[1], parts[2]].join(".")), other: await ask(other) };
}
`;

const policies = (jwks: string): string => `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: a}
spec:
  jwtRules: [{issuer: "https://a", jwks: '${jwks}'}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: b}
spec:
  rules:
  - from: [{source: {requestPrincipals: ["https://a/alice"], ipBlocks: [10.0.0.0/8]}}]
`;

const SUITE = `
policies: [{apiVersion: security.istio.io/v1, kind: RequestAuthentication, metadata: {name: a}, spec: {jwtRules: [{issuer: i, jwksUri: "https://keys.example/jwks"}]}}]
keys: {idp: {alg: ES256, issuer: i}, file: {file: key.pem, issuer: i}, stranger: {alg: RS256}}
tokens:
  good: {key: idp, claims: {sub: alice}}
  pem: {key: file}
  flipped: {from: good, signature: flip}
  confused: {key: idp, alg: HS256}
  crit: {key: idp, header: {crit: [x]}}
  strange: {key: stranger, claims: {iss: i}}
tests:
- {name: good, request: {token: good}, expect: 200}
- {name: pem, request: {token: pem}, expect: 200}
- {name: flipped, request: {token: flipped}, expect: 401}
- {name: confused, request: {token: confused}, expect: 401}
- {name: crit, request: {token: crit}, expect: {body: "Jwt header [crit] is not supported"}}
- {name: strange, request: {token: strange}, expect: 401}
- {name: fails, request: {token: good}, expect: 403}
`;

let bundle: string;
let release: WebAssembly.Module;
let trace: WebAssembly.Module;
beforeAll(async () => {
  bundle = await bundlePortable(ENTRY);
  [release, trace] = (await Promise.all(
    [MODULE_FILE, TRACE_MODULE_FILE].map((file) => WebAssembly.compile(readFileSync(file))),
  )) as [WebAssembly.Module, WebAssembly.Module];
});

/** What a program says in an engine without Node. */
async function run(program: string, globals: object = {}): Promise<unknown> {
  const context = webContext({ release, trace, policies, ...globals });
  const value: unknown = await runInContext(`${bundle};(async () => { ${program} })()`, context);
  // Objects of another engine's realm equal none of this one's.
  return JSON.parse(JSON.stringify(value));
}

test("a token of every algorithm is signed, decided and explained", async () => {
  const results = await run(`
    ${DECIDE}
    const results = {};
    for (const algorithm of jwtgate.ALGORITHMS) results[algorithm.alg] = await decide(algorithm);
    return results;
  `);
  const verdicts = Object.entries(results as Record<string, Record<string, unknown>>);
  expect(verdicts).toHaveLength(17);
  for (const [alg, { findings, good, forged, other }] of verdicts) {
    expect({ good, forged, other }, alg).toEqual({
      good: [200, 13, ["verified"]],
      forged: [401, null, ["tried: the signature is not by this key"]],
      other: [403, null, ["verified"]],
    });
    const ofKey = { HS: ["JG003"], RS: ["JG007"], PS: ["JG007"] }[alg.slice(0, 2)] ?? [];
    expect(findings, alg).toEqual(["JG002", "JG010", ...ofKey]);
  }
});

test("a file of tests runs, with spoilt tokens and a key in PEM", async () => {
  const pem = generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey.export({
    type: "pkcs8",
    format: "pem",
  });
  const results = await run(
    `
    const files = { policies: () => ({ files: [], diagnostics: [] }), text: () => pem };
    const { suite, diagnostics } = await jwtgate.loadSuite({ name: "a.test.yaml", text }, files, 1_800_000_000_000);
    if (suite === undefined) return diagnostics;
    const { cases } = await jwtgate.runSuite(suite, release);
    return cases.map(({ name, failures }) => [name, failures.length]);
  `,
    { text: SUITE, pem },
  );
  expect(results).toEqual([
    ...["good", "pem", "flipped", "confused", "crit", "strange"].map((name) => [name, 0]),
    ["fails", 1],
  ]);
});

describe("the check itself", () => {
  test.each([
    ['export { verifySignature } from "./tools/host/node.ts";', "node:crypto"],
    ["export const size = (text: string) => Buffer.byteLength(text);", "Buffer"],
    ["export const { env } = process;", "process"],
  ])("%s is refused", async (entry, what) => {
    await expect(bundlePortable(entry)).rejects.toThrow(what);
  });
});

describe("verify_signature without Node gives Node's results", () => {
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const pairs = [
    rsa,
    ...["P-256", "P-384", "P-521"].map((namedCurve) => generateKeyPairSync("ec", { namedCurve })),
  ];
  const text = Buffer.from("text");
  const call = (hash: string, key: Uint8Array, signature: Uint8Array, text: Uint8Array): Uint8Array =>
    concat(...[Buffer.from(hash), key, signature, text].map((bytes, i) => writeField(i + 1, bytes)));

  test.each(["sha1", "sha224", "sha256", "sha384", "sha512", "md5"])("%s", (hash) => {
    for (const { publicKey, privateKey } of pairs) {
      const key = publicKey.export({ type: "spki", format: "der" });
      const signature = sign(hash, text, privateKey);
      const calls = [call(hash, key, signature, text), call(hash, key, signature, Buffer.from("other"))];
      for (let i = 0; i < signature.length; i += 7) {
        const changed = Buffer.from(signature);
        changed[i] = (changed[i] ?? 0) ^ (1 << (i % 8));
        calls.push(call(hash, key, changed, text), call(hash, key, signature.subarray(0, i), text));
      }
      for (let i = 0; i < key.length; i += 5) calls.push(call(hash, key.subarray(0, i), signature, text));
      calls.push(call(hash, key, concat(signature, Uint8Array.of(0)), text));
      for (const args of calls) expect(atWeb(args)).toEqual(atNode(args));
      expect(atWeb(calls[0] as Uint8Array)).toEqual(hash === "md5" ? expect.anything() : Uint8Array.of(8, 1));
    }
  });

  test("a key of another type is not accepted", () => {
    const key = generateKeyPairSync("ed25519").publicKey.export({ type: "spki", format: "der" });
    const args = call("sha256", key, text, text);
    expect(atWeb(args)).toEqual(atNode(args));
  });
});
