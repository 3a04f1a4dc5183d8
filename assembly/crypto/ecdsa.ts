/**
 * ECDSA (FIPS 186-5 §6) on P-256, P-384 and P-521 (SP 800-186 §3.2.1) for `ES256`, `ES384` and `ES512` (RFC 7518 §3.4).
 *
 * The host verifies on P-256 if it can, because its code for that curve is faster. On P-384 and P-521 this code is
 * faster (docs/performance.md), so the host is not asked.
 */
import { Slice, lengthOf, pointerOf, slice, subslice } from "../memory/slice";
import { DER_HEADER_SIZE, DerTag, DerWriter, withoutLeadingZeros } from "../encoding/der";
import { PrimeCurve } from "./curve";
import { FieldP256 } from "./field-p256";
import { FieldP384 } from "./field-p384";
import { FieldP521 } from "./field-p521";
import { fromHex } from "./hex";
import { hostVerifies, verifyAtHost } from "./host-verifier";
import { KeyFault } from "./key-fault";
import { Modulus, NUMBER_SIZE } from "./montgomery";
import { Hash, MAX_DIGEST_LENGTH, digest, digestLength } from "./sha2";
import { Verification, verified } from "./verification";

/** The curves of RFC 7518 §6.2.1.1. */
export const enum Curve {
  P256,
  P384,
  P521,
}

/** A curve, and what ECDSA needs of the integers modulo its order. */
class Parameters {
  readonly curve: PrimeCurve;
  readonly order: Modulus;

  /** @param curve with the same n */
  constructor(curve: PrimeCurve) {
    this.curve = curve;
    this.order = new Modulus(bytesOf(curve.n));
  }

  /** Whether `number`, which has the length of a scalar, is from 1 to n - 1. */
  isScalar(number: Slice): bool {
    return (
      lengthOf(withoutLeadingZeros(number)) != 0 &&
      memory.compare(pointerOf(number), changetype<usize>(this.curve.n), <usize>this.curve.length) < 0
    );
  }

  /**
   * FIPS 186-5 §6.4.2, from step 2 on.
   * @param r from 1 to n - 1; s likewise
   * @param point as `PrimeCurve.readPoint` writes it
   * @param mayKeep whether the point is likely to be used again
   */
  verify(hash: Hash, r: Slice, s: Slice, text: Slice, point: usize, mayKeep: bool): bool {
    const curve = this.curve;
    const order = this.order;
    this.readDigest(hash, text);
    curve.invertScalar(U, pointerOf(s));
    order.read(INVERSE, U);
    order.toMontgomery(INVERSE, INVERSE);
    order.multiply(PRODUCT, NUMBER, INVERSE);
    order.write(U, PRODUCT);
    order.read(NUMBER, pointerOf(r));
    order.multiply(PRODUCT, NUMBER, INVERSE);
    order.write(V, PRODUCT);
    return curve.hasSum(U, V, point, mayKeep, pointerOf(r));
  }

  /** NUMBER = the leftmost bits of the text's digest, as many as n has, modulo n. */
  private readDigest(hash: Hash, text: Slice): void {
    const length = this.curve.length;
    const size = min(digestLength(hash), length);
    digest(hash, text, DIGEST);
    memory.fill(U, 0, <usize>(length - size));
    memory.copy(U + <usize>(length - size), DIGEST, <usize>size);
    if (this.order.read(NUMBER, U)) return;
    // The number is less than 2n: n begins with a one bit unless it is longer than the digest.
    const n = changetype<usize>(this.curve.n);
    let borrow = 0;
    for (let i = <usize>length; i > 0; i--) {
      borrow += <i32>load<u8>(U + i - 1) - <i32>load<u8>(n + i - 1);
      store<u8>(U + i - 1, <u8>borrow);
      borrow >>= 8;
    }
    this.order.read(NUMBER, U);
  }
}

const MAX_COORDINATE_LENGTH: i32 = 66;

/** Numbers modulo n of a verification, and its two scalars in bytes. */
const NUMBER: usize = memory.data(NUMBER_SIZE, 16);
const INVERSE: usize = memory.data(NUMBER_SIZE, 16);
const PRODUCT: usize = memory.data(NUMBER_SIZE, 16);
const U: usize = memory.data(MAX_COORDINATE_LENGTH, 16);
const V: usize = memory.data(MAX_COORDINATE_LENGTH, 16);
const DIGEST: usize = memory.data(MAX_DIGEST_LENGTH, 16);
/** The signature in DER. */
const SIGNATURE_SIZE: i32 = 2 * (MAX_COORDINATE_LENGTH + 1) + 3 * DER_HEADER_SIZE;
const SIGNATURE: usize = memory.data(SIGNATURE_SIZE, 16);
/** Coordinates, left-padded to their curve's length. */
const COORDINATES: usize = memory.data(2 * MAX_COORDINATE_LENGTH, 16);

/** The object identifier id-ecPublicKey, 1.2.840.10045.2.1 (RFC 5480 §2.1.1). */
const EC_PUBLIC_KEY: Slice = slice(memory.data<u8>([0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01]), 7);

