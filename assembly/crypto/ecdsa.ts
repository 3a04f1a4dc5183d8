/**
 * ECDSA (FIPS 186-5 §6) on P-256, P-384 and P-521 (SP 800-186 §3.2.1) for `ES256`, `ES384` and `ES512` (RFC 7518 §3.4).
 * Keys are checked here; the arithmetic of a verification is the host's.
 */
import { EMPTY, Slice, lengthOf, pointerOf, slice, subslice } from "../memory/slice";
import { DER_HEADER_SIZE, DerTag, DerWriter, withoutLeadingZeros } from "../encoding/der";
import { hostVerifies, verifyAtHost } from "./host-verifier";
import { Modulus, NUMBER_SIZE } from "./montgomery";
import { KeyFault } from "./key-fault";
import { Hash } from "./sha2";
import { Verification } from "./verification";

/** The curves of RFC 7518 §6.2.1.1. */
export const enum Curve {
  P256,
  P384,
  P521,
}

/** y² = x³ - 3x + b over the integers modulo p, with a base point of prime order n (SP 800-186 §3.2.1.3 to §3.2.1.5). */
class CurveParameters {
  readonly field: Modulus;
  readonly b: StaticArray<u8>;
  readonly n: StaticArray<u8>;
  readonly objectIdentifier: StaticArray<u8>;
  /** Bytes of a coordinate, and of r and s. */
  readonly length: i32;

  /** All in hexadecimal, the object identifier as its DER content. */
  constructor(p: string, b: string, n: string, objectIdentifier: string) {
    const prime = fromHex(p);
    this.field = new Modulus(bytesOf(prime));
    this.b = fromHex(b);
    this.n = fromHex(n);
    this.objectIdentifier = fromHex(objectIdentifier);
    this.length = prime.length;
  }

  /** Whether x and y, of `length` bytes each, are less than p and satisfy the curve's equation. */
  contains(x: Slice, y: Slice): bool {
    const field = this.field;
    if (!field.read(X, pointerOf(x)) || !field.read(Y, pointerOf(y))) return false;
    field.read(B, changetype<usize>(this.b));
    field.toMontgomery(X, X);
    field.toMontgomery(Y, Y);
    field.toMontgomery(B, B);
    // b - y² - (x - x³) - x - x
    field.square(Y);
    field.subtract(B, B, Y);
    field.multiply(Y, X, X);
    field.multiply(Y, Y, X);
    field.subtract(Y, X, Y);
    field.subtract(B, B, Y);
    field.subtract(B, B, X);
    field.subtract(B, B, X);
    // The difference is more than p; a product of it is small enough to be written.
    field.toMontgomery(B, B);
    field.write(DIFFERENCE, B);
    return lengthOf(withoutLeadingZeros(slice(DIFFERENCE, this.length))) == 0;
  }

  /** Whether `number`, of `length` bytes, is from 1 to n - 1. */
  isScalar(number: Slice): bool {
    return (
      lengthOf(withoutLeadingZeros(number)) != 0 &&
      memory.compare(pointerOf(number), changetype<usize>(this.n), <usize>this.length) < 0
    );
  }
}

const MAX_COORDINATE_LENGTH: i32 = 66;

/** Numbers of a point check. */
const X: usize = memory.data(NUMBER_SIZE, 16);
const Y: usize = memory.data(NUMBER_SIZE, 16);
const B: usize = memory.data(NUMBER_SIZE, 16);
const DIFFERENCE: usize = memory.data(MAX_COORDINATE_LENGTH, 16);
/** The signature in DER. */
const SIGNATURE_SIZE: i32 = 2 * (MAX_COORDINATE_LENGTH + 1) + 3 * DER_HEADER_SIZE;
const SIGNATURE: usize = memory.data(SIGNATURE_SIZE, 16);
/** Coordinates, left-padded to their curve's length. */
const COORDINATES: usize = memory.data(2 * MAX_COORDINATE_LENGTH, 16);

/** The object identifier id-ecPublicKey, 1.2.840.10045.2.1 (RFC 5480 §2.1.1). */
const EC_PUBLIC_KEY: Slice = slice(memory.data<u8>([0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01]), 7);

const P256 = new CurveParameters(
  "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
  "5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b",
  "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
  "2a8648ce3d030107",
);
const P384 = new CurveParameters(
  "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff",
  "b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef",
  "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
  "2b81040022",
);
const P521 = new CurveParameters(
  "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff" +
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
  "0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e1" +
    "56193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00",
  "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa" +
    "51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
  "2b81040023",
);

