/**
 * A header map like Envoy's (source/common/http/header_map_impl.cc): lower-case names, pseudo-headers first, insertion
 * order otherwise. Envoy stores some names in fixed slots; a second value of those is joined to the first with a comma,
 * while other names repeat.
 */
import type { Pair } from "./pairs.ts";

/** Names with one slot in a request's map, as Envoy 1.40 prints them at start ("HTTP header map info"). */
const REQUEST_SINGLE = new Set(
  `:authority :method :path :protocol :scheme accept accept-encoding access-control-request-headers
  access-control-request-method access-control-request-private-network authentication authorization cache-control
  cdn-loop connection content-encoding content-length content-type expect grpc-accept-encoding grpc-timeout if-match
  if-modified-since if-none-match if-range if-unmodified-since keep-alive origin pragma proxy-connection proxy-status
  referer te transfer-encoding upgrade user-agent via x-client-trace-id x-envoy-attempt-count
  x-envoy-decorator-operation x-envoy-downstream-service-cluster x-envoy-downstream-service-node
  x-envoy-expected-rq-timeout-ms x-envoy-external-address x-envoy-force-trace x-envoy-hedge-on-per-try-timeout
  x-envoy-internal x-envoy-ip-tags x-envoy-is-timeout-retry x-envoy-max-retries x-envoy-original-host
  x-envoy-original-path x-envoy-original-url x-envoy-retriable-header-names x-envoy-retriable-status-codes
  x-envoy-retry-grpc-on x-envoy-retry-on x-envoy-upstream-alt-stat-name x-envoy-upstream-rq-per-try-timeout-ms
  x-envoy-upstream-rq-timeout-alt-response x-envoy-upstream-rq-timeout-ms x-envoy-upstream-stream-duration-ms
  x-forwarded-client-cert x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-proto x-request-id`.split(
    /\s+/,
  ),
);

/** Whether a request has at most one value of a header: several are joined with commas. @param name in lower case */
export function isSingleHeader(name: string): boolean {
  return REQUEST_SINGLE.has(name);
}

/** The same for a response's map. */
const RESPONSE_SINGLE = new Set(
  `:status access-control-allow-credentials access-control-allow-headers access-control-allow-methods
  access-control-allow-origin access-control-allow-private-network access-control-expose-headers
  access-control-max-age age cache-control connection content-encoding content-length content-type date etag expires
  grpc-message grpc-status keep-alive last-modified location proxy-connection proxy-status server transfer-encoding
  upgrade vary via x-envoy-attempt-count x-envoy-decorator-operation x-envoy-degraded
  x-envoy-immediate-health-check-fail x-envoy-ratelimited x-envoy-upstream-canary
  x-envoy-upstream-healthchecked-cluster x-envoy-upstream-service-time x-request-id`.split(/\s+/),
);

/** `A`–`Z` only, as Envoy's LowerCaseString: names are bytes. */
function lowerCase(name: string): string {
  return name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

export class HeaderMap {
  private entries: [name: string, value: string][] = [];

  /** @param kind which names are joined with a comma instead of being repeated */
  constructor(
    private readonly kind: "request" | "response",
    pairs: Iterable<Pair> = [],
  ) {
    for (const [name, value] of pairs) this.add(name, value);
  }

  /** In a request `host` is another name of `:authority`. */
  private key(name: string): string {
    const key = lowerCase(name);
    return key === "host" && this.kind === "request" ? ":authority" : key;
  }

  private find(key: string): [string, string] | undefined {
    return this.entries.find(([name]) => name === key);
  }

  /** Adds a value; for a name with one slot it is joined with a comma. */
  add(name: string, value: string): void {
    const key = this.key(name);
    const single = this.kind === "request" ? REQUEST_SINGLE : RESPONSE_SINGLE;
    const existing = single.has(key) ? this.find(key) : undefined;
    if (existing !== undefined) {
      existing[1] = existing[1] === "" || value === "" ? existing[1] + value : `${existing[1]},${value}`;
      return;
    }
    if (!key.startsWith(":")) {
      this.entries.push([key, value]);
      return;
    }
    const firstOrdinary = this.entries.findIndex(([other]) => !other.startsWith(":"));
    this.entries.splice(firstOrdinary < 0 ? this.entries.length : firstOrdinary, 0, [key, value]);
  }

  /** Removes every value of the name, then adds this one. */
  set(name: string, value: string): void {
    this.remove(name);
    this.add(name, value);
  }

  /** Replaces the value of a name with one slot in its position, or adds it. */
  overwrite(name: string, value: string): void {
    const existing = this.find(this.key(name));
    if (existing === undefined) this.add(name, value);
    else existing[1] = value;
  }

  /** Removes every value of the name. */
  remove(name: string): void {
    const key = this.key(name);
    this.entries = this.entries.filter(([other]) => other !== key);
  }

  /** The first value of the name. */
  get(name: string): string | undefined {
    return this.find(this.key(name))?.[1];
  }

  /** Every value of the name, in order. */
  getAll(name: string): string[] {
    const key = this.key(name);
    return this.entries.filter(([other]) => other === key).map(([, value]) => value);
  }

  get size(): number {
    return this.entries.length;
  }

  /** The sum of the bytes of names and values. */
  get byteSize(): number {
    return this.entries.reduce((sum, [name, value]) => sum + name.length + value.length, 0);
  }

  /** Names and values in order. */
  pairs(): Pair[] {
    return this.entries.map(([name, value]) => [name, value]);
  }

  clear(): void {
    this.entries = [];
  }
}
