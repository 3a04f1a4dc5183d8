/**
 * Finds every token at every configured location, once per request (Envoy jwt_authn, extractor.cc). Each provider
 * selects the locations that it uses. A token that one provider removes from the request is gone for the next.
 */
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
export class Candidate {
  token: Slice = 0;
  /** Index of its location. */
  location: i32 = 0;
  /** Index of the header that holds it; -1 for a parameter or a cookie. */
  header: i32 = -1;
  /** Whether it is still in the request. */
  present: bool = false;
  /** Set by the authenticator once parsed. */
  isParsed: bool = false;
  /** The result of parsing, if it was parsed. */
  parseStatus: Status = Status.Ok;
  /** Its `iss`, if parsing succeeded. */
  issuer: Slice = 0;
}

export class Extractor {
  /** All distinct locations of all providers, in Envoy's order. */
  private locations: Array<Location> = new Array<Location>();
  private readonly candidates: StaticArray<Candidate> = new StaticArray<Candidate>(MAX_CANDIDATES);
  /** How many tokens the last `extract` found. */
  count: i32 = 0;
  /** How many of them the request holds: tokens that several prefixes find in one header count once. */
  private held: i32 = 0;

  constructor() {
    for (let i = 0; i < MAX_CANDIDATES; i++) unchecked((this.candidates[i] = new Candidate()));
  }

  /**
   * Runs at configuration only.
   *
   * @param locations of all providers; may repeat
   */
  configure(locations: Array<Location>): void {
    locations.sort(compareLocations);
    for (let i = 0; i < locations.length; i++) {
      const last = this.locations.length - 1;
      if (last < 0 || !unchecked(this.locations[last]).same(unchecked(locations[i]))) {
        this.locations.push(unchecked(locations[i]));
      }
    }
  }

  /** Marks these locations among those of the extractor. Runs at configuration only. */
  select(locations: Array<Location>): StaticArray<bool> {
    const selected = new StaticArray<bool>(this.locations.length);
    for (let i = 0; i < this.locations.length; i++) {
      for (let j = 0; j < locations.length; j++) {
        if (unchecked(this.locations[i]).same(unchecked(locations[j]))) unchecked((selected[i] = true));
      }
    }
    return selected;
  }

  /** Whether any location is in the header of that lower-case name. Runs at configuration only. */
  looksAtHeader(name: Slice): bool {
    for (let i = 0; i < this.locations.length; i++) {
      const location = unchecked(this.locations[i]);
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
    for (let i = 0; i < this.locations.length; i++) {
      const location = unchecked(this.locations[i]);
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
    const candidate = unchecked(this.candidates[this.count++]);
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
    return unchecked(this.candidates[i]);
  }

  /** Reports where a provider looks. @param looksAt the locations that the provider selected */
  traceLocations(looksAt: StaticArray<bool>): void {
    for (let i = 0; i < this.locations.length; i++) {
      const location = unchecked(this.locations[i]);
      if (unchecked(looksAt[i])) traceLocation(location.kind, location.name, location.prefix);
    }
  }

  /** Reports that a token is checked. @param maxTokenBytes the longest allowed */
  traceCandidate(candidate: Candidate, maxTokenBytes: i32): void {
    const location = unchecked(this.locations[candidate.location]);
    traceToken(location.kind, location.name, location.prefix, lengthOf(candidate.token), maxTokenBytes);
  }

  /**
   * Removes a token from the request, and with it all tokens in the same header or parameter. Cookies stay, unless the
   * location is the `cookie` header itself.
   */
  remove(request: Request, candidate: Candidate): void {
    const location = unchecked(this.locations[candidate.location]);
    if (location.kind == LocationKind.Cookie) return;
    if (location.kind == LocationKind.Header) {
      request.removeHeader(location.name);
    } else {
      request.replacePath(withoutParameter(request.path, request.query, location.name));
    }
    for (let i = 0; i < this.count; i++) {
      const other = this.at(i);
      if (isTakenAlong(unchecked(this.locations[other.location]), location)) other.present = false;
    }
  }
}

/** Whether removing `location`, a header or a parameter, also removes `other`. */
function isTakenAlong(other: Location, location: Location): bool {
  if (other.kind == LocationKind.Cookie)
    return location.kind == LocationKind.Header && equals(location.name, COOKIE.slice);
  return other.kind == location.kind && equals(other.name, location.name);
}

/** The first position of `needle` in `s`, or -1. */
function find(s: Slice, needle: Slice): i32 {
  const first = byteAt(needle, 0);
  const last = lengthOf(s) - lengthOf(needle);
  for (let i = indexOfByte(s, first); i >= 0 && i <= last; i = indexOfByte(s, first, i + 1)) {
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
