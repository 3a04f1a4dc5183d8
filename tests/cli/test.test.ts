/** `jwtgate test`: the fields of its files, its errors, and its reports. */
import { spawn, spawnSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { compactVerify, decodeJwt, decodeProtectedHeader, importJWK } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { mint, SigningKey } from "../../tools/testing/mint.ts";
import { SPOILS } from "../../tools/testing/spoils.ts";
import { parseTime } from "../../tools/time.ts";
import { ALGORITHMS } from "../support/algorithms.ts";
import { ROOT, TOOL, Workspace } from "../support/cli.ts";
import { verifyMlDsa } from "../support/ml-dsa.ts";

const workspace = new Workspace();
afterAll(() => workspace.remove());
const run = (...args: string[]) =>
  workspace.run(["test", ...args], { env: { NO_COLOR: "1", CI: "", GITHUB_WORKSPACE: "" } });
const write = (name: string, content: string | Uint8Array) => writeFileSync(workspace.path(name), content);

const ISSUER = "https://idp.example.com";
const POLICIES = `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: idp}
spec:
  jwtRules:
  - issuer: ${ISSUER}
    jwksUri: ${ISSUER}/keys
    fromHeaders: [{name: authorization, prefix: "Bearer "}, {name: x-jwt}]
    fromParams: [t]
    fromCookies: [session]
    outputPayloadToHeader: x-payload
    outputClaimToHeaders: [{header: x-sub, claim: sub}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: readers}
spec:
  rules:
  - from: [{source: {requestPrincipals: ["${ISSUER}/alice"]}}]
    to: [{operation: {paths: ["/shop*"]}}]
  - from: [{source: {remoteIpBlocks: [10.0.0.0/8]}}]
  - from: [{source: {principals: ["cluster.local/ns/a/sa/b"]}}]
`;
const HEAD = `policies: [p.yaml]
keys: {idp: {alg: ES256, issuer: ${ISSUER}}}
tokens: {alice: {key: idp, claims: {sub: alice}}}
`;

beforeAll(() => write("p.yaml", POLICIES));

/** Runs a test file. */
function suite(text: string, ...flags: string[]) {
  write("x.test.yaml", text);
  return run("x.test.yaml", ...flags);
}

/** The verdicts of the tests of a file, by their names. */
function verdicts(text: string): Record<string, string> {
  const { stdout, stderr } = suite(text, "--reporter", "json");
  expect(stderr).toBe("");
  const { files } = JSON.parse(stdout) as {
    files: { tests: { name: string; verdict: string; failures: { what: string }[] }[] }[];
  };
  const tests = files.flatMap((file) => file.tests);
  return Object.fromEntries(
    tests.map(({ name, verdict, failures }) => [
      name,
      [verdict, ...failures.map(({ what }) => what)].join(": "),
    ]),
  );
}

describe("the sample", () => {
  const sample = `${ROOT}envoy/istio/one-principal.test.yaml`;

  test("passes", () => {
    const { status, stdout, stderr } = run(sample);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(/\n8 passed in [\d.]+ m?s\n$/);
  });

  test("has the form of the schema", () => {
    const schema: object = JSON.parse(readFileSync(`${ROOT}schema/test.schema.json`, "utf8"));
    const validate = new Ajv2020({ strict: false }).compile(schema);
    validate(parse(readFileSync(sample, "utf8")));
    expect(validate.errors).toBeNull();
  });
});

describe("tests get the module's own result, also for unusual policies", () => {
  const provider = (issuer: string, header: string) =>
    `{issuer: ${issuer}, jwksUri: "https://keys.example/${issuer}", fromHeaders: [{name: ${header}}], outputPayloadToHeader: x-payload, presence: REQUIRED}`;
  const FILE = `policies:
- apiVersion: security.istio.io/v1
  kind: RequestAuthentication
  metadata: {name: share}
  spec: {jwtRules: [${provider("a", "x-a")}, ${provider("b", "x-b")}]}
tokens:
  ta: {key: a, claims: {iss: a, sub: s}}
  tb: {key: b, claims: {iss: b, sub: s}}
tests:
- {name: both, request: {token: [{name: ta, header: x-a}, {name: tb, header: x-b}]}, expect: 200}
`;

  test("two providers that share an output header", () => {
    const keys = "keys: {a: {alg: ES256, issuer: a}, b: {alg: ES256, issuer: b}}\n";
    expect(verdicts(FILE + keys)).toEqual({ both: "passed" });
  });

  test.each<[string, (jwk: object) => string, string]>([
    ["a numeric kid", (jwk) => JSON.stringify({ keys: [{ ...jwk, kid: 7 }] }), "passed"],
    ["101 keys", (jwk) => JSON.stringify({ keys: Array(101).fill(jwk) }), "failed: status"],
    ["a byte order mark", (jwk) => `\ufeff${JSON.stringify({ keys: [jwk] })}`, "failed: status"],
  ])("fetched keys with %s", (_, document, verdict) => {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const jwk = JSON.stringify(privateKey.export({ format: "jwk" }));
    const served = JSON.stringify(document(publicKey.export({ format: "jwk" }))).replace("\ufeff", "\\ufeff");
    const keys = `keys:
  a: {alg: ES256, jwk: ${jwk}}
  served: {jwksUri: "https://keys.example/a", jwks: ${served}}
  b: {alg: ES256, issuer: b}
`;
    expect(verdicts(FILE + keys)).toEqual({ both: verdict });
  });
});

describe("the fields of a test file", () => {
  test("a token at every location, and its removal", () => {
    expect(
      verdicts(`${HEAD}
tests:
- {name: header, request: {path: /shop, token: alice}, expect: {status: 200, upstream: {headers: {authorization: null, x-sub: alice}}}}
- {name: another header, request: {path: /shop, token: {name: alice, header: X-JWT}}, expect: {status: 200, upstream: {headers: {x-jwt: null}}}}
- {name: query, request: {path: /shop?a=b, token: {name: alice, param: t}}, expect: {status: 200, upstream: {path: "/shop?a=b"}}}
- {name: cookie, request: {path: /shop, headers: {cookie: a=b}, token: {name: alice, cookie: session}}, expect: 200}
- {name: two, request: {path: /shop, token: [alice, {name: alice, cookie: session}]}, expect: {status: 200, upstream: {headers: {x-sub: [alice, alice]}}}}
- {name: forged header, request: {path: /shop, headers: {x-sub: root}, peer: 10.0.0.1}, expect: {status: 200, rule: "default/readers[1]", upstream: {headers: {x-sub: null}}}}
`),
    ).toEqual({
      header: "passed",
      "another header": "passed",
      query: "passed",
      cookie: "passed",
      two: "passed",
      "forged header": "passed",
    });
  });

  test("the time of a test, and the lifetime of tokens", () => {
    expect(
      verdicts(`${HEAD.replace("tokens: {", "at: 2026-01-31T12:00:00Z\ntokens: {\n  old: {key: idp, claims: {sub: alice}, expires: now-2h},\n  young: {key: idp, claims: {sub: alice}, notBefore: now+2h, expires: +4h},\n  endless: {key: idp, claims: {sub: alice}, without: [exp]},")}
tests:
- {name: good, request: {path: /shop, token: alice}, expect: 200}
- {name: an hour and a half later, at: now+90m, request: {path: /shop, token: alice}, expect: {status: 401, body: Jwt is expired}}
- {name: old, request: {path: /shop, token: old}, expect: {status: 401, body: Jwt is expired}}
- {name: young, request: {path: /shop, token: young}, expect: {status: 401, body: Jwt not yet valid}}
- {name: young later, at: "2026-01-31T14:00:00Z", request: {path: /shop, token: young}, expect: 200}
- {name: endless, at: "2040-01-01", request: {path: /shop, token: endless}, expect: 200}
`),
    ).toEqual({
      good: "passed",
      "an hour and a half later": "passed",
      old: "passed",
      young: "passed",
      "young later": "passed",
      endless: "passed",
    });
  });

  test("tokens that must be refused", () => {
    expect(
      verdicts(`policies: [p.yaml]
keys:
  idp: {issuer: "${ISSUER}"}
  stranger: {alg: ES256, kid: idp}
tokens:
  bob: {key: idp, claims: {sub: bob}}
  other: {key: stranger, claims: {iss: "${ISSUER}", sub: alice}}
  tampered: {from: bob, claims: {sub: alice}}
  flipped: {from: bob, signature: flip}
  cut: {from: bob, signature: empty}
  longer: {from: bob, append: AAAA}
  none: {key: idp, alg: none}
  confused: {key: idp, alg: HS256, claims: {sub: alice}}
  critical: {key: idp, header: {crit: [x]}}
  nobody: {key: idp, without: [iss]}
  unnamed: {key: idp, without: [kid], claims: {sub: alice}}
  junk: a.b.c
tests:
- {name: other, request: {token: other}, expect: {status: 401, body: "Jwks doesn't have key to match kid or alg from Jwt"}}
- {name: tampered, request: {token: tampered}, expect: {status: 401, body: Jwt verification fails}}
- {name: flipped, request: {token: flipped}, expect: {status: 401, body: Jwt verification fails}}
- {name: cut, request: {token: cut}, expect: {status: 401, body: Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections}}
- {name: longer, request: {token: longer}, expect: 401}
- {name: none, request: {token: none}, expect: 401}
- {name: confused, request: {token: confused}, expect: {status: 401, details: "jwt_authn_access_denied{Jwks_doesn't_have_key_to_match_kid_or_alg_from_Jwt}"}}
- {name: critical, request: {token: critical}, expect: {body: "Jwt header [crit] is not supported"}}
- {name: nobody, request: {token: nobody}, expect: {body: Jwt issuer is not configured}}
- {name: unnamed, request: {path: /shop, token: unnamed}, expect: 200}
- {name: junk, request: {token: junk}, expect: {body: Jwt header is an invalid Base64url encoded}}
`),
    ).toEqual(
      Object.fromEntries(
        "other tampered flipped cut longer none confused critical nobody unnamed junk"
          .split(" ")
          .map((name) => [name, "passed"]),
      ),
    );
  });

  test("policies written out, with their places, and a workload", () => {
    const { stdout } = suite(
      `policies:
- apiVersion: security.istio.io/v1
  kind: AuthorizationPolicy
  metadata: {name: a, namespace: foo}
  spec: {selector: {matchLabels: {app: a}}, rules: [{to: [{operation: {ports: ["9999"], methods: [GET]}}]}]}
workload: {namespace: foo, labels: {app: a}}
listener: {address: "10.0.0.1:9999", mode: sidecar, pathNormalization: NONE}
tests:
- {name: get, expect: {status: 200, rule: foo/a}}
- {name: post, request: {method: POST, body: x}, expect: {status: 403, rule: none}}
`,
      "--reporter",
      "json",
    );
    expect(JSON.parse(stdout)).toMatchObject({
      passed: 2,
      failed: 0,
      files: [{ tests: [{ decidedBy: { name: "foo/a, rule 0", at: "x.test.yaml:5:53" } }, {}] }],
    });
  });

  test("client certificates", () => {
    expect(
      verdicts(`${HEAD}
tests:
- {name: mine, request: {tls: {client: ["spiffe://cluster.local/ns/a/sa/b"]}}, expect: {rule: "default/readers[2]"}}
- {name: another, request: {tls: {client: ["spiffe://cluster.local/ns/a/sa/c"], sni: a}}, expect: 403}
`),
    ).toEqual({ mine: "passed", another: "passed" });
  });

  test("given private keys, and complete key sets", () => {
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    write("key.pem", privateKey.export({ type: "pkcs8", format: "pem" }));
    const jwk = generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey.export({ format: "jwk" });
    const keys = `keys:
  pem: {file: key.pem, issuer: "${ISSUER}"}
  jwk: {jwk: ${JSON.stringify({ ...jwk, kid: "mine" })}, jwksUri: "${ISSUER}/keys"}
  broken: {jwks: "{", issuer: "${ISSUER}"}
tokens: {a: {key: pem, claims: {sub: alice}}, b: {key: jwk, claims: {iss: "${ISSUER}", sub: alice}}}
`;
    const tests = (expected: string) => `tests:
- {name: a, request: {path: /shop, token: a}, expect: ${expected}}
- {name: b, request: {path: /shop, token: b}, expect: ${expected}}
`;
    const without = keys.replace(/ {2}broken.*\n/, "");
    expect(verdicts(`policies: [p.yaml]\n${without}${tests("200")}`)).toEqual({ a: "passed", b: "passed" });
    const fails = "{body: Jwks remote fetch is failed}";
    expect(verdicts(`policies: [p.yaml]\n${keys}${tests(fails)}`)).toEqual({ a: "passed", b: "passed" });
  });
});

describe("a failure", () => {
  const FAILING = `${HEAD}
tests:
- name: passes
  expect: 403
- name: is <wrong> & more
  request: {path: /shop, token: alice}
  expect:
    status: 403
    body: nothing
    rule: none
    details: none
    headers: {x-a: b}
    upstream: {method: PUT, path: /x, headers: {x-sub: bob, x-none: [a, b]}}
- {name: not reached, expect: {upstream: {}}}
`;

  test("prints what differs, its place, and the line that decided", () => {
    const { status, stdout } = suite(FAILING);
    expect(status).toBe(1);
    expect(stdout).toMatch(/ {2}✓ passes \(\d+ ms\)\n/);
    expect(stdout).toMatch(/ {2}✗ is <wrong> & more \(\d+ ms\) {2}x\.test\.yaml:8:3\n/);
    for (const [what, at, expected, actual] of [
      ["status", "11:13", "403", "200"],
      ["body", "12:11", "nothing", "the upstream's own"],
      ["rule", "13:11", "none", "ns[default]-policy[readers]-rule[0]"],
      ["details", "14:14", "none", "none: it was forwarded"],
      ["header x-a of the answer", "15:20", "b", "absent"],
      ["method at the upstream", "16:24", "PUT", "GET"],
      ["path at the upstream", "16:35", "/x", "/shop"],
      ["header x-sub of the upstream", "16:56", "bob", "alice"],
    ]) {
      expect(stdout).toContain(
        `      ${what}  x.test.yaml:${at}\n        - ${expected}\n        + ${actual}\n`,
      );
    }
    expect(stdout).toContain("        - a\n        - b\n        + absent\n");
    expect(stdout).toContain("because default/readers, rule 0 (p.yaml:19:5) allows it\n");
    expect(stdout).toContain("        - to be reached\n        + not reached\n");
    expect(stdout).toContain("because no rule of an ALLOW policy matches\n");
    expect(stdout).toMatch(/\n2 failed, 1 passed in [\d.]+ m?s\n$/);
  });

  test("as TAP", () => {
    const { stdout } = suite(FAILING, "--reporter", "tap");
    const lines = stdout.split("\n");
    expect(lines.slice(0, 4)).toEqual([
      "TAP version 14",
      "1..3",
      "ok 1 - x.test.yaml: passes",
      "not ok 2 - x.test.yaml: is <wrong> & more",
    ]);
    const block = stdout.slice(stdout.indexOf("  ---\n") + 6, stdout.indexOf("  ...\n"));
    expect(parse(block)).toMatchObject({
      at: "x.test.yaml:8:3",
      failures: expect.arrayContaining([
        { what: "status", at: "x.test.yaml:11:13", expected: "403", actual: "200" },
      ]),
    });
  });

  test("as JUnit", () => {
    const { stdout } = suite(FAILING, "--reporter", "junit");
    expect(stdout).toMatch(
      /^<\?xml version="1.0" encoding="UTF-8"\?>\n<testsuites name="jwtgate test" tests="3" failures="2"/,
    );
    expect(stdout).toContain('name="is &lt;wrong&gt; &amp; more" file="x.test.yaml" line="8"');
    expect(stdout).toContain('<failure message="status: expected 403, got 200">');
    const opened = [...stdout.matchAll(/<(test\w+)(?: [^>]*[^/])?>/g)].map(([, name]) => name).sort();
    const closed = [...stdout.matchAll(/<\/(test\w+)>/g)].map(([, name]) => name).sort();
    expect(opened).toEqual(closed);
  });
});

describe("a wrong file is reported with its position", () => {
  const body = `${HEAD}tests: [{name: a, expect: 403}]\n`;
  test.each<[string, string]>([
    ["polices: [p.yaml]\ntests: []\n", '1:1: unknown field "polices" here: did you mean `policies`?'],
    ["policies: p.yaml\ntests: []\n", '1:11: policies must be a list, not a string: write ["p.yaml"]'],
    ["policies: []\ntests: [{name: a, expect: 403}]\n", "1:11: policies must not be empty"],
    [
      "policies: [q.yaml]\ntests: [{name: a, expect: 403}]\n",
      "1:12: q.yaml: there is no such file or folder",
    ],
    ["tests: [{name: a, expect: 403}]\n", "1:1: policies is missing"],
    [body.replace("ES256", "ES128"), '2:19: keys.idp.alg cannot be "ES128": write RS256'],
    [
      body.replace(`issuer: ${ISSUER}`, "issuer: https://idp.example.org"),
      "2:34: no rule of the policies has the issuer",
    ],
    [body.replace("key: idp", "key: idpp"), '3:23: there is no key "idpp": did you mean idp?'],
    [body.replace("claims: {sub: alice}", "expires: soon"), '3:37: "soon" is not a time: write now+1h'],
    [body.replace("claims: {sub: alice}", "alg: ES999"), "3:33: "],
    [
      body.replace("{key: idp, claims: {sub: alice}}", "{from: alice}"),
      '3:24: the token "alice" is made from itself',
    ],
    [
      body.replace("{key: idp, claims: {sub: alice}}", "{from: x}, x: junk"),
      "cannot be read, so it cannot be changed",
    ],
    [
      body.replace("expect: 403", "expect: {statuss: 403}"),
      '4:28: unknown field "statuss" in tests[0].expect: did you mean `status`?',
    ],
    [
      body.replace("expect: 403", "expect: 99"),
      "4:27: tests[0].expect must be a whole number from 100 to 599",
    ],
    [
      body.replace("expect: 403", "expect: no"),
      "4:27: tests[0].expect must be a number or an object, not the boolean false",
    ],
    [body.replace("expect: 403", "request: {token: bob}, expect: 403"), '4:36: there is no token "bob"'],
    [body.replace("expect: 403", "request: {method: get}, expect: 403"), "in capital letters"],
    [body.replace("expect: 403", "request: {path: /a b}, expect: 403"), "write %20 for a space"],
    [body.replace("expect: 403", "request: {peer: me}, expect: 403"), '"me" is not an IP address'],
    [
      body.replace("expect: 403", "request: {headers: {Host: a}}, expect: 403"),
      "write the Host header as `host`",
    ],
    [
      body.replace("expect: 403", "request: {token: {name: alice, param: a, cookie: b}}, expect: 403"),
      "one of header, param and cookie",
    ],
    [body.replace("expect: 403", "at: today, expect: 403"), '4:23: "today" is not a time'],
    [`${body}listener: {address: localhost}\n`, '"localhost" is not an address: write IP:PORT'],
    [body.replace("alg: ES256", "jwk: {kty: oct}, file: a"), "has several of jwk, file and jwks"],
    [body.replace("alg: ES256", "file: p.yaml"), "keys.idp is not a private key"],
    [body.replace("alg: ES256", "file: missing"), "2:13: missing: there is no such file or folder"],
    [`${body}---\n${body}`, "a test file is one document"],
    [
      "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a}\n",
      "1:1: this is a resource (AuthorizationPolicy) and no test: a file of tests names it under policies:",
    ],
    ["[1, 2]\n", "1:1: the file must be an object with fields, not a list"],
    ["", "there are no tests in this file"],
    [`${body}a: *b\n`, "5:4: "],
  ])("%j", (text, words) => {
    const { status, stdout, stderr } = suite(text);
    expect({ status, stderr }).toEqual({ status: 1, stderr: "" });
    expect(stdout).toContain(words);
    expect(stdout).toMatch(
      /^x\.test\.yaml \(\d+ ms\)\n( {2}✗ (x\.test\.yaml(:\d+){0,2}|q\.yaml): .+\n)+\n1 file with an error, 0 passed in /,
    );
  });

  test("a policy's own fault is reported at its position", () => {
    write("wrong.yaml", POLICIES.replace("rules:", "ruls:"));
    const { status, stdout } = suite("policies: [wrong.yaml]\ntests: [{name: a, expect: 403}]\n");
    expect(status).toBe(1);
    expect(stdout).toContain('wrong.yaml:18:3: unknown field "ruls"');
  });

  test("a key is never quoted", () => {
    write("secret.jwk", '{"kty": "oct", "k": "hunter2');
    const { stdout } = suite(body.replace("alg: ES256", "file: secret.jwk"));
    expect(stdout).toContain("is not a private key");
    expect(stdout).not.toContain("hunter2");
  });

  test.each([
    [["missing.yaml"], "missing.yaml: there is no such file or folder\n"],
    [
      ["-f", "empty"],
      "empty: no .test.yaml file is in this folder: `jwtgate new -o policy.yaml` writes one next to a policy\n",
    ],
    [["/dev/zero"], "/dev/zero: this is larger than 16 MiB\n"],
  ])("%j", (args, words) => {
    mkdirSync(workspace.path("empty"), { recursive: true });
    const { status, stdout, stderr } = run(...args);
    expect({ status, stderr }).toEqual({ status: 1, stderr: "" });
    expect(stdout).toContain(`  ✗ ${words}`);
  });

  test.each([
    [["a", "--reporter", "xml"], "Allowed choices are text, tap, junit, json, github"],
    [["a", "--bail", "0"], "Write a whole number from 1 on, or --bail after the files."],
    [["a", "--at", "soon"], "Write now+1h"],
    [["a", "--at", "now", "--envoy"], "the clock of a real Envoy cannot be set"],
  ])("%j is a wrong command line", (args, words) => {
    const { status, stdout, stderr } = run(...args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toContain(words);
  });
});

test("tests in a folder are found, and are not policies", () => {
  mkdirSync(workspace.path("both/below"), { recursive: true });
  write("both/p.yaml", POLICIES);
  write("both/below/a.test.yaml", "policies: [..]\ntests: [{name: a, expect: 403}]\n");
  expect(run("both")).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/^both\/below\/a\.test\.yaml \(\d+ ms\)\n {2}✓ a \(\d+ ms\)\n/),
  });
  expect(workspace.run(["check", "-f", "both"]).stderr).toBe("");
});

