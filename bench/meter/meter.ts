/** Counts what the module does for a request: the same numbers on every machine, however busy it is. */
import { createNodeHost } from "../../tools/host/node.ts";
import { HOOKS, type Hooks, type Instrumented, instrument } from "./instrument.ts";
import { NOW, type Scenario, scenarios } from "./requests.ts";

/** What a request took, from its first callback to its last. */
export interface Counts {
  /** WebAssembly instructions. */
  instructions: number;
  /** Distinct 64-byte lines of linear memory that were read or written. */
  lines: number;
  /** Distinct pages of 4 KiB. */
  pages: number;
  /** Distinct functions that were entered, and the bytes of the stretches of code that ran. */
  functions: number;
  codeBytes: number;
  /** Calls of the host. */
  hostCalls: number;
  /** Bytes that the module copied or filled, without those that the host wrote. */
  copiedBytes: number;
}

/** The columns, in their order, with their titles. */
export const COLUMNS: Readonly<Record<keyof Counts, string>> = {
  instructions: "instructions",
  lines: "lines of 64 bytes",
  pages: "pages of 4 KiB",
  functions: "functions",
  codeBytes: "bytes of code",
  hostCalls: "host calls",
  copiedBytes: "bytes copied",
};

const LINE = 64;
const PAGE = 4096;

/** Counts while it is on. */
class Meter implements Hooks {
  on = false;
  private instructions = 0;
  private hostCalls = 0;
  private copiedBytes = 0;
  private readonly entered = new Set<number>();
  private readonly lines = new Set<number>();

  constructor(private readonly stretches: Instrumented["stretches"]) {}

  readonly stretch = (number: number): void => {
    if (!this.on) return;
    this.instructions += this.stretches[number]?.instructions ?? 0;
    this.entered.add(number);
  };

  readonly access = (address: number, length: number): void => {
    if (!this.on || length === 0) return;
    const end = (address >>> 0) + (length >>> 0);
    for (let line = Math.floor((address >>> 0) / LINE); line * LINE < end; line++) this.lines.add(line);
  };

  readonly call = (): void => {
    if (this.on) this.hostCalls++;
  };

  readonly copy = (length: number): void => {
    if (this.on) this.copiedBytes += length >>> 0;
  };

  /** What was counted since the last time. */
  take(): Counts {
    const stretches = [...this.entered]
      .map((number) => this.stretches[number])
      .filter((one) => one !== undefined);
    const counts = {
      instructions: this.instructions,
      lines: this.lines.size,
      pages: new Set([...this.lines].map((line) => Math.floor((line * LINE) / PAGE))).size,
      functions: new Set(stretches.map((one) => one.function)).size,
      codeBytes: stretches.reduce((sum, one) => sum + one.bytes, 0),
      hostCalls: this.hostCalls,
      copiedBytes: this.copiedBytes,
    };
    this.instructions = 0;
    this.hostCalls = 0;
    this.copiedBytes = 0;
    this.entered.clear();
    this.lines.clear();
    return counts;
  }
}

/**
 * @param wasm the module
 * @returns what each scenario took, by its name
 * @throws {Error} if a request is answered differently than its scenario says
 */
export async function measure(wasm: Uint8Array): Promise<Map<string, Counts>> {
  const { module, stretches } = instrument(wasm);
  const compiled = await WebAssembly.compile(module as Uint8Array<ArrayBuffer>);
  const results = new Map<string, Counts>();
  for (const scenario of scenarios()) {
    const meter = new Meter(stretches);
    results.set(scenario.name, await run(compiled, meter, scenario));
  }
  return results;
}

async function run(module: WebAssembly.Module, meter: Meter, scenario: Scenario): Promise<Counts> {
  const { stretch, access, call, copy } = meter;
  const host = await createNodeHost(module, {
    // The same "random" bytes each time, so that hash tables have the same collisions.
    random: (bytes) => bytes.fill(7),
    imports: { [HOOKS]: { stretch, access, call, copy } },
    logLevel: "error",
  });
  host.clock.set(NOW);
  const { accepted, logs } = host.configure(scenario.configuration);
  if (!accepted) throw new Error(`${scenario.name}: ${logs.map(({ message }) => message).join("; ")}`);
  for (const request of scenario.before) await host.request(request);
  meter.on = true;
  const stream = host.send(scenario.request);
  const { answer } = await stream.decided;
  stream.close();
  meter.on = false;
  if (answer?.status !== scenario.status) {
    throw new Error(`${scenario.name}: ${answer === undefined ? "forwarded" : answer.status}`);
  }
  return meter.take();
}