const P256 = new Parameters(
  new PrimeCurve(
    new FieldP256(),
    fromHex("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"),
    fromHex("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b"),
    fromHex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
    fromHex(
      "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296" +
        "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
    ),
  ),
);
const P384 = new Parameters(
  new PrimeCurve(
    new FieldP384(),
    fromHex(
      "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff",
    ),
    fromHex(
      "b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef",
    ),
    fromHex(
      "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
    ),
    fromHex(
      "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7" +
        "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f",
    ),
  ),
);
const P521 = new Parameters(
  new PrimeCurve(
    new FieldP521(),
    fromHex(
      "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff" +
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ),
    fromHex(
      "0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e1" +
        "56193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00",
    ),
    fromHex(
      "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa" +
        "51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
    ),
    fromHex(
      "00c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3dba" +
        "a14b5e77efe75928fe1dc127a2ffa8de3348b3c1856a429bf97e7e31c2e5bd66" +
        "011839296a789a3bc0045c8a5fb42c7d1bd998f54449579b446817afbd17273e662c" +
        "97ee72995ef42640c550b9013fad0761353c7086a272c24088be94769fd16650",
    ),
  ),
);

/** The object identifier prime256v1, 1.2.840.10045.3.1.7 (RFC 5480 §2.1.1.1). */
const PRIME256V1: Slice = slice(memory.data<u8>([0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]), 8);

const writer = new DerWriter();

/** A point on one of the curves, as a public key. */
export class EcPublicKey {
  private wasUsed: bool = false;

  private constructor(
    private readonly parameters: Parameters,
    private readonly point: StaticArray<u8>,
    /** The key in DER, if the host verifies; else empty. */
    private readonly publicKeyInfo: StaticArray<u8>,
  ) {}

  /**
   * @param x a coordinate, big-endian, with or without leading zero bytes
   * @param y the other coordinate
   * @param fault set to why the key cannot be used
   * @returns null unless both are less than p and (x, y) is on the curve
   */
  static create(id: Curve, x: Slice, y: Slice, fault: KeyFault): EcPublicKey | null {
    const parameters = id == Curve.P256 ? P256 : id == Curve.P384 ? P384 : P521;
    const curve = parameters.curve;
    const length = curve.length;
    const point = new StaticArray<u8>(curve.sizeOfPoint);
    if (
      !pad(COORDINATES, x, length) ||
      !pad(COORDINATES + <usize>length, y, length) ||
      !curve.readPoint(changetype<usize>(point), COORDINATES)
    ) {
      fault.reason = "the point is not on the curve";
      return null;
    }
    if (id == Curve.P256 && hostVerifies()) return new EcPublicKey(parameters, point, encodePublicKey());
    curve.prepare();
    return new EcPublicKey(parameters, point, []);
  }

  /**
   * @param signature r and s, big-endian, each exactly as long as a coordinate (RFC 7518 §3.4), from 1 to n - 1
   */
  verify(hash: Hash, signature: Slice, text: Slice): Verification {
    const parameters = this.parameters;
    const length = parameters.curve.length;
    if (lengthOf(signature) != 2 * length) return Verification.Bad;
    const r = subslice(signature, 0, length);
    const s = subslice(signature, length, 2 * length);
    if (!parameters.isScalar(r) || !parameters.isScalar(s)) return Verification.Bad;
    if (this.publicKeyInfo.length > 0) {
      return verifyAtHost(hash, bytesOf(this.publicKeyInfo), encodeSignature(r, s), text);
    }
    const wasUsed = this.wasUsed;
    this.wasUsed = true;
    return verified(parameters.verify(hash, r, s, text, changetype<usize>(this.point), wasUsed));
  }
}

/** ECDSA-Sig-Value (RFC 3279 §2.2.3). */
function encodeSignature(r: Slice, s: Slice): Slice {
  writer.begin(SIGNATURE, SIGNATURE_SIZE);
  const end = writer.position;
  writer.unsignedInteger(s);
  writer.unsignedInteger(r);
  writer.close(DerTag.Sequence, end);
  return writer.written;
}

/** Writes `number` with leading zeros to `target`. @returns false if it has more than `length` significant bytes */
function pad(target: usize, number: Slice, length: i32): bool {
  const significant = withoutLeadingZeros(number);
  const zeros = length - lengthOf(significant);
  if (zeros < 0) return false;
  memory.fill(target, 0, <usize>zeros);
  memory.copy(target + <usize>zeros, pointerOf(significant), <usize>lengthOf(significant));
  return true;
}

/** SubjectPublicKeyInfo (RFC 5480 §2) of the uncompressed point on P-256 whose coordinates are in `COORDINATES`. */
function encodePublicKey(): StaticArray<u8> {
  const size =
    2 * P256.curve.length + lengthOf(EC_PUBLIC_KEY) + lengthOf(PRIME256V1) + 5 * DER_HEADER_SIZE + 2;
  const buffer = new StaticArray<u8>(size);
  writer.begin(changetype<usize>(buffer), size);
  const end = writer.position;
  writer.bytes(slice(COORDINATES, 2 * P256.curve.length));
  writer.byte(4);
  writer.byte(0);
  writer.close(DerTag.BitString, end);
  const algorithm = writer.position;
  writer.element(DerTag.ObjectIdentifier, PRIME256V1);
  writer.element(DerTag.ObjectIdentifier, EC_PUBLIC_KEY);
  writer.close(DerTag.Sequence, algorithm);
  writer.close(DerTag.Sequence, end);
  return writer.copyWritten();
}

function bytesOf(array: StaticArray<u8>): Slice {
  return slice(changetype<usize>(array), array.length);
}