const writer = new DerWriter();

/** A point on one of the curves, as a public key. */
export class EcPublicKey {
  private constructor(
    private readonly parameters: CurveParameters,
    private readonly publicKeyInfo: StaticArray<u8>,
  ) {}

  /**
   * @param x a coordinate, big-endian, with zero bytes in front or without
   * @param y the other
   * @param fault why the key cannot be used
   * @returns null unless both are less than p, (x, y) is on the curve, and the host verifies signatures
   */
  static create(curve: Curve, x: Slice, y: Slice, fault: KeyFault): EcPublicKey | null {
    if (!hostVerifies()) {
      return refuse(fault, "this host has no verify_signature, without which ECDSA cannot be verified");
    }
    const parameters = curve == Curve.P256 ? P256 : curve == Curve.P384 ? P384 : P521;
    const length = parameters.length;
    const paddedX = padded(COORDINATES, x, length);
    const paddedY = padded(COORDINATES + <usize>length, y, length);
    if (paddedX == EMPTY || paddedY == EMPTY || !parameters.contains(paddedX, paddedY)) {
      return refuse(fault, "the point is not on the curve");
    }
    return new EcPublicKey(parameters, encodePublicKey(parameters));
  }

  /**
   * @param signature r and s, big-endian, each exactly as long as a coordinate (RFC 7518 §3.4), from 1 to n - 1
   */
  verify(hash: Hash, signature: Slice, text: Slice): Verification {
    const parameters = this.parameters;
    const length = parameters.length;
    if (lengthOf(signature) != 2 * length) return Verification.Bad;
    const r = subslice(signature, 0, length);
    const s = subslice(signature, length, 2 * length);
    if (!parameters.isScalar(r) || !parameters.isScalar(s)) return Verification.Bad;
    // ECDSA-Sig-Value (RFC 3279 §2.2.3)
    writer.begin(SIGNATURE, SIGNATURE_SIZE);
    const end = writer.position;
    writer.unsignedInteger(s);
    writer.unsignedInteger(r);
    writer.close(DerTag.Sequence, end);
    return verifyAtHost(hash, bytesOf(this.publicKeyInfo), writer.written, text);
  }
}

/** Writes `number` with zeros in front to `target`; EMPTY where it has more than `length` significant bytes. */
function padded(target: usize, number: Slice, length: i32): Slice {
  const significant = withoutLeadingZeros(number);
  const zeros = length - lengthOf(significant);
  if (zeros < 0) return EMPTY;
  memory.fill(target, 0, <usize>zeros);
  memory.copy(target + <usize>zeros, pointerOf(significant), <usize>lengthOf(significant));
  return slice(target, length);
}

/** SubjectPublicKeyInfo (RFC 5480 §2) of the uncompressed point whose coordinates are in `COORDINATES`. */
function encodePublicKey(parameters: CurveParameters): StaticArray<u8> {
  const size =
    2 * parameters.length +
    lengthOf(EC_PUBLIC_KEY) +
    parameters.objectIdentifier.length +
    5 * DER_HEADER_SIZE +
    2;
  const buffer = new StaticArray<u8>(size);
  writer.begin(changetype<usize>(buffer), size);
  const end = writer.position;
  writer.bytes(slice(COORDINATES, 2 * parameters.length));
  writer.byte(4);
  writer.byte(0);
  writer.close(DerTag.BitString, end);
  const algorithm = writer.position;
  writer.element(DerTag.ObjectIdentifier, bytesOf(parameters.objectIdentifier));
  writer.element(DerTag.ObjectIdentifier, EC_PUBLIC_KEY);
  writer.close(DerTag.Sequence, algorithm);
  writer.close(DerTag.Sequence, end);
  return writer.copyWritten();
}

function bytesOf(array: StaticArray<u8>): Slice {
  return slice(changetype<usize>(array), array.length);
}

function fromHex(text: string): StaticArray<u8> {
  const result = new StaticArray<u8>(text.length / 2);
  for (let i = 0; i < result.length; i++) result[i] = <u8>parseInt(text.substring(2 * i, 2 * i + 2), 16);
  return result;
}

function refuse(fault: KeyFault, reason: string): EcPublicKey | null {
  fault.reason = reason;
  return null;
}
