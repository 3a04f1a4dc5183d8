/** What is compared: one Envoy each; they differ only in their HTTP filters. */
import { withContents } from "../tools/config/contents.ts";
import type { Configuration } from "../tools/config/schema.ts";
import { Envoy } from "../tools/envoy/process.ts";
import { bootstrap, jwtgateFilter, listener, type Message } from "../tools/render/bootstrap.ts";
import { STEPS, type Step } from "./filters.ts";
import { ask, Load } from "./load.ts";
import { nativeFilters } from "./native.ts";
import { keepAway } from "./neighbour.ts";
import { requestBytes, type Target } from "./policies.ts";
import { cpuNanoseconds, type Memory, memoryOf } from "./process-clock.ts";
import { tampered } from "./tokens.ts";

export const CONTENDERS = [
  "none",
  "empty",
  "native",
  "native-cache",
  "jwtgate-no-cache",
  "jwtgate-other",
  "jwtgate",
] as const;
export type ContenderName = (typeof CONTENDERS)[number] | Step;

/** Their names in reports. */
export const TITLES: Readonly<Record<ContenderName, string>> = {
  none: "no filter",
  empty: "empty Wasm filter",
  streams: "… with a callback at each stream's beginning and end",
  headers: "… that reads the headers",
  clock: "… and the clock",
  removal: "… and takes the token out",
  native: "native",
  "native-cache": "native with its cache",
  "jwtgate-no-cache": "jwtgate, cache off",
  "jwtgate-other": "jwtgate, other build",
  jwtgate: "jwtgate",
};

/** What every contender is made from. */
export interface Bench {
  /** Envoy's executable. */
  envoy: string;
  /** The filter. */
  module: string;
  /** Filters that do a part of its work. */
  steps: Record<Step, string>;
  /** Another build of the filter, to measure the effect of a change. */
  otherModule: string;
  /** How many connections the load generator has. */
  connections: number;
}

/** Tokens that the filter's cache holds by default (tools/config/schema.ts); the native one gets as many. */
export const CACHE_ENTRIES = 4_096;

/** The filters of a contender that implements the configuration. */
export function filtersOf(name: ContenderName, configuration: Configuration, bench: Bench): Message[] {
  switch (name) {
    case "none":
      return [];
    case "native":
      return nativeFilters(configuration);
    case "native-cache":
      return nativeFilters(configuration, { cacheSize: CACHE_ENTRIES });
    case "jwtgate-no-cache":
      return [jwtgateFilter({ ...configuration, tokenCache: { maxEntries: 0 } }, bench.module)];
    case "jwtgate-other":
      return [jwtgateFilter(configuration, bench.otherModule)];
    case "jwtgate":
      return [jwtgateFilter(configuration, bench.module)];
    default:
      return [wasmFilter(bench.steps[name])];
  }
}

function wasmFilter(module: string): Message {
  return {
    name: "step",
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
      config: {
        name: "step",
        vm_config: { runtime: "envoy.wasm.runtime.v8", code: { local: { filename: module } } },
      },
    },
  };
}

/** A listener as `jwtgate compile --output envoy` writes it, but with other filters and `body` as its own answer. */
export function answeringListener(filters: Message[], body = "ok"): Message {
  const written = listener({
    name: "bench",
    address: { host: "127.0.0.1", port: 0 },
    module: "",
    configuration: withContents({ version: 1 }),
    cluster: "",
    accessLog: false,
  });
  const [chain] = written["filter_chains"] as { filters: { typed_config: Message }[] }[];
  const manager = chain?.filters[0]?.typed_config;
  if (manager === undefined) throw new Error("the listener has no connection manager");
  manager["route_config"] = {
    virtual_hosts: [
      {
        name: "bench",
        domains: ["*"],
        routes: [{ match: { prefix: "/" }, direct_response: { status: 200, body: { inline_string: body } } }],
      },
    ],
  };
  const router = (manager["http_filters"] as Message[]).at(-1);
  manager["http_filters"] = [...filters, router];
  return written;
}

/** A running contender. */
export class Contender {
  private load: Load | undefined;

  private constructor(
    readonly name: ContenderName,
    private readonly bench: Bench,
    private readonly envoy: Envoy,
    private readonly port: number,
  ) {}

  static async start(name: ContenderName, configuration: Configuration, bench: Bench): Promise<Contender> {
    const listeners = [answeringListener(filtersOf(name, configuration, bench))];
    const envoy = await Envoy.start({
      binary: bench.envoy,
      bootstrap: bootstrap({ listeners, clusters: [] }),
      timeoutMs: 120_000,
    });
    return new Contender(name, bench, envoy, await envoy.portOf("bench"));
  }

  /**
   * Proves that it works: it lets a valid token through and, if it is more than an empty filter, refuses a tampered
   * one, a missing one, and a target without a rule. Then opens the connections.
   */
  async prove(target: Target, token: string): Promise<void> {
    const refuses = this.name !== "none" && !STEPS.some((step) => step === this.name);
    const passed = await this.status(target, token, 200);
    await this.status(target, tampered(token), refuses ? 401 : 200);
    const elsewhere = { path: "/no/rule/is/about/this", host: "nobody.example", headers: {} };
    await this.status(elsewhere, token, refuses ? 403 : 200);
    const { connections } = this.bench;
    this.load = await Load.connect({ port: this.port, connections }, passed);
  }

  private async status(target: Target, token: string, expected: number): Promise<Buffer> {
    const answer = await ask(this.port, requestBytes(target, token));
    const status = Number(answer.toString("latin1", 9, 12));
    if (status === expected) return answer;
    throw new Error(
      `${this.name} answered ${status} where ${expected} is right: ${answer.toString("latin1")}`,
    );
  }

  /** Sends requests that must all pass. @returns CPU time that Envoy used, in microseconds per request */
  async measure(requests: readonly Buffer[]): Promise<number> {
    if (this.load === undefined) throw new Error("prove comes first");
    const before = cpuNanoseconds(this.envoy.pid);
    await this.load.send(requests);
    return Number(cpuNanoseconds(this.envoy.pid) - before) / 1000 / requests.length;
  }

  /** Keeps Envoy off the neighbour's processor. */
  keepAway(): void {
    keepAway(this.envoy.pid);
  }

  get memory(): Memory {
    return memoryOf(this.envoy.pid);
  }

  async stop(): Promise<void> {
    this.load?.close();
    await this.envoy.stop();
  }
}
