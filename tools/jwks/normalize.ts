/**
 * Converts a key set as its owner wrote it to the keys that the filter can verify with, in one form.
 *
 * The filter chooses these keys in the same way for sets that it fetches (assembly/jose/jwks.ts, jwk.ts;
 * tests/conformance compares the two). A key that cannot be used is left out with a warning (RFC 7517 §5); a set
 * without any usable key is refused (docs/strictness.md, S10). docs/strictness.md, S5–S7 and S11, lists what is
 * stricter than in Envoy.
 */
import type { Jwk } from "../config/schema.ts";
import type { Severity } from "../diagnostics.ts";
import { base64UrlEncode, concat, hexEncode, utf8Encode } from "../host/bytes.ts";
import { ALGORITHMS, type Algorithm, algorithmsOf } from "./algorithms.ts";
import { decodeBase64 } from "./base64.ts";
import { certificatesOf, rsaKeyOfCertificate } from "./certificate.ts";
import { JsonError, parseStrictJson } from "./json.ts";
import { ed25519Fault, isPoint } from "./points.ts";

export interface JwksProblem {
  severity: Severity;
  /** What is wrong and what to write instead; one line. Never contains a private member or a secret. */
  message: string;
  /** The index of the key, from 0; absent if the set as a whole is meant. */
  keyIndex?: number;
}

export interface NormalizedJwks {
  /** Empty if a problem is an error. Without private members; binary members in base64url without padding. */
  keys: Jwk[];
  problems: JwksProblem[];
}

/** Limits of a key set (docs/strictness.md, S12). A hundred keys for ML-DSA-87 take 350 KiB. */
export const MAX_JWKS_BYTES = 512 * 1024;
export const MAX_JWKS_KEYS = 100;

/** Limits of an RSA modulus, in bits: S7, and what BoringSSL and the filter accept. */
const MIN_RSA_BITS = 2048;
const MAX_RSA_BITS = 8192;

type Json = Record<string, unknown>;

/** A text that is not a key set. */
class Refusal extends Error {}

/** A key that no token can be verified with. */
class Unusable extends Error {}

/** An element of a set, as a message names it. */
interface Entry {
  name: string;
  read(): Json;
}

/**
 * @param text a JSON Web Key Set (RFC 7517 §5)
 * @returns the usable keys in order, and problems; no keys if the set is refused
 */
export function normalizeJwks(text: string): NormalizedJwks {
  const problems: JwksProblem[] = [];
  try {
    const keys = entriesOf(text).flatMap((entry, index) => normalizeKey(entry, index, problems));
    if (keys.length > 0) return { keys, problems };
    // If no key is usable, each reason is an error.
    return { keys, problems: problems.map((problem) => ({ ...problem, severity: "error" })) };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { keys: [], problems: [{ severity: "error", message: error.message }] };
  }
}

