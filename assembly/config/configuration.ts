/**
 * The plugin configuration (tools/config/schema.ts is its one definition) becomes a Plugin, whole or not at all.
 */
import { EMPTY, Slice, Text, byteAt, equals, indexOfByte, lengthOf, pointerOf, slice } from "../abi/slice";
import { logInfo, logWarning } from "../abi/log";
import { Region } from "../abi/region";
import { AuthenticationLimits, Authenticator } from "../authn/authenticator";
import { Extractor } from "../authn/extractor";
import { Place, PlaceKind } from "../authn/place";
import { ClaimToHeader, Provider } from "../authn/provider";
import { JwksHost, RemoteJwks, RemoteJwksOptions } from "../authn/remote-jwks";
import { TokenCache } from "../authn/token-cache";
import { WaitingList } from "../authn/waiting-list";
import { Engine } from "../authz/engine";
import { hostVerifies } from "../crypto/host-verifier";
import { JsonDocument, JsonKind, NONE, Node } from "../encoding/json";
import { looksAlike } from "../http/request";
import { Uri } from "../http/uri";
import { JwkSet } from "../jose/jwks";
import { Counters, JwksCounters, recordHostVerifies } from "../metrics";
import { DecisionLog, Plugin } from "../plugin";
import { Reader } from "./reader";

/** The version of the format that this module reads. */
const VERSION: i32 = 1;
/** Rules, lists and conditions nest; tokens' limit is of no concern here. */
const MAX_DEPTH: i32 = 100;

const FIELDS: StaticArray<string> = [
  "version",
  "compiler",
  "shadow",
  "filterState",
  "removeLookalikes",
  "directRemoteAddress",
  "providers",
  "authorization",
  "limits",
  "tokenCache",
  "contents",
];
const PROVIDER_FIELDS: StaticArray<string> = [
  "name",
  "policy",
  "issuer",
  "audiences",
  "localJwks",
  "remoteJwks",
  "fromHeaders",
  "fromParams",
  "fromCookies",
  "forward",
  "forwardPayloadHeader",
  "claimToHeaders",
  "spaceDelimitedClaims",
  "presence",
  "clockSkewSeconds",
];
const LIMIT_FIELDS: StaticArray<string> = [
  "maxTokenBytes",
  "maxTokens",
  "maxKeysTried",
  "maxJwksBytes",
  "maxJwksKeys",
  "maxWaitingRequests",
  "maxWaitMs",
  "maxDecisionLogsPerSecond",
];

/** Policies see these as lists whatever the provider says (istiod adds them to every rule). */
const SCOPE = new Text("scope");
const PERMISSION = new Text("permission");
const REQUIRED = new Text("REQUIRED");
const OPTIONAL = new Text("OPTIONAL");
const HOST = new Text("host");
/** What a token (RFC 9110 section 5.6.2) may have beside letters and digits. */
const TOKEN_SYMBOLS = new Text("!#$%&'*+-.^_`|~");
/** Where a request ends, or what protocol follows it: no claim's business. */
const FRAMING: StaticArray<Text> = [
  new Text("connection"),
  new Text("content-length"),
  new Text("transfer-encoding"),
  new Text("upgrade"),
];
const FILTER_STATE = new Text("filter_state\0");

/** What loading came to: a plugin, or an error as `/pointer: what is wrong`. */
export class Loaded {
  plugin: Plugin | null = null;
  error: string = "";
}

/**
 * @param text the configuration, JSON; may be in the arena
 * @param rootContextId to which it belongs
 */
export function loadPlugin(text: Slice, rootContextId: u32): Loaded {
  const loaded = new Loaded();
  const json = new JsonDocument();
  if (lengthOf(text) == 0) {
    loaded.error = "the configuration is empty: give the plugin what `jwtgate compile` prints";
    return loaded;
  }
  if (!json.parse(text, MAX_DEPTH)) {
    loaded.error = `the configuration is not JSON: ${json.errorMessage} at byte ${json.errorOffset.toString()}`;
    return loaded;
  }
  const region = new Region();
  const reader = new Reader(json, region);
  loaded.plugin = new PluginReader(reader, rootContextId).read();
  if (reader.failed) {
    loaded.plugin = null;
    loaded.error = reader.error;
  }
  return loaded;
}

