/** One JWT rule, as Envoy's JwtProvider: its issuer, keys, locations and outputs. */
import {
  clockSkewSeconds,
  PROVIDER_CLAIM_TO_HEADERS_FIELDS,
  PROVIDER_FIELDS,
  PROVIDER_FROM_HEADERS_FIELDS,
  PROVIDER_LOCAL_JWKS_FIELDS,
} from "../config/schema";
import { KeyFault } from "../crypto/key-fault";
import { Reader } from "../document/reader";
import { NONE, Node } from "../encoding/json";
import { looksAlike } from "../http/request";
import { JwkSet } from "../jose/jwks";
import { EMPTY, Slice, Text, byteAt, equals, indexOfByte, lengthOf } from "../memory/slice";
import { Extractor } from "./extractor";
import { Location, LocationKind } from "./location";
import { RemoteJwks, RemoteKeySets } from "./remote-jwks";
import { TokenConstraints } from "./token-constraints";

/** Claims that policies always see as lists (istiod adds them to every rule). */
const SCOPE = new Text("scope");
const PERMISSION = new Text("permission");
const REQUIRED = new Text("REQUIRED");
const OPTIONAL = new Text("OPTIONAL");
const HOST = new Text("host");
/** The characters besides letters and digits that a token (RFC 9110 section 5.6.2) may have. */
const TOKEN_SYMBOLS = new Text("!#$%&'*+-.^_`|~");
/** Framing headers; never a claim's output. */
const FRAMING: StaticArray<Text> = [
  new Text("connection"),
  new Text("content-length"),
  new Text("transfer-encoding"),
  new Text("upgrade"),
];

/** A claim that is forwarded as a request header. */
export class ClaimToHeader {
  /**
   * @param headerName lower-case
   * @param claimName a dot selects a member of an object
   */
  constructor(
    readonly headerName: Slice,
    readonly claimName: Slice,
  ) {}
}

export class Provider {
  /** `origins-N`. */
  name: Slice = 0;
  /** EMPTY if `iss` is not checked. */
  issuer: Slice = 0;
  /** Empty if `aud` is not checked. */
  audiences: StaticArray<Slice> = [];
  /** Keys from the configuration; null if they are fetched. */
  localKeys: JwkSet | null = null;
  /** Fetched keys; null if the configuration has the keys. */
  remoteKeys: RemoteJwks | null = null;
  /** Where it looks for tokens. */
  readonly locations: Array<Location> = new Array<Location>();
  /** By location of the extractor: whether this provider uses it. */
  looksAt: StaticArray<bool> = [];
  /** Whether the token stays in the request. */
  forward: bool = false;
  /** Lower-case; EMPTY for none. */
  payloadHeader: Slice = 0;
  claimsToHeaders: StaticArray<ClaimToHeader> = [];
  /** Whether one of its outputs is a header in which some provider looks for tokens. */
  writesLocations: bool = false;
  /** Top-level string claims that policies see as lists. */
  spaceDelimitedClaims: StaticArray<Slice> = [];
  /** Whether a request without a token of this provider is refused. */
  required: bool = false;
  /** How far clocks may differ, in seconds, for `exp`, `nbf` and `iat`. */
  clockSkew: u64 = 0;
  /** What it also asks of tokens; null for nothing. */
  constraints: TokenConstraints | null = null;

  /** @param index its position in the configuration; providers are tried in this order */
  private constructor(readonly index: i32) {}

  /**
   * Loads a provider; the reader has recorded any fault.
   *
   * @param index its position in the configuration
   * @param keySets the fetched key sets
   * @param removesLookalikes whether lookalikes of its outputs are removed
   */
  static load(
    reader: Reader,
    node: Node,
    index: i32,
    keySets: RemoteKeySets,
    removesLookalikes: bool,
  ): Provider {
    const provider = new Provider(index);
    if (!reader.object(node, PROVIDER_FIELDS)) return provider;
    provider.name = reader.nonEmptyString(reader.require(node, "name"));
    reader.ignoreString(node, "policy");
    const issuer = reader.get(node, "issuer");
    if (issuer != NONE) provider.issuer = reader.nonEmptyString(issuer);
    provider.audiences = reader.strings(reader.get(node, "audiences"));
    provider.loadKeys(reader, node, keySets);
    provider.loadPlaces(reader, node);
    provider.forward = reader.flag(node, "forward");
    const payloadHeader = reader.get(node, "forwardPayloadHeader");
    if (payloadHeader != NONE) {
      provider.payloadHeader = readOutputHeaderName(reader, payloadHeader, removesLookalikes);
    }
    provider.claimsToHeaders = readClaimsToHeaders(
      reader,
      reader.get(node, "claimToHeaders"),
      removesLookalikes,
    );
    provider.spaceDelimitedClaims = readSpaceDelimitedClaims(
      reader,
      reader.get(node, "spaceDelimitedClaims"),
    );
    provider.required = readPresence(reader, reader.get(node, "presence"));
    provider.clockSkew = <u64>clockSkewSeconds(reader, node);
    provider.constraints = TokenConstraints.load(reader, node);
    return provider;
  }