test("--watch runs again when a policy changes, and goes with its parent's signal", async () => {
  write("watched.yaml", POLICIES);
  write("watched.test.yaml", "policies: [watched.yaml]\ntests: [{name: a, expect: 403}]\n");
  const child = spawn(process.execPath, [TOOL, "test", "watched.test.yaml", "--watch"], {
    cwd: workspace.folder,
  });
  let stdout = "";
  const until = (words: string) =>
    new Promise<void>((resolve) => {
      const look = () => stdout.includes(words) && resolve();
      child.stdout.on("data", look);
      look();
    });
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    stdout += chunk;
  });
  const waiting = new Promise<void>((resolve) => {
    child.stderr.once("data", () => resolve());
  });
  await until("1 passed");
  await waiting;
  write("watched.yaml", POLICIES.replace("remoteIpBlocks: [10.0.0.0/8]", "remoteIpBlocks: [0.0.0.0/0]"));
  await until("1 failed, 0 passed");
  child.kill("SIGTERM");
  const code = await new Promise((resolve) => child.on("close", resolve));
  expect(code).toBe(0);
});

test("a reader that stops reading is not an error", () => {
  const script = '"$0" "$1" test "$2" | true; echo "${PIPESTATUS[0]}"';
  const sample = `${ROOT}envoy/istio/one-principal.test.yaml`;
  const { stdout, stderr } = spawnSync("bash", ["-c", script, process.execPath, TOOL, sample], {
    encoding: "utf8",
  });
  expect({ stdout, stderr }).toEqual({ stdout: "0\n", stderr: "" });
});

