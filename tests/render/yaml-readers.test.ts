/** What the tool renders, every reader of YAML reads as it was meant. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toBareYaml } from "../../tools/render/yaml.ts";
import { readers } from "./readers.ts";
import { anyRendered, type Rendered, TRICKY_WORDS } from "./strings.ts";

const SEED = Number(process.env["RANDOM_SEED"] ?? 2026);
const RUNS = Number(process.env["RANDOM_RUNS"] ?? 200);

/** As in JSON. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

/** Whether Kubernetes could take the document for a resource. It leaves an empty namespace out. */
function isNamed(document: object): boolean {
  const { kind, metadata } = document as { kind?: string; metadata?: { name?: string; namespace?: string } };
  return kind !== undefined && metadata !== undefined && metadata.name !== "" && metadata.namespace !== "";
}

const samples = fc.sample(anyRendered, { seed: SEED, numRuns: RUNS });
/** Each word as a name, a value, an item, and after a line break. */
const words: Rendered[] = TRICKY_WORDS.map((word) => {
  const spec = {
    [word]: word,
    list: [word, [word]],
    map: { [word]: { [word]: word }, after: "" },
    end: word,
  };
  const documents = [{ apiVersion: "v1", kind: "Words", metadata: { name: "words", namespace: word }, spec }];
  return { documents, text: toBareYaml(documents) };
});

const NUMBERS = [0, 7, -7, 10, 8080, 2147483648, 0.95, 0.5, -1.25, 100.000001];
const numbers: Rendered[] = NUMBERS.map((number) => {
  const documents = [
    { apiVersion: "v1", kind: "Numbers", metadata: { name: "numbers" }, spec: { a: number } },
  ];
  return { documents, text: toBareYaml(documents) };
});

describe.each(readers())("$name", ({ read, needsName }) => {
  test.each([
    ["resources and bootstraps of any strings", samples],
    ["words that mean something else", words],
    ["numbers", numbers],
  ])("reads %s", (_name, rendered) => {
    const all = needsName ? rendered.filter(({ documents }) => documents.every(isNamed)) : rendered;
    expect(all.length).toBeGreaterThan(rendered.length / 4);
    expect(read(all.map(({ text }) => text))).toEqual(plain(all.flatMap(({ documents }) => documents)));
  });
});

test("the text consists of printable ASCII and line feeds, so that all readers find the same lines", () => {
  for (const { text } of [...samples, ...words]) expect(text).toMatch(/^[\n -~]*$/);
});
