/**
 * The attributes that predicates can be about. Each has an entry: its fields of a predicate, how their values are
 * loaded, and how the request's value is read. Loading and matching iterate over the entries, so a new attribute is one
 * new entry of `attributesOf`.
 */
import { EMPTY, Slice, Text, equals, lengthOf } from "../memory/slice";
import { IntList, intAt, newInts, setInt } from "../memory/records";
import { Region } from "../memory/region";
import { bytesForBits, clearBits, setBit, wordOfBits } from "../memory/bits";
import { Reader } from "../document/reader";
import { lowerCased } from "../encoding/ascii";
import { JsonDocument, NONE, Node } from "../encoding/json";
import { Cidr, IpAddress } from "../http/address";
import { probePeerCertificates } from "../http/partial-peer";
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
import { SparseSet } from "../memory/sparse-set";
import { Subject, ValueIndex } from "./value-index";

const HOST = new Text("host");
const AUTHORITY = new Text(":authority");

/**
 * The entries of one configuration, at most as many as `Attributes` has bits.
 *
 * @param tables holds what requests read
 */
export function attributesOf(
  tables: Region,
  values: ValueIndex,
  claims: ClaimAttribute,
): StaticArray<Attribute> {
  return [
    claims,
    new TextAttribute("path", values, loadPath, TextSource.Path),
    new TextAttribute("host", values, loadHost, TextSource.Host),
    new TextAttribute("method", values, loadStringMatch, TextSource.Method),
    new TextAttribute("sni", values, loadStringMatch, TextSource.ServerName),
    new HeaderAttribute(tables, values),
    new PeerAttribute(values),
    new PortAttribute("destinationPort", tables, (request) => request.destinationPort()),
    new AddressAttribute("destinationIp", tables, (request) => request.destinationIp()),
    new AddressAttribute("sourceIp", tables, (request) => request.sourceIp()),
    new AddressAttribute("remoteIp", tables, (request) => request.remoteIp()),
  ];
}

/** Where an attribute with one string has it from. */
export const enum TextSource {
  /** The attribute is another one. */
  None,
  Path,
  Host,
  Method,
  ServerName,
}

/** The request's value, in lower case if that is how it is compared. */
// @ts-ignore: decorator
@inline
export function textOf(request: Request, source: TextSource): Slice {
  switch (source) {
    case TextSource.Path:
      return request.path;
    case TextSource.Method:
      return request.method;
    case TextSource.Host:
      return lowerCased(request.authority);
    default:
      return request.sni();
  }
}

/** Loads the pattern in a predicate's field; the reader has recorded any fault. */
type PatternLoader = (reader: Reader, node: Node) => Pattern;

/**
 * An attribute and the index over its predicates. Its value is read once per request, when a predicate about it is
 * first asked for.
 */
export abstract class Attribute {
  /** Not None if `Predicates` matches the value by itself, with `subject`. */
  source: TextSource = TextSource.None;
  subject: Subject = 0;

  /**
   * @param fields the fields of a predicate that are about this attribute
   * @param hasMatch whether the predicate has "match" besides the field
   */
  constructor(
    readonly fields: StaticArray<string>,
    readonly hasMatch: bool = false,
  ) {}

  /**
   * Loads a predicate; the reader has recorded any fault.
   *
   * @param field index of the field
   * @param node the field's value
   * @param match the value of "match", or NONE
   */
  abstract load(reader: Reader, field: i32, node: Node, match: Node, predicate: i32): void;

  /** Adds to `found` every predicate that holds. Attributes with a `source`, and claims, are matched elsewhere. */
  match(request: Request, found: SparseSet): void {}
}

/** An attribute whose values are strings. */
abstract class PatternAttribute extends Attribute {
  /** @param loaders by field */
  constructor(
    fields: StaticArray<string>,
    private readonly loaders: StaticArray<PatternLoader>,
    private readonly values: ValueIndex,
  ) {
    super(fields);
    this.subject = values.addSubject();
  }

  load(reader: Reader, field: i32, node: Node, match: Node, predicate: i32): void {
    this.values.add(this.subject, this.loaders[field](reader, node), predicate);
  }

  protected matchValue(value: Slice, found: SparseSet): void {
    this.values.match(this.subject, value, found);
  }
}

