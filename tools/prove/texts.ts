/**
 * The classes of texts that patterns can distinguish: every set of patterns that a text can match, with the
 * shortest such text. They are the reachable states of the product of the patterns' automata.
 */
import type { PathNormalization } from "../host/http-connection-manager.ts";
import { Automaton, automataOf, isSegmentByte, literalBytes, nextUtf8, type Pattern } from "./patterns.ts";
import { Undecided } from "./undecided.ts";

/** The texts that can arrive. */
export type Domain =
  | { kind: "path"; normalization: PathNormalization }
  | { kind: "method" | "authority" | "header" | "sni" | "name" | "claim" };

/** A class of texts. */
export interface TextClass {
  /** The numbers of the patterns that match, ascending. */
  patterns: readonly number[];
  /** The shortest text of the class, or a usual one. */
  example: string;
}

/** With more states than these, the patterns overlap in too many ways. */
const MAX_STATES = 200_000;

/**
 * @param patterns by their numbers
 * @param usual texts that are better examples than the shortest
 * @throws {Undecided} if there are too many classes
 */
export function textClasses(
  patterns: readonly Pattern[],
  domain: Domain,
  usual: readonly string[] = [],
): TextClass[] {
  const automata = [domainAutomaton(domain), ...automataOf(patterns)];
  const alphabet = alphabetOf(patterns);
  const product = new Product(automata);
  const classes = new Map<string, TextClass>();
  const learn = (state: number, example: () => string): void => {
    const found = product.matches(state);
    if (found === undefined) return;
    const key = found.join(",");
    if (!classes.has(key)) classes.set(key, { patterns: found, example: example() });
  };
  for (const text of usual) {
    const state = product.run(text);
    if (state >= 0) learn(state, () => text);
  }
  const from: number[] = [-1];
  const by: number[] = [0];
  const textTo = (state: number): string => {
    let text = "";
    for (let at = state; at > 0; at = from[at] as number) text = String.fromCharCode(by[at] as number) + text;
    return text;
  };
  product.begin();
  for (let at = 0; at < product.size; at++) {
    if (at > MAX_STATES) throw new Undecided("the patterns of one attribute overlap in too many ways");
    learn(at, () => textTo(at));
    for (const byte of alphabet) {
      const to = product.step(at, byte);
      if (to < 0 || from[to] !== undefined) continue;
      from[to] = at;
      by[to] = byte;
    }
  }
  return [...classes.values()];
}

/** Whether a text can arrive. */
export function canArrive(text: string, domain: Domain): boolean {
  const automaton = domainAutomaton(domain);
  let state = 0;
  for (let i = 0; i < text.length && state >= 0; i++) state = automaton.step(state, text.charCodeAt(i));
  return state >= 0 && automaton.matches(state).length > 0;
}

/** The product of automata, of which the first says which texts count. Its first state is 0. */
class Product {
  private readonly states: number[][] = [];
  private readonly ids = new Map<string, number>();

  constructor(private readonly automata: readonly Automaton[]) {}

  get size(): number {
    return this.states.length;
  }

  /** Forgets everything but the automata. */
  begin(): void {
    this.states.length = 0;
    this.ids.clear();
    this.id(this.automata.map(() => 0));
  }

  private id(state: number[]): number {
    const key = state.join(",");
    const known = this.ids.get(key);
    if (known !== undefined) return known;
    const id = this.states.push(state) - 1;
    this.ids.set(key, id);
    return id;
  }

  step(state: number, byte: number): number {
    const parts = this.states[state] as number[];
    const next: number[] = [];
    for (let i = 0; i < parts.length; i++) {
      const to = (this.automata[i] as Automaton).step(parts[i] as number, byte);
      if (to < 0) return -1;
      next.push(to);
    }
    return this.id(next);
  }

  /** The state after a text, or a negative number. */
  run(text: string): number {
    this.begin();
    let state = 0;
    for (let i = 0; i < text.length && state >= 0; i++) state = this.step(state, text.charCodeAt(i));
    return state;
  }

  /** The patterns that match there; undefined if no text that can arrive ends there. */
  matches(state: number): number[] | undefined {
    const [arrives, ...found] = (this.states[state] as number[]).map((part, i) =>
      (this.automata[i] as Automaton).matches(part),
    );
    return arrives?.length ? found.flat().sort((a, b) => a - b) : undefined;
  }
}

/** Bytes in the order in which examples prefer them. */
const PREFERRED = [
  ...Array.from("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ/-_.", (character) =>
    character.charCodeAt(0),
  ),
  ...Array.from({ length: 0x5f }, (_, i) => 0x20 + i),
  ...Array.from({ length: 256 }, (_, i) => i),
].filter((byte, i, all) => all.indexOf(byte) === i);

