/** The keys of an issuer as the resources have them: read from pasted text, or made for a trial. */
import { asciiJson } from "../diagnostics.ts";
import { utf8Encode } from "../host/bytes.ts";
import { NoKey } from "../jwks/formats.ts";
import { type JwksProblem, normalizeJwks } from "../jwks/normalize.ts";
import { readPublicKeys } from "../jwks/public-keys.ts";
import { type JsonKey, thumbprint } from "../jwks/thumbprint.ts";
import { PrivateKey } from "../token/private-key.ts";

/** A key set, and remarks about it. */
export interface KeySet {
  /** JSON, without private members; absent if a problem is an error. */
  jwks?: string;
  problems: Pick<JwksProblem, "severity" | "message">[];
}

/** The key set of keys, as `jwtgate jwk` writes it. */
export function keySetOf(written: readonly unknown[]): KeySet {
  const { keys, problems } = normalizeJwks(JSON.stringify({ keys: written }));
  return { ...(keys.length > 0 && { jwks: `${asciiJson({ keys }, 2)}\n` }), problems };
}

/** The key set of a pasted text: a key set, a JWK, PEM, a certificate, or base64 of DER. */
export function readPastedKeys(text: string): KeySet {
  try {
    const { keys, notes } = readPublicKeys(utf8Encode(text));
    const { problems, ...rest } = keySetOf(keys);
    return {
      ...rest,
      problems: [...notes.map((message) => ({ severity: "warning", message }) as const), ...problems],
    };
  } catch (error) {
    if (error instanceof NoKey) return { problems: [{ severity: "error", message: error.message }] };
    throw error;
  }
}

/** A key that is made to try a policy with. */
export interface TrialKey {
  /** What verifies: a key set, JSON. */
  jwks: string;
  /** What signs: a JWK. */
  privateKey: JsonKey;
}

/**
 * Makes a key to try a policy with.
 *
 * @param alg such as `ES256`
 * @throws {RangeError} if the filter verifies no algorithm of that name
 */
export async function makeTrialKey(alg: string): Promise<TrialKey> {
  const { signing, verifying } = await PrivateKey.generate(alg);
  // A thumbprint of a secret would help to guess it (RFC 7638 §7).
  const kid = verifying["kty"] === "oct" ? "trial" : thumbprint(verifying);
  const { jwks = "" } = keySetOf([{ ...verifying, kid, alg }]);
  return { jwks, privateKey: { ...signing, kid, alg } };
}
