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

test("a finding has its position, severity and code, the fault, the remedy, and the line of the source", () => {
  const { status, stdout, stderr } = run("-f", "warning.yaml", "error.yaml");
  expect({ status, stderr }).toEqual({ status: 1, stderr: "" });
  expect(stdout).toBe(
    'error.yaml:4:45: error JG109: no request has the method "get"; write "GET"\n' +
      '    4 | spec: {rules: [{to: [{operation: {methods: ["get"]}}]}]}\n' +
      "      |                                             ^\n" +
      'warning.yaml:4:57: warning JG205: "/admin" is denied and "/admin/" is not; write "/admin" and "/admin/*"\n' +
      '    4 | spec: {action: DENY, rules: [{to: [{operation: {paths: ["/admin"]}}]}]}\n' +
      "      |                                                         ^\n" +
      "\n1 error, 1 warning\n",
  );
});

test("no finding is printed", () => {
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

describe("--format json", () => {
  const FINDING = {
    code: "JG205",
    severity: "warning",
    file: "warning.yaml",
    line: 4,
    column: 57,
    at: "warning.yaml:4:57",
    message: '"/admin" is denied and "/admin/" is not',
    remedy: 'write "/admin" and "/admin/*"',
  };

  test.each([["--json"], ["--format", "json"]])("%s has every part of a finding", (...flags) => {
    const { status, stdout } = run("-f", "warning.yaml", ...flags);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ findings: [FINDING], suppressed: [], diagnostics: [] });
  });

  test("has what was suppressed, with the reason", () => {
    write("suppressed.yaml", `${WARNING.trimEnd()} # jwtgate: ignore JG205 because the service has no slash`);
    const { status, stdout } = run("-f", "suppressed.yaml", "--json", "--fail-on=info");
    expect(status).toBe(0);
    const finding = { ...FINDING, file: "suppressed.yaml", at: "suppressed.yaml:4:57" };
    expect(JSON.parse(stdout)).toEqual({
      findings: [],
      suppressed: [{ ...finding, because: "the service has no slash" }],
      diagnostics: [],
    });
  });

  test.each([
    ["does not compile", "spoilt.yaml", CLEAN.replace("rules", "ruls"), { line: 4, column: 8 }],
    ["is not YAML", "broken.yaml", "a: [", { line: 1, column: 5 }],
    ["is not text", "bytes.yaml", Buffer.from([0x61, 0xff]), { line: 1, column: 2 }],
  ])("has the errors of what %s", (_, file, content, place) => {
    write(file, content);
    const { status, stdout, stderr } = run("-f", file, "--json");
    expect({ status, stderr }).toEqual({ status: 1, stderr: "" });
    expect(JSON.parse(stdout)).toMatchObject({
      findings: [],
      diagnostics: [{ severity: "error", file, ...place, message: expect.any(String) }],
    });
  });
});

test("--format github writes an annotation for each finding and error", () => {
  const name = "a,b:c%.yaml";
  write(name, INFO);
  write("spoilt.yaml", CLEAN.replace("rules", "ruls"));
  expect(run("-f", name, "warning.yaml", "--format", "github").stdout).toBe(
    "::notice file=a%2Cb%3Ac%25.yaml,line=4,col=35,title=JG211%3A A rule allows everything except what it names::" +
      'all paths but "/x*" are allowed; name what is allowed, or name what is not allowed in a DENY policy\n' +
      "::warning file=warning.yaml,line=4,col=57,title=JG205%3A A DENY or CUSTOM rule on a path does not match its other spelling::" +
      '"/admin" is denied and "/admin/" is not; write "/admin" and "/admin/*"\n',
  );
  const { status, stdout } = run("-f", "spoilt.yaml", "--format=github");
  expect({ status, stdout }).toEqual({
    status: 1,
    stdout: expect.stringMatching(
      /^::error file=spoilt\.yaml,line=4,col=8,title=The policies do not compile::unknown field "ruls".*\n$/,
    ),
  });
});

