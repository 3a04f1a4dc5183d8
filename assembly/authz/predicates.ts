/**
 * The leaves of conditions, loaded: `authorization.predicates` of the configuration, indexed by what they are about.
 * Each is named by its place in that list.
 */
import { EMPTY, Slice, Text, equals, lengthOf } from "../memory/slice";
import { bytesForBits, clearBits, setBit, wordOfBits } from "../memory/bits";
import { PREDICATE_FIELDS } from "../config/schema";
import { Reader, equalsAscii } from "../document/reader";
import { lowerCased } from "../encoding/ascii";
import { JsonDocument, NONE, Node } from "../encoding/json";
import { Cidr, IpAddress } from "../http/address";
import { PeerCertificate } from "../http/peer";
import { Request } from "../http/request";
import { TRACING, traceSeen } from "../trace";
import { AddressIndex } from "./address-index";
import { ClaimIndex } from "./claim-index";
import { HashTable, NO_ENTRY, beginHash, hashKey, hashNumber } from "./hash-table";
import {
  Anchor,
  Pattern,
  loadGlob,
  loadServiceAccount,
  loadStringMatch,
  loadTemplate,
  loadTrustDomain,
} from "./matchers";
import { SparseSet } from "./sparse-set";
import { Subject, ValueIndex } from "./value-index";

const HOST = new Text("host");
const AUTHORITY = new Text(":authority");

/** What a predicate is about: what is looked at once a request, where a predicate about it is asked for. */
export const enum Attribute {
  /** Claims of the verified token. */
  Token,
  Path,
  Host,
  Method,
  Header,
  DestinationPort,
  DestinationIp,
  SourceIp,
  RemoteIp,
  Sni,
  /** Names in the peer's certificate. */
  Peer,
}

/** A set of attributes: bit i is attribute i. */
export type Attributes = u32;

export function only(attribute: Attribute): Attributes {
  return 1 << (<u32>attribute);
}

export class Predicates {
  /** By predicate. */
  private readonly attributes: StaticArray<Attribute>;

  private readonly path: Subject;
  private readonly host: Subject;
  private readonly method: Subject;
  private readonly sni: Subject;
  private readonly peer: Subject;
  /** From a header's name to its subject. */
  private readonly headers: HashTable = new HashTable();
  /** Bit i: a name in `headers` has i bytes, or at least 63. Most headers of a request are ruled out by it. */
  private headerNameLengths: u64 = 0;
  private readonly ports: HashTable = new HashTable();
  private readonly destinationIps: AddressIndex = new AddressIndex();
  private readonly sourceIps: AddressIndex = new AddressIndex();
  private readonly remoteIps: AddressIndex = new AddressIndex();

  /** By predicate of a claim: its bit; by bit: its predicate. */
  private readonly bits: StaticArray<i32>;
  private readonly tokenPredicates: StaticArray<i32>;
  private tokenPredicateCount: i32 = 0;
  /** What `evaluateToken` finds. */
  private readonly found: SparseSet;

  private constructor(
    readonly count: i32,
    private readonly values: ValueIndex,
    private readonly claims: ClaimIndex,
  ) {
    this.attributes = new StaticArray<Attribute>(count);
    this.bits = new StaticArray<i32>(count);
    this.tokenPredicates = new StaticArray<i32>(count);
    this.found = new SparseSet(count);
    this.path = values.addSubject();
    this.host = values.addSubject();
    this.method = values.addSubject();
    this.sni = values.addSubject();
    this.peer = values.addSubject();
  }

  /** Loads the list; the reader has recorded what is wrong with it. */
  static load(reader: Reader, list: Node): Predicates {
    const isArray = list != NONE && reader.array(list);
    const count = isArray ? reader.json.size(list) : 0;
    const values = new ValueIndex(count);
    const predicates = new Predicates(count, values, new ClaimIndex(values));
    if (!isArray) return predicates;
    let predicate = 0;
    for (let n = reader.json.firstChild(list); n != NONE; n = reader.json.nextSibling(n)) {
      predicates.loadOne(reader, n, predicate++);
      if (reader.failed) break;
    }
    return predicates;
  }

  private loadOne(reader: Reader, node: Node, predicate: i32): void {
    if (!reader.object(node, PREDICATE_FIELDS)) return;
    const match = reader.get(node, "match");
    const claim = reader.get(node, "claim");
    const header = reader.get(node, "header");
    const matched = claim != NONE || header != NONE;
    if (matched != (match != NONE) || reader.json.size(node) != (matched ? 2 : 1)) {
      reader.fail(node, 'must have one field, and "match" beside "claim" and "header"');
    } else if (claim != NONE) {
      this.loadClaim(reader, claim, match, predicate);
    } else if (header != NONE) {
      this.loadHeader(reader, header, match, predicate);
    } else {
      this.loadOther(reader, reader.json.firstChild(node), predicate);
    }
  }

