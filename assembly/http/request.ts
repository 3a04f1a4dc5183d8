/**
 * One request as it will be forwarded: the client's request without what authentication removes, and with what it adds.
 * Policies see this view (docs/semantics.md: they see an output header, but not a removed `authorization`). Changes are
 * made here first and reach the host in `flush`, so a request that waits can be read again and start from the
 * beginning.
 *
 * There is one object, overwritten for each request. Everything it points to lives in the arena.
 */
import {
  HeaderMap,
  addRequestHeader,
  countPairs,
  lengthsOfPair,
  nameLengthAt,
  readPairs,
  removeRequestHeader,
  replaceRequestHeader,
  valueLengthAt,
} from "../abi/header-map";
import { getProperty, propertyInteger } from "../abi/property";
import { notePartialPeer } from "./partial-peer";
import {
  ABSENT,
  EMPTY,
  FAILED,
  Slice,
  Text,
  byteAt,
  eightBytesAt,
  equals,
  fourBytesAt,
  indexOfByte,
  indexOfEither,
  lengthOf,
  pointerOf,
  subslice,
} from "../memory/slice";
import {
  SliceList,
  allocateSlices,
  copySlices,
  firstByteAt,
  lengthAt,
  setParts,
  setSlice,
  sliceAt,
} from "../memory/slice-list";
import { TRACING, traceProperty } from "../trace";
import { IpAddress } from "./address";
import { PeerCertificate } from "./peer";

const PATH = new Text(":path");
const OPTIONS = new Text("OPTIONS");
const ORIGIN = new Text("origin");
const ACCESS_CONTROL_REQUEST_METHOD = new Text("access-control-request-method");

const DESTINATION_PORT = new Text("destination\0port");
const DESTINATION_ADDRESS = new Text("destination\0address");
const SOURCE_ADDRESS = new Text("source\0address");
const REQUESTED_SERVER_NAME = new Text("connection\0requested_server_name");
const PEER_CERTIFICATE = new Text("connection\0peer_certificate");
const PEER_URI_SAN = new Text("connection\0uri_san_peer_certificate");
const PEER_DNS_SAN = new Text("connection\0dns_san_peer_certificate");
const MTLS = new Text("connection\0mtls");
const PEER_SUBJECT = new Text("connection\0subject_peer_certificate");
/** What Envoy's formatters write for an absent value, such as the URI SAN of a certificate without one. */
const NOTHING: u8 = 0x2d; /* - */

const COLON: u8 = 0x3a;

/** Bytes of an entry of the table: name and value. */
const ENTRY: usize = 2 * sizeof<Slice>();

/** The table's spare entries after those received; if more are added, the table moves. */
const SPARE_ENTRIES: i32 = 16;

/** Which of the lazily read attributes have been read. */
const enum Known {
  None = 0,
  DestinationPort = 1,
  DestinationAddress = 2,
  SourceAddress = 4,
  RemoteAddress = 8,
  ServerName = 16,
  Peer = 32,
}

export class Request {
  method: Slice = EMPTY;
  authority: Slice = EMPTY;
  scheme: Slice = EMPTY;
  /** `:path` as it will be forwarded, query included. */
  pathAndQuery: Slice = EMPTY;
  /** `:path` without query and fragment. */
  path: Slice = EMPTY;
  /** `:path` as it was received. */
  originalPathAndQuery: Slice = EMPTY;
  /** Whether the host answered a call in a way it never should. The caller then answers 500. */
  failed: bool = false;

  /** The number of entries: those received, then those added. */
  headerCount: i32 = 0;
  /** Name and value of each entry, in turn. */
  private table: SliceList = 0;
  private capacity: i32 = 0;
  private receivedCount: i32 = 0;
  private pathChanged: bool = false;
  /** Names of received headers that were removed: a list of slices in the arena. */
  private removedNames: SliceList = 0;
  private removedCount: i32 = 0;

  private known: i32 = Known.None;
  private port: i32 = -1;
  private serverName: Slice = EMPTY;
  private readonly destinationAddress: IpAddress = new IpAddress();
  private readonly directAddress: IpAddress = new IpAddress();
  private readonly remoteAddress: IpAddress = new IpAddress();
  private readonly certificate: PeerCertificate = new PeerCertificate();
  /** `filter_state\0KEY` of the direct peer's address, or EMPTY. */
  private directAddressProperty: Slice = EMPTY;
  /** `filter_state\0KEY` of the peer's principal, or EMPTY. */
  private peerProperty: Slice = EMPTY;

