/**
 * Remote JWKS: key sets that are fetched before traffic needs them, refreshed ahead of expiry and kept if a fetch
 * fails. A token that names an unknown key triggers an early fetch, within limits. There is one object for each key
 * set, even if several providers share it, and at most one fetch in flight.
 *
 * Every answer is treated as hostile: status, size, form and at least one usable key are checked before it replaces
 * anything.
 */
import { readHttpCallBody } from "../abi/buffer";
import { NO_CALL, get, responseHeader } from "../abi/http-call";
import { logInfo, logWarning, loggable } from "../abi/log";
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
  indexOfEither,
  lengthOf,
  pointerOf,
  startsWith,
  subslice,
} from "../memory/slice";
import { Region } from "../memory/region";
import { fingerprint, fingerprintAdd, fingerprintBegin } from "../crypto/fingerprint";
import { KeyFault } from "../crypto/key-fault";
import { JsonDocument, JsonKind, NONE, Node } from "../encoding/json";
import {
  backoffMs,
  kidMissMs,
  maxBackoffMs,
  maxJwksBytes,
  maxJwksKeys,
  maxRefreshMs,
  minRefreshMs,
  refreshMs,
  REMOTE_JWKS_DISCOVERY_FIELDS,
  REMOTE_JWKS_DISCOVERY_JWKS_HOSTS_FIELDS,
  REMOTE_JWKS_FIELDS,
  staleMs,
  timeoutMs,
} from "../config/schema";
import { Reader } from "../document/reader";
import { Uri } from "../http/uri";
import { Jws } from "../jose/jws";
import { JwkSet } from "../jose/jwks";
import { Status } from "../jose/status";
import { Counter, JwksCounters } from "../metrics";

const STATUS = new Text(":status");
const OK = new Text("200");
const LOCATION = new Text("location");
/** Envoy's router adds it to each answer of a server and to no other. */
const SERVICE_TIME = new Text("x-envoy-upstream-service-time");
/** Texts of answers that Envoy itself gives (source/common/router/router.cc, source/common/http/utility.cc). */
const NO_HEALTHY_UPSTREAM = new Text("no healthy upstream");
const REQUEST_TIMEOUT = new Text("upstream request timeout");
const RESET_REASON = new Text("reset reason: ");
const CONNECTION_FAILURE = new Text("remote connection failure");
const LOCAL_CONNECTION_FAILURE = new Text("local connection failure");
const CONNECTION_TIMEOUT = new Text("connection timeout");
const CONNECTION_TERMINATION = new Text("connection termination");
const REMOTE_RESET = new Text("remote reset");
const PROTOCOL_ERROR = new Text("protocol error");
const HTTPS = new Text("https");
/** How many bytes of such an answer are read. */
const MAX_LOCAL_REPLY: u32 = 256;
const CACHE_CONTROL = new Text("cache-control");
const MAX_AGE = new Text("max-age=");
const NO_STORE = new Text("no-store");
const NO_CACHE = new Text("no-cache");
const PEM = new Text("-----BEGIN ");
const ISSUER = new Text("issuer");
const JWKS_URI = new Text("jwks_uri");

/** How long after a call's own timeout its answer is still expected, in milliseconds. */
const LOST_CALL_GRACE: u64 = 5000;

/** An origin, besides the issuer's own, that a discovered jwks_uri may name. */
export class JwksHost {
  readonly origin: Uri = new Uri();

  constructor(readonly cluster: Slice) {}
}

/** The options of a key set. Times in milliseconds. */
export class RemoteJwksOptions {
  /** The URI of the key set, or of the OpenID Provider's configuration document. */
  uri: Slice = EMPTY;
  /** Whether `uri` is that of the configuration document. */
  discovers: bool = false;
  /** EMPTY if the document's issuer is not checked, because the provider has none to compare with. */
  issuer: Slice = EMPTY;
  hosts: Array<JwksHost> = [];
  cluster: Slice = EMPTY;
  timeout: u32 = 0;
  refresh: u64 = 0;
  minRefresh: u64 = 0;
  maxRefresh: u64 = 0;
  stale: u64 = 0;
  backoff: u64 = 0;
  maxBackoff: u64 = 0;
  kidMiss: u64 = 0;