describe("minted tokens", () => {
  test.each(ALGORITHMS)("%s is accepted by another implementation", async (alg) => {
    const key = await SigningKey.generate(alg, "k");
    const token = await mint(key, { alg, kid: "k" }, { sub: "alice" }, alg);
    const isSigned = verifyMlDsa(alg, token, key.jwk);
    if (isSigned === undefined)
      await compactVerify(token, await importJWK(key.jwk, alg), { algorithms: [alg] });
    else expect(isSigned).toBe(true);
    expect(decodeProtectedHeader(token)).toEqual({ alg, kid: "k" });
    expect(decodeJwt(token)).toEqual({ sub: "alice" });
  });

  test("a key signs only with algorithms of its kind", async () => {
    const key = await SigningKey.generate("ES256", "k");
    await expect(key.sign("x", "RS256")).rejects.toThrow("a key for ES256 makes no RS256 signature");
  });
});

test.each([
  ["a URL", 'jwksUri: "https://keys.example/shared"'],
  ["a host with discovery", "forwardOriginalToken: true"],
])("issuers that share %s have separate keys", (_, member) => {
  const issuers = ["https://idp.example/a", "https://idp.example/b"];
  const rules = issuers.map((issuer) => `{issuer: "${issuer}", ${member}}`).join(", ");
  const tokens = ["a", "b"].map((name) => `  ${name}: {key: ${name}, claims: {sub: x}}\n`).join("");
  write(
    "shared.yaml",
    `{apiVersion: security.istio.io/v1, kind: RequestAuthentication, metadata: {name: r}, spec: {jwtRules: [${rules}]}}`,
  );
  const text = `policies: [shared.yaml]
keys: {a: {issuer: "${issuers[0]}"}, b: {issuer: "${issuers[1]}"}}
tokens:
${tokens}tests:
- {name: first, request: {token: a}, expect: 200}
- {name: second, request: {token: b}, expect: 200}
`;
  expect(verdicts(text)).toEqual({ first: "passed", second: "passed" });
});

