/** A token as people read it. Nothing is verified here. */
import { base64Decode, utf8Decode } from "../../tools/host/bytes.ts";

/** One member of a token's header or payload. */
export interface Member {
  name: string;
  value: string;
  /** What it means; "" for one that no RFC defines. */
  meaning: string;
}

/** RFC 7515 §4.1, RFC 7519 §4.1, and names registered with IANA that policies ask for. */
const MEANINGS: Readonly<Record<string, string>> = {
  alg: "How it is signed",
  kid: "Which key signed it",
  typ: "What kind of token it is",
  jwk: "A key that the token brings along; the filter never uses it",
  jku: "Where a key is; the filter never fetches it",
  x5c: "A certificate that the token brings along; the filter never uses it",
  crit: "Extensions that a reader must understand; the filter refuses every token with this",
  iss: "Who issued it; compared with issuer of the rule",
  sub: "Whom it is about; the second half of a request principal",
  aud: "Whom it is for; compared with audiences",
  exp: "From when on it is refused",
  nbf: "Until when it is refused",
  iat: "When it was issued; not checked",
  jti: "Its own id",
  azp: "Whom it was issued to (request.auth.presenter)",
  scope: "What it permits, split at spaces into a list",
  permission: "What it permits, split at spaces into a list",
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
