/**
 * YAML as Kubernetes reads it, every value with its position in the file.
 *
 * `kubectl` and the API server read YAML through sigs.k8s.io/yaml, that is, with YAML 1.1's scalars as go-yaml v2
 * resolves them: unquoted `y`, `no` or `off` is a boolean, `0x1f` a number. js-yaml finds the structure and the
 * positions, as events; scalars are resolved here, from their source text.
 */
import {
  type AliasEvent,
  COLLECTION_STYLE,
  EVENT_ID,
  type Event,
  getScalarValue,
  type MappingEvent,
  parseEvents,
  SCALAR_STYLE,
  type ScalarEvent,
  type SequenceEvent,
  YAMLException,
} from "js-yaml";
import { type Diagnostic, MAX_ERRORS, type Position } from "../diagnostics.ts";

/** A value and its position. */
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
/** A scalar that is not a string: its source text, for messages. */
export interface OtherNode {
  kind: "boolean" | "number" | "null";
  at: Position;
  source: string;
  /** Of a boolean. */
  value?: boolean;
}
export type YamlNode = MapNode | ListNode | StringNode | OtherNode;

export interface YamlFile {
  /** Documents that have a value, in order. Empty if there is an error. */
  documents: YamlNode[];
  diagnostics: Diagnostic[];
}

/** Levels of lists and maps: far more than any resource has, far fewer than the stack allows. */
const MAX_DEPTH = 100;

/**
 * Characters of a document that may begin a value: some thousands of policies, and some hundred megabytes in the parser,
 * which reads a document at once.
 */
const MAX_INDICATORS = 1_000_000;

/** Tags without an effect, except that a scalar is a string. */
const TAGS = /^(?:!|!!(?:str|seq|map)|!<tag:yaml\.org,2002:(?:str|seq|map)>)$/;

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
    // The longest prefix of a valid stream ends before the faulty byte.
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
    return fault(line, column, "this is not valid UTF-8: save the file as UTF-8");
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
 * The same, one document at a time: if the caller stops, the rest is not read.
 *
 * @param diagnostics receives faults; a document with a fault is left out
 */