  private loadClaim(reader: Reader, claim: Node, match: Node, predicate: i32): void {
    const names = reader.strings(claim);
    if (names.length == 0) reader.fail(claim, "must have at least one name");
    const pattern = loadStringMatch(reader, match);
    if (reader.failed) return;
    this.values.add(this.claims.subject(names), pattern, predicate);
    this.attributes[predicate] = Attribute.Token;
    this.bits[predicate] = this.tokenPredicateCount;
    this.tokenPredicates[this.tokenPredicateCount++] = predicate;
  }

  private loadHeader(reader: Reader, header: Node, match: Node, predicate: i32): void {
    const name = reader.nonEmptyString(header);
    if (!equals(name, lowerCased(name))) reader.fail(header, "must be lower-case");
    let pattern: Pattern;
    const present = reader.get(match, "present");
    if (present == NONE) {
      pattern = loadStringMatch(reader, match);
    } else {
      pattern = new Pattern(Anchor.Start, EMPTY);
      if (!reader.boolean(present) || reader.json.size(match) != 1) {
        reader.fail(match, 'must be {"present": true} or a match of a string');
      }
    }
    if (reader.failed) return;
    this.values.add(this.headerSubject(name), pattern, predicate);
    this.attributes[predicate] = Attribute.Header;
  }

  /** In Envoy's header map `host` is another name of `:authority`. */
  private headerSubject(name: Slice): Subject {
    const key = equals(name, HOST.slice) ? AUTHORITY.slice : name;
    const hash = headerHash(key);
    const entry = this.headers.find(hash, key);
    if (entry != NO_ENTRY) return this.headers.value(entry);
    const subject = this.values.addSubject();
    this.headers.add(hash, key, subject);
    this.headerNameLengths |= lengthBit(key);
    return subject;
  }

  /** Loads a predicate of one field: `node` is its value. */
  private loadOther(reader: Reader, node: Node, predicate: i32): void {
    const json = reader.json;
    const name = json.key(node);
    if (equalsAscii(name, "path")) {
      const template = reader.get(node, "template");
      if (template != NONE && json.size(node) != 1) reader.fail(node, "must be a template only");
      const pattern = template == NONE ? loadStringMatch(reader, node) : loadTemplate(reader, template);
      this.addValue(Attribute.Path, this.path, pattern, predicate);
    } else if (equalsAscii(name, "host")) {
      const pattern = loadStringMatch(reader, node);
      const key = reader.region.keep(lowerCased(pattern.key));
      const folded = new Pattern(pattern.anchor, key, pattern.check);
      this.addValue(Attribute.Host, this.host, folded, predicate);
    } else if (equalsAscii(name, "method")) {
      this.addValue(Attribute.Method, this.method, loadStringMatch(reader, node), predicate);
    } else if (equalsAscii(name, "sni")) {
      this.addValue(Attribute.Sni, this.sni, loadStringMatch(reader, node), predicate);
    } else if (equalsAscii(name, "principal")) {
      this.addValue(Attribute.Peer, this.peer, loadStringMatch(reader, node), predicate);
    } else if (equalsAscii(name, "peer")) {
      this.addValue(Attribute.Peer, this.peer, loadGlob(reader, node), predicate);
    } else if (equalsAscii(name, "trustDomain")) {
      this.addValue(Attribute.Peer, this.peer, loadTrustDomain(reader, node), predicate);
    } else if (equalsAscii(name, "serviceAccount")) {
      this.addValue(Attribute.Peer, this.peer, loadServiceAccount(reader, node), predicate);
    } else if (equalsAscii(name, "destinationPort")) {
      const port = reader.integer(node, 0, 65535);
      this.ports.add(portHash(<i32>port), EMPTY, predicate);
      this.attributes[predicate] = Attribute.DestinationPort;
    } else if (equalsAscii(name, "destinationIp")) {
      this.addBlock(reader, Attribute.DestinationIp, this.destinationIps, node, predicate);
    } else if (equalsAscii(name, "sourceIp")) {
      this.addBlock(reader, Attribute.SourceIp, this.sourceIps, node, predicate);
    } else {
      this.addBlock(reader, Attribute.RemoteIp, this.remoteIps, node, predicate);
    }
  }

  private addValue(attribute: Attribute, subject: Subject, pattern: Pattern, predicate: i32): void {
    this.attributes[predicate] = attribute;
    this.values.add(subject, pattern, predicate);
  }

  private addBlock(
    reader: Reader,
    attribute: Attribute,
    index: AddressIndex,
    node: Node,
    predicate: i32,
  ): void {
    const block = new Cidr();
    if (!block.parse(reader.string(node))) {
      reader.fail(node, "must be a CIDR block ADDRESS/WIDTH with host bits zero");
      return;
    }
    this.attributes[predicate] = attribute;
    index.add(block, predicate);
  }

  // @ts-ignore: decorator
  @inline
  attributeOf(predicate: i32): Attribute {
    return unchecked(this.attributes[predicate]);
  }

