/**
 * Finds every token at every configured location, once per request (Envoy jwt_authn, extractor.cc). Each provider
 * selects the locations that it uses. A token that one provider removes from the request is gone for the next.
 */
import { Records, copyRecord, newRecords, recordAt } from "../memory/records";
import { Region } from "../memory/region";
import {
  ABSENT,
  Slice,
  Text,
  byteAt,
  equals,
  indexOfByte,
  lengthOf,
  startsWith,
  subslice,
} from "../memory/slice";
import { findCookie } from "../http/cookies";
import { findParameter, withoutParameter } from "../http/query";
import { Request } from "../http/request";
import { Status } from "../jose/status";
import { traceLocation, traceToken } from "../trace";
import { Location, LocationKind, compareLocations } from "./location";

/** The most tokens of one request, for any configuration. */
const MAX_CANDIDATES: i32 = 64;

const COOKIE = new Text("cookie");

/** A token found at a location. */
@unmanaged
export class Candidate {
  token: Slice;
  /** Its `iss`, if parsing succeeded. */
  issuer: Slice;
  /** Index of its location. */
  location: i32;
  /** Index of the header that holds it; -1 for a parameter or a cookie. */
  header: i32;
  /** The result of parsing, if it was parsed. */
  parseStatus: Status;
  /** Whether it is still in the request. */
  present: bool;
  /** Set by the authenticator once parsed. */
  isParsed: bool;
}

export class Extractor {
  /** All distinct locations of all providers, in Envoy's order, and how many they are. */
  private locations: Records = 0;
  private locationCount: i32 = 0;
  /** How many tokens the last `extract` found. */
  count: i32 = 0;
  /** How many of them the request holds: tokens that several prefixes find in one header count once. */
  private held: i32 = 0;
  /** `MAX_CANDIDATES` of them. */
  private candidates: Records = 0;

  /**
   * Runs at configuration only.
   *
   * @param tables holds what requests read
   * @param locations of all providers; may repeat
   */
  configure(tables: Region, locations: Array<Location>): void {
    locations.sort(compareLocations);
    this.locations = newRecords<Location>(tables, locations.length);
    this.candidates = newRecords<Candidate>(tables, MAX_CANDIDATES);
    for (let i = 0; i < locations.length; i++) {
      const location = locations[i];
      if (this.locationCount > 0 && this.locationAt(this.locationCount - 1).same(location)) continue;
      copyRecord<Location>(this.locationAt(this.locationCount++), location);
    }
  }

  // @ts-ignore: decorator
  @inline
  private locationAt(i: i32): Location {
    return recordAt<Location>(this.locations, i);
  }

  /** Marks these locations among those of the extractor. Runs at configuration only. */
  select(locations: Array<Location>): StaticArray<bool> {
    const selected = new StaticArray<bool>(this.locationCount);
    for (let i = 0; i < this.locationCount; i++) {
      for (let j = 0; j < locations.length; j++) {
        if (this.locationAt(i).same(unchecked(locations[j]))) unchecked((selected[i] = true));
      }
    }
    return selected;
  }

  /** Whether any location is in the header of that lower-case name. Runs at configuration only. */
  looksAtHeader(name: Slice): bool {
    for (let i = 0; i < this.locationCount; i++) {
      const location = this.locationAt(i);
      if (location.kind == LocationKind.Header && equals(location.name, name)) return true;
      if (location.kind == LocationKind.Cookie && equals(name, COOKIE.slice)) return true;
    }
    return false;
  }

  /**
   * Extracts tokens from every location of the request.
   *
   * @param maxTokens how many tokens a request may hold
   * @returns false if there are more
   */
  extract(request: Request, maxTokens: i32): bool {
    this.count = 0;
    this.held = 0;
    for (let i = 0; i < this.locationCount; i++) {
      const location = this.locationAt(i);
      let fits = true;
      if (location.kind == LocationKind.Header) {
        fits = this.extractHeader(request, location, i, maxTokens);
      } else if (location.kind == LocationKind.Parameter) {
        if (!request.hasQuery) continue;
        const token = findParameter(request.query, location.name);
        if (token != ABSENT) fits = this.add(token, i, -1, maxTokens);
      } else {
        const token = findCookie(request, location.name);
        if (token != ABSENT) fits = this.add(token, i, -1, maxTokens);
      }
      if (!fits) return false;
    }
    return true;
  }

