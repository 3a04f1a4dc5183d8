/**
 * Loads the plugin configuration (defined by tools/config/schema.ts) into a Plugin, as a whole or not at all. Each part
 * reads its own part of the document; this file puts them together.
 */
import { logInfo, logWarning } from "./abi/log";
import { AuthenticationLimits, Authenticator } from "./authn/authenticator";
import { Extractor } from "./authn/extractor";
import { Location } from "./authn/location";
import { Provider } from "./authn/provider";
import { RemoteKeySets } from "./authn/remote-jwks";
import { TokenCache } from "./authn/token-cache";
import { TokenEvaluator } from "./authn/token-evaluator";
import { WaitingList } from "./authn/waiting-list";
import { Engine } from "./authz/engine";
import { hostVerifies } from "./crypto/host-verifier";
import { Reader } from "./document/reader";
import { JsonDocument, JsonKind, NONE, Node } from "./encoding/json";
import { EMPTY, Slice, Text, lengthOf } from "./memory/slice";
import { Region } from "./memory/region";
import { Counters, JwksCounters, recordHostVerifies } from "./metrics";
import { DecisionLog, Plugin } from "./plugin";
import {
  CONFIGURATION_FIELDS,
  CONTENTS_FIELDS,
  LIMITS_FIELDS,
  maxDecisionLogsPerSecond,
} from "./config/schema";

/** The version of the format that this module reads. */
const VERSION: i32 = 1;
/** How deep rules, lists and conditions may be nested. */
const MAX_DEPTH: i32 = 100;

/** `filter_state`, NUL and the key are the property path of a filter state object. */
const FILTER_STATE = new Text("filter_state\0");

/** The longest and the shortest time between two ticks, in milliseconds. */
const MAX_TICK_PERIOD: u64 = 1_000;
const MIN_TICK_PERIOD: u64 = 10;

/** The result of loading: a plugin, or an error as `/pointer: what is wrong`. */
export class Loaded {
  plugin: Plugin | null = null;
  error: string = "";
}

/**
 * @param text the configuration, JSON; may be in the arena
 * @param rootContextId the root context that it belongs to
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
  const reader = new Reader(json, new Region());
  loaded.plugin = load(reader, rootContextId);
  if (reader.failed) {
    loaded.plugin = null;
    loaded.error = reader.error;
  }
  return loaded;
}

function load(reader: Reader, rootContextId: u32): Plugin | null {
  const root = reader.json.root;
  if (!isReadableVersion(reader) || !reader.object(root, CONFIGURATION_FIELDS) || !isWhole(reader))
    return null;
  probeHostVerifier();
  reader.ignoreString(root, "compiler");
  const limits = reader.get(root, "limits");
  if (limits != NONE) reader.object(limits, LIMITS_FIELDS);
  const jwksCounters = new JwksCounters(reader.region);
  const keySets = new RemoteKeySets(reader, limits, rootContextId, jwksCounters);
  const authenticationLimits = AuthenticationLimits.load(reader, limits);
  const decisionLog = new DecisionLog(<i32>maxDecisionLogsPerSecond(reader, limits));
  const authorization = reader.get(root, "authorization");
  let engine: Engine | null = null;
  if (authorization != NONE) engine = Engine.load(reader, authorization);
  const directAddressProperty = filterStateProperty(reader, root, "directRemoteAddress");
  const peerProperty = filterStateProperty(reader, root, "peerPrincipal");
  const shadow = reader.flag(root, "shadow");
  const filterState = reader.flag(root, "filterState");
  const removesLookalikes = reader.flag(root, "removeLookalikes");
  if (reader.failed) return null;
  const providers = readProviders(reader, reader.get(root, "providers"), keySets, removesLookalikes);
  checkContents(reader, providers.length, engine);
  // The garbage collector does not free the cache's memory, so nothing after this may fail.
  const cache = TokenCache.load(reader, reader.get(root, "tokenCache"));
  if (!cache || reader.failed) {
    if (cache) cache.dispose();
    return null;
  }
  let authenticator: Authenticator | null = null;
  if (providers.length > 0) {
    const extractor = connect(reader.tables, providers);
    const evaluator = engine ? new PolicyPredicates(engine) : null;
    authenticator = new Authenticator(
      providers,
      extractor,
      cache,
      evaluator,
      authenticationLimits,
      removesLookalikes,
    );
  }
  return new Plugin(
    reader.region,
    reader.tables,
    authenticator,
    keySets.all,
    WaitingList.load(reader, limits, keySets.all.length > 0, jwksCounters),
    authenticationLimits.maxWait,
    cache,
    engine,
    shadow,
    filterState,
    directAddressProperty,
    peerProperty,
    decisionLog,
    tickPeriod(keySets, authenticationLimits.maxWait),
    new Counters(reader.tables),
    jwksCounters,
  );
}

/** The property path of the filter state that a field names; EMPTY if it names none. */
function filterStateProperty(reader: Reader, root: Node, field: string): Slice {
  const key = reader.get(root, field);
  return key == NONE ? EMPTY : reader.region.join(FILTER_STATE.slice, reader.nonEmptyString(key));
}