/** An attribute with one string. */
class TextAttribute extends PatternAttribute {
  constructor(field: string, values: ValueIndex, load: PatternLoader, source: TextSource) {
    super([field], [load], values);
    this.source = source;
  }
}

function loadHost(reader: Reader, node: Node): Pattern {
  const pattern = loadStringMatch(reader, node);
  return new Pattern(pattern.anchor, reader.region.keep(lowerCased(pattern.key)), pattern.check);
}

function loadPath(reader: Reader, node: Node): Pattern {
  const template = reader.get(node, "template");
  if (template == NONE) return loadStringMatch(reader, node);
  if (reader.json.size(node) != 1) reader.fail(node, "must be a template only");
  return loadTemplate(reader, template);
}

class HeaderAttribute extends Attribute {
  /** From a header's name to its subject. */
  private readonly headers: HashTable;
  /** Bit i is set if a name in `headers` has i bytes (bit 63: 63 or more). It rules out most headers of a request. */
  private nameLengths: u64 = 0;

  constructor(
    private readonly tables: Region,
    private readonly values: ValueIndex,
  ) {
    super(["header"], true);
    this.headers = HashTable.create(tables);
  }

  load(reader: Reader, field: i32, node: Node, match: Node, predicate: i32): void {
    const name = reader.nonEmptyString(node);
    if (!equals(name, lowerCased(name))) reader.fail(node, "must be lower-case");
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
    if (!reader.failed) this.values.add(this.subjectOf(name), pattern, predicate);
  }

  /** In Envoy's header map `host` is another name of `:authority`. */
  private subjectOf(name: Slice): Subject {
    const key = equals(name, HOST.slice) ? AUTHORITY.slice : name;
    const hash = headerHash(key);
    const entry = this.headers.find(hash, key);
    if (entry != NO_ENTRY) return this.headers.value(entry);
    const subject = this.values.addSubject();
    this.headers.add(this.tables, hash, key, subject);
    this.nameLengths |= lengthBit(key);
    return subject;
  }

  /** Matches every value by itself, as Envoy does since CVE-2026-26308. */
  match(request: Request, found: SparseSet): void {
    for (let i = 0; i < request.headerCount; i++) {
      const name = request.headerName(i);
      if ((this.nameLengths & lengthBit(name)) == 0) continue;
      const entry = this.headers.find(headerHash(name), name);
      if (entry == NO_ENTRY) continue;
      if (TRACING) traceSeen(this.fields[0], name, request.headerValue(i));
      this.values.match(this.headers.value(entry), request.headerValue(i), found);
    }
  }
}

function headerHash(name: Slice): u64 {
  return hashKey(0, name);
}

function lengthBit(name: Slice): u64 {
  return (<u64>1) << (<u64>min(lengthOf(name), 63));
}

/** The names in the peer's certificate. */
class PeerAttribute extends PatternAttribute {
  constructor(values: ValueIndex) {
    super(
      ["peer", "principal", "trustDomain", "serviceAccount"],
      [loadGlob, loadStringMatch, loadTrustDomain, loadServiceAccount],
      values,
    );
  }

  load(reader: Reader, field: i32, node: Node, match: Node, predicate: i32): void {
    // The certificate is not read if filter state has the peer's principal.
    if (reader.get(reader.json.root, "peerPrincipal") == NONE) probePeerCertificates();
    super.load(reader, field, node, match, predicate);
  }

  /** Envoy tries every URI SAN, every DNS SAN, then the subject (rbac/matchers.cc, AuthenticatedMatcher). */
  match(request: Request, found: SparseSet): void {
    const peer = request.peer();
    for (let i = 0; i < peer.uriSanCount; i++) this.matchName(peer.uriSan(i), found);
    for (let i = 0; i < peer.dnsSanCount; i++) this.matchName(peer.dnsSan(i), found);
    if (lengthOf(peer.subject) > 0) this.matchName(peer.subject, found);
  }

  private matchName(name: Slice, found: SparseSet): void {
    if (TRACING) traceSeen(this.fields[0], EMPTY, name);
    this.matchValue(name, found);
  }
}

class PortAttribute extends Attribute {
  private readonly ports: HashTable;

