/**
 * Envoy's string matchers (envoy.type.matcher.v3.StringMatcher) as Istio's patterns: exact, `x*`, `*x` and `*`, and for
 * paths, templates.
 */
import type { Position } from "../diagnostics.ts";
import { isPathTemplate } from "../istio/path-template.ts";
import { quote } from "../istio/report.ts";
import type { Message } from "./message.ts";

/** How a text is compared. */
export type TextMatch =
  | { exact: string }
  | { prefix: string }
  | { suffix: string }
  | { contains: string }
  | { regex: string };

export interface StringMatcher {
  at: Position;
  match: TextMatch;
  ignoreCase: boolean;
}

/** Reads a StringMatcher. @returns undefined, with an error, if it has no match */
export function readStringMatcher(message: Message): StringMatcher | undefined {
  const kind = message.oneOf("exact", "prefix", "suffix", "contains", "safe_regex", "custom");
  const ignoreCase = message.boolean("ignore_case");
  const { at } = message;
  const found = ((): StringMatcher | undefined => {
    switch (kind) {
      case "exact":
        return { at, match: { exact: message.string("exact")?.value ?? "" }, ignoreCase };
      case "prefix":
        return { at, match: { prefix: message.string("prefix")?.value ?? "" }, ignoreCase };
      case "suffix":
        return { at, match: { suffix: message.string("suffix")?.value ?? "" }, ignoreCase };
      case "contains":
        return { at, match: { contains: message.string("contains")?.value ?? "" }, ignoreCase };
      case "safe_regex": {
        const regex = readRegex(message.message("safe_regex"));
        return regex === undefined ? undefined : { at, match: { regex }, ignoreCase };
      }
      default:
        message.ignore("custom");
        message.report.error(
          at,
          `${message.path} must have one of exact, prefix, suffix, contains and safe_regex`,
        );
        return undefined;
    }
  })();
  message.finish();
  return found;
}

/** Reads an envoy.type.matcher.v3.RegexMatcher. */
export function readRegex(message: Message | undefined): string | undefined {
  message?.ignore("google_re2");
  const regex = message?.string("regex")?.value ?? "";
  message?.finish();
  return message && regex;
}

/** One way to match: a pattern of Istio, except for one exact value. */
export interface Alternative {
  pattern: string;
  except?: string;
}

/** A match as patterns; `always` is any text, the empty one included. */
export interface Patterns {
  always: boolean;
  /** Whether it needs a non-empty text (`*`). */
  nonEmpty: boolean;
  alternatives: Alternative[];
  /** Whether there is a template, which matches fewer paths than its regular expression. */
  hasTemplate: boolean;
  /** Whether a prefix or suffix comes from `.*`, which ends at a line break. */
  isOneLine: boolean;
}

/** A match as Istio's patterns. @returns why there are none: a sentence without a full stop */
export function patternsOf(match: TextMatch, kind: "path" | "text"): Patterns | { fault: string } {
  const patterns: Patterns = {
    always: false,
    nonEmpty: false,
    alternatives: [],
    hasTemplate: false,
    isOneLine: false,
  };
  if ("contains" in match) {
    return { fault: `Istio has no pattern for a text that contains ${quote(match.contains)}` };
  }
  if (!("regex" in match)) {
    const fault = add(patterns, match, kind);
    return fault === undefined ? patterns : { fault };
  }
  const sequences = expandRegex(match.regex);
  const none = {
    fault: `Istio has no regular expressions, and ${quote(match.regex)} is not one of its patterns`,
  };
  if (sequences === undefined) return none;
  for (const sequence of sequences) {
    const fault = addSequence(patterns, sequence, kind);
    if (fault !== undefined) return fault === "" ? none : { fault };
  }
  return patterns;
}

/** @returns why it is not a pattern */
function add(
  patterns: Patterns,
  match: { exact: string } | { prefix: string } | { suffix: string },
  kind: "path" | "text",
  except?: string,
): string | undefined {
  const [name, text] = Object.entries(match)[0] as ["exact" | "prefix" | "suffix", string];
  if (text === "" && name !== "exact") {
    patterns.always = true;
    return undefined;
  }
  const pattern = name === "exact" ? text : name === "prefix" ? `${text}*` : `*${text}`;
  const fault =
    faultOf(name, text, kind) ?? (except === undefined ? undefined : faultOf("exact", except, kind));
  if (fault === undefined) patterns.alternatives.push({ pattern, ...(except !== undefined && { except }) });
  return fault;
}

