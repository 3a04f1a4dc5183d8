/**
 * One VM: an instance of the module, its contexts, and calls into it. It follows proxy-wasm-cpp-host's rules
 * (src/wasm.cc, src/context.cc): which context a host call is about, what is deferred until the module has returned,
 * and that a trap ends the whole VM.
 */
import { type Context, RootContext } from "./context.ts";
import { GuestMemory } from "./memory.ts";

/** The module trapped. After that the VM does nothing more. */
export interface Trap {
  /** The exported function that was called. */
  callback: string;
  message: string;
}

/** Thrown by a host function that ends the VM, as a trap does. */
export class HostTrap extends Error {}

/** Callbacks that this host makes; a module that exports another would behave differently in Envoy. */
const CALLBACKS = new Set([
  "proxy_on_context_create",
  "proxy_on_vm_start",
  "proxy_on_configure",
  "proxy_on_tick",
  "proxy_on_request_headers",
  "proxy_on_request_body",
  "proxy_on_http_call_response",
  "proxy_on_done",
  "proxy_on_log",
  "proxy_on_delete",
]);

/**
 * How deep calls may nest. What a callback defers runs when it returns, and each deferred action may call the module
 * again (a local reply ends its stream, and the module's callback runs), which runs the next action before it returns:
 * one native recursion for each. V8's stack overflows in Envoy 1.40 at 277 to 311 of them, and the VM fails.
 */
const MAX_NESTED_CALLS = 270;

/** Makes the functions that the module imports. */
export type MakeImports = (vm: Vm) => WebAssembly.Imports;

export class Vm {
  readonly memory: GuestMemory;
  readonly contexts = new Map<number, Context>();
  /** Set after a trap. */
  trap: Trap | undefined;
  /** While the module starts, it may only log and call WASI. */
  restricted = false;
  /** Whether a local response was requested in this callback: the stream stops, whatever the callback returns. */
  stopIteration = false;

  private readonly exports: WebAssembly.Exports;
  /** The context of host calls while there is no other, such as when the module starts. */
  private readonly vmContext = new RootContext(
    0,
    { name: "", rootId: "", vmId: "" },
    new Uint8Array(),
    new Uint8Array(),
  );
  private currentContext: Context = this.vmContext;
  /** 0 for none. */
  private effectiveContext = 0;
  private nextContextId = 1;
  private afterCall: (() => void)[] = [];
  private nestedCalls = 0;

  /**
   * @param module exports `memory`, `malloc` and an ABI version that this host knows
   * @throws WebAssembly.LinkError if the module imports what Envoy does not have
   */
  constructor(module: WebAssembly.Module, makeImports: MakeImports) {
    this.exports = new WebAssembly.Instance(module, makeImports(this)).exports;
    const {
      memory,
      malloc,
      proxy_abi_version_0_2_1: version,
      proxy_on_memory_allocate: allocate,
    } = this.exports;
    const allocator = malloc ?? allocate;
    if (!(memory instanceof WebAssembly.Memory)) throw new Error("the module exports no memory");
    if (typeof allocator !== "function") throw new Error("the module exports no malloc");
    if (typeof version !== "function") throw new Error("the module does not export proxy_abi_version_0_2_1");
    for (const name of Object.keys(this.exports)) {
      if (name.startsWith("proxy_on_") && name !== "proxy_on_memory_allocate" && !CALLBACKS.has(name)) {
        throw new Error(`the module exports ${name}, a callback that this host does not make`);
      }
    }
    this.memory = new GuestMemory(memory, allocator as (size: number) => number);
    this.restricted = true;
    for (const start of ["_initialize", "_start"]) {
      if (start in this.exports) {
        this.run(this.vmContext, start, []);
        break;
      }
    }
    this.restricted = false;
  }

  /** The context of a host call: the effective one if it still exists, else the one whose callback runs. */
  get context(): Context {
    return this.contexts.get(this.effectiveContext) ?? this.currentContext;
  }

  /** @returns false if there is no such context */
  setEffectiveContext(id: number): boolean {
    if (!this.contexts.has(id)) return false;
    this.effectiveContext = id;
    return true;
  }

  /** An id that no context has. */
  allocateContextId(): number {
    return this.nextContextId++;
  }

  has(callback: string): boolean {
    return typeof this.exports[callback] === "function";
  }

  /** Defers an action until the module has returned, because it must not be entered again while it runs. */
  defer(action: () => void): void {
    this.afterCall.push(action);
  }

  /**
   * Calls the module.
   * @param callback skipped if the module does not export it
   * @returns what it returned (undefined if it was skipped or the VM has failed), and whether it requested a local
   *   response. Deferred actions have run.
   */
  call(
    context: Context,
    callback: string,
    ...args: number[]
  ): { result: number | undefined; stopped: boolean } {
    if (this.trap !== undefined || !this.has(callback)) return { result: undefined, stopped: false };
    const result = this.run(context, callback, args);
    const stopped = this.stopIteration;
    this.stopIteration = false;
    this.nestedCalls++;
    if (this.nestedCalls > MAX_NESTED_CALLS) {
      this.trap ??= { callback, message: "Maximum call stack size exceeded" };
    }
    for (let action = this.afterCall.shift(); action !== undefined; action = this.afterCall.shift()) action();
    this.nestedCalls--;
    return { result, stopped };
  }

  private run(context: Context, callback: string, args: number[]): number | undefined {
    const saved = { current: this.currentContext, effective: this.effectiveContext };
    this.currentContext = context;
    this.effectiveContext = 0;
    try {
      return (this.exports[callback] as (...args: number[]) => number | undefined)(...args);
    } catch (error) {
      // RangeError: the module's recursion exhausted the stack. Anything else is a bug of this host.
      const isTrap =
        error instanceof WebAssembly.RuntimeError || error instanceof HostTrap || error instanceof RangeError;
      if (!isTrap) throw error;
      this.trap ??= { callback, message: error.message };
      return undefined;
    } finally {
      this.currentContext = saved.current;
      this.effectiveContext = saved.effective;
    }
  }

  /** Every root context that is alive. */
  roots(): RootContext[] {
    return [...this.contexts.values()].filter((context): context is RootContext => context.root === context);
  }
}