/** The version is checked first, because another version may name its fields differently. */
function isReadableVersion(reader: Reader): bool {
  const root = reader.json.root;
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

/**
 * Whether the configuration is complete. A line end that only some YAML readers know, or a full disk, can cut it off;
 * then its end is missing.
 */
function isWhole(reader: Reader): bool {
  const root = reader.json.root;
  if (reader.get(root, "contents") != NONE) return true;
  reader.fail(
    root,
    'lacks "contents", with which every configuration ends: it was cut off, or an earlier jwtgate wrote it; compile the policies again',
  );
  return false;
}

/**
 * Checks the counts of providers and rules. A configuration that lost a part could allow requests that the
 * complete one refuses.
 */
function checkContents(reader: Reader, providerCount: i32, engine: Engine | null): void {
  const root = reader.json.root;
  const contents = reader.get(root, "contents");
  if (!reader.object(contents, CONTENTS_FIELDS)) return;
  checkCount(reader, reader.require(contents, "providers"), providerCount, "providers");
  checkCount(reader, reader.require(contents, "rules"), engine ? engine.ruleCount : 0, "rules");
  if (providerCount == 0 && !engine) {
    reader.fail(
      root,
      'has no "providers" and no "authorization", and would let everything through: compile policies into it',
    );
  }
}

function checkCount(reader: Reader, node: Node, actual: i32, what: string): void {
  const written = <i32>reader.integer(node, 0, i32.MAX_VALUE);
  if (written == actual) return;
  reader.fail(
    node,
    `the compiler wrote ${written.toString()} ${what}, but there are ${actual.toString()} here: a part was lost or added; compile the policies again`,
  );
}

/** Tests whether the host verifies signatures, before the first key is read, and logs the result. */
function probeHostVerifier(): void {
  const verifies = hostVerifies();
  recordHostVerifies(verifies);
  if (verifies) {
    logInfo("jwtgate: the host verifies signatures of RSA and on P-256 (verify_signature)");
  } else {
    logInfo("jwtgate: the host has no verify_signature: RSA and P-256 are verified in Wasm");
  }
}

function readProviders(
  reader: Reader,
  node: Node,
  keySets: RemoteKeySets,
  removesLookalikes: bool,
): StaticArray<Provider> {
  if (node == NONE || !reader.array(node)) return [];
  const json = reader.json;
  const providers = new StaticArray<Provider>(json.size(node));
  let index = 0;
  for (let child = json.firstChild(node); child != NONE; child = json.nextSibling(child)) {
    providers[index] = Provider.load(reader, child, index, keySets, removesLookalikes);
    if (reader.failed) return [];
    index++;
  }
  return providers;
}

/** Makes an extractor for the locations of all providers. @param tables holds what requests read */
function connect(tables: Region, providers: StaticArray<Provider>): Extractor {
  const extractor = new Extractor();
  const locations = new Array<Location>();
  for (let i = 0; i < providers.length; i++) {
    const own = providers[i].locations;
    for (let k = 0; k < own.length; k++) locations.push(own[k]);
  }
  extractor.configure(tables, locations);
  for (let i = 0; i < providers.length; i++) providers[i].connect(extractor);
  return extractor;
}

/** The time between two ticks that suits the shortest interval of the configuration, in milliseconds. */
function tickPeriod(keySets: RemoteKeySets, maxWait: u64): u32 {
  let shortest = 10 * MAX_TICK_PERIOD;
  for (let i = 0; i < keySets.all.length; i++) {
    shortest = min(shortest, min(keySets.all[i].options.shortestInterval, maxWait));
  }
  return <u32>max(shortest / 10, MIN_TICK_PERIOD);
}

/** Evaluates the policies' predicates that depend on a token alone, once it is verified. */
class PolicyPredicates extends TokenEvaluator {
  constructor(private readonly engine: Engine) {
    super();
  }

  get tokenPredicateBytes(): i32 {
    return this.engine.tokenPredicateBytes;
  }

  evaluateToken(payload: JsonDocument, spaceDelimited: StaticArray<Slice>, bits: usize): void {
    this.engine.evaluateToken(payload, spaceDelimited, bits);
  }
}