  constructor(
    field: string,
    private readonly tables: Region,
    private readonly read: (request: Request) => i32,
  ) {
    super([field]);
    this.ports = HashTable.create(tables);
  }

  load(reader: Reader, field: i32, node: Node, match: Node, predicate: i32): void {
    this.ports.add(this.tables, portHash(<i32>reader.integer(node, 0, 65535)), EMPTY, predicate);
  }

  match(request: Request, found: SparseSet): void {
    const hash = portHash(this.read(request));
    for (
      let entry = this.ports.find(hash, EMPTY);
      entry != NO_ENTRY;
      entry = this.ports.findNext(entry, hash, EMPTY)
    ) {
      found.add(this.ports.value(entry));
    }
  }
}

function portHash(port: i32): u64 {
  return hashNumber(beginHash(0), <u64>port);
}

/** An IP address. */
class AddressAttribute extends Attribute {
  private readonly blocks: AddressIndex;

  constructor(
    field: string,
    tables: Region,
    private readonly read: (request: Request) => IpAddress,
  ) {
    super([field]);
    this.blocks = new AddressIndex(tables);
  }

  load(reader: Reader, field: i32, node: Node, match: Node, predicate: i32): void {
    const block = new Cidr();
    if (block.parse(reader.string(node))) this.blocks.add(block, predicate);
    else reader.fail(node, "must be a CIDR block ADDRESS/WIDTH with host bits zero");
  }

  match(request: Request, found: SparseSet): void {
    this.blocks.match(this.read(request), found);
  }
}

/** Claims of the verified token. Predicates that depend on the token alone are evaluated once per token, into bits. */
export class ClaimAttribute extends Attribute {
  private readonly claims: ClaimIndex;
  /** By predicate of a claim, its bit. */
  private readonly bits: StaticArray<i32>;
  /** By bit, its predicate. */
  private readonly predicates: IntList;
  private count: i32 = 0;

  /**
   * @param region holds what is read once per token
   * @param tables holds what requests read
   * @param predicates how many the configuration has, over all attributes
   * @param found the predicates that `evaluate` finds
   */
  constructor(
    region: Region,
    tables: Region,
    private readonly values: ValueIndex,
    predicates: i32,
    private readonly found: SparseSet,
  ) {
    super(["claim"], true);
    this.claims = new ClaimIndex(region, values);
    this.bits = new StaticArray<i32>(predicates);
    this.predicates = newInts(tables, predicates);
  }

  load(reader: Reader, field: i32, node: Node, match: Node, predicate: i32): void {
    const names = reader.strings(node);
    if (names.length == 0) reader.fail(node, "must have at least one name");
    const pattern = loadStringMatch(reader, match);
    if (!reader.failed) {
      this.values.add(this.claims.subject(names), pattern, predicate);
      this.bits[predicate] = this.count;
      setInt(this.predicates, this.count++, predicate);
    }
  }

  /** How many bytes one token's bits take. */
  get tokenBytes(): i32 {
    return bytesForBits(this.count);
  }

  /** Writes the bits of a token's payload; see `Engine.evaluateToken`. */
  evaluate(payload: JsonDocument, spaceDelimited: StaticArray<Slice>, bits: usize): void {
    clearBits(bits, this.count);
    if (this.count == 0) return;
    this.found.clear();
    this.claims.match(payload, spaceDelimited, this.found);
    for (let i = 0; i < this.found.count; i++) setBit(bits, unchecked(this.bits[this.found.at(i)]));
  }

  /**
   * Adds to `found` every predicate that holds of the request's token.
   *
   * @param tokenBits what `evaluate` wrote, or 0 without a verified token
   */
  // @ts-ignore: decorator
  @inline
  matchBits(tokenBits: usize, found: SparseSet): void {
    if (tokenBits == 0) return;
    const words = (this.count + 63) >>> 6;
    for (let i = 0; i < words; i++) {
      for (let word = wordOfBits(tokenBits, i); word != 0; word &= word - 1) {
        found.add(intAt(this.predicates, (i << 6) + <i32>ctz(word)));
      }
    }
  }

  /** Reports which claims policies see as lists, and their elements. */
  traceLists(payload: JsonDocument, spaceDelimited: StaticArray<Slice>): void {
    this.found.clear();
    this.claims.match(payload, spaceDelimited, this.found);
  }
}
