/**
 * Finds every token at every configured place, once a request (Envoy jwt_authn, extractor.cc). Which of them a
 * provider looks at is its own choice of places; a token that one provider takes out of the request is gone for the
 * next.
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
import { tracePlace, traceToken } from "../trace";
import { Place, PlaceKind, comparePlaces } from "./place";

/** What is looked at in a request at the most, whatever the configuration says. */
const MAX_CANDIDATES: i32 = 64;

const COOKIE = new Text("cookie");

/** A token found at a place. */
export class Candidate {
  token: Slice = 0;
  /** Index of its place. */
  place: i32 = 0;
  /** Index of the header whose value it was found in; -1 where it is a parameter or a cookie. */
  header: i32 = -1;
  /** Still in the request. */
  present: bool = false;
  /** Whether it was parsed, which is the authenticator's affair. */
  isParsed: bool = false;
  /** Where it was parsed: what that gave. */
  parseStatus: Status = Status.Ok;
  /** Where it parses: its `iss`. */
  issuer: Slice = 0;
}

export class Extractor {
  /** All distinct places of all providers, in Envoy's order. */
  private places: Array<Place> = new Array<Place>();
  private readonly candidates: StaticArray<Candidate> = new StaticArray<Candidate>(MAX_CANDIDATES);
  /** Tokens that the last `extract` found. */
  count: i32 = 0;
  /** Those among them that the request holds: what several prefixes find in one header is one. */
  private held: i32 = 0;

  constructor() {
    for (let i = 0; i < MAX_CANDIDATES; i++) unchecked((this.candidates[i] = new Candidate()));
  }

  /**
   * At configuration only.
   *
   * @param places of all providers, repeated or not
   */
  configure(places: Array<Place>): void {
    places.sort(comparePlaces);
    for (let i = 0; i < places.length; i++) {
      const last = this.places.length - 1;
      if (last < 0 || !unchecked(this.places[last]).same(unchecked(places[i]))) {
        this.places.push(unchecked(places[i]));
      }
    }
  }

  /** For each place of the extractor whether it is one of these. At configuration only. */
  select(places: Array<Place>): StaticArray<bool> {
    const selected = new StaticArray<bool>(this.places.length);
    for (let i = 0; i < this.places.length; i++) {
      for (let j = 0; j < places.length; j++) {
        if (unchecked(this.places[i]).same(unchecked(places[j]))) unchecked((selected[i] = true));
      }
    }
    return selected;
  }

  /** Whether a token may be looked for in the header of that lower-case name. At configuration only. */
  looksAtHeader(name: Slice): bool {
    for (let i = 0; i < this.places.length; i++) {
      const place = unchecked(this.places[i]);
      if (place.kind == PlaceKind.Header && equals(place.name, name)) return true;
      if (place.kind == PlaceKind.Cookie && equals(name, COOKIE.slice)) return true;
    }
    return false;
  }

  /**
   * Looks at every place of the request.
   *
   * @param maxTokens how many tokens a request may hold
   * @returns false where there are more
   */
  extract(request: Request, maxTokens: i32): bool {
    this.count = 0;
    this.held = 0;
    for (let i = 0; i < this.places.length; i++) {
      const place = unchecked(this.places[i]);
      let fits = true;
      if (place.kind == PlaceKind.Header) {
        fits = this.extractHeader(request, place, i, maxTokens);
      } else if (place.kind == PlaceKind.Parameter) {
        if (!request.hasQuery) continue;
        const token = findParameter(request.query, place.name);
        if (token != ABSENT) fits = this.add(token, i, -1, maxTokens);
      } else {
        const token = findCookie(request, place.name);
        if (token != ABSENT) fits = this.add(token, i, -1, maxTokens);
      }
      if (!fits) return false;
    }
    return true;
  }

  private extractHeader(request: Request, place: Place, index: i32, maxTokens: i32): bool {
    for (
      let header = request.findHeader(place.name, 0);
      header >= 0;
      header = request.findHeader(place.name, header + 1)
    ) {
      let token = request.headerValue(header);
      if (lengthOf(place.prefix) > 0) {
        const start = find(token, place.prefix);
        if (start < 0) continue;
        token = skipToToken(token, start + lengthOf(place.prefix));
      }
      if (!this.add(token, index, header, maxTokens)) return false;
    }
    return true;
  }

  private add(token: Slice, place: i32, header: i32, maxTokens: i32): bool {
    if (!this.isHeld(header) && ++this.held > maxTokens) return false;
    if (this.count == MAX_CANDIDATES) return false;
    const candidate = unchecked(this.candidates[this.count++]);
    candidate.token = token;
    candidate.place = place;
    candidate.header = header;
    candidate.present = true;
    candidate.isParsed = false;
    return true;
  }

  /** Whether another place has found a token in that header already. */
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

  /** Says where a provider looks. @param looksAt the provider's choice of places */
  tracePlaces(looksAt: StaticArray<bool>): void {
    for (let i = 0; i < this.places.length; i++) {
      const place = unchecked(this.places[i]);
      if (unchecked(looksAt[i])) tracePlace(place.kind, place.name, place.prefix);
    }
  }

  /** Says that a token is looked at. @param maxTokenBytes the longest allowed */
  traceCandidate(candidate: Candidate, maxTokenBytes: i32): void {
    const place = unchecked(this.places[candidate.place]);
    traceToken(place.kind, place.name, place.prefix, lengthOf(candidate.token), maxTokenBytes);
  }

  /**
   * Takes a token out of the request, and with it all that stands at the same header or parameter. Cookies stay, unless
   * the token was found by the name of their header.
   */
  remove(request: Request, candidate: Candidate): void {
    const place = unchecked(this.places[candidate.place]);
    if (place.kind == PlaceKind.Cookie) return;
    if (place.kind == PlaceKind.Header) {
      request.removeHeader(place.name);
    } else {
      request.replacePath(withoutParameter(request.path, request.query, place.name));
    }
    for (let i = 0; i < this.count; i++) {
      const other = this.at(i);
      if (isTakenAlong(unchecked(this.places[other.place]), place)) other.present = false;
    }
  }
}

/** Whether what stands at `other` is gone when what stands at `place`, a header or a parameter, is. */
function isTakenAlong(other: Place, place: Place): bool {
  if (other.kind == PlaceKind.Cookie)
    return place.kind == PlaceKind.Header && equals(place.name, COOKIE.slice);
  return other.kind == place.kind && equals(other.name, place.name);
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

/** From the first character of a token at or after `from`; the whole value where there is none (extractJWT). */
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
