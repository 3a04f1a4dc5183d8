/** `jwtgate prove` and properties in `jwtgate test`, as a user runs them; proofs are in tests/prove. */
import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Workspace } from "../support/cli.ts";

const workspace = new Workspace();
afterAll(() => workspace.remove());
const run = (...args: string[]) => workspace.run(args, { env: { NO_COLOR: "1" } });
const write = (name: string, content: string) => writeFileSync(workspace.path(name), content);
const withoutTimes = (text: string) =>
  text.replace(/\d+(\.\d+)? m?s\b/g, "1 ms").replace(/\d+ cases/, "1 cases");

const POLICY = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: admin, namespace: shop}
spec:
  action: DENY
  rules:
  - to: [{operation: {paths: [/admin]}}]
`;
const property = (path: string, rest = "are: refused") => `- name: ${path} is refused
  rules:
  - to: [{operation: {paths: ["${path}"]}}]
  ${rest}
`;

beforeAll(() => {
  write("policy.yaml", POLICY);
  const tests = "tests:\n- {name: home, request: {path: /}, expect: 200}\n";
  write("holds.test.yaml", `policies: [policy.yaml]\n${tests}properties:\n${property("/admin")}`);
  write("fails.test.yaml", `policies: [policy.yaml]\nproperties:\n${property("/admin*")}`);
  write("tests.test.yaml", `policies: [policy.yaml]\n${tests}`);
});

test("prove runs only properties, and prints the number of cases of a proof", () => {
  const { status, stdout, stderr } = run("prove", "holds.test.yaml");
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(withoutTimes(stdout)).toBe(`holds.test.yaml (1 ms)
  ✓ properties > /admin is refused (1 ms)  proven: 1 cases

1 passed in 1 ms
`);
  expect(JSON.parse(run("prove", "holds.test.yaml", "--reporter", "json").stdout)).toMatchObject({
    files: [
      {
        tests: [
          {
            name: "/admin is refused",
            table: "properties",
            answer: expect.stringMatching(/^proven: \d+ cases$/),
          },
        ],
      },
    ],
  });
});

test("test runs them after the tests", () => {
  const { status, stdout } = run("test", "holds.test.yaml");
  expect(status).toBe(0);
  expect(stdout).toMatch(/✓ home.*✓ properties > \/admin is refused/s);
  expect(run("test", "holds.test.yaml", "-t", "properties > /admin").stdout).toContain(
    "1 passed, 1 not selected",
  );
});

test("a property that fails shows a request that was run", () => {
  const { status, stdout } = run("prove", "fails.test.yaml");
  expect(status).toBe(1);
  expect(withoutTimes(stdout)).toBe(`fails.test.yaml (1 ms)
  ✗ properties > /admin* is refused (1 ms)  fails.test.yaml:3:3
      property  fails.test.yaml:3:3
        - every such request is refused
        + GET /admina of localhost
        + without a token
      answer: 200, forwarded
      because no DENY rule matches, and there is no ALLOW policy

1 failed, 0 passed in 1 ms
`);
});

test("a file without properties is named by prove", () => {
  expect(run("prove", "tests.test.yaml")).toMatchObject({
    status: 1,
    stderr: "no test file here has properties: write properties:\n",
  });
});

test.each([
  ["an unknown field of a rule", property("/a").replace("paths", "path"), /wrong\.test\.yaml:5:\d+: .*path/],
  [
    "an unknown answer",
    property("/a", "are: denied"),
    /wrong\.test\.yaml:6:\d+: properties\[0\]\.are cannot be "denied"/,
  ],
  ["rules that no request matches", property("/a?b"), /no request that can arrive matches these rules/],
])("%s", (_, text, message) => {
  write("wrong.test.yaml", `policies: [policy.yaml]\nproperties:\n${text}`);
  const { status, stdout, stderr } = run("prove", "wrong.test.yaml");
  expect(status).toBe(1);
  expect(stdout + stderr).toMatch(message);
});

test("a real Envoy proves no property", () => {
  const { stdout } = run("test", "fails.test.yaml", "--envoy");
  expect(stdout).toContain(
    "- properties > /admin* is refused: skipped: properties are proven without --envoy",
  );
});
