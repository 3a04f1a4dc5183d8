/**
 * JSON Web Keys (RFC 7517, RFC 7518 section 6, RFC 8037 section 2, RFC 9964 section 2).
 *
 * The key determines the algorithm: it verifies only what its type, its curve and its `alg` allow, no matter what a
 * token names. An RSA key is never an HMAC secret, and a P-384 key never verifies ES256 (docs/strictness.md, S5). A key
 * made for another purpose (`use`, `key_ops`) verifies nothing (S6). Private members are not read.
 */
import { Region } from "../memory/region";
import { EMPTY, Slice, Text, equals, lengthOf } from "../memory/slice";
import { Curve, EcPublicKey } from "../crypto/ecdsa";
import { Ed25519PublicKey } from "../crypto/ed25519";
import { fingerprint, fingerprintAdd, fingerprintBegin } from "../crypto/fingerprint";
import { HmacKey } from "../crypto/hmac";
import { KeyFault } from "../crypto/key-fault";
import { MlDsaPublicKey } from "../crypto/ml-dsa";
import { RsaPublicKey } from "../crypto/rsa";
import { Verification, verified } from "../crypto/verification";
import { decodeLenient } from "../encoding/base64url";
import { RsaCertificate } from "../encoding/certificate";
import { JsonDocument, JsonKind, NONE, Node } from "../encoding/json";
import { formatUnsigned } from "../encoding/number";
import { decodePemCertificate } from "../encoding/pem";
import {
  Algorithm,
  Algorithms,
  KeyType,
  Scheme,
  algorithmOfCurve,
  algorithmsOf,
  curveOf,
  hashOf,
  only,
  parseAlgorithm,
  schemeOf,
  setOf,
} from "./algorithm";
import { Jws } from "./jws";

const KTY = new Text("kty");
const KID = new Text("kid");
const ALG = new Text("alg");
const USE = new Text("use");
const KEY_OPS = new Text("key_ops");
const CRV = new Text("crv");
const N = new Text("n");
const E = new Text("e");
const X = new Text("x");
const Y = new Text("y");
const K = new Text("k");
const PUB = new Text("pub");
const SIG = new Text("sig");
const JWT_SVID = new Text("jwt-svid");
const VERIFY = new Text("verify");
const RSA = new Text("RSA");
const EC = new Text("EC");
const OCT = new Text("oct");
const OKP = new Text("OKP");
const AKP = new Text("AKP");
const P256 = new Text("P-256");
const P384 = new Text("P-384");
const P521 = new Text("P-521");
const ED25519 = new Text("Ed25519");

export class Jwk {
  private rsa: RsaPublicKey | null = null;
  private ec: EcPublicKey | null = null;
  private hmac: HmacKey | null = null;
  private ed25519: Ed25519PublicKey | null = null;
  private mlDsa: MlDsaPublicKey | null = null;
  /** The algorithms that the key can verify. */
  private verifiable: Algorithms = 0;

  private constructor(
    /** The key's name; of length 0 if it has none. */
    readonly kid: Slice,
    /** `alg`; None if the key has none. */
    readonly algorithm: Algorithm,
    readonly type: KeyType,
  ) {}

  /** Identifies the key: equal only for the same key with the same `kid` and `alg`. Never leaves the VM. */
  fingerprint: u64 = 0;

  /**
   * Loads one key. Encodings are read leniently; values are checked: point on the curve, sizes, odd modulus.
   *
   * @param json a document with the key at `key`
   * @param region keeps the key's name
   * @param fault set to why no token can be verified with it
   * @returns null if no token can be verified with it
   */
  static load(json: JsonDocument, key: Node, region: Region, fault: KeyFault): Jwk | null {
    if (json.kind(key) != JsonKind.Object) return refuse(fault, "it is not an object");
    if (!isForVerifying(json, key, fault)) return null;
    const kty = json.member(key, KTY.slice);
    if (kty == NONE) return refuse(fault, "[kty] is missing");
    const type = json.text(kty);
    // As in Envoy, a kid or alg that is not a string counts as missing.
    const kid = stringMember(json, key, KID);
    const alg = stringMember(json, key, ALG);
    const algorithm = parseAlgorithm(alg);
    if (lengthOf(alg) > 0 && algorithm == Algorithm.None) return refuse(fault, "[alg] is not supported");
    const name = lengthOf(kid) > 0 ? region.keep(kid) : EMPTY;
    if (equals(type, RSA.slice)) return new Jwk(name, algorithm, KeyType.RSA).loadRsa(json, key, fault);
    if (equals(type, EC.slice)) return new Jwk(name, algorithm, KeyType.EC).loadEc(json, key, fault);
    if (equals(type, OCT.slice)) return new Jwk(name, algorithm, KeyType.Oct).loadOct(json, key, fault);
    if (equals(type, OKP.slice)) return new Jwk(name, algorithm, KeyType.OKP).loadOkp(json, key, fault);
    if (equals(type, AKP.slice)) return new Jwk(name, algorithm, KeyType.AKP).loadAkp(json, key, fault);
    return refuse(fault, "[kty] is not RSA, EC, oct, OKP or AKP");
  }