const NOW = 1_000_000_000;
test.each([
  ["now+5m", 300_000],
  ["now-5m", -300_000],
  ["5m", 300_000],
  ["-1d", -86_400_000],
  ["now+1d2h30m", 95_400_000],
  ["+1.5h", 5_400_000],
  ["now", 0],
  ["1000001", 1_000_001_000 - NOW],
  ["1970-01-12", 950_400_000 - NOW],
  ["1970-01-12T13:46:40Z", 0],
  ["1970-01-12T14:46:40.5+01:00", 500],
])("%s", (text, offset) => expect(parseTime(text, NOW)).toBe(NOW + offset));

test.each([
  "in 5m ago",
  "soon",
  "",
  "now+",
  "now5m",
  "+-5m",
  "now+5",
  "5 m",
  "2026-13-45",
  "2026-02-30",
  "2026-01-31T12:00:00",
  "2026-01-31T25:00:00Z",
  "999999999999999",
])("%j is not a time", (text) => expect(parseTime(text, 0)).toBeUndefined());

describe("former spellings work, with a warning", () => {
  test("of a test file", () => {
    const { status, stderr } = suite(`${HEAD.replace("claims:", "expires: in 5m, issuedAt: 2h ago, claims:")}
now: 2026-01-31T12:00:00Z
tests: [{name: a, now: 2026-01-31T12:01:00Z, request: {path: /shop, token: alice}, expect: 200}]
`);
    expect({ status, stderr: stderr.split("\n").sort() }).toEqual({
      status: 0,
      stderr: [
        "",
        'x.test.yaml:3:37: warning: "in 5m" is the former spelling of a time: write now+5m',
        'x.test.yaml:3:54: warning: "2h ago" is the former spelling of a time: write now-2h',
        "x.test.yaml:5:6: warning: now: has a new name: write at:",
        "x.test.yaml:6:24: warning: now: has a new name: write at:",
      ],
    });
  });

  test("of --reporter", () => {
    const { stdout, stderr } = suite(`${HEAD}tests: [{name: a, expect: 403}]\n`, "--reporter", "people");
    expect(stdout).toContain("1 passed");
    expect(stderr).toBe("warning: --reporter people is now --reporter text\n");
  });
});