/** Why Istio would read a text as something else. */
function faultOf(
  name: "exact" | "prefix" | "suffix",
  text: string,
  kind: "path" | "text",
): string | undefined {
  const asIs = `Istio has no pattern for the text ${quote(text)} itself`;
  if (text === "") return "Istio has no pattern for the empty text";
  if (name !== "suffix" && text.startsWith("*")) return asIs;
  if (name === "exact" && text.endsWith("*")) return asIs;
  if (kind === "path" && (isPathTemplate(text) || /[{}]/.test(text))) return asIs;
  return undefined;
}

/** A part of a regular expression: literal text, `.*`, `.+` or `[^/]+`. */
type Token = string | { some: "any" | "one" | "segment" };

/** How many alternatives a regular expression may have. */
const MAX_ALTERNATIVES = 256;

/**
 * The alternatives of a regular expression that consists of literal text, `.*`, `.+`, `[^/]+`, groups, alternatives and
 * `?`.
 *
 * @returns undefined if it contains anything else
 */
export function expandRegex(regex: string): Token[][] | undefined {
  const parser = new RegexParser(regex.replace(/^\^/, "").replace(/(?<!\\)\$$/, ""));
  const found = parser.alternatives();
  return parser.isAtEnd ? found : undefined;
}

class RegexParser {
  private offset = 0;
  private isFaulty = false;

  constructor(private readonly text: string) {}

  get isAtEnd(): boolean {
    return !this.isFaulty && this.offset === this.text.length;
  }

  alternatives(depth = 0): Token[][] {
    const found = this.sequence(depth);
    while (!this.isFaulty && this.text[this.offset] === "|") {
      this.offset++;
      found.push(...this.sequence(depth));
    }
    if (found.length > MAX_ALTERNATIVES) this.fail();
    return found;
  }

  private sequence(depth: number): Token[][] {
    let found: Token[][] = [[]];
    while (!this.isFaulty && this.offset < this.text.length && !/[|)]/.test(this.text[this.offset] ?? "")) {
      const parts = this.part(depth);
      if (found.length * parts.length > MAX_ALTERNATIVES) return this.fail();
      found = found.flatMap((one) => parts.map((part) => [...one, ...part]));
    }
    return found;
  }

  private part(depth: number): Token[][] {
    const one = this.atom(depth);
    if (this.text[this.offset] === "?") {
      this.offset++;
      return [...one, []];
    }
    return /[*+{]/.test(this.text[this.offset] ?? "") ? this.fail() : one;
  }

  private atom(depth: number): Token[][] {
    const rest = this.text.slice(this.offset, this.offset + 8);
    const some = /^(?:(\.\*)|(\.\+)|(\[\^\/\]\+))\??/.exec(rest);
    if (some !== null) {
      this.offset += some[0].length;
      return [[{ some: some[1] !== undefined ? "any" : some[2] !== undefined ? "one" : "segment" }]];
    }
    const escaped = /^(?:\\([^A-Za-z0-9])|\[([^\\^\]])\])/.exec(rest);
    if (escaped !== null) {
      this.offset += escaped[0].length;
      return [[escaped[1] ?? escaped[2] ?? ""]];
    }
    const group = /^\((?:\?:)?(?!\?)/.exec(rest);
    if (group !== null && depth < 20) {
      this.offset += group[0].length;
      const found = this.alternatives(depth + 1);
      if (this.text[this.offset++] !== ")") return this.fail();
      return found;
    }
    const [literal] = /^[^\\^$.|?*+()[\]{}]/u.exec(rest) ?? [];
    if (literal === undefined) return this.fail();
    this.offset += literal.length;
    return [[literal]];
  }

  private fail(): Token[][] {
    this.isFaulty = true;
    return [];
  }
}