  /**
   * @param node a provider's `remoteJwks`
   * @param issuer the provider's, or EMPTY
   */
  static load(reader: Reader, node: Node, issuer: Slice): RemoteJwksOptions {
    const options = new RemoteJwksOptions();
    if (!reader.object(node, REMOTE_JWKS_FIELDS)) return options;
    const uri = reader.get(node, "uri");
    const discovery = reader.get(node, "discovery");
    if ((uri == NONE) == (discovery == NONE)) {
      reader.fail(node, 'must have exactly one of "uri" and "discovery"');
    } else if (uri != NONE) {
      options.uri = readUri(reader, uri);
    } else if (reader.object(discovery, REMOTE_JWKS_DISCOVERY_FIELDS)) {
      options.discovers = true;
      options.issuer = issuer;
      if (issuer == EMPTY)
        reader.fail(discovery, "needs the provider's issuer to compare the document's with");
      options.uri = readUri(reader, reader.require(discovery, "uri"));
      options.hosts = readHosts(reader, reader.get(discovery, "jwksHosts"));
    }
    options.cluster = reader.nonEmptyString(reader.require(node, "cluster"));
    options.timeout = <u32>timeoutMs(reader, node);
    options.refresh = refreshMs(reader, node);
    options.minRefresh = minRefreshMs(reader, node);
    options.maxRefresh = maxRefreshMs(reader, node);
    options.stale = staleMs(reader, node);
    options.backoff = backoffMs(reader, node);
    options.maxBackoff = maxBackoffMs(reader, node);
    options.kidMiss = kidMissMs(reader, node);
    return options;
  }

  /** The shortest of its intervals. */
  get shortestInterval(): u64 {
    return min(min(this.refresh, this.minRefresh), min(this.backoff, this.kidMiss));
  }

  /** Equal for equal options, and different for most others. */
  get hash(): u64 {
    return hashOf(this.uri) ^ (hashOf(this.cluster) * 31) ^ (hashOf(this.issuer) * 961);
  }

  /** Whether one fetch can serve both: they ask for the same and treat the answer alike. */
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

function readUri(reader: Reader, node: Node): Slice {
  const text = reader.nonEmptyString(node);
  if (!reader.failed && !new Uri().parse(text)) {
    reader.fail(node, "must be an http or https URI without user information");
  }
  return text;
}

function readHosts(reader: Reader, node: Node): Array<JwksHost> {
  const hosts = new Array<JwksHost>();
  if (node == NONE || !reader.array(node)) return hosts;
  const json = reader.json;
  for (let child = json.firstChild(node); child != NONE; child = json.nextSibling(child)) {
    if (!reader.object(child, REMOTE_JWKS_DISCOVERY_JWKS_HOSTS_FIELDS)) break;
    const host = new JwksHost(reader.nonEmptyString(reader.require(child, "cluster")));
    host.origin.parse(readUri(reader, reader.require(child, "origin")));
    hosts.push(host);
  }
  return hosts;
}

/** The key sets that a configuration fetches. Providers with equal options share one. */
export class RemoteKeySets {
  readonly all: Array<RemoteJwks> = new Array<RemoteJwks>();
  /** By the hash of its options, the latest key set; `RemoteJwks.previous` leads to the others. */
  private readonly byHash: Map<u64, RemoteJwks> = new Map<u64, RemoteJwks>();
  private readonly maxBytes: u32;
  readonly maxKeys: i32;

  /**
   * @param limits of a configuration, or NONE
   * @param rootContextId the context that receives the answers
   */
  constructor(
    private readonly reader: Reader,
    limits: Node,
    private readonly rootContextId: u32,
    private readonly counters: JwksCounters,
  ) {
    this.maxBytes = <u32>maxJwksBytes(reader, limits);
    this.maxKeys = <i32>maxJwksKeys(reader, limits);
  }

