/** Lines of sources under messages: what they show, and that they never show a key. */
import { describe, expect, test } from "vitest";
import { Excerpts } from "../../tools/excerpts.ts";

const plain = (text: string) => text;
const style = { good: plain, bad: plain, faint: plain, strong: plain };
const shown = (text: string, line: number, column: number) =>
  new Excerpts([{ name: "p.yaml", text }]).format({ file: "p.yaml", line, column }, style);

test("the caret is under the position", () => {
  expect(shown("a: b\nc: d\n", 2, 4)).toEqual(["    2 | c: d", "      |    ^"]);
  expect(shown("\uFEFFa: b\r\nc: d\r\n", 1, 4)).toEqual(["    1 | a: b", "      |    ^"]);
});

test("a long line is cut on both sides", () => {
  const [line = "", caret = ""] = shown(
    `a: [${"x, ".repeat(1_000_000)}HERE, ${"y, ".repeat(1_000_000)}]`,
    1,
    3_000_005,
  );
  expect(line.length).toBeLessThan(115);
  expect(line.slice(caret.indexOf("^")).startsWith("HERE")).toBe(true);
});

test("control characters are escaped, and the caret stays under its position", () => {
  const [line = "", caret = ""] = shown('a: ["\u202e\u009b", HERE]', 1, 11);
  expect(line).toBe('    1 | a: ["\\u202e\\u009b", HERE]');
  expect(caret.indexOf("^")).toBe(line.indexOf("HERE"));
});

test.each([
  [0, 0],
  [1, 0],
  [9, 1],
])("there is no excerpt for %i:%i", (line, column) => expect(shown("a: b\n", line, column)).toEqual([]));

describe("no key is shown", () => {
  const SECRET = "c2VjcmV0";
  test.each([
    ["in quotes", `spec: {jwtRules: [{issuer: a, jwks: '{"keys":[{"k":"${SECRET}"}]}', b: c}]}`],
    ["in a block", `spec:\n  jwks: |\n    {"keys": [{"k":\n      "${SECRET}"}]}\n  b: c\n`],
    ["in a plain value of several lines", `spec:\n  jwks: a\n    ${SECRET}\n    ${SECRET}\n  b: c\n`],
    ["as YAML", `spec:\n  jwks:\n    keys:\n      - kty: oct\n        k: ${SECRET}\n  b: c\n`],
    ["through an anchor", `a: {jwks: &k '${SECRET}'}\nb: {jwks: *k}\nc: d\n`],
    ["in a Secret", `kind: Secret\ndata: {k: ${SECRET}}\nstringData:\n  k: ${SECRET}\nb: c\n`],
    ["in JSON", JSON.stringify({ spec: { jwks: `{"k":"${SECRET}"}` }, b: "c" })],
    [
      "in what kubectl keeps",
      JSON.stringify({
        metadata: { annotations: { "kubectl.kubernetes.io/last-applied-configuration": SECRET } },
      }),
    ],
    ["in a file that is not YAML", `spec: {jwks: '${SECRET}'\nb: [`],
  ])("%s", (_, text) => {
    for (const [i, line] of text.split("\n").entries()) {
      for (let column = 1; column <= line.length + 1; column++) {
        expect(shown(text, i + 1, column).join("\n")).not.toContain(SECRET);
      }
    }
  });

  test("the text after a key is shown", () => {
    expect(shown("spec: {jwks: '{}', b: c}", 1, 20)[0]).toBe("    1 | spec: {jwks: …b: c}");
  });
});
