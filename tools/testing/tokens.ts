/** The tokens of a test file: each made once, when it is asked for first. */
import type { Position } from "../diagnostics.ts";
import { quote } from "../istio/report.ts";
import { type Context, unknownName } from "./context.ts";
import type { Keyring } from "./keyring.ts";
import { decodePart, encodePart, mint } from "./mint.ts";
import type { ChangedToken, Key, MintedToken, Token } from "./schema.ts";
import { parseMoment } from "./time.ts";

const DEFAULT_LIFETIME = "in 1h";

export class Tokens {
  private readonly made = new Map<string, string>();
  /** Names of tokens that are being made, for one that is made from itself. */
  private readonly making = new Set<string>();

  /**
   * @param described the test file's `tokens`
   * @param keys its `keys`
   * @param now milliseconds since 1970
   */
  constructor(
    private readonly described: Readonly<Record<string, Token>>,
    private readonly keys: Readonly<Record<string, Key>>,
    private readonly keyring: Keyring,
    private readonly now: number,
    private readonly context: Context,
  ) {
    // Those that no test uses are checked too.
    for (const name of Object.keys(described)) this.get(name, context.at("tokens", name));
  }

  /** The token of that name, made once. */
  get(name: string, at: Position): string {
    const made = this.made.get(name);
    if (made !== undefined) return made;
    const { described } = this;
    const token = Object.hasOwn(described, name) ? described[name] : undefined;
    if (token === undefined) {
      this.context.report.error(at, unknownName("token", name, Object.keys(described)));
      return "";
    }
    if (this.making.has(name)) {
      this.context.report.error(at, `the token ${quote(name)} is made from itself: name another in from`);
      return "";
    }
    this.making.add(name);
    const text = this.makeToken(name, token);
    this.making.delete(name);
    this.made.set(name, text);
    return text;
  }

  private makeToken(name: string, token: Token): string {
    if (typeof token === "string") return token;
    return "from" in token ? this.changeToken(name, token) : this.mintToken(name, token);
  }

  private mintToken(name: string, token: MintedToken): string {
    const key = this.keyring.get(token.key);
    const at = this.context.at("tokens", name, "key");
    if (key === undefined) {
      const { keys } = this;
      if (!Object.hasOwn(keys, token.key))
        this.context.report.error(at, unknownName("key", token.key, Object.keys(keys)));
      else if (keys[token.key]?.jwks !== undefined)
        this.context.report.error(at, `the key ${token.key} is a public key set: it signs no token`);
      return "";
    }
    const { alg = key.alg, kid = key.kid, claims = {}, header = {}, without = [] } = token;
    const seconds = (text: string | undefined, field: string) => {
      const time = text === undefined ? undefined : this.moment(text, this.context.at("tokens", name, field));
      return time === undefined ? undefined : Math.floor(time / 1000);
    };
    const issuer = this.keys[token.key]?.issuer;
    const times = {
      exp: seconds(token.expires ?? DEFAULT_LIFETIME, "expires"),
      nbf: seconds(token.notBefore, "notBefore"),
      iat: seconds(token.issuedAt, "issuedAt"),
    };
    const payload = omit({ iss: issuer, ...times, ...claims }, without);
    try {
      return mint(key, omit({ alg, kid, typ: "JWT", ...header }, without), payload, alg);
    } catch (error) {
      const reason =
        error instanceof RangeError ? error.message : `${quote(alg)} is no algorithm that can sign`;
      this.context.report.error(this.context.at("tokens", name, "alg"), reason);
      return "";
    }
  }

  private changeToken(name: string, change: ChangedToken): string {
    const at = this.context.at("tokens", name, "from");
    const original = this.get(change.from, at);
    const { claims = {}, header = {}, without = [], signature = "keep", append = "" } = change;
    const [headerPart = "", payloadPart = "", signaturePart = ""] = original.split(".");
    try {
      const encode = (part: string, changes: Record<string, unknown>) => {
        const value = decodePart(part);
        const isTouched =
          Object.keys(changes).length > 0 || without.some((member) => Object.hasOwn(value, member));
        return isTouched ? encodePart(omit({ ...value, ...changes }, without)) : part;
      };
      const kept = signature === "flip" ? flip(signaturePart) : signature === "empty" ? "" : signaturePart;
      return `${encode(headerPart, header)}.${encode(payloadPart, claims)}.${kept}${append}`;
    } catch {
      if (original !== "")
        this.context.report.error(
          at,
          `the token ${quote(change.from)} cannot be read, so it cannot be changed`,
        );
      return "";
    }
  }

  private moment(text: string, at: Position): number | undefined {
    const time = parseMoment(text, this.now);
    if (time === undefined) {
      this.context.report.error(
        at,
        `${quote(text)} is no time: write "in 5m", "2h ago" or 2026-01-31T12:00:00Z`,
      );
    }
    return time;
  }
}

/** The members that have a value and are not left out. */
function omit(members: Record<string, unknown>, without: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(members).filter(([name, value]) => value !== undefined && !without.includes(name)),
  );
}

/** The signature with its first bit changed. */
function flip(signature: string): string {
  const bytes = Buffer.from(signature, "base64url");
  if (bytes[0] !== undefined) bytes[0] ^= 0x80;
  return bytes.toString("base64url");
}
