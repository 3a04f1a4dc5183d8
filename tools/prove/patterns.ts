/**
 * What one text is compared with, as automata over bytes. Each pattern means what `assembly/authz/matchers.ts` makes of
 * it; tests/prove compares the two on random texts. Texts are strings whose characters are bytes.
 */
import type { Predicate, StringMatch } from "../config/schema.ts";
import { wireText } from "../host/bytes.ts";

/** A set of texts. */
export type Pattern =
  | { kind: "exact" | "prefix" | "suffix" | "contains"; text: string; fold?: boolean }
  /** Every text, the empty one included. */
  | { kind: "any" }
  /** Every text but the empty one. */
  | { kind: "some" }
  /** Texts with a control character other than a tab, which no header can carry. */
  | { kind: "control" }
  /** Istio's `*`: not empty, well-formed UTF-8, no newline. */
  | { kind: "nonEmpty" }
  | { kind: "template"; text: string }
  | { kind: "glob"; pieces: readonly string[] }
  | { kind: "trustDomain"; begin: string; end: string }
  | { kind: "serviceAccount"; namespace: string; name: string }
  /** Any of these, compared as `aud` is with a provider's audiences. */
  | { kind: "audience"; of: readonly string[] }
  /** Texts of which an element between spaces is in `of`; without elements, the whole text. */
  | { kind: "element"; of: Pattern };

/** The pattern of a StringMatch. */
export function patternOf(match: StringMatch, fold = false): Pattern {
  const lower = (text: string) => (fold ? asciiLowerCase(wireText(text)) : wireText(text));
  const folded = fold ? { fold } : {};
  if ("exact" in match) return { kind: "exact", text: lower(match.exact), ...folded };
  if ("prefix" in match) return { kind: "prefix", text: lower(match.prefix), ...folded };
  if ("suffix" in match) return { kind: "suffix", text: lower(match.suffix), ...folded };
  return { kind: "nonEmpty" };
}

/** The pattern of a predicate about names of the peer's certificate. */
export function peerPatternOf(predicate: Predicate): Pattern | undefined {
  if ("principal" in predicate) return patternOf(predicate.principal);
  if ("peer" in predicate) return { kind: "glob", pieces: predicate.peer.map(wireText) };
  if ("trustDomain" in predicate) {
    const [begin = "", end = ""] = predicate.trustDomain.map(wireText);
    return { kind: "trustDomain", begin, end };
  }
  if (!("serviceAccount" in predicate)) return undefined;
  const { namespace, name } = predicate.serviceAccount;
  return { kind: "serviceAccount", namespace: wireText(namespace), name: wireText(name) };
}

