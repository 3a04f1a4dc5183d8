/**
 * Keys that live elsewhere: fetched before traffic needs them, refreshed ahead of expiry, kept when a fetch fails, and
 * fetched early, within limits, when a token names a key that is not there. One object a key set, whichever providers
 * share it; one fetch in flight at a time.
 *
 * What comes back is hostile until proven: status, size, form and at least one usable key are checked before it
 * replaces anything.
 */
import { readHttpCallBody } from "../abi/buffer";
import { callToken, get, responseHeader } from "../abi/http-call";
import { logInfo, logWarning } from "../abi/log";
import { nowMilliseconds } from "../abi/clock";
import { randomBelow } from "../abi/random";
import { currentStream, setEffectiveContext } from "../abi/stream-control";
import {
  EMPTY,
  Slice,
  Text,
  byteAt,
  equals,
  indexOfByte,
  lengthOf,
  pointerOf,
  startsWith,
  subslice,
} from "../abi/slice";
import { Region } from "../abi/region";
import { fingerprint, fingerprintAdd, fingerprintBegin } from "../crypto/fingerprint";
import { JsonDocument, JsonKind, NONE } from "../encoding/json";
import { Uri } from "../http/uri";
import { Jws } from "../jose/jws";
import { JwkSet } from "../jose/jwks";
import { Status } from "../jose/status";
import { JwksCounters } from "../metrics";

const STATUS = new Text(":status");
const OK = new Text("200");
const CACHE_CONTROL = new Text("cache-control");
const MAX_AGE = new Text("max-age=");
const NO_STORE = new Text("no-store");
const NO_CACHE = new Text("no-cache");
const ISSUER = new Text("issuer");
const KEYS = new Text("keys");
const JWKS_URI = new Text("jwks_uri");

/** Beyond a call's own timeout, in milliseconds, after which its answer is no longer expected. */
const LOST_CALL_GRACE: u64 = 5000;

/** An origin, besides the issuer's own, that a discovered jwks_uri may name. */
export class JwksHost {
  readonly origin: Uri = new Uri();

  constructor(readonly cluster: Slice) {}
}

/** What the configuration says of a key set. Times in milliseconds. */
export class RemoteJwksOptions {
  /** Of the key set, or of the OpenID Provider's configuration document. */
  uri: Slice = EMPTY;
  /** Whether `uri` is that of the configuration document. */
  discovers: bool = false;
  /** EMPTY where the document's issuer is not checked (there is none to compare with). */
  issuer: Slice = EMPTY;
  hosts: Array<JwksHost> = [];
  cluster: Slice = EMPTY;
  timeout: u32 = 5_000;
  refresh: u64 = 300_000;
  minRefresh: u64 = 30_000;
  maxRefresh: u64 = 3_600_000;
  stale: u64 = 86_400_000;
  backoff: u64 = 1_000;
  maxBackoff: u64 = 60_000;
  kidMiss: u64 = 5_000;
  maxBytes: u32 = 262_144;
  maxKeys: i32 = 100;

  /** Whether both ask for the same and say the same of it, so that one fetch can serve both. */
  same(other: RemoteJwksOptions): bool {
    return (
      equals(this.uri, other.uri) &&
      this.discovers == other.discovers &&
      equals(this.issuer, other.issuer) &&
      equals(this.cluster, other.cluster) &&
      this.timeout == other.timeout &&
      this.refresh == other.refresh &&
      this.minRefresh == other.minRefresh &&
      this.maxRefresh == other.maxRefresh &&
      this.stale == other.stale &&
      this.backoff == other.backoff &&
      this.maxBackoff == other.maxBackoff &&
      this.kidMiss == other.kidMiss &&
      this.sameHosts(other.hosts)
    );
  }

  private sameHosts(others: Array<JwksHost>): bool {
    if (this.hosts.length != others.length) return false;
    for (let i = 0; i < others.length; i++) {
      const host = this.hosts[i];
      if (!host.origin.sameOrigin(others[i].origin) || !equals(host.cluster, others[i].cluster)) return false;
    }
    return true;
  }
}

export class RemoteJwks {
  /** The keys in force; null while there are none, or when they are older than the configuration allows. */
  keys: JwkSet | null = null;

