/** How long a new policy takes, from the change of the file to the first answer under it. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Envoy } from "../../tools/envoy/process.ts";
import { bootstrap, type Message } from "../../tools/render/bootstrap.ts";
import { answeringListener, type ContenderName, filtersOf } from "../contenders.ts";
import { ask } from "../load.ts";
import { compilePolicy, requestBytes, type Shape, targets } from "../policies.ts";
import { Signer } from "../tokens.ts";
import type { StageOptions } from "./stage.ts";

export interface UpdateOptions extends StageOptions {
  contenders: readonly ContenderName[];
  shapes: readonly Shape[];
  /** How many rules the new policy has. */
  rules: number;
  /** How often it is replaced. */
  runs: number;
}

export interface UpdateResult {
  shape: Shape;
  rules: number;
  /** Milliseconds, by contender, one number per run. */
  milliseconds: Map<ContenderName, number[]>;
}

export async function measureUpdate(options: UpdateOptions): Promise<UpdateResult[]> {
  const { contenders: names, shapes, rules, runs, progress } = options;
  const results: UpdateResult[] = [];
  for (const shape of shapes) {
    const signer = new Signer("HS256");
    const small = compilePolicy(signer.jwks, shape, 1);
    const large = compilePolicy(signer.jwks, shape, rules);
    const [target] = targets(shape, 1);
    if (target === undefined) throw new Error("a policy of one rule has one target");
    const request = requestBytes(target, signer.token());
    const milliseconds = new Map<ContenderName, number[]>(names.map((name) => [name, []]));
    const gates: { name: ContenderName; gate: UpdatedEnvoy }[] = [];
    try {
      for (const name of names) {
        gates.push({ name, gate: await UpdatedEnvoy.start(options.envoy, filtersOf(name, small, options)) });
      }
      for (let run = 1; run <= runs; run++) {
        progress(`update to ${rules} rules, ${shape}: run ${run} of ${runs}`, true);
        for (const { name, gate } of gates) {
          milliseconds.get(name)?.push(await gate.update(filtersOf(name, large, options), request));
          await gate.update(filtersOf(name, small, options), request);
        }
      }
    } finally {
      await Promise.all(gates.map(({ gate }) => gate.stop()));
    }
    results.push({ shape, rules, milliseconds });
  }
  return results;
}

/** How long a new listener may take. */
const PATIENCE_MILLISECONDS = 120_000;

/** An Envoy that reads its listener from a file. */
class UpdatedEnvoy {
  private version = 0;

  private constructor(
    private readonly folder: string,
    private readonly envoy: Envoy,
    private readonly port: number,
  ) {}

  static async start(binary: string, filters: Message[]): Promise<UpdatedEnvoy> {
    const folder = mkdtempSync(join(tmpdir(), "jwtgate-bench-"));
    writeListener(folder, answeringListener(filters, "version 0"));
    const { node } = bootstrap({ listeners: [], clusters: [] });
    const lds_config = {
      resource_api_version: "V3",
      path_config_source: { path: join(folder, "listener.json"), watched_directory: { path: folder } },
    };
    const envoy = await Envoy.start({
      binary,
      bootstrap: { node, dynamic_resources: { lds_config } },
      timeoutMs: PATIENCE_MILLISECONDS,
    });
    return new UpdatedEnvoy(folder, envoy, await envoy.portOf("bench"));
  }

  /** @returns milliseconds until the new listener first answered a request */
  async update(filters: Message[], request: Buffer): Promise<number> {
    const body = `version ${++this.version}`;
    const start = writeListener(this.folder, answeringListener(filters, body));
    while (performance.now() - start < PATIENCE_MILLISECONDS) {
      const answer = await ask(this.port, request);
      if (answer.toString("latin1").endsWith(`\r\n\r\n${body}`)) return performance.now() - start;
      await sleep(1);
    }
    throw new Error(`Envoy did not take the new listener:\n${this.envoy.log}`);
  }

  async stop(): Promise<void> {
    await this.envoy.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Replaces the listener's file in one step. @returns when, by `performance.now()` */
function writeListener(folder: string, listener: Message): number {
  const type = "type.googleapis.com/envoy.config.listener.v3.Listener";
  const file = join(folder, "listener.json");
  writeFileSync(`${file}.new`, JSON.stringify({ resources: [{ "@type": type, ...listener }] }));
  const now = performance.now();
  renameSync(`${file}.new`, file);
  return now;
}