function asciiLowerCase(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** A deterministic automaton whose states are made when they are first reached. */
export class Automaton {
  private readonly ids = new Map<string, number>();
  private readonly states: string[] = [];
  private readonly steps: Int32Array[] = [];
  private readonly accepted: (readonly number[])[] = [];

  /**
   * @param first the first state
   * @param next the state after a byte; undefined if no text with that beginning counts
   * @param accepts the numbers of the patterns that match a text that ends in the state
   */
  constructor(
    first: string,
    private readonly next: (state: string, byte: number) => string | undefined,
    private readonly accepts: (state: string) => readonly number[],
  ) {
    this.id(first);
  }

  private id(state: string): number {
    const known = this.ids.get(state);
    if (known !== undefined) return known;
    const id = this.states.push(state) - 1;
    this.ids.set(state, id);
    this.steps.push(new Int32Array(256).fill(UNKNOWN));
    return id;
  }

  /** The state after a byte; negative if there is none. The first state is 0. */
  step(state: number, byte: number): number {
    const row = this.steps[state] as Int32Array;
    const known = row[byte] as number;
    if (known !== UNKNOWN) return known;
    const next = this.next(this.states[state] as string, byte);
    const id = next === undefined ? -1 : this.id(next);
    row[byte] = id;
    return id;
  }

  /** The patterns that match a text that ends in the state. */
  matches(state: number): readonly number[] {
    const known = this.accepted[state];
    if (known !== undefined) return known;
    const made = this.accepts(this.states[state] as string);
    this.accepted[state] = made;
    return made;
  }
}

const UNKNOWN = -2;
const DEAD = "x";

/**
 * One automaton for many patterns of the same kind, and one for each other pattern.
 *
 * @param patterns by their numbers
 */
export function automataOf(patterns: readonly Pattern[]): Automaton[] {
  const starts = new Map<boolean, Keyed>();
  const ends = new Map<boolean, Keyed>();
  const automata: Automaton[] = [];
  for (const [number, pattern] of patterns.entries()) {
    if (pattern.kind === "exact" || pattern.kind === "prefix")
      add(starts, pattern.fold ?? false, { text: pattern.text, whole: pattern.kind === "exact", number });
    else if (pattern.kind === "suffix")
      add(ends, pattern.fold ?? false, { text: pattern.text, whole: false, number });
    else if (pattern.kind === "audience")
      for (const text of spellings(pattern.of)) add(starts, false, { text, whole: true, number });
    else automata.push(single(pattern, number));
  }
  for (const [fold, keys] of starts) automata.push(startsAutomaton(keys, fold));
  for (const [fold, keys] of ends) automata.push(endsAutomaton(keys, fold));
  return automata;
}

type Keyed = { text: string; whole: boolean; number: number }[];

function add(lists: Map<boolean, Keyed>, fold: boolean, key: Keyed[number]): void {
  const list = lists.get(fold);
  if (list === undefined) lists.set(fold, [key]);
  else list.push(key);
}

function lowerByte(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
}

/** The texts that a beginning leads to, and after the last of them the longest prefix that was passed. */
function startsAutomaton(keys: Keyed, fold: boolean): Automaton {
  const beginnings = new Set<string>([""]);
  const wholes = new Map<string, number[]>();
  const prefixes = new Map<string, number[]>();
  for (const { text, whole, number } of keys) {
    for (let i = 1; i <= text.length; i++) beginnings.add(text.slice(0, i));
    const map = whole ? wholes : prefixes;
    map.set(text, [...(map.get(text) ?? []), number]);
  }
  const longestPrefix = (text: string): string | undefined => {
    for (let i = text.length; i > 0; i--) if (prefixes.has(text.slice(0, i))) return text.slice(0, i);
    return undefined;
  };
  const passed = (text: string): number[] => {
    const found: number[] = [];
    for (let i = 1; i <= text.length; i++) found.push(...(prefixes.get(text.slice(0, i)) ?? []));
    return found;
  };
  return new Automaton(
    "=",
    (state, byte) => {
      if (state.startsWith("!")) return state;
      const text = state.slice(1) + String.fromCharCode(fold ? lowerByte(byte) : byte);
      return beginnings.has(text) ? `=${text}` : `!${longestPrefix(state.slice(1)) ?? ""}`;
    },
    (state) => {
      const text = state.slice(1);
      return state.startsWith("!") ? passed(text) : [...(wholes.get(text) ?? []), ...passed(text)];
    },
  );
}

/** The longest end of the text that a suffix begins with. */
function endsAutomaton(keys: Keyed, fold: boolean): Automaton {
  const beginnings = new Set<string>();
  for (const { text } of keys) for (let i = 1; i <= text.length; i++) beginnings.add(text.slice(0, i));
  return new Automaton(
    "",
    (state, byte) => {
      let text = state + String.fromCharCode(fold ? lowerByte(byte) : byte);
      while (text !== "" && !beginnings.has(text)) text = text.slice(1);
      return text;
    },
    (state) => keys.filter(({ text }) => state.endsWith(text)).map(({ number }) => number),
  );
}

/** The texts that are equal to an audience as `aud` is compared (assembly/jose/jwt.ts, isListed). */
function spellings(audiences: readonly string[]): Set<string> {
  const found = new Set<string>();
  for (const audience of audiences) {
    const wanted = sanitizedAudience(wireText(audience));
    for (const scheme of ["", "http://", "https://"]) {
      for (const slash of ["", "/"]) {
        const text = `${scheme}${wanted}${slash}`;
        if (sanitizedAudience(text) === wanted) found.add(text);
      }
    }
  }
  return found;
}

/** An audience without scheme and without one slash at the end. */
export function sanitizedAudience(audience: string): string {
  const rest = audience.replace(/^https?:\/\//, "");
  return audience.endsWith("/") ? rest.slice(0, -1) : rest;
}

function single(pattern: Pattern, number: number): Automaton {
  const { first, next, accepts } = machineOf(pattern);
  const [yes, no] = [[number], []];
  return new Automaton(first, next, (state) => (accepts(state) ? yes : no));
}

/** An automaton as functions on the names of its states. */
interface Machine {
  first: string;
  next: (state: string, byte: number) => string;
  accepts: (state: string) => boolean;
}

function machineOf(pattern: Pattern): Machine {
  switch (pattern.kind) {
    case "any":
      return { first: "", next: () => "", accepts: () => true };
    case "some":
      return { first: "", next: () => "1", accepts: (state) => state === "1" };
    case "control":
      return {
        first: "",
        next: (state, byte) => (state === "1" || isControl(byte) ? "1" : ""),
        accepts: (state) => state === "1",
      };
    case "nonEmpty":
      return inDots({ first: "", next: () => "1", accepts: (state) => state === "1" }, () => false);
    case "contains":
      return containsMachine(pattern.text);
    case "template":
      return templateMachine(pattern.text);
    case "glob":
      return inDots(nfaMachine(globNfa(pattern.pieces)), () => false);
    case "serviceAccount":
      return inDots(nfaMachine(serviceAccountNfa(pattern)), () => false);
    case "trustDomain":
      return inDots(nfaMachine(trustDomainNfa(pattern)), () => true);
    case "element":
      return elementMachine(pattern.of);
    default: {
      const [automaton] = automataOf([pattern]);
      if (automaton === undefined) throw new RangeError(`no automaton of ${pattern.kind}`);
      return {
        first: "0",
        next: (state, byte) => String(automaton.step(Number(state), byte)),
        accepts: (state) => automaton.matches(Number(state)).length > 0,
      };
    }
  }
}

/** assembly/jose/claims.ts, isHeaderValue. */
function isControl(byte: number): boolean {
  return (byte < 0x20 && byte !== 0x09) || byte === 0x7f;
}

function containsMachine(text: string): Machine {
  return {
    first: "",
    next: (state, byte) => {
      if (state === text) return state;
      let seen = state + String.fromCharCode(byte);
      while (!text.startsWith(seen)) seen = seen.slice(1);
      return seen;
    },
    accepts: (state) => state === text,
  };
}

/** pchar of RFC 3986 section 3.3 (assembly/authz/matchers.ts, isSegmentCharacter). */
export function isSegmentByte(byte: number): boolean {
  return /[A-Za-z0-9!$%&'()*+,\-.:;=@_~]/.test(String.fromCharCode(byte));
}

const SLASH = 0x2f;
const NEWLINE = 0x0a;

/**
 * A URI template (assembly/authz/matchers.ts, loadTemplate). A state is the number of bytes and `{*}` that were passed,
 * with `+` in a segment that has begun; in the rest after `{**}`, what it has of the ending.
 */
function templateMachine(template: string): Machine {
  const any = template.indexOf("{**}");
  const before = any < 0 ? template : template.slice(0, any);
  const ending = any < 0 ? "" : template.slice(any + 4);
  const tokens = before.match(/\{\*\}|[\s\S]/g) ?? [];
  const rest = containsRest(ending);
  const at = (index: number): string => (index === tokens.length && any >= 0 ? "r" : String(index));
  const literal = (index: number, byte: number): string =>
    tokens[index] === String.fromCharCode(byte) ? at(index + 1) : DEAD;
  return {
    first: at(0),
    next: (state, byte) => {
      if (state === DEAD) return DEAD;
      if (state.startsWith("r"))
        return byte === SLASH || isSegmentByte(byte) ? `r${rest(state.slice(1), byte)}` : DEAD;
      const isInside = state.endsWith("+");
      const index = Number.parseInt(state, 10);
      if (tokens[index] !== "{*}") return literal(index, byte);
      if (isSegmentByte(byte)) return `${index}+`;
      return isInside ? literal(index + 1, byte) : DEAD;
    },
    accepts: (state) => {
      if (state === DEAD) return false;
      if (state.startsWith("r")) return state.slice(1) === ending;
      if (state.endsWith("+")) return Number.parseInt(state, 10) === tokens.length - 1;
      return Number(state) === tokens.length;
    },
  };
}

/** The longest beginning of a text that what was read ends with. */
function containsRest(text: string): (state: string, byte: number) => string {
  return (state, byte) => {
    let seen = state + String.fromCharCode(byte);
    while (!text.startsWith(seen)) seen = seen.slice(1);
    return seen;
  };
}

/** Words of the element that is being read, whether an earlier one matched, and the same for the whole text. */
function elementMachine(of: Pattern): Machine {
  const inner = machineOf(of);
  // NUL separates the parts: element (or none), whether one matched, whether there was one, and the whole text's state.
  const join = (...parts: string[]) => JSON.stringify(parts);
  return {
    first: join("", "", "", inner.first),
    next: (state, byte) => {
      const [element = "", matched = "", seen = "", whole = ""] = JSON.parse(state) as string[];
      const nextWhole = inner.next(whole, byte);
      if (byte !== 0x20) {
        const from = element === "" ? inner.first : element.slice(1);
        return join(`=${inner.next(from, byte)}`, matched, "1", nextWhole);
      }
      const ended = element !== "" && inner.accepts(element.slice(1)) ? "1" : matched;
      return join("", ended, seen, nextWhole);
    },
    accepts: (state) => {
      const [element = "", matched = "", seen = "", whole = ""] = JSON.parse(state) as string[];
      if (seen === "") return inner.accepts(whole);
      return matched === "1" || (element !== "" && inner.accepts(element.slice(1)));
    },
  };
}

/** States of well-formed UTF-8 (RFC 3629 section 4): "" between characters, else what must follow. */
export function nextUtf8(state: string, byte: number): string {
  const isContinuation = byte >= 0x80 && byte <= 0xbf;
  switch (state) {
    case "":
      if (byte < 0x80) return "";
      if (byte >= 0xc2 && byte <= 0xdf) return "1";
      if (byte === 0xe0) return "e0";
      if (byte === 0xed) return "ed";
      if (byte >= 0xe1 && byte <= 0xef) return "2";
      if (byte === 0xf0) return "f0";
      if (byte === 0xf4) return "f4";
      return byte >= 0xf1 && byte <= 0xf3 ? "3" : DEAD;
    case "1":
      return isContinuation ? "" : DEAD;
    case "2":
      return isContinuation ? "1" : DEAD;
    case "3":
      return isContinuation ? "2" : DEAD;
    case "e0":
      return byte >= 0xa0 && byte <= 0xbf ? "1" : DEAD;
    case "ed":
      return byte >= 0x80 && byte <= 0x9f ? "1" : DEAD;
    case "f0":
      return byte >= 0x90 && byte <= 0xbf ? "2" : DEAD;
    case "f4":
      return byte >= 0x80 && byte <= 0x8f ? "2" : DEAD;
    default:
      return DEAD;
  }
}

/** The same texts, if they are well-formed UTF-8 without a newline. @param allowsNewline in that state */
function inDots(inner: Machine, allowsNewline: (state: string) => boolean): Machine {
  const join = (state: string, utf8: string) => `${utf8}|${state}`;
  const split = (state: string): [string, string] => {
    const bar = state.indexOf("|");
    return [state.slice(bar + 1), state.slice(0, bar)];
  };
  return {
    first: join(inner.first, ""),
    next: (state, byte) => {
      const [own, utf8] = split(state);
      const next = nextUtf8(utf8, byte);
      if (next === DEAD || (byte === NEWLINE && !allowsNewline(own))) return join(own, DEAD);
      return join(inner.next(own, byte), next);
    },
    accepts: (state) => {
      const [own, utf8] = split(state);
      return utf8 === "" && inner.accepts(own);
    },
  };
}

/** A nondeterministic automaton: from each state, edges for bytes and edges without one. The last state accepts. */
interface Nfa {
  edges: { test: (byte: number) => boolean; to: number }[][];
  free: number[][];
}

class NfaBuilder {
  readonly nfa: Nfa = { edges: [[]], free: [[]] };
  private at = 0;

  private add(): number {
    this.nfa.edges.push([]);
    this.nfa.free.push([]);
    return this.nfa.edges.length - 1;
  }

  get place(): number {
    return this.at;
  }

  text(text: string): this {
    for (const character of text) {
      const to = this.add();
      const wanted = character.charCodeAt(0);
      this.nfa.edges[this.at]?.push({ test: (byte) => byte === wanted, to });
      this.at = to;
    }
    return this;
  }

  /** Any number of bytes. */
  many(test: (byte: number) => boolean = () => true): this {
    const to = this.add();
    this.nfa.free[this.at]?.push(to);
    this.nfa.edges[to]?.push({ test, to });
    this.at = to;
    return this;
  }

  one(): this {
    const to = this.add();
    this.nfa.edges[this.at]?.push({ test: () => true, to });
    this.at = to;
    return this;
  }

  /** What was built since `from` may be left out. */
  optional(from: number): this {
    const to = this.add();
    this.nfa.free[this.at]?.push(to);
    this.nfa.free[from]?.push(to);
    this.at = to;
    return this;
  }
}

function globNfa([first = "", ...rest]: readonly string[]): Nfa {
  const builder = new NfaBuilder().text(first);
  for (const piece of rest) builder.many().text(piece);
  return builder.nfa;
}

/** `spiffe://BEGIN[^/]*END/.*` */
function trustDomainNfa({ begin, end }: { begin: string; end: string }): Nfa {
  const builder = new NfaBuilder().text(`spiffe://${begin}`).many((byte) => byte !== SLASH);
  return builder.text(`${end}/`).many((byte) => byte !== NEWLINE).nfa;
}

/** `spiffe://.+/ns/NAMESPACE/(.+/|)sa/NAME(/.+)?` */
function serviceAccountNfa({ namespace, name }: { namespace: string; name: string }): Nfa {
  const builder = new NfaBuilder().text("spiffe://").one().many().text(`/ns/${namespace}/`);
  const middle = builder.place;
  builder.one().many().text("/").optional(middle).text(`sa/${name}`);
  const end = builder.place;
  return builder.text("/").one().many().optional(end).nfa;
}

function nfaMachine({ edges, free }: Nfa): Machine {
  const closure = (states: Iterable<number>): string => {
    const seen = new Set<number>(states);
    for (const state of seen) for (const to of free[state] ?? []) seen.add(to);
    return [...seen].sort((a, b) => a - b).join(",");
  };
  const last = String(edges.length - 1);
  return {
    first: closure([0]),
    next: (state, byte) => {
      const reached = new Set<number>();
      for (const one of state === "" ? [] : state.split(",")) {
        for (const { test, to } of edges[Number(one)] ?? []) if (test(byte)) reached.add(to);
      }
      return closure(reached);
    },
    accepts: (state) => state.split(",").includes(last),
  };
}

/** The bytes that a pattern distinguishes from all others of their class (texts.ts, `classOf`). */
export function literalBytes(pattern: Pattern): Set<number> {
  const bytes = new Set(Array.from(literalText(pattern), (character) => character.charCodeAt(0)));
  if (!("fold" in pattern && pattern.fold)) return bytes;
  for (const byte of [...bytes]) if (byte >= 0x61 && byte <= 0x7a) bytes.add(byte - 0x20);
  return bytes;
}

function literalText(pattern: Pattern): string {
  switch (pattern.kind) {
    case "any":
    case "some":
    case "control":
    case "nonEmpty":
      return "";
    case "glob":
      return pattern.pieces.join("");
    case "trustDomain":
      return `spiffe://${pattern.begin}${pattern.end}`;
    case "serviceAccount":
      return `spiffe://ns/sa/${pattern.namespace}${pattern.name}`;
    case "audience":
      return [...spellings(pattern.of)].join("");
    case "element":
      return ` ${literalText(pattern.of)}`;
    default:
      return pattern.text;
  }
}