  private readonly start: Uri = new Uri();
  /** Where the keys are: `start`, or what discovery found. */
  private readonly target: Uri = new Uri();
  private targetCluster: Slice = EMPTY;
  /** Holds the discovered jwks_uri. */
  private targetRegion: Region = new Region();
  private discovering: bool = false;

  private inFlight: bool = false;
  private token: u32 = 0;
  private startedAt: u64 = 0;
  private fetchedAt: u64 = 0;
  private nextFetchAt: u64 = 0;
  private failures: i32 = 0;
  private kidMissAt: u64 = 0;
  /** Fingerprint of the document that the keys in force are of. */
  private document: u64 = 0;
  /** How many keys are loaded, as the gauge knows it. */
  private keyCount: i32 = 0;
  private readonly retired: RetiredKids = new RetiredKids();

  /**
   * @param rootContextId where answers come to
   */
  constructor(
    readonly options: RemoteJwksOptions,
    private readonly rootContextId: u32,
    private readonly counters: JwksCounters,
  ) {
    this.start.parse(options.uri);
  }

  /**
   * Does what is due. In the root context.
   *
   * @param now milliseconds since 1970
   */
  tick(now: u64): void {
    if (now < this.startedAt) this.forgetTimes(now);
    if (this.inFlight && now > this.startedAt + this.options.timeout + LOST_CALL_GRACE) {
      this.inFlight = false;
      this.fail(now, "no answer came");
    }
    if (this.keys && this.failures > 0 && now > this.fetchedAt + this.options.stale) {
      this.keys = null;
      this.counters.loaded(this.keyCount, 0);
      this.keyCount = 0;
      logWarning(`jwtgate: ${this.name}: the keys are older than staleMs allows and no longer used`);
    }
    if (!this.inFlight && now >= this.nextFetchAt) this.fetch(now);
  }

  /** The clock was set back: what was planned by it is due now, and nothing is younger than now. */
  private forgetTimes(now: u64): void {
    this.startedAt = now;
    this.fetchedAt = min(this.fetchedAt, now);
    this.nextFetchAt = now;
    this.kidMissAt = 0;
  }

  /** Begins a fetch. In the root context. */
  private fetch(now: u64): void {
    this.discovering = this.options.discovers;
    this.startedAt = now;
    this.call(now, this.start, this.options.cluster);
  }

  private call(now: u64, uri: Uri, cluster: Slice): void {
    this.inFlight = get(cluster, uri.scheme, uri.authority, uri.pathAndQuery, this.options.timeout);
    this.token = callToken;
    if (!this.inFlight) this.fail(now, "the proxy has no such cluster, or refuses the call");
  }

  /** Whether the answer to call `token` belongs here. */
  expects(token: u32): bool {
    return this.inFlight && this.token == token;
  }

  /**
   * Takes the answer at hand.
   *
   * @param headerCount 0 where there was none: the call failed
   * @param bodySize in bytes; looked at before anything is copied
   * @returns whether the fetch has come to an end
   */
  receive(now: u64, headerCount: u32, bodySize: u32): bool {
    this.inFlight = false;
    if (headerCount == 0) return this.fail(now, "the connection failed");
    const status = responseHeader(STATUS.slice);
    if (!equals(status, OK.slice)) return this.fail(now, "the answer's status is not 200");
    if (bodySize == 0) return this.fail(now, "the answer is empty");
    if (bodySize > this.options.maxBytes) {
      return this.fail(now, `the answer has ${bodySize.toString()} bytes, more than maxJwksBytes`);
    }
    const maxAge = this.lifetime(responseHeader(CACHE_CONTROL.slice));
    const body = readHttpCallBody(bodySize);
    const document = fingerprintOf(body);
    // Most fetches bring what is there already: nothing is read again, and tokens verified under it stay good.
    if (!this.discovering && this.keys && document == this.document) return this.keep(now, maxAge);
    const json = new JsonDocument();
    if (lengthOf(body) != <i32>bodySize || !json.parse(body)) return this.fail(now, "the answer is not JSON");
    if (this.discovering) return this.discover(now, json);
    const isTaken = this.take(json);
    if (!isTaken) return this.fail(now, `the answer is no key set: ${JwkSet.refusal}`);
    this.document = document;
    return this.keep(now, maxAge);
  }

