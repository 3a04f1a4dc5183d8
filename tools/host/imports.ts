/**
 * The host's functions of the ABI 0.2.1: every `env.proxy_*` that Envoy has under that version, with its checks and
 * results (proxy-wasm-cpp-host, src/exports.cc; Envoy, source/extensions/common/wasm/context.cc). A module that imports
 * anything else does not link here, nor in Envoy.
 *
 * Addresses and sizes arrive as signed numbers; `>>> 0` makes them unsigned.
 */
import {
  BUFFER_TYPE_MAX,
  HEADER_MAP_TYPE_MAX,
  LOG_LEVELS,
  STREAM_TYPE_MAX,
  StreamType,
  WasmResult,
} from "./abi.ts";
import { utf8Decode } from "./bytes.ts";
import type { Context, RootContext } from "./context.ts";
import type { HeaderMap } from "./header-map.ts";
import type { Metrics } from "./metrics.ts";
import { decodePairs, encodePairs, type Pair } from "./pairs.ts";
import type { SharedData } from "./shared-data.ts";
import { getProperty } from "./stream-info.ts";
import { HostTrap, type Vm } from "./vm.ts";

/** A call that the module asked for with `proxy_http_call`. Strings are bytes (latin-1). */
export interface HttpCallRequest {
  cluster: string;
  headers: Pair[];
  body: string;
  trailers: Pair[];
  /** Milliseconds; 0 for no limit. */
  timeout: number;
}

/** A function besides the ABI, by name (`proxy_call_foreign_function`): takes bytes, returns bytes or a refusal. */
export type ForeignFunction = (args: Uint8Array) => Uint8Array | WasmResult;

/** What the functions need from the host. */
export interface AbiHost {
  /** Nanoseconds since 1970. */
  now(): bigint;
  log(level: number, message: string, context: Context): void;
  /** The number of the lowest level that is written. */
  readonly logLevel: number;
  readonly metrics: Metrics;
  readonly sharedData: SharedData;
  readonly foreignFunctions: Readonly<Record<string, ForeignFunction>>;
  /** Names of functions that the host does not have. */
  readonly unimplemented: readonly string[];
  /** @returns the call's token, or why there is none */
  httpCall(root: RootContext, request: HttpCallRequest): { token: number } | WasmResult;
  setTickPeriod(root: RootContext, milliseconds: number): void;
  /** The module reports that a root context is done. */
  done(root: RootContext): WasmResult;
}

const { Ok, NotFound, BadArgument, InvalidMemoryAccess, Unimplemented } = WasmResult;

const written = (success: boolean): WasmResult => (success ? Ok : InvalidMemoryAccess);

