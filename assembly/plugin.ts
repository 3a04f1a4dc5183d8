/**
 * One loaded configuration and everything that depends on it: providers and their keys, policies, the token cache,
 * waiting requests, counters. It belongs to one root context; a VM may hold several at a time, and none sees another's
 * verdicts.
 */
import { Slice } from "./abi/slice";
import { Region } from "./abi/region";
import { Authenticator } from "./authn/authenticator";
import { RemoteJwks } from "./authn/remote-jwks";
import { TokenCache } from "./authn/token-cache";
import { WaitingList } from "./authn/waiting-list";
import { Engine } from "./authz/engine";
import { Counters, JwksCounters } from "./metrics";

/** Counters reach the host this often, in milliseconds. */
const FLUSH_INTERVAL: u64 = 1000;

export class Plugin {
  private flushedAt: u64 = 0;

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
   * @param decisionLog what may still be logged of AUDIT, dry-run and shadow decisions
   * @param tickPeriod how often `tick` is to be called, in milliseconds
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
    readonly decisionLog: DecisionLog,
    readonly tickPeriod: u32,
    readonly counters: Counters,
    readonly jwksCounters: JwksCounters,
  ) {}

  /** @param now milliseconds since 1970 */
  tick(now: u64): void {
    for (let i = 0; i < this.remoteKeys.length; i++) unchecked(this.remoteKeys[i]).tick(now);
    // Unsigned: after the clock was set back the difference is large, and what is due is done now.
    if (now - this.flushedAt < FLUSH_INTERVAL) return;
    this.flushedAt = now;
    this.counters.flush();
    this.jwksCounters.flush();
    this.decisionLog.refill();
  }

  /** Gives back what the garbage collector does not see. Nothing may use the plugin afterwards. */
  dispose(): void {
    for (let i = 0; i < this.remoteKeys.length; i++) unchecked(this.remoteKeys[i]).dispose();
    this.jwksCounters.waited(-this.waiting.count);
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