  /**
   * Reads the effective context's request headers. Everything read before is discarded.
   *
   * @param directAddressProperty property path of the direct peer's address; EMPTY if there is none
   * @param peerProperty property path of the peer's principal; EMPTY if the certificate names the peer
   * @returns false if the host failed. A missing map reads as empty; a request is never empty, so empty means failure
   */
  read(directAddressProperty: Slice, peerProperty: Slice): bool {
    this.peerProperty = peerProperty;
    const pairs = readPairs(HeaderMap.Request);
    const count = pairs == EMPTY ? 0 : countPairs(pairs);
    this.start(count, directAddressProperty);
    if (count == 0 || !this.walk(pairs, count)) {
      this.failed = true;
      return false;
    }
    this.headerCount = count;
    this.receivedCount = count;
    this.originalPathAndQuery = this.pathAndQuery;
    return true;
  }

  /**
   * Fills the table and finds the pseudo-headers.
   *
   * @returns false if the lengths add up to more than there is
   */
  // @ts-ignore: decorator
  @inline
  private walk(pairs: Slice, count: i32): bool {
    const lengthsEnd = lengthsOfPair(pairs, count);
    const end = pointerOf(pairs) + <usize>lengthOf(pairs);
    let name = lengthsEnd;
    let entry = this.table;
    for (let lengths = lengthsOfPair(pairs, 0); lengths < lengthsEnd; lengths += 8) {
      // A NUL follows each name and each value.
      const nameLength = nameLengthAt(lengths);
      if (nameLength >= <u32>(end - name)) return false;
      const value = name + nameLength + 1;
      const valueLength = valueLengthAt(lengths);
      if (valueLength >= <u32>(end - value)) return false;
      setParts(entry, 0, name, nameLength);
      setParts(entry, 1, value, valueLength);
      if (firstByteAt(entry, 0) == COLON) this.takePseudoHeader(sliceAt(entry, 0), sliceAt(entry, 1));
      name = value + valueLength + 1;
      entry += ENTRY;
    }
    return true;
  }

  /**
   * Every request has these headers, so their names are constants in the code.
   *
   * @param name begins with a colon
   */
  // @ts-ignore: decorator
  @inline
  private takePseudoHeader(name: Slice, value: Slice): void {
    const length = lengthOf(name);
    if (length == 5) {
      if (fourBytesAt(name, 1) == 0x68746170 /* path */) this.setPath(value);
    } else if (length == 7) {
      const rest = fourBytesAt(name, 3);
      const start = fourBytesAt(name, 0);
      if (rest == 0x646f6874 /* thod */ && start == 0x74656d3a /* :met */) this.method = value;
      else if (rest == 0x656d6568 /* heme */ && start == 0x6863733a /* :sch */) this.scheme = value;
    } else if (length == 10) {
      if (
        eightBytesAt(name, 0) == 0x69726f687475613a /* :authori */ &&
        eightBytesAt(name, 2) == 0x797469726f687475 /* uthority */
      ) {
        this.authority = value;
      }
    }
  }

  private start(count: i32, directAddressProperty: Slice): void {
    this.method = EMPTY;
    this.authority = EMPTY;
    this.scheme = EMPTY;
    this.pathAndQuery = EMPTY;
    this.path = EMPTY;
    this.originalPathAndQuery = EMPTY;
    this.failed = false;
    this.headerCount = 0;
    this.capacity = count + SPARE_ENTRIES;
    this.table = allocateSlices(2 * this.capacity);
    this.receivedCount = 0;
    this.pathChanged = false;
    this.removedCount = 0;
    this.known = Known.None;
    this.directAddressProperty = directAddressProperty;
  }

  /** The lower-case name of entry `i` (0 ≤ i < headerCount); EMPTY if it was removed. */
  // @ts-ignore: decorator
  @inline
  headerName(i: i32): Slice {
    return sliceAt(this.table, 2 * i);
  }

  // @ts-ignore: decorator
  @inline
  headerValue(i: i32): Slice {
    return sliceAt(this.table, 2 * i + 1);
  }

