/**
 * Text of policies, tokens, tests and files cannot control a terminal, end a line, or end a string of a
 * report.
 */
import { execFileSync } from "node:child_process";
import { createHmac } from "node:crypto";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { printable, printableLines } from "../../tools/diagnostics.ts";
import { toBareYaml } from "../../tools/render/yaml.ts";
import { shellWord } from "../../tools/shell.ts";
import { formatResults } from "../../tools/testing/report.ts";
import type { CaseResult } from "../../tools/testing/run.ts";
import { anyText, TRICKY_WORDS } from "../render/strings.ts";
import { Workspace } from "../support/cli.ts";

const workspace = new Workspace();
afterAll(() => workspace.remove());

/** Clears a screen in two ways, reverses the direction, ends the line in five ways, and imitates the tool's output. */
const HOSTILE = "a\u001b[2J\u009b2J\u0007\u202e\u2066\r\nok: all is well\u0085ok\u2028ok\u2029ok\u007f";
const FORBIDDEN = /[\0-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/;

function expectHarmless(text: string): void {
  expect(text).not.toMatch(FORBIDDEN);
  expect(text).not.toMatch(/^ok(?! \d+ - )/m);
  expect(text).not.toMatch(/has a bug|^ {4}at /m);
}

const KEY = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0";
const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");

function sign(header: object, claims: object): string {
  const text = `${encode({ alg: "HS256", ...header })}.${encode(claims)}`;
  return `${text}.${createHmac("sha256", Buffer.from(KEY, "base64url")).update(text).digest("base64url")}`;
}

const resource = (kind: string, spec: object) => ({
  apiVersion: "security.istio.io/v1",
  kind,
  metadata: { name: "a", namespace: "foo" },
  spec,
});

const good = [
  resource("RequestAuthentication", {
    jwtRules: [
      {
        issuer: HOSTILE,
        audiences: [HOSTILE],
        jwks: JSON.stringify({ keys: [{ kty: "oct", kid: HOSTILE, k: KEY, alg: "HS256" }] }),
        fromParams: ["access_token", HOSTILE],
        outputClaimToHeaders: [{ header: "x-a", claim: HOSTILE }],
      },
    ],
  }),
  resource("AuthorizationPolicy", {
    action: "DENY",
    rules: [
      {
        from: [{ source: { requestPrincipals: [HOSTILE], notRequestPrincipals: [`${HOSTILE}*`] } }],
        when: [
          { key: `request.auth.claims[${HOSTILE}]`, values: [HOSTILE] },
          { key: "request.headers[x]", notValues: [HOSTILE] },
        ],
      },
    ],
  }),
];

const wrong = [
  { ...resource("AuthorizationPolicy", {}), [HOSTILE]: HOSTILE },
  { ...resource(HOSTILE, {}), apiVersion: HOSTILE },
  resource("AuthorizationPolicy", {
    action: HOSTILE,
    rules: [{ [HOSTILE]: 1, when: [{ key: HOSTILE, values: ["a"] }] }],
  }),
  {
    ...resource("RequestAuthentication", { jwtRules: [{ issuer: "a", jwksUri: HOSTILE }] }),
    metadata: { name: HOSTILE },
  },
];

const tests = {
  policies: ["good.yaml"],
  tests: [
    { name: HOSTILE, request: { path: "/", headers: { x: "a" } }, expect: { status: 418, body: HOSTILE } },
    { name: "passes", request: { path: "/" }, expect: 200 },
  ],
};

const tokens = {
  good: sign({ kid: HOSTILE }, { iss: HOSTILE, sub: HOSTILE, aud: HOSTILE, [HOSTILE]: HOSTILE }),
  stranger: sign(
    { kid: `${HOSTILE}x`, typ: HOSTILE },
    { iss: `${HOSTILE}x`, [HOSTILE]: { [HOSTILE]: [HOSTILE] } },
  ),
};

beforeAll(() => {
  writeFileSync(workspace.path("good.yaml"), toBareYaml(good));
  writeFileSync(workspace.path("wrong.yaml"), toBareYaml(wrong));
  writeFileSync(workspace.path("a.test.yaml"), toBareYaml([tests]));
  writeFileSync(
    workspace.path("keys.json"),
    JSON.stringify({ keys: [{ kty: "oct", kid: HOSTILE, k: KEY }] }),
  );
  writeFileSync(
    workspace.path("keys-of-none.json"),
    JSON.stringify({ keys: [{ kty: "oct", kid: HOSTILE, k: KEY, use: HOSTILE }] }),
  );
  mkdirSync(workspace.path("named"));
  // No file's name holds a slash or a NUL; every other character is some file system's.
  writeFileSync(workspace.path("named", `${HOSTILE}.yaml`), toBareYaml([wrong[0] ?? {}]));
  writeFileSync(workspace.path("named", `${HOSTILE}x.yaml`), "a: b: c");
});

describe("what a command prints", () => {
  const withPolicies = ["-f", "good.yaml"];
  test.each<[string, string[]]>([
    ["compile", ["compile", ...withPolicies]],
    [
      "compile --output envoy",
      ["compile", ...withPolicies, "--output", "envoy", "--listen", "127.0.0.1:1", "--upstream", "a:1"],
    ],
    ["compile --output ecds", ["compile", ...withPolicies, "--output", "ecds"]],
    ["compile --output google", ["compile", ...withPolicies, "--output", "google"]],
    ["compile --output higress", ["compile", ...withPolicies, "--output", "higress", "--image", "oci://a/b"]],
    [
      "compile --output envoygateway",
      ["compile", ...withPolicies, "--output", "envoygateway", "--gateway", "a", "--image", "oci://a/b"],
    ],
    ...["wasmplugin", "trafficextension"].map((output): [string, string[]] => [
      `compile --output ${output}`,
      ["compile", ...withPolicies, "--output", output, "--mode", "sidecar", "--image", "oci://a/b"],
    ]),
    ["compile of faults", ["compile", "-f", "wrong.yaml"]],
    ["compile of files so named", ["compile", "-f", "named"]],
    ["compile of a file that is not there", ["compile", "-f", HOSTILE]],
    ["compile with such a flag", ["compile", ...withPolicies, "--output", HOSTILE]],
    ["check", ["check", ...withPolicies]],
    ["check --json", ["check", ...withPolicies, "--json"]],
    ["check of files so named", ["check", "-f", "named"]],
    ["explain", ["explain", ...withPolicies, "--token", tokens.good, "-H", "x: a\u001b[2J\u009b"]],
    ["explain of a stranger", ["explain", ...withPolicies, "--token", tokens.stranger, "--host", "a\u009b"]],
    ["explain without a token", ["explain", ...withPolicies, "--json"]],
    ["explain --json", ["explain", ...withPolicies, "--token", tokens.good, "--json"]],
    ["explain --curl", ["explain", ...withPolicies, "--curl", `curl ${HOSTILE}`]],
    ["explain --jwks-at", ["explain", ...withPolicies, "--jwks-at", "https://a.example/\u001b[2J=keys.json"]],
    ["test", ["test", "a.test.yaml"]],
    ...["tap", "junit", "json", "github"].map((reporter): [string, string[]] => [
      `test --reporter ${reporter}`,
      ["test", "a.test.yaml", "--reporter", reporter],
    ]),
    ["token decode", ["token", "decode", tokens.stranger]],
    ["token decode --json", ["token", "decode", tokens.stranger, "--json"]],
    ["token verify", ["token", "verify", ...withPolicies, tokens.good]],
    ["token verify of a stranger", ["token", "verify", ...withPolicies, tokens.stranger]],
    ["token verify --json", ["token", "verify", ...withPolicies, tokens.stranger, "--json"]],
    ["token verify --jwks", ["token", "verify", "--jwks", "keys.json", tokens.stranger]],
    ["jwk", ["jwk", "keys.json"]],
    ["jwk of no usable key", ["jwk", "keys-of-none.json"]],
    [
      "new",
      [
        "new",
        "--issuer",
        HOSTILE,
        "--jwks",
        "keys.json",
        "--claim-header",
        `x-a=${HOSTILE.replace(/\s/g, "")}`,
      ],
    ],
    ["new --host", ["new", "--issuer", "a", "--jwks", "keys.json", "--auth-if", "--host", `*${HOSTILE}`]],
    ["image", ["image", "an\u001b[2J image"]],
  ])("%s", (_name, args) => {
    const { stdout, stderr } = workspace.run(args);
    expect(stdout + stderr).not.toBe("");
    expectHarmless(stdout);
    expectHarmless(stderr);
    if (args.includes("--json") || args.includes("json")) expect(() => JSON.parse(stdout)).not.toThrow();
  });
});

/** Results of which every string is hostile. */
const results = fc.array(
  fc
    .record({
      name: anyText,
      file: anyText,
      answer: anyText,
      because: anyText,
      what: anyText,
      expected: anyText,
      actual: anyText,
    })
    .map(({ name, file, answer, because, what, expected, actual }) => {
      const at = { file, line: 1, column: 2 };
      const result: CaseResult = {
        name,
        at,
        answer,
        because,
        failures: [{ what, at, expected, actual }],
        milliseconds: 1,
      };
      return {
        file,
        cases: [result, { ...result, failures: [] }, { ...result, failures: [], skipped: because }],
        unselected: 0,
        errors: [],
        milliseconds: 1,
      };
    }),
  { minLength: 1, maxLength: 3 },
);

const STYLE = { good: String, bad: String, faint: String, strong: String };
const samples = fc.sample(results, { seed: 7, numRuns: 60 });

/** The characters of XML, which excludes U+FFFE, U+FFFF and control characters. */
const shown = (text: string) =>
  text
    .split("\n")
    .map((line) => printable(line).replace(/[\ufffe\uffff]/g, "\ufffd"))
    .join("\n");

describe("a report of tests of any names", () => {
  test("as text is lines that a terminal only shows", () => {
    for (const one of samples) expect(formatResults(one, "text", STYLE)).not.toMatch(FORBIDDEN);
  });

  test("for GitHub is one command for each failure, which its runner reads correctly", () => {
    for (const one of samples) {
      const lines = formatResults(one, "github", STYLE).split("\n").slice(0, -1);
      const read = lines.map((line) => {
        const [, properties = "", data = ""] = /^::error ([^:]*)::(.*)$/.exec(line) ?? [];
        const value = (text: string) => text.replace(/%(3A|2C|0A|25)/g, (code) => decodeURIComponent(code));
        const pairs = properties
          .split(",")
          .map((pair) => [pair.split("=")[0], value(pair.replace(/^\w+=/, ""))]);
        return { ...Object.fromEntries(pairs), data: value(data) };
      });
      expect(read).toEqual(
        one.map(({ file, cases: [failed] }) => {
          const at = failed?.failures[0]?.at;
          return expect.objectContaining({
            file: printableLines(at?.file ?? ""),
            title: printableLines(`${file} > ${failed?.name}`),
            data: expect.stringContaining(printableLines(`answer: ${failed?.answer}`)),
          });
        }),
      );
    }
  });

  test("as TAP has one line for each test, and diagnostics that are valid YAML", () => {
    for (const one of samples) {
      const text = formatResults(one, "tap", STYLE);
      expect(text).not.toMatch(FORBIDDEN);
      const points = text.split("\n").filter((line) => /^(not )?ok /.test(line));
      expect(points).toHaveLength(one.length * 3);
      const blocks = [...text.matchAll(/^ {2}---\n([\s\S]*?)\n {2}\.\.\.$/gm)].map(([, block = ""]) => block);
      const read = blocks.flatMap(
        (block) => parseAllDocuments(block, { version: "1.1" }) as { toJS(): unknown }[],
      );
      expect(read.map((document) => document.toJS())).toEqual(
        one.map(({ cases: [failed] }) => ({
          at: expect.any(String),
          duration_ms: 1,
          answer: failed?.answer,
          because: failed?.because,
          failures: [{ ...failed?.failures[0], at: expect.any(String) }],
        })),
      );
    }
  });

  test("as JUnit's XML is read correctly by an XML parser", () => {
    const program = `
import json, sys, xml.etree.ElementTree as tree
print(json.dumps([[[case.get("name"), case.get("file"), [one.text for one in case.iter("failure")]]
  for case in tree.fromstring(text.encode()).iter("testcase")] for text in json.load(sys.stdin)]))`;
    const texts = samples.map((one) => formatResults(one, "junit", STYLE));
    const output = execFileSync("python3", ["-c", program], {
      input: JSON.stringify(texts),
      encoding: "utf8",
    });
    expect(JSON.parse(output)).toEqual(
      samples.map((one) =>
        one.flatMap(({ file, cases }) =>
          cases.map(({ name, answer, because, failures }) => [
            shown(name),
            shown(file),
            failures.map(({ what, expected, actual }) =>
              shown(
                `${what}: expected ${expected}, got ${actual}\nanswer: ${answer}${because === "" ? "" : `\nbecause ${because}`}`,
              ),
            ),
          ]),
        ),
      ),
    );
  });
});

test("bash reads a quoted word unchanged, and runs no part of it", () => {
  const words = [
    ...TRICKY_WORDS,
    ...[
      "$(touch ran)",
      "`touch ran`",
      "; touch ran",
      "a && touch ran",
      "> ran",
      "!!",
      "~",
      "*",
      "{a,b}",
      "#",
      "a\\'b'",
    ],
    ...fc.sample(anyText, { seed: 7, numRuns: 200 }),
  ].filter((word) => !word.includes("\0") && word.length < 10_000);
  const folder = workspace.path("shell");
  mkdirSync(folder);
  const line = words.map(shellWord).join(" ");
  expect(line).not.toMatch(FORBIDDEN);
  expect(line).not.toContain("\n");
  const output = execFileSync("bash", ["-c", `printf '%s\\0' ${line}`], {
    cwd: folder,
    encoding: "utf8",
    env: { ...process.env, LC_ALL: "C.UTF-8" },
  });
  expect(output.split("\0").slice(0, -1)).toEqual(words);
  expect(readdirSync(folder)).toEqual([]);
  expect(shellWord(join("a", "b-1.0:x"))).toBe("a/b-1.0:x");
});
