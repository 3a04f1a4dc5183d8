/**
 * Many random requests to two compiled configurations, a few microseconds each: the module runs with a host that has only
 * what its callbacks need, and requests are put together from parts that the TypeScript host has received before. What this
 * host finds different is sent again through the TypeScript host, which decides.
 */
import type { CompileResult } from "../../tools/compile.ts";
import { WasmResult } from "../../tools/host/abi.ts";
import { HeaderMap } from "../../tools/host/header-map.ts";
import { DEFAULT_REQUEST, receiveRequest } from "../../tools/host/http-connection-manager.ts";
import { encodePairs, type Pair } from "../../tools/host/pairs.ts";
import { getProperty, type StreamInfo } from "../../tools/host/stream-info.ts";
import type { Random } from "../fuzz/random.ts";
import { MODULE, request, type Sent, TIME } from "./random.ts";

const { Ok, NotFound } = WasmResult;
/** Nanoseconds since 1970. */
const NOW = BigInt(TIME) * 1_000_000n;
const ROOT = 1;
const STREAM = 2;

/** Header pairs in the ABI's layout: lengths, then bytes. */
interface Encoded {
  lengths: Uint32Array;
  bytes: Uint8Array;
}

/** Part of a request, as the client sends it and as the filter sees it. */
interface Part<T> {
  sent: T;
  encoded: Encoded;
}

interface Connection {
  sent: Pick<Sent, "listener"> & {
    peer: Sent["request"]["peer"];
    tls: Sent["request"]["tls"];
    headers: Pair[];
  };
  /** `:scheme` and what Envoy adds after the client's headers. */
  encoded: Encoded;
  /** Envoy's attributes of the connection, as far as the filter has asked for them. */
  attributes: Map<string, Uint8Array | WasmResult>;
  info: StreamInfo;
}

/** The parts that random requests are made of. */
export class RequestPool {
  private readonly paths: Part<string>[] = [];
  private readonly methods: Part<string>[] = [];
  private readonly authorities: Part<string>[] = [];
  private readonly headers: Part<readonly Pair[]>[] = [];
  private readonly tokens: Part<readonly Pair[]>[] = [];
  private readonly connections: Connection[] = [];
  private readonly chosen = { path: 0, method: 0, authority: 0, headers: 0, tokens: 0, connection: 0 };
  /** The request's header map for the module. */
  private readonly map = new Uint8Array(1 << 16);
  private readonly lengths = new Uint32Array(this.map.buffer);
  private size = 0;
  private readonly parts: { encoded: Encoded }[] = [];

  /**
   * @param count of random requests that are taken apart
   * @param directRemoteAddress the configuration's key in filter state
   */
  constructor(
    random: Random,
    count: number,
    private readonly directRemoteAddress: string | undefined,
  ) {
    const known = new Set<string>();
    for (let i = 0; i < count; i++) this.take(request(random), known);
  }

  private take({ request: sent, listener }: Sent, known: Set<string>): void {
    const received = receiveRequest({ ...DEFAULT_REQUEST, ...sent }, listener);
    // Envoy refuses it before the filter.
    if ("status" in received) return;
    const isNew = (kind: string, value: unknown) => {
      const key = `${kind} ${JSON.stringify(value)}`;
      return !known.has(key) && known.add(key);
    };
    const one = (name: string): Encoded => encode([[name, received.headers.get(name) ?? ""]]);
    const { path = "", method = "", authority = "", headers = [], peer, tls } = sent;
    if (isNew("path", path)) this.paths.push({ sent: path, encoded: one(":path") });
    if (isNew("method", method)) this.methods.push({ sent: method, encoded: one(":method") });
    if (isNew("host", authority)) this.authorities.push({ sent: authority, encoded: one(":authority") });
    const lists: [string, Part<readonly Pair[]>[], (name: string) => boolean][] = [
      ["tokens", this.tokens, (name) => TOKEN_HEADERS.has(name)],
      ["headers", this.headers, (name) => !TOKEN_HEADERS.has(name) && name !== FORWARDED_FOR],
    ];
    for (const [kind, list, isIn] of lists) {
      const pairs = headers.filter(([name]) => isIn(name));
      // Either list may be empty, so each knows its own.
      if (!isNew(kind, pairs)) continue;
      const seen = received.headers
        .pairs()
        .filter(([name]) => !name.startsWith(":") && !ADDED.test(name) && isIn(name));
      list.push({ sent: pairs, encoded: encode(seen) });
    }
    const forwarded = headers.filter(([name]) => name === FORWARDED_FOR);
    if (!isNew("connection", [listener, peer, tls, forwarded])) return;
    const added = received.headers.pairs().filter(([name]) => name === ":scheme" || ADDED.test(name));
    const direct = this.directRemoteAddress;
    this.connections.push({
      sent: { listener, peer, tls, headers: forwarded },
      encoded: encode(added),
      attributes: new Map(),
      info: {
        headers: new HeaderMap("request"),
        protocol: "HTTP/1.1",
        startTime: NOW,
        remote: received.remote,
        local: listener.address,
        connectionId: 1n,
        tls,
        filterState: new Map(direct === undefined ? [] : [[direct, peer?.ip ?? ""]]),
      },
    });
  }