/** The result of a file, as JSON. */
function json(text: string, flags: string[] = [], env: Record<string, string> = {}) {
  write("x.test.yaml", text);
  const args = ["test", "x.test.yaml", "--reporter", "json", ...flags];
  const { status, stdout, stderr } = workspace.run(args, { env: { CI: "", ...env } });
  return { status, stderr, ...JSON.parse(stdout) };
}

describe("which tests are run", () => {
  const THREE = `${HEAD}tests:
- {name: first (a), expect: 403}
- {name: second, expect: 200}
- {name: third, expect: 200}
`;

  test.each([
    ["first (a)", 1],
    ["^x.test.yaml > (first|second)", 2],
    ["second$", 1],
    ["first (", 1],
  ])("-t %j", (pattern, ran) => {
    const { passed, failed, unselected } = json(THREE, ["-t", pattern]);
    expect({ ran: passed + failed, unselected }).toEqual({ ran, unselected: 3 - ran });
  });

  test("-t of no test is an error", () => {
    const { status, stderr } = suite(THREE, "-t", "fourth");
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: 'no test was run: -t "fourth" is in the name of none of 3 tests (FILE > TEST)\n',
    });
  });

  test("--bail ends after the first failure, and --bail 2 after the second", () => {
    expect(json(THREE, ["--bail"])).toMatchObject({ status: 1, passed: 1, failed: 1, skipped: 1 });
    expect(json(THREE, ["--bail", "2"])).toMatchObject({ passed: 1, failed: 2, skipped: 0 });
    expect(suite(THREE, "--bail").stdout).toContain("- third: skipped: not run: --bail after 1 failure\n");
  });

  test("only, skip and their reasons", () => {
    const text = THREE.replace("second,", "second, skip: until Monday,").replace(
      "third,",
      "third, skip: true,",
    );
    expect(json(text)).toMatchObject({ status: 0, passed: 1, failed: 0, skipped: 2, unselected: 0 });
    expect(suite(text).stdout).toContain("- second: skipped: until Monday\n  - third: skipped: skip: true\n");
    const only = THREE.replace("first (a),", "first (a), only: true,");
    expect(json(only)).toMatchObject({ status: 0, passed: 1, failed: 0, unselected: 2 });
    expect(suite(only).stdout).toMatch(/\n1 passed, 2 not selected in /);
    expect(suite(THREE.replace("second,", "second, only: true, skip: true,")).stdout).toContain(
      "x.test.yaml:6:24: this has both skip and only: keep one",
    );
  });

  test("only is refused with --forbid-only, and if CI is set", () => {
    const only = THREE.replace("second,", "second, only: true,");
    for (const refused of [json(only, ["--forbid-only"]), json(only, [], { CI: "true" })]) {
      expect(refused).toMatchObject({ status: 1, faulty: 1, passed: 0 });
      expect(refused.files[0].errors).toEqual([
        {
          severity: "error",
          file: "x.test.yaml",
          line: 6,
          column: 24,
          at: "x.test.yaml:6:24",
          message: expect.stringMatching(/^only leaves out .* remove it$/),
        },
      ]);
    }
    expect(json(only, [], { CI: "false" })).toMatchObject({ faulty: 0, failed: 1 });
  });
});

