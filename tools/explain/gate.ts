/** The module that runs in Envoy, in this process, with one configuration: a gate that requests can be sent to. */
import type { Configuration } from "../config/schema.ts";
import { latin1Decode, utf8Encode } from "../host/bytes.ts";
import type { HttpResponse } from "../host/context.ts";
import { createHost, type Host, type HttpCall, type Outcome } from "../host/host.ts";
import type { DownstreamRequest, ListenerOptions } from "../host/http-connection-manager.ts";
import type { ForeignFunction } from "../host/imports.ts";
import { verifySignature } from "../host/web.ts";
import { JsonError, parseStrictJson } from "../jwks/json.ts";
import { readTrace, type Trace } from "./trace.ts";

/** The documents that key servers return: their text by their URL. */
export type Documents = ReadonlyMap<string, string>;

export interface GateOptions {
  module: WebAssembly.Module;
  configuration: Configuration;
  listener: ListenerOptions;
  documents: Documents;
  /** The answers of servers that return no document, by URL, as Envoy passes them to the filter. */
  answers?: ReadonlyMap<string, HttpResponse>;
  /** Milliseconds since 1970; the clock does not advance. */
  now: number;
  /** Envoy's foreign function, if there is a faster one than that of `host/web.ts`. */
  verifySignature?: ForeignFunction | undefined;
}

/** The filter refused a configuration of the compiler, or failed: a bug, never the user's fault. */
export class GateFailure extends Error {
  override readonly name = "GateFailure";
}

/** The filter's log line about a failed fetch (assembly/authn/remote-jwks.ts). */
const FETCH_FAILED =
  /^jwtgate: (\S+): fetch failed: (.*); (?:there are no keys|the last good keys stay in use)$/;

/** Longer than the filter lets a request wait for keys, in milliseconds. */
const MAX_WAIT_MS = 10_000;
const WAIT_STEP_MS = 1_000;

export class Gate {
  private constructor(
    private readonly host: Host,
    private readonly options: GateOptions,
  ) {}

  /**
   * @param foreignFunctions that the module may call besides Envoy's
   * @throws {GateFailure} if the module refuses the configuration
   */
  static async open(
    options: GateOptions,
    foreignFunctions: Readonly<Record<string, ForeignFunction>> = {},
  ): Promise<Gate> {
    const { module, configuration, documents, answers = new Map<string, HttpResponse>(), now } = options;
    const fetch = async (call: HttpCall) => serve(call, documents, answers);
    const host = await createHost(module, {
      fetch,
      foreignFunctions: { verify_signature: options.verifySignature ?? verifySignature, ...foreignFunctions },
    });
    host.clock.set(now);
    // Filter state changes no answer, and contains the rule that decided, which an answer of 200 does not show.
    const withState = { ...configuration, filterState: true };
    const { accepted, logs } = host.configure(withState, { listener: listenerOf(options) });
    if (!accepted) throw new GateFailure(logs.map(({ message }) => message).join("\n"));
    // Fetches keys, and those that discovery leads to.
    host.tick();
    await host.settle();
    host.tick();
    await host.settle();
    return new Gate(host, options);
  }

  /** Why fetches failed, as the filter logged it, by the URL at which it started. */
  get fetchFailures(): ReadonlyMap<string, string> {
    const { documents, answers } = this.options;
    const failures = new Map<string, string>();
    for (const { message } of this.host.logs) {
      const [, uri = "", reason = ""] = FETCH_FAILED.exec(message) ?? [];
      // For other URLs no server was asked: the simulated one refused.
      if (documents.has(uri) || answers?.has(uri)) failures.set(uri, reason);
    }
    return failures;
  }

  /** Sends a request. If it waits for keys that do not come, time advances until the wait ends. */
  async send(request: DownstreamRequest): Promise<Outcome> {
    const { host, options } = this;
    host.clock.set(options.now);
    const stream = host.send(request);
    await host.settle();
    for (let waited = 0; stream.outcome === undefined && waited < MAX_WAIT_MS; waited += WAIT_STEP_MS) {
      host.advance(WAIT_STEP_MS);
      await host.settle();
    }
    if (stream.outcome === undefined) throw new GateFailure("the filter neither answers nor forwards");
    if (stream.outcome.trapped) throw new GateFailure(`the filter failed: ${stream.outcome.trapped}`);
    return stream.outcome;
  }
}