  /** OpenID Connect Discovery 1.0, section 4.3: the issuer must be the one that was asked for. */
  private discover(now: u64, json: JsonDocument): bool {
    const issuer = json.member(json.root, ISSUER.slice);
    const jwksUri = json.member(json.root, JWKS_URI.slice);
    if (
      issuer == NONE ||
      json.kind(issuer) != JsonKind.String ||
      jwksUri == NONE ||
      json.kind(jwksUri) != JsonKind.String
    ) {
      return this.fail(now, 'the discovery document lacks "issuer" or "jwks_uri"');
    }
    if (!equals(json.text(issuer), this.options.issuer)) {
      return this.fail(now, "the discovery document is of another issuer");
    }
    this.targetRegion = new Region();
    if (!this.target.parse(this.targetRegion.keep(json.text(jwksUri)))) {
      return this.fail(now, "the discovery document's jwks_uri is no http(s) URI");
    }
    this.targetCluster = this.clusterOf(this.target);
    if (this.targetCluster == EMPTY) {
      return this.fail(
        now,
        "the discovery document's jwks_uri has another origin than the issuer; name its host with --jwks-host",
      );
    }
    this.discovering = false;
    this.call(now, this.target, this.targetCluster);
    return !this.inFlight;
  }

  private clusterOf(uri: Uri): Slice {
    if (uri.sameOrigin(this.start)) return this.options.cluster;
    const hosts = this.options.hosts;
    for (let i = 0; i < hosts.length; i++) {
      if (hosts[i].origin.sameOrigin(uri)) return hosts[i].cluster;
    }
    return EMPTY;
  }

  /** Puts the document's keys in force. @returns false, and JwkSet's refusal, where it is no set with a usable key */
  private take(json: JsonDocument): bool {
    const keys = JwkSet.load(json, json.member(json.root, KEYS.slice), this.options.maxKeys);
    if (!keys) return false;
    const previous = this.keys;
    if (previous) this.retired.note(previous, keys);
    if (!previous) logInfo(`jwtgate: ${this.name}: ${keys.keys.length.toString()} keys loaded`);
    if (keys.skipped.length > 0 && (!previous || previous.skipped.length != keys.skipped.length)) {
      logWarning(`jwtgate: ${this.name}: unusable keys skipped: ${keys.skipped.join("; ")}`);
    }
    this.keys = keys;
    this.counters.loaded(this.keyCount, keys.keys.length);
    this.keyCount = keys.keys.length;
    return true;
  }

  /** The keys in force were fetched just now. @returns true: the fetch has come to an end */
  private keep(now: u64, lifetime: u64): bool {
    if (this.failures > 0) logInfo(`jwtgate: ${this.name}: fetched again`);
    this.counters.success.add(1);
    this.counters.lastSuccess.record(now / 1000);
    this.failures = 0;
    this.fetchedAt = now;
    this.nextFetchAt = now + ahead(lifetime);
    return true;
  }

  /** The last good keys stay; the next try comes after a back-off. @returns true: the fetch has come to an end */
  private fail(now: u64, reason: string): bool {
    const delay = min(this.options.maxBackoff, this.options.backoff << (<u64>min(this.failures, 20)));
    if (this.failures == 0) {
      const meanwhile = this.keys ? "the last good keys stay in use" : "there are no keys";
      logWarning(`jwtgate: ${this.name}: fetch failed: ${reason}; ${meanwhile}`);
    }
    this.failures++;
    this.counters.failed.add(1);
    this.nextFetchAt = now + ahead(delay);
    return true;
  }

  /** How long the answer is good for, in milliseconds: max-age within limits, or what the configuration says. */
  private lifetime(cacheControl: Slice): u64 {
    const options = this.options;
    let start = 0;
    while (start < lengthOf(cacheControl)) {
      const comma = indexOfByte(cacheControl, 0x2c /* , */, start);
      const end = comma < 0 ? lengthOf(cacheControl) : comma;
      while (start < end && byteAt(cacheControl, start) == 0x20) start++;
      const directive = subslice(cacheControl, start, end);
      if (equals(directive, NO_STORE.slice) || equals(directive, NO_CACHE.slice)) return options.minRefresh;
      if (startsWith(directive, MAX_AGE.slice)) {
        const seconds = parseSeconds(subslice(directive, lengthOf(MAX_AGE.slice), lengthOf(directive)));
        return min(max(seconds * 1000, options.minRefresh), options.maxRefresh);
      }
      start = end + 1;
    }
    return options.refresh;
  }

