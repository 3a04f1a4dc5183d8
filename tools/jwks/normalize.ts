/**
 * A key set as its owner wrote it → the keys that the filter can verify with, in one form.
 *
 * A set is refused where istiod refuses it (lestrrat-go/jwx 1.2, `jwk.Parse`) or where Envoy does (jwt_verify_lib,
 * `Jwks::createFromJwksCore`). A key that Envoy would leave out in silence, or that docs/strictness.md (S5–S7, S11) rules out, is
 * left out with a warning; a set without any usable key is refused (S10).
 */
import type { Jwk } from "../config/schema.ts";
import type { Severity } from "../diagnostics.ts";
import { base64UrlEncode, concat, hexEncode, utf8Encode } from "../host/bytes.ts";
import { ALGORITHMS, type Algorithm, algorithmsOf } from "./algorithms.ts";
import { decodeBase64 } from "./base64.ts";
import { isCertificate } from "./certificate.ts";
import { JsonError, parseStrictJson } from "./json.ts";
import { ed25519Fault, isPoint } from "./points.ts";

export interface JwksProblem {
  severity: Severity;
  /** What is wrong and what to write instead; one line. Never a private member or a secret. */
  message: string;
  /** Which of the set's keys, from 0; absent where the set as a whole is meant. */
  keyIndex?: number;
}

export interface NormalizedJwks {
  /** Empty where a problem is an error. Without private members; binary members in base64url without padding. */
  keys: Jwk[];
  problems: JwksProblem[];
}

/** Limits of a key set (docs/strictness.md, S12). */
export const MAX_JWKS_BYTES = 256 * 1024;
export const MAX_JWKS_KEYS = 100;

/** Limits of an RSA modulus, in bits: S7, and what BoringSSL and the filter take. */
const MIN_RSA_BITS = 2048;
const MAX_RSA_BITS = 8192;

type Json = Record<string, unknown>;

/** A set or key that istiod or Envoy does not take at all. */
class Refusal extends Error {
  constructor(
    message: string,
    readonly keyIndex?: number,
  ) {
    super(message);
  }
}

/** A key that is well-formed and that no token can be verified with. */
class Unusable extends Error {}

/**
 * @param text a JSON Web Key Set (RFC 7517 §5)
 * @returns the usable keys in their order, and what there is to say; no keys where the set is refused
 */
export function normalizeJwks(text: string): NormalizedJwks {
  const problems: JwksProblem[] = [];
  try {
    const keys = readKeys(text).flatMap((key, index) => normalizeKey(key, index, problems));
    if (keys.length > 0) return { keys, problems };
    // Which keys there are and why each is of no use has been said: as errors, for nothing is left.
    return { keys, problems: problems.map((problem) => ({ ...problem, severity: "error" })) };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const { message, keyIndex } = error;
    return {
      keys: [],
      problems: [{ severity: "error", message, ...(keyIndex !== undefined && { keyIndex }) }],
    };
  }
}

/** The members of `keys`, each known to be what istiod takes. */
function readKeys(text: string): Json[] {
  if (utf8Encode(text).length > MAX_JWKS_BYTES) {
    throw new Refusal(
      `the key set is larger than ${MAX_JWKS_BYTES / 1024} KiB: keep only the keys that are in use`,
    );
  }
  if (/^\s*-----BEGIN /.test(text)) {
    throw new Refusal("this is PEM, not a JSON Web Key Set: convert it with `jwtgate jwk FILE`");
  }
  let set: unknown;
  try {
    set = parseStrictJson(text);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new Refusal(`the key set cannot be read: ${error.message}; write {"keys": [ … ]}`);
  }
  if (!isObject(set)) throw new Refusal('a key set is an object: write {"keys": [ … ]}');
  if (!("keys" in set)) throw new Refusal(missingKeys(set));
  const { keys } = set;
  if (!Array.isArray(keys)) throw new Refusal('[keys] is not a list: write {"keys": [ … ]}');
  if (keys.length === 0) throw new Refusal("[keys] is empty: without a key no token can be verified");
  if (keys.length > MAX_JWKS_KEYS) {
    throw new Refusal(
      `the key set has ${keys.length} keys, more than ${MAX_JWKS_KEYS}: keep only those in use`,
    );
  }
  return keys.map((key: unknown, index) => {
    if (!isObject(key)) throw new Refusal(`keys[${index}] is not an object`, index);
    checkMembers(key, index);
    return key;
  });
}

