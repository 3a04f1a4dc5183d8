/** Keys that sign by ML-DSA (RFC 9964), made by another implementation than the filter's. */
import { randomBytes } from "node:crypto";
import { ml_dsa44, ml_dsa65, ml_dsa87 } from "@noble/post-quantum/ml-dsa.js";

/** The parameter sets, by the names of their algorithms. */
export const ML_DSA = new Map([
  ["ML-DSA-44", ml_dsa44],
  ["ML-DSA-65", ml_dsa65],
  ["ML-DSA-87", ml_dsa87],
]);

/** A new key. @param alg the name of its algorithm */
export function mlDsaKey(alg: string) {
  const set = ML_DSA.get(alg);
  if (set === undefined) throw new Error(`${alg} is not for ML-DSA`);
  const { publicKey, secretKey } = set.keygen(randomBytes(32));
  return {
    jwk: { kty: "AKP", alg, pub: Buffer.from(publicKey).toString("base64url") },
    sign: (text: Uint8Array): Buffer => Buffer.from(set.sign(text, secretKey)),
  };
}

/** Whether a token is signed with the key; undefined if its algorithm is not ML-DSA. jose verifies ML-DSA only in newer Nodes. */
export function verifyMlDsa(alg: string, token: string, { pub = "" }: { pub?: string }): boolean | undefined {
  const bytesOf = (text: string) => Buffer.from(text, "base64url");
  const [header, claims, signature = ""] = token.split(".");
  return ML_DSA.get(alg)?.verify(bytesOf(signature), Buffer.from(`${header}.${claims}`), bytesOf(pub));
}