  /** Makes the next request. */
  next(random: Random): void {
    const { chosen, lengths, map } = this;
    chosen.path = random.below(this.paths.length);
    chosen.method = random.below(this.methods.length);
    chosen.authority = random.below(this.authorities.length);
    chosen.headers = random.below(this.headers.length);
    chosen.tokens = random.below(this.tokens.length);
    chosen.connection = random.below(this.connections.length);
    this.parts[0] = this.authorities[chosen.authority] as Part<string>;
    this.parts[1] = this.paths[chosen.path] as Part<string>;
    this.parts[2] = this.methods[chosen.method] as Part<string>;
    this.parts[3] = this.connection;
    this.parts[4] = this.headers[chosen.headers] as Part<readonly Pair[]>;
    this.parts[5] = this.tokens[chosen.tokens] as Part<readonly Pair[]>;
    let count = 0;
    for (const { encoded } of this.parts) {
      // A loop is faster than `set` for few elements.
      for (let i = 0; i < encoded.lengths.length; i++) lengths[++count] = encoded.lengths[i] as number;
    }
    lengths[0] = count / 2;
    let at = 4 + count * 4;
    for (const { encoded } of this.parts) {
      const { bytes } = encoded;
      if (bytes.length > 60) map.set(bytes, at);
      else for (let i = 0; i < bytes.length; i++) map[at + i] = bytes[i] as number;
      at += bytes.length;
    }
    this.size = at;
  }

  private get connection(): Connection {
    return this.connections[this.chosen.connection] as Connection;
  }

  /** The current request's header map. It is only valid until the next request. */
  get bytes(): Uint8Array {
    return this.map.subarray(0, this.size);
  }

  /** An attribute of the current request. */
  attribute(path: string): Uint8Array | WasmResult {
    const { attributes, info } = this.connection;
    let value = attributes.get(path);
    if (value === undefined) {
      if (path.startsWith("request"))
        throw new Error(`the filter asks for ${path}, which differs by request`);
      value = getProperty(path, PLUGIN, info);
      attributes.set(path, value);
    }
    return value;
  }

  /** The current request, for the TypeScript host. */
  get sent(): Sent {
    const { chosen } = this;
    const { listener, peer, tls, headers } = this.connection.sent;
    const lists = [this.headers[chosen.headers]?.sent ?? [], this.tokens[chosen.tokens]?.sent ?? [], headers];
    return {
      request: {
        path: this.paths[chosen.path]?.sent ?? "",
        method: this.methods[chosen.method]?.sent ?? "",
        authority: this.authorities[chosen.authority]?.sent ?? "",
        headers: lists.flat(),
        ...(peer && { peer }),
        ...(tls && { tls }),
      },
      listener,
    };
  }
}

const PLUGIN = { name: "", rootId: "", vmId: "" };
/** Effects that change a header; any other is the status of an answer. */
const ADDED_VALUE = 1;
const REPLACED_VALUE = 2;
const REMOVED = 3;
const TOKEN_HEADERS = new Set(["authorization", "x-token", "cookie"]);
const FORWARDED_FOR = "x-forwarded-for";
/** Headers that Envoy adds, or that belong to a connection here. */
const ADDED = /^x-(forwarded-for|forwarded-proto|envoy-external-address|request-id)$/;

function encode(pairs: readonly Pair[]): Encoded {
  const whole = encodePairs(pairs);
  const lengths = new Uint32Array(whole.slice(4, 4 + pairs.length * 8).buffer);
  return { lengths, bytes: whole.subarray(4 + pairs.length * 8) };
}

/** The module with one configuration. */
export class BulkGate {
  private readonly exports: Record<string, (...args: number[]) => number>;
  private readonly memory: WebAssembly.Memory;
  private lastView = Buffer.alloc(0);
  /** The effects of the current request: an answer, or changes of headers. */
  private readonly effects = Buffer.alloc(1 << 16);
  private length = 0;
  /** Of the answer to the last request; undefined if it was forwarded. */
  status: number | undefined;

