/** Decodes a token for people. It verifies nothing. */
import { base64Decode, utf8Decode } from "../../tools/host/bytes.ts";

/** One member of a token's header or payload. */
export interface Member {
  name: string;
  value: string;
  /** Its meaning; "" if no RFC defines it. */
  meaning: string;
}

/** RFC 7515 §4.1, RFC 7519 §4.1, and names registered with IANA that policies ask for. */
const MEANINGS: Readonly<Record<string, string>> = {
  alg: "The algorithm of its signature",
  kid: "The id of the key that signed it",
  typ: "The kind of token",
  jwk: "A key in the token itself; the filter never uses it",
  jku: "The URL of a key set; the filter never fetches it",
  x5c: "A certificate in the token itself; the filter never uses it",
  crit: "Extensions that a reader must support; the filter refuses every token that has it",
  iss: "The issuer; compared with the rule's issuer",
  sub: "The subject; the second half of a request principal",
  aud: "The audiences; compared with the rule's audiences",
  exp: "When it expires; refused from then on",
  nbf: "When it becomes valid; refused before",
  iat: "When it was issued; not checked",
  jti: "The id of the token",
  azp: "The client that it was issued to (request.auth.presenter)",
  scope: "What it permits; a list separated by spaces",
  permission: "What it permits; a list separated by spaces",
  roles: "Roles of the subject",
  groups: "Groups of the subject",
  email: "The subject's address",
  name: "The subject's name",
};

const TIMES = new Set(["exp", "nbf", "iat", "auth_time"]);

/**
 * The members of a token's header and payload.
 *
 * @returns undefined for a part that cannot be read
 */
export function decode(token: string): { header: Member[] | undefined; claims: Member[] | undefined } {
  const [header = "", payload = ""] = token.trim().split(".");
  return { header: members(header), claims: members(payload) };
}

function members(part: string): Member[] | undefined {
  try {
    const value: unknown = JSON.parse(utf8Decode(base64Decode(part)));
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    return Object.entries(value).map(([name, one]) => ({
      name,
      value: typeof one === "string" ? one : JSON.stringify(one),
      meaning: [timeOf(name, one), Object.hasOwn(MEANINGS, name) ? MEANINGS[name] : ""]
        .filter(Boolean)
        .join(". "),
    }));
  } catch {
    return undefined;
  }
}

/** A NumericDate as a date. */
function timeOf(name: string, value: unknown): string {
  if (!TIMES.has(name) || typeof value !== "number" || Math.abs(value) > 8.64e12) return "";
  return new Date(Math.trunc(value) * 1000).toISOString().replace(".000Z", " UTC").replace("T", " ");
}
