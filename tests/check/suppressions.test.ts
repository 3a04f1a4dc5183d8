/** Findings that comments and files suppress, and reports of suppressions that do nothing. */
import { describe, expect, test } from "vitest";
import { review } from "../../tools/check/review.ts";
import { readSuppressionFile } from "../../tools/check/suppressions.ts";

const policy = (paths: string, name = "p", namespace = "shop") => `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ${name}, namespace: ${namespace}}
spec:
  action: DENY
  rules:
    - to:
        - operation:
            paths: ${paths}
`;
const PATHS = '["/admin"]';

function reviewed(text: string, options: Parameters<typeof review>[1] = {}) {
  const { findings, suppressed, diagnostics } = review([{ name: "p.yaml", text }], options);
  expect(diagnostics).toEqual([]);
  return {
    findings: findings.map(({ code, line }) => `${code}:${line}`),
    suppressed: suppressed.map(({ code, because }) => `${code}: ${because}`),
  };
}

const lines = (...all: string[]) => all.join("\n");

describe("a comment", () => {
  test.each([
    ["at the end of the line", policy(`${PATHS} # jwtgate: ignore JG205 because x`)],
    [
      "on the line before",
      policy(lines("", "              # jwtgate: ignore JG205 because x", `              ${PATHS}`)),
    ],
    [
      "with other comments and empty lines between",
      policy(lines("", "# jwtgate: ignore JG205 because x", "# more", "", `              ${PATHS}`)),
    ],
    ["for the whole file", `# jwtgate: ignore-file JG205 because x\n${policy(PATHS)}`],
    ["for the whole file, at its end", `${policy(PATHS)}#jwtgate: ignore-file JG205 because x`],
    [
      "in a file with a byte order mark and CRLF",
      `\uFEFF# jwtgate: ignore-file JG205 because x\r\n${policy(PATHS).replaceAll("\n", "\r\n")}`,
    ],
  ])("%s suppresses its finding", (_, text) => {
    expect(reviewed(text)).toEqual({ findings: [], suppressed: ["JG205: x"] });
  });

  test("may name several codes, each of which must have a finding", () => {
    expect(reviewed(policy(`${PATHS} # jwtgate: ignore JG205, JG204 because x y`))).toEqual({
      findings: ["JG301:9"],
      suppressed: ["JG205: x y"],
    });
  });

  test.each([
    ["of another line", `# jwtgate: ignore JG205 because x\n${policy(PATHS)}`, "JG301:1"],
    ["without a reason", policy(`${PATHS} # jwtgate: ignore JG205`), "JG302:9"],
    ["with an empty reason", policy(`${PATHS} # jwtgate: ignore JG205 because `), "JG302:9"],
    ["without a code", policy(`${PATHS} # jwtgate: ignore because x`), "JG302:9"],
    ["with an unknown code", policy(`${PATHS} # jwtgate: ignore JG999 because x`), "JG302:9"],
    [
      "with a member of every object as its code",
      policy(`${PATHS} # jwtgate: ignore constructor because x`),
      "JG302:9",
    ],
    ["with a misspelt word", policy(`${PATHS} # jwtgate: ingore JG205 because x`), "JG302:9"],
  ])("%s suppresses nothing, which is a finding", (_, text, finding) => {
    const { findings, suppressed } = reviewed(text);
    expect(suppressed).toEqual([]);
    expect(findings.toSorted()).toEqual(
      ["JG205", finding].map((one) => expect.stringMatching(new RegExp(`^${one}`))),
    );
  });

  test.each([
    [
      "in quotes",
      policy(
        lines("", `              - "/admin"`, `              - "# jwtgate: ignore-file JG205 because x"`),
      ),
    ],
    [
      "in a block",
      policy(
        lines(
          "",
          "              - |-",
          "                # jwtgate: ignore-file JG205 because x",
          "              - /admin",
        ),
      ),
    ],
    [
      "without a blank before it",
      policy(lines("", "              - /a#jwtgate:ignore", "              - /admin")),
    ],
  ])("is ignored %s", (_, text) => {
    const { findings, suppressed } = reviewed(text);
    expect(suppressed).toEqual([]);
    expect(findings.filter((one) => one.startsWith("JG205"))).not.toEqual([]);
    expect(findings.filter((one) => one.startsWith("JG30"))).toEqual([]);
  });

  test("of another workload's policy is not reported as unused", () => {
    const other = policy(`${PATHS} # jwtgate: ignore JG205 because x`, "q", "bank");
    expect(reviewed(`${policy(PATHS)}---\n${other}`, { namespace: "shop" })).toEqual({
      findings: ["JG205:9"],
      suppressed: [],
    });
  });
});