describe("--format sarif", () => {
  const sarif = (...args: string[]) => {
    const { stdout } = run(...args, "--format", "sarif");
    return JSON.parse(stdout);
  };

  test("has a rule for each code, and a result for each finding, suppressed ones too", () => {
    const name = "ä b#%.yaml";
    write(name, `${WARNING.trimEnd()} # jwtgate: ignore JG205 because of x`);
    const log = sarif("-f", name, "error.yaml", "info.yaml");
    expect(log).toMatchObject({ version: "2.1.0", runs: [{ columnKind: "utf16CodeUnits" }] });
    const [{ tool, results, invocations }] = log.runs;
    expect(invocations).toEqual([{ executionSuccessful: true }]);
    const { rules } = tool.driver;
    expect(rules.map(({ id }: { id: string }) => id)).toEqual([...Object.keys(KINDS), "compile"]);
    for (const { ruleId, ruleIndex } of results) expect(rules[ruleIndex].id).toBe(ruleId);
    const place = (uri: string, startLine: number, startColumn: number) => [
      { physicalLocation: { artifactLocation: { uri }, region: { startLine, startColumn } } },
    ];
    const message = { text: expect.any(String) };
    expect(results).toEqual([
      {
        ruleId: "JG109",
        ruleIndex: expect.any(Number),
        level: "error",
        message,
        locations: place("error.yaml", 4, 45),
      },
      {
        ruleId: "JG211",
        ruleIndex: expect.any(Number),
        level: "note",
        message,
        locations: place("info.yaml", 4, 35),
      },
      {
        ruleId: "JG205",
        ruleIndex: expect.any(Number),
        level: "warning",
        message,
        locations: place("%C3%A4%20b%23%25.yaml", 4, 57),
        suppressions: [{ kind: "inSource", justification: "of x" }],
      },
    ]);
  });

  test("has errors as results, and reports that the run failed", () => {
    write("spoilt.yaml", CLEAN.replace("rules", "ruls"));
    const [{ results, invocations }] = sarif("-f", "spoilt.yaml").runs;
    expect(invocations).toEqual([{ executionSuccessful: false }]);
    expect(results).toMatchObject([{ ruleId: "compile", level: "error" }]);
  });

  test("names files relative to the repository", () => {
    const { stdout } = workspace.run(["check", "-f", "warning.yaml", "--format", "sarif"], {
      env: { GITHUB_WORKSPACE: join(workspace.path("."), "..") },
    });
    const [{ results }] = JSON.parse(stdout).runs;
    expect(results[0].locations[0].physicalLocation.artifactLocation.uri).toMatch(/^[^/]+\/warning\.yaml$/);
  });
});

describe("--suppressions", () => {
  test("names a file of accepted findings", () => {
    write("stay.yaml", "suppressions:\n  - {codes: [JG205], files: [warning.yaml], because: no slash}\n");
    expect(run("-f", "warning.yaml", "--suppressions", "stay.yaml")).toEqual({
      status: 0,
      stdout: "no findings, 1 suppressed\n",
      stderr: "",
    });
  });

  test("that cannot be read are an error, and nothing is reviewed", () => {
    write("stay.yaml", "suppressions:\n  - {codes: [JG205]}\n");
    const { status, stdout, stderr } = run("-f", "warning.yaml", "--suppressions", "stay.yaml");
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toMatch(/^stay\.yaml:2:5: suppressions\[0\]\.because is missing/);
    expect(run("-f", "warning.yaml", "--suppressions", "none.yaml").status).toBe(1);
  });
});

test("only the policies of the workload are reviewed", () => {
  write(
    "two.yaml",
    `${policy("a", "{rules: [{}]}", ", namespace: foo")}---\n${policy("b", "{rules: [{}]}", ", namespace: bar")}`,
  );
  const { stdout } = run("-f", "two.yaml", "--namespace", "foo");
  expect(stdout.match(/JG208/g)).toHaveLength(1);
});

test("policies that do not compile are not reviewed", () => {
  write("wrong.yaml", CLEAN.replace("rules", "ruls"));
  const { status, stdout, stderr } = run("-f", "wrong.yaml");
  expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
  expect(stderr).toMatch(
    /^wrong\.yaml:4:8: unknown field "ruls".*\n {4}4 \| spec: \{ruls: .*\n {6}\| {8}\^\n$/,
  );
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
  for (const flags of [[], ["--json"], ["--format=sarif"], ["--format=github"]]) {
    const { stdout, stderr } = run("-f", "secret.yaml", ...flags);
    expect(stdout).toContain("15 bytes");
    expect(stdout + stderr).not.toContain(k);
  }
});

/** Less than two seconds on an idle machine; here others run too. A comparison of each with each takes a minute. */
const MOST_MS = 10_000;

describe("five thousand rules take seconds", () => {
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
  ])("%s", (_, text) => {
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
