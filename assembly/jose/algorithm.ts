/** The signature algorithms of a JWS (RFC 7518 section 3.1, RFC 8037 section 3.1). There is no `none`. */
import { Slice, byteAt, lengthOf } from "../abi/slice";
import { Hash } from "../crypto/sha2";

/** In threes by hash: `hashOf` counts on the order. */
export const enum Algorithm {
  /** Of a token: not supported. Of a key: any that its type can do. */
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
}

/** The first two letters, and the number behind them, as bytes from the highest. */
const RS: u32 = 0x5253;
const PS: u32 = 0x5053;
const ES: u32 = 0x4553;
const HS: u32 = 0x4853;
const ED: u32 = 0x4564;
const N256: u32 = 0x323536;
const N384: u32 = 0x333834;
const N512: u32 = 0x353132;
const DSA: u32 = 0x445341;

/** The algorithm of that name, case-sensitive; None for an unknown one. */
export function parseAlgorithm(name: Slice): Algorithm {
  if (lengthOf(name) != 5) return Algorithm.None;
  const family = ((<u32>byteAt(name, 0)) << 8) | byteAt(name, 1);
  const rest = ((<u32>byteAt(name, 2)) << 16) | ((<u32>byteAt(name, 3)) << 8) | byteAt(name, 4);
  if (family == ED) return rest == DSA ? Algorithm.EdDSA : Algorithm.None;
  const hash = rest == N256 ? 0 : rest == N384 ? 1 : rest == N512 ? 2 : -1;
  if (hash < 0) return Algorithm.None;
  if (family == RS) return Algorithm.RS256 + hash;
  if (family == PS) return Algorithm.PS256 + hash;
  if (family == ES) return Algorithm.ES256 + hash;
  if (family == HS) return Algorithm.HS256 + hash;
  return Algorithm.None;
}

/** The hash of an algorithm other than None and EdDSA, whose hash is its own affair. */
export function hashOf(algorithm: Algorithm): Hash {
  return <Hash>((algorithm - Algorithm.RS256) % 3);
}