describe("a faulty file does not stop others, and is in every report", () => {
  beforeAll(() => {
    mkdirSync(workspace.path("mixed/deep"), { recursive: true });
    write("mixed/a.test.yaml", "policies: [\n");
    write("mixed/b.test.yml", "polices: []\ntests: []\n");
    write("mixed/bad.yaml", POLICIES.replace("rules:", "ruls:"));
    write("mixed/c.test.yaml", "policies: [bad.yaml]\ntests: [{name: a, expect: 403}]\n");
    write(
      "mixed/deep/d.test.json",
      '{"policies": ["../../p.yaml"], "tests": [{"name": "d", "expect": 403}]}',
    );
  });
  const AT = ["mixed/a.test.yaml:2:1", "mixed/b.test.yml:1:1", "mixed/bad.yaml:18:3"];
  const report = (reporter: string) =>
    workspace.run(["test", "--reporter", reporter, "mixed"], { env: { CI: "" } });

  test.each([
    ["text", AT.map((at) => `  ✗ ${at}: `), "3 files with an error, 1 passed in "],
    ["json", AT.map((at) => `"at": "${at}"`), '"faulty": 3'],
    ["junit", AT.map((at) => `<error message="${at}: `), 'tests="4" failures="0" errors="3" skipped="0"'],
    ["tap", AT.map((at) => `at: "${at}"`), "ok 4 - mixed/deep/d.test.json: d\n"],
    ["github", ["file=mixed/a.test.yaml,line=2,col=1", "file=mixed/bad.yaml,line=18,col=3"], "::error "],
  ])("%s", (reporter, places, summary) => {
    const { status, stdout } = report(reporter);
    expect(status).toBe(1);
    for (const place of [...places, summary]) expect(stdout).toContain(place);
  });

  test("and without arguments, the files of this folder are found", () => {
    const { stdout } = spawnSync(process.execPath, [TOOL, "test"], {
      cwd: workspace.path("mixed"),
      encoding: "utf8",
    });
    expect(stdout).toContain("\ndeep/d.test.json (");
  });
});

