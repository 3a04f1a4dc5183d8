/** Large and hostile YAML: the work is bounded, and an error names the limit. */
import { describe, expect, test } from "vitest";
import { parseYaml, type YamlNode } from "../../tools/istio/yaml.ts";

function accepted(text: string): YamlNode[] {
  const { documents, diagnostics } = parseYaml("f", text);
  expect(diagnostics).toEqual([]);
  return documents;
}

/** The messages of a text without a document that can be read. */
function refusal(text: string): string[] {
  const { documents, diagnostics } = parseYaml("f", text);
  expect(documents).toEqual([]);
  return diagnostics.map(({ message }) => message);
}

describe("hostile files end in an error, soon", () => {
  test("aliases that multiply", () => {
    const names = [..."abcdefghij"];
    const lines = names.map((name, i) => {
      const items = Array(10).fill(i === 0 ? "x" : `*${names[i - 1]}`);
      return `${name}: &${name} [${items.join(",")}]\n`;
    });
    expect(refusal(lines.join(""))).toEqual(["aliases add more than 100000 values: write the values out"]);
  });
  test("aliases that add one value too many", () => {
    const aliases = (count: number) => `a: &a [${"x,".repeat(999)}]\nb: [${"*a,".repeat(count)}]\n`;
    expect(accepted(aliases(100))).toHaveLength(1);
    expect(refusal(aliases(101))).toEqual(["aliases add more than 100000 values: write the values out"]);
  });
  test("an anchor that contains itself", () => {
    expect(refusal("a: &a\n- *a\n")).toEqual(["lists and maps are nested too deeply"]);
  });
  test.each([
    ["flow lists", "[".repeat(50_000)],
    ["flow maps", "{a: ".repeat(50_000)],
    ["block lists", "- ".repeat(5_000)],
    ["block maps", Array.from({ length: 500 }, (_, i) => `${" ".repeat(i)}a:\n`).join("")],
    ["keys", "? ".repeat(5_000)],
  ])("deep %s", (_, text) => expect(refusal(text)).toEqual(["lists and maps are nested too deeply"]));
  test.each([
    ["a field that is written over and over", "a: b\n", "this field is written twice"],
    ["documents that each have a fault", "---\n}\n", "this is not YAML"],
  ])("%s: the number of reported faults is limited", (_, line, message) => {
    const reported = refusal(line.repeat(130_000));
    expect(reported).toHaveLength(51);
    for (const fault of reported) expect(fault).toContain(message);
  });
  test("a fault in the structure again and again is one fault", () => {
    expect(refusal("}\n".repeat(500_000))).toEqual([expect.stringContaining("this is not YAML")]);
  });
  test("a document that would fill the memory", () => {
    expect(refusal("- a: b\n".repeat(700_000))).toEqual([
      expect.stringContaining("this document is too large"),
    ]);
  });
  test("directives without end", () => {
    expect(refusal("%FOO\n".repeat(200_000))).toEqual(["this is not YAML: directives end mark is expected"]);
  });
});

describe("large files that are right", () => {
  test("a hundred thousand fields of one object", () => {
    const [document] = accepted(Array.from({ length: 100_000 }, (_, i) => `k${i}: v\n`).join(""));
    expect(document?.kind === "map" && document.entries.size).toBe(100_000);
  });
  test("more in all than one document may have", () => {
    const document = `---\n${"- a: b\n".repeat(300_000)}`;
    expect(accepted(document + document)).toHaveLength(2);
  });
});
