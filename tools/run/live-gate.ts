/**
 * An Envoy whose configuration can be replaced while it serves: listener and clusters are in files that it watches
 * instead of a control plane. A configuration that it refuses changes nothing.
 */
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Configuration } from "../config/schema.ts";
import { Envoy, EnvoyFailure, makeEnvoyFolder } from "../envoy/process.ts";
import {
  type BootstrapOptions,
  type FiltersBefore,
  type Message,
  renderBootstrap,
} from "../render/bootstrap.ts";

/** What can be replaced. */
export interface LiveConfiguration {
  configuration: Configuration;
  before: FiltersBefore;
}

export interface LiveGateOptions extends Omit<BootstrapOptions, "sharesPort" | "logsUpgrades" | "before"> {
  /** Envoy's executable. */
  binary: string;
  /** Called with each line of Envoy's log and access log. */
  onLine: (line: string) => void;
}

/** How long a replaced listener may finish its requests, in seconds. */
const DRAIN_SECONDS = 5;
const ANSWER_WITHIN_MS = 30_000;

/** What discovery services read: the kinds of resources, in the order in which Envoy must receive them. */
const SERVICES = [
  { name: "cds", type: "envoy.config.cluster.v3.Cluster", stats: "cluster_manager.cds" },
  { name: "lds", type: "envoy.config.listener.v3.Listener", stats: "listener_manager.lds" },
] as const;

type Service = (typeof SERVICES)[number];

interface Resources {
  cds: Message[];
  lds: Message[];
}

export class LiveGate {
  private version = 0;

  private constructor(
    private readonly options: LiveGateOptions,
    private readonly folder: string,
    private readonly log: RefusalLog,
    private readonly envoy: Envoy,
    /** What Envoy uses, as far as it is known. */
    private readonly current: Partial<Resources>,
    /** The clusters of the latest requested configuration. */
    private needed: readonly Message[],
  ) {}

  /**
   * @throws {EnvoyFailure} if Envoy does not start
   * @throws {Refused} if it refuses the configuration
   */
  static async start(live: LiveConfiguration, options: LiveGateOptions): Promise<LiveGate> {
    const folder = makeEnvoyFolder();
    const { bootstrap, resources } = split(render(live, options), folder);
    for (const service of SERVICES) write(folder, service, resources[service.name], 0);
    const log = new RefusalLog();
    const envoy = await Envoy.start({
      binary: options.binary,
      bootstrap,
      folder,
      drainSeconds: DRAIN_SECONDS,
      logFlushMs: 50,
      onLine: (line) => log.read(line) || options.onLine(line),
    });
    const gate = new LiveGate(options, folder, log, envoy, resources, resources.cds);
    try {
      for (const service of SERVICES) await gate.answer(service, { taken: 0, refused: 0 });
    } catch (error) {
      await gate.stop();
      throw error;
    }
    return gate;
  }

  /** Where it listens. */
  get port(): Promise<number> {
    return this.envoy.portOf("gate");
  }

  /** Where Envoy's admin listens: `HOST:PORT`, or the path of a socket. */
  get admin(): string {
    return this.envoy.admin;
  }

  /** Resolves when Envoy ends, for any reason. */
  get ended(): Promise<number | null> {
    return this.envoy.ended;
  }

  /**
   * Replaces the configuration, and waits until Envoy uses it.
   *
   * @throws {Refused} if Envoy refuses it: the previous one stays in force
   * @throws {Error} if Envoy does not answer: it is unknown which one is in force
   */
  async apply(live: LiveConfiguration): Promise<void> {
    const { resources } = split(render(live, this.options), this.folder);
    const needed = resources.cds;
    const names = new Set(needed.map(({ name }) => name));
    // The replaced listener uses its own clusters until it is gone.
    resources.cds = [...needed, ...this.needed.filter(({ name }) => !names.has(name))];
    this.needed = needed;
    this.version++;
    for (const service of SERVICES) {
      const { name } = service;
      if (JSON.stringify(resources[name]) === JSON.stringify(this.current[name])) continue;
      const before = await this.counts(service);
      write(this.folder, service, resources[name], this.version);
      const last = this.current[name];
      // Until Envoy has answered, it is unknown what it uses.
      this.current[name] = undefined;
      try {
        await this.answer(service, before);
        this.current[name] = resources[name];
      } catch (error) {
        if (error instanceof Refused) this.current[name] = last;
        throw error;
      }
    }
  }

  async stop(): Promise<void> {
    await this.envoy.stop();
  }

  /**
   * @throws {Refused}
   * @throws {EnvoyFailure} if it does not answer
   */
  private async answer(service: Service, before: Counts): Promise<void> {
    const deadline = performance.now() + ANSWER_WITHIN_MS;
    while (performance.now() < deadline) {
      const now = await this.counts(service);
      if (now.refused > before.refused) throw new Refused(this.log.last);
      if (now.taken > before.taken) return;
      await sleep(20);
    }
    throw new EnvoyFailure(`Envoy did not answer within ${ANSWER_WITHIN_MS / 1000} s`, this.envoy.log);
  }

  private async counts({ stats }: Service): Promise<Counts> {
    const found = await this.envoy.stats(stats);
    const count = (name: string) => found.get(`${stats}.${name}`) ?? 0;
    return { taken: count("update_success"), refused: count("update_rejected") };
  }
}

interface Counts {
  taken: number;
  refused: number;
}

/** Envoy refused a configuration; the message is its own. */
export class Refused extends Error {
  override readonly name = "Refused";
}

/** Envoy logs why it refuses a file, and reports it nowhere else. */
class RefusalLog {
  last = "Envoy refused the configuration";

  /** @returns whether the line is already known: such a reason, another wording of it, or our request to end */
  read(line: string): boolean {
    const reason = /Filesystem config update rejected: (.*)$/.exec(line)?.[1];
    if (reason !== undefined) this.last = `Envoy refused the configuration: ${reason}`;
    return line === "" || /config update rejected|\/listener_manager\/|caught ENVOY_SIGTERM/.test(line);
  }
}

/**
 * Two gates at one address are a mistake: the second is refused. A WebSocket may last hours, so it is printed when it
 * begins.
 */
function render({ configuration, before }: LiveConfiguration, options: LiveGateOptions): Message {
  return renderBootstrap(configuration, { ...options, before, sharesPort: false, logsUpgrades: true });
}

/** A bootstrap whose changing parts are moved into files. */
function split(whole: Message, folder: string): { bootstrap: Message; resources: Resources } {
  const { static_resources: resources, ...bootstrap } = whole;
  const { listeners, clusters } = resources as { listeners: Message[]; clusters: Message[] };
  const source = (name: string) => ({
    path_config_source: { path: join(folder, `${name}.json`) },
    resource_api_version: "V3",
  });
  return {
    bootstrap: { ...bootstrap, dynamic_resources: { lds_config: source("lds"), cds_config: source("cds") } },
    resources: { cds: clusters, lds: listeners },
  };
}

/** Envoy reads a file when another is moved to its name, so it never sees an incomplete one. */
function write(folder: string, { name, type }: Service, resources: Message[], version: number): void {
  const file = join(folder, `${name}.json`);
  const content = {
    version_info: String(version),
    resources: resources.map((resource) => ({ "@type": `type.googleapis.com/${type}`, ...resource })),
  };
  writeFileSync(`${file}.new`, JSON.stringify(content), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}