/** A member that the filter has no use for: a string, where it is there. */
function checkForPeople(reader: Reader, object: Node, name: string): void {
  const node = reader.get(object, name);
  if (node != NONE) reader.string(node);
}

/** Limits that are not the authenticator's. */
class FetchLimits {
  maxJwksBytes: u32 = 262_144;
  maxJwksKeys: i32 = 100;
}

/** Finds out who verifies signatures of RSA and ECDSA, before the first key is read, and says it. */
function tryHost(): void {
  const verifies = hostVerifies();
  recordHostVerifies(verifies);
  if (verifies) {
    logInfo("jwtgate: the host verifies signatures of RSA and ECDSA (verify_signature)");
  } else {
    logWarning(
      "jwtgate: the host has no verify_signature: RSA is verified in Wasm, and ECDSA keys cannot be used",
    );
  }
}

class PluginReader {
  private readonly limits: AuthenticationLimits = new AuthenticationLimits();
  private readonly fetchLimits: FetchLimits = new FetchLimits();
  private readonly remoteKeys: Array<RemoteJwks> = new Array<RemoteJwks>();
  private readonly jwksCounters: JwksCounters = new JwksCounters();
  private maxWaitingRequests: i32 = 1000;
  private maxWait: u64 = 5000;
  private maxDecisionLogs: i32 = 10;
  /** Whether headers that look like the filter's own are removed. */
  private removesLookalikes: bool = false;

  constructor(
    private readonly reader: Reader,
    private readonly rootContextId: u32,
  ) {}

  read(): Plugin | null {
    const reader = this.reader;
    const root = reader.json.root;
    if (!this.isReadableVersion(root) || !reader.object(root, FIELDS) || !this.isWhole(root)) return null;
    tryHost();
    checkForPeople(reader, root, "compiler");
    this.readLimits(reader.get(root, "limits"));
    const authorization = reader.get(root, "authorization");
    let engine: Engine | null = null;
    if (authorization != NONE) engine = Engine.load(reader, authorization);
    const directAddress = reader.get(root, "directRemoteAddress");
    const directAddressProperty =
      directAddress == NONE
        ? EMPTY
        : filterStateProperty(reader.region, reader.nonEmptyString(directAddress));
    const shadow = reader.flag(root, "shadow");
    const filterState = reader.flag(root, "filterState");
    this.removesLookalikes = reader.flag(root, "removeLookalikes");
    if (reader.failed) return null;
    // The cache's memory is not the collector's: what can still fail gives it back.
    const cache = readTokenCache(reader, reader.get(root, "tokenCache"));
    if (!cache) return null;
    const authenticator = this.readAuthenticator(reader.get(root, "providers"), cache, engine);
    this.checkContents(root, engine);
    if (reader.failed) {
      cache.dispose();
      return null;
    }
    return new Plugin(
      reader.region,
      authenticator,
      this.remoteKeys,
      new WaitingList(this.remoteKeys.length == 0 ? 0 : this.maxWaitingRequests),
      this.maxWait,
      cache,
      engine,
      shadow,
      filterState,
      directAddressProperty,
      new DecisionLog(this.maxDecisionLogs),
      this.tickPeriod(),
      new Counters(),
      this.jwksCounters,
    );
  }

  /** Asked first: what another version calls its fields is not for this one to judge. */
  private isReadableVersion(root: Node): bool {
    const reader = this.reader;
    const version = reader.get(root, "version");
    if (reader.json.kind(root) != JsonKind.Object) {
      reader.fail(root, "must be an object");
    } else if (version == NONE) {
      reader.fail(root, 'lacks "version": give the plugin what `jwtgate compile` prints');
    } else if (reader.json.kind(version) != JsonKind.Number || reader.json.number(version) != <f64>VERSION) {
      reader.fail(
        version,
        `is not ${VERSION.toString()}, the version that this module reads; compile with jwtgate 0.1`,
      );
    }
    return !reader.failed;
  }

