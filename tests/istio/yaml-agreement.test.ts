/**
 * Texts made at random, read by our reader and by the library `yaml`: a document that both take is the same to both, and one
 * that only we take is one of the kinds below.
 */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { parseYaml, type YamlNode } from "../../tools/istio/yaml.ts";
import type { Random } from "../fuzz/random.ts";
import { forAll } from "../support/for-all.ts";

const SAMPLES = "envoy/istio";

const PIECES = [
  ..."abc\n\n \t'\"|>#{}[],:?-&*!%@`~",
  ...[
    "b: ",
    "- ",
    "\n  ",
    "\n    ",
    "\n- ",
    "\n  - ",
    "\n---\n",
    "\n...\n",
    "|-\n",
    "|2\n",
    ">+\n",
    "# c",
    ", ",
  ],
  ...[
    "&x ",
    "*x",
    "!!str ",
    "? ",
    "<<: ",
    "no",
    "0x1f",
    "''",
    "a: &y b",
    "\r\n",
    "- - ",
    "--- a",
    "\\n",
    "a: 'b",
    ...["[\n", "\n]", "\n  ]", "{\n", "\n  }", "[ #\n a\n]"],
  ],
];

/**
 * Texts that only the library refuses, although the specification allows them, and texts that do not occur in
 * practice.
 */
const OURS_ALONE = [
  // Tabs before a scalar that is a whole document, and in empty lines.
  /TAB_AS_INDENT/,
  /Block scalar/,
  // A block scalar that is a whole document may be indented by one (YAML 1.2.2, 8.1.1.1).
  /at node end/,
  // In brackets go-yaml looks at no indentation.
  /in block collection must be sufficiently indented/,
];

function plain(node: YamlNode): unknown {
  switch (node.kind) {
    case "map":
      return Object.fromEntries([...node.entries].map(([name, { value }]) => [name, plain(value)]));
    case "list":
      return node.items.map(plain);
    case "string":
      return node.value;
    default:
      return node.source;
  }
}

function mutate(random: Random, text: string): string {
  let result = text;
  for (let i = random.below(4); i >= 0; i--) {
    const at = random.below(result.length + 1);
    const piece = random.chance(0.5) ? random.pick(PIECES) : "";
    result = result.slice(0, at) + piece + result.slice(at + (piece === "" ? 1 + random.below(3) : 0));
  }
  return result;
}

test("texts made at random are the same to us and to the library yaml", () => {
  const files = readdirSync(SAMPLES).filter((name) => name.endsWith(".yaml"));
  const texts = files.map((name) => readFileSync(`${SAMPLES}/${name}`, "utf8"));
  expect(texts.length).toBeGreaterThan(5);
  let both = 0;
  forAll(6000, (random) => {
    const text = random.chance(0.3)
      ? `${random.times(1 + random.below(12), () => random.pick(PIECES)).join("")}\n`
      : mutate(random, random.pick(texts));
    const { documents, diagnostics } = parseYaml("f", text);
    // Merges and tags are ours to resolve, and the library has no bound for aliases.
    if (diagnostics.length > 0 || text.includes("<<") || /\|\d?\n|>\d?\n/.test(text)) return;
    const theirs = parseAllDocuments(text, { schema: "failsafe", version: "1.1", uniqueKeys: false });
    const faults = [...theirs].flatMap(({ errors }) =>
      errors.map(({ code, message }) => `${code} ${message}`),
    );
    if (faults.length > 0) {
      expect(
        OURS_ALONE.some((kind) => kind.test(faults[0] ?? "")),
        JSON.stringify({ text, faults }),
      ).toBe(true);
      return;
    }
    const values = [...theirs]
      .map((document) => document.toJS() as unknown)
      .filter((value) => value !== null);
    const words = (value: unknown) =>
      JSON.stringify(value).replaceAll('"~"', "null").replaceAll('""', "null");
    const ours = documents.map(plain);
    const isStructure = (value: unknown) => typeof value === "object";
    expect(words(ours.filter(isStructure)), JSON.stringify(text)).toBe(words(values.filter(isStructure)));
    both++;
  });
  expect(both).toBeGreaterThan(2000);
});
