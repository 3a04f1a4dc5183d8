/**
 * YAML as Kubernetes reads it, every value with its place in the file.
 *
 * `kubectl` and the API server read YAML through sigs.k8s.io/yaml, that is, with YAML 1.1's scalars as go-yaml v2
 * resolves them: unquoted `y`, `no` or `off` is a boolean, `0x1f` a number. The `yaml` library finds the structure and
 * the positions; scalars are resolved here, from their source text.
 */
import {
  type Alias,
  Composer,
  CST,
  type Document,
  isAlias,
  isScalar,
  isSeq,
  Lexer,
  type Pair,
  type ParsedNode,
  Parser,
  Scalar,
} from "yaml";
import { type Diagnostic, MAX_ERRORS, type Position } from "../diagnostics.ts";

/** A value and where it stands. */
export interface Located<T> {
  value: T;
  at: Position;
}

export interface MapNode {
  kind: "map";
  at: Position;
  entries: Map<string, { key: Located<string>; value: YamlNode }>;
}
export interface ListNode {
  kind: "list";
  at: Position;
  items: YamlNode[];
}
export interface StringNode {
  kind: "string";
  at: Position;
  value: string;
}
/** A scalar that is no string: what it was written as, for messages. */
export interface OtherNode {
  kind: "boolean" | "number" | "null";
  at: Position;
  source: string;
  /** Of a boolean. */
  value?: boolean;
}
export type YamlNode = MapNode | ListNode | StringNode | OtherNode;

export interface YamlFile {
  /** Documents that have a value, in their order. Empty where there is an error. */
  documents: YamlNode[];
  diagnostics: Diagnostic[];
}

/** Levels of lists and maps: far more than any resource has, far fewer than the stack bears. */
const MAX_DEPTH = 100;

/** What the parser has open: lists and maps, the document around them and the value in them. */
const MAX_STACK = MAX_DEPTH + 2;

/** Faults in a file's structure, or directives, after which the rest is not read. */
const MAX_FAULTS = 1000;

/** Words, marks and line ends of a document: some thousands of policies, and some hundred megabytes in the parser. */
const MAX_LEXEMES = 2_000_000;

/** Tags that change nothing but that a scalar is a string. */
const TAGS = ["!", "tag:yaml.org,2002:str", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"];

/** Values that aliases may add to a file: enough for shared lists, too few for a bomb. */
const MAX_ALIASED_NODES = 100_000;

/**
 * The text of a file.
 *
 * @returns the text without a byte order mark, or what is wrong with the bytes
 */
export function decodeText(file: string, bytes: Uint8Array): { text: string } | { diagnostic: Diagnostic } {
  const fault = (line: number, column: number, message: string) => ({
    diagnostic: { file, line, column, severity: "error" as const, message },
  });
  const [first, second] = bytes;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) {
    return fault(1, 1, "the file is UTF-16: save it as UTF-8");
  }
  const decode = (length: number) =>
    new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, length), { stream: true });
  try {
    return { text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) };
  } catch {
    // The longest prefix that a stream may begin with ends before the faulty byte.
    let good = 0;
    for (let bad = bytes.length + 1; bad - good > 1; ) {
      const middle = (good + bad) >>> 1;
      try {
        decode(middle);
        good = middle;
      } catch {
        bad = middle;
      }
    }
    const { line, column } = positionAt(file, decode(good), Number.POSITIVE_INFINITY);
    return fault(line, column, "the bytes here are no UTF-8: save the file as UTF-8");
  }
}

/**
 * @param file as the user named it
 * @param text its content
 */
export function parseYaml(file: string, text: string): YamlFile {
  const diagnostics: Diagnostic[] = [];
  const documents = [...readYaml(file, text, diagnostics)];
  return { documents: diagnostics.length > 0 ? [] : documents, diagnostics };
}

/**
 * The same, a document at a time: who has seen enough stops, and the rest is not read.
 *
 * @param diagnostics where it is said what is wrong; a document with a fault is left out
 */