  /** What was cut off, by a line end that only some YAML readers know or by a full disk, lacks its last member. */
  private isWhole(root: Node): bool {
    if (this.reader.get(root, "contents") != NONE) return true;
    this.reader.fail(
      root,
      'lacks "contents", with which every configuration ends: it was cut off, or an earlier jwtgate wrote it; compile the policies again',
    );
    return false;
  }

  /** What lost a part would let through what the whole refuses. */
  private checkContents(root: Node, engine: Engine | null): void {
    const reader = this.reader;
    const contents = reader.get(root, "contents");
    if (!reader.object(contents, ["providers", "rules"])) return;
    const providers = reader.get(root, "providers");
    const providerCount = providers == NONE ? 0 : reader.json.size(providers);
    this.checkCount(reader.require(contents, "providers"), providerCount, "providers");
    this.checkCount(reader.require(contents, "rules"), engine ? engine.ruleCount : 0, "rules");
    if (providerCount == 0 && !engine) {
      reader.fail(
        root,
        'has no "providers" and no "authorization", and would let everything through: compile policies into it',
      );
    }
  }

  private checkCount(node: Node, actual: i32, what: string): void {
    const reader = this.reader;
    const written = <i32>reader.integer(node, 0, i32.MAX_VALUE);
    if (written == actual) return;
    reader.fail(
      node,
      `the compiler wrote ${written.toString()} ${what}, and here are ${actual.toString()}: a part was lost or added on the way; compile the policies again`,
    );
  }

  private readLimits(node: Node): void {
    const reader = this.reader;
    if (node == NONE || !reader.object(node, LIMIT_FIELDS)) return;
    const limits = this.limits;
    limits.maxTokenBytes = <i32>reader.integerOr(node, "maxTokenBytes", 256, 65_536, 16_384);
    limits.maxTokens = <i32>reader.integerOr(node, "maxTokens", 1, 64, 8);
    limits.maxKeysTried = <i32>reader.integerOr(node, "maxKeysTried", 1, 100, 16);
    const fetch = this.fetchLimits;
    fetch.maxJwksBytes = <u32>reader.integerOr(node, "maxJwksBytes", 1_024, 4_194_304, 262_144);
    fetch.maxJwksKeys = <i32>reader.integerOr(node, "maxJwksKeys", 1, 1_000, 100);
    this.maxWaitingRequests = <i32>reader.integerOr(node, "maxWaitingRequests", 0, 100_000, 1_000);
    this.maxWait = reader.integerOr(node, "maxWaitMs", 1, 60_000, 5_000);
    this.maxDecisionLogs = <i32>reader.integerOr(node, "maxDecisionLogsPerSecond", 0, 1_000, 10);
  }

  /** Often enough for the shortest interval of the configuration, at least once a second. */
  private tickPeriod(): u32 {
    let shortest: u64 = 10_000;
    for (let i = 0; i < this.remoteKeys.length; i++) {
      const options = this.remoteKeys[i].options;
      shortest = min(shortest, min(options.refresh, options.minRefresh));
      shortest = min(shortest, min(options.backoff, options.kidMiss));
      shortest = min(shortest, this.maxWait);
    }
    return <u32>max<u64>(shortest / 10, 10);
  }

