/**
 * The primitives of assembly/crypto alone, and a JWS with a key set, for tests. Bytes go in through the memory that
 * `malloc` gives; there is one key of each kind at a time.
 */
import { allocate, reset } from "../../../assembly/memory/arena";
import { Slice, slice } from "../../../assembly/memory/slice";
import { Curve, EcPublicKey } from "../../../assembly/crypto/ecdsa";
import { Ed25519PublicKey } from "../../../assembly/crypto/ed25519";
import { HmacKey } from "../../../assembly/crypto/hmac";
import { hostVerifies } from "../../../assembly/crypto/host-verifier";
import { KeyFault } from "../../../assembly/crypto/key-fault";
import {
  RATE_128,
  RATE_256,
  pairBegin,
  pairNext,
  shakeBegin,
  shakeFinish,
  shakeNext,
  shakeUpdate,
} from "../../../assembly/crypto/keccak";
import { MlDsaPublicKey } from "../../../assembly/crypto/ml-dsa";
import { applyHint, areHints, encodeHighBits } from "../../../assembly/crypto/ml-dsa-encoding";
import { MlDsa, POLYNOMIAL_SIZE, parametersOf } from "../../../assembly/crypto/ml-dsa-parameters";
import {
  preparePolynomials,
  sumOfProducts,
  timesTwoTo13,
  transform,
  transformBack,
} from "../../../assembly/crypto/ml-dsa-polynomial";
import { sampleInBall } from "../../../assembly/crypto/ml-dsa-sampling";
import { Modulus } from "../../../assembly/crypto/montgomery";
import { RsaPublicKey } from "../../../assembly/crypto/rsa";
import { reduceScalar } from "../../../assembly/crypto/scalar25519";
import { Hash, digestLength, hashBegin, hashFinish, hashUpdate } from "../../../assembly/crypto/sha2";
import { Verification } from "../../../assembly/crypto/verification";
import { JsonDocument } from "../../../assembly/encoding/json";
import { JwkSet } from "../../../assembly/jose/jwks";
import { Jwt } from "../../../assembly/jose/jwt";
import { Status } from "../../../assembly/jose/status";

const json = new JsonDocument();
const jwt = new Jwt();
const fault = new KeyFault();

/** Whether the host failed in the latest verification. */
let hostFailed: bool = false;

let refusalText: ArrayBuffer = new ArrayBuffer(0);
let hmac: HmacKey | null = null;
let rsa: RsaPublicKey | null = null;
let ec: EcPublicKey | null = null;
let ed25519: Ed25519PublicKey | null = null;
let mlDsa: MlDsaPublicKey | null = null;
let keys: JwkSet | null = null;

/** Begins a callback: frees what was allocated before. */
export function begin(): void {
  reset();
}

export function malloc(size: usize): usize {
  return allocate(size);
}

export function collect(): void {
  __collect();
}

/** Hashes the bytes in parts of `part` bytes; returns the digest. */
export function hash(algorithm: Hash, text: usize, size: i32, part: i32): Slice {
  hashBegin(algorithm);
  for (let i = 0; i < size; i += part) hashUpdate(slice(text + <usize>i, min(part, size - i)));
  const length = digestLength(algorithm);
  const target = allocate(<usize>length);
  hashFinish(target);
  return slice(target, length);
}

/** Why the latest key was refused. */
export function refusal(): Slice {
  return slice(changetype<usize>(refusalText), refusalText.byteLength);
}

function known(refused: bool, reason: string): bool {
  refusalText = String.UTF8.encode(refused ? reason : "");
  return !refused;
}

export function loadHmac(k: usize, size: i32): bool {
  hmac = HmacKey.create(slice(k, size));
  return known(hmac === null, "empty");
}

export function verifyHmac(algorithm: Hash, tag: usize, tagSize: i32, text: usize, size: i32): bool {
  return hmac!.verify(algorithm, slice(tag, tagSize), slice(text, size));
}

export function loadRsa(n: usize, nSize: i32, e: usize, eSize: i32): bool {
  rsa = RsaPublicKey.create(slice(n, nSize), slice(e, eSize), fault);
  return known(rsa === null, fault.reason);
}

export function rsaBits(): i32 {
  return rsa!.bits;
}

export function verifyPkcs1(algorithm: Hash, s: usize, sSize: i32, text: usize, size: i32): bool {
  return isGood(rsa!.verifyPkcs1(algorithm, slice(s, sSize), slice(text, size)));
}

export function verifyPss(algorithm: Hash, s: usize, sSize: i32, text: usize, size: i32): bool {
  return rsa!.verifyPss(algorithm, slice(s, sSize), slice(text, size));
}

export function loadEc(curve: Curve, x: usize, xSize: i32, y: usize, ySize: i32): bool {
  ec = EcPublicKey.create(curve, slice(x, xSize), slice(y, ySize), fault);
  return known(ec === null, fault.reason);
}

export function verifyEc(algorithm: Hash, s: usize, sSize: i32, text: usize, size: i32): bool {
  return isGood(ec!.verify(algorithm, slice(s, sSize), slice(text, size)));
}

