/**
 * A JSON Web Signature in compact serialization (RFC 7515 section 7.1): segments, header, signed text. The payload is
 * not parsed here; `jwt.ts` reads a claims set.
 *
 * Checks and their order are Envoy's (source/common/jwt/jwt.cc), so a token with several faults is refused for the same
 * one. Parsing is strict even if Envoy's is not (docs/strictness.md, S1 to S4).
 */
import { EMPTY, Slice, Text, indexOfByte, lengthOf, startsWith, subslice } from "../memory/slice";
import { lowerCased } from "../encoding/ascii";
import { decodeStrict } from "../encoding/base64url";
import { JsonDocument, JsonKind, NONE } from "../encoding/json";
import { Algorithm, parseAlgorithm } from "./algorithm";
import { Status } from "./status";

const ALG = new Text("alg");
const KID = new Text("kid");
const CRIT = new Text("crit");
const B64 = new Text("b64");
const TYP = new Text("typ");
const APPLICATION = new Text("application/");

const DOT: u8 = 0x2e;
const SLASH: u8 = 0x2f;

/** One object, reused. It points into the token and the arena, so it is valid until the next reset. */
export class Jws {
  algorithm: Algorithm = Algorithm.None;
  /** Of length 0 if the header names no key. */
  kid: Slice = EMPTY;
  readonly header: JsonDocument = new JsonDocument();
  /** Header and payload as received, with the dot between them: the signed text (RFC 7515 section 5.2). */
  signedText: Slice = EMPTY;
  /** The payload as received, in base64url. */
  payloadSegment: Slice = EMPTY;
  /** Set by `readSignature`. */
  signature: Slice = EMPTY;
  private signatureSegment: Slice = EMPTY;

  /**
   * Finds the segments and parses the header. Verifies nothing.
   *
   * @param token all its bytes; they must outlive this object's use
   * @returns Ok, or the first fault
   */
  readHeader(token: Slice): Status {
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
    this.signatureSegment = subslice(token, secondDot + 1, length);
    return this.parseHeader(subslice(token, 0, firstDot));
  }

  /** Decodes the signature. Called after the payload was read. @returns Ok, or its fault */
  readSignature(): Status {
    this.signature = decodeStrict(this.signatureSegment);
    return this.signature == EMPTY ? Status.JwtSignatureParseErrorBadBase64 : Status.Ok;
  }

  /** Whether the header names a type (RFC 7515 section 4.1.9), of any JSON kind. */
  get hasType(): bool {
    return this.header.member(this.header.root, TYP.slice) != NONE;
  }

  /**
   * The header's `typ` as a media type in lower case. `application/` is left out if no other slash follows, because a
   * type without a slash is read as if it began with it (RFC 7515 section 4.1.9).
   *
   * @returns EMPTY if it is missing, empty, or not a string
   */
  get type(): Slice {
    const typ = this.header.member(this.header.root, TYP.slice);
    if (typ == NONE || this.header.kind(typ) != JsonKind.String) return EMPTY;
    const name = lowerCased(this.header.text(typ));
    const start = lengthOf(APPLICATION.slice);
    return startsWith(name, APPLICATION.slice) && indexOfByte(name, SLASH, start) < 0
      ? subslice(name, start, lengthOf(name))
      : name;
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
    // S1: an unknown extension must not be ignored (RFC 7515 section 4.1.11), and `b64` changes the signed text (RFC
    // 7797 section 3).
    if (header.member(header.root, CRIT.slice) != NONE) return Status.JwtHeaderNotImplementedCrit;
    const b64 = header.member(header.root, B64.slice);
    if (b64 != NONE && header.kind(b64) != JsonKind.True) return Status.JwtHeaderNotImplementedCrit;
    return Status.Ok;
  }
}

/** Whether Envoy reads a document as a message: it is an object, or `null` for the empty message. */
export function isStruct(json: JsonDocument): bool {
  const kind = json.kind(json.root);
  return kind == JsonKind.Object || kind == JsonKind.Null;
}
