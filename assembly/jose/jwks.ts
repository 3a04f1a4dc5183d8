/** JSON Web Key Sets (RFC 7517 section 5) and the choice of the key that verifies a token. */
import { Region } from "../memory/region";
import { Slice, Text, equals, lengthOf, startsWith } from "../memory/slice";
import { KeyFault } from "../crypto/key-fault";
import { Verification } from "../crypto/verification";
import { JsonDocument, JsonKind, NONE, Node } from "../encoding/json";
import { KeyOutcome, TRACING, traceKey } from "../trace";
import { Algorithm, KeyType, nameOf } from "./algorithm";
import { Jwk } from "./jwk";
import { Jws } from "./jws";
import { Status } from "./status";

/** RFC 8032 section 5.1.6. */
const ED25519_SIGNATURE_LENGTH: i32 = 64;

const KEYS = new Text("keys");
const BEGIN_CERTIFICATE = new Text("-----BEGIN CERTIFICATE-----\n");

/** How many reasons an error lists. */
const MAX_REASONS: i32 = 5;

/** Counts the sets of this VM. */
let generations: u32 = 0;

/** A key set. It never changes after `load`: new keys come as a new set. */
export class JwkSet {
  /** Different for every set in this VM. */
  readonly generation: u32 = ++generations;
  /** The usable keys, in document order. */
  readonly keys: Array<Jwk> = new Array<Jwk>();
  /** Why each of the other keys is unusable, for the log. Contains no key material and no line breaks. */
  readonly skipped: Array<string> = new Array<string>();
  /** The fingerprint of the key that the latest successful `verify` found. */
  verifiedBy: u64 = 0;
  private readonly region: Region = new Region();

  private constructor() {}

  /**
   * @param json a document with the list of keys, the value of `keys`, at `keys`
   * @param maxKeys a longer list is refused
   * @param fault set to why there is no set
   * @returns the set; null if the list is not one, is too long or has no usable key
   */
  static load(json: JsonDocument, keys: Node, maxKeys: i32, fault: KeyFault): JwkSet | null {
    if (keys == NONE || json.kind(keys) != JsonKind.Array) return refuse(fault, "[keys] is not a list");
    const count = json.size(keys);
    if (count > maxKeys) return refuse(fault, `${count} keys are more than ${maxKeys}`);
    const set = new JwkSet();
    let index = 0;
    for (let n = json.firstChild(keys); n != NONE; n = json.nextSibling(n)) {
      const key = Jwk.load(json, n, set.region, fault);
      if (key) set.keys.push(key);
      else set.skipped.push(`keys[${index}]: ${fault.reason}`);
      index++;
    }
    return set.usable(fault);
  }

  /**
   * Loads the document of a key server: a key set, or a map from kids to certificates with RSA keys, as Firebase serves
   * it (Envoy: source/common/jwt/jwks.cc).
   *
   * @param json the document
   * @param maxKeys a longer list is refused
   * @param fault set to why there is no set
   * @returns the set; null if the document is neither, has too many keys or has no usable one
   */
  static loadDocument(json: JsonDocument, maxKeys: i32, fault: KeyFault): JwkSet | null {
    const root = json.root;
    const keys = json.kind(root) == JsonKind.Object ? json.member(root, KEYS.slice) : NONE;
    if (keys != NONE || !isMapOfCertificates(json, root)) return JwkSet.load(json, keys, maxKeys, fault);
    const count = json.size(root);
    if (count > maxKeys) return refuse(fault, `${count} keys are more than ${maxKeys}`);
    const set = new JwkSet();
    for (let n = json.firstChild(root); n != NONE; n = json.nextSibling(n)) {
      const key = Jwk.ofCertificate(json.key(n), json.text(n), set.region, fault);
      if (key) set.keys.push(key);
      else set.skipped.push(`certificate ${set.keys.length + set.skipped.length}: ${fault.reason}`);
    }
    return set.usable(fault);
  }