export function loadEd25519(x: usize, size: i32): bool {
  ed25519 = Ed25519PublicKey.create(slice(x, size), fault);
  return known(ed25519 === null, fault.reason);
}

export function verifyEd25519(s: usize, sSize: i32, text: usize, size: i32): bool {
  return ed25519!.verify(slice(s, sSize), slice(text, size));
}

export function loadMlDsa(set: MlDsa, x: usize, size: i32): bool {
  mlDsa = MlDsaPublicKey.create(set, slice(x, size), fault);
  return known(mlDsa === null, fault.reason);
}

export function verifyMlDsa(
  s: usize,
  sSize: i32,
  text: usize,
  size: i32,
  context: usize,
  contextSize: i32,
): bool {
  return mlDsa!.verify(slice(s, sSize), slice(text, size), slice(context, contextSize));
}

/** The encoded high bits of 256 coefficients, which are overwritten. */
export function highBits(set: MlDsa, w: usize): Slice {
  return encodeHighBits(w, parametersOf(set));
}

/** Whether bytes are an encoding of hints, as long as the set's. */
export function hintsAreValid(set: MlDsa, hints: usize): bool {
  return areHints(hints, parametersOf(set));
}

/** A coefficient with a hint, moved to where its high bits are the right ones. */
export function hinted(set: MlDsa, r: i32): i32 {
  const at = allocate(4);
  store<i32>(at, r);
  applyHint(at, parametersOf(set));
  return load<i32>(at);
}

/** 256 coefficients, or nothing if the challenge's digest is too short for `tau` positions. */
export function ball(challenge: usize, size: i32, tau: i32): Slice {
  const target = allocate(POLYNOMIAL_SIZE);
  return sampleInBall(target, slice(challenge, size), tau) ? slice(target, <i32>POLYNOMIAL_SIZE) : 0;
}

/**
 * The polynomial a[0] · b[0] + … + a[count - 1] · b[count - 1] - c · d · 2^13 modulo q. Those in `a` are transformed
 * already; the others are overwritten.
 */
export function product(a: usize, b: usize, count: i32, c: usize, d: usize): Slice {
  preparePolynomials();
  for (let i = 0; i < count; i++) transform(b + <usize>i * POLYNOMIAL_SIZE);
  transform(c);
  transform(d);
  timesTwoTo13(d);
  const target = allocate(POLYNOMIAL_SIZE);
  sumOfProducts(target, a, b, count, c, d);
  transformBack(target);
  return slice(target, <i32>POLYNOMIAL_SIZE);
}

/** The first two blocks of SHAKE256, of bytes that are given in parts of `part` bytes. */
export function shake256(text: usize, size: i32, part: i32): Slice {
  shakeBegin();
  for (let i = 0; i < size; i += part) shakeUpdate(slice(text + <usize>i, min(part, size - i)));
  const target = allocate(<usize>(2 * RATE_256));
  shakeFinish(target, RATE_256);
  shakeNext(target + RATE_256);
  return slice(target, 2 * RATE_256);
}

/** The first two blocks of SHAKE128 of 32 bytes and two, and then those of the same 32 bytes and two others. */
export function shake128(seed: usize, first: u32, second: u32): Slice {
  const target = allocate(<usize>(4 * RATE_128));
  pairBegin(seed, first, second);
  pairNext(target, target + 2 * RATE_128);
  pairNext(target + RATE_128, target + 3 * RATE_128);
  return slice(target, 4 * RATE_128);
}

/** base^exponent modulo n; empty if the base is not less than n. */
export function power(n: usize, size: i32, base: usize, exponent: u32): Slice {
  const target = allocate(<usize>size);
  return new Modulus(slice(n, size)).power(base, exponent, target) ? slice(target, size) : 0;
}

/** 64 bytes, little-endian, modulo the order of Ed25519's base point. */
export function reduce(digest: usize): Slice {
  const target = allocate(32);
  reduceScalar(target, digest);
  return slice(target, 32);
}

export function hostAvailable(): bool {
  return hostVerifies();
}

export function hostFault(): bool {
  return hostFailed;
}

function isGood(verification: Verification): bool {
  hostFailed = verification == Verification.Unavailable;
  return verification == Verification.Good;
}

/** Loads the keys of a JSON list. */
export function loadKeys(text: usize, size: i32): bool {
  keys = json.parse(slice(text, size)) ? JwkSet.load(json, json.root, 100, fault) : null;
  return known(keys === null, "");
}

/**
 * Verifies a JWS. One whose payload is not JSON is not a JWT, but may be a JWS: it is verified with its payload unread.
 *
 * @returns the status
 */
export function verifyJws(text: usize, size: i32): Status {
  const token = slice(text, size);
  let status = jwt.parse(token);
  if (status == Status.JwtPayloadParseErrorBadJson) status = jwt.jws.readSignature();
  return status == Status.Ok ? keys!.verify(jwt.jws, 16) : status;
}
