/**
 * A token: a JWS in compact serialization (RFC 7515 section 7.1) whose payload is a claims set (RFC 7519).
 *
 * Checks and their order are Envoy's (source/common/jwt/jwt.cc), so that a token with several faults is refused for the
 * same one; the reading is strict where Envoy's is not (docs/strictness.md, S1 to S4).
 */
import { EMPTY, Slice, Text, equals, indexOfByte, lengthOf, startsWith, subslice } from "../abi/slice";
import { decodeStrict } from "../encoding/base64url";
import { JsonDocument, JsonKind, NONE, Node } from "../encoding/json";
import { Algorithm, parseAlgorithm } from "./algorithm";
import { Status } from "./status";

const ALG = new Text("alg");
const KID = new Text("kid");
const CRIT = new Text("crit");
const B64 = new Text("b64");
const ISS = new Text("iss");
const SUB = new Text("sub");
const IAT = new Text("iat");
const NBF = new Text("nbf");
const EXP = new Text("exp");
const JTI = new Text("jti");
const AUD = new Text("aud");
const HTTP = new Text("http://");
const HTTPS = new Text("https://");

const DOT: u8 = 0x2e;
const SLASH: u8 = 0x2f;

const TWO_TO_64: f64 = 18446744073709551616.0;

/** What `readSeconds` found beside a number of seconds. */
const enum Seconds {
  Ok,
  Missing,
  WrongType,
  OutOfRange,
}

/** One object, reused. What it holds points into the token and the arena, so it is good until the next reset. */
export class Jws {
  algorithm: Algorithm = Algorithm.None;
  /** EMPTY, or of no bytes, where the header names no key. */
  kid: Slice = EMPTY;
  readonly header: JsonDocument = new JsonDocument();
  readonly payload: JsonDocument = new JsonDocument();
  /** Header and payload as received, with the dot between them: what is signed (RFC 7515 section 5.2). */
  signedText: Slice = EMPTY;
  /** Decoded. */
  signature: Slice = EMPTY;
  /** The payload as received, in base64url. */
  payloadSegment: Slice = EMPTY;
  /** `iss`; of no bytes where it is missing. */
  issuer: Slice = EMPTY;
  /** `sub`; of no bytes where it is missing. */
  subject: Slice = EMPTY;
  /** `exp` in seconds since 1970; u64.MAX_VALUE where it is missing, for then the token never expires. */
  expiresAt: u64 = u64.MAX_VALUE;
  /** `nbf` in seconds since 1970; 0 where it is missing. */
  notBefore: u64 = 0;

  private seconds: u64 = 0;
  private audience: Node = NONE;

  /**
   * Reads a token; verifies nothing.
   *
   * @param token all its bytes; they must outlive what is read
   * @returns Ok, or the first fault
   */
  parse(token: Slice): Status {
    const firstDot = indexOfByte(token, DOT);
    const secondDot = firstDot < 0 ? -1 : indexOfByte(token, DOT, firstDot + 1);
    const length = lengthOf(token);
    if (
      firstDot <= 0 ||
      secondDot <= firstDot + 1 ||
      secondDot == length - 1 ||
      indexOfByte(token, DOT, secondDot + 1) >= 0
    ) {
      return Status.JwtBadFormat;
    }
    this.signedText = subslice(token, 0, secondDot);
    this.payloadSegment = subslice(token, firstDot + 1, secondDot);
    const status = this.parseHeader(subslice(token, 0, firstDot));
    if (status != Status.Ok) return status;
    const payloadStatus = this.parsePayload(this.payloadSegment);
    if (payloadStatus != Status.Ok) return payloadStatus;
    this.signature = decodeStrict(subslice(token, secondDot + 1, length));
    return this.signature == EMPTY ? Status.JwtSignatureParseErrorBadBase64 : Status.Ok;
  }

  /**
   * Whether a value of `aud` is one of `audiences`, both without `http://` or `https://` in front and without one slash
   * at the end (Envoy: source/common/jwt/check_audience.cc).
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

  private parseHeader(segment: Slice): Status {
    const text = decodeStrict(segment);
    if (text == EMPTY) return Status.JwtHeaderParseErrorBadBase64;
    const header = this.header;
    if (!header.parse(text) || !isStruct(header)) return Status.JwtHeaderParseErrorBadJson;
    const alg = header.member(header.root, ALG.slice);
    if (alg == NONE || header.kind(alg) != JsonKind.String) return Status.JwtHeaderBadAlg;
    this.algorithm = parseAlgorithm(header.text(alg));
    if (this.algorithm == Algorithm.None) return Status.JwtHeaderNotImplementedAlg;
    const kid = header.member(header.root, KID.slice);
    if (kid != NONE && header.kind(kid) != JsonKind.String) return Status.JwtHeaderBadKid;
    this.kid = kid == NONE ? EMPTY : header.text(kid);
    // S1: an extension that is not understood must not be ignored (RFC 7515 section 4.1.11), and `b64` changes what
    // is signed (RFC 7797 section 3).
    if (header.member(header.root, CRIT.slice) != NONE) return Status.JwtHeaderNotImplementedCrit;
    const b64 = header.member(header.root, B64.slice);
    if (b64 != NONE && header.kind(b64) != JsonKind.True) return Status.JwtHeaderNotImplementedCrit;
    return Status.Ok;
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

  /** A string, a list of strings, or missing. */
  private isAudience(n: Node): bool {
    if (this.isStringOrMissing(n)) return true;
    const payload = this.payload;
    if (payload.kind(n) != JsonKind.Array) return false;
    for (let element = payload.firstChild(n); element != NONE; element = payload.nextSibling(element)) {
      if (payload.kind(element) != JsonKind.String) return false;
    }
    return true;
  }

  /** Reads a NumericDate (RFC 7519 section 2) into `seconds`, through a double and without its fraction, as Envoy does. */
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

/** Whether a document is what Envoy reads as a message of no or some members: an object, or `null` for the empty one. */
function isStruct(json: JsonDocument): bool {
  const kind = json.kind(json.root);
  return kind == JsonKind.Object || kind == JsonKind.Null;
}
