/**
 * A proxy-wasm host: runs a module as Envoy does, without Envoy, in Node or a browser. It holds one VM with any number
 * of loaded configurations, like one worker of Envoy, and applies to requests what Envoy's HTTP connection manager does
 * around the filter.
 *
 * The caller controls everything: the clock shows the time that was set, ticks come from `advance` or `tick`, and calls
 * to other services go to the given `fetch`.
 */
import { FilterHeadersStatus, LOG_LEVELS, type LogLevel, WasmResult } from "./abi.ts";
import { utf8Encode } from "./bytes.ts";
import { type HttpResponse, RootContext, StreamContext } from "./context.ts";
import {
  DEFAULT_LISTENER,
  DEFAULT_REQUEST,
  type DownstreamRequest,
  forwardRequest,
  type ListenerOptions,
  receiveRequest,
  type UpstreamRequest,
} from "./http-connection-manager.ts";
import { envImports, type ForeignFunction, type HttpCallRequest } from "./imports.ts";
import { type Answer, localReply } from "./local-reply.ts";
import { Metrics } from "./metrics.ts";
import { SharedData } from "./shared-data.ts";
import type { PluginInfo, StreamInfo } from "./stream-info.ts";
import { type Trap, Vm } from "./vm.ts";
import { wasiImports } from "./wasi.ts";

const NANOSECONDS = 1_000_000n;

/** One line of the log. */
export interface LogLine {
  level: LogLevel;
  message: string;
}

/** What a call to another service contains. */
export interface HttpCall extends HttpCallRequest {
  /** Aborted after the last caller has gone. */
  signal: AbortSignal;
}

/** The options of a host. */
export interface HostOptions {
  /** `vm_id` of the plugin. */
  vmId?: string;
  /** The VM's own configuration. */
  vmConfiguration?: string;
  /** Environment variables. */
  environment?: Readonly<Record<string, string>>;
  /** Functions besides the ABI, by name. Envoy has `verify_signature`; see `node.ts`. */
  foreignFunctions?: Readonly<Record<string, ForeignFunction>>;
  /**
   * Functions of the ABI, such as `proxy_http_call`, that return Unimplemented, because not every host has all that
   * Envoy has.
   */
  unimplemented?: readonly string[];
  /**
   * Makes calls to other services. A rejection means that the connection broke. Envoy answers 503 if it cannot connect
   * and 504 after a timeout. Absent: no cluster is known.
   */
  fetch?: (call: HttpCall) => Promise<HttpResponse>;
  /** Names of the clusters; absent: any. */
  clusters?: readonly string[];
  /** A source of random bytes; if it throws, there are none. */
  random?: (bytes: Uint8Array) => void;
  /** Shared among hosts that represent the workers of one process. */
  sharedData?: SharedData;
  /** The lowest level that is logged. */
  logLevel?: LogLevel;
  /**
   * What the module imports besides Envoy's functions.
   * @internal for modules that are instrumented (bench/meter)
   */
  imports?: WebAssembly.Imports;
}

/** The options of a configuration. */
export interface PluginOptions {
  /** The name of this configuration among several: it replaces an earlier one with the same name. */
  name?: string;
  /** The plugin's name and root id in Envoy. */
  pluginName?: string;
  rootId?: string;
  listener?: ListenerOptions;
}

/** The result of loading a configuration. */
export interface Loaded {
  accepted: boolean;
  logs: LogLine[];
  /** Set if the module trapped. */
  trapped?: Trap;
}

/** The result of a request: exactly one of `answer` and `upstream` is set. */
export interface Outcome {
  /** What the client receives, if the request was not forwarded. */
  answer?: Answer;
  /** What the backend receives. */
  upstream?: UpstreamRequest;
  /** What the module logged in between. */
  logs: LogLine[];
  /** What the module stored with `proxy_set_property`, without the `wasm.` before each name. */
  properties: Record<string, string>;
  /** Set if the module trapped in this request, or before. */
  trapped?: Trap;
}

/** The host's clock. It follows the system's until it is set, and does not advance by itself from then on. */
export class Clock {
  private fixed: bigint | undefined;
  /** What `set` has added to the time, in nanoseconds. */
  private jumped = 0n;

