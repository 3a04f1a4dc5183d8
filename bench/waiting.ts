/**
 * `npm run bench:waiting`: how resuming a thousand waiting requests affects other requests of the same worker. A prober
 * on its own thread sends requests to another listener, in the same VM, at fixed times, even if an earlier answer is
 * missing (no coordinated omission): first while nothing else happens, then while the requests are resumed.
 */
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { type AddressInfo, connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { Command } from "commander";
import { withContents } from "../tools/config/contents.ts";
import type { Provider } from "../tools/config/schema.ts";
import { Envoy } from "../tools/envoy/process.ts";
import { findEnvoy } from "../tools/envoy/provision.ts";
import { MODULE_FILE } from "../tools/package.ts";
import { bootstrap, cluster, listener } from "../tools/render/bootstrap.ts";
import { ISSUER, Signer } from "./tokens.ts";

if (isMainThread) await main();
else await probe(workerData as { port: number });

/** Asks every two milliseconds, and sends the latencies in milliseconds back when it receives the message to stop. */
async function probe({ port }: { port: number }): Promise<void> {
  const lanes = Array.from({ length: 64 }, () => connect(port, "127.0.0.1").setNoDelay(true));
  await Promise.all(lanes.map((lane) => once(lane, "connect")));
  const latencies: number[] = [];
  for (const lane of lanes) lane.on("error", () => {});
  const start = performance.now();
  let asked = 0;
  const timer = setInterval(() => {
    while (start + asked * 2 < performance.now()) {
      const due = start + asked * 2;
      const lane = lanes[asked++ % lanes.length];
      lane?.once("data", () => latencies.push(performance.now() - due));
      lane?.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
  }, 1);
  await once(parentPort as NonNullable<typeof parentPort>, "message");
  clearInterval(timer);
  parentPort?.postMessage(latencies);
  for (const lane of lanes) lane.destroy();
}

async function during(port: number, work: () => Promise<unknown>): Promise<number[]> {
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: { port } });
  await sleep(500);
  await work();
  worker.postMessage("stop");
  const [latencies] = (await once(worker, "message")) as [number[]];
  await worker.terminate();
  return latencies.slice(200);
}

async function main(): Promise<void> {
  const { count, rounds, module } = new Command("npm run bench:waiting --")
    .description("measure how resuming waiting requests affects other requests of the same worker")
    .option("--count <number>", "how many requests wait", Number, 1_000)
    .option("--rounds <number>", "how often it is measured", Number, 5)
    .option("--module <file>", "the filter", MODULE_FILE)
    .parse()
    .opts<{ count: number; rounds: number; module: string }>();
  const signer = new Signer("HS256");
  const held: ServerResponse[] = [];
  const keyServer = createServer((_, response) => held.push(response)).listen(0, "127.0.0.1");
  await once(keyServer, "listening");
  const { port } = keyServer.address() as AddressInfo;
  const gate = (name: string, providers: Provider[]) =>
    listener({
      name,
      address: { host: "127.0.0.1", port: 0 },
      module,
      configuration: withContents({
        version: 1,
        limits: { maxWaitMs: 30_000, maxWaitingRequests: 100_000 },
        providers,
        authorization: {
          predicates: [{ path: { prefix: "/" } }],
          deny: { rules: [{ id: "ns[bench]-policy[deny]-rule[0]", condition: 0 }] },
        },
      }),
      cluster: "keys",
      accessLog: false,
    });
  const binary = await findEnvoy({ progress: (line) => process.stderr.write(`${line}\n`) });
  for (const protocol of ["HTTP/1.1", "HTTP/2"]) {
    const quiet: number[] = [];
    const busy: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const remoteJwks = { uri: `http://127.0.0.1:${port}/`, cluster: "keys", timeoutMs: 60_000 };
      const provider = { name: "origins-0", issuer: ISSUER, remoteJwks, fromHeaders: [{ name: "x-jwt" }] };
      const envoy = await Envoy.start({
        binary,
        bootstrap: bootstrap({
          listeners: [gate("gate", [provider]), gate("other", [])],
          clusters: [cluster({ name: "keys", address: { host: "127.0.0.1", port } })],
        }),
      });
      try {
        const other = await envoy.portOf("other");
        quiet.push(...(await during(other, () => sleep(3_000))));
        const answers = ask(await envoy.portOf("gate"), protocol, signer.token(), count);
        const name = "wasmcustom.jwtgate_jwks_waiting_requests";
        while ((await envoy.stats(name)).get(name) !== count) await sleep(20);
        busy.push(
          ...(await during(other, async () => {
            for (const response of held.splice(0)) response.end(signer.jwks);
            const statuses = new Set(await answers);
            if (statuses.size !== 1 || !statuses.has(403)) throw new Error([...statuses].join(" "));
          })),
        );
      } finally {
        await envoy.stop();
        held.length = 0;
      }
    }
    const [before, after] = [percentile(quiet, 0.99), percentile(busy, 0.99)];
    console.log(
      `${protocol}: 99th percentile ${before.toFixed(2)} ms quiet, ${after.toFixed(2)} ms while ${count} are resumed: ${(after / before).toFixed(2)} times (${quiet.length} and ${busy.length} requests)`,
    );
  }
  keyServer.close();
  process.exit();
}

/** @returns the answers' statuses */
function ask(port: number, protocol: string, token: string, count: number): Promise<number[]> {
  const statuses: Promise<number>[] = [];
  if (protocol === "HTTP/1.1") {
    for (let i = 0; i < count; i++) {
      const socket = connect(port, "127.0.0.1");
      socket.write(`GET / HTTP/1.1\r\nHost: a\r\nx-jwt: ${token}\r\n\r\n`);
      statuses.push(once(socket, "data").then(([data]) => Number(String(data).slice(9, 12))));
    }
  } else {
    for (let i = 0; i < count; i += 100) {
      const session = connectHttp2(`http://127.0.0.1:${port}`);
      for (let k = i; k < Math.min(i + 100, count); k++) {
        const stream = session.request({ ":path": "/", "x-jwt": token });
        statuses.push(once(stream, "response").then(([headers]) => Number(headers[":status"])));
      }
    }
  }
  return Promise.all(statuses);
}

function percentile(values: number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
