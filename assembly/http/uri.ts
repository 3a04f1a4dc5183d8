/** Absolute http and https URIs (RFC 3986), as far as a fetch needs them. */
import {
  EMPTY,
  Slice,
  Text,
  byteAt,
  equals,
  indexOfByte,
  lengthOf,
  startsWith,
  subslice,
} from "../memory/slice";
import { lowerCased } from "../encoding/ascii";

const HTTP = new Text("http");
const HTTPS = new Text("https");
const HTTP_START = new Text("http://");
const HTTPS_START = new Text("https://");
const ROOT = new Text("/");

export class Uri {
  scheme: Slice = EMPTY;
  /** The host, and the port if it is written. */
  authority: Slice = EMPTY;
  host: Slice = EMPTY;
  /** The written port, or the scheme's default. */
  port: i32 = 0;
  /** Path and query, at least `/`; no fragment. */
  pathAndQuery: Slice = EMPTY;

  /**
   * @param text must live as long as this object is used
   * @returns false for anything but http(s)://host[:port][/path][?query], without user information
   */
  parse(text: Slice): bool {
    const secure = startsWith(text, HTTPS_START.slice);
    if (!secure && !startsWith(text, HTTP_START.slice)) return false;
    this.scheme = secure ? HTTPS.slice : HTTP.slice;
    const start = secure ? lengthOf(HTTPS_START.slice) : lengthOf(HTTP_START.slice);
    const fragment = indexOfByte(text, 0x23 /* # */, start);
    const end = fragment < 0 ? lengthOf(text) : fragment;
    let authorityEnd = start;
    for (; authorityEnd < end; authorityEnd++) {
      const byte = byteAt(text, authorityEnd);
      if (byte == 0x2f /* / */ || byte == 0x3f /* ? */) break;
      if (byte <= 0x20 || byte >= 0x7f || byte == 0x40 /* @ */) return false;
    }
    for (let i = authorityEnd; i < end; i++) {
      const byte = byteAt(text, i);
      if (byte <= 0x20 || byte >= 0x7f) return false;
    }
    this.authority = subslice(text, start, authorityEnd);
    const rest = subslice(text, authorityEnd, end);
    if (lengthOf(rest) == 0) this.pathAndQuery = ROOT.slice;
    else if (byteAt(rest, 0) == 0x2f) this.pathAndQuery = rest;
    else return false;
    return this.parseAuthority(secure);
  }

  private parseAuthority(secure: bool): bool {
    const authority = this.authority;
    const length = lengthOf(authority);
    const bracket = indexOfByte(authority, 0x5d /* ] */);
    const colon = indexOfByte(authority, 0x3a /* : */, max(bracket, 0));
    this.port = secure ? 443 : 80;
    this.host = colon < 0 ? authority : subslice(authority, 0, colon);
    if (colon >= 0) {
      if (colon + 1 == length || length - colon > 6) return false;
      let port = 0;
      for (let i = colon + 1; i < length; i++) {
        const digit = <i32>byteAt(authority, i) - 0x30;
        if (digit < 0 || digit > 9) return false;
        port = port * 10 + digit;
      }
      if (port == 0 || port > 65535) return false;
      this.port = port;
    }
    return lengthOf(this.host) > 0;
  }

  /** Whether both have the same scheme, host (ASCII case ignored) and port (RFC 6454). */
  sameOrigin(other: Uri): bool {
    return (
      equals(this.scheme, other.scheme) &&
      this.port == other.port &&
      equals(lowerCased(this.host), lowerCased(other.host))
    );
  }
}
