/** `jwtgate check` as a user runs it; each finding by itself is in tests/check. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KINDS } from "../../tools/check/findings.ts";
import { ROOT, Workspace } from "../support/cli.ts";

const workspace = new Workspace();
afterAll(() => workspace.remove());
const run = (...args: string[]) => workspace.run(["check", ...args], { env: { NO_COLOR: "1" } });
const write = (name: string, content: string | Uint8Array) => writeFileSync(workspace.path(name), content);

const policy = (name: string, spec: string, metadata = "") => `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ${name}${metadata}}
spec: ${spec}
`;
const WARNING = policy("a", '{action: DENY, rules: [{to: [{operation: {paths: ["/admin"]}}]}]}');
const ERROR = policy("b", '{rules: [{to: [{operation: {methods: ["get"]}}]}]}');
const INFO = policy("c", '{rules: [{to: [{operation: {notPaths: ["/x*"]}}]}]}');
const CLEAN = policy("d", '{rules: [{to: [{operation: {methods: ["GET"]}}]}]}');

beforeAll(() => {
  for (const [name, text] of Object.entries({ WARNING, ERROR, INFO, CLEAN }))
    write(`${name.toLowerCase()}.yaml`, text);
});

test("a finding is a line: place, severity, code, what is wrong and what to write", () => {
  const { status, stdout, stderr } = run("-f", "warning.yaml", "error.yaml");
  expect({ status, stderr }).toEqual({ status: 1, stderr: "" });
  expect(stdout).toBe(
    'error.yaml:4:45: error JG109: no request has the method "get"; write "GET"\n' +
      'warning.yaml:4:57: warning JG205: "/admin" is denied and "/admin/" is not; write "/admin" and "/admin/*"\n' +
      "\n1 error, 1 warning\n",
  );
});

test("no finding is said", () => {
  expect(run("-f", "clean.yaml")).toEqual({ status: 0, stdout: "no findings\n", stderr: "" });
});

describe("--fail-on", () => {
  test.each([
    ["info.yaml", [], 0],
    ["info.yaml", ["--fail-on", "warning"], 0],
    ["info.yaml", ["--fail-on", "info"], 1],
    ["warning.yaml", [], 0],
    ["warning.yaml", ["--fail-on", "warning"], 1],
    ["warning.yaml", ["--fail-on", "info"], 1],
    ["error.yaml", [], 1],
    ["clean.yaml", ["--fail-on", "info"], 0],
  ])("%s %j", (file, flags, status) => expect(run("-f", file, ...flags).status).toBe(status));
});

test("--json has the same, a member a part", () => {
  const { status, stdout } = run("-f", "warning.yaml", "--json");
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toEqual({
    findings: [
      {
        code: "JG205",
        severity: "warning",
        file: "warning.yaml",
        line: 4,
        column: 57,
        message: '"/admin" is denied and "/admin/" is not',
        remedy: 'write "/admin" and "/admin/*"',
      },
    ],
  });
});

test("only the policies of the workload are looked at", () => {
  write(
    "two.yaml",
    `${policy("a", "{rules: [{}]}", ", namespace: foo")}---\n${policy("b", "{rules: [{}]}", ", namespace: bar")}`,
  );
  const { stdout } = run("-f", "two.yaml", "--namespace", "foo");
  expect(stdout.match(/JG208/g)).toHaveLength(1);
});

test("what does not compile is not checked", () => {
  write("wrong.yaml", CLEAN.replace("rules", "ruls"));
  const { status, stdout, stderr } = run("-f", "wrong.yaml");
  expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
  expect(stderr).toMatch(/^wrong\.yaml:4:8: unknown field "ruls".*\n$/);
});

test("secrets and private keys are not shown", () => {
  const k = Buffer.from("hunter2 hunter2").toString("base64url");
  write(
    "secret.yaml",
    `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: a}
spec: {jwtRules: [{issuer: a, jwks: '{"keys": [{"kty": "oct", "k": "${k}"}]}'}]}
`,
  );
  for (const flags of [[], ["--json"]]) {
    const { stdout, stderr } = run("-f", "secret.yaml", ...flags);
    expect(stdout).toContain("15 bytes");
    expect(stdout + stderr).not.toContain(k);
  }
});

/** Less than two seconds on an idle machine; here others run too. A comparison of each with each takes a minute. */
const MOST_MS = 10_000;

describe("five thousand rules take no more than seconds", () => {
  const several = (policies: number, rules: number, rule: (i: number) => string, action = "DENY") =>
    Array.from({ length: policies }, (_, p) => {
      const list = Array.from({ length: rules }, (_, r) => rule(p * rules + r));
      return policy(`p${p}`, `{action: ${action}, rules: [${list.join(", ")}]}`);
    }).join("---\n");
  const typical = (i: number) =>
    `{from: [{source: {requestPrincipals: ["https://i.test/u${i}"]}}], to: [{operation: {methods: [GET, POST], paths: ["/a/${i}"]}}], when: [{key: "request.auth.claims[role]", values: ["r${i % 17}", admin]}]}`;
  test.each([
    ["that differ by their path", several(10, 500, (i) => `{to: [{operation: {paths: ["/a/${i}/*"]}}]}`)],
    ["that are equal", several(10, 500, () => '{to: [{operation: {paths: ["/a/*"]}}]}')],
    ["that only exclude", several(10, 500, (i) => `{to: [{operation: {notPaths: ["/a/${i}/*"]}}]}`)],
    ["with several conditions, in 500 policies", several(500, 10, typical, "ALLOW")],
  ])("%s", { timeout: 60_000 }, (_, text) => {
    write("many.yaml", text);
    const started = performance.now();
    const { status, stderr } = run("-f", "many.yaml");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(performance.now() - started).toBeLessThan(MOST_MS);
  });
});

test("wrong input", () => {
  mkdirSync(workspace.path("empty"));
  for (const [args, status, words] of [
    [["-f", "missing"], 1, "missing: there is no such file or folder\n"],
    [["-f", "empty"], 1, "empty: no .yaml, .yml or .json file is in this folder\n"],
    [["-f", "/dev/zero"], 1, "/dev/zero: this is larger than 16 MiB\n"],
    [[], 1, "there is no RequestAuthentication and no AuthorizationPolicy here"],
    [["-f", "a", "--fail-on", "never"], 2, "Allowed choices are error, warning, info"],
  ] as const) {
    const ran = run(...args);
    expect({ status: ran.status, stdout: ran.stdout }).toEqual({ status, stdout: "" });
    expect(ran.stderr).toContain(words);
  }
});

describe("the page of findings", () => {
  const page = readFileSync(join(ROOT, "docs/check.md"), "utf8");
  test.each(Object.entries(KINDS))("has %s", (code, { title }) => {
    expect(page.split("\n").filter((line) => line.startsWith(`| ${code} | `))).toHaveLength(1);
    expect(title).not.toMatch(/\.$/);
  });
});