  /** @throws if the module refuses the configuration */
  constructor(
    { configuration }: CompileResult,
    private readonly pool: RequestPool,
  ) {
    const text = new TextEncoder().encode(JSON.stringify(configuration));
    const instance = new WebAssembly.Instance(MODULE, {
      env: this.functions(text),
      wasi_snapshot_preview1: { random_get: () => Ok },
    });
    this.exports = instance.exports as typeof this.exports;
    this.memory = instance.exports["memory"] as WebAssembly.Memory;
    this.call("_initialize");
    this.call("proxy_on_context_create", ROOT, 0);
    if (this.call("proxy_on_configure", ROOT, text.length) !== 1) throw new Error("the module refused");
  }

  /** Sends the pool's current request. @returns its effects, valid until the next request */
  send(): Buffer {
    this.length = 0;
    this.status = undefined;
    this.call("proxy_on_context_create", STREAM, ROOT);
    this.call("proxy_on_request_headers", STREAM, 0, 1);
    this.call("proxy_on_delete", STREAM);
    return this.effects.subarray(0, this.length);
  }

  private call(name: string, ...args: number[]): number {
    return (this.exports[name] as (...args: number[]) => number)(...args);
  }

  /** The module's memory. It is another buffer after it has grown. */
  private get view(): Buffer {
    const { buffer } = this.memory;
    if (this.lastView.buffer !== buffer) this.lastView = Buffer.from(buffer);
    return this.lastView;
  }

  /** Passes bytes to the module. */
  private give(bytes: Uint8Array, addressResult: number, sizeResult: number): WasmResult {
    const address = bytes.length === 0 ? 0 : this.call("malloc", bytes.length) >>> 0;
    const { view } = this;
    view.set(bytes, address);
    view.writeUInt32LE(address, addressResult >>> 0);
    view.writeUInt32LE(bytes.length, sizeResult >>> 0);
    return Ok;
  }

  /** Appends to the effects: what happened, and the texts (address and size in turn). */
  private effect(kind: number, ...texts: number[]): WasmResult {
    this.length = this.effects.writeUInt32LE(kind, this.length);
    for (let i = 0; i < texts.length; i += 2) {
      const [start, size] = [texts[i] as number, texts[i + 1] as number];
      this.length = this.effects.writeUInt32LE(size, this.length);
      this.length += this.view.copy(this.effects, this.length, start, start + size);
    }
    return Ok;
  }

  private functions(configuration: Uint8Array): WebAssembly.ModuleImports {
    const { pool } = this;
    let isConfigured = false;
    return {
      proxy_log: () => Ok,
      proxy_define_metric: () => Ok,
      proxy_increment_metric: () => Ok,
      proxy_record_metric: () => Ok,
      proxy_set_tick_period_milliseconds: () => Ok,
      proxy_set_effective_context: () => Ok,
      proxy_set_property: () => Ok,
      // The filter tries at its start whether the host verifies signatures; it verifies HMAC itself.
      proxy_call_foreign_function: () => NotFound,
      proxy_get_current_time_nanoseconds: (result: number) => {
        this.view.writeBigUInt64LE(NOW, result >>> 0);
        return Ok;
      },
      proxy_get_buffer_bytes: (
        _type: number,
        _start: number,
        _size: number,
        address: number,
        size: number,
      ) => {
        isConfigured = true;
        return this.give(configuration, address, size);
      },
      proxy_get_property: (path: number, pathSize: number, address: number, size: number) => {
        if (!isConfigured) return NotFound;
        const value = pool.attribute(this.view.toString("latin1", path, path + pathSize));
        return typeof value === "number" ? value : this.give(value, address, size);
      },
      proxy_get_header_map_pairs: (_type: number, address: number, size: number) =>
        this.give(pool.bytes, address, size),
      proxy_add_header_map_value: (_type: number, ...texts: number[]) => this.effect(ADDED_VALUE, ...texts),
      proxy_replace_header_map_value: (_type: number, ...texts: number[]) =>
        this.effect(REPLACED_VALUE, ...texts),
      proxy_remove_header_map_value: (_type: number, ...texts: number[]) => this.effect(REMOVED, ...texts),
      proxy_send_local_response: (
        status: number,
        _details: number,
        _detailsSize: number,
        body: number,
        bodySize: number,
      ) => {
        this.status = status;
        return this.effect(status, body, bodySize);
      },
      ...Object.fromEntries(
        ["proxy_http_call", "proxy_continue_stream", "proxy_get_header_map_value"].map((name) => [
          name,
          () => {
            throw new Error(`the filter calls ${name}`);
          },
        ]),
      ),
    };
  }
}
