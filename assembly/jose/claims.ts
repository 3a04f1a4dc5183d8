/**
 * Claims as header values, as Envoy's claim_to_headers makes them (jwt_authn/authenticator.cc), for Istio's
 * outputClaimToHeaders. All texts are in the arena.
 */
import { EMPTY, Slice, Text, byteAt, indexOfByte, lengthOf, slice, subslice } from "../memory/slice";
import { encode } from "../encoding/base64";
import { JsonDocument, JsonKind, NONE, Node } from "../encoding/json";
import { compactJson } from "../encoding/json-writer";
import { formatFixed, formatUnsigned } from "../encoding/number";

export namespace ClaimValue {
  /** Not a slice of memory: the claim is a string that no header can carry (S9). */
  export const INVALID: Slice = 1;
}

const TRUE = new Text("true");
const FALSE = new Text("false");

const TAB: u8 = 0x09;
const SPACE: u8 = 0x20;
const DOT: u8 = 0x2e;
const DELETE: u8 = 0x7f;

const TWO_TO_64: f64 = 18446744073709551616.0;

/**
 * @param payload a token's claims set
 * @param name a dot selects a member of an object; elements of a list have no name
 * @returns the header's value: a string as it is; `true` or `false`; an integer of 0 to 2^64-1 in decimal, any other
 *   number with six decimals; a list or object as base64 of its JSON. EMPTY if no header is set, because the claim is
 *   missing, null or an empty string. `ClaimValue.INVALID` for a string with a control character other than a tab
 */
export function claimHeaderValue(payload: JsonDocument, name: Slice): Slice {
  const claim = findClaim(payload, name);
  if (claim == NONE) return EMPTY;
  switch (payload.kind(claim)) {
    case JsonKind.String: {
      const text = payload.text(claim);
      if (lengthOf(text) == 0) return EMPTY;
      return isHeaderValue(text) ? text : ClaimValue.INVALID;
    }
    case JsonKind.Number:
      return formatNumber(payload.number(claim));
    case JsonKind.True:
      return TRUE.slice;
    case JsonKind.False:
      return FALSE.slice;
    case JsonKind.Null:
      return EMPTY;
    default:
      return encode(compactJson(payload, claim));
  }
}

/** The claim at a dotted path, or NONE. */
function findClaim(payload: JsonDocument, name: Slice): Node {
  let n = payload.root;
  let start = 0;
  for (;;) {
    const dot = indexOfByte(name, DOT, start);
    n = payload.member(n, subslice(name, start, dot < 0 ? lengthOf(name) : dot));
    if (dot < 0 || n == NONE) break;
    start = dot + 1;
  }
  return n;
}

/** RFC 9110 section 5.5, and what Envoy's header map takes; bytes above 0x7f pass. */
function isHeaderValue(text: Slice): bool {
  for (let i = 0; i < lengthOf(text); i++) {
    const c = byteAt(text, i);
    if ((c < SPACE && c != TAB) || c == DELETE) return false;
  }
  return true;
}

function formatNumber(value: f64): Slice {
  return value >= 0 && value < TWO_TO_64 && floor(value) == value
    ? formatUnsigned(<u64>value)
    : formatFixed(value);
}