describe("tables", () => {
  const table = (
    expectations: string,
    tokens = "[none, alice, {name: alice, cookie: session}]",
  ) => `${HEAD}tables:
- name: who
  tokens: ${tokens}
  expect:
${expectations}`;

  test("each cell is a test with its name and place", () => {
    const result = json(
      table("    GET,POST /shop: [403, 200, 200]\n    /shop /x: [403, 200, {status: 404}]\n").replace(
        "/shop /x",
        "/x /y",
      ),
    );
    const tests = result.files[0].tests as { name: string; table: string; at: string; verdict: string }[];
    expect(tests.map(({ name }) => name)).toEqual(
      ["GET /shop", "POST /shop", "GET /x", "GET /y"].flatMap((row) =>
        ["no token", "token alice", "token alice in session"].map((column) => `${row}, ${column}`),
      ),
    );
    expect(tests[1]).toMatchObject({ table: "who", at: "x.test.yaml:8:27", verdict: "passed" });
    expect(tests[7]).toMatchObject({ at: "x.test.yaml:9:18", verdict: "failed" });
    expect(result).toMatchObject({ passed: 8, failed: 4 });
    expect(
      json(table("    GET /shop: [403, 200, 200]\n"), ["-t", "> who > GET /shop, no token"]).passed,
    ).toBe(1);
  });

  test("with fields of all requests, a time, and skip", () => {
    const text = `${table("    GET /a: [200, 200, 401]\n")}  request: {peer: 10.1.1.1}\n  at: now+2h\n`;
    const tests = json(text).files[0].tests as { verdict: string }[];
    expect(tests.map(({ verdict }) => verdict)).toEqual(["passed", "failed", "passed"]);
    expect(json(`${text}  skip: not now\n`)).toMatchObject({ passed: 0, skipped: 3 });
  });

  test.each([
    ["    /a: [200, 200]\n", "8:5: this row has no expectation for: token alice in session"],
    ["    /a: [1, 2, 3, 4]\n", "8:10: tables[0].expect./a[0] must be a whole number from 100 to 599"],
    ["    /a: [200, 200, 200, 200]\n", "8:5: this row has 4 values for 3 columns (no token; token alice;"],
    [
      "    /a: [200, 200, 200]\n    GET /a: [200, 200, 200]\n",
      "9:5: GET /a is in the row of line 8 too: keep one",
    ],
    ["    GET,GET /a: [200, 200, 200]\n", "8:5: GET /a is twice in this row: keep one"],
    ["    GET: [200, 200, 200]\n", '8:5: there is no path in the row "GET": write /path'],
    ["    get /a: [200, 200, 200]\n", '8:5: "get" is not a path in the row "get /a"'],
    ["    {}\n", "8:5: a table without rows tests nothing"],
  ])("%j", (rows, words) => {
    const { status, stdout } = suite(table(rows));
    expect(status).toBe(1);
    expect(stdout).toContain(`x.test.yaml:${words}`);
    expect(stdout.match(/✗/g)).toHaveLength(rows.includes("[1,") ? 4 : 1);
  });

  test("an unknown token is reported once, at its column", () => {
    const { stdout } = suite(table("    /a /b: [200, 200]\n", "[none, bob]"));
    expect(stdout.match(/✗.*/g)).toEqual([
      expect.stringContaining('x.test.yaml:6:18: there is no token "bob"'),
    ]);
  });

  test("none is not a token's name in a file with a table that uses none", () => {
    const text = table("    /a: [403]\n", "[none]").replace("tokens: {", "tokens: {none: x, ");
    expect(suite(text).stdout).toContain("x.test.yaml:6:12: in a table none means no token");
  });
});