function missingKeys(set: Json): string {
  if ("kty" in set) return 'this is a single key: put it into a key set, {"keys": [ { "kty": … } ]}';
  const values = Object.values(set);
  if (
    values.length > 0 &&
    values.every((value) => typeof value === "string" && value.startsWith("-----BEGIN "))
  ) {
    return "this is a map of certificates, not a JSON Web Key Set: convert each with `jwtgate jwk FILE`";
  }
  return '[keys] is missing: write {"keys": [ … ]}';
}

/** Members by type of key: what must be there, and what istiod reads as base64 and as strings. */
const MEMBERS: Record<string, { required: string[]; binary: string[]; text: string[] }> = {
  RSA: { required: ["n", "e"], binary: ["n", "e", "d", "p", "q", "dp", "dq", "qi"], text: [] },
  EC: { required: ["crv", "x", "y"], binary: ["x", "y", "d"], text: ["crv"] },
  OKP: { required: ["crv", "x"], binary: ["x", "d"], text: ["crv"] },
  oct: { required: ["k"], binary: ["k"], text: [] },
};

/** Members that istiod reads as strings, in a key of any type. */
const TEXT_MEMBERS = ["kid", "alg", "use", "x5t", "x5t#S256"];

/** Refuses what makes istiod refuse the whole resource. Like Go, it takes null for an absent value. */
function checkMembers(key: Json, index: number): void {
  const fault = faultOf(key);
  if (fault !== undefined) throw new Refusal(`${nameOf(key, index)}: ${fault}`, index);
}

function faultOf(key: Json): string | undefined {
  const { kty } = key;
  if (kty === undefined) return "[kty] is missing: write RSA, EC, OKP or oct";
  const members = typeof kty === "string" && Object.hasOwn(MEMBERS, kty) ? MEMBERS[kty] : undefined;
  if (members === undefined) return "[kty] must be one of RSA, EC, OKP and oct";
  for (const name of [...TEXT_MEMBERS, ...members.text]) {
    if (key[name] != null && typeof key[name] !== "string") return `[${name}] must be a string`;
  }
  for (const name of members.required) {
    if (name in key) continue;
    const advice = ", and [x5c] is not read in its place: convert the certificate with `jwtgate jwk FILE`";
    return `[${name}] is missing${"x5c" in key ? advice : ""}`;
  }
  for (const name of members.binary) {
    const value = key[name];
    if (value != null && (typeof value !== "string" || decodeBase64(value) === undefined)) {
      return `[${name}] must be a base64url string`;
    }
  }
  if (key["key_ops"] != null && !isStringList(key["key_ops"])) return "[key_ops] must be a list of strings";
  if (key["x5c"] != null && !(isStringList(key["x5c"]) && key["x5c"].every(holdsCertificate))) {
    return "[x5c] must be a list of certificates (DER in base64)";
  }
  return undefined;
}

function holdsCertificate(text: string): boolean {
  return isCertificate(decodeBase64(text) ?? new Uint8Array());
}

/** How a message names a key. */
function nameOf(key: Json, index: number): string {
  const kid = key["kid"];
  return typeof kid === "string" && kid !== ""
    ? `keys[${index}] (kid ${JSON.stringify(kid)})`
    : `keys[${index}]`;
}