  /**
   * @param name lower-case
   * @param from index to start at
   * @returns the index of the next header of that name, or -1
   */
  findHeader(name: Slice, from: i32): i32 {
    const length = lengthOf(name);
    const end = this.table + <usize>this.headerCount * ENTRY;
    for (let entry = this.table + <usize>from * ENTRY; entry < end; entry += ENTRY) {
      if (lengthAt(entry, 0) == length && equals(sliceAt(entry, 0), name)) {
        return <i32>((entry - this.table) / ENTRY);
      }
    }
    return -1;
  }

  /** Removes every header of that name. */
  removeHeader(name: Slice): void {
    let received = false;
    for (let i = this.findHeader(name, 0); i >= 0; i = this.findHeader(name, i + 1)) {
      received = received || i < this.receivedCount;
      setSlice(this.table, 2 * i, EMPTY);
    }
    // There is at most one removal for each received header, so the list has room.
    if (received) {
      if (this.removedCount == 0) this.removedNames = allocateSlices(this.receivedCount);
      setSlice(this.removedNames, this.removedCount, name);
      this.removedCount++;
    }
  }

  /** Removes every header that a backend may take for the header `name` (`looksAlike`). */
  removeLookalikes(name: Slice): void {
    for (let i = 0; i < this.headerCount; i++) {
      const candidate = this.headerName(i);
      if (!looksAlike(candidate, name) || byteAt(candidate, 0) == COLON) continue;
      this.removeHeader(candidate);
    }
  }

  /** Appends a header. The bytes must live until the request is handled. */
  addHeader(name: Slice, value: Slice): void {
    if (this.headerCount == this.capacity) {
      const capacity = this.capacity * 2;
      const table = allocateSlices(2 * capacity);
      copySlices(table, this.table, 2 * this.headerCount);
      this.table = table;
      this.capacity = capacity;
    }
    setSlice(this.table, 2 * this.headerCount, name);
    setSlice(this.table, 2 * this.headerCount + 1, value);
    this.headerCount++;
  }

  /** Changes `:path`, the query included. */
  replacePath(pathAndQuery: Slice): void {
    const i = this.findHeader(PATH.slice, 0);
    if (i < 0) return;
    setSlice(this.table, 2 * i + 1, pathAndQuery);
    this.setPath(pathAndQuery);
    this.pathChanged = true;
  }

  private setPath(pathAndQuery: Slice): void {
    this.pathAndQuery = pathAndQuery;
    const end = indexOfEither(pathAndQuery, 0x3f /* ? */, 0x23 /* # */);
    this.path = end < 0 ? pathAndQuery : subslice(pathAndQuery, 0, end);
  }

  /** Whether there is a query or a fragment. */
  // @ts-ignore: decorator
  @inline
  get hasQuery(): bool {
    return this.path != this.pathAndQuery;
  }

  /** The query after the first `?`, without a fragment; EMPTY if there is none. */
  get query(): Slice {
    const start = lengthOf(this.path) + 1;
    if (start > lengthOf(this.pathAndQuery) || byteAt(this.pathAndQuery, start - 1) != 0x3f) return EMPTY;
    const end = indexOfByte(this.pathAndQuery, 0x23 /* # */, start);
    return subslice(this.pathAndQuery, start, end < 0 ? lengthOf(this.pathAndQuery) : end);
  }

  /** Passes every change to the host. @returns false, and sets `failed`, if it refused one */
  flush(): bool {
    for (let i = 0; i < this.removedCount; i++) {
      if (!removeRequestHeader(sliceAt(this.removedNames, i))) this.failed = true;
    }
    if (this.pathChanged && !replaceRequestHeader(PATH.slice, this.pathAndQuery)) this.failed = true;
    for (let i = this.receivedCount; i < this.headerCount; i++) {
      const name = this.headerName(i);
      if (name != EMPTY && !addRequestHeader(name, this.headerValue(i))) this.failed = true;
    }
    return !this.failed;
  }

  /** Whether this is a CORS preflight, which passes without authentication (Envoy jwt_authn, bypass_cors_preflight). */
  get isCorsPreflight(): bool {
    return (
      equals(this.method, OPTIONS.slice) &&
      this.hasNonEmptyHeader(ORIGIN.slice) &&
      this.hasNonEmptyHeader(ACCESS_CONTROL_REQUEST_METHOD.slice)
    );
  }

  private hasNonEmptyHeader(name: Slice): bool {
    const i = this.findHeader(name, 0);
    return i >= 0 && lengthOf(this.headerValue(i)) > 0;
  }

