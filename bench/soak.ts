/**
 * `npm run soak`: proves that the request path allocates nothing permanent. In the TypeScript host the module's own
 * memory must be the same after 10 million requests as after 10 thousand; in Envoy, where other memory varies too, it
 * must stop growing.
 */
import { readFileSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { Command } from "commander";
import { findEnvoy } from "../tools/envoy/provision.ts";
import type { DownstreamRequest } from "../tools/host/http-connection-manager.ts";
import { createNodeHost } from "../tools/host/node.ts";
import { MODULE_FILE } from "../tools/package.ts";
import { Contender } from "./contenders.ts";
import { compilePolicy, HOST, requestBytes, type Target, targets } from "./policies.ts";
import { Signer, tampered } from "./tokens.ts";

const options = new Command("npm run soak --")
  .description("show that requests leave no memory allocated")
  .option("--requests <number>", "in the TypeScript host", Number, 10_000_000)
  .option("--envoy-requests <number>", "in Envoy", Number, 500_000)
  .option("--module <file>", "the filter", MODULE_FILE)
  .parse()
  .opts<{ requests: number; envoyRequests: number; module: string }>();

/** This many requests, each with another token, fill the cache: everything that is made once has been made. */
const SETTLED = 10_000;
/** More tokens than the cache holds, so that most of them miss. */
const TOKENS = 20_000;
/** How much Envoy's own buffers and counters may grow, in bytes, over all requests. */
const ENVOY_ALLOWANCE = 1024 * 1024;
const NO_STEPS = { empty: "", streams: "", headers: "", clock: "", removal: "" };
const MEBIBYTE = 1024 * 1024;

const signer = new Signer("HS256");
const configuration = compilePolicy(signer.jwks, "mix", 100);
const allowed = targets("mix", 100);
const [first] = allowed;
if (first === undefined) throw new Error("a policy without a target");
const hot = signer.token(600);
const tokens = Array.from({ length: TOKENS }, (_, i) => signer.token(300 + (i % 1_000)));

const grown = [await soakHost(options.requests), await soakEnvoy(options.envoyRequests)];
process.exitCode = grown.includes(true) ? 1 : 0;

/** @returns whether the module's memory grew */
async function soakHost(count: number): Promise<boolean> {
  const host = await createNodeHost(readFileSync(options.module), { logLevel: "critical" });
  if (!host.configure(configuration).accepted) throw new Error("the configuration was refused");
  host.clock.set(Date.now());
  const request = ({ path, host: authority, headers }: Target, token: string): DownstreamRequest => ({
    path,
    authority,
    headers: [...Object.entries(headers), ["authorization", `Bearer ${token}`] as const].map(
      ([name, value]) => [name, value],
    ),
  });
  const hits = allowed.map((target) => request(target, hot));
  const misses = tokens.map((token, i) => request(allowed[i % allowed.length] ?? (first as Target), token));
  const refusals = [
    request(first as Target, tampered(hot)),
    request(first as Target, "not.a.token"),
    request({ path: "/elsewhere", host: HOST, headers: {} }, hot),
    { path: "/elsewhere" },
  ];
  const start = performance.now();
  let settled = 0;
  for (let i = 1; i <= count; i++) {
    const list = i <= SETTLED || i % 10 === 0 ? misses : i % 10 === 5 ? refusals : hits;
    const { outcome } = host.send(
      list[(i <= SETTLED ? i : Math.floor(i / 10)) % list.length] as DownstreamRequest,
    );
    if ((outcome?.answer !== undefined) !== (list === refusals))
      throw new Error(`request ${i}: ${outcome?.answer?.body}`);
    if (i % 1_000 === 0) {
      host.advance(100);
      // Waits for deferred work of Node, which is not measured here.
      await setImmediate();
    }
    if (i === SETTLED) settled = host.memorySize;
    if (i % 500_000 === 0) {
      const each = ((performance.now() - start) * 1000) / i;
      console.log(
        `${grouped(i)} requests in the TypeScript host, ${each.toFixed(1)} µs each: ${grouped(host.memorySize)} bytes`,
      );
    }
  }
  const growth = host.memorySize - settled;
  console.log(
    `${verdict(growth === 0)}: ${grouped(settled)} bytes after ${grouped(SETTLED)}, ${grouped(host.memorySize)} after ${grouped(count)}`,
  );
  return growth !== 0;
}

/** @returns whether Envoy's memory grew by more than the allowance */
async function soakEnvoy(count: number): Promise<boolean> {
  const progress = (line: string): void => void process.stderr.write(`${line}\n`);
  const envoy = await findEnvoy({ progress });
  const bench = { envoy, module: options.module, otherModule: "", steps: NO_STEPS, connections: 8 };
  const gate = await Contender.start("jwtgate", configuration, bench);
  try {
    await gate.prove(first as Target, hot);
    const requests = tokens.map((token, i) =>
      requestBytes(allowed[i % allowed.length] ?? (first as Target), i % 10 === 0 ? token : hot),
    );
    await gate.measure(requests);
    await gate.measure(requests);
    const settled = gate.memory.anonymous;
    for (let sent = 0; sent < count; sent += requests.length) await gate.measure(requests);
    const growth = gate.memory.anonymous - settled;
    const text = `Envoy's own memory: ${(settled / MEBIBYTE).toFixed(1)} MiB after ${grouped(2 * requests.length)} requests, ${(growth / MEBIBYTE).toFixed(2)} MiB more after ${grouped(count)}`;
    console.log(`${verdict(growth <= ENVOY_ALLOWANCE)}: ${text}`);
    return growth > ENVOY_ALLOWANCE;
  } finally {
    await gate.stop();
  }
}

function verdict(isFlat: boolean): string {
  return isFlat ? "flat" : "GROWN";
}

function grouped(value: number): string {
  return value.toLocaleString("en-US");
}