/** One key's public members in the filter's form; none where it cannot be used, with a warning that says why. */
function normalizeKey(key: Json, index: number, problems: JwksProblem[]): Jwk[] {
  const warn = (message: string) =>
    problems.push({ severity: "warning", message: `${nameOf(key, index)}: ${message}`, keyIndex: index });
  try {
    const members = publicMembers(key);
    const found = PRIVATE_MEMBERS.filter((name) => name in key);
    if (found.length > 0 && key["kty"] !== "oct") {
      warn(
        `private key material ([${found.join("], [")}]) was left out: only the public key verifies; take the private key out of this file and consider it disclosed`,
      );
    }
    if (key["kty"] === "oct") {
      warn(
        "this is a shared secret: everyone who reads the configuration (Envoy's /config_dump, the WasmPlugin resource) can make tokens; use a public key where you can",
      );
    }
    const { kid, alg } = key;
    return [
      {
        kty: key["kty"] as Jwk["kty"],
        ...(typeof kid === "string" && kid !== "" && { kid }),
        ...(typeof alg === "string" && alg !== "" && { alg }),
        ...members,
      },
    ];
  } catch (error) {
    if (!(error instanceof Unusable)) throw error;
    warn(`unusable: ${error.message}`);
    return [];
  }
}

/** RFC 7518 §6.2.2, §6.3.2; RFC 8037 §2. */
const PRIVATE_MEMBERS = ["d", "p", "q", "dp", "dq", "qi", "oth"];

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
    default:
      return octMembers(key);
  }
}

/** S6: RFC 7517 §4.2, §4.3. */
function checkPurpose({ use, key_ops }: Json): void {
  if (use != null && use !== "sig") {
    throw new Unusable(`[use] is ${JSON.stringify(use)}, so it is not for verifying signatures ("sig")`);
  }
  if (Array.isArray(key_ops) && !key_ops.includes("verify")) {
    throw new Unusable(`[key_ops] has no "verify", so it is not for verifying signatures`);
  }
}

/** A key's `alg` must be one that its type can have, or absent. */
function checkAlgorithm({ alg, kty, crv }: Json): void {
  const able = algorithmsOf({ kty, crv }).map((one) => one.alg);
  if (typeof alg !== "string" || alg === "" || able.includes(alg)) return;
  throw new Unusable(
    `[alg] ${JSON.stringify(alg)} does not go with this ${kty} key: ${able.join(", ")} or none`,
  );
}

function binary(key: Json, name: string): Uint8Array {
  const value = key[name];
  const bytes = typeof value === "string" ? decodeBase64(value) : undefined;
  if (bytes === undefined || bytes.length === 0) throw new Unusable(`[${name}] is empty`);
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
  checkAlgorithm(key);
  const n = integer(key, "n");
  const e = integer(key, "e");
  const bits = n.length * 8 - Math.clz32(n[0] ?? 0) + 24;
  if (bits < MIN_RSA_BITS)
    throw new Unusable(`RSA keys under ${MIN_RSA_BITS} bits can be broken; this has ${bits}`);
  if (bits > MAX_RSA_BITS)
    throw new Unusable(`RSA keys over ${MAX_RSA_BITS} bits are not supported; this has ${bits}`);
  if (((n.at(-1) ?? 0) & 1) === 0) throw new Unusable("[n] is even, so it is no RSA modulus");
  if (!["03", "010001"].includes(hexEncode(e))) throw new Unusable("[e] must be 3 or 65537 (AQAB)");
  return { n: base64UrlEncode(n), e: base64UrlEncode(e) };
}

function ecMembers(key: Json): Partial<Jwk> {
  const { crv, coordinateBytes: size } = curveOf(key) ?? {};
  if (crv === undefined || size === undefined) throw new Unusable("[crv] must be P-256, P-384 or P-521");
  checkAlgorithm({ ...key, crv });
  const [x, y] = [coordinate(key, "x", crv, size), coordinate(key, "y", crv, size)];
  if (!isPoint(crv, x, y)) throw new Unusable(`[x], [y] is no point of ${crv}`);
  return { crv: crv as Jwk["crv"], x: base64UrlEncode(x), y: base64UrlEncode(y) };
}

/** As in Envoy, an empty crv is that of alg, or P-256. */
function curveOf({ crv, alg }: Json): Algorithm | undefined {
  const known: readonly Algorithm[] = ALGORITHMS.filter(({ kty }) => kty === "EC");
  if (crv !== "") return known.find((one) => one.crv === crv);
  return alg ? known.find((one) => one.alg === alg) : known[0];
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

function octMembers(key: Json): Partial<Jwk> {
  checkAlgorithm(key);
  return { k: base64UrlEncode(binary(key, "k")) };
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isStringList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
