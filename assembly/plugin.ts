/**
 * One loaded configuration and everything that depends on it: providers and their keys, policies, the token cache,
 * waiting requests, counters. It belongs to one root context. A VM may hold several at a time; none sees another's
 * verdicts.
 */
import { Slice } from "./memory/slice";
import { Region } from "./memory/region";
import { setEffectiveContext } from "./abi/stream-control";
import { setTickPeriod } from "./abi/timer";
import { Authenticator } from "./authn/authenticator";
import { RemoteJwks } from "./authn/remote-jwks";
import { TokenCache } from "./authn/token-cache";
import { WaitingList } from "./authn/waiting-list";
import { Engine } from "./authz/engine";
import { Counters, JwksCounters } from "./metrics";

/** How often counters are passed to the host, in milliseconds. */
const FLUSH_INTERVAL: u64 = 1000;

/** How often `tick` is called while due requests are resumed, in milliseconds. Each callback resumes a few. */
const LET_GO_PERIOD: u32 = 10;

export class Plugin {
  private flushedAt: u64 = 0;
  /** The period that was last set at the host, in milliseconds. */
  private currentPeriod: u32 = 0;

  /**
   * @param region the bytes that everything here points to
   * @param tables what requests read of it
   * @param authenticator null if the configuration has no provider
   * @param remoteKeys the fetched key sets
   * @param waiting requests that wait for them
   * @param maxWait how long one may wait, in milliseconds
   * @param cache the authenticator's
   * @param engine null if the configuration has no policy
   * @param shadow decide and count, but never answer or change a request
   * @param filterState write principal, policy and reason into filter state
   * @param directAddressProperty property path of the direct peer's address, or EMPTY
   * @param peerProperty property path of the peer's principal, or EMPTY
   * @param decisionLog the limit on log lines about AUDIT, dry-run and shadow decisions
   * @param tickPeriod how often `tick` is called while no request is due, in milliseconds
   */
  constructor(
    private readonly region: Region,
    private readonly tables: Region,
    readonly authenticator: Authenticator | null,
    readonly remoteKeys: Array<RemoteJwks>,
    readonly waiting: WaitingList,
    readonly maxWait: u64,
    private readonly cache: TokenCache,
    readonly engine: Engine | null,
    readonly shadow: bool,
    readonly filterState: bool,
    readonly directAddressProperty: Slice,
    readonly peerProperty: Slice,
    readonly decisionLog: DecisionLog,
    private readonly tickPeriod: u32,
    readonly counters: Counters,
    readonly jwksCounters: JwksCounters,
  ) {}

  /** Whether requests may wait for keys. In shadow, none may. */
  // @ts-ignore: decorator
  @inline
  get mayWait(): bool {
    return this.waiting.isOpen && !this.shadow;
  }

  /** @param now milliseconds since 1970 */
  tick(now: u64): void {
    for (let i = 0; i < this.remoteKeys.length; i++) {
      const source = unchecked(this.remoteKeys[i]);
      source.tick(now);
      if (source.takeEnd()) this.waiting.release(source);
    }
    // Unsigned: if the clock was set back, the difference is large and everything is flushed now.
    if (now - this.flushedAt < FLUSH_INTERVAL) return;
    this.flushedAt = now;
    this.counters.flush();
    this.jwksCounters.flush();
    this.decisionLog.refill();
  }

  /**
   * Handles the answer to one of the filter's own calls.
   *
   * @param token of the call
   * @param now milliseconds since 1970
   * @param headerCount 0 if the call failed
   * @param bodySize in bytes
   * @returns whether a key set expected it
   */
  receive(token: u32, now: u64, headerCount: u32, bodySize: u32): bool {
    for (let i = 0; i < this.remoteKeys.length; i++) {
      const source = unchecked(this.remoteKeys[i]);
      if (!source.expects(token)) continue;
      source.receive(now, headerCount, bodySize);
      if (source.takeEnd()) this.waiting.release(source);
      return true;
    }
    return false;
  }

  /**
   * Sets the period of ticks: short while requests are due, else the usual one. Called at the end of a callback.
   *
   * @param now milliseconds since 1970
   * @param rootContextId the root context that the ticks belong to
   */
  planTicks(now: u64, rootContextId: u32): void {
    const period = this.waiting.hasDue(now) ? LET_GO_PERIOD : this.tickPeriod;
    if (period == this.currentPeriod || !setEffectiveContext(rootContextId)) return;
    this.currentPeriod = period;
    setTickPeriod(period);
  }

  /** Frees what the garbage collector does not see. The plugin must not be used afterwards. */
  dispose(): void {
    for (let i = 0; i < this.remoteKeys.length; i++) unchecked(this.remoteKeys[i]).dispose();
    this.waiting.dispose();
    this.counters.flush();
    this.jwksCounters.flush();
    this.cache.dispose();
  }
}

/** Limits how many log lines per second report decisions that change no answer. */
export class DecisionLog {
  private left: i32;

  constructor(private readonly perSecond: i32) {
    this.left = perSecond;
  }

  /** Whether a line may be written now. */
  take(): bool {
    if (this.left == 0) return false;
    this.left--;
    return true;
  }

  refill(): void {
    this.left = this.perSecond;
  }
}