  /** Nanoseconds since 1970. */
  get now(): bigint {
    return this.fixed ?? BigInt(Date.now()) * NANOSECONDS;
  }

  /** Nanoseconds that `set` does not change: timers use them, as Envoy's do. */
  get monotonic(): bigint {
    return this.now - this.jumped;
  }

  /**
   * Sets the clock. No time passes, so nothing falls due.
   * @param time milliseconds since 1970, or a date
   */
  set(time: number | Date): void {
    const before = this.now;
    this.fixed = BigInt(Math.round(Number(time) * 1000)) * 1000n;
    this.jumped += this.fixed - before;
  }

  /**
   * @internal use Host.advance, which also does what is due in between
   * @param time of `monotonic`
   */
  advanceTo(time: bigint): void {
    this.fixed = time + this.jumped;
  }
}

/** A request in progress. */
export class Stream {
  /** Its result; undefined while the module holds it. */
  outcome: Outcome | undefined;
  /** Resolves with the result. Rejects only if the client disconnects before. */
  readonly decided: Promise<Outcome>;
  private resolve!: (outcome: Outcome) => void;
  private reject!: (reason: Error) => void;

  /** @internal */
  constructor(private readonly onClose: () => void) {
    this.decided = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    // A caller that awaits it sees the rejection; a caller that does not has aborted the stream itself.
    this.decided.catch(() => {});
  }

  /** @internal */
  decide(outcome: Outcome): void {
    if (this.outcome !== undefined) return;
    this.outcome = outcome;
    this.resolve(outcome);
  }

  /** The client disconnects, or the answer is complete: the module deletes the stream. */
  close(): void {
    this.onClose();
    this.reject(new Error("the client went away"));
  }
}

/** A loaded configuration with the streams that still use it. */
interface Plugin {
  root: RootContext;
  listener: ListenerOptions;
  streams: number;
  replaced: boolean;
}

/** Runs a module like one worker of Envoy: any number of configurations in one VM, and requests. */
export class Host {
  readonly clock = new Clock();
  readonly metrics = new Metrics();
  /** Everything logged since the host was made, or since `logs.length = 0`. */
  readonly logs: LogLine[] = [];
  private readonly sharedData: SharedData;
  private readonly vm: Vm;
  private readonly plugins = new Map<string, Plugin>();
  private readonly calls = new Set<Promise<void>>();
  private nextCallToken = 1;
  private nextConnectionId = 1n;

  /** @internal use createHost */
  constructor(
    private readonly module: WebAssembly.Module,
    private readonly options: HostOptions,
  ) {
    this.sharedData = options.sharedData ?? new SharedData();
    this.vm = this.createVm(this.metrics);
  }