  /**
   * A token passed all checks but that of its signature. Whether it should wait for other keys: a fetch is in flight, or
   * one that may help is allowed now and was begun. In the root context or a stream's.
   */
  mayHelp(jws: Jws): bool {
    const keys = this.keys;
    // Without keys every token of the issuer waits: they may come with any of the next fetches.
    if (!keys) return true;
    const now = nowMilliseconds();
    // Tokens of a key that was taken out of the set go on coming for a while. They are no reason to ask.
    if (this.retired.has(jws.kid)) return false;
    const kidIsUnknown = lengthOf(jws.kid) > 0 && !keys.hasKid(jws.kid);
    if (!kidIsUnknown && now <= this.fetchedAt + this.options.kidMiss) return false;
    if (this.inFlight) return true;
    if (this.kidMissAt != 0 && now < this.kidMissAt + this.options.kidMiss) return false;
    this.kidMissAt = now;
    // The answer is to come to the root context: the stream may end before it.
    const streamId = currentStream();
    if (!setEffectiveContext(this.rootContextId)) return false;
    this.fetch(now);
    if (!setEffectiveContext(streamId)) return false;
    return this.inFlight;
  }

  /** Takes its keys out of the gauge. */
  dispose(): void {
    this.counters.loaded(this.keyCount, 0);
    this.keyCount = 0;
  }

  private get name(): string {
    return String.UTF8.decodeUnsafe(pointerOf(this.options.uri), <usize>lengthOf(this.options.uri));
  }
}

/** SHA-256 tells documents apart, so that a set is never taken for another. */
function fingerprintOf(document: Slice): u64 {
  fingerprintBegin();
  fingerprintAdd(document);
  return fingerprint();
}

/** How many kids of keys that are gone are kept in mind. */
const RETIRED_KIDS: i32 = 32;

/** The kids of keys that were taken out of the set, the latest of them. */
class RetiredKids {
  private readonly hashes: StaticArray<u64> = new StaticArray<u64>(RETIRED_KIDS);
  private next: i32 = 0;

  /** Takes note of what `before` names and `after` does not, and forgets what has come back. */
  note(before: JwkSet, after: JwkSet): void {
    for (let i = 0; i < before.keys.length; i++) {
      const kid = before.keys[i].kid;
      if (lengthOf(kid) == 0 || after.hasKid(kid) || this.has(kid)) continue;
      unchecked((this.hashes[this.next] = hashOf(kid)));
      this.next = (this.next + 1) % RETIRED_KIDS;
    }
    for (let i = 0; i < after.keys.length; i++) {
      const found = this.hashes.indexOf(hashOf(after.keys[i].kid));
      if (found >= 0) unchecked((this.hashes[found] = 0));
    }
  }

  has(kid: Slice): bool {
    return lengthOf(kid) > 0 && this.hashes.indexOf(hashOf(kid)) >= 0;
  }
}

/** FNV-1a. Only keys' owners put names in; a collision costs one early refetch. Never 0. */
function hashOf(kid: Slice): u64 {
  let hash: u64 = 0xcbf29ce484222325;
  for (let i = 0; i < lengthOf(kid); i++) hash = (hash ^ (<u64>byteAt(kid, i))) * 0x100000001b3;
  return max<u64>(hash, 1);
}

/** Between 80 and 95 % of an interval, so that proxies that started together do not fetch together. */
function ahead(interval: u64): u64 {
  return (interval * 80 + interval * randomBelow(16, 10)) / 100;
}

/** Digits as seconds, at most a year. */
function parseSeconds(text: Slice): u64 {
  let seconds: u64 = 0;
  for (let i = 0; i < lengthOf(text); i++) {
    const digit = <u64>byteAt(text, i) - 0x30;
    if (digit > 9) break;
    seconds = min<u64>(seconds * 10 + digit, 31_536_000);
  }
  return seconds;
}