describe("a file", () => {
  const two = `${policy(PATHS)}---\n${policy('["/b"]', "q")}`;
  const entry = (members: string) => {
    const { entries, diagnostics } = readSuppressionFile(
      "s.yaml",
      `suppressions:\n  - {codes: [JG205], because: x${members}}\n`,
    );
    expect(diagnostics).toEqual([]);
    return { suppressions: entries };
  };

  test.each([
    ["everywhere", "", []],
    ["in a policy", ", policies: [shop/q]", ["JG205:9"]],
    ["in a file", ", files: [p.yaml]", []],
    ["in files of a pattern", ', files: ["*.yaml"]', []],
    ["in a policy of a file", ", files: [p.yaml], policies: [shop/p]", ["JG205:19"]],
  ])("suppresses findings %s", (_, members, left) => {
    const { findings, suppressed } = reviewed(two, entry(members));
    expect({ findings, count: suppressed.length }).toEqual({ findings: left, count: 2 - left.length });
  });

  test.each([", policies: [shop/other]", ", files: [q.yaml]"])(
    "that matches nothing (%s) is reported as unused, with its position",
    (members) => {
      const { findings } = review([{ name: "p.yaml", text: two }], entry(members));
      expect(findings.filter(({ code }) => code === "JG301")).toMatchObject([
        { file: "s.yaml", line: 2, column: 5 },
      ]);
    },
  );

  test("is not reported as unused if only one workload is reviewed", () => {
    const apart = `${policy(PATHS)}---\n${policy(PATHS, "q", "bank")}`;
    const options = { namespace: "shop", ...entry(", policies: [bank/q]") };
    expect(reviewed(apart, options).findings).toEqual(["JG205:9"]);
  });

  test.each([
    ["suppressions: [{codes: [JG205]}]", "s.yaml:1:16", "suppressions[0].because is missing"],
    ['suppressions: [{codes: [JG205], because: " "}]', "s.yaml:1:16", "suppressions[0].because is missing"],
    ["suppressions: [{because: x}]", "s.yaml:1:16", "suppressions[0].codes is missing"],
    ["suppressions: [{codes: [JG1], because: x}]", "s.yaml:1:25", 'there is no finding "JG1"'],
    [
      "suppressions: [{codes: [JG205], policies: [p], because: x}]",
      "s.yaml:1:44",
      '"p" is not a policy: write NAMESPACE/NAME',
    ],
    ["suppressions: [{code: JG205, because: x}]", "s.yaml:1:17", 'unknown field "code"'],
    ["ignore: []", "s.yaml:1:1", 'unknown field "ignore"'],
    ["", "s.yaml:0:0", "the file has no suppressions"],
    ["[", "s.yaml:1:2", "this is not YAML"],
  ])("with a fault (%s) is an error with its position", (text, at, message) => {
    const [first] = readSuppressionFile("s.yaml", text).diagnostics;
    expect(`${first?.file}:${first?.line}:${first?.column}`).toBe(at);
    expect(first?.message).toContain(message);
    expect(first?.severity).toBe("error");
  });
});
