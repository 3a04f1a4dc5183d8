/**
 * One loaded configuration and everything that depends on it: providers and their keys, policies, the token cache,
 * waiting requests, counters. It belongs to one root context; a VM may hold several at a time, and none sees another's
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

/** Counters reach the host this often, in milliseconds. */
const FLUSH_INTERVAL: u64 = 1000;

/** While requests are let go, a callback at a time: how often `tick` is to be called, in milliseconds. */
const LET_GO_PERIOD: u32 = 10;

export class Plugin {
  private flushedAt: u64 = 0;
  /** What the host was asked for last, in milliseconds. */
  private currentPeriod: u32 = 0;

  /**
   * @param region the bytes that everything here points to
   * @param authenticator null where the configuration has no provider
   * @param remoteKeys key sets that are fetched
   * @param waiting requests that wait for them
   * @param maxWait how long one may wait, in milliseconds
   * @param cache the authenticator's
   * @param engine null where the configuration has no policy
   * @param shadow decide and count, but never answer or change a request
   * @param filterState put principal, policy and reason into filter state
   * @param directAddressProperty property path of the direct peer's address, or EMPTY
   * @param peerProperty property path of the peer's principal, or EMPTY
   * @param decisionLog what may still be logged of AUDIT, dry-run and shadow decisions
   * @param tickPeriod how often `tick` is to be called if no request is to be let go, in milliseconds
   */
  constructor(
    private readonly region: Region,
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

  /** Whether requests may wait for keys. In shadow none does. */
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
    // Unsigned: after the clock was set back the difference is large, and what is due is done now.
    if (now - this.flushedAt < FLUSH_INTERVAL) return;
    this.flushedAt = now;
    this.counters.flush();
    this.jwksCounters.flush();
    this.decisionLog.refill();
  }

  /**
   * Takes the answer to a call of the filter's own.
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
   * Asks the host for ticks: soon, if requests are to be let go, else at their usual period. At the end of a callback.
   *
   * @param now milliseconds since 1970
   * @param rootContextId whose ticks they are
   */
  planTicks(now: u64, rootContextId: u32): void {
    const period = this.waiting.hasDue(now) ? LET_GO_PERIOD : this.tickPeriod;
    if (period == this.currentPeriod || !setEffectiveContext(rootContextId)) return;
    this.currentPeriod = period;
    setTickPeriod(period);
  }

  /** Gives back what the garbage collector does not see. Nothing may use the plugin afterwards. */
  dispose(): void {
    for (let i = 0; i < this.remoteKeys.length; i++) unchecked(this.remoteKeys[i]).dispose();
    this.waiting.dispose();
    this.counters.flush();
    this.jwksCounters.flush();
    this.cache.dispose();
  }
}

/** Holds the log of decisions that change no answer to so many lines a second. */
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
