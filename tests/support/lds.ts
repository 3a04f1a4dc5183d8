/** An Envoy whose listeners are in a file that it watches instead of a control plane. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Envoy, type EnvoyOptions } from "../../tools/envoy/process.ts";
import { bootstrap, type Message } from "../../tools/render/bootstrap.ts";
import { envoyBinary } from "./envoy.ts";
import { until } from "./until.ts";

export class WatchingEnvoy {
  private version = 0;

  private constructor(
    readonly envoy: Envoy,
    private readonly folder: string,
  ) {}

  static async start(
    listeners: Message[],
    clusters: Message[],
    options: Partial<EnvoyOptions> = {},
  ): Promise<WatchingEnvoy> {
    const folder = mkdtempSync(join(tmpdir(), "jwtgate-lds-"));
    write(folder, listeners, 0);
    const watched = {
      ...bootstrap({ listeners: [], clusters }),
      dynamic_resources: { lds_config: { path_config_source: { path: join(folder, "lds.json") } } },
    };
    const envoy = await Envoy.start({
      binary: await envoyBinary(),
      bootstrap: watched,
      drainSeconds: 1,
      ...options,
    });
    return new WatchingEnvoy(envoy, folder);
  }

  /** Replaces the listeners. @returns whether Envoy accepted them */
  async update(listeners: Message[]): Promise<boolean> {
    const before = await this.counts();
    write(this.folder, listeners, ++this.version);
    const after = await until("Envoy reads its listeners", async () => {
      const now = await this.counts();
      return now.taken + now.refused > before.taken + before.refused && now;
    });
    return after.taken > before.taken;
  }

  /** Waits until replaced listeners are gone. */
  async drained(): Promise<void> {
    await until("replaced listeners are gone", async () => {
      const stats = await this.envoy.stats("draining");
      return [...stats.values()].every((value) => value === 0);
    });
  }

  private async counts(): Promise<{ taken: number; refused: number }> {
    const stats = await this.envoy.stats("listener_manager.lds");
    const of = (name: string): number => stats.get(`listener_manager.lds.${name}`) ?? 0;
    return { taken: of("update_success"), refused: of("update_rejected") };
  }

  async stop(): Promise<void> {
    await this.envoy.stop();
    rmSync(this.folder, { recursive: true });
  }
}

/** Envoy sees a file that is moved into place; it might read half of a file that is written in place. */
function write(folder: string, listeners: Message[], version: number): void {
  const resources = listeners.map((listener) => ({
    "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
    ...listener,
  }));
  const next = join(folder, "next.json");
  writeFileSync(next, JSON.stringify({ version_info: String(version), resources }));
  renameSync(next, join(folder, "lds.json"));
}