  /**
   * The key set of a provider.
   *
   * @param node its `remoteJwks`
   * @param issuer its issuer, or EMPTY
   * @returns null if the configuration is faulty; the reader has recorded why
   */
  load(node: Node, issuer: Slice): RemoteJwks | null {
    const options = RemoteJwksOptions.load(this.reader, node, issuer);
    if (this.reader.failed) return null;
    const hash = options.hash;
    let first: RemoteJwks | null = null;
    if (this.byHash.has(hash)) first = this.byHash.get(hash);
    let known: RemoteJwks | null = first;
    while (known !== null) {
      const one: RemoteJwks = known;
      if (one.options.same(options)) return one;
      known = one.previous;
    }
    const source = new RemoteJwks(
      options,
      this.maxBytes,
      this.maxKeys,
      this.rootContextId,
      this.counters,
      first,
    );
    this.byHash.set(hash, source);
    this.all.push(source);
    return source;
  }
}

export class RemoteJwks {
  /** The keys in force; null if there are none or they are older than the configuration allows. */
  keys: JwkSet | null = null;

  private readonly start: Uri = new Uri();
  /** The URI of the keys: `start`, or what discovery found. */
  private readonly target: Uri = new Uri();
  private targetCluster: Slice = EMPTY;
  /** Holds the discovered jwks_uri. */
  private targetRegion: Region = new Region();
  private discovering: bool = false;

  private inFlight: bool = false;
  /** Whether a fetch has ended since `takeEnd`. */
  private hasEnded: bool = false;
  /** Whether the latest fetch has certainly failed and no other has begun. */
  private failedForCertain: bool = false;
  private token: u32 = 0;
  private startedAt: u64 = 0;
  /** When the latest fetch ended. */
  private endedAt: u64 = 0;
  private fetchedAt: u64 = 0;
  private nextFetchAt: u64 = 0;
  private failures: i32 = 0;
  /** When the latest refetch for an unknown kid began. */
  private kidMissAt: u64 = 0;
  /** Whether requests wait for a refetch that `kidMiss` has not allowed yet. */
  private isRefetchWanted: bool = false;
  /** Fingerprint of the document that the keys in force came from. */
  private document: u64 = 0;
  /** How many keys are loaded, as last added to the gauge. */
  private keyCount: i32 = 0;
  /** The latest kids of keys that were removed from the set. */
  private readonly retired: KidTimes = new KidTimes(RETIRED_KIDS);
  /** Unknown kids, with the time at which the refetch for them began or will begin. */
  private readonly asked: KidTimes = new KidTimes(ASKED_KIDS);

  /**
   * @param maxBytes a larger answer is refused
   * @param maxKeys a set with more keys is refused
   * @param rootContextId the context that receives the answers
   * @param previous another key set whose options have the same hash
   */
  constructor(
    readonly options: RemoteJwksOptions,
    private readonly maxBytes: u32,
    private readonly maxKeys: i32,
    private readonly rootContextId: u32,
    private readonly counters: JwksCounters,
    readonly previous: RemoteJwks | null,
  ) {
    this.start.parse(options.uri);
  }

  /**
   * Starts a fetch if one is due, and expires old keys. Runs in the root context.
   *
   * @param now milliseconds since 1970
   */
  tick(now: u64): void {
    if (now < max(this.startedAt, this.endedAt)) this.forgetTimes(now);
    if (this.inFlight && now > this.startedAt + this.options.timeout + LOST_CALL_GRACE) {
      this.inFlight = false;
      this.fail(now, this.counters.timeout, "no answer came", false);
    }
    if (this.keys && this.failures > 0 && now > this.fetchedAt + this.options.stale) {
      this.keys = null;
      this.counters.loaded(this.keyCount, 0);
      this.keyCount = 0;
      logWarning(`jwtgate: ${this.name}: the keys are older than staleMs allows and no longer used`);
    }
    if (this.inFlight) return;
    if (this.isRefetchWanted && now >= this.refetchAt) this.refetch(now);
    else if (now >= this.nextFetchAt) this.fetch(now);
  }

  /** @returns whether a fetch has ended since the last call */
  takeEnd(): bool {
    const hasEnded = this.hasEnded;
    this.hasEnded = false;
    return hasEnded;
  }

  /** Whether waiting for first keys can help: there are none, and the latest fetch has not certainly failed. */
  get mayBringFirstKeys(): bool {
    return !this.keys && !this.failedForCertain;
  }