  /** The keys in force, replaced as a whole; null until the first fetch succeeds. */
  get keys(): JwkSet | null {
    const remote = this.remoteKeys;
    return remote ? remote.keys : this.localKeys;
  }

  /** Selects its locations among those of all providers. Runs at configuration only. */
  connect(extractor: Extractor): void {
    this.looksAt = extractor.select(this.locations);
    this.writesLocations = extractor.looksAtHeader(this.payloadHeader);
    for (let i = 0; i < this.claimsToHeaders.length; i++) {
      if (extractor.looksAtHeader(this.claimsToHeaders[i].headerName)) this.writesLocations = true;
    }
  }

  private loadKeys(reader: Reader, node: Node, keySets: RemoteKeySets): void {
    const local = reader.get(node, "localJwks");
    const remote = reader.get(node, "remoteJwks");
    if ((local == NONE) == (remote == NONE)) {
      reader.fail(node, 'must have exactly one of "localJwks" and "remoteJwks"');
    } else if (remote != NONE) {
      this.remoteKeys = keySets.load(remote, this.issuer);
    } else if (reader.object(local, PROVIDER_LOCAL_JWKS_FIELDS)) {
      const keys = reader.require(local, "keys");
      const fault = new KeyFault();
      this.localKeys = JwkSet.load(reader.json, keys, keySets.maxKeys, fault);
      if (!this.localKeys) reader.fail(keys, fault.reason);
    }
  }

  private loadPlaces(reader: Reader, node: Node): void {
    const json = reader.json;
    const headers = reader.get(node, "fromHeaders");
    if (headers != NONE && reader.array(headers)) {
      for (let child = json.firstChild(headers); child != NONE; child = json.nextSibling(child)) {
        if (!reader.object(child, PROVIDER_FROM_HEADERS_FIELDS)) return;
        const name = readHeaderName(reader, reader.require(child, "name"));
        const prefix = reader.get(child, "valuePrefix");
        this.locations.push(
          Location.create(
            reader.region,
            LocationKind.Header,
            name,
            prefix == NONE ? EMPTY : reader.nonEmptyString(prefix),
          ),
        );
      }
    }
    this.loadNamedPlaces(reader, reader.get(node, "fromParams"), LocationKind.Parameter);
    this.loadNamedPlaces(reader, reader.get(node, "fromCookies"), LocationKind.Cookie);
    if (!reader.failed && this.locations.length == 0) {
      reader.fail(node, 'must say where tokens are: "fromHeaders", "fromParams" or "fromCookies"');
    }
  }

  private loadNamedPlaces(reader: Reader, node: Node, kind: LocationKind): void {
    if (node == NONE || !reader.array(node)) return;
    const json = reader.json;
    for (let child = json.firstChild(node); child != NONE; child = json.nextSibling(child)) {
      this.locations.push(Location.create(reader.region, kind, reader.nonEmptyString(child), EMPTY));
    }
  }
}

function readClaimsToHeaders(
  reader: Reader,
  node: Node,
  removesLookalikes: bool,
): StaticArray<ClaimToHeader> {
  if (node == NONE || !reader.array(node)) return [];
  const json = reader.json;
  const claims = new StaticArray<ClaimToHeader>(json.size(node));
  let i = 0;
  for (let child = json.firstChild(node); child != NONE; child = json.nextSibling(child)) {
    let headerName: Slice = EMPTY;
    let claimName: Slice = EMPTY;
    if (reader.object(child, PROVIDER_CLAIM_TO_HEADERS_FIELDS)) {
      headerName = readOutputHeaderName(reader, reader.require(child, "headerName"), removesLookalikes);
      claimName = reader.nonEmptyString(reader.require(child, "claimName"));
    }
    unchecked((claims[i++] = new ClaimToHeader(headerName, claimName)));
  }
  return claims;
}

/**
 * The name of a header that this filter writes and therefore removes from every request, with or without its
 * lookalikes.
 */
function readOutputHeaderName(reader: Reader, node: Node, removesLookalikes: bool): Slice {
  const name = readHeaderName(reader, node);
  for (let i = 0; i < FRAMING.length; i++) {
    const framing = FRAMING[i].slice;
    if (equals(name, framing) || (removesLookalikes && looksAlike(name, framing))) {
      reader.fail(node, "must not be a header that frames the request");
    }
  }
  return name;
}

/** A header's name: a token (RFC 9110 section 5.6.2) in lower case, as the host shows it. */
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
  // Envoy maps it to `:authority`, which every request needs.
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
