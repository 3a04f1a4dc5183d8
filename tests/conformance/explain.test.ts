/** Every recorded request explained: the plain evaluator that steps are told from agrees with the module. */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import {
  type CompleteRequest,
  compare,
  type Expected,
  explain,
  type Subject,
} from "../../tools/explain/explain.ts";
import { Gate } from "../../tools/explain/gate.ts";
import type { Outcome } from "../../tools/host/host.ts";
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

describe("a disagreement is said, point by point", () => {
  const refused: Outcome = {
    answer: {
      status: 403,
      headers: [],
      body: "RBAC: access denied",
      details: "rbac_access_denied_matched_policy[none]",
    },
    logs: [],
    properties: { "jwtgate.reason": "RBAC: access denied" },
  };
  const answer = {
    status: 403,
    body: "RBAC: access denied",
    details: "rbac_access_denied_matched_policy[none]",
  };
  const upstream = { method: "GET", path: "/", headers: [["host", "a"]] as [string, string][], body: "" };
  const passed: Outcome = {
    upstream,
    logs: [],
    properties: { "jwtgate.reason": "allowed", "jwtgate.policy": "r" },
  };

  test.each<[string, Expected, Outcome, string[]]>([
    ["none", { answer, ruleId: "" }, refused, []],
    ["none", { upstream, ruleId: "r" }, passed, []],
    ["refused or not", { upstream, ruleId: "" }, refused, ["status", "details", "reason"]],
    ["the status", { answer: { ...answer, status: 401 } }, refused, ["status"]],
    ["the reason", { answer: { ...answer, body: "Jwt is expired" } }, refused, ["reason"]],
    ["the rule", { upstream, ruleId: "s" }, passed, ["rule"]],
    ["the path", { upstream: { ...upstream, path: "/a" }, ruleId: "r" }, passed, ["path"]],
    [
      "the headers",
      { upstream: { ...upstream, headers: [["host", "b"]] }, ruleId: "r" },
      passed,
      ["headers"],
    ],
  ])("%s", (_, expected, outcome, points) => {
    expect(compare(expected, outcome).map((line) => line.split(":")[0])).toEqual(points);
  });
});
