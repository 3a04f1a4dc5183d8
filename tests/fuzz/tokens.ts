/** Tokens of the fuzzer's own, signed by fixed keys, so that a seed gives the same bytes everywhere. */
import { createHmac } from "node:crypto";
import { type Json, mutateJson, mutateText } from "./mutate.ts";
import type { Random } from "./random.ts";

export const ISSUERS = ["https://a.example", "https://b.example", "c"] as const;

/** An HMAC key: HS256, even if a token's header names another algorithm. */
export interface FuzzKey {
  readonly kid: string;
  readonly secret: string;
  readonly jwk: { kty: "oct"; kid: string; alg: string; k: string };
}

export function fuzzKey(kid: string): FuzzKey {
  const secret = `the fuzzer's secret of ${kid}`.padEnd(40, "!");
  return {
    kid,
    secret,
    jwk: { kty: "oct", kid, alg: "HS256", k: Buffer.from(secret).toString("base64url") },
  };
}

const encode = (value: Json): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A token with any header and payload, signed as HS256. */
export function sign(key: FuzzKey, header: Json, payload: Json): string {
  const text = `${encode(header)}.${encode(payload)}`;
  return `${text}.${createHmac("sha256", key.secret).update(text).digest("base64url")}`;
}

/** A token that may be good: of one of the issuers, at a time that may be past. */
export function claims(random: Random, now: number): { [name: string]: Json } {
  return {
    iss: random.pick(ISSUERS),
    sub: random.pick(["alice", "bob", ""]),
    aud: random.pick<Json>(["x", ["x", "y"], [], "https://x/"]),
    ...(random.oneIn(4) ? {} : { exp: now + random.pick([-3600, -61, -60, -1, 0, 60, 3600]) }),
    ...(random.oneIn(4) ? { nbf: now + random.pick([-3600, 0, 59, 61, 3600]) } : {}),
    scope: random.pick(["read", "read write", " ", ""]),
    a: random.pick<Json>([{ b: "x" }, { b: ["x", { c: null }] }, 1.5, true, ["x", "y"], "a\nb", "text"]),
  };
}

/** A token: mostly one that is well-formed and rightly signed, or was before it was changed. */
export function token(random: Random, keys: readonly FuzzKey[], now: number): string {
  const key = random.pick(keys);
  let header: Json = { alg: "HS256", kid: key.kid };
  let payload: Json = claims(random, now);
  if (random.oneIn(3)) header = mutateJson(random, header);
  if (random.oneIn(3)) payload = mutateJson(random, payload);
  const text = sign(key, header, payload);
  return random.oneIn(3) ? mutateText(random, text) : text;
}