  /**
   * Loads the RSA key of a certificate, as Envoy reads a map of certificates (source/common/jwt/jwks.cc).
   *
   * @param kid the certificate's name in the map
   * @param pem the certificate
   * @returns null if it has no RSA key, or one that cannot be used
   */
  static ofCertificate(kid: Slice, pem: Slice, region: Region, fault: KeyFault): Jwk | null {
    const certificate = new RsaCertificate();
    if (!certificate.parse(decodePemCertificate(pem)))
      return refuse(fault, "it has no RSA key that can be read");
    const key = new Jwk(region.keep(kid), Algorithm.None, KeyType.RSA);
    return key.loadRsaNumbers(certificate.modulus, certificate.exponent, fault);
  }

  /** Whether the key can verify signatures of this algorithm. */
  canVerify(algorithm: Algorithm): bool {
    return (this.verifiable & only(algorithm)) != 0;
  }

  /** Checks the token's signature with the token's algorithm. */
  verify(jws: Jws): Verification {
    const algorithm = jws.algorithm;
    if (!this.canVerify(algorithm)) return Verification.Bad;
    const rsa = this.rsa;
    if (rsa) {
      return schemeOf(algorithm) == Scheme.RsaPss
        ? verified(rsa.verifyPss(hashOf(algorithm), jws.signature, jws.signedText))
        : rsa.verifyPkcs1(hashOf(algorithm), jws.signature, jws.signedText);
    }
    const ec = this.ec;
    if (ec) return ec.verify(hashOf(algorithm), jws.signature, jws.signedText);
    const hmac = this.hmac;
    if (hmac) return verified(hmac.verify(hashOf(algorithm), jws.signature, jws.signedText));
    const ed25519 = this.ed25519;
    if (ed25519) return verified(ed25519.verify(jws.signature, jws.signedText));
    const mlDsa = this.mlDsa;
    return verified(mlDsa != null && mlDsa.verify(jws.signature, jws.signedText, EMPTY));
  }

  /** RFC 7518 section 6.3.1. */
  private loadRsa(json: JsonDocument, key: Node, fault: KeyFault): Jwk | null {
    const n = binaryMember(json, key, N, fault, "[n] is missing or not base64url");
    const e = binaryMember(json, key, E, fault, "[e] is missing or not base64url");
    return n == EMPTY || e == EMPTY ? null : this.loadRsaNumbers(n, e, fault);
  }

  private loadRsaNumbers(n: Slice, e: Slice, fault: KeyFault): Jwk | null {
    if (!this.allows(algorithmsOf(KeyType.RSA), fault)) return null;
    this.rsa = RsaPublicKey.create(n, e, fault);
    if (!this.rsa) return null;
    return this.identify(n, e);
  }

  /** RFC 7518 section 6.2.1. As in Envoy, a missing `crv` follows from `alg`, and is P-256 if that is missing too. */
  private loadEc(json: JsonDocument, key: Node, fault: KeyFault): Jwk | null {
    const member = json.member(key, CRV.slice);
    if (member != NONE && json.kind(member) != JsonKind.String) return refuse(fault, "[crv] is not a string");
    const crv = stringMember(json, key, CRV);
    let own = this.algorithm == Algorithm.None ? algorithmOfCurve(Curve.P256) : this.algorithm;
    if (equals(crv, P256.slice)) own = algorithmOfCurve(Curve.P256);
    else if (equals(crv, P384.slice)) own = algorithmOfCurve(Curve.P384);
    else if (equals(crv, P521.slice)) own = algorithmOfCurve(Curve.P521);
    else if (lengthOf(crv) > 0) return refuse(fault, "[crv] is not P-256, P-384 or P-521");
    if (!this.allows(algorithmsOf(KeyType.EC) & only(own), fault)) return null;
    const x = binaryMember(json, key, X, fault, "[x] is missing or not base64url");
    const y = binaryMember(json, key, Y, fault, "[y] is missing or not base64url");
    if (x == EMPTY || y == EMPTY) return null;
    this.ec = EcPublicKey.create(curveOf(own), x, y, fault);
    if (!this.ec) return null;
    return this.identify(x, y);
  }

  /** RFC 7518 section 6.4. */
  private loadOct(json: JsonDocument, key: Node, fault: KeyFault): Jwk | null {
    if (!this.allows(algorithmsOf(KeyType.Oct), fault)) return null;
    const k = binaryMember(json, key, K, fault, "[k] is missing or not base64url");
    if (k == EMPTY) return null;
    this.hmac = HmacKey.create(k);
    if (!this.hmac) return refuse(fault, "[k] is empty");
    return this.identify(k, EMPTY);
  }

