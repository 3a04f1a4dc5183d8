/** The worker in a real browser answers every recorded request as Envoy did (tests/cases/README.md). */
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import type { operations } from "../../console/engine/operations.ts";
import type { InputOf, OutputOf } from "../../console/engine/protocol.ts";
import { openPage } from "../support/browser.ts";
import {
  type Case,
  type CaseRequest,
  differences,
  isRefused,
  POLICIES,
  recordedCases,
  WIDER,
} from "../support/cases.ts";
import { expectationOf } from "../support/stricter.ts";
import { useConsole } from "../support/use-console.ts";

const used = useConsole();

/**
 * Without those that fetch keys, which a test file describes in its own way, and those whose policies istiod refuses and
 * jwtgate takes.
 */
const CASES = recordedCases().filter(
  (one) => !isRefused(one) && !WIDER.has(one.name) && !one.policies.includes("jwksUri"),
);

test("answers recorded requests as Envoy did", async () => {
  const { page, messages, close } = await openPage(used.browser, used.site.url);
  await page.evaluate(START);
  const wrong: string[] = [];
  let count = 0;
  for (const recorded of CASES) {
    const requests = recorded.requests.filter(isWritable);
    if (requests.length === 0) continue;
    const { cases, diagnostics } = await run(page, inputOf(recorded, requests));
    const errors = diagnostics.filter(({ severity }) => severity === "error");
    wrong.push(...errors.map(({ message }) => `${recorded.name}: ${message}`));
    for (const [index, { evaluated }] of cases.entries()) {
      const request = requests[index];
      if (request === undefined || evaluated === undefined) throw new Error("a request was not run");
      const { answer, upstream } = evaluated.explanation.outcome;
      const { status = 200, headers = [], body = "", details } = answer ?? {};
      const actual = { status, headers, body, details, upstream };
      const expected = expectationOf(recorded, request);
      wrong.push(
        ...differences(actual, expected, request, recorded.mode).map(
          (one) => `${recorded.name}, ${request.name}: ${one}`,
        ),
      );
      count++;
    }
  }
  expect(wrong).toEqual([]);
  // Most recorded requests pass. With a filter that refuses every request, the test would prove little.
  expect(count).toBeGreaterThan(2500);
  expect(messages).toEqual([]);
  await close();
});

/**
 * Whether a test file can have such a request: text in UTF-8, a path of ASCII, and Host in addition to the
 * other headers.
 */
function isWritable({ method, path, authority, headers, body = "" }: CaseRequest): boolean {
  const texts = [authority, body, ...headers.flat()];
  return (
    /^[A-Z]+$/.test(method) &&
    /^[\x21-\x7e]+$/.test(path) &&
    texts.every((text) => /^[\x20-\x7e]*$/.test(text)) &&
    headers.every(([name]) => /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name) && name.toLowerCase() !== "host")
  );
}

function inputOf(
  { policies, mode, port, normalization }: Case,
  requests: readonly CaseRequest[],
): InputOf<typeof operations, "run"> {
  const file = {
    policies: [POLICIES],
    listener: {
      mode,
      address: `127.0.0.1:${port}`,
      ...(normalization !== undefined && { pathNormalization: normalization }),
    },
    tests: requests.map(({ name, method, path, authority, headers, body = "" }) => ({
      name,
      request: { method, path, host: authority, headers: headersOf(headers), ...(body !== "" && { body }) },
      expect: {},
    })),
  };
  return {
    policies: [{ name: POLICIES, text: policies }],
    tests: { name: "recorded.test.yaml", text: JSON.stringify(file) },
    keys: {},
    now: Date.now(),
  };
}

function headersOf(headers: CaseRequest["headers"]): Record<string, string[]> {
  const lists: Record<string, string[]> = {};
  for (const [name, value] of headers) lists[name] = [...(lists[name] ?? []), value];
  return lists;
}

async function run(
  page: Page,
  input: InputOf<typeof operations, "run">,
): Promise<OutputOf<typeof operations, "run">> {
  return (await page.evaluate(`runInWorker(${JSON.stringify(input)})`)) as OutputOf<typeof operations, "run">;
}

/** Starts a worker as the page does. */
const START = `(async () => {
  const compile = async (file) => WebAssembly.compile(await (await fetch(file)).arrayBuffer());
  const worker = new Worker("worker.js");
  worker.postMessage({ release: await compile("jwtgate.wasm"), trace: await compile("jwtgate.trace.wasm") });
  globalThis.runInWorker = (input) => new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => ("error" in data ? reject(new Error(data.error)) : resolve(data.output));
    worker.postMessage({ id: 1, name: "run", input });
  });
})()`;