  private readAuthenticator(node: Node, cache: TokenCache, engine: Engine | null): Authenticator | null {
    const reader = this.reader;
    if (node == NONE || !reader.array(node)) return null;
    const json = reader.json;
    const count = json.size(node);
    if (count == 0) return null;
    const providers = new StaticArray<Provider>(count);
    const placesOf = new Array<Array<Place>>();
    const allPlaces = new Array<Place>();
    let index = 0;
    for (let child = json.firstChild(node); child != NONE; child = json.nextSibling(child)) {
      const places = new Array<Place>();
      const provider = this.readProvider(child, places);
      if (reader.failed) return null;
      provider.index = index;
      unchecked((providers[index++] = provider));
      placesOf.push(places);
      for (let i = 0; i < places.length; i++) allPlaces.push(places[i]);
    }
    const extractor = new Extractor();
    extractor.configure(allPlaces);
    for (let i = 0; i < count; i++) {
      const provider = providers[i];
      provider.looksAt = extractor.select(placesOf[i]);
      provider.writesPlaces = extractor.looksAtHeader(provider.payloadHeader);
      for (let j = 0; j < provider.claimsToHeaders.length; j++) {
        if (extractor.looksAtHeader(provider.claimsToHeaders[j].headerName)) provider.writesPlaces = true;
      }
    }
    return new Authenticator(providers, extractor, cache, engine, this.limits, this.removesLookalikes);
  }

  private readProvider(node: Node, places: Array<Place>): Provider {
    const reader = this.reader;
    const provider = new Provider();
    if (!reader.object(node, PROVIDER_FIELDS)) return provider;
    provider.name = reader.nonEmptyString(reader.require(node, "name"));
    checkForPeople(reader, node, "policy");
    const issuer = reader.get(node, "issuer");
    if (issuer != NONE) provider.issuer = reader.nonEmptyString(issuer);
    provider.audiences = reader.strings(reader.get(node, "audiences"));
    this.readKeys(node, provider);
    readPlaces(reader, node, places);
    provider.forward = reader.flag(node, "forward");
    const payloadHeader = reader.get(node, "forwardPayloadHeader");
    if (payloadHeader != NONE) provider.payloadHeader = this.readOutputHeaderName(payloadHeader);
    provider.claimsToHeaders = this.readClaimsToHeaders(reader.get(node, "claimToHeaders"));
    provider.spaceDelimitedClaims = readSpaceDelimitedClaims(
      reader,
      reader.get(node, "spaceDelimitedClaims"),
    );
    provider.required = readPresence(reader, reader.get(node, "presence"));
    provider.clockSkew = reader.integerOr(node, "clockSkewSeconds", 0, 3_600, 60);
    return provider;
  }

  private readClaimsToHeaders(node: Node): StaticArray<ClaimToHeader> {
    const reader = this.reader;
    if (node == NONE || !reader.array(node)) return [];
    const json = reader.json;
    const claims = new StaticArray<ClaimToHeader>(json.size(node));
    let i = 0;
    for (let child = json.firstChild(node); child != NONE; child = json.nextSibling(child)) {
      const valid = reader.object(child, ["headerName", "claimName"]);
      const headerName = valid ? this.readOutputHeaderName(reader.require(child, "headerName")) : EMPTY;
      const claimName = valid ? reader.nonEmptyString(reader.require(child, "claimName")) : EMPTY;
      unchecked((claims[i++] = new ClaimToHeader(headerName, claimName)));
    }
    return claims;
  }

  /** The name of a header that this filter writes, and so removes from every request, with its lookalikes or without. */
  private readOutputHeaderName(node: Node): Slice {
    const reader = this.reader;
    const name = readHeaderName(reader, node);
    for (let i = 0; i < FRAMING.length; i++) {
      const framing = FRAMING[i].slice;
      if (equals(name, framing) || (this.removesLookalikes && looksAlike(name, framing))) {
        reader.fail(node, "must not be a header that frames the request");
      }
    }
    return name;
  }

  private readKeys(node: Node, provider: Provider): void {
    const reader = this.reader;
    const local = reader.get(node, "localJwks");
    const remote = reader.get(node, "remoteJwks");
    if ((local == NONE) == (remote == NONE)) {
      reader.fail(node, 'must have exactly one of "localJwks" and "remoteJwks"');
    } else if (local != NONE) {
      provider.localKeys = this.readLocalKeys(local);
    } else {
      const options = readRemoteJwks(reader, remote, provider.issuer);
      options.maxBytes = this.fetchLimits.maxJwksBytes;
      options.maxKeys = this.fetchLimits.maxJwksKeys;
      if (!reader.failed) provider.remoteKeys = this.share(options);
    }
  }

