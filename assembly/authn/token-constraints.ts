/**
 * What a provider asks of its tokens besides issuer, time, audience and signature: their type, claims and lifetime
 * (RFC 9068 section 4, RFC 8725bis section 3.11; docs/token-policy.md). A token is checked when it is verified: none of
 * it changes while the token is in the cache.
 */
import { maxLifetimeSeconds } from "../config/schema";
import { Reader } from "../document/reader";
import { NONE, Node } from "../encoding/json";
import { Jwt } from "../jose/jwt";
import { Jws } from "../jose/jws";
import { EMPTY, Slice, Text, equals, lengthOf } from "../memory/slice";

const EXP = new Text("exp");
const IAT = new Text("iat");

export class TokenConstraints {
  /**
   * @param types accepted values of `typ`, as `Jws.type` returns them; none if it is not checked
   * @param requiresType whether a token without `typ` is refused
   * @param requiredClaims top-level claims that must not be missing or null
   * @param maxLifetime the longest time from `iat` to `exp`, in seconds; 0 if it is not checked
   */
  private constructor(
    private readonly types: StaticArray<Slice>,
    private readonly requiresType: bool,
    private readonly requiredClaims: StaticArray<Slice>,
    private readonly maxLifetime: u64,
  ) {}

  /**
   * Loads the constraints of a provider; the reader has recorded any fault.
   *
   * @param node the provider
   * @returns null if it has none
   */
  static load(reader: Reader, node: Node): TokenConstraints | null {
    const types = reader.get(node, "tokenTypes");
    const requiresType = reader.flag(node, "requireTokenType");
    if (requiresType && types == NONE)
      reader.fail(node, 'lacks "tokenTypes", which "requireTokenType" needs');
    const claims = reader.get(node, "requiredClaims");
    const maxLifetime = <u64>maxLifetimeSeconds(reader, node);
    if (types == NONE && claims == NONE && maxLifetime == 0) return null;
    return new TokenConstraints(
      readNonEmptyStrings(reader, types),
      requiresType,
      readNonEmptyStrings(reader, claims),
      maxLifetime,
    );
  }

  /** Whether the header's `typ` is one of the types, or is missing and may be. */
  allowsType(jws: Jws): bool {
    const types = this.types;
    if (types.length == 0) return true;
    if (!jws.hasType) return !this.requiresType;
    const type = jws.type;
    for (let i = 0; i < types.length; i++) {
      if (equals(type, unchecked(types[i]))) return true;
    }
    return false;
  }

  /** The first required claim that the token lacks; EMPTY if it has them all. */
  missingClaim(jwt: Jwt): Slice {
    const claims = this.requiredClaims;
    for (let i = 0; i < claims.length; i++) {
      const claim = unchecked(claims[i]);
      if (!jwt.hasClaim(claim)) return claim;
    }
    if (this.maxLifetime == 0) return EMPTY;
    if (jwt.expiresAt == u64.MAX_VALUE) return EXP.slice;
    return jwt.issuedAt == u64.MAX_VALUE ? IAT.slice : EMPTY;
  }

  /**
   * Whether the time from `iat` to `exp` is within the limit. An `iat` in the future counts as now: a token whose `iat`
   * is a year ahead is valid for a year longer than its claims say.
   *
   * @param latest the latest time that counts as now, in seconds since 1970
   */
  allowsLifetime(jwt: Jwt, latest: u64): bool {
    if (this.maxLifetime == 0) return true;
    const issuedAt = min(jwt.issuedAt, latest);
    return jwt.expiresAt <= issuedAt || jwt.expiresAt - issuedAt <= this.maxLifetime;
  }
}

/** The strings of an array, none of which may be empty; none for NONE. */
function readNonEmptyStrings(reader: Reader, node: Node): StaticArray<Slice> {
  const strings = reader.strings(node);
  if (node != NONE && strings.length == 0) reader.fail(node, "must not be empty");
  for (let i = 0; i < strings.length; i++) {
    if (lengthOf(strings[i]) == 0) reader.fail(node, "must not contain an empty string");
  }
  return strings;
}
