/** `jwtgate test --coverage`: what the tests of policies leave undecided, in each format, as a user sees it. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Workspace } from "../support/cli.ts";

const workspace = new Workspace();
afterAll(() => workspace.remove());
const run = (...args: string[]) =>
  workspace.run(["test", ...args], { env: { NO_COLOR: "1", CI: "", GITHUB_WORKSPACE: "" } });
const write = (name: string, content: string) => writeFileSync(workspace.path(name), content);
/** The coverage, without the report of the tests before it. */
const coverageOf = (stdout: string) => stdout.slice(stdout.indexOf(" passed in ")).replace(/^.*\n/, "");

const POLICIES = `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: idp, namespace: shop}
spec:
  jwtRules:
  - issuer: https://idp.example.com
    jwksUri: https://idp.example.com/keys
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: no-admin, namespace: shop}
spec:
  action: DENY
  rules:
  - to:
    - operation:
        paths: ["/admin", "/admin/*"]
    when:
    - key: request.auth.claims[groups]
      notValues: [admin]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: readers, namespace: shop}
spec:
  rules:
  - from: [{source: {requestPrincipals: ["*"]}}]
  - to: [{operation: {paths: [/health]}}]
`;
const HEAD = `policies: [policies/shop.yaml]
keys: {idp: {issuer: https://idp.example.com}}
tokens:
  reader: {key: idp, claims: {sub: r}}
  admin: {key: idp, claims: {sub: a, groups: [admin]}}
  forged: {from: reader, spoil: wrong-key}
`;
const TESTS = `${HEAD}tests:
- {name: a reader reads, request: {path: /a, token: reader}, expect: 200}
- {name: and is not an admin, request: {path: /admin, token: reader}, expect: 403}
- {name: an admin is, request: {path: /admin, token: admin}, expect: 200}
- {name: nobody reads without a token, request: {path: /a}, expect: 403}
`;

beforeAll(() => {
  mkdirSync(workspace.path("policies"));
  write("policies/shop.yaml", POLICIES);
  write("shop.test.yaml", TESTS);
});

describe("text", () => {
  test("marks the lines of each policy, names what is missing at its place, and ends with the total", () => {
    const { status, stdout, stderr } = run("shop.test.yaml", "--coverage");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(coverageOf(stdout)).toBe(`~ RequestAuthentication shop/idp: 50.0 % (1 of 2)  policies/shop.yaml:1:1
  ~     6 |   - issuer: https://idp.example.com
    policies/shop.yaml:6:5: the tokens of https://idp.example.com: no test has one that is refused

~ AuthorizationPolicy shop/no-admin (DENY): 87.5 % (7 of 8)  policies/shop.yaml:9:1
  ✓    15 |   - to:
       16 |     - operation:
  ~    17 |         paths: ["/admin", "/admin/*"]
       18 |     when:
  ✓    19 |     - key: request.auth.claims[groups]
    policies/shop.yaml:17:27: paths "/admin/*": no test has a request that it matches, and the rest of the rule too

~ AuthorizationPolicy shop/readers (ALLOW): 75.0 % (3 of 4)  policies/shop.yaml:22:1
  ✓    27 |   - from: [{source: {requestPrincipals: ["*"]}}]
  ~    28 |   - to: [{operation: {paths: [/health]}}]
    policies/shop.yaml:28:5: rule 1: no test has a request that it matches

coverage: 78.5 % (11 of 14) in 3 policies
`);
  });

  test("is 100 % after the missing tests are written, and names no line", () => {
    const more = `- {name: below it neither, request: {path: /admin/x, token: reader}, expect: 403}
- {name: health is for all, request: {path: /health}, expect: 200}
- {name: a forged token, request: {path: /a, token: forged}, expect: 401}
`;
    write("whole.test.yaml", `${TESTS}${more}`);
    const { status, stdout } = run("whole.test.yaml", "--coverage", "--coverage-min", "100");
    expect(status).toBe(0);
    expect(
      coverageOf(stdout),
    ).toBe(`✓ RequestAuthentication shop/idp: 100.0 % (2 of 2)  policies/shop.yaml:1:1

✓ AuthorizationPolicy shop/no-admin (DENY): 100.0 % (8 of 8)  policies/shop.yaml:9:1

✓ AuthorizationPolicy shop/readers (ALLOW): 100.0 % (4 of 4)  policies/shop.yaml:22:1

coverage: 100.0 % (14 of 14) in 3 policies
`);
  });

  test("goes to standard error if standard output has a report for programs", () => {
    const { stdout, stderr } = run("shop.test.yaml", "--coverage", "--reporter", "json");
    expect(JSON.parse(stdout)).toMatchObject({ passed: 4 });
    expect(stderr).toMatch(/coverage: 78\.5 % \(11 of 14\) in 3 policies\n$/);
  });
});

