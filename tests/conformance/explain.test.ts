/** Every recorded request explained: the plain evaluator that steps are told from agrees with the module. */
import { readFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { type CompleteRequest, explain, type Subject } from "../../tools/explain/explain.ts";
import { Gate } from "../../tools/explain/gate.ts";
import { compileCase, isRefused, recordedCases } from "../support/cases.ts";
import { MODULE } from "../support/envoy.ts";

let module: WebAssembly.Module;
beforeAll(async () => {
  module = await WebAssembly.compile(readFileSync(MODULE));
});

test.each(recordedCases().filter((recorded) => !isRefused(recorded)))("$name", async (recorded) => {
  const { configuration, sourceMap } = compileCase(recorded);
  if (configuration === undefined || sourceMap === undefined) throw new Error("it does not compile");
  const subject: Subject = {
    configuration,
    positions: sourceMap,
    sources: new Map(),
    documents: new Map(),
    listener: {
      mode: recorded.mode,
      pathNormalization: recorded.normalization ?? "BASE",
      address: { ip: "127.0.0.1", port: recorded.port },
      localAddress: "127.0.0.1",
    },
    now: Date.now(),
  };
  const gate = await Gate.open({ module, ...subject });
  const wrong: string[] = [];
  for (const { name, method, path, authority, headers, body = "" } of recorded.requests) {
    const peer = { ip: "127.0.0.1", port: 40_000 };
    const request: CompleteRequest = { method, path, authority, headers, body, peer, protocol: "HTTP/1.1" };
    const { disagreements } = await explain(gate, subject, request);
    wrong.push(...disagreements.map((line) => `${name}: ${line}`));
  }
  expect(wrong).toEqual([]);
});