  /** Returns the set itself; null, with a fault, if no key is usable. */
  private usable(fault: KeyFault): JwkSet | null {
    if (this.keys.length > 0) return this;
    const count = this.skipped.length;
    const reasons = this.skipped.slice(0, MAX_REASONS).join("; ");
    const more = count > MAX_REASONS ? `; and ${count - MAX_REASONS} more` : "";
    return refuse(fault, count == 0 ? "there are no keys" : `no key can be used: ${reasons}${more}`);
  }

  /** Whether the set has the key with that fingerprint. */
  has(fingerprint: u64): bool {
    for (let i = 0; i < this.keys.length; i++) {
      if (unchecked(this.keys[i]).fingerprint == fingerprint) return true;
    }
    return false;
  }

  /** Whether some key has that `kid`. */
  hasKid(kid: Slice): bool {
    for (let i = 0; i < this.keys.length; i++) {
      if (equals(unchecked(this.keys[i]).kid, kid)) return true;
    }
    return false;
  }

  /**
   * Tries the keys that fit the token by `kid` and `alg`, in order (Envoy: source/common/jwt/verify.cc). A missing kid
   * on either side fits, and so does a missing `alg` of the key.
   *
   * @param maxKeysTried how many signatures are checked at most
   * @returns Ok, and sets `verifiedBy`; or why no key verifies the token; or HostFailed, if a key that the host could
   *   not try might verify it
   */
  verify(jws: Jws, maxKeysTried: i32): Status {
    let hostFailed = false;
    let isMatched = false;
    let tried = 0;
    for (let i = 0; i < this.keys.length; i++) {
      const key = unchecked(this.keys[i]);
      if (lengthOf(jws.kid) > 0 && lengthOf(key.kid) > 0 && !equals(jws.kid, key.kid)) {
        if (TRACING) this.trace(i, tried, KeyOutcome.OtherKid);
        continue;
      }
      if (key.algorithm != Algorithm.None && key.algorithm != jws.algorithm) {
        if (TRACING) this.trace(i, tried, KeyOutcome.OtherAlgorithm);
        continue;
      }
      isMatched = true;
      // Envoy stops here for any algorithm of the token; S5 changes the text for those other than EdDSA.
      if (key.type == KeyType.OKP && lengthOf(jws.signature) != ED25519_SIGNATURE_LENGTH) {
        if (TRACING) this.trace(i, tried, KeyOutcome.WrongLength);
        if (hostFailed) return Status.HostFailed;
        return jws.algorithm == Algorithm.EdDSA
          ? Status.JwtEd25519SignatureWrongLength
          : Status.JwtVerificationFail;
      }
      if (!key.canVerify(jws.algorithm)) {
        if (TRACING) this.trace(i, tried, KeyOutcome.Unable);
        continue;
      }
      if (tried == maxKeysTried) {
        if (TRACING) this.trace(i, tried, KeyOutcome.Limit);
        break;
      }
      tried++;
      const verification = key.verify(jws);
      if (verification == Verification.Good) {
        if (TRACING) this.trace(i, tried, KeyOutcome.Verified);
        this.verifiedBy = key.fingerprint;
        return Status.Ok;
      }
      if (TRACING) this.trace(i, tried, KeyOutcome.Bad);
      if (verification == Verification.Unavailable) hostFailed = true;
    }
    if (hostFailed) return Status.HostFailed;
    return isMatched ? Status.JwtVerificationFail : Status.JwksKidAlgMismatch;
  }

  /** Reports the result of key `index`. */
  private trace(index: i32, tried: i32, outcome: KeyOutcome): void {
    const key = unchecked(this.keys[index]);
    traceKey(index, key.kid, key.type, nameOf(key.algorithm), tried, outcome);
  }
}

/** Whether each member has a name and its value is the text of a certificate. */
function isMapOfCertificates(json: JsonDocument, root: Node): bool {
  if (json.kind(root) != JsonKind.Object || json.size(root) == 0) return false;
  for (let n = json.firstChild(root); n != NONE; n = json.nextSibling(n)) {
    if (lengthOf(json.key(n)) == 0 || !startsWith(json.text(n), BEGIN_CERTIFICATE.slice)) return false;
  }
  return true;
}

function refuse(fault: KeyFault, reason: string): JwkSet | null {
  fault.reason = reason;
  return null;
}