/** What is missing of one policy, whose rule is given, after requests. */
function missing(rule: string, requests: string, action = "ALLOW"): string[] {
  write(
    "one.yaml",
    `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: one}
spec:
  action: ${action}
  rules:
${rule}`,
  );
  const tests = requests.split("\n").map((request) => `- {name: "${request.replace(/"/g, "")}", ${request}}`);
  write("one.test.yaml", `policies: [one.yaml]\ntests:\n${tests.join("\n")}\n`);
  const { stdout, stderr } = run("one.test.yaml", "--coverage-format", "json");
  expect(stderr).toContain(`${tests.length} passed`);
  const { missing: found } = JSON.parse(stdout) as { missing: { message: string }[] };
  return found.map(({ message }) => message);
}

describe("what counts", () => {
  test("a value counts only if the rest of its rule holds", () => {
    const rule = "  - to: [{operation: {methods: [GET], paths: [/a, /b]}}]\n";
    const get = "request: {path: /a}, expect: 200\nrequest: {path: /c}, expect: 403";
    const post = "request: {path: /b, method: POST}, expect: 403";
    expect(missing(rule, `${get}\n${post}`)).toEqual([
      'paths "/b": no test has a request that it matches, and the rest of the rule too',
    ]);
    expect(missing(rule, `${get}\nrequest: {path: /b}, expect: 200`)).toEqual([]);
  });

  test("an excluded value counts if it alone keeps the rule from matching", () => {
    const rule = '  - to: [{operation: {methods: [GET], notPaths: ["/a", "/b"]}}]\n';
    const others = "request: {path: /c}, expect: 200\nrequest: {path: /a}, expect: 403";
    expect(missing(rule, `${others}\nrequest: {path: /b, method: POST}, expect: 403`)).toEqual([
      'notPaths "/b": no test has a request that it matches, and the rest of the rule too',
    ]);
  });

  test("a rule that was not asked, because an earlier one had decided, saw nothing", () => {
    const rules = "  - to: [{operation: {paths: [/a]}}]\n  - to: [{operation: {paths: [/a]}}]\n";
    expect(
      missing(rules, "request: {path: /a}, expect: 403\nrequest: {path: /b}, expect: 200", "DENY"),
    ).toEqual(["rule 1: no test has a request that it matches"]);
  });

  test("a rule without conditions need only match, and one that never matches need not", () => {
    expect(missing("  - {}\n", "request: {path: /a}, expect: 200")).toEqual([]);
    write(
      "nothing.test.yaml",
      "policies: [nothing.yaml]\ntests: [{name: nobody, request: {path: /a}, expect: 403}]\n",
    );
    write(
      "nothing.yaml",
      "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: nothing}\nspec: {}\n",
    );
    expect(coverageOf(run("nothing.test.yaml", "--coverage").stdout)).toContain("100.0 % (1 of 1)");
  });

  test("a policy of another workload is not covered, and one that two files test is counted once", () => {
    const open = "tests: [{name: open, request: {path: /}, expect: 200}]\n";
    const other =
      "- {apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: all, namespace: other}, spec: {rules: [{}]}}";
    write(
      "elsewhere.test.yaml",
      `policies:\n- policies/shop.yaml\n${other}\nworkload: {namespace: other}\n${open}`,
    );
    const { stdout } = run("elsewhere.test.yaml", "--coverage");
    expect(
      stdout,
    ).toContain(`✗ AuthorizationPolicy shop/readers (ALLOW): 0.0 % (0 of 4)  policies/shop.yaml:22:1
    it does not apply to the workload of any test file here
`);
    mkdirSync(workspace.path("deep"), { recursive: true });
    write(
      "deep/health.test.yaml",
      `${HEAD.replace("policies/", "../policies/")}tests:
- {name: health, request: {path: /health}, expect: 200}
`,
    );
    const both = run("elsewhere.test.yaml", "shop.test.yaml", "deep", "--coverage");
    expect(both.stdout).toContain("coverage: 86.6 % (13 of 15) in 4 policies\n");
  });

  test("policies inside a test file have their places in it, and no secret is shown", () => {
    write(
      "inline.test.yaml",
      `policies:
- apiVersion: security.istio.io/v1
  kind: RequestAuthentication
  metadata: {name: two}
  spec:
    jwtRules:
    - issuer: a
      jwks: '{"keys": [{"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ"}]}'
    - issuer: b
      jwksUri: https://b.example.com/keys
tests: [{name: open, request: {path: /}, expect: 200}]
`,
    );
    const { stdout } = run("inline.test.yaml", "--coverage");
    expect(stdout).toContain("    inline.test.yaml:7:7: the tokens of a: no test has one that is accepted\n");
    expect(stdout).toContain("  ✗     7 |     - issuer: a\n        8 |       jwks: …\n");
    expect(stdout).not.toContain("c2VjcmV0");
  });
});