  private readLocalKeys(node: Node): JwkSet | null {
    const reader = this.reader;
    if (!reader.object(node, ["keys"])) return null;
    const keys = reader.require(node, "keys");
    const set = JwkSet.load(reader.json, keys, this.fetchLimits.maxJwksKeys);
    if (!set) reader.fail(keys, JwkSet.refusal);
    return set;
  }

  /** Providers whose keys are fetched in the same way share what is fetched. */
  private share(options: RemoteJwksOptions): RemoteJwks {
    for (let i = 0; i < this.remoteKeys.length; i++) {
      if (this.remoteKeys[i].options.same(options)) return this.remoteKeys[i];
    }
    const source = new RemoteJwks(options, this.rootContextId, this.jwksCounters);
    this.remoteKeys.push(source);
    return source;
  }
}

const REMOTE_FIELDS: StaticArray<string> = [
  "uri",
  "discovery",
  "cluster",
  "timeoutMs",
  "refreshMs",
  "minRefreshMs",
  "maxRefreshMs",
  "staleMs",
  "backoffMs",
  "maxBackoffMs",
  "kidMissMs",
];

function readRemoteJwks(reader: Reader, node: Node, issuer: Slice): RemoteJwksOptions {
  const options = new RemoteJwksOptions();
  if (!reader.object(node, REMOTE_FIELDS)) return options;
  const uri = reader.get(node, "uri");
  const discovery = reader.get(node, "discovery");
  if ((uri == NONE) == (discovery == NONE)) {
    reader.fail(node, 'must have exactly one of "uri" and "discovery"');
  } else if (uri != NONE) {
    options.uri = readUri(reader, uri);
  } else if (reader.object(discovery, ["uri", "jwksHosts"])) {
    options.discovers = true;
    options.issuer = issuer;
    if (issuer == EMPTY) reader.fail(discovery, "needs the provider's issuer to compare the document's with");
    options.uri = readUri(reader, reader.require(discovery, "uri"));
    options.hosts = readJwksHosts(reader, reader.get(discovery, "jwksHosts"));
  }
  options.cluster = reader.nonEmptyString(reader.require(node, "cluster"));
  options.timeout = <u32>reader.integerOr(node, "timeoutMs", 1, 300_000, 5_000);
  options.refresh = reader.integerOr(node, "refreshMs", 20, 86_400_000, 300_000);
  options.minRefresh = reader.integerOr(node, "minRefreshMs", 20, 86_400_000, 30_000);
  options.maxRefresh = reader.integerOr(node, "maxRefreshMs", 20, 86_400_000, 3_600_000);
  options.stale = reader.integerOr(node, "staleMs", 0, 2_592_000_000, 86_400_000);
  options.backoff = reader.integerOr(node, "backoffMs", 10, 3_600_000, 1_000);
  options.maxBackoff = reader.integerOr(node, "maxBackoffMs", 10, 3_600_000, 60_000);
  options.kidMiss = reader.integerOr(node, "kidMissMs", 10, 3_600_000, 5_000);
  return options;
}

function readUri(reader: Reader, node: Node): Slice {
  const text = reader.nonEmptyString(node);
  if (!reader.failed && !new Uri().parse(text)) {
    reader.fail(node, "must be an http or https URI without user information");
  }
  return text;
}

function readJwksHosts(reader: Reader, node: Node): Array<JwksHost> {
  const hosts = new Array<JwksHost>();
  if (node == NONE || !reader.array(node)) return hosts;
  const json = reader.json;
  for (let child = json.firstChild(node); child != NONE; child = json.nextSibling(child)) {
    if (!reader.object(child, ["origin", "cluster"])) break;
    const host = new JwksHost(reader.nonEmptyString(reader.require(child, "cluster")));
    host.origin.parse(readUri(reader, reader.require(child, "origin")));
    hosts.push(host);
  }
  return hosts;
}