/** The elements of `keys`, or the certificates of a map. @throws {Refusal} */
function entriesOf(text: string): Entry[] {
  if (utf8Encode(text).length > MAX_JWKS_BYTES) {
    throw new Refusal(
      `the key set is larger than ${MAX_JWKS_BYTES / 1024} KiB: keep only the keys that are in use`,
    );
  }
  if (/^\s*-----BEGIN /.test(text)) {
    throw new Refusal("this is PEM, not a JSON Web Key Set: convert it with `jwtgate jwk FILE`");
  }
  if (/^\s*https?:\/\/\S+\s*$/i.test(text)) {
    throw new Refusal("this is a URL, not a JSON Web Key Set: write it as jwksUri");
  }
  if (/^\s*[^\s{}[\]"]+\.(json|jwks?|pem|crt|cer|der)\s*$/i.test(text)) {
    throw new Refusal(
      "this is a file's name, not a JSON Web Key Set: write what the file holds, as `jwtgate jwk FILE` prints it",
    );
  }
  let set: unknown;
  try {
    set = parseStrictJson(text);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new Refusal(`the key set cannot be read: ${error.message}; write {"keys": [ … ]}`);
  }
  if (!isObject(set)) throw new Refusal('a key set is an object: write {"keys": [ … ]}');
  const certificates = certificatesOf(set);
  if (certificates !== undefined) {
    checkCount(certificates.length);
    return certificates.map(([kid, pem]) => ({
      name: `the certificate ${JSON.stringify(kid)}`,
      read: () => certified(kid, pem),
    }));
  }
  if (!("keys" in set)) throw new Refusal(missingKeys(set));
  const { keys } = set;
  if (!Array.isArray(keys)) throw new Refusal('[keys] is not a list: write {"keys": [ … ]}');
  if (keys.length === 0) throw new Refusal("[keys] is empty: without a key no token can be verified");
  checkCount(keys.length);
  return keys.map((key: unknown, index) => ({
    name: nameOf(key, index),
    read: () => {
      if (!isObject(key)) throw new Unusable("it is not an object");
      return key;
    },
  }));
}

function checkCount(count: number): void {
  if (count > MAX_JWKS_KEYS)
    throw new Refusal(`the key set has ${count} keys, more than ${MAX_JWKS_KEYS}: keep only those in use`);
}

/** @throws {Unusable} */
function certified(kid: string, pem: string): Json {
  const key = rsaKeyOfCertificate(pem);
  if (key === undefined) throw new Unusable("it has no RSA key that can be read");
  return { kty: "RSA", kid, n: base64UrlEncode(key.n), e: base64UrlEncode(key.e) };
}

function missingKeys(set: Json): string {
  return "kty" in set
    ? 'this is a single key: put it into a key set, {"keys": [ { "kty": … } ]}'
    : '[keys] is missing: write {"keys": [ … ]}';
}

/** How a message names an element of `keys`. */
function nameOf(key: unknown, index: number): string {
  const kid = isObject(key) ? key["kid"] : undefined;
  return typeof kid === "string" && kid !== ""
    ? `keys[${index}] (kid ${JSON.stringify(kid)})`
    : `keys[${index}]`;
}

/** One key's public members in the filter's form; none if it cannot be used, with a warning that explains why. */
function normalizeKey({ name, read }: Entry, index: number, problems: JwksProblem[]): Jwk[] {
  const warn = (message: string) =>
    problems.push({ severity: "warning", message: `${name}: ${message}`, keyIndex: index });
  try {
    const key = read();
    const members = publicMembers(key);
    const found = privateMembersOf(key);
    if (found.length > 0) {
      warn(
        `private key material ([${found.join("], [")}]) was left out: only the public key verifies; take the private key out of this file and consider it disclosed`,
      );
    }
    if (key["kty"] === "oct") {
      warn(
        "this is a shared secret: everyone who reads the configuration (Envoy's /config_dump, the WasmPlugin resource) can make tokens; use a public key where you can",
      );
    }
    const { kid } = key;
    if (kid != null && typeof kid !== "string")
      warn("[kid] is not a string, so the key has none: write it in quotes");
    const alg = textOf(key, "alg");
    return [
      {
        kty: key["kty"] as Jwk["kty"],
        ...(typeof kid === "string" && kid !== "" && { kid }),
        ...(alg !== "" && { alg }),
        ...members,
      },
    ];
  } catch (error) {
    if (!(error instanceof Unusable)) throw error;
    warn(`unusable: ${error.message}`);
    return [];
  }
}

/** RFC 7518 §6.2.2, §6.3.2; RFC 8037 §2; RFC 9964 §2. */
const PRIVATE_MEMBERS = ["d", "p", "q", "dp", "dq", "qi", "oth", "priv"];

/** The names of a key's private members. Empty ones, which some libraries write into public keys, disclose nothing. */
export function privateMembersOf(key: Readonly<Json>): string[] {
  if (key["kty"] === "oct") return [];
  return PRIVATE_MEMBERS.filter((name) => {
    const value = key[name];
    return value != null && value !== "" && !(Array.isArray(value) && value.length === 0);
  });
}

/** The text of a member; as in Envoy, one that is not a string counts as missing. */
function textOf(key: Json, name: string): string {
  const value = key[name];
  return typeof value === "string" ? value : "";
}

/** @throws {Unusable} */
function publicMembers(key: Json): Partial<Jwk> {
  checkPurpose(key);
  switch (key["kty"]) {
    case "RSA":
      return rsaMembers(key);
    case "EC":
      return ecMembers(key);
    case "OKP":
      return okpMembers(key);
    case "AKP":
      return akpMembers(key);
    case "oct":
      return octMembers(key);
    case undefined:
      throw new Unusable("[kty] is missing: write RSA, EC, OKP, AKP or oct");
    default:
      throw new Unusable("[kty] is not RSA, EC, OKP, AKP or oct");
  }
}

/** The values of `use` for verifying: RFC 7517 §4.2, and for JWT-SVIDs "SPIFFE Trust Domain and Bundle" §4.2.2. */
const USES: readonly unknown[] = ["sig", "jwt-svid"];

/** S6: RFC 7517 §4.2, §4.3. Empty members, which some libraries write, exclude nothing. */
function checkPurpose({ use, key_ops }: Json): void {
  if (use != null && use !== "" && !USES.includes(use)) {
    throw new Unusable(
      `[use] is ${JSON.stringify(use)}, so it is not for verifying signatures ("sig", "jwt-svid")`,
    );
  }
  if (key_ops == null || (Array.isArray(key_ops) && key_ops.length === 0)) return;
  if (!Array.isArray(key_ops) || !key_ops.includes("verify")) {
    throw new Unusable(`[key_ops] has no "verify", so it is not for verifying signatures`);
  }
}

/** A key's `alg` must fit its type, or be absent. */
function checkAlgorithm(key: Json): void {
  const { kty, crv } = key;
  const alg = textOf(key, "alg");
  const able = algorithmsOf({ kty, crv }).map((one) => one.alg);
  if (alg === "" || able.includes(alg)) return;
  throw new Unusable(
    `[alg] ${JSON.stringify(alg)} does not go with this ${kty} key: ${able.join(", ")} or none`,
  );
}

function binary(key: Json, name: string): Uint8Array {
  const value = key[name];
  if (value == null) {
    const advice = ", and [x5c] is not read instead: convert the certificate with `jwtgate jwk FILE`";
    const hasCertificate = Array.isArray(key["x5c"]) && key["x5c"].length > 0;
    throw new Unusable(`[${name}] is missing${hasCertificate ? advice : ""}`);
  }
  const bytes = typeof value === "string" ? decodeBase64(value) : undefined;
  if (bytes === undefined) throw new Unusable(`[${name}] is not a base64url string`);
  if (bytes.length === 0) throw new Unusable(`[${name}] is empty`);
  return bytes;
}

/** The bytes of a positive integer without leading zeros (RFC 7518 §2, Base64urlUInt). */
function integer(key: Json, name: string): Uint8Array {
  const bytes = binary(key, name);
  const first = bytes.findIndex((byte) => byte !== 0);
  if (first < 0) throw new Unusable(`[${name}] is zero`);
  return bytes.subarray(first);
}

function rsaMembers(key: Json): Partial<Jwk> {
  const n = integer(key, "n");
  const e = integer(key, "e");
  checkAlgorithm(key);
  const bits = n.length * 8 - Math.clz32(n[0] ?? 0) + 24;
  if (bits < MIN_RSA_BITS)
    throw new Unusable(`RSA keys under ${MIN_RSA_BITS} bits can be broken; this has ${bits}`);
  if (bits > MAX_RSA_BITS)
    throw new Unusable(`RSA keys over ${MAX_RSA_BITS} bits are not supported; this has ${bits}`);
  if (((n.at(-1) ?? 0) & 1) === 0) throw new Unusable("[n] is even, so it is not an RSA modulus");
  if (!["03", "010001"].includes(hexEncode(e))) throw new Unusable("[e] must be 3 or 65537 (AQAB)");
  return { n: base64UrlEncode(n), e: base64UrlEncode(e) };
}

function ecMembers(key: Json): Partial<Jwk> {
  const { crv, coordinateBytes: size } = curveOf(key) ?? {};
  if (crv === undefined || size === undefined) throw new Unusable("[crv] must be P-256, P-384 or P-521");
  checkAlgorithm({ ...key, crv });
  const [x, y] = [coordinate(key, "x", crv, size), coordinate(key, "y", crv, size)];
  if (!isPoint(crv, x, y)) throw new Unusable(`[x], [y] is not a point of ${crv}`);
  return { crv: crv as Jwk["crv"], x: base64UrlEncode(x), y: base64UrlEncode(y) };
}

/** As in Envoy, a key without a crv has that of its alg, or P-256. */
function curveOf(key: Json): Algorithm | undefined {
  const known: readonly Algorithm[] = ALGORITHMS.filter(({ kty }) => kty === "EC");
  const { crv = "" } = key;
  if (crv !== "") return known.find((one) => one.crv === crv);
  const alg = textOf(key, "alg");
  return alg === "" ? known[0] : known.find((one) => one.alg === alg);
}

function coordinate(key: Json, name: string, crv: string, size: number): Uint8Array {
  const bytes = binary(key, name);
  const first = bytes.findIndex((byte) => byte !== 0);
  const digits = first < 0 ? bytes.subarray(0, 0) : bytes.subarray(first);
  if (digits.length > size) throw new Unusable(`[${name}] is too long for ${crv}`);
  return concat(new Uint8Array(size - digits.length), digits);
}

function okpMembers(key: Json): Partial<Jwk> {
  if (key["crv"] !== "Ed25519") throw new Unusable("[crv] must be Ed25519");
  checkAlgorithm(key);
  const x = binary(key, "x");
  if (x.length !== 32) throw new Unusable(`[x] must be 32 bytes; this has ${x.length}`);
  const fault = ed25519Fault(x);
  if (fault !== undefined) throw new Unusable(fault);
  return { crv: "Ed25519", x: base64UrlEncode(x) };
}

/** RFC 9964 §2. */
function akpMembers(key: Json): Partial<Jwk> {
  const known: readonly Algorithm[] = ALGORITHMS.filter(({ kty }) => kty === "AKP");
  const names = known.map(({ alg }) => alg).join(", ");
  const alg = textOf(key, "alg");
  if (alg === "") throw new Unusable(`[alg] is missing: an AKP key names its own, ${names}`);
  const size = known.find((one) => one.alg === alg)?.publicKeyBytes;
  if (size === undefined) {
    throw new Unusable(`[alg] ${JSON.stringify(alg)} does not go with this AKP key: ${names}`);
  }
  const pub = binary(key, "pub");
  if (pub.length !== size)
    throw new Unusable(`[pub] must be ${size} bytes for ${alg}; this has ${pub.length}`);
  return { pub: base64UrlEncode(pub) };
}

function octMembers(key: Json): Partial<Jwk> {
  checkAlgorithm(key);
  return { k: base64UrlEncode(binary(key, "k")) };
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