/** @returns undefined if it was added; why it is not a pattern, empty for the usual reason */
function addSequence(
  patterns: Patterns,
  tokens: readonly Token[],
  kind: "path" | "text",
): string | undefined {
  const joined: Token[] = [];
  for (const token of tokens) {
    const last = joined.at(-1);
    if (typeof token === "string" && typeof last === "string") joined[joined.length - 1] = last + token;
    else joined.push(token);
  }
  const [first = "", second] = joined;
  const isOne = (token: Token | undefined) => typeof token === "object" && token.some === "one";
  const isAny = (token: Token | undefined) => typeof token === "object" && token.some === "any";
  if (joined.length > 1) patterns.isOneLine = true;
  if (joined.length < 2) {
    if (typeof first === "string") return add(patterns, { exact: first }, kind);
    if (isAny(first)) patterns.always = true;
    else if (isOne(first)) patterns.nonEmpty = true;
    else return "";
    return undefined;
  }
  if (joined.length === 2 && typeof first === "string") {
    if (isAny(second)) return add(patterns, { prefix: first }, kind);
    if (isOne(second)) return add(patterns, { prefix: first }, kind, first);
  }
  if (joined.length === 2 && typeof second === "string") {
    if (isAny(first)) return add(patterns, { suffix: second }, kind);
    if (isOne(first)) return add(patterns, { suffix: second }, kind, second);
  }
  const template = kind === "path" ? templateOf(joined) : undefined;
  if (template === undefined) return "";
  patterns.hasTemplate = true;
  patterns.alternatives.push({ pattern: template });
  return undefined;
}

/** Whole segments of any text, and any text at the end. */
function templateOf(tokens: readonly Token[]): string | undefined {
  const template = tokens
    .map((token) =>
      typeof token === "string"
        ? token
        : token.some === "segment"
          ? "{*}"
          : token.some === "any"
            ? "{**}"
            : "{",
    )
    .join("");
  return /^(\/(\{\*\}|[a-zA-Z0-9\-._~%!$&'()+,;:@=]+))+(\/|\/\{\*\*\})?$/.test(template)
    ? template
    : undefined;
}

/** Every spelling of a short word in upper and lower case. @returns undefined if there are more than 128 */
export function caseVariants(word: string): string[] | undefined {
  if (word.replace(/[^A-Za-z]/g, "").length > 7) return undefined;
  return [...word].reduce<string[]>(
    (words, letter) => {
      const letters = [...new Set([letter.toUpperCase(), letter.toLowerCase()])];
      return words.flatMap((one) => letters.map((other) => one + other));
    },
    [""],
  );
}

/**
 * The intersection of two patterns of Istio, as patterns of which one matches.
 *
 * @returns undefined if no pattern expresses it
 */
export function intersection(a: string, b: string): string[] | undefined {
  if (a === b || b === "*") return [a];
  if (a === "*") return [b];
  if (isPathTemplate(a) || isPathTemplate(b)) return templateIntersection(a, b);
  const [left, right] = [parse(a), parse(b)];
  if (left.kind === "exact") return matches(right, left.text) ? [a] : [];
  if (right.kind === "exact") return matches(left, right.text) ? [b] : [];
  if (left.kind !== right.kind) return undefined;
  if (matches(right, left.text)) return [a];
  return matches(left, right.text) ? [b] : [];
}

/** Only the certain case: literal beginnings that differ. */
function templateIntersection(a: string, b: string): string[] | undefined {
  const beginning = (pattern: string) => /^[^*{]*/.exec(pattern)?.[0] ?? "";
  const [left, right] = [beginning(a), beginning(b)];
  const length = Math.min(left.length, right.length);
  return left.slice(0, length) === right.slice(0, length) ? undefined : [];
}

type Parsed = { kind: "exact" | "prefix" | "suffix"; text: string };

function parse(pattern: string): Parsed {
  if (pattern.startsWith("*")) return { kind: "suffix", text: pattern.slice(1) };
  if (pattern.endsWith("*")) return { kind: "prefix", text: pattern.slice(0, -1) };
  return { kind: "exact", text: pattern };
}

function matches({ kind, text }: Parsed, value: string): boolean {
  if (kind === "exact") return value === text;
  return kind === "prefix" ? value.startsWith(text) : value.endsWith(text);
}