function readTokenCache(reader: Reader, node: Node): TokenCache | null {
  let maxEntries: i64 = 4096;
  let maxBytes: i64 = 4 * 1024 * 1024;
  if (node != NONE && reader.object(node, ["maxEntries", "maxBytes"])) {
    maxEntries = reader.integerOr(node, "maxEntries", 0, 1_000_000, maxEntries);
    maxBytes = reader.integerOr(node, "maxBytes", 0, 268_435_456, maxBytes);
  }
  if (reader.failed) return null;
  const cache = TokenCache.create(<i32>maxEntries, <u32>maxBytes);
  if (!cache) {
    reader.fail(
      node,
      "the host gives no random bytes (WASI random_get), which the token cache's hash is seeded with",
    );
  }
  return cache;
}

function readPlaces(reader: Reader, provider: Node, places: Array<Place>): void {
  const json = reader.json;
  const headers = reader.get(provider, "fromHeaders");
  if (headers != NONE && reader.array(headers)) {
    for (let child = json.firstChild(headers); child != NONE; child = json.nextSibling(child)) {
      if (!reader.object(child, ["name", "valuePrefix"])) return;
      const name = readHeaderName(reader, reader.require(child, "name"));
      const prefix = reader.get(child, "valuePrefix");
      places.push(new Place(PlaceKind.Header, name, prefix == NONE ? EMPTY : reader.nonEmptyString(prefix)));
    }
  }
  readNamedPlaces(reader, reader.get(provider, "fromParams"), PlaceKind.Parameter, places);
  readNamedPlaces(reader, reader.get(provider, "fromCookies"), PlaceKind.Cookie, places);
  if (!reader.failed && places.length == 0) {
    reader.fail(provider, 'must say where tokens are: "fromHeaders", "fromParams" or "fromCookies"');
  }
}

function readNamedPlaces(reader: Reader, node: Node, kind: PlaceKind, places: Array<Place>): void {
  if (node == NONE || !reader.array(node)) return;
  const json = reader.json;
  for (let child = json.firstChild(node); child != NONE; child = json.nextSibling(child)) {
    places.push(new Place(kind, reader.nonEmptyString(child), EMPTY));
  }
}

/** A header's name: a token (RFC 9110 section 5.6.2) in lower case, so that it compares with what the host shows. */
function readHeaderName(reader: Reader, node: Node): Slice {
  const name = reader.nonEmptyString(node);
  for (let i = 0; i < lengthOf(name); i++) {
    const c = byteAt(name, i);
    const isAlphanumeric = <u8>(c - 0x61) < 26 || <u8>(c - 0x30) < 10;
    if (!isAlphanumeric && indexOfByte(TOKEN_SYMBOLS.slice, c) < 0) {
      reader.fail(node, "must be a header name in lower case");
      break;
    }
  }
  // To Envoy it is `:authority`, without which no request goes on.
  if (equals(name, HOST.slice)) reader.fail(node, "must not be the Host header");
  return name;
}

function readSpaceDelimitedClaims(reader: Reader, node: Node): StaticArray<Slice> {
  const more = reader.strings(node);
  const claims = new StaticArray<Slice>(more.length + 2);
  unchecked((claims[0] = SCOPE.slice));
  unchecked((claims[1] = PERMISSION.slice));
  for (let i = 0; i < more.length; i++) unchecked((claims[i + 2] = more[i]));
  return claims;
}

function readPresence(reader: Reader, node: Node): bool {
  if (node == NONE) return false;
  const presence = reader.string(node);
  if (equals(presence, REQUIRED.slice)) return true;
  if (!equals(presence, OPTIONAL.slice)) reader.fail(node, 'must be "OPTIONAL" or "REQUIRED"');
  return false;
}

/** `filter_state`, NUL, the key: the property path of a filter state object. */
function filterStateProperty(region: Region, key: Slice): Slice {
  const prefix = FILTER_STATE.slice;
  const size = lengthOf(prefix) + lengthOf(key);
  const target = region.allocate(size);
  memory.copy(target, pointerOf(prefix), <usize>lengthOf(prefix));
  memory.copy(target + <usize>lengthOf(prefix), pointerOf(key), <usize>lengthOf(key));
  return slice(target, size);
}