export function envImports(vm: Vm, host: AbiHost): WebAssembly.ModuleImports {
  const text = (address: number, size: number): string | undefined =>
    vm.memory.readText(address >>> 0, size >>> 0);

  /** Runs `then` on the texts (address and size in turn); InvalidMemoryAccess if one is not in the memory. */
  const withTexts = <N extends string[]>(places: number[], then: (...texts: N) => WasmResult): WasmResult => {
    const texts: string[] = [];
    for (let i = 0; i < places.length; i += 2) {
      const found = text(places[i] as number, places[i + 1] as number);
      if (found === undefined) return InvalidMemoryAccess;
      texts.push(found);
    }
    return then(...(texts as N));
  };

  /** Passes `value` to the module, or returns the refusal. */
  const give = (value: Uint8Array | string | WasmResult, address: number, size: number): WasmResult =>
    typeof value === "number" ? value : written(vm.memory.give(value, address >>> 0, size >>> 0));

  /** Runs `change` on a map that the module may change now. */
  const changeMap = (type: number, change: (map: HeaderMap) => void): WasmResult => {
    const visible = vm.context.headerMap(type);
    if (!visible?.writable) return BadArgument;
    change(visible.map);
    return Ok;
  };

  const functions: Record<string, (...args: never[]) => number> = {
    proxy_log(level: number, address: number, size: number): WasmResult {
      if (level >>> 0 >= LOG_LEVELS.length) return BadArgument;
      const message = vm.memory.read(address >>> 0, size >>> 0);
      if (message === undefined) return InvalidMemoryAccess;
      host.log(level, utf8Decode(message), vm.context);
      return Ok;
    },
    proxy_get_log_level: (result: number) => written(vm.memory.writeUint32(result >>> 0, host.logLevel)),

    proxy_get_current_time_nanoseconds: (result: number) =>
      written(vm.memory.writeUint64(result >>> 0, host.now())),
    proxy_set_tick_period_milliseconds(period: number): WasmResult {
      host.setTickPeriod(vm.context.root, period >>> 0);
      return Ok;
    },

    proxy_get_property: (path: number, pathSize: number, address: number, size: number) =>
      withTexts([path, pathSize], (name) =>
        give(getProperty(name, vm.context.root.plugin, vm.context.info), address, size),
      ),
    proxy_set_property: (path: number, pathSize: number, value: number, valueSize: number) =>
      withTexts([path, pathSize, value, valueSize], (name, content) => {
        const { info } = vm.context;
        if (info === undefined) return NotFound;
        info.filterState.set(`wasm.${name}`, content);
        return Ok;
      }),

    proxy_continue_stream(type: number): WasmResult {
      const { context } = vm;
      if (type >>> 0 > STREAM_TYPE_MAX) return BadArgument;
      if (type === StreamType.Upstream) return Unimplemented;
      if (type === StreamType.Request && "headersVisible" in context) {
        vm.defer(context.onContinue);
        context.headersVisible = false;
        context.visibleBody = "";
      }
      return Ok;
    },
    proxy_close_stream(type: number): WasmResult {
      const { context } = vm;
      if (type >>> 0 > STREAM_TYPE_MAX) return BadArgument;
      if (type <= StreamType.Response && "headersVisible" in context) vm.defer(context.onReset);
      return Ok;
    },
    proxy_send_local_response: (
      status: number,
      details: number,
      detailsSize: number,
      body: number,
      bodySize: number,
      headers: number,
      headersSize: number,
      grpcStatus: number,
    ) =>
      withTexts([details, detailsSize, body, bodySize], (detailsText, bodyText) => {
        const pairs = vm.memory.read(headers >>> 0, headersSize >>> 0);
        if (pairs === undefined) return InvalidMemoryAccess;
        const { context } = vm;
        if ("headersVisible" in context && !context.localReply) {
          context.localReply = true;
          const reply = {
            status: status >>> 0,
            details: detailsText.replaceAll(/\s/g, "_"),
            body: bodyText,
            headers: decodePairs(pairs),
            grpcStatus,
          };
          vm.defer(() => context.onLocalReply(reply));
        }
        vm.stopIteration = true;
        return Ok;
      }),

    proxy_get_header_map_pairs(type: number, address: number, size: number): WasmResult {
      if (type >>> 0 > HEADER_MAP_TYPE_MAX) return BadArgument;
      // A missing map reads as empty here, while every other function refuses it.
      const pairs = vm.context.headerMap(type)?.map.pairs() ?? [];
      return give(pairs.length === 0 ? "" : encodePairs(pairs), address, size);
    },
    proxy_set_header_map_pairs(type: number, address: number, size: number): WasmResult {
      if (type >>> 0 > HEADER_MAP_TYPE_MAX) return BadArgument;
      const pairs = vm.memory.read(address >>> 0, size >>> 0);
      if (pairs === undefined) return InvalidMemoryAccess;
      return changeMap(type, (map) => {
        map.clear();
        for (const [name, value] of decodePairs(pairs)) map.add(name, value);
      });
    },
    proxy_get_header_map_size(type: number, result: number): WasmResult {
      if (type >>> 0 > HEADER_MAP_TYPE_MAX) return BadArgument;
      const visible = vm.context.headerMap(type);
      if (!visible?.writable) return BadArgument;
      return written(vm.memory.writeUint32(result >>> 0, visible.map.byteSize));
    },
    proxy_get_header_map_value: (
      type: number,
      name: number,
      nameSize: number,
      address: number,
      size: number,
    ) =>
      type >>> 0 > HEADER_MAP_TYPE_MAX
        ? BadArgument
        : withTexts([name, nameSize], (key) => {
            const visible = vm.context.headerMap(type);
            if (visible === undefined) return BadArgument;
            return give(visible.map.get(key) ?? NotFound, address, size);
          }),
    proxy_add_header_map_value: (
      type: number,
      name: number,
      nameSize: number,
      value: number,
      valueSize: number,
    ) =>
      type >>> 0 > HEADER_MAP_TYPE_MAX
        ? BadArgument
        : withTexts([name, nameSize, value, valueSize], (key, content) =>
            changeMap(type, (map) => map.add(key, content)),
          ),
    proxy_replace_header_map_value: (
      type: number,
      name: number,
      nameSize: number,
      value: number,
      valueSize: number,
    ) =>
      type >>> 0 > HEADER_MAP_TYPE_MAX
        ? BadArgument
        : withTexts([name, nameSize, value, valueSize], (key, content) =>
            changeMap(type, (map) => map.set(key, content)),
          ),
    proxy_remove_header_map_value: (type: number, name: number, nameSize: number) =>
      type >>> 0 > HEADER_MAP_TYPE_MAX
        ? BadArgument
        : withTexts([name, nameSize], (key) => changeMap(type, (map) => map.remove(key))),

    proxy_get_buffer_bytes(
      type: number,
      start: number,
      length: number,
      address: number,
      size: number,
    ): WasmResult {
      if (type >>> 0 > BUFFER_TYPE_MAX) return BadArgument;
      const buffer = vm.context.buffer(type);
      if (buffer === undefined) return NotFound;
      const from = start >>> 0;
      return give(buffer.slice(from, from + (length >>> 0)), address, size);
    },
    proxy_get_buffer_status(type: number, lengthResult: number, flagsResult: number): WasmResult {
      if (type >>> 0 > BUFFER_TYPE_MAX) return BadArgument;
      const buffer = vm.context.buffer(type);
      if (buffer === undefined) return NotFound;
      return written(
        vm.memory.writeUint32(lengthResult >>> 0, buffer.length) &&
          vm.memory.writeUint32(flagsResult >>> 0, 0),
      );
    },
    // Bodies pass through this host unchanged: no filter that it runs writes them.
    proxy_set_buffer_bytes: () => Unimplemented,

    proxy_http_call: (
      cluster: number,
      clusterSize: number,
      headers: number,
      headersSize: number,
      body: number,
      bodySize: number,
      trailers: number,
      trailersSize: number,
      timeout: number,
      tokenResult: number,
    ) =>
      withTexts([cluster, clusterSize, body, bodySize], (clusterName, bodyText) => {
        const headerPairs = vm.memory.read(headers >>> 0, headersSize >>> 0);
        const trailerPairs = vm.memory.read(trailers >>> 0, trailersSize >>> 0);
        // Envoy writes the token before the call, so that a bad address starts no call.
        if (!headerPairs || !trailerPairs || !vm.memory.writeUint32(tokenResult >>> 0, 0))
          return InvalidMemoryAccess;
        if (timeout < 0) return BadArgument;
        const started = host.httpCall(vm.context.root, {
          cluster: clusterName,
          headers: decodePairs(headerPairs),
          body: bodyText,
          trailers: decodePairs(trailerPairs),
          timeout,
        });
        if (typeof started === "number") return started;
        return written(vm.memory.writeUint32(tokenResult >>> 0, started.token));
      }),
    proxy_grpc_call: () => Unimplemented,
    proxy_grpc_stream: () => Unimplemented,
    proxy_grpc_cancel: () => Unimplemented,
    proxy_grpc_close: () => Unimplemented,
    proxy_grpc_send: () => Unimplemented,
    proxy_get_status: (codeResult: number, address: number, size: number) => {
      const { code, message } = vm.context.root.status;
      if (!vm.memory.writeUint32(codeResult >>> 0, code)) return InvalidMemoryAccess;
      return give(message, address, size);
    },

    proxy_define_metric: (type: number, name: number, nameSize: number, idResult: number) =>
      withTexts([name, nameSize], (metricName) => {
        const defined = host.metrics.define(type >>> 0, metricName);
        if (typeof defined === "number") return defined;
        return written(vm.memory.writeUint32(idResult >>> 0, defined.id));
      }),
    proxy_increment_metric: (id: number, offset: bigint) => host.metrics.increment(id >>> 0, offset),
    proxy_record_metric: (id: number, value: bigint) => host.metrics.record(id >>> 0, value),
    proxy_get_metric(id: number, result: number): WasmResult {
      const value = host.metrics.get(id >>> 0);
      return typeof value === "number" ? value : written(vm.memory.writeUint64(result >>> 0, value));
    },

    proxy_get_shared_data: (key: number, keySize: number, address: number, size: number, casResult: number) =>
      withTexts([key, keySize], (name) => {
        const stored = host.sharedData.get(name);
        if (stored === undefined) return NotFound;
        const given = give(stored.value, address, size);
        return given === Ok ? written(vm.memory.writeUint32(casResult >>> 0, stored.cas)) : given;
      }),
    proxy_set_shared_data: (key: number, keySize: number, value: number, valueSize: number, cas: number) =>
      withTexts([key, keySize, value, valueSize], (name, content) =>
        host.sharedData.set(name, content, cas >>> 0),
      ),
    proxy_register_shared_queue: (name: number, nameSize: number, tokenResult: number) =>
      withTexts([name, nameSize], (queue) =>
        written(vm.memory.writeUint32(tokenResult >>> 0, host.sharedData.registerQueue(queue))),
      ),
    proxy_resolve_shared_queue: (
      vmId: number,
      vmIdSize: number,
      name: number,
      nameSize: number,
      tokenResult: number,
    ) =>
      withTexts([vmId, vmIdSize, name, nameSize], (_vm, queue) => {
        const token = host.sharedData.resolveQueue(queue);
        return token === undefined ? NotFound : written(vm.memory.writeUint32(tokenResult >>> 0, token));
      }),
    proxy_enqueue_shared_queue: (token: number, value: number, valueSize: number) =>
      withTexts([value, valueSize], (item) => host.sharedData.enqueue(token >>> 0, item)),
    proxy_dequeue_shared_queue: (token: number, address: number, size: number) =>
      give(host.sharedData.dequeue(token >>> 0), address, size),

    proxy_set_effective_context: (id: number) => (vm.setEffectiveContext(id >>> 0) ? Ok : BadArgument),
    proxy_done: () => host.done(vm.context.root),
    proxy_call_foreign_function: (
      name: number,
      nameSize: number,
      args: number,
      argsSize: number,
      address: number,
      size: number,
    ) =>
      withTexts([name, nameSize], (functionName) => {
        const argumentBytes = vm.memory.read(args >>> 0, argsSize >>> 0);
        if (argumentBytes === undefined) return InvalidMemoryAccess;
        const { foreignFunctions } = host;
        const called = Object.hasOwn(foreignFunctions, functionName)
          ? foreignFunctions[functionName]
          : undefined;
        if (called === undefined) return NotFound;
        const result = called(argumentBytes);
        if (typeof result !== "number") return give(result, address, size);
        give("", address, size);
        return result;
      }),
  };

  for (const name of host.unimplemented) {
    if (!Object.hasOwn(functions, name)) throw new RangeError(`the ABI has no function ${name}`);
    functions[name] = () => Unimplemented;
  }

  // While the module starts there is no context to ask about: all functions but the log trap, as in Envoy.
  for (const [name, run] of Object.entries(functions)) {
    if (name === "proxy_log") continue;
    functions[name] = (...args) => {
      if (vm.restricted) throw new HostTrap(`restricted_callback: ${name}`);
      return run(...args);
    };
  }
  return functions;
}