  /** The listener's own port; -1 if the host does not know it. */
  destinationPort(): i32 {
    if (this.learn(Known.DestinationPort)) {
      this.port = <i32>propertyInteger(this.property(DESTINATION_PORT.slice));
    }
    return this.port;
  }

  /** The listener's own address. */
  destinationIp(): IpAddress {
    if (this.learn(Known.DestinationAddress)) {
      this.destinationAddress.clear();
      this.destinationAddress.parseWithPort(this.property(DESTINATION_ADDRESS.slice));
    }
    return this.destinationAddress;
  }

  /** The direct peer's address, from the filter state that the configuration names. */
  sourceIp(): IpAddress {
    if (this.learn(Known.SourceAddress)) {
      this.directAddress.clear();
      const value = this.property(this.directAddressProperty);
      // A condition on an unknown address must not evaluate to false, because `not` would then let the request through.
      if (!this.directAddress.parse(value)) this.failed = true;
    }
    return this.directAddress;
  }

  /** The client's address as the listener determines it. */
  remoteIp(): IpAddress {
    if (this.learn(Known.RemoteAddress)) {
      this.remoteAddress.clear();
      if (!this.remoteAddress.parseWithPort(this.property(SOURCE_ADDRESS.slice))) this.failed = true;
    }
    return this.remoteAddress;
  }

  /** The TLS server name that the client asked for; EMPTY without TLS. */
  sni(): Slice {
    if (this.learn(Known.ServerName)) this.serverName = this.property(REQUESTED_SERVER_NAME.slice);
    return this.serverName;
  }

  /** The peer's certificate; without names if there is none. */
  peer(): PeerCertificate {
    if (this.learn(Known.Peer)) {
      this.certificate.clear();
      if (this.peerProperty != EMPTY) {
        this.takePrincipal(this.property(this.peerProperty));
        return this.certificate;
      }
      const value = this.property(PEER_CERTIFICATE.slice);
      if (lengthOf(value) > 0) {
        if (!this.certificate.parse(value)) this.failed = true;
        this.certificate.subject = this.property(PEER_SUBJECT.slice);
      } else {
        const mtls = this.property(MTLS.slice);
        if (lengthOf(mtls) > 0 && byteAt(mtls, 0) != 0) this.assumePeer();
      }
    }
    return this.certificate;
  }

  /**
   * Takes the peer's only name from filter state, after another listener verified the peer. Without it the peer is
   * unknown: a condition with `not` on it must not become true.
   */
  private takePrincipal(principal: Slice): void {
    const length = lengthOf(principal);
    if (length == 0 || (length == 1 && byteAt(principal, 0) == NOTHING)) this.failed = true;
    else this.certificate.assume(principal, EMPTY);
  }

  /**
   * Takes the first name of each kind, because the host does not show the certificate that it verified (Envoy before
   * 1.38). The certificates of a mesh have exactly one URI SAN. Without one the peer is unknown: a condition with `not`
   * on its name must not become true.
   */
  private assumePeer(): void {
    const uriSan = this.property(PEER_URI_SAN.slice);
    if (lengthOf(uriSan) == 0) {
      this.failed = true;
      return;
    }
    this.certificate.assume(uriSan, this.property(PEER_DNS_SAN.slice));
    this.certificate.subject = this.property(PEER_SUBJECT.slice);
    notePartialPeer();
  }

  /** Marks `what` as read. @returns whether it was not read before */
  private learn(what: Known): bool {
    if ((this.known & what) != 0) return false;
    this.known |= what;
    return true;
  }

  private property(path: Slice): Slice {
    const value = getProperty(path);
    if (TRACING) traceProperty(path, value == FAILED ? EMPTY : value);
    if (value != FAILED) return value;
    this.failed = true;
    return ABSENT;
  }
}

/**
 * Whether a backend that turns header names into variables cannot distinguish two lower-case names. CGI does
 * so (RFC 3875 section 4.1.18), and so do its successors: each character that is neither letter nor digit
 * becomes `_`.
 */
export function looksAlike(a: Slice, b: Slice): bool {
  if (lengthOf(a) != lengthOf(b)) return false;
  for (let i = 0; i < lengthOf(a); i++) {
    const x = byteAt(a, i);
    const y = byteAt(b, i);
    if (x != y && (isAlphanumeric(x) || isAlphanumeric(y))) return false;
  }
  return true;
}

function isAlphanumeric(c: u8): bool {
  return <u8>(c - 0x61) < 26 || <u8>(c - 0x30) < 10;
}