/** The two builds of the filter, of the same sources. */
export interface Modules {
  /** The one that Envoy runs: its verdict counts. */
  release: WebAssembly.Module;
  /** The one that reports what it does (assembly/trace.ts). */
  trace: WebAssembly.Module;
  /** See `GateOptions`. */
  verifySignature?: ForeignFunction;
}

/** The result of a request, and how it came about. */
export interface Traced {
  /** The release's verdict. */
  outcome: Outcome;
  /** What the traced module did. Absent if Envoy itself refused the request. */
  trace?: Trace;
}

/** A gate of the traced module. */
export class Tracer {
  private constructor(
    private readonly gate: Gate,
    private readonly events: Uint8Array[],
  ) {}

  /** @throws {GateFailure} if the module refuses the configuration */
  static async open(options: GateOptions): Promise<Tracer> {
    const events: Uint8Array[] = [];
    const jwtgate_trace: ForeignFunction = (event) => {
      events.push(event);
      return new Uint8Array();
    };
    return new Tracer(await Gate.open(options, { jwtgate_trace }), events);
  }

  /** Sends a request. @returns what the module did; undefined if Envoy itself refused the request */
  async trace(request: DownstreamRequest): Promise<Trace | undefined> {
    this.events.length = 0;
    await this.gate.send(request);
    return readTrace(this.events);
  }
}

/** Two gates with the same configuration, clock and keys: one answers, and the other reports how it decided. */
export class TracedGate {
  private constructor(
    private readonly release: Gate,
    private readonly tracer: Tracer,
  ) {}

  /** @throws {GateFailure} if a module refuses the configuration */
  static async open(
    modules: Modules,
    options: Omit<GateOptions, "module" | "verifySignature">,
  ): Promise<TracedGate> {
    const { verifySignature } = modules;
    const release = await Gate.open({ ...options, verifySignature, module: modules.release });
    const tracer = await Tracer.open({ ...options, verifySignature, module: modules.trace });
    return new TracedGate(release, tracer);
  }

  /** Why fetches failed, as the filter logged it, by the URL at which it started. */
  get fetchFailures(): ReadonlyMap<string, string> {
    return this.release.fetchFailures;
  }

  /** Sends a request to both. */
  async send(request: DownstreamRequest): Promise<Traced> {
    const outcome = await this.release.send(request);
    const trace = await this.tracer.trace(request);
    return { outcome, ...(trace && { trace }) };
  }
}

/** The listener with the parts that the configuration needs. */
export function listenerOf({ configuration, listener }: Omit<GateOptions, "module">): ListenerOptions {
  const { directRemoteAddress } = configuration;
  return {
    ...listener,
    ...(directRemoteAddress !== undefined && { directRemoteAddressKey: directRemoteAddress }),
  };
}

/** Answers a call for a document by its host and path; the cluster does not matter. */
function serve(
  { headers }: HttpCall,
  documents: Documents,
  answers: ReadonlyMap<string, HttpResponse>,
): HttpResponse {
  const header = (name: string) => headers.find(([other]) => other === name)?.[1] ?? "";
  const [host, path] = [header(":authority") || header("host"), header(":path")];
  for (const [uri, answer] of [...documents, ...answers]) {
    const url = new URL(uri);
    if (url.host === new URL(`${url.protocol}//${host}`).host && `${url.pathname}${url.search}` === path) {
      return typeof answer === "string" ? { status: 200, body: latin1Decode(utf8Encode(answer)) } : answer;
    }
  }
  return { status: 404, body: "" };
}

/** The jwks_uri of an issuer's discovery document, if the document is there. */
export function discoveredUri(
  uri: string | undefined,
  issuer: string | undefined,
  documents: Documents,
): string | undefined {
  const document = parseObject(documents.get(uri ?? "") ?? "");
  const found = document?.["jwks_uri"];
  return document?.["issuer"] === issuer && typeof found === "string" ? found : undefined;
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value = parseStrictJson(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}