  /** The clock was set back: makes everything planned due now, and no recorded time later than now. */
  private forgetTimes(now: u64): void {
    this.startedAt = now;
    this.endedAt = now;
    this.fetchedAt = min(this.fetchedAt, now);
    this.nextFetchAt = now;
    this.kidMissAt = 0;
    this.asked.clear();
  }

  /** Starts a fetch. Runs in the root context. */
  private fetch(now: u64): void {
    this.discovering = this.options.discovers;
    this.isRefetchWanted = false;
    this.failedForCertain = false;
    this.startedAt = now;
    this.call(now, this.start, this.options.cluster);
  }

  private call(now: u64, uri: Uri, cluster: Slice): void {
    const token = get(cluster, uri.scheme, uri.authority, uri.pathAndQuery, this.options.timeout);
    this.inFlight = token != NO_CALL;
    this.token = <u32>token;
    if (!this.inFlight)
      this.fail(now, this.counters.connection, "the proxy has no such cluster, or refuses the call", true);
  }

  /** Whether the answer to call `token` is for this key set. */
  expects(token: u32): bool {
    return this.inFlight && this.token == token;
  }

  /**
   * Handles the answer to the current call.
   *
   * @param headerCount 0 if there is no answer because the call failed
   * @param bodySize in bytes; checked before anything is copied
   */
  receive(now: u64, headerCount: u32, bodySize: u32): void {
    this.inFlight = false;
    const status = responseHeader(STATUS.slice);
    if (!equals(status, OK.slice)) return this.refuse(now, headerCount, status, bodySize);
    if (bodySize == 0) return this.fail(now, this.counters.document, "the answer is empty", true);
    if (bodySize > this.maxBytes) {
      const size = bodySize.toString();
      return this.fail(
        now,
        this.counters.document,
        `the answer has ${size} bytes, more than maxJwksBytes`,
        true,
      );
    }
    const maxAge = this.lifetime(responseHeader(CACHE_CONTROL.slice));
    const body = readHttpCallBody(bodySize);
    const document = fingerprintOf(body);
    // Most fetches return the same document. It is not parsed again, and tokens verified under its keys stay valid.
    if (!this.discovering && this.keys && document == this.document) return this.keep(now, maxAge);
    const json = new JsonDocument();
    if (lengthOf(body) != <i32>bodySize || !json.parse(body)) {
      return this.fail(now, this.counters.document, `the answer is not JSON${looksLike(body)}`, true);
    }
    if (this.discovering) return this.discover(now, json);
    const fault = new KeyFault();
    if (!this.take(json, fault))
      return this.fail(now, this.counters.keys, `the answer is not a key set: ${fault.reason}`, true);
    this.document = document;
    this.keep(now, maxAge);
  }

  /**
   * Handles an answer whose status is not 200. Envoy itself answers if no server did: such an answer lacks the header
   * that its router adds to servers' answers, and its body is one of the router's own texts.
   */
  private refuse(now: u64, headerCount: u32, status: Slice, bodySize: u32): void {
    const counters = this.counters;
    const isServers = lengthOf(responseHeader(SERVICE_TIME.slice)) > 0;
    const text = isServers || bodySize == 0 ? EMPTY : readHttpCallBody(min(bodySize, MAX_LOCAL_REPLY));
    if (headerCount == 0 || holds(text, RESET_REASON.slice)) {
      if (holds(text, CONNECTION_TIMEOUT.slice)) {
        return this.fail(now, counters.timeout, "no connection was made in time", false);
      }
      if (holds(text, CONNECTION_TERMINATION.slice) || holds(text, REMOTE_RESET.slice)) {
        return this.fail(
          now,
          counters.connection,
          "the server closed the connection without an answer",
          true,
        );
      }
      if (holds(text, PROTOCOL_ERROR.slice)) {
        return this.fail(now, counters.connection, "the server does not speak HTTP/1.1", true);
      }
      const refused = holds(text, CONNECTION_FAILURE.slice) || holds(text, LOCAL_CONNECTION_FAILURE.slice);
      if (refused && !equals(this.called.scheme, HTTPS.slice)) {
        return this.fail(now, counters.connection, "the server refused the connection", true);
      }
      if (refused) {
        return this.fail(
          now,
          counters.connection,
          "the server refused the connection, or its certificate was refused (another name, an unknown authority, expired)",
          true,
        );
      }
      return this.fail(now, counters.connection, "the connection failed", true);
    }
    if (startsWith(text, NO_HEALTHY_UPSTREAM.slice)) {
      return this.fail(now, counters.connection, "the server's name has no address", true);
    }
    // A timeout says nothing about the next fetch.
    if (startsWith(text, REQUEST_TIMEOUT.slice)) {
      return this.fail(now, counters.timeout, "the server did not answer in time", false);
    }
    const code = loggable(status);
    const location = responseHeader(LOCATION.slice);
    if (byteAt(status, 0) == 0x33 /* 3 */ && lengthOf(location) > 0) {
      const query = indexOfEither(location, 0x3f /* ? */, 0x23 /* # */);
      const to = loggable(query < 0 ? location : subslice(location, 0, query));
      return this.fail(
        now,
        counters.status,
        `the answer's status is ${code}, a redirect to ${to}, which is not followed`,
        true,
      );
    }
    this.fail(now, counters.status, `the answer's status is ${code}, not 200`, true);
  }

