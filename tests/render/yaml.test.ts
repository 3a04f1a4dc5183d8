/** The tool's YAML is so plain that no reader can take it for something else. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toBareYaml, toYaml, yamlString } from "../../tools/render/yaml.ts";
import { compile } from "../../tools/targets/compile.ts";
import { anyText, TRICKY_WORDS } from "./strings.ts";

const SEED = Number(process.env["RANDOM_SEED"] ?? 2026);

describe("the text", () => {
  test("has a string plain only if it consists of letters, digits and _ . / -, and is not a word of any YAML", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const written = yamlString(text);
        expect(written === text || written.startsWith('"')).toBe(true);
        if (written === text) expect(text).toMatch(/^[A-Za-z/][A-Za-z0-9_./-]*$/);
      }),
      { seed: SEED },
    );
    const plainWords = TRICKY_WORDS.filter((word) => yamlString(word) === word);
    expect(plainWords.filter((word) => !/^(a{1023,}|_*[a-zA-Z]{4,}_*)$/.test(word))).toEqual([]);
    expect(plainWords).toEqual(expect.arrayContaining(["constructor", "toString"]));
  });

  test.each(["\ud83d", "a\ude00b", "\ude00\ud83d"])("contains no half of a character: %j", (half) => {
    for (const content of [{ a: half }, { [half]: "a" }, { a: [half] }]) {
      expect(() => toBareYaml([content])).toThrow("half a character");
    }
  });

  test.each([1e-7, Number.NaN, Number.POSITIVE_INFINITY, 1e21])(
    "holds no number that readers take for something else: %d",
    (number) => {
      expect(() => toBareYaml([{ a: number }])).toThrow("disagree");
    },
  );

  test("has blocks for JSON, and no text that a reader could read in two ways", () => {
    const block = (text: string) => toBareYaml([{ a: { b: text } }]);
    expect(block('{\n "a": 1\n}')).toBe('a:\n  b: |-\n    {\n     "a": 1\n    }\n');
    expect(block("a\nb\n")).toBe("a:\n  b: |\n    a\n    b\n");
    for (const text of [
      " a\nb",
      "a\n\nb",
      "a \nb",
      "a\n",
      "a\nb ",
      "a\nb\n\n",
      "a\n\tb",
      "a\nb\u0085",
      "a\né",
    ]) {
      expect(block(text)).not.toContain("|");
    }
  });

  test("has comments that no text in them can end", () => {
    const text = toYaml([{ a: 1 }], "x\u2028y: 1\nz\u0085\rw: 2", { reasons: { a: "b\u2029c: 3\nd" } });
    expect(text).toBe("# x\\u2028y: 1\n# z\\u0085\\u000dw: 2\n# b\\u2029c: 3\n# d\na: 1\n");
  });

  test("gives reasons only for own properties", () => {
    expect(toBareYaml([{ constructor: "a", toString: "b" }], { reasons: {} })).toBe(
      "constructor: a\ntoString: b\n",
    );
  });
});

describe("half a character in a policy is an error of the compiler", () => {
  const policy = (key: string, value: string, jwks = "") => `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: a}
spec: {selector: {matchLabels: {${key}: ${value}}}, jwtRules: [{issuer: i${jwks}}]}
`;
  test.each([
    ["a value", policy("app", '"\\ud83d"')],
    ["a name", policy('"\\ud83d"', "a")],
    ["a key's id", policy("app", "a", `, jwks: '{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"\\ud83d"}]}'`)],
  ])("%s", (_name, text) => {
    const { configuration, diagnostics } = compile([{ name: "a.yaml", text }], { target: "wasmplugin" });
    expect(configuration).toBeUndefined();
    expect(diagnostics.map(({ message }) => message).join("\n")).toMatch(/half/);
  });
});
