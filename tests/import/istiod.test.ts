/**
 * What istiod's own code makes of every recorded set of policies, imported, compiled and run: every recorded request is
 * answered as before (README.md).
 */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { beforeAll, describe, expect, test } from "vitest";
import { compile } from "../../tools/compile.ts";
import { createNodeHost } from "../../tools/host/node.ts";
import { importPolicies } from "../../tools/import/import.ts";
import {
  type Case,
  type CaseRequest,
  differences,
  type Expectation,
  listenerOf,
  recordedCases,
  send,
} from "../support/cases.ts";
import { MODULE } from "../support/envoy.ts";
import { expectationOf, STRICTER } from "../support/stricter.ts";

interface Filter {
  typed_config: { providers?: Record<string, { local_jwks: { inline_string: string } }> };
}
const FILTERS = JSON.parse(
  gunzipSync(readFileSync(new URL("istiod-filters.json.gz", import.meta.url))).toString(),
) as Record<string, Filter[]>;

/** Also those of which istiod refuses a resource: it makes filters of the others. */
const CASES = recordedCases().filter(({ oracle }) => oracle.status === "applied");
const WITH_FILTERS = CASES.filter(({ file }) => (FILTERS[file] ?? []).length > 0);

/** A provider that takes every issuer has to have its keys fetched: Istio refuses another. */
const ANY_ISSUER = "issuer/rule with uri and no issuer";
const JWKS_URI = "https://keys.example/jwks";

function imported({ file, name }: Case): string {
  const { text, diagnostics } = importPolicies(
    { name: file, text: JSON.stringify(FILTERS[file], null, 1) },
    {
      readFile: () => ({ fault: "there are no files" }),
      jwksUris: name === ANY_ISSUER ? { "origins-0": JWKS_URI } : {},
    },
  );
  expect(diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
  return text ?? "";
}

/** istiod had fetched the keys, or inserted a key that no server has. Those were imported. */
function expectationAfterImport(recorded: Case, request: CaseRequest): Expectation {
  const point = STRICTER[recorded.name]?.[request.name]?.[0];
  return point === "own fetch" ? request.expect : expectationOf(recorded, request);
}

test("there are filters for every case that istiod and Envoy took", () => {
  expect(Object.keys(FILTERS).sort()).toEqual(CASES.map(({ file }) => file).sort());
  expect(WITH_FILTERS.length).toBeGreaterThan(240);
});

describe("answers as before", () => {
  let module: WebAssembly.Module;
  beforeAll(async () => {
    module = await WebAssembly.compile(readFileSync(MODULE));
  });

  test.each(WITH_FILTERS)("$name", async (recorded) => {
    const { configuration, diagnostics } = compile([{ name: "imported.yaml", text: imported(recorded) }]);
    expect(diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
    if (configuration === undefined) throw new Error("nothing was compiled");
    const keys =
      FILTERS[recorded.file]?.[0]?.typed_config.providers?.["origins-0"]?.local_jwks.inline_string ?? "";
    const host = await createNodeHost(module, { fetch: async () => ({ status: 200, body: keys }) });
    const loaded = host.configure(configuration, { listener: listenerOf(recorded, configuration) });
    expect(loaded).toMatchObject({ accepted: true });
    const wrong: string[] = [];
    for (const request of recorded.requests) {
      const expected = expectationAfterImport(recorded, request);
      const found = differences(await send(host, request), expected, request, recorded.mode);
      wrong.push(...found.map((difference) => `${request.name}: ${difference}`));
    }
    expect(wrong).toEqual([]);
  });
});