export function* readYaml(file: string, text: string, diagnostics: Diagnostic[]): Generator<YamlNode> {
  const source = text.startsWith("\uFEFF") ? text.slice(1) : text;
  const control = FORBIDDEN.exec(source);
  if (control !== null) {
    const code = control[0].codePointAt(0) ?? 0;
    const name = `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
    const message = `the character ${name} cannot stand in YAML: remove it, or write it as an escape in double quotes`;
    diagnostics.push({ ...positionAt(file, source, control.index), severity: "error", message });
    return;
  }
  yield* new Reader(file, source, diagnostics).read();
}

/** A comment of a file. */
export interface Comment {
  at: Position;
  /** From its `#` to the end of the line. */
  text: string;
}

/** The comments of a text that is YAML. What looks like one inside a value is none. */
export function* readComments(file: string, text: string): Generator<Comment> {
  let line = 1;
  let column = 1;
  let isValue = false;
  for (const lexeme of new Lexer().lex(text.startsWith("\uFEFF") ? text.slice(1) : text)) {
    const type = CST.tokenType(lexeme);
    // These mark what comes next, and are no part of the text.
    if (!isValue && (type === "scalar" || type === "doc-mode" || type === "flow-error-end")) {
      isValue = type === "scalar";
      continue;
    }
    if (type === "comment" && !isValue) yield { at: { file, line, column }, text: lexeme };
    isValue = false;
    const lines = lexeme.split("\n");
    line += lines.length - 1;
    column = (lines.length > 1 ? 1 : column) + (lines.at(-1) ?? "").length;
  }
}

/**
 * What the YAML specification does not call printable, which go-yaml refuses too; and what ends a line in YAML 1.1 but not in
 * YAML 1.2, so that Kubernetes and a reader of today would see different texts: NEL, LS, PS and a CR without LF.
 */
const FORBIDDEN = /\r(?!\n)|[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ufefe\uff00-\ufffd\u{10000}-\u{10ffff}]/u;

/** The place of an offset in a text. */
function positionAt(file: string, text: string, offset: number): Position {
  const before = text.slice(0, offset).split(/\r\n|[\n\r]/);
  return { file, line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}

/** Stops the reading of a document; its message is for the user. */
class YamlFault extends Error {
  constructor(
    readonly at: Position,
    message: string,
  ) {
    super(message);
  }
}

class Reader {
  /** The offset that each line begins at. */
  private readonly lineStarts: readonly number[];
  /** The last value with each anchor, of the document being read. */
  private readonly anchors = new Map<string, ParsedNode>();
  private aliasedNodes = 0;
  private insideAlias = 0;

  constructor(
    private readonly file: string,
    private readonly source: string,
    private readonly diagnostics: Diagnostic[],
  ) {
    this.lineStarts = [0, ...Array.from(source.matchAll(/\n/g), ({ index }) => index + 1)];
  }

  /** Ends early where more is wrong than anybody reads. */
  *read(): Generator<YamlNode> {
    // Its own search for equal names takes time with the square of their number; `add` finds them too.
    const composer = new Composer({ schema: "failsafe", version: "1.1", uniqueKeys: false });
    try {
      for (const token of this.tokens()) {
        for (const document of composer.next(token)) yield* this.document(document);
        if (this.diagnostics.length > MAX_ERRORS) return;
      }
    } catch (error) {
      this.fail(error);
    }
    for (const document of composer.end()) yield* this.document(document);
  }

  private *document({ errors: [fault], contents }: Document.Parsed): Generator<YamlNode> {
    if (fault !== undefined) {
      // What follows a fault in the structure follows from it.
      this.error(this.position(fault.pos[0]), explain(fault.code, fault.message));
      return;
    }
    if (contents === null) return;
    this.anchors.clear();
    const before = this.diagnostics.length;
    try {
      const node = this.node(contents, 0);
      if (node.kind !== "null" && this.diagnostics.length === before) yield node;
    } catch (error) {
      this.fail(error);
    }
  }

  /**
   * The documents' tokens. The parser keeps a stack of its own, but the composer descends recursively, so what it is given
   * must not be too deep, and both keep a whole document in memory; what is too much ends here, before much is made of it.
   */
  private *tokens(): Generator<CST.Token> {
    const parser = new Parser();
    let faults = 0;
    let directives = 0;
    let lexemes = 0;
    for (const lexeme of new Lexer().lex(this.source)) {
      const { offset } = parser;
      for (const token of parser.next(lexeme)) {
        yield token;
        if (token.type === "error") faults++;
        if (token.type === "document") lexemes = 0;
        if (token.type === "directive" && ++directives > MAX_FAULTS) {
          throw new YamlFault(this.position(offset), TOO_MANY_DIRECTIVES);
        }
      }
      if (faults > MAX_FAULTS) break;
      if (++lexemes > MAX_LEXEMES) throw new YamlFault(this.position(offset), TOO_LARGE);
      if (parser.stack.length > MAX_STACK) {
        throw new YamlFault(this.position(offset), "lists and maps are nested too deeply");
      }
    }
    yield* parser.end();
  }

  /** Says what stopped the reading. */
  private fail(error: unknown): void {
    if (!(error instanceof YamlFault)) throw error;
    this.error(error.at, error.message);
  }

  private error(at: Position, message: string): void {
    if (this.diagnostics.length <= MAX_ERRORS) this.diagnostics.push({ ...at, severity: "error", message });
  }

  private position(offset: number): Position {
    // The last line that begins at or before it.
    let line = 0;
    for (let end = this.lineStarts.length; end - line > 1; ) {
      const middle = (line + end) >>> 1;
      if ((this.lineStarts[middle] ?? 0) <= offset) line = middle;
      else end = middle;
    }
    return { file: this.file, line: line + 1, column: offset - (this.lineStarts[line] ?? 0) + 1 };
  }

  private node(node: ParsedNode, depth: number): YamlNode {
    const at = this.position(node.range[0]);
    if (depth > MAX_DEPTH) throw new YamlFault(at, "lists and maps are nested too deeply");
    if (this.insideAlias > 0 && ++this.aliasedNodes > MAX_ALIASED_NODES) {
      throw new YamlFault(at, `aliases add more than ${MAX_ALIASED_NODES} values: write the values out`);
    }
    if (isAlias(node)) {
      this.insideAlias++;
      const value = this.node(this.target(node, at), depth + 1);
      this.insideAlias--;
      return value;
    }
    // Inside an alias every anchor has been met, and perhaps been given to another value since.
    if (node.anchor !== undefined && this.insideAlias === 0) this.anchors.set(node.anchor, node);
    this.checkTag(node.tag, at);
    if (isScalar(node)) return scalar(node, at);
    if (isSeq(node)) {
      const items = node.items.map((item) => this.node(item as ParsedNode, depth + 1));
      return { kind: "list", at, items };
    }
    return this.map(node.items as Pair<ParsedNode, ParsedNode | null>[], at, depth);
  }

  private target(alias: Alias, at: Position): ParsedNode {
    const target = this.anchors.get(alias.source);
    if (target !== undefined) return target;
    throw new YamlFault(
      at,
      `*${alias.source} is an alias in YAML, and there is no &${alias.source} before it: ${QUOTE_STAR}`,
    );
  }

  private checkTag(tag: string | undefined, at: Position): void {
    if (tag === undefined || TAGS.includes(tag)) return;
    const name = tag.replace("tag:yaml.org,2002:", "!!");
    throw new YamlFault(at, `the tag ${name} is not supported: write the value without it`);
  }

  private map(pairs: Pair<ParsedNode, ParsedNode | null>[], at: Position, depth: number): MapNode {
    const entries: MapNode["entries"] = new Map();
    const merged: YamlNode[] = [];
    for (const pair of pairs) {
      const key = this.node(pair.key, depth + 1);
      const value: YamlNode =
        pair.value === null
          ? { kind: "null", at: key.at, source: "" }
          : this.value(pair.value, depth + 1, key.kind === "string" ? key.value : "");
      if (isScalar(pair.key) && pair.key.type === "PLAIN" && pair.key.source === "<<") merged.push(value);
      else this.add(entries, this.keyName(key), this.position(pair.key.range[0]), value);
    }
    for (const value of merged) this.merge(entries, value);
    return { kind: "map", at, entries };
  }

  /** A field's value. What is wrong inside one that should be text is not the fault that its author can mend. */
  private value(node: ParsedNode, depth: number, name: string): YamlNode {
    try {
      return this.node(node, depth);
    } catch (error) {
      if (!(error instanceof YamlFault) || isScalar(node) || !isTextOfJson(name)) throw error;
      throw new YamlFault(this.position(node.range[0]), WRITTEN_AS_YAML);
    }
  }

  private add(entries: MapNode["entries"], name: string, at: Position, value: YamlNode): void {
    if (entries.has(name)) {
      // Where an alias leads has been read before.
      if (this.insideAlias === 0) this.error(at, WRITTEN_TWICE);
      return;
    }
    entries.set(name, { key: { value: name, at }, value });
  }

  private keyName(key: YamlNode): string {
    if (key.kind === "string") return key.value;
    if (key.kind === "list" || key.kind === "map") {
      throw new YamlFault(
        key.at,
        "a field's name must be a string: a name that begins with [ or { needs quotes",
      );
    }
    throw new YamlFault(
      key.at,
      `YAML reads the name ${key.source || "here"} as ${nameOf(key)}: put it in quotes`,
    );
  }

  /** YAML 1.1's `<<`: what is merged never replaces what is written, and the first merged wins. */
  private merge(entries: MapNode["entries"], value: YamlNode): void {
    const maps = value.kind === "list" ? value.items : [value];
    for (const map of maps) {
      if (map.kind !== "map") throw new YamlFault(map.at, "`<<` takes a map, or a list of maps");
      for (const [name, entry] of map.entries) if (!entries.has(name)) entries.set(name, entry);
    }
  }
}

/** Whether a field of that name holds JSON as text. */
export function isTextOfJson(name: string): boolean {
  return name === "jwks";
}

/** What is wrong with such a field that has lists and maps of YAML. */
export const WRITTEN_AS_YAML = "jwks is JSON text in a string: write it in quotes or after |";

const WRITTEN_TWICE =
  "this field is written twice: keep one of the two (a second value of a list goes into the same list)";

const TOO_LARGE =
  "this document is too large to be read as one: split it into several, with a line --- between them";

const TOO_MANY_DIRECTIVES =
  "lines that begin with % are directives in YAML, and these are too many: remove them";

const QUOTE_STAR = 'put a value that begins with * in quotes, such as "*"';

/** The library's words where they say what to do, ours where they do not. */
function explain(code: string, message: string): string {
  switch (code) {
    case "TAB_AS_INDENT":
      return "a tab cannot indent YAML: use spaces";
    case "BAD_ALIAS":
      return `a lone * is an alias in YAML: ${QUOTE_STAR}`;
    case "BAD_INDENT":
      return `the indentation does not fit: ${message}`;
    default:
      return `this is no YAML: ${message}`;
  }
}

function scalar(node: Scalar.Parsed, at: Position): YamlNode {
  // As YAML 1.1 has it: an escape is a character, and half of one is none.
  if (/\p{Surrogate}/u.test(String(node.value))) {
    throw new YamlFault(
      at,
      "an escape in this value is half of a character: write \\UXXXXXXXX, or the character itself",
    );
  }
  const isPlain = node.type === Scalar.PLAIN || node.type === undefined;
  if (!isPlain || node.tag !== undefined) return { kind: "string", at, value: String(node.value) };
  const source = node.source;
  if (/^(~|null|Null|NULL|)$/.test(source)) return { kind: "null", at, source };
  if (TRUE.test(source)) return { kind: "boolean", at, source, value: true };
  if (FALSE.test(source)) return { kind: "boolean", at, source, value: false };
  if (isNumber(source)) return { kind: "number", at, source };
  return { kind: "string", at, value: String(node.value) };
}

const TRUE = /^(y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON)$/;
const FALSE = /^(n|N|no|No|NO|false|False|FALSE|off|Off|OFF)$/;

/** go-yaml v2, resolve.go: Go's integer literals and YAML's floats, underscores left out. */
function isNumber(source: string): boolean {
  if (/^(\.nan|\.NaN|\.NAN|[-+]?(\.inf|\.Inf|\.INF))$/.test(source)) return true;
  if (!/^[-+.0-9]/.test(source)) return false;
  const digits = source.replaceAll("_", "");
  return (
    /^[-+]?(0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+)$/.test(digits) ||
    /^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/.test(digits)
  );
}

/** What YAML made of a value, with its article. */
export function nameOf(node: YamlNode): string {
  switch (node.kind) {
    case "boolean":
      return `the boolean ${node.value}`;
    case "null":
      return "nothing (null)";
    default:
      return `a ${node.kind}`;
  }
}
