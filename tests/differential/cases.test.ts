/**
 * Every recorded case in a real Envoy with our module: one Envoy with one listener for each case and all plugins in one
 * VM, like several WasmPlugins on one workload.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Envoy } from "../../tools/envoy/process.ts";
import { cluster, listener } from "../../tools/render/bootstrap.ts";
import {
  type Actual,
  type Case,
  type CaseRequest,
  configurationOf,
  differences,
  isRefused,
  recordedCases,
  WIDER,
} from "../support/cases.ts";
import { DETAILS_HEADER, MODULE, startEnvoy, tellDetails } from "../support/envoy.ts";
import { Http1Client, headerOf } from "../support/http1.ts";
import { addressPool } from "../support/loopback.ts";
import { expectationOf } from "../support/stricter.ts";
import { receivedOf, startUpstream, type Upstream } from "../support/upstream.ts";

const CASES = recordedCases().filter((recorded) => !isRefused(recorded) && !WIDER.has(recorded.name));
const addresses = addressPool();
const ADDRESSES = new Map(CASES.map(({ file }) => [file, addresses.next().value]));

let upstream: Upstream;
let envoy: Envoy;

beforeAll(async () => {
  upstream = await startUpstream();
  envoy = await startEnvoy({
    listeners: CASES.map((recorded) =>
      tellDetails(
        listener({
          name: recorded.file,
          address: { host: addressOf(recorded), port: recorded.port },
          mode: recorded.mode,
          pathNormalization: recorded.normalization ?? "BASE",
          module: MODULE,
          configuration: configurationOf(recorded),
          cluster: "upstream",
          accessLog: false,
        }),
      ),
    ),
    clusters: [
      cluster({ name: "upstream", address: { host: "127.0.0.1", port: upstream.port } }),
      // Nothing listens at the URLs of keys.
      ...CASES.flatMap((recorded) => configurationOf(recorded).providers ?? []).flatMap(({ remoteJwks }) =>
        remoteJwks === undefined
          ? []
          : [cluster({ name: remoteJwks.cluster, address: { host: "127.0.0.1", port: 1 } })],
      ),
    ],
  });
});

afterAll(async () => {
  await envoy?.stop();
  await upstream?.close();
});

function addressOf({ file }: Case): string {
  return ADDRESSES.get(file) ?? "";
}

describe("requests", () => {
  test.each(CASES)("$name", async (recorded) => {
    const client = new Http1Client({ host: addressOf(recorded), port: recorded.port, from: "127.0.0.1" });
    const wrong: string[] = [];
    try {
      for (const request of recorded.requests) {
        const actual = await send(client, request);
        const expected = expectationOf(recorded, request);
        wrong.push(
          ...differences(actual, expected, request, recorded.mode).map((one) => `${request.name}: ${one}`),
        );
      }
    } finally {
      client.close();
    }
    expect(wrong).toEqual([]);
  });
});

test("the module never failed, and no configuration was refused", async () => {
  expect(envoy.log).not.toMatch(/\[(error|critical)\]/);
  expect((await envoy.stats("wasm.")).get("wasm.envoy.wasm.runtime.v8.active")).toBeGreaterThan(0);
});

async function send(client: Http1Client, request: CaseRequest): Promise<Actual> {
  const response = await client.request(request);
  return { ...response, details: headerOf(response, DETAILS_HEADER), upstream: receivedOf(response) };
}
