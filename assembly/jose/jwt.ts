/**
 * A JSON Web Token: a JWS whose payload is a claims set (RFC 7519). Claims are checked in Envoy's order
 * (source/common/jwt/jwt.cc).
 */
import { EMPTY, Slice, Text, equals, indexOfByte, lengthOf, startsWith, subslice } from "../memory/slice";
import { decodeStrict } from "../encoding/base64url";
import { JsonDocument, JsonKind, NONE, Node } from "../encoding/json";
import { Jws, isStruct } from "./jws";
import { Status } from "./status";

const ISS = new Text("iss");
const SUB = new Text("sub");
const IAT = new Text("iat");
const NBF = new Text("nbf");
const EXP = new Text("exp");
const JTI = new Text("jti");
const AUD = new Text("aud");
const HTTP = new Text("http://");
const HTTPS = new Text("https://");

const SLASH: u8 = 0x2f;

const TWO_TO_64: f64 = 18446744073709551616.0;

/** The result of `readSeconds`. */
const enum Seconds {
  Ok,
  Missing,
  WrongType,
  OutOfRange,
}

/** One object, reused. It points into the token and the arena, so it is valid until the next reset. */
export class Jwt {
  readonly jws: Jws = new Jws();
  readonly payload: JsonDocument = new JsonDocument();
  /** `iss`; empty if it is missing. */
  issuer: Slice = EMPTY;
  /** `sub`; empty if it is missing. */
  subject: Slice = EMPTY;
  /** `exp` in seconds since 1970; u64.MAX_VALUE if it is missing, because the token then never expires. */
  expiresAt: u64 = u64.MAX_VALUE;
  /** `nbf` in seconds since 1970; 0 if it is missing. */
  notBefore: u64 = 0;
  /** `iat` in seconds since 1970; u64.MAX_VALUE if it is missing. */
  issuedAt: u64 = u64.MAX_VALUE;

  private seconds: u64 = 0;
  private audience: Node = NONE;

  /**
   * Parses a token. Verifies nothing.
   *
   * @param token all its bytes; they must outlive this object's use
   * @returns Ok, or the first fault
   */
  parse(token: Slice): Status {
    const headerStatus = this.jws.readHeader(token);
    if (headerStatus != Status.Ok) return headerStatus;
    const payloadStatus = this.parsePayload(this.jws.payloadSegment);
    return payloadStatus != Status.Ok ? payloadStatus : this.jws.readSignature();
  }

  /**
   * Whether a value of `aud` is one of `audiences`, both compared without a leading `http://` or `https://` and without
   * one trailing slash (Envoy: source/common/jwt/check_audience.cc).
   */
  audienceAllowed(audiences: StaticArray<Slice>): bool {
    const payload = this.payload;
    if (this.audience == NONE) return false;
    if (payload.kind(this.audience) == JsonKind.String) {
      return isListed(payload.text(this.audience), audiences);
    }
    for (let n = payload.firstChild(this.audience); n != NONE; n = payload.nextSibling(n)) {
      if (isListed(payload.text(n), audiences)) return true;
    }
    return false;
  }

  /** Whether the payload has a top-level claim of that name with a value other than null. */
  hasClaim(name: Slice): bool {
    const claim = this.payload.member(this.payload.root, name);
    return claim != NONE && this.payload.kind(claim) != JsonKind.Null;
  }

  private parsePayload(segment: Slice): Status {
    const text = decodeStrict(segment);
    if (text == EMPTY) return Status.JwtPayloadParseErrorBadBase64;
    const payload = this.payload;
    if (!payload.parse(text) || !isStruct(payload)) return Status.JwtPayloadParseErrorBadJson;
    const iss = this.claim(ISS);
    if (!this.isStringOrMissing(iss)) return Status.JwtPayloadParseErrorIssNotString;
    this.issuer = iss == NONE ? EMPTY : payload.text(iss);
    const sub = this.claim(SUB);
    if (!this.isStringOrMissing(sub)) return Status.JwtPayloadParseErrorSubNotString;
    this.subject = sub == NONE ? EMPTY : payload.text(sub);

    let found = this.readSeconds(this.claim(IAT));
    if (found == Seconds.WrongType) return Status.JwtPayloadParseErrorIatNotInteger;
    if (found == Seconds.OutOfRange) return Status.JwtPayloadParseErrorIatOutOfRange;
    this.issuedAt = found == Seconds.Ok ? this.seconds : u64.MAX_VALUE;
    found = this.readSeconds(this.claim(NBF));
    if (found == Seconds.WrongType) return Status.JwtPayloadParseErrorNbfNotInteger;
    if (found == Seconds.OutOfRange) return Status.JwtPayloadParseErrorNbfOutOfRange;
    this.notBefore = found == Seconds.Ok ? this.seconds : 0;
    found = this.readSeconds(this.claim(EXP));
    if (found == Seconds.WrongType) return Status.JwtPayloadParseErrorExpNotInteger;
    if (found == Seconds.OutOfRange) return Status.JwtPayloadParseErrorExpOutOfRange;
    this.expiresAt = found == Seconds.Ok ? this.seconds : u64.MAX_VALUE;

    if (!this.isStringOrMissing(this.claim(JTI))) return Status.JwtPayloadParseErrorJtiNotString;
    this.audience = this.claim(AUD);
    return this.isAudience(this.audience) ? Status.Ok : Status.JwtPayloadParseErrorAudNotString;
  }

  private claim(name: Text): Node {
    return this.payload.member(this.payload.root, name.slice);
  }

  private isStringOrMissing(n: Node): bool {
    return n == NONE || this.payload.kind(n) == JsonKind.String;
  }

  /** Whether a node is a string, a list of strings, or missing. */
  private isAudience(n: Node): bool {
    if (this.isStringOrMissing(n)) return true;
    const payload = this.payload;
    if (payload.kind(n) != JsonKind.Array) return false;
    for (let element = payload.firstChild(n); element != NONE; element = payload.nextSibling(element)) {
      if (payload.kind(element) != JsonKind.String) return false;
    }
    return true;
  }

  /**
   * Reads a NumericDate (RFC 7519 section 2) into `seconds`, through a double and without its fraction, as Envoy does.
   */
  private readSeconds(n: Node): Seconds {
    if (n == NONE) return Seconds.Missing;
    if (this.payload.kind(n) != JsonKind.Number) return Seconds.WrongType;
    const value = this.payload.number(n);
    if (value < 0 || value >= TWO_TO_64) return Seconds.OutOfRange;
    this.seconds = <u64>value;
    return Seconds.Ok;
  }
}

function isListed(audience: Slice, audiences: StaticArray<Slice>): bool {
  const sanitized = sanitizeAudience(audience);
  for (let i = 0; i < audiences.length; i++) {
    if (equals(sanitized, sanitizeAudience(unchecked(audiences[i])))) return true;
  }
  return false;
}

function sanitizeAudience(audience: Slice): Slice {
  const length = lengthOf(audience);
  const start = startsWith(audience, HTTP.slice)
    ? lengthOf(HTTP.slice)
    : startsWith(audience, HTTPS.slice)
      ? lengthOf(HTTPS.slice)
      : 0;
  const end = indexOfByte(audience, SLASH, max(length - 1, 0)) < 0 ? length : length - 1;
  return start < end ? subslice(audience, start, end) : EMPTY;
}
