/** The tokens of a test file, each made when it is first used. */
import type { Position } from "../diagnostics.ts";
import { quote } from "../istio/report.ts";
import { parseTime, TIME_FORMS } from "../time.ts";
import { type Context, unknownName } from "./context.ts";
import type { Keyring } from "./keyring.ts";
import { decodePart, encodePart, mint } from "./mint.ts";
import type { ChangedToken, Key, MintedToken, Token } from "./schema.ts";
import { NotSpoilable, type Signed, spoil, withFlippedBit } from "./spoil.ts";

const DEFAULT_LIFETIME = "now+1h";

export class Tokens {
  private readonly made = new Map<string, string>();
  /** How unchanged tokens were signed. */
  private readonly signed = new Map<string, Signed>();
  /** Names of tokens that are being made, to detect one that depends on itself. */
  private readonly making = new Set<string>();

  private constructor(
    private readonly described: Readonly<Record<string, Token>>,
    private readonly keys: Readonly<Record<string, Key>>,
    private readonly keyring: Keyring,
    private readonly now: number,
    private readonly context: Context,
  ) {}

  /**
   * Makes all tokens of a test file, those that no test uses included.
   *
   * @param described its `tokens`
   * @param keys its `keys`
   * @param now milliseconds since 1970
   */
  static async make(
    described: Readonly<Record<string, Token>>,
    keys: Readonly<Record<string, Key>>,
    keyring: Keyring,
    now: number,
    context: Context,
  ): Promise<Tokens> {
    const tokens = new Tokens(described, keys, keyring, now, context);
    for (const name of Object.keys(described)) await tokens.make(name, context.at("tokens", name));
    return tokens;
  }

  /** All tokens by their names, as they are sent. */
  get all(): ReadonlyMap<string, string> {
    return this.made;
  }

  /** The token of that name; empty, with an error at the position, if the file has none. */
  get(name: string, at: Position): string {
    const made = this.made.get(name);
    if (made !== undefined) return made;
    this.context.report.error(at, unknownName("token", name, Object.keys(this.described)));
    return "";
  }

  /** The token of that name, made once. */
  private async make(name: string, at: Position): Promise<string> {
    const { described } = this;
    const token = Object.hasOwn(described, name) ? described[name] : undefined;
    if (token === undefined || this.made.has(name)) return this.get(name, at);
    if (this.making.has(name)) {
      this.context.report.error(at, `the token ${quote(name)} is made from itself: name another in from`);
      return "";
    }
    this.making.add(name);
    const text = await this.makeToken(name, token);
    this.making.delete(name);
    this.made.set(name, text);
    return text;
  }

  private async makeToken(name: string, token: Token): Promise<string> {
    if (typeof token === "string") return token;
    return "from" in token ? this.changeToken(name, token) : this.mintToken(name, token);
  }

  private async mintToken(name: string, token: MintedToken): Promise<string> {
    const key = this.keyring.get(token.key);
    const at = this.context.at("tokens", name, "key");
    if (key === undefined) {
      const { keys } = this;
      if (!Object.hasOwn(keys, token.key))
        this.context.report.error(at, unknownName("key", token.key, Object.keys(keys)));
      else if (keys[token.key]?.jwks !== undefined)
        this.context.report.error(at, `the key ${token.key} is a public key set, which cannot sign a token`);
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
    const members = omit({ alg, kid, typ: "JWT", ...header }, without);
    try {
      const text = await mint(key, members, payload, alg);
      this.signed.set(name, { key, header: members, payload, alg, text });
      return text;
    } catch (error) {
      const reason =
        error instanceof RangeError ? error.message : `${quote(alg)} is not an algorithm that can sign`;
      this.context.report.error(this.context.at("tokens", name, "alg"), reason);
      return "";
    }
  }

  private async changeToken(name: string, change: ChangedToken): Promise<string> {
    const at = this.context.at("tokens", name, "from");
    const whole = await this.make(change.from, at);
    const original = change.spoil === undefined ? whole : await this.spoilToken(name, change);
    const { claims = {}, header = {}, without = [], signature = "keep", append = "" } = change;
    const [headerPart = "", payloadPart = "", signaturePart = ""] = original.split(".");
    try {
      const encode = (part: string, changes: Record<string, unknown>) => {
        const value = decodePart(part);
        const isTouched =
          Object.keys(changes).length > 0 || without.some((member) => Object.hasOwn(value, member));
        return isTouched ? encodePart(omit({ ...value, ...changes }, without)) : part;
      };
      const kept =
        signature === "flip" ? withFlippedBit(signaturePart) : signature === "empty" ? "" : signaturePart;
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

  private async spoilToken(name: string, change: ChangedToken): Promise<string> {
    const at = this.context.at("tokens", name, "spoil");
    const signed = this.signed.get(change.from);
    if (signed === undefined || change.spoil === undefined) {
      const known = Object.hasOwn(this.described, change.from) && this.made.get(change.from) !== "";
      const message = "spoil needs a token that this file signs: name one that has a key";
      if (known) this.context.report.error(at, message);
      return "";
    }
    try {
      return await spoil(signed, change.spoil, this.now, this.context.makeKey);
    } catch (error) {
      if (!(error instanceof NotSpoilable)) throw error;
      this.context.report.error(at, error.message);
      return "";
    }
  }

  private moment(text: string, at: Position): number | undefined {
    const newer = inNewSpelling(text);
    if (newer !== text) {
      this.context.report.warning(at, `${quote(text)} is the former spelling of a time: write ${newer}`);
    }
    const time = parseTime(newer, this.now);
    if (time === undefined) {
      this.context.report.error(at, `${quote(text)} is not a time: write ${TIME_FORMS}`);
    }
    return time;
  }
}

/** Earlier versions read `in 5m` and `2h ago`. */
function inNewSpelling(text: string): string {
  const [, ahead, ago] =
    /^(?:in (\d+(?:\.\d+)?(?:ms|s|m|h|d))|(\d+(?:\.\d+)?(?:ms|s|m|h|d)) ago)$/.exec(text) ?? [];
  if (ahead !== undefined) return `now+${ahead}`;
  return ago === undefined ? text : `now-${ago}`;
}

/** The members that have a value and are not left out. */
function omit(members: Record<string, unknown>, without: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(members).filter(([name, value]) => value !== undefined && !without.includes(name)),
  );
}