export function* readYaml(file: string, text: string, diagnostics: Diagnostic[]): Generator<YamlNode> {
  const source = withoutMark(text);
  const control = FORBIDDEN.exec(source);
  if (control !== null) {
    const code = control[0].codePointAt(0) ?? 0;
    const name = `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
    const message = `the character ${name} is not allowed in YAML: remove it, or write it as an escape in double quotes`;
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

/** The comments of the documents that are YAML. A `#` inside a value starts no comment. */
export function* readComments(file: string, text: string): Generator<Comment> {
  const source = withoutMark(text);
  const lines = new Lines(file, source);
  for (const { begin, end } of splitDocuments(source)) {
    const document = source.slice(begin, end);
    const read = parseDocument(document);
    if (!("events" in read)) continue;
    let last = 0;
    for (const [from, to] of [
      ...read.events.flatMap(valueRanges),
      [document.length, document.length],
    ] as const) {
      // Before a comment is a space, or the beginning of a line (YAML 1.2.2, 6.6).
      for (const { 0: comment, index } of document.slice(last, from).matchAll(/(?<=^|\s)#[^\r\n]*/g)) {
        yield { at: lines.position(begin + last + index), text: comment };
      }
      last = Math.max(last, to);
    }
  }
}

/** The parts of the text of an event that can contain a `#`. */
function valueRanges(event: Event): [from: number, to: number][] {
  const ranges: [number, number][] = [];
  if ("anchorStart" in event && event.anchorStart >= 0) ranges.push([event.anchorStart, event.anchorEnd]);
  if ("tagStart" in event && event.tagStart >= 0) ranges.push([event.tagStart, event.tagEnd]);
  if (event.type === EVENT_ID.SCALAR && event.valueStart >= 0) {
    ranges.push([event.valueStart, event.valueEnd]);
  }
  return ranges.sort(([a], [b]) => a - b);
}

/**
 * Characters that the YAML specification calls unprintable, which go-yaml refuses too; and characters that end a line
 * in YAML 1.1 but not in YAML 1.2, so that Kubernetes and a current reader would see different texts: NEL, LS, PS and a
 * CR without LF.
 */
const FORBIDDEN = /\r(?!\n)|[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ufefe\uff00-\ufffd\u{10000}-\u{10ffff}]/u;

/** The place of an offset in a text. */
function positionAt(file: string, text: string, offset: number): Position {
  const before = text.slice(0, offset).split(/\r\n|[\n\r]/);
  return { file, line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}

/** Stops reading a document; its message is for the user. */
class YamlFault extends Error {
  constructor(
    readonly at: Position,
    message: string,
  ) {
    super(message);
  }
}

/** The lines of a text. */
class Lines {
  /** The offset that each line begins at. */
  private readonly starts: readonly number[];
  /** The line of the last position; the next one is usually near. */
  private line = 0;

  constructor(
    private readonly file: string,
    source: string,
  ) {
    const starts = [0];
    for (let end = source.indexOf("\n"); end >= 0; end = source.indexOf("\n", end + 1)) starts.push(end + 1);
    this.starts = starts;
  }

  /** @param offset in UTF-16 units from the beginning of the text */
  position(offset: number): Position {
    let { line } = this;
    if (offset < this.begin(line)) line = 0;
    // Halves the remaining lines until the next one begins after the offset.
    for (let step = 1; offset >= this.begin(line + 1); ) {
      if (offset >= this.begin(line + step)) {
        line += step;
        step *= 2;
      } else step = Math.max(1, step >>> 1);
    }
    this.line = line;
    return { file: this.file, line: line + 1, column: offset - this.begin(line) + 1 };
  }

  private begin(line: number): number {
    return this.starts[line] ?? Number.POSITIVE_INFINITY;
  }
}

function withoutMark(text: string): string {
  return text.startsWith("\uFEFF") ? text.slice(1) : text;
}

/**
 * Where each document of a stream begins and ends. A line that begins with `---` or `...` is a mark in any context,
 * even in a block or in quotes (YAML 1.2.2, 9.1.2). Directives before `---` belong to the document after it.
 */
function* splitDocuments(source: string): Generator<{ begin: number; end: number }> {
  let begin = 0;
  let isPrefix = true;
  let last = 0;
  for (const { 0: mark, index } of source.matchAll(/^(?:---|\.\.\.)(?=[ \t\r\n]|$)/gm)) {
    isPrefix &&= /^(?:[ \t]*(?:#.*)?\r?\n|%.*\r?\n)*$/.test(source.slice(last, index));
    if (mark === "---") {
      if (!isPrefix) {
        yield { begin, end: index };
        begin = index;
      }
      isPrefix = false;
      last = index + mark.length;
      continue;
    }
    const lineEnd = source.indexOf("\n", index);
    last = lineEnd < 0 ? source.length : lineEnd + 1;
    if (!isPrefix || begin < index) yield { begin, end: last };
    begin = last;
    isPrefix = true;
  }
  if (begin < source.length) yield { begin, end: source.length };
}

/** A fault of a document, and its position. */
interface Fault {
  offset: number;
  message: string;
}

function parseDocument(document: string): { events: Event[] } | Fault {
  const offset = tooManyIndicators(document);
  if (offset !== undefined) return { offset, message: TOO_LARGE };
  try {
    const events = parseBrackets(document);
    const [first] = events;
    // The library accepts a mark after blanks, which every other reader sees as a value.
    if (first?.type === EVENT_ID.DOCUMENT && first.explicitStart && !/^---/m.test(document)) {
      return { offset: document.indexOf("---"), message: INDENTED_MARK };
    }
    return { events };
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    return explain(document, error.mark?.position ?? 0, error.reason);
  }
}

/**
 * How many lines of a document may be less indented than the library requires; closing brackets count by their
 * indentation.
 */
const MAX_INDENTS = 20;

/**
 * The library requires that text in brackets is more indented than the name before them; users and go-yaml do not. In
 * brackets a line break is white space, and so is a comment: if the library complains, spaces are inserted for it. The
 * positions of all values stay the same.
 *
 * @param isForAll whether brackets of the same indentation are treated alike; if one of them is part of a value, each
 *   is treated by itself
 */
function parseBrackets(document: string, isForAll = true): Event[] {
  let text = document;
  const gaps: Gap[] = [];
  for (let attempt = 0; ; attempt++) {
    try {
      const events = parseEvents(text, { maxDepth: MAX_DEPTH });
      if (!areInValues(gaps, events)) return events;
      if (!isForAll) return parseEvents(document, { maxDepth: MAX_DEPTH });
    } catch (error) {
      const at = deficientIndent(error);
      if (at !== undefined && attempt < MAX_INDENTS) {
        const found = [at, ...(isForAll ? alikeAfter(text, at) : [])].map((end) => ({
          begin: gapBegin(text, end),
          end,
        }));
        text = withBlanks(text, found);
        gaps.push(...found);
        continue;
      }
      if (!isForAll || attempt === 0) throw error;
    }
    return parseBrackets(document, false);
  }
}

/** The offset at which the library finds something in brackets, or in quotes, too little indented. */
function deficientIndent(error: unknown): number | undefined {
  if (!(error instanceof YAMLException) || !error.reason.startsWith("deficient indentation"))
    return undefined;
  return error.mark?.position;
}

/** For a closing bracket: those after it, at the beginnings of lines with the same indentation. */
function alikeAfter(text: string, at: number): number[] {
  if (!/[\]}]/.test(text[at] ?? "")) return [];
  const indent = text.slice(text.lastIndexOf("\n", at) + 1, at);
  const alike = new RegExp(`(?<=\\n${indent})[\\]}]`, "g");
  alike.lastIndex = at + 1;
  return [...text.matchAll(alike)].flatMap(({ index }) => (index > at ? index : []));
}

/** White space and comments before a value or a bracket. */
interface Gap {
  begin: number;
  end: number;
}

function gapBegin(text: string, end: number): number {
  let begin = end;
  for (;;) {
    while (begin > 0 && /\s/.test(text[begin - 1] ?? "")) begin--;
    const lineBegin = text.lastIndexOf("\n", begin - 1) + 1;
    const comment = commentIn(text.slice(lineBegin, begin));
    if (comment === undefined) return begin;
    begin = lineBegin + comment;
  }
}

/** Where a comment begins in a line, judged by that line alone. */
function commentIn(line: string): number | undefined {
  return /(?<=^|\s)#/.exec(line.replace(/"(?:[^"\\]|\\.)*"|'[^']*'/g, (value) => "_".repeat(value.length)))
    ?.index;
}

function withBlanks(text: string, gaps: readonly Gap[]): string {
  const pieces: string[] = [];
  let last = 0;
  for (const { begin, end } of gaps) {
    pieces.push(text.slice(last, begin), " ".repeat(end - begin));
    last = end;
  }
  return pieces.join("") + text.slice(last);
}

/** Whether a gap is inside a value, which would then be another value. */
function areInValues(gaps: readonly Gap[], events: readonly Event[]): boolean {
  const ordered = [...gaps].sort((a, b) => a.begin - b.begin);
  let next = 0;
  for (const event of events) {
    if (event.type !== EVENT_ID.SCALAR) continue;
    while (ordered[next] !== undefined && (ordered[next]?.end ?? 0) <= event.valueStart) next++;
    const gap = ordered[next];
    if (gap !== undefined && gap.begin < event.valueEnd && gap.end > event.valueStart) return true;
  }
  return false;
}

/**
 * Every value but the first follows one of these. @returns the offset after which there are more than a document may
 * have
 */
function tooManyIndicators(document: string): number | undefined {
  let count = 0;
  for (const { index } of document.matchAll(/[-:,?[{]/g)) if (++count > MAX_INDICATORS) return index;
  return undefined;
}

/** Events that produce a value; the others only end containers. */
type NodeEvent = AliasEvent | MappingEvent | ScalarEvent | SequenceEvent;

class Reader {
  private readonly lines: Lines;
  /** The document that is being read: its text, its offset, its events, and the next of them. */
  private document = "";
  private begin = 0;
  private events: readonly Event[] = [];
  private next = 0;
  /** The end of the last value, in the document. */
  private end = 0;
  /** The last value with each anchor: its event, and where its text begins. */
  private readonly anchors = new Map<string, { index: number; begin: number }>();
  private aliasedNodes = 0;
  private insideAlias = 0;

  constructor(
    file: string,
    private readonly source: string,
    private readonly diagnostics: Diagnostic[],
  ) {
    this.lines = new Lines(file, source);
  }

  /** Ends early after too many faults. */
  *read(): Generator<YamlNode> {
    for (const { begin, end } of splitDocuments(this.source)) {
      this.document = this.source.slice(begin, end);
      this.begin = begin;
      yield* this.readDocument();
      if (this.diagnostics.length > MAX_ERRORS) return;
    }
  }

  private *readDocument(): Generator<YamlNode> {
    const read = parseDocument(this.document);
    if (!("events" in read)) {
      this.error(this.position(read.offset), read.message);
      return;
    }
    this.events = read.events;
    this.next = 0;
    this.end = 0;
    this.anchors.clear();
    const [first] = read.events;
    if (first?.type !== EVENT_ID.DOCUMENT) return;
    this.next++;
    const before = this.diagnostics.length;
    try {
      if (first.directives.some(({ kind }) => kind === "tag")) {
        throw new YamlFault(this.position(this.document.indexOf("%TAG")), NO_TAG_DIRECTIVE);
      }
      const node = this.node(0);
      if (node.kind !== "null" && this.diagnostics.length === before) yield node;
    } catch (error) {
      this.fail(error);
    }
  }

  /** Reports the fault that stopped the reading. */
  private fail(error: unknown): void {
    if (!(error instanceof YamlFault)) throw error;
    this.error(error.at, error.message);
  }

  private error(at: Position, message: string): void {
    if (this.diagnostics.length <= MAX_ERRORS) this.diagnostics.push({ ...at, severity: "error", message });
  }

  /** @param offset in the document */
  private position(offset: number): Position {
    return this.lines.position(this.begin + offset);
  }

  /** The event that begins the next value. */
  private peek(): NodeEvent | undefined {
    const event = this.events[this.next];
    return event === undefined || event.type === EVENT_ID.POP || event.type === EVENT_ID.DOCUMENT
      ? undefined
      : event;
  }

  /** Reads the next value. */
  private node(depth: number): YamlNode {
    const event = this.peek();
    if (event === undefined) throw new Error("the events have a value here");
    const at = this.position(this.startOf(event));
    if (depth > MAX_DEPTH) throw new YamlFault(at, TOO_DEEP);
    if (this.insideAlias > 0 && ++this.aliasedNodes > MAX_ALIASED_NODES) {
      throw new YamlFault(at, `aliases add more than ${MAX_ALIASED_NODES} values: write the values out`);
    }
    const index = this.next++;
    if (event.type === EVENT_ID.ALIAS) return this.alias(event, at, depth);
    if (event.anchorStart >= 0) {
      const name = this.anchorName(event);
      // Inside an alias every anchor was already seen, and may have been reassigned since.
      if (this.insideAlias === 0) this.anchors.set(name, { index, begin: event.anchorEnd });
    }
    const tag = event.tagStart < 0 ? undefined : this.document.slice(event.tagStart, event.tagEnd);
    if (tag !== undefined && !TAGS.test(tag)) {
      throw new YamlFault(at, `the tag ${tag} is not supported: write the value without it`);
    }
    switch (event.type) {
      case EVENT_ID.SCALAR:
        this.end = Math.max(this.end, this.lineEnd(event));
        return scalar(getScalarValue(this.document, event), event, at);
      case EVENT_ID.SEQUENCE:
        return this.list(event, at, depth);
      default:
        return this.map(event, at, depth);
    }
  }

  /** Where a value begins, after its anchor and tag. */
  private startOf(event: NodeEvent): number {
    if (event.type === EVENT_ID.ALIAS) return event.anchorStart - 1;
    if (event.type !== EVENT_ID.SCALAR) return event.start;
    const { style, valueStart, anchorEnd, tagEnd } = event;
    const before = Math.max(this.end, anchorEnd, tagEnd);
    switch (style) {
      case SCALAR_STYLE.SINGLE_QUOTED:
      case SCALAR_STYLE.DOUBLE_QUOTED:
        return valueStart - 1;
      case SCALAR_STYLE.LITERAL_BLOCK:
      case SCALAR_STYLE.FOLDED_BLOCK: {
        const header = /[|>][-+0-9]*[ \t]*(?:#.*)?\r?\n?$/.exec(this.document.slice(before, valueStart));
        return header === null ? valueStart : before + header.index;
      }
      default:
        if (valueStart >= 0) return valueStart;
        // For an absent value, the position is that of the next mark: the `-` of an empty item.
        return anchorEnd < 0 && tagEnd < 0 ? this.afterBlanks(before) : Math.max(anchorEnd, tagEnd);
    }
  }

  /** Where a value ends; for a block, before its last line break. */
  private lineEnd({ style, valueEnd }: ScalarEvent): number {
    const isBlock = style === SCALAR_STYLE.LITERAL_BLOCK || style === SCALAR_STYLE.FOLDED_BLOCK;
    return isBlock && this.document[valueEnd - 1] === "\n" ? valueEnd - 1 : valueEnd;
  }

  private afterBlanks(offset: number): number {
    const blanks = /(?:\s|(?<=\s)#[^\n]*)*/y;
    blanks.lastIndex = offset;
    blanks.exec(this.document);
    return blanks.lastIndex < this.document.length ? blanks.lastIndex : offset;
  }

  /** The library accepts more names than go-yaml, and a value right after one. */
  private anchorName({ anchorStart, anchorEnd }: NodeEvent): string {
    const name = this.document.slice(anchorStart, anchorEnd);
    if (/^[\w-]+$/.test(name) && /^[\s,\]}]?$/.test(this.document.slice(anchorEnd, anchorEnd + 1))) {
      return name;
    }
    throw new YamlFault(this.position(anchorStart - 1), ANCHOR_NAME);
  }

  private alias(event: AliasEvent, at: Position, depth: number): YamlNode {
    this.end = Math.max(this.end, event.anchorEnd);
    const name = this.document.slice(event.anchorStart, event.anchorEnd);
    const target = this.anchors.get(name);
    if (target === undefined) {
      throw new YamlFault(
        at,
        `*${name} is an alias in YAML, and there is no &${name} before it: ${QUOTE_STAR}`,
      );
    }
    this.anchorName(event);
    const { next, end } = this;
    this.next = target.index;
    this.end = target.begin;
    this.insideAlias++;
    const value = this.node(depth + 1);
    this.insideAlias--;
    this.next = next;
    this.end = end;
    return value;
  }

  /** After `'a'` and similar, the library reads the rest of the line as the next entry of an outer list or map. */
  private checkOwnLine(event: NodeEvent): void {
    const start = this.startOf(event);
    // An absent value has no position of its own.
    if (event.type === EVENT_ID.SCALAR && event.valueStart < 0) return;
    if (this.document.slice(this.end, start).includes("\n")) return;
    throw new YamlFault(this.position(start), NOT_OWN_LINE);
  }

  private list({ style, start }: SequenceEvent, at: Position, depth: number): ListNode {
    const items: YamlNode[] = [];
    this.end = Math.max(this.end, start);
    for (let event = this.peek(); event !== undefined; event = this.peek()) {
      if (style === COLLECTION_STYLE.BLOCK && items.length > 0) this.checkOwnLine(event);
      const begin = this.startOf(event);
      items.push(this.node(depth + 1));
      // After the `-` of an empty item, so that the next one is not at the same position.
      this.end = Math.max(this.end, this.document[begin] === "-" ? begin + 1 : begin);
    }
    this.next++;
    return { kind: "list", at, items };
  }

  private map({ style }: MappingEvent, at: Position, depth: number): MapNode {
    const entries: MapNode["entries"] = new Map();
    const merged: YamlNode[] = [];
    for (let event = this.peek(); event !== undefined; event = this.peek()) {
      if (style === COLLECTION_STYLE.BLOCK && entries.size > 0) this.checkOwnLine(event);
      const place = this.position(this.startOf(event));
      const isMerge =
        event.type === EVENT_ID.SCALAR &&
        event.style === SCALAR_STYLE.PLAIN &&
        this.document.slice(event.valueStart, event.valueEnd) === "<<";
      const key = this.node(depth + 1);
      const value = this.value(key, depth + 1);
      if (isMerge) merged.push(value);
      else this.add(entries, this.keyName(key), place, value);
    }
    this.next++;
    for (const value of merged) this.merge(entries, value);
    return { kind: "map", at, entries };
  }

  /** A field's value. A fault inside a value that should be text is not the one that its author can fix. */
  private value(key: YamlNode, depth: number): YamlNode {
    const event = this.peek();
    if (event?.type === EVENT_ID.SCALAR) {
      const isAbsent = event.valueStart < 0 && event.style === SCALAR_STYLE.PLAIN;
      const value = this.node(depth);
      return isAbsent ? { ...value, at: key.at } : value;
    }
    if (event === undefined) return this.node(depth);
    const at = this.position(this.startOf(event));
    const isBlock = event.type !== EVENT_ID.ALIAS && event.style === COLLECTION_STYLE.BLOCK;
    // The library accepts these after an anchor or a tag, where no other reader does.
    if (isBlock && at.line === key.at.line) throw new YamlFault(at, NESTED_ON_LINE);
    if (key.kind !== "string" || !isTextOfJson(key.value)) return this.node(depth);
    try {
      return this.node(depth);
    } catch (error) {
      throw error instanceof YamlFault ? new YamlFault(at, WRITTEN_AS_YAML) : error;
    }
  }

  private add(entries: MapNode["entries"], name: string, at: Position, value: YamlNode): void {
    if (entries.has(name)) {
      // The target of an alias was already read.
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

  /** YAML 1.1's `<<`: merged entries never replace written ones, and the first merged one wins. */
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

/** The fault of such a field if it contains YAML lists and maps. */
export const WRITTEN_AS_YAML = "jwks is JSON text in a string: write it in quotes or after |";

const WRITTEN_TWICE =
  "this field is written twice: keep one of the two (a second value of a list goes into the same list)";

const TOO_LARGE =
  "this document is too large to be read as one: split it into several, with a line --- between them";

const TOO_DEEP = "lists and maps are nested too deeply";

const INDENTED_MARK = "this is not YAML: write --- at the beginning of the line";

const NESTED_ON_LINE =
  "this is not YAML: a line has one name and one value; put a value that holds `: ` in quotes";

const NOT_OWN_LINE =
  "this is not YAML: a value ends before this, on the same line; put all of it in the quotes, or begin a new line";

const ANCHOR_NAME = "the name of an anchor or alias has letters, digits, - and _, and a blank after it";

const NO_TAG_DIRECTIVE =
  "tags of one's own are not supported: remove %TAG, and write the values without tags";

const QUOTE_STAR = 'put a value that begins with * in quotes, such as "*"';

/** The library's fault, in our words if they explain better what to do. */
function explain(document: string, offset: number, reason: string): Fault {
  if (reason.startsWith("nesting exceeded")) return { offset, message: TOO_DEEP };
  if (reason.startsWith("tab characters")) {
    return { offset, message: "a tab cannot indent YAML: use spaces" };
  }
  if (reason.startsWith("name of an alias")) {
    return { offset: offset - 1, message: `a lone * is an alias in YAML: ${QUOTE_STAR}` };
  }
  const character = document[offset] ?? "";
  if (["@", "`", "%"].includes(character)) {
    return { offset, message: `this is not YAML: put a value that begins with ${character} in quotes` };
  }
  const lineBefore = document.slice(document.lastIndexOf("\n", offset - 1) + 1, offset);
  if (/^:(?:\s|$)/.test(document.slice(offset, offset + 2)) && /:\s/.test(lineBefore)) {
    return {
      offset,
      message: NESTED_ON_LINE,
    };
  }
  if (reason.startsWith("deficient indentation") && lineBefore.includes("\t")) {
    return { offset, message: "a tab cannot come before this in YAML: use spaces" };
  }
  if (reason.startsWith("bad indentation") || reason.startsWith("deficient indentation")) {
    const message = `the indentation does not fit, or quotes are missing or too many: ${reason}`;
    return { offset, message };
  }
  return { offset, message: `this is not YAML: ${reason}` };
}

function scalar(value: string, { style, tagStart }: ScalarEvent, at: Position): YamlNode {
  // As in YAML 1.1: an escape is a character, and a lone surrogate is not one.
  if (/\p{Surrogate}/u.test(value)) {
    throw new YamlFault(
      at,
      "an escape in this value is half of a character: write \\UXXXXXXXX, or the character itself",
    );
  }
  if (style !== SCALAR_STYLE.PLAIN || tagStart >= 0) return { kind: "string", at, value };
  if (/^(~|null|Null|NULL|)$/.test(value)) return { kind: "null", at, source: value };
  if (TRUE.test(value)) return { kind: "boolean", at, source: value, value: true };
  if (FALSE.test(value)) return { kind: "boolean", at, source: value, value: false };
  if (isNumber(value)) return { kind: "number", at, source: value };
  return { kind: "string", at, value };
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

/** The value at a path of names and indices; undefined if there is none. */
export function nodeAt(node: YamlNode | undefined, ...path: (string | number)[]): YamlNode | undefined {
  let current = node;
  for (const part of path) {
    if (current?.kind === "map") current = current.entries.get(String(part))?.value;
    else current = current?.kind === "list" && typeof part === "number" ? current.items[part] : undefined;
  }
  return current;
}

/** The type of a value, with its article. */
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
