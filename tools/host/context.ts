/** The contexts of the ABI: a root context for each loaded configuration, and one for each request's stream. */
import { BufferType, HeaderMapType } from "./abi.ts";
import { HeaderMap } from "./header-map.ts";
import type { Pair } from "./pairs.ts";
import type { PluginInfo, StreamInfo } from "./stream-info.ts";

const NANOSECONDS = 1_000_000n;

/** The answer to a call to another service (`proxy_http_call`). Strings are bytes (latin-1). */
export interface HttpResponse {
  /** Ordinary headers; `:status` is added. */
  status: number;
  headers?: readonly Pair[];
  body?: string;
  trailers?: readonly Pair[];
}

/** A header map that a callback can see, and whether it may change it. */
interface VisibleMap {
  map: HeaderMap;
  writable: boolean;
}

/** A call to another service. */
interface PendingCall {
  /** Called if nothing waits for it any more. */
  cancel(): void;
  /** The end of its time, in nanoseconds of the host's monotonic clock. */
  deadline: bigint | undefined;
  /** Called at the end of its time. */
  expire(): void;
}

/** Something that is due at a given time. */
interface Timer {
  /** Nanoseconds of the host's monotonic clock. */
  at: bigint;
  run(): void;
}

/** One loaded configuration. */
export class RootContext {
  readonly root: RootContext = this;
  readonly info: StreamInfo | undefined = undefined;
  /** The answer of `proxy_get_status`. */
  status = { code: 0, message: "" };
  /** Milliseconds between ticks; 0: none. */
  tickPeriod = 0;
  /** When the next tick is due, nanoseconds of the host's monotonic clock. */
  nextTick = 0n;
  /** Set only while `proxy_on_http_call_response` runs. */
  httpCallResponse: HttpResponse | undefined;
  /** Calls to other services in flight, by token. */
  readonly calls = new Map<number, PendingCall>();
  /** Whether the configuration may be read: while the context is made and configured. */
  configuring = false;
  /** Whether `proxy_on_done` returned false and `proxy_done` was not called since. */
  pendingDone = false;

  constructor(
    readonly id: number,
    readonly plugin: PluginInfo,
    private readonly configuration: Uint8Array,
    private readonly vmConfiguration: Uint8Array,
  ) {}

  /** Cancels every call in flight. */
  cancelCalls(): void {
    for (const call of this.calls.values()) call.cancel();
    this.calls.clear();
  }

  /**
   * What is due next: a tick, and the end of each call's time.
   * @param tick runs the tick
   */
  timers(tick: () => void): Timer[] {
    const timers: Timer[] = [];
    if (this.tickPeriod > 0) {
      const at = this.nextTick;
      timers.push({
        at,
        run: () => {
          this.nextTick = at + BigInt(this.tickPeriod) * NANOSECONDS;
          tick();
        },
      });
    }
    for (const { deadline, expire } of this.calls.values()) {
      if (deadline !== undefined) timers.push({ at: deadline, run: expire });
    }
    return timers;
  }

  headerMap(type: number): VisibleMap | undefined {
    const response = this.httpCallResponse;
    if (response === undefined) return undefined;
    if (type === HeaderMapType.HttpCallResponseHeaders) {
      const map = new HeaderMap("response", [
        [":status", String(response.status)],
        ...(response.headers ?? []),
      ]);
      return { map, writable: false };
    }
    if (type === HeaderMapType.HttpCallResponseTrailers && response.trailers !== undefined) {
      return { map: new HeaderMap("response", response.trailers), writable: false };
    }
    return undefined;
  }

  buffer(type: number): Uint8Array | string | undefined {
    switch (type) {
      case BufferType.PluginConfiguration:
        return this.configuring ? this.configuration : undefined;
      case BufferType.VmConfiguration:
        return this.vmConfiguration;
      case BufferType.HttpCallResponseBody:
        return this.httpCallResponse && (this.httpCallResponse.body ?? "");
      case BufferType.HttpRequestBody:
      case BufferType.CallData:
        return "";
      default:
        return undefined;
    }
  }
}

/** One request. */
export class StreamContext {
  /** Whether the module may see and change the request's headers: until it continues them. */
  headersVisible = true;
  /** The part of the body that `proxy_on_request_body` sees. */
  visibleBody = "";
  /** Whether a local response was requested; a second one is not sent. */
  localReply = false;
  /** Called if the module continued the stream, or answered. */
  onContinue: () => void = () => {};
  onLocalReply: (reply: {
    status: number;
    details: string;
    body: string;
    headers: Pair[];
    grpcStatus: number;
  }) => void = () => {};
  onReset: () => void = () => {};

  constructor(
    readonly id: number,
    readonly root: RootContext,
    readonly info: StreamInfo,
  ) {}

  headerMap(type: number): VisibleMap | undefined {
    if (type === HeaderMapType.RequestHeaders) {
      return this.headersVisible ? { map: this.info.headers, writable: true } : undefined;
    }
    return this.root.headerMap(type);
  }

  buffer(type: number): Uint8Array | string | undefined {
    if (type === BufferType.HttpRequestBody) return this.visibleBody;
    return type === BufferType.PluginConfiguration ? undefined : this.root.buffer(type);
  }
}

export type Context = RootContext | StreamContext;