  private createVm(metrics: Metrics): Vm {
    const { options, sharedData } = this;
    return new Vm(this.module, (vm) => {
      const log = (level: number, message: string): void => this.log(level, message);
      const now = (): bigint => this.clock.now;
      const wasi = wasiImports(vm, {
        now,
        monotonicNow: () => this.clock.monotonic,
        random: options.random ?? ((bytes) => crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>)),
        log,
        environment: options.environment ?? {},
      });
      const env = envImports(vm, {
        now,
        log,
        logLevel: this.logLevel,
        metrics,
        sharedData,
        foreignFunctions: options.foreignFunctions ?? {},
        unimplemented: options.unimplemented ?? [],
        httpCall: (root, request) => this.httpCall(vm, root, request),
        setTickPeriod: (root, milliseconds) => {
          root.tickPeriod = milliseconds;
          root.nextTick = this.clock.monotonic + BigInt(milliseconds) * NANOSECONDS;
        },
        done: (root) => this.done(vm, root),
      });
      return { ...options.imports, env, wasi_snapshot_preview1: wasi, wasi_unstable: wasi };
    });
  }

  /**
   * The trap of the module, if there was one. From then on every request is answered 503, as Envoy does with
   * `FAIL_CLOSED`.
   */
  get trapped(): Trap | undefined {
    return this.vm.trap;
  }

  /** The module's memory, in bytes. */
  get memorySize(): number {
    return this.vm.memory.size;
  }

  /** How many contexts exist: one for each loaded configuration, and one for each request in progress. */
  get contextCount(): number {
    return this.vm.contexts.size;
  }

  private get logLevel(): number {
    return LOG_LEVELS.indexOf(this.options.logLevel ?? "trace");
  }

  private log(level: number, message: string): void {
    const name = LOG_LEVELS[level];
    if (name !== undefined && level >= this.logLevel) this.logs.push({ level: name, message });
  }

  /**
   * Loads a configuration as Envoy does: first in a VM of its own that is then discarded, and only if it is accepted
   * there, in this VM. The earlier configuration of the same name ends once no stream uses it any more. A refused one
   * changes nothing.
   * @param configuration the plugin's configuration: bytes, text, or a value that is written as JSON
   */
  configure(configuration: unknown, options: PluginOptions = {}): Loaded {
    const bytes =
      configuration instanceof Uint8Array
        ? configuration
        : utf8Encode(typeof configuration === "string" ? configuration : JSON.stringify(configuration));
    const since = this.logs.length;
    const loaded = (accepted: boolean, trapped: Trap | undefined): Loaded => ({
      accepted,
      logs: this.logs.slice(since),
      ...(trapped && { trapped }),
    });

    const canary = this.createVm(new Metrics());
    const tried = this.load(canary, bytes, options);
    for (const root of canary.roots()) root.cancelCalls();
    if (tried === undefined) return loaded(false, canary.trap);

    // The canary logged the same lines: only those of the VM that stays are kept.
    this.logs.length = since;
    const root = this.load(this.vm, bytes, options);
    if (root === undefined) return loaded(false, this.vm.trap);

    const name = options.name ?? "";
    const before = this.plugins.get(name);
    this.plugins.set(name, { root, listener: options.listener ?? {}, streams: 0, replaced: false });
    if (before !== undefined) this.retire(before);
    return loaded(true, undefined);
  }

  /** @returns the root context, or undefined if the module refused or trapped */
  private load(vm: Vm, bytes: Uint8Array, options: PluginOptions): RootContext | undefined {
    const vmBytes = utf8Encode(this.options.vmConfiguration ?? "");
    const info: PluginInfo = {
      name: options.pluginName ?? "",
      rootId: options.rootId ?? "",
      vmId: this.options.vmId ?? "",
    };
    const root = new RootContext(vm.allocateContextId(), info, bytes, vmBytes);
    vm.contexts.set(root.id, root);
    root.configuring = true;
    const accepts = (callback: string, size: number): boolean =>
      !vm.has(callback) || (vm.trap === undefined && Boolean(vm.call(root, callback, root.id, size).result));
    vm.call(root, "proxy_on_context_create", root.id, 0);
    const accepted =
      accepts("proxy_on_vm_start", vmBytes.length) && accepts("proxy_on_configure", bytes.length);
    root.configuring = false;
    if (accepted && vm.trap === undefined) return root;
    vm.contexts.delete(root.id);
    return undefined;
  }

  /** Ends a loaded configuration: no more requests reach it, and it is deleted after its last stream. */
  unload(name = ""): void {
    const plugin = this.plugins.get(name);
    if (plugin === undefined) throw new Error(`no configuration named "${name}" is loaded`);
    this.plugins.delete(name);
    this.retire(plugin);
  }

  private retire(plugin: Plugin): void {
    plugin.replaced = true;
    if (plugin.streams > 0) return;
    const { root } = plugin;
    const { result } = this.vm.call(root, "proxy_on_done", root.id);
    if (result === 0 && this.vm.has("proxy_on_done")) root.pendingDone = true;
    else this.remove(root);
  }

  private done(vm: Vm, root: RootContext): WasmResult {
    if (!root.pendingDone) return WasmResult.NotFound;
    root.pendingDone = false;
    vm.defer(() => this.remove(root));
    return WasmResult.Ok;
  }

  private remove(root: RootContext): void {
    this.vm.call(root, "proxy_on_delete", root.id);
    root.cancelCalls();
    this.vm.contexts.delete(root.id);
  }

  /** Sends a request and waits until the module has decided. */
  async request(request: DownstreamRequest, plugin = ""): Promise<Outcome> {
    return this.send(request, plugin).decided;
  }

  /**
   * Sends a request. After the decision, the host ends the stream in the module.
   * @param name of the configuration, as passed to `configure`
   */
  send(request: DownstreamRequest, name = ""): Stream {
    const plugin = this.plugins.get(name);
    if (plugin === undefined) throw new Error(`no configuration named "${name}" is loaded`);
    const { listener } = plugin;
    const complete = { ...DEFAULT_REQUEST, ...request };
    const local = listener.address ?? DEFAULT_LISTENER.address;
    const received = receiveRequest(complete, { ...DEFAULT_LISTENER, ...listener, address: local });
    if ("status" in received) {
      const stream = new Stream(() => {});
      stream.decide({ answer: received, logs: [], properties: {} });
      return stream;
    }
    const info: StreamInfo = {
      headers: received.headers,
      protocol: complete.protocol,
      startTime: this.clock.now,
      remote: received.remote,
      local,
      connectionId: this.nextConnectionId++,
      tls: request.tls,
      filterState: new Map(
        listener.directRemoteAddressKey === undefined
          ? []
          : [[listener.directRemoteAddressKey, complete.peer.ip]],
      ),
    };
    return this.run(plugin, info, complete.body, received.isOpen);
  }

  /** A request's flow through the filter. */
  private run(plugin: Plugin, info: StreamInfo, body: string, isOpen: boolean): Stream {
    const { vm } = this;
    const since = this.logs.length;
    const context = new StreamContext(vm.allocateContextId(), plugin.root, info);
    vm.contexts.set(context.id, context);
    plugin.streams++;

    let open = true;
    const close = (): void => {
      if (!open) return;
      open = false;
      for (const callback of ["proxy_on_log", "proxy_on_done", "proxy_on_delete"]) {
        vm.call(context, callback, context.id);
      }
      vm.contexts.delete(context.id);
      plugin.streams--;
      if (plugin.replaced && plugin.streams === 0) this.retire(plugin);
    };
    const stream = new Stream(close);
    const decide = (result: { answer: Answer } | { upstream: UpstreamRequest }): void => {
      const properties = [...info.filterState].filter(([key]) => key.startsWith("wasm."));
      stream.decide({
        ...result,
        logs: this.logs.slice(since),
        properties: Object.fromEntries(properties.map(([key, value]) => [key.slice("wasm.".length), value])),
        ...(vm.trap && { trapped: vm.trap }),
      });
      close();
    };
    const fail = (): boolean => {
      if (vm.trap === undefined) return false;
      decide({
        answer: localReply(info.headers, info.protocol, {
          status: 503,
          details: "wasm_fail_stream",
          body: "",
          headers: [],
          grpcStatus: 14,
        }),
      });
      return true;
    };
    context.onLocalReply = (reply) => {
      if (!fail()) decide({ answer: localReply(info.headers, info.protocol, reply) });
    };
    context.onReset = () => {
      decide({ answer: { status: 0, headers: [], body: "", details: "wasm_close_stream" } });
    };
    const forward = (): void => decide(forwardRequest(info.headers, info.protocol, body));
    /**
     * The body in one piece, then the end of the stream, as Envoy's HTTP/1 codec passes them. A stream that becomes
     * another protocol has no end.
     */
    const sendBody = (rest = body): void => {
      const isRouted = info.headers.get(":method") !== "CONNECT";
      if ((body === "" && !isOpen) || !isRouted || !vm.has("proxy_on_request_body")) {
        forward();
        return;
      }
      const isLast = isOpen || rest === "";
      context.visibleBody = rest;
      context.onContinue = isLast ? forward : () => sendBody("");
      const end = isLast && !isOpen ? 1 : 0;
      const { result, stopped } = vm.call(context, "proxy_on_request_body", context.id, rest.length, end);
      if (!fail() && !stopped && result === 0) context.onContinue();
    };
    context.onContinue = () => sendBody();

    if (fail()) return stream;
    vm.call(context, "proxy_on_context_create", context.id, plugin.root.id);
    const { result, stopped } = vm.call(
      context,
      "proxy_on_request_headers",
      context.id,
      info.headers.size,
      body === "" && !isOpen ? 1 : 0,
    );
    if (fail() || stopped) return stream;
    const { Continue, ContinueAndEndStream } = FilterHeadersStatus;
    if (result === undefined || result === Continue || result === ContinueAndEndStream) {
      context.headersVisible = false;
      sendBody();
    }
    return stream;
  }

  /** Runs a tick of every root context that asked for ticks, even if none is due. */
  tick(): void {
    for (const root of this.vm.roots()) if (root.tickPeriod > 0) this.vm.call(root, "proxy_on_tick", root.id);
  }

  /**
   * Advances the clock. Every tick and every call's time limit in that period runs at its own time.
   * @param milliseconds from now
   */
  advance(milliseconds: number): void {
    const end = this.clock.monotonic + BigInt(Math.round(milliseconds * 1000)) * 1000n;
    for (;;) {
      const due = this.vm
        .roots()
        .flatMap((root) => root.timers(() => this.vm.call(root, "proxy_on_tick", root.id)))
        .filter(({ at }) => at <= end)
        .sort((a, b) => (a.at < b.at ? -1 : 1))[0];
      if (due === undefined || this.vm.trap !== undefined) break;
      this.clock.advanceTo(due.at);
      due.run();
    }
    this.clock.advanceTo(end);
  }

  /** Waits until no call to another service is in flight, including calls that the answers cause. */
  async settle(): Promise<void> {
    while (this.calls.size > 0) await Promise.all(this.calls);
  }

  private httpCall(vm: Vm, root: RootContext, request: HttpCallRequest): { token: number } | WasmResult {
    const { fetch, clusters } = this.options;
    if (fetch === undefined || clusters?.includes(request.cluster) === false) return WasmResult.BadArgument;
    const names = new Set(request.headers.map(([name]) => name.toLowerCase()));
    const hasAuthority = names.has(":authority") || names.has("host");
    if (!names.has(":path") || !names.has(":method") || !hasAuthority) return WasmResult.BadArgument;

    const token = this.nextCallToken++;
    const controller = new AbortController();
    const answer = (response: HttpResponse | undefined): void => {
      if (!root.calls.delete(token)) return;
      controller.abort();
      // Envoy reports one failure of a call: the connection broke.
      const reset = { code: WasmResult.BrokenConnection, message: "reset" };
      root.status = response === undefined ? reset : { code: 0, message: "" };
      root.httpCallResponse = response;
      const sizes = [
        response === undefined ? 0 : (response.headers?.length ?? 0) + 1,
        response?.body?.length ?? 0,
        response?.trailers?.length ?? 0,
      ];
      vm.call(root, "proxy_on_http_call_response", root.id, token, ...sizes);
      root.httpCallResponse = undefined;
    };
    root.calls.set(token, {
      cancel: () => controller.abort(),
      deadline:
        request.timeout === 0 ? undefined : this.clock.monotonic + BigInt(request.timeout) * NANOSECONDS,
      expire: () => answer({ status: 504, body: "upstream request timeout" }),
    });
    const call = fetch({ ...request, signal: controller.signal }).then(answer, () => answer(undefined));
    const tracked = call.finally(() => this.calls.delete(tracked));
    this.calls.add(tracked);
    return { token };
  }
}

/**
 * Makes a host for a module.
 * @param wasm the module's bytes, or the compiled module
 * @throws CompileError, LinkError or Error if Envoy would not load the module
 */
export async function createHost(
  wasm: ArrayBuffer | ArrayBufferView | WebAssembly.Module,
  options: HostOptions = {},
): Promise<Host> {
  // The types of browsers' APIs accept less than browsers do.
  const bytes = wasm as ArrayBufferView<ArrayBuffer>;
  const module = wasm instanceof WebAssembly.Module ? wasm : await WebAssembly.compile(bytes);
  return new Host(module, options);
}
