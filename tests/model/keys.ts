/** The keys that the filter must use for a provider: its own, or those of documents that it fetches. */
import type { Jwk, Provider } from "../../tools/config/schema.ts";
import { type Documents, discoveredUri } from "../../tools/explain/gate.ts";
import { JsonError, parseStrictJson } from "../../tools/jwks/json.ts";
import { MAX_JWKS_BYTES, MAX_JWKS_KEYS, normalizeJwks } from "../../tools/jwks/normalize.ts";

/** @returns undefined if they are to be fetched and could not be, or if none of them can be used */
export function keysOf({ issuer, localJwks, remoteJwks }: Provider, documents: Documents): Jwk[] | undefined {
  if (localJwks !== undefined) return localJwks.keys;
  const uri = remoteJwks?.uri ?? discoveredUri(remoteJwks?.discovery?.uri, issuer, documents);
  const text = uri === undefined ? undefined : documents.get(uri);
  if (text === undefined || Buffer.byteLength(text) > MAX_JWKS_BYTES) return undefined;
  const keys = listOf(text);
  if (keys.length > MAX_JWKS_KEYS) return undefined;
  // An unusable key does not affect the others (docs/strictness.md, S10).
  const usable = keys.flatMap((key) => normalizeJwks(JSON.stringify({ keys: [readable(key)] })).keys);
  return usable.length > 0 ? usable : undefined;
}

function listOf(text: string): unknown[] {
  try {
    const value = parseStrictJson(text) as { keys?: unknown } | null;
    return Array.isArray(value?.keys) ? value.keys : [];
  } catch (error) {
    if (error instanceof JsonError) return [];
    throw error;
  }
}

/** What the filter reads of a third party's key: a `kid` and an `alg` that are not strings count as missing. */
function readable(key: unknown): unknown {
  if (typeof key !== "object" || key === null || Array.isArray(key)) return key;
  const { kty, kid, alg, use, key_ops, crv, n, e, x, y, k, pub } = key as Record<string, unknown>;
  return {
    ...{ kty, use, key_ops, n, e, x, y, k, pub },
    ...(typeof kid === "string" && { kid }),
    ...(typeof alg === "string" && { alg }),
    crv: crv === undefined && kty === "EC" ? "" : crv,
  };
}