  /** OpenID Connect Discovery 1.0, section 4.3: the issuer must be the one that was asked for. */
  private discover(now: u64, json: JsonDocument): void {
    const issuer = json.member(json.root, ISSUER.slice);
    const jwksUri = json.member(json.root, JWKS_URI.slice);
    if (
      issuer == NONE ||
      json.kind(issuer) != JsonKind.String ||
      jwksUri == NONE ||
      json.kind(jwksUri) != JsonKind.String
    ) {
      return this.fail(
        now,
        this.counters.document,
        'the discovery document lacks "issuer" or "jwks_uri"',
        true,
      );
    }
    if (!equals(json.text(issuer), this.options.issuer)) {
      return this.fail(now, this.counters.document, "the discovery document is of another issuer", true);
    }
    this.targetRegion = new Region();
    if (!this.target.parse(this.targetRegion.keep(json.text(jwksUri)))) {
      return this.fail(
        now,
        this.counters.document,
        "the discovery document's jwks_uri is not an http(s) URI in ASCII without user information",
        true,
      );
    }
    this.targetCluster = this.clusterOf(this.target);
    if (this.targetCluster == EMPTY) {
      return this.fail(
        now,
        this.counters.document,
        "the discovery document's jwks_uri has another origin than the issuer; name its host with --jwks-host",
        true,
      );
    }
    this.discovering = false;
    this.call(now, this.target, this.targetCluster);
  }

  /** The URI that the current call asked for. */
  private get called(): Uri {
    return this.options.discovers && !this.discovering ? this.target : this.start;
  }

  private clusterOf(uri: Uri): Slice {
    if (uri.sameOrigin(this.start)) return this.options.cluster;
    const hosts = this.options.hosts;
    for (let i = 0; i < hosts.length; i++) {
      if (hosts[i].origin.sameOrigin(uri)) return hosts[i].cluster;
    }
    return EMPTY;
  }

  /**
   * Puts the document's keys in force.
   *
   * @param fault set to why there are none
   * @returns whether there is a usable key
   */
  private take(json: JsonDocument, fault: KeyFault): bool {
    const keys = JwkSet.loadDocument(json, this.maxKeys, fault);
    if (!keys) return false;
    const previous = this.keys;
    if (previous) this.noteRetired(previous, keys);
    if (!previous) logInfo(`jwtgate: ${this.name}: ${keys.keys.length.toString()} keys loaded`);
    if (keys.skipped.length > 0 && (!previous || previous.skipped.length != keys.skipped.length)) {
      logWarning(`jwtgate: ${this.name}: unusable keys skipped: ${keys.skipped.join("; ")}`);
    }
    this.keys = keys;
    this.counters.loaded(this.keyCount, keys.keys.length);
    this.keyCount = keys.keys.length;
    return true;
  }

  /** Remembers the kids that `before` has and `after` does not, and forgets those that have come back. */
  private noteRetired(before: JwkSet, after: JwkSet): void {
    for (let i = 0; i < before.keys.length; i++) {
      const kid = before.keys[i].kid;
      if (lengthOf(kid) > 0 && !after.hasKid(kid)) this.retired.note(hashOf(kid), 1);
    }
    for (let i = 0; i < after.keys.length; i++) this.retired.forget(hashOf(after.keys[i].kid));
  }

