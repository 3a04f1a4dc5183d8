/**
 * The recorded sets of policies against themselves: written again as YAML, and imported from the filters that istiod made of
 * them. `RECORDED_STEP=1` takes all of them; without it, every fourth.
 */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { type CompileResult, compile, INSPECTED } from "../../tools/compile.ts";
import { importPolicies } from "../../tools/import/import.ts";
import { compare } from "../../tools/prove/diff.ts";
import { toBareYaml } from "../../tools/render/yaml.ts";
import { recordedCases } from "../support/cases.ts";
import { MODULE } from "./random.ts";

const STEP = Number(process.env["RECORDED_STEP"] ?? 4);
const FILTERS = JSON.parse(
  gunzipSync(readFileSync(new URL("../import/istiod-filters.json.gz", import.meta.url))).toString(),
) as Record<string, object[]>;
/** istiod fetched the keys of these, so their filters have other keys than the policies lead to. */
const FETCHED = ["issuer-001.json", "issuer-002.json"];

function compiled(name: string, text: string): CompileResult | undefined {
  const result = compile([{ name, text }], { target: INSPECTED });
  return result.configuration === undefined ? undefined : result;
}

const SETS = recordedCases()
  .filter(({ oracle }, i) => oracle.status === "applied" && i % STEP === 0)
  .flatMap(({ file, policies }) => {
    const before = compiled(file, policies);
    return before ? [{ file, policies, before }] : [];
  });
const IMPORTED = SETS.filter(({ file }) => (FILTERS[file] ?? []).length > 0 && !FETCHED.includes(file));

async function expectEqual(before: CompileResult, text: string): Promise<void> {
  const after = compiled("again.yaml", text);
  if (after === undefined) throw new Error(`this does not compile:\n${text}`);
  const { equal, classes, undecided } = await compare(before, after, { module: MODULE });
  expect({ equal, classes, undecided }).toEqual({ equal: true, classes: [], undecided: [] });
}

describe("a recorded set of policies is equal to itself", () => {
  test("there are enough of them", () => {
    expect(SETS.length).toBeGreaterThan(200 / STEP);
    expect(IMPORTED.length).toBeGreaterThan(200 / STEP);
  });

  test.each(SETS)("rendered: $file", async ({ policies, before }) => {
    const documents = parseAllDocuments(policies, { version: "1.1" }).map((one) => one.toJS() as object);
    await expectEqual(before, toBareYaml(documents));
  });

  test.each(IMPORTED)("imported from istiod's filters: $file", async ({ file, before }) => {
    const source = { name: file, text: JSON.stringify(FILTERS[file]) };
    const { text, diagnostics } = importPolicies(source, {
      readFile: () => ({ fault: "there are no files" }),
      jwksUris: {},
    });
    expect(diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
    await expectEqual(before, text ?? "");
  });
});