/** A byte of each class that the patterns or a domain can distinguish from the others. */
function alphabetOf(patterns: readonly Pattern[]): number[] {
  const literal = new Set(patterns.flatMap((pattern) => [...literalBytes(pattern)]));
  const seen = new Set<string>();
  return PREFERRED.filter((byte) => {
    const name = literal.has(byte) ? `=${byte}` : classOf(byte);
    return !seen.has(name) && seen.add(name);
  });
}

/** RFC 9110 section 5.6.2. */
const TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]/;
/** What no normalized path has: Chromium escapes these, and Envoy cuts the query and the fragment. */
const ESCAPED_OR_CUT = /[ "#<>?^`{|}\\]/;

/** Bytes that are neither in a pattern nor distinguished here are the same to every automaton of this folder. */
function classOf(byte: number): string {
  const character = String.fromCharCode(byte);
  if (/[/.\n\t ?#*]/.test(character)) return character;
  const utf8 = ["", "1", "2", "3", "e0", "ed", "f0", "f4"].map((state) => nextUtf8(state, byte)).join();
  const isPrintable = byte > 0x20 && byte !== 0x7f;
  return [
    utf8,
    isPrintable,
    byte === 0,
    isSegmentByte(byte),
    TOKEN.test(character),
    ESCAPED_OR_CUT.test(character),
  ].join();
}

const NEVER: readonly number[] = [];
const ARRIVES: readonly number[] = [0];

function domainAutomaton(domain: Domain): Automaton {
  switch (domain.kind) {
    case "path":
      return pathAutomaton(domain.normalization);
    case "method":
      return characters((byte) => byte < 0x80 && TOKEN.test(String.fromCharCode(byte)), false);
    case "authority":
      return characters((byte) => byte > 0x20 && byte !== 0x7f, true);
    case "sni":
      return characters((byte) => byte !== 0, true);
    case "name":
      return characters(() => true, true);
    case "claim":
      // A JSON text is well-formed UTF-8, and so are the strings in it.
      return new Automaton(
        "",
        (state, byte) => {
          const next = nextUtf8(state, byte);
          return next === "x" ? undefined : next;
        },
        (state) => (state === "" ? ARRIVES : NEVER),
      );
    case "header":
      // White space around a value is not part of it (RFC 9110 section 5.5).
      return new Automaton(
        "",
        (state, byte) => {
          const isSpace = byte === 0x20 || byte === 0x09;
          if (isSpace) return state === "" ? undefined : "s";
          return byte > 0x20 && byte !== 0x7f ? "v" : undefined;
        },
        (state) => (state === "s" ? NEVER : ARRIVES),
      );
  }
}

function characters(test: (byte: number) => boolean, mayBeEmpty: boolean): Automaton {
  return new Automaton(
    "",
    (_, byte) => (test(byte) ? "1" : undefined),
    (state) => (state === "" && !mayBeEmpty ? NEVER : ARRIVES),
  );
}

/**
 * Paths as they are after normalization, without query: those that `normalizePath` (host/http-connection-manager.ts) can
 * return, "*" of OPTIONS and "" of CONNECT. Every `%XX` can be there: `/%4%31` becomes `/%41`.
 */
function pathAutomaton(normalization: PathNormalization): Automaton {
  const isRaw = normalization === "NONE";
  const merges = normalization.endsWith("MERGE_SLASHES");
  const test = (byte: number): boolean => {
    const character = String.fromCharCode(byte);
    if (isRaw) return byte > 0x20 && byte !== 0x7f && !/[?#]/.test(character);
    return byte > 0x20 && byte < 0x7f && !ESCAPED_OR_CUT.test(character);
  };
  return new Automaton(
    "",
    (state, byte) => {
      if (state === "") return byte === 0x2f ? "/" : byte === 0x2a ? "*" : undefined;
      if (state === "*" || state === "//" || !test(byte)) return undefined;
      if (isRaw) return "o";
      if (byte === 0x2f) {
        if (state === "." || state === "..") return undefined;
        // Only a path of nothing but slashes keeps two (mergeSlashes).
        if (merges && state === "/") return "//";
        return merges && state === "s" ? undefined : "s";
      }
      if (byte === 0x2e && (state === "/" || state === "s")) return ".";
      return byte === 0x2e && state === "." ? ".." : "o";
    },
    (state) => (state === "." || state === ".." ? NEVER : ARRIVES),
  );
}