  /** Ends the fetch: the keys in force are current. */
  private keep(now: u64, lifetime: u64): void {
    if (this.failures > 0) logInfo(`jwtgate: ${this.name}: fetched again`);
    this.counters.success.add(1);
    this.counters.lastSuccess.record(now / 1000);
    this.failures = 0;
    this.fetchedAt = now;
    this.endedAt = now;
    this.nextFetchAt = now + ahead(lifetime);
    this.hasEnded = true;
  }

  /**
   * Ends the fetch: the last good keys stay, and the next attempt comes after a back-off.
   *
   * @param kind the counter of failures of this kind
   * @param isCertain true if the server or the proxy refused; false if no answer came in time
   */
  private fail(now: u64, kind: Counter, reason: string, isCertain: bool): void {
    const delay = min(this.options.maxBackoff, this.options.backoff << (<u64>min(this.failures, 20)));
    if (this.failures == 0) {
      const meanwhile = this.keys ? "the last good keys stay in use" : "there are no keys";
      logWarning(`jwtgate: ${this.name}: fetch failed: ${reason}; ${meanwhile}`);
    }
    this.failures++;
    this.counters.failed.add(1);
    kind.add(1);
    this.nextFetchAt = now + ahead(delay);
    this.endedAt = now;
    this.failedForCertain = isCertain;
    this.hasEnded = true;
  }

  /** How long the answer is valid, in milliseconds: max-age within limits, or the configured interval. */
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
   * Handles a token that passed all checks except that of its signature. Starts a refetch if one may help and is
   * allowed. Runs in the root context or in a stream's.
   *
   * @param deadline when the request's wait ends, in milliseconds since 1970; 0 if it has not begun
   * @param maxWait how long it may wait, in milliseconds
   * @returns whether the request should wait for the end of the next fetch
   */
  mayHelp(jws: Jws, deadline: u64, maxWait: u64): bool {
    const keys = this.keys;
    // Without keys, every token of the issuer waits until a fetch has certainly failed.
    if (!keys) return this.inFlight || this.mayBringFirstKeys;
    const hash = kidHash(jws);
    // Tokens signed with a removed key keep arriving for a while. They trigger no fetch.
    if (this.retired.timeOf(hash) != 0) return false;
    const now = nowMilliseconds();
    const mayRefetch = !this.inFlight && (this.kidMissAt == 0 || now >= this.refetchAt);
    if (keys.hasKid(jws.kid)) {
      // The key may have been replaced under the same kid, but more likely the token is forged. The request does not
      // wait.
      if (mayRefetch && now > this.fetchedAt + this.options.kidMiss) this.refetchFromStream(now);
      return false;
    }
    if (this.inFlight) return true;
    if (mayRefetch) {
      this.asked.note(hash, now);
      this.refetchFromStream(now);
      return this.inFlight;
    }
    const askedAt = this.asked.timeOf(hash);
    if (this.isRefetchWanted && askedAt == this.refetchAt) return true;
    // A refetch for it has just ended without the key.
    if (askedAt != 0 && now < askedAt + 2 * this.options.kidMiss) return false;
    if (this.refetchAt > (deadline != 0 ? deadline : now + maxWait)) return false;
    this.isRefetchWanted = true;
    this.asked.note(hash, this.refetchAt);
    return true;
  }

  /** When the next refetch for an unknown kid is allowed. */
  private get refetchAt(): u64 {
    return this.kidMissAt + this.options.kidMiss;
  }

  /** Starts a fetch for an unknown kid. Runs in the root context. */
  private refetch(now: u64): void {
    this.kidMissAt = now;
    this.fetch(now);
  }

  /** As `refetch`, in a stream's context. The root context receives the answer, because the stream may end first. */
  private refetchFromStream(now: u64): void {
    const streamId = currentStream();
    if (!setEffectiveContext(this.rootContextId)) return;
    this.refetch(now);
    setEffectiveContext(streamId);
  }

  /** Subtracts its keys from the gauge. */
  dispose(): void {
    this.counters.loaded(this.keyCount, 0);
    this.keyCount = 0;
  }