test("every way to spoil a token is refused, except another audience if no rule asks for one", () => {
  const ways = Object.keys(SPOILS);
  const text = (key: string) => `policies: [p.yaml]
keys: {idp: ${key}}
tokens:
  good: {key: idp, claims: {sub: alice}}
${ways.map((way) => `  ${way}: {from: good, spoil: ${way}}\n`).join("")}tables:
- name: spoilt
  tokens: [good, ${ways.join(", ")}]
  expect:
    /shop: [200, ${ways.map((way) => (way === "wrong-audience" ? 200 : 401)).join(", ")}]
`;
  for (const alg of ["ES256", "RS256", "EdDSA", "ML-DSA-44"]) {
    const { files, passed } = json(text(`{alg: ${alg}, issuer: "${ISSUER}"}`));
    const failed = files[0].tests?.filter(({ verdict }: { verdict: string }) => verdict !== "passed");
    expect({ alg, failed, errors: files[0].errors }).toEqual({ alg, failed: [], errors: undefined });
    expect(passed).toBe(ways.length + 1);
  }
  const secret = suite(text(`{alg: HS256, issuer: "${ISSUER}"}`));
  expect(secret.stdout).toContain("embedded-key needs a token of a public key");
  expect(suite(text("{}").replace("good: {key: idp, claims: {sub: alice}}", "good: a.b.c")).stdout).toContain(
    "spoil needs a token that this file signs",
  );
});

test("a token of another key under the right kid is refused for its signature", () => {
  const head = HEAD.replace("{sub: alice}}", "{sub: alice}}, forged: {from: alice, spoil: wrong-key}");
  const text = `${head}tests:
- {name: a, request: {path: /shop, token: forged}, expect: {status: 401, body: Jwt verification fails}}
`;
  expect(json(text)).toMatchObject({ passed: 1, failed: 0 });
});

test("annotations name files as GitHub does, from the repository's folder", () => {
  write("x.test.yaml", `${HEAD}tests: [{name: "a, b: 100%", expect: 200}]\n`);
  const { stdout } = workspace.run(["test", "x.test.yaml", "--reporter", "github"], {
    env: { GITHUB_WORKSPACE: dirname(workspace.folder) },
  });
  const file = `${basename(workspace.folder)}/x.test.yaml`;
  expect(stdout).toBe(
    `::error file=${file},line=4,col=38,title=x.test.yaml > a%2C b%3A 100%25::status: expected 200, got 403%0Aanswer: 403 RBAC: access denied%0Abecause no rule of an ALLOW policy matches\n`,
  );
});

test("1,000 tests take a few seconds", () => {
  const rows = Array.from({ length: 500 }, (_, i) => `    /shop/${i}: [403, 200]\n`).join("");
  const { passed, milliseconds } = json(
    `${HEAD}tables:\n- name: many\n  tokens: [none, alice]\n  expect:\n${rows}`,
  );
  expect(passed).toBe(1000);
  expect(milliseconds).toBeLessThan(10_000);
});
