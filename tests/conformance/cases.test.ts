/** Every recorded case in the project's own proxy-wasm host: the same module, without Envoy. */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { createNodeHost } from "../../tools/host/node.ts";
import {
  type Case,
  compileCase,
  configurationOf,
  differences,
  isRefused,
  listenerOf,
  POLICIES,
  recordedCases,
  send,
  WIDER,
} from "../support/cases.ts";
import { parseDocuments } from "../support/documents.ts";
import { MODULE } from "../support/envoy.ts";
import { expectationOf, STRICTER } from "../support/stricter.ts";

const CASES = recordedCases();

describe("policies that istiod or Envoy refuses are refused with the place of the fault", () => {
  test.each(CASES.filter(isRefused))("$name", (recorded) => {
    const { configuration, diagnostics } = compileCase(recorded);
    const errors = diagnostics.filter(({ severity }) => severity === "error");
    expect(configuration).toBeUndefined();
    expect(errors.length).toBeGreaterThan(0);
    for (const { file, line, column } of errors) {
      expect(file).toBe(POLICIES);
      expect(line).toBeGreaterThan(0);
      expect(column).toBeGreaterThan(0);
    }
    // Each refused resource has its own error, between its first line and its last.
    for (const { kind, name } of recorded.oracle.ignored ?? []) {
      const document = parseDocuments(recorded.policies).find(
        (one) => one.kind === kind && one.name === name,
      );
      const lines = errors.map(({ line }) => line);
      expect(lines.some((line) => document && line >= document.first && line <= document.last)).toBe(true);
    }
  });
});

describe("requests", () => {
  let module: WebAssembly.Module;
  beforeAll(async () => {
    module = await WebAssembly.compile(readFileSync(MODULE));
  });

  test.each(CASES.filter((recorded) => !isRefused(recorded) && !WIDER.has(recorded.name)))(
    "$name",
    async (recorded) => {
      // Nothing listens at the URLs of keys.
      const fetch = () => Promise.reject(new Error("connection refused"));
      const host = await createNodeHost(module, { fetch });
      const configuration = configurationOf(recorded);
      const loaded = host.configure(configuration, { listener: listenerOf(recorded, configuration) });
      expect(loaded).toMatchObject({ accepted: true });
      const wrong: string[] = [];
      for (const request of recorded.requests) {
        const found = differences(
          await send(host, request),
          expectationOf(recorded, request),
          request,
          recorded.mode,
        );
        wrong.push(...found.map((difference) => `${request.name}: ${difference}`));
      }
      expect(wrong).toEqual([]);
      expect(host.trapped).toBeUndefined();
    },
  );
});

test("every exception names a recorded request that Envoy answers otherwise", () => {
  for (const [name, requests] of Object.entries(STRICTER)) {
    const recorded = CASES.find((one: Case) => one.name === name);
    for (const requestName of Object.keys(requests)) {
      const request = recorded?.requests.find((one) => one.name === requestName);
      expect(request, `${name} / ${requestName}`).toBeDefined();
      if (recorded && request) expect(expectationOf(recorded, request)).not.toEqual(request.expect);
    }
  }
});