  /** The bytes that one token's bits take. */
  get tokenBytes(): i32 {
    return bytesForBits(this.tokenPredicateCount);
  }

  /** Writes the bits of a token's payload; see `Engine.evaluateToken`. */
  evaluateToken(payload: JsonDocument, spaceDelimited: StaticArray<Slice>, bits: usize): void {
    clearBits(bits, this.tokenPredicateCount);
    if (this.tokenPredicateCount == 0) return;
    this.found.clear();
    this.claims.match(payload, spaceDelimited, this.found);
    for (let i = 0; i < this.found.count; i++) setBit(bits, unchecked(this.bits[this.found.at(i)]));
  }

  /** Adds to `found` every predicate about the token that holds; none without a verified token (`bits` is 0). */
  matchToken(bits: usize, found: SparseSet): void {
    if (bits == 0) return;
    const words = (this.tokenPredicateCount + 63) >>> 6;
    for (let i = 0; i < words; i++) {
      for (let word = wordOfBits(bits, i); word != 0; word &= word - 1) {
        found.add(unchecked(this.tokenPredicates[(i << 6) + <i32>ctz(word)]));
      }
    }
  }

  /** Adds to `found` every predicate about that attribute of the request (all but Token) that holds. */
  match(attribute: Attribute, request: Request, found: SparseSet): void {
    switch (attribute) {
      case Attribute.Path:
        if (TRACING) traceSeen(attribute, EMPTY, request.path);
        this.values.match(this.path, request.path, found);
        break;
      case Attribute.Host:
        if (TRACING) traceSeen(attribute, EMPTY, request.authority);
        this.values.match(this.host, lowerCased(request.authority), found);
        break;
      case Attribute.Method:
        if (TRACING) traceSeen(attribute, EMPTY, request.method);
        this.values.match(this.method, request.method, found);
        break;
      case Attribute.Header:
        this.matchHeaders(request, found);
        break;
      case Attribute.DestinationPort:
        this.matchPort(request.destinationPort(), found);
        break;
      case Attribute.DestinationIp:
        this.destinationIps.match(request.destinationIp(), found);
        break;
      case Attribute.SourceIp:
        this.sourceIps.match(request.sourceIp(), found);
        break;
      case Attribute.RemoteIp:
        this.remoteIps.match(request.remoteIp(), found);
        break;
      case Attribute.Sni:
        this.values.match(this.sni, request.sni(), found);
        break;
      case Attribute.Peer:
        this.matchPeer(request.peer(), found);
        break;
    }
  }

  /** Every value by itself, as Envoy does since CVE-2026-26308. */
  private matchHeaders(request: Request, found: SparseSet): void {
    for (let i = 0; i < request.headerCount; i++) {
      const name = request.headerName(i);
      if ((this.headerNameLengths & lengthBit(name)) == 0) continue;
      const entry = this.headers.find(headerHash(name), name);
      if (entry == NO_ENTRY) continue;
      if (TRACING) traceSeen(Attribute.Header, name, request.headerValue(i));
      this.values.match(this.headers.value(entry), request.headerValue(i), found);
    }
  }

  private matchPort(port: i32, found: SparseSet): void {
    const hash = portHash(port);
    for (
      let entry = this.ports.find(hash, EMPTY);
      entry != NO_ENTRY;
      entry = this.ports.findNext(entry, hash, EMPTY)
    ) {
      found.add(this.ports.value(entry));
    }
  }

  /** Envoy tries every URI SAN, every DNS SAN, then the subject (rbac/matchers.cc, AuthenticatedMatcher). */
  private matchPeer(peer: PeerCertificate, found: SparseSet): void {
    for (let i = 0; i < peer.uriSanCount; i++) this.matchPeerName(peer.uriSan(i), found);
    for (let i = 0; i < peer.dnsSanCount; i++) this.matchPeerName(peer.dnsSan(i), found);
    if (lengthOf(peer.subject) > 0) this.matchPeerName(peer.subject, found);
  }

  private matchPeerName(name: Slice, found: SparseSet): void {
    if (TRACING) traceSeen(Attribute.Peer, EMPTY, name);
    this.values.match(this.peer, name, found);
  }

  /** Says which claims policies see as lists, and of which elements. */
  traceLists(payload: JsonDocument, spaceDelimited: StaticArray<Slice>): void {
    this.found.clear();
    this.claims.match(payload, spaceDelimited, this.found);
  }

  /** What any predicate is about. */
  get allAttributes(): Attributes {
    let all: Attributes = 0;
    for (let i = 0; i < this.attributes.length; i++) all |= only(this.attributes[i]);
    return all;
  }
}

function headerHash(name: Slice): u64 {
  return hashKey(0, name);
}

function lengthBit(name: Slice): u64 {
  return (<u64>1) << (<u64>min(lengthOf(name), 63));
}

function portHash(port: i32): u64 {
  return hashNumber(beginHash(0), <u64>port);
}