  private get name(): string {
    return String.UTF8.decodeUnsafe(pointerOf(this.options.uri), <usize>lengthOf(this.options.uri));
  }
}

/** What a body that is not JSON looks like, in brackets; "" if unknown. */
function looksLike(body: Slice): string {
  const first = byteAt(body, 0);
  const second = lengthOf(body) > 1 ? byteAt(body, 1) : 0;
  if (first == 0x1f && second == 0x8b) return " (it is compressed with gzip)";
  if (first == 0xef && second == 0xbb) return " (it begins with a byte order mark)";
  if ((first == 0xff && second == 0xfe) || (first == 0xfe && second == 0xff)) return " (it is UTF-16)";
  let start = 0;
  while (start < lengthOf(body) && byteAt(body, start) <= 0x20) start++;
  const text = subslice(body, start, lengthOf(body));
  if (startsWith(text, PEM.slice)) return " (it is PEM)";
  return lengthOf(text) > 0 && byteAt(text, 0) == 0x3c /* < */ ? " (it is HTML or XML)" : "";
}

/** Whether a text of at most `MAX_LOCAL_REPLY` bytes contains `part`. */
function holds(text: Slice, part: Slice): bool {
  for (let i = 0; i + lengthOf(part) <= lengthOf(text); i++) {
    if (startsWith(subslice(text, i, lengthOf(text)), part)) return true;
  }
  return false;
}

/** Identifies a document by SHA-256, so that one set is never mistaken for another. */
function fingerprintOf(document: Slice): u64 {
  fingerprintBegin();
  fingerprintAdd(document);
  return fingerprint();
}

/** How many kids of removed keys are remembered. */
const RETIRED_KIDS: i32 = 32;
/** How many unknown kids are remembered for which a refetch was started. */
const ASKED_KIDS: i32 = 64;

/** The latest few kids, each with a time. */
class KidTimes {
  private readonly hashes: StaticArray<u64>;
  private readonly times: StaticArray<u64>;
  private next: i32 = 0;

  constructor(size: i32) {
    this.hashes = new StaticArray<u64>(size);
    this.times = new StaticArray<u64>(size);
  }

  /** @param time other than 0 */
  note(hash: u64, time: u64): void {
    let i = this.hashes.indexOf(hash);
    if (i < 0) {
      i = this.next;
      this.next = (i + 1) % this.hashes.length;
    }
    unchecked((this.hashes[i] = hash));
    unchecked((this.times[i] = time));
  }

  /** @returns 0 if the kid is not there */
  timeOf(hash: u64): u64 {
    const i = this.hashes.indexOf(hash);
    return i < 0 ? 0 : unchecked(this.times[i]);
  }

  forget(hash: u64): void {
    const i = this.hashes.indexOf(hash);
    if (i >= 0) unchecked((this.hashes[i] = 0));
  }

  clear(): void {
    this.hashes.fill(0);
  }
}

/** The hash of a token's kid, or of the empty kid if the token has none. Never FIRST_KEYS. */
export function kidHash(jws: Jws): u64 {
  return hashOf(jws.kid);
}

/**
 * FNV-1a, never 0. An attacker who makes two kids collide makes them wait together, or makes one count as the other:
 * each collision costs or saves one refetch.
 */
function hashOf(kid: Slice): u64 {
  let hash: u64 = 0xcbf29ce484222325;
  for (let i = 0; i < lengthOf(kid); i++) hash = (hash ^ (<u64>byteAt(kid, i))) * 0x100000001b3;
  return max<u64>(hash, 1);
}

/** Between 80 and 95 % of an interval, so that proxies that started together fetch at different times. */
function ahead(interval: u64): u64 {
  return (interval * 80 + interval * randomBelow(16, 10)) / 100;
}

/** The digits as seconds, at most a year. */
function parseSeconds(text: Slice): u64 {
  let seconds: u64 = 0;
  for (let i = 0; i < lengthOf(text); i++) {
    const digit = <u64>byteAt(text, i) - 0x30;
    if (digit > 9) break;
    seconds = min<u64>(seconds * 10 + digit, 31_536_000);
  }
  return seconds;
}
