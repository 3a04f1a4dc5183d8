/**
 * The filter's metrics. A host call for each count would cost more than deciding, so counts are summed here and passed
 * to the host on the tick.
 */
import { Metric } from "./abi/metrics";

/** A counter of the host, with the amount that was not passed to it yet. */
export class Counter {
  private readonly metric: Metric;
  private pending: u32 = 0;

  constructor(name: string) {
    this.metric = Metric.counter(`jwtgate_${name}`);
  }

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

/** Counts the results of key fetches. The gauges belong to the VM as a whole, so they change by differences. */
export class JwksCounters {
  readonly success: Counter = new Counter("jwks_fetch_success");
  readonly failed: Counter = new Counter("jwks_fetch_failed");
  /** Parts of the failures: no connection or a broken one; no answer in time; a status other than 200. */
  readonly connection: Counter = new Counter("jwks_fetch_failed_connection");
  readonly timeout: Counter = new Counter("jwks_fetch_failed_timeout");
  readonly status: Counter = new Counter("jwks_fetch_failed_status");
  /**
   * A document that is empty, too large, not JSON, or not the issuer's discovery document; a key set without a usable
   * key.
   */
  readonly document: Counter = new Counter("jwks_fetch_failed_document");
  readonly keys: Counter = new Counter("jwks_fetch_failed_keys");
  /** Seconds since 1970. */
  readonly lastSuccess: Metric = Metric.gauge("jwtgate_jwks_last_success_seconds");
  private readonly inUse: Metric = Metric.gauge("jwtgate_jwks_keys");
  private readonly waiting: Metric = Metric.gauge("jwtgate_jwks_waiting_requests");

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
  readonly allowed: Counter = new Counter("allowed");
  /** Requests refused for a bad or missing token. */
  readonly unauthenticated: Counter = new Counter("unauthenticated");
  /** Requests refused by policy. */
  readonly unauthorized: Counter = new Counter("unauthorized");
  /** Requests answered 500 because the host failed. */
  readonly failed: Counter = new Counter("failed");
  /** CORS preflights that passed without authentication. */
  readonly preflight: Counter = new Counter("cors_preflight_bypassed");
  readonly cacheHit: Counter = new Counter("token_cache_hit");
  readonly cacheMiss: Counter = new Counter("token_cache_miss");
  /** Requests that an AUDIT policy matched. */
  readonly audited: Counter = new Counter("audit_matched");
  /** Requests that a dry-run policy would have refused. */
  readonly dryRunDenied: Counter = new Counter("dry_run_denied");
  /** Requests that the filter would have refused outside shadow. */
  readonly shadowDenied: Counter = new Counter("shadow_denied");

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