  /** RFC 8037 section 2. */
  private loadOkp(json: JsonDocument, key: Node, fault: KeyFault): Jwk | null {
    if (!this.allows(algorithmsOf(KeyType.OKP), fault)) return null;
    if (!equals(stringMember(json, key, CRV), ED25519.slice)) return refuse(fault, "[crv] is not Ed25519");
    const x = binaryMember(json, key, X, fault, "[x] is missing or not base64url");
    if (x == EMPTY) return null;
    this.ed25519 = Ed25519PublicKey.create(x, fault);
    if (!this.ed25519) return null;
    return this.identify(x, EMPTY);
  }

  /** RFC 9964 section 2. The type says nothing of the algorithm, so `alg` is required. */
  private loadAkp(json: JsonDocument, key: Node, fault: KeyFault): Jwk | null {
    if (this.algorithm == Algorithm.None) return refuse(fault, "[alg] is missing");
    if (!this.allows(algorithmsOf(KeyType.AKP), fault)) return null;
    const pub = binaryMember(json, key, PUB, fault, "[pub] is missing or not base64url");
    if (pub == EMPTY) return null;
    this.mlDsa = MlDsaPublicKey.create(setOf(this.algorithm), pub, fault);
    if (!this.mlDsa) return null;
    return this.identify(pub, EMPTY);
  }

  /**
   * Sets the algorithms that the key can verify: those of its type and curve, or only its `alg`.
   *
   * @returns whether `alg` is missing or one of `algorithms`; sets `fault` if not
   */
  private allows(algorithms: Algorithms, fault: KeyFault): bool {
    this.verifiable = this.algorithm == Algorithm.None ? algorithms : algorithms & only(this.algorithm);
    if (this.verifiable != 0) return true;
    fault.reason = "[alg] does not go with the key's type or curve";
    return false;
  }

  /** Computes the fingerprint of a key whose parameters are `a` and `b`. */
  private identify(a: Slice, b: Slice): Jwk {
    fingerprintBegin();
    fingerprintAdd(formatUnsigned(this.type));
    fingerprintAdd(formatUnsigned(this.algorithm));
    fingerprintAdd(formatUnsigned(this.verifiable));
    fingerprintAdd(this.kid);
    fingerprintAdd(a);
    fingerprintAdd(b);
    this.fingerprint = fingerprint();
    return this;
  }
}

function refuse(fault: KeyFault, reason: string): Jwk | null {
  fault.reason = reason;
  return null;
}

/**
 * RFC 7517 sections 4.2 and 4.3: whether neither `use` nor `key_ops` excludes verifying. Empty ones, which some
 * libraries write, exclude nothing. SPIFFE marks keys of JWT-SVIDs with a `use` of its own (SPIFFE Trust Domain and
 * Bundle, section 4.2.2).
 */
function isForVerifying(json: JsonDocument, key: Node, fault: KeyFault): bool {
  const use = json.member(key, USE.slice);
  const isRestricted = !isMissing(json, use) && !isEmptyString(json, use);
  if (isRestricted && !equals(json.text(use), SIG.slice) && !equals(json.text(use), JWT_SVID.slice)) {
    fault.reason = '[use] is not "sig" or "jwt-svid"';
    return false;
  }
  const operations = json.member(key, KEY_OPS.slice);
  if (isMissing(json, operations)) return true;
  if (json.kind(operations) == JsonKind.Array) {
    if (json.size(operations) == 0) return true;
    for (let n = json.firstChild(operations); n != NONE; n = json.nextSibling(n)) {
      if (equals(json.text(n), VERIFY.slice)) return true;
    }
  }
  fault.reason = '[key_ops] has no "verify"';
  return false;
}

/** Null counts as missing, as in Go and therefore in istiod. */
function isMissing(json: JsonDocument, n: Node): bool {
  return n == NONE || json.kind(n) == JsonKind.Null;
}

function isEmptyString(json: JsonDocument, n: Node): bool {
  return json.kind(n) == JsonKind.String && lengthOf(json.text(n)) == 0;
}

/** The text of a member; EMPTY if it is missing or not a string. */
function stringMember(json: JsonDocument, object: Node, name: Text): Slice {
  const member = json.member(object, name.slice);
  return member == NONE ? EMPTY : json.text(member);
}

/** The bytes of a base64url member, in the arena; EMPTY, with `reason` as the fault, if there are none. */
function binaryMember(json: JsonDocument, object: Node, name: Text, fault: KeyFault, reason: string): Slice {
  const text = stringMember(json, object, name);
  const bytes = text == EMPTY ? EMPTY : decodeLenient(text);
  if (bytes == EMPTY) fault.reason = reason;
  return bytes;
}
