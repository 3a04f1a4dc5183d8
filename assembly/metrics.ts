/**
 * The filter's metrics. A host call for each count would cost more than deciding, so counts are summed here and passed
 * to the host on the tick.
 */
import { Records, newRecords, recordAt } from "./memory/records";
import { Region } from "./memory/region";
import { Metric } from "./abi/metrics";

/** A counter of the host, with the amount that was not passed to it yet. */
@unmanaged
export class Counter {
  /** Lives as long as the VM. */
  metric: Metric;
  private pending: u32;

  // @ts-ignore: decorator
  @inline
  add(amount: u32): void {
    this.pending += amount;
  }

  flush(): void {
    if (this.pending == 0) return;
    this.metric.add(this.pending);
    this.pending = 0;
  }
}

/** Makes counters side by side, so that those of one request take one line of the processor's caches. */
class Block {
  private readonly counters: Records;
  private count: i32 = 0;

  /** @param count for how many counters it has room */
  constructor(region: Region, count: i32) {
    this.counters = newRecords<Counter>(region, count);
  }

  counter(name: string): Counter {
    const counter = recordAt<Counter>(this.counters, this.count++);
    counter.metric = Metric.counter(`jwtgate_${name}`);
    return counter;
  }
}

/** Counts the results of key fetches. The gauges belong to the VM as a whole, so they change by differences. */
export class JwksCounters {
  readonly success: Counter;
  readonly failed: Counter;
  /** Parts of the failures: no connection or a broken one; no answer in time; a status other than 200. */
  readonly connection: Counter;
  readonly timeout: Counter;
  readonly status: Counter;
  /**
   * A document that is empty, too large, not JSON, or not the issuer's discovery document; a key set without a usable
   * key.
   */
  readonly document: Counter;
  readonly keys: Counter;
  /** Seconds since 1970. */
  readonly lastSuccess: Metric = Metric.gauge("jwtgate_jwks_last_success_seconds");
  private readonly inUse: Metric = Metric.gauge("jwtgate_jwks_keys");
  private readonly waiting: Metric = Metric.gauge("jwtgate_jwks_waiting_requests");

  /** @param region holds the counters */
  constructor(region: Region) {
    const block = new Block(region, 7);
    this.success = block.counter("jwks_fetch_success");
    this.failed = block.counter("jwks_fetch_failed");
    this.connection = block.counter("jwks_fetch_failed_connection");
    this.timeout = block.counter("jwks_fetch_failed_timeout");
    this.status = block.counter("jwks_fetch_failed_status");
    this.document = block.counter("jwks_fetch_failed_document");
    this.keys = block.counter("jwks_fetch_failed_keys");
  }

  /** Records that a key set's size has changed. */
  loaded(before: i32, after: i32): void {
    this.inUse.add(after - before);
  }

  /** Records that the number of waiting requests has changed. */
  waited(difference: i32): void {
    this.waiting.add(difference);
  }

  flush(): void {
    this.success.flush();
    this.failed.flush();
    this.connection.flush();
    this.timeout.flush();
    this.status.flush();
    this.document.flush();
    this.keys.flush();
  }
}

/** Records whether the host verifies signatures (`verify_signature`): 1 if it does, 0 if not. */
export function recordHostVerifies(verifies: bool): void {
  Metric.gauge("jwtgate_host_verifies_signatures").record(verifies ? 1 : 0);
}

/**
 * Records whether the host shows only a part of the names in a peer's certificate (Envoy before 1.38): 1 if so, 0 if it
 * shows all.
 */
export function recordPartialPeer(isPartial: bool): void {
  Metric.gauge("jwtgate_peer_certificate_partial").record(isPartial ? 1 : 0);
}

/** One plugin configuration's counters. Envoy sums counters of the same name over configurations and workers. */
export class Counters {
  /** Requests that passed. */
  readonly allowed: Counter;
  /** Requests refused for a bad or missing token. */
  readonly unauthenticated: Counter;
  /** Requests refused by policy. */
  readonly unauthorized: Counter;
  /** Requests answered 500 because the host failed. */
  readonly failed: Counter;
  /** CORS preflights that passed without authentication. */
  readonly preflight: Counter;
  readonly cacheHit: Counter;
  readonly cacheMiss: Counter;
  /** Requests that an AUDIT policy matched. */
  readonly audited: Counter;
  /** Requests that a dry-run policy would have refused. */
  readonly dryRunDenied: Counter;
  /** Requests that the filter would have refused outside shadow. */
  readonly shadowDenied: Counter;

  /** @param region holds the counters */
  constructor(region: Region) {
    const block = new Block(region, 10);
    this.allowed = block.counter("allowed");
    this.cacheHit = block.counter("token_cache_hit");
    this.cacheMiss = block.counter("token_cache_miss");
    this.unauthenticated = block.counter("unauthenticated");
    this.unauthorized = block.counter("unauthorized");
    this.failed = block.counter("failed");
    this.preflight = block.counter("cors_preflight_bypassed");
    this.audited = block.counter("audit_matched");
    this.dryRunDenied = block.counter("dry_run_denied");
    this.shadowDenied = block.counter("shadow_denied");
  }

  flush(): void {
    this.allowed.flush();
    this.unauthenticated.flush();
    this.unauthorized.flush();
    this.failed.flush();
    this.preflight.flush();
    this.cacheHit.flush();
    this.cacheMiss.flush();
    this.audited.flush();
    this.dryRunDenied.flush();
    this.shadowDenied.flush();
  }
}
