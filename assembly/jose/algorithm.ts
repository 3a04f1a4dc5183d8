/**
 * The signature algorithms of a JWS (RFC 7518 section 3.1, RFC 8037 section 3.1, RFC 9964 section 3), with one row for
 * each. There is no `none`.
 */
import { Slice, Text, equals } from "../memory/slice";
import { Curve } from "../crypto/ecdsa";
import { MlDsa } from "../crypto/ml-dsa-parameters";
import { Hash } from "../crypto/sha2";

export const enum Algorithm {
  /** For a token: not supported. For a key: any algorithm of its type. */
  None,
  RS256,
  RS384,
  RS512,
  PS256,
  PS384,
  PS512,
  ES256,
  ES384,
  ES512,
  HS256,
  HS384,
  HS512,
  EdDSA,
  MlDsa44,
  MlDsa65,
  MlDsa87,
}

/** How a signature is made. */
export const enum Scheme {
  RsaPkcs1,
  RsaPss,
  Ecdsa,
  Hmac,
  Ed25519,
  MlDsa,
}

/** The key types in use (RFC 7518 section 6.1, RFC 8037 section 2, RFC 9964 section 2). */
export const enum KeyType {
  RSA,
  EC,
  Oct,
  OKP,
  AKP,
}

/** A set of algorithms: bit k represents algorithm k. */
export type Algorithms = u32;

/** Used for algorithms without a choice of curve, of parameters, or without a hash. */
const ANY_CURVE: Curve = Curve.P256;
const ANY_SET: MlDsa = MlDsa.MlDsa44;
const OWN_HASH: Hash = Hash.Sha512;

class Row {
  readonly name: Text;

  constructor(
    readonly algorithm: Algorithm,
    name: string,
    readonly keyType: KeyType,
    readonly scheme: Scheme,
    readonly hash: Hash,
    readonly curve: Curve = ANY_CURVE,
    readonly set: MlDsa = ANY_SET,
  ) {
    this.name = new Text(name);
  }
}

/** By algorithm. */
const ROWS: StaticArray<Row> = [
  new Row(Algorithm.None, "", KeyType.Oct, Scheme.Hmac, OWN_HASH),
  new Row(Algorithm.RS256, "RS256", KeyType.RSA, Scheme.RsaPkcs1, Hash.Sha256),
  new Row(Algorithm.RS384, "RS384", KeyType.RSA, Scheme.RsaPkcs1, Hash.Sha384),
  new Row(Algorithm.RS512, "RS512", KeyType.RSA, Scheme.RsaPkcs1, Hash.Sha512),
  new Row(Algorithm.PS256, "PS256", KeyType.RSA, Scheme.RsaPss, Hash.Sha256),
  new Row(Algorithm.PS384, "PS384", KeyType.RSA, Scheme.RsaPss, Hash.Sha384),
  new Row(Algorithm.PS512, "PS512", KeyType.RSA, Scheme.RsaPss, Hash.Sha512),
  new Row(Algorithm.ES256, "ES256", KeyType.EC, Scheme.Ecdsa, Hash.Sha256, Curve.P256),
  new Row(Algorithm.ES384, "ES384", KeyType.EC, Scheme.Ecdsa, Hash.Sha384, Curve.P384),
  new Row(Algorithm.ES512, "ES512", KeyType.EC, Scheme.Ecdsa, Hash.Sha512, Curve.P521),
  new Row(Algorithm.HS256, "HS256", KeyType.Oct, Scheme.Hmac, Hash.Sha256),
  new Row(Algorithm.HS384, "HS384", KeyType.Oct, Scheme.Hmac, Hash.Sha384),
  new Row(Algorithm.HS512, "HS512", KeyType.Oct, Scheme.Hmac, Hash.Sha512),
  new Row(Algorithm.EdDSA, "EdDSA", KeyType.OKP, Scheme.Ed25519, OWN_HASH),
  mlDsa(Algorithm.MlDsa44, "ML-DSA-44", MlDsa.MlDsa44),
  mlDsa(Algorithm.MlDsa65, "ML-DSA-65", MlDsa.MlDsa65),
  mlDsa(Algorithm.MlDsa87, "ML-DSA-87", MlDsa.MlDsa87),
];

function mlDsa(algorithm: Algorithm, name: string, set: MlDsa): Row {
  return new Row(algorithm, name, KeyType.AKP, Scheme.MlDsa, OWN_HASH, ANY_CURVE, set);
}

/** RFC 9864 section 2.2: EdDSA with Ed25519, the only curve that EdDSA has here. */
const ED25519 = new Text("Ed25519");

/** The algorithm of that name, case-sensitive; None for an unknown one. */
export function parseAlgorithm(name: Slice): Algorithm {
  if (equals(name, ED25519.slice)) return Algorithm.EdDSA;
  for (let i = 1; i < ROWS.length; i++) {
    const row = unchecked(ROWS[i]);
    if (equals(row.name.slice, name)) return row.algorithm;
  }
  return Algorithm.None;
}

/** Its name; empty for None. */
export function nameOf(algorithm: Algorithm): Slice {
  return unchecked(ROWS[algorithm]).name.slice;
}

/** How signatures of an algorithm other than None are made. */
export function schemeOf(algorithm: Algorithm): Scheme {
  return unchecked(ROWS[algorithm]).scheme;
}

/** The hash of an algorithm other than None, EdDSA and ML-DSA, which bring their own. */
export function hashOf(algorithm: Algorithm): Hash {
  return unchecked(ROWS[algorithm]).hash;
}

/** The curve of an ECDSA algorithm (docs/strictness.md, S5). */
export function curveOf(algorithm: Algorithm): Curve {
  return unchecked(ROWS[algorithm]).curve;
}

/** The parameter set of an ML-DSA algorithm. */
export function setOf(algorithm: Algorithm): MlDsa {
  return unchecked(ROWS[algorithm]).set;
}

/** The algorithms that a key of that type can verify. */
export function algorithmsOf(type: KeyType): Algorithms {
  let algorithms: Algorithms = 0;
  for (let i = 1; i < ROWS.length; i++) {
    const row = unchecked(ROWS[i]);
    if (row.keyType == type) algorithms |= only(row.algorithm);
  }
  return algorithms;
}

/** The ECDSA algorithm of a curve. */
export function algorithmOfCurve(curve: Curve): Algorithm {
  for (let i = 1; i < ROWS.length; i++) {
    const row = unchecked(ROWS[i]);
    if (row.keyType == KeyType.EC && row.curve == curve) return row.algorithm;
  }
  return Algorithm.None;
}

/** The set with that one algorithm. */
export function only(algorithm: Algorithm): Algorithms {
  return 1 << algorithm;
}