describe("lcov", () => {
  test("has lines, rules as functions and outcomes as branches, alone on standard output", () => {
    const { status, stdout, stderr } = run("shop.test.yaml", "--coverage-format", "lcov");
    expect(status).toBe(0);
    expect(stderr).toContain("4 passed");
    expect(stdout).toBe(`TN:
SF:policies/shop.yaml
FN:6,shop/idp: the tokens of https://idp.example.com
FN:15,shop/no-admin: rule 0
FN:27,shop/readers: rule 0
FN:28,shop/readers: rule 1
FNDA:3,shop/idp: the tokens of https://idp.example.com
FNDA:1,shop/no-admin: rule 0
FNDA:2,shop/readers: rule 0
FNDA:0,shop/readers: rule 1
FNF:4
FNH:3
BRDA:6,0,0,3
BRDA:6,0,1,0
BRDA:15,1,0,1
BRDA:15,1,1,3
BRDA:17,2,0,1
BRDA:17,2,1,2
BRDA:17,3,0,1
BRDA:17,4,0,0
BRDA:19,5,0,1
BRDA:19,5,1,1
BRDA:27,6,0,2
BRDA:27,6,1,1
BRDA:28,7,0,0
BRDA:28,7,1,1
BRF:14
BRH:11
DA:6,3
DA:15,1
DA:17,1
DA:19,1
DA:27,2
DA:28,0
LF:6
LH:5
end_of_record
`);
  });

  test("names files from the repository's folder", () => {
    const { stdout } = workspace.run(["test", "../shop.test.yaml", "--coverage-format", "lcov"], {
      env: { GITHUB_WORKSPACE: workspace.folder },
      folder: "policies",
    });
    expect(stdout).toContain("\nSF:policies/shop.yaml\n");
  });
});

describe("json", () => {
  test("has each policy with its parts, and what is missing", () => {
    const { status, stdout } = run(
      "shop.test.yaml",
      "--coverage-output",
      "c.json",
      "--coverage-format",
      "json",
    );
    expect(status).toBe(0);
    expect(stdout).toContain("4 passed");
    const at = (line: number, column: number) => ({
      ...{ file: "policies/shop.yaml", line, column },
      at: `policies/shop.yaml:${line}:${column}`,
    });
    const coverage = JSON.parse(readFileSync(workspace.path("c.json"), "utf8"));
    expect(coverage).toMatchObject({ covered: 11, total: 14, percent: 78.5 });
    expect(coverage.policies[2]).toEqual({
      ...{ kind: "AuthorizationPolicy", namespace: "shop", name: "readers", action: "ALLOW", inForce: true },
      ...at(22, 1),
      ...{ covered: 3, total: 4, percent: 75 },
      parts: [
        { kind: "rule", name: "rule 0", matched: 2, unmatched: 1, ...at(27, 5) },
        { kind: "rule", name: "rule 1", matched: 0, unmatched: 1, ...at(28, 5) },
      ],
    });
    expect(coverage.missing.at(-1)).toEqual({
      ...at(28, 5),
      message: "rule 1: no test has a request that it matches",
    });
  });

  test("a file for the coverage leaves the total on standard error", () => {
    const { stderr } = run("shop.test.yaml", "--coverage-output", "c.txt");
    expect(stderr).toBe("coverage: 78.5 % (11 of 14) in 3 policies: c.txt\n");
    expect(readFileSync(workspace.path("c.txt"), "utf8")).toContain("rule 1: no test has a request");
  });
});

describe("the least coverage", () => {
  test.each([
    ["78.5", 0, ""],
    ["79", 1, "the coverage is 78.5 %, which is less than --coverage-min 79\n"],
  ])("--coverage-min %s ends with %d", (percent, code, message) => {
    const { status, stderr } = run("shop.test.yaml", "--coverage-min", percent);
    expect({ status, stderr }).toEqual({ status: code, stderr: message });
  });

  test.each(["101", "-1", "x", "100.1"])("--coverage-min %s is a wrong command line", (percent) => {
    const { status, stderr } = run("shop.test.yaml", `--coverage-min=${percent}`);
    expect(status).toBe(2);
    expect(stderr).toContain("Write a number from 0 to 100, such as 80.");
  });

  test("a real Envoy reports no coverage", () => {
    const { status, stderr } = run("shop.test.yaml", "--coverage", "--envoy");
    expect(status).toBe(2);
    expect(stderr).toContain("--coverage: a real Envoy does not report what it decides");
  });
});
