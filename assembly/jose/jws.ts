/**
 * A JSON Web Signature in compact serialization (RFC 7515 section 7.1): segments, header, what is signed. What its payload
 * says is not looked at here: `jwt.ts` reads a claims set.
 *
 * Checks and their order are Envoy's (source/common/jwt/jwt.cc), so that a token with several faults is refused for the
 * same one; the reading is strict where Envoy's is not (docs/strictness.md, S1 to S4).
 */
import { EMPTY, Slice, Text, indexOfByte, lengthOf, subslice } from "../memory/slice";
import { decodeStrict } from "../encoding/base64url";
import { JsonDocument, JsonKind, NONE } from "../encoding/json";
import { Algorithm, parseAlgorithm } from "./algorithm";
import { Status } from "./status";

const ALG = new Text("alg");
const KID = new Text("kid");
const CRIT = new Text("crit");
const B64 = new Text("b64");

const DOT: u8 = 0x2e;

/** One object, reused. What it holds points into the token and the arena, so it is good until the next reset. */
export class Jws {
  algorithm: Algorithm = Algorithm.None;
  /** EMPTY, or of no bytes, if the header names no key. */
  kid: Slice = EMPTY;
  readonly header: JsonDocument = new JsonDocument();
  /** Header and payload as received, with the dot between them: what is signed (RFC 7515 section 5.2). */
  signedText: Slice = EMPTY;
  /** The payload as received, in base64url. */
  payloadSegment: Slice = EMPTY;
  /** Decoded by `readSignature`. */
  signature: Slice = EMPTY;
  private signatureSegment: Slice = EMPTY;

  /**
   * Finds the segments and reads the header; verifies nothing.
   *
   * @param token all its bytes; they must outlive what is read
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

  /** Decodes the signature, after the payload was read. @returns Ok, or its fault */
  readSignature(): Status {
    this.signature = decodeStrict(this.signatureSegment);
    return this.signature == EMPTY ? Status.JwtSignatureParseErrorBadBase64 : Status.Ok;
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
}

/** Whether a document is what Envoy reads as a message of no or some members: an object, or `null` for the empty one. */
export function isStruct(json: JsonDocument): bool {
  const kind = json.kind(json.root);
  return kind == JsonKind.Object || kind == JsonKind.Null;
}