  private extractHeader(request: Request, location: Location, index: i32, maxTokens: i32): bool {
    for (
      let header = request.findHeader(location.name, 0);
      header >= 0;
      header = request.findHeader(location.name, header + 1)
    ) {
      let token = request.headerValue(header);
      if (lengthOf(location.prefix) > 0) {
        const start = find(token, location.prefix);
        if (start < 0) continue;
        token = skipToToken(token, start + lengthOf(location.prefix));
      }
      if (!this.add(token, index, header, maxTokens)) return false;
    }
    return true;
  }

  private add(token: Slice, location: i32, header: i32, maxTokens: i32): bool {
    if (!this.isHeld(header) && ++this.held > maxTokens) return false;
    if (this.count == MAX_CANDIDATES) return false;
    const candidate = this.at(this.count++);
    candidate.token = token;
    candidate.location = location;
    candidate.header = header;
    candidate.present = true;
    candidate.isParsed = false;
    return true;
  }

  /** Whether another location has already found a token in that header. */
  private isHeld(header: i32): bool {
    if (header < 0) return false;
    for (let i = 0; i < this.count; i++) if (this.at(i).header == header) return true;
    return false;
  }

  /** Token `i` of those found, 0 ≤ i < count. */
  // @ts-ignore: decorator
  @inline
  at(i: i32): Candidate {
    return recordAt<Candidate>(this.candidates, i);
  }

  /** Reports where a provider looks. @param looksAt the locations that the provider selected */
  traceLocations(looksAt: StaticArray<bool>): void {
    for (let i = 0; i < this.locationCount; i++) {
      const location = this.locationAt(i);
      if (unchecked(looksAt[i])) traceLocation(location.kind, location.name, location.prefix);
    }
  }

  /** Reports that a token is checked. @param maxTokenBytes the longest allowed */
  traceCandidate(candidate: Candidate, maxTokenBytes: i32): void {
    const location = this.locationAt(candidate.location);
    traceToken(location.kind, location.name, location.prefix, lengthOf(candidate.token), maxTokenBytes);
  }

  /**
   * Removes a token from the request, and with it all tokens in the same header or parameter. Cookies stay, unless the
   * location is the `cookie` header itself.
   */
  remove(request: Request, candidate: Candidate): void {
    const location = this.locationAt(candidate.location);
    if (location.kind == LocationKind.Cookie) return;
    if (location.kind == LocationKind.Header) {
      request.removeHeader(location.name);
    } else {
      request.replacePath(withoutParameter(request.path, request.query, location.name));
    }
    for (let i = 0; i < this.count; i++) {
      const other = this.at(i);
      if (isTakenAlong(this.locationAt(other.location), location)) other.present = false;
    }
  }
}

/** Whether removing `location`, a header or a parameter, also removes `other`. */
function isTakenAlong(other: Location, location: Location): bool {
  if (other.kind == LocationKind.Cookie)
    return location.kind == LocationKind.Header && equals(location.name, COOKIE.slice);
  return other.kind == location.kind && equals(other.name, location.name);
}

/** The first position of `needle` in `s`, or -1. It is nearly always at the beginning. */
function find(s: Slice, needle: Slice): i32 {
  return startsWith(s, needle) ? 0 : findLater(s, needle);
}

function findLater(s: Slice, needle: Slice): i32 {
  const first = byteAt(needle, 0);
  const last = lengthOf(s) - lengthOf(needle);
  for (let i = indexOfByte(s, first, 1); i >= 0 && i <= last; i = indexOfByte(s, first, i + 1)) {
    if (startsWith(subslice(s, i, lengthOf(s)), needle)) return i;
  }
  return -1;
}

/** The value from the first character of a token at or after `from`; the whole value if there is none (extractJWT). */
function skipToToken(value: Slice, from: i32): Slice {
  const length = lengthOf(value);
  for (let i = from; i < length; i++) {
    if (isTokenCharacter(byteAt(value, i))) return subslice(value, i, length);
  }
  return value;
}

/** Base64url (RFC 4648 section 5) and the dot. */
function isTokenCharacter(c: u8): bool {
  return (
    (c >= 0x41 && c <= 0x5a) || // A-Z
    (c >= 0x61 && c <= 0x7a) || // a-z
    (c >= 0x30 && c <= 0x39) || // 0-9
    c == 0x2d || // -
    c == 0x5f || // _
    c == 0x2e // .
  );
}
