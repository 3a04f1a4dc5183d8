/** The source line of a message, with a caret under the position. Keys and secrets are left out. */
import type { SourceFile } from "./compile.ts";
import { type Position, printable, type Style } from "./diagnostics.ts";
import { parseYaml, type YamlNode } from "./istio/yaml.ts";

/** Columns of a line that are shown. */
const MAX_WIDTH = 100;

/** Replaces what is not shown. */
const ELLIPSIS = "…";

/**
 * Fields whose values are never shown, in lower case: HMAC secrets and private keys, those of a Secret, and the annotation in
 * which `kubectl apply` keeps the whole resource.
 */
const SECRET_FIELDS = ["jwks", "data", "stringdata", "kubectl.kubernetes.io/last-applied-configuration"];

/** An excerpt: the line as shown, and the position of the caret. */
export interface Excerpt {
  line: number;
  text: string;
  /** Columns before the caret. */
  indent: number;
}

/** A part of a file, from one position up to another. */
interface Range {
  start: Position;
  end: Position | undefined;
}

interface Source {
  lines: string[];
  secrets: Range[];
}

/** Excerpts of sources. */
export class Excerpts {
  private readonly texts: ReadonlyMap<string, string>;
  private readonly sources = new Map<string, Source | undefined>();

  constructor(files: readonly SourceFile[]) {
    this.texts = new Map(files.map(({ name, text }) => [name, text]));
  }

  /** @returns undefined if the position is not in a source, or if it is unclear where the file has secrets */
  at({ file, line, column }: Position): Excerpt | undefined {
    const source = this.source(file);
    const text = source?.lines[line - 1];
    if (source === undefined || text === undefined || line < 1 || column < 1) return undefined;
    const secrets = source.secrets.filter(
      ({ start, end }) => start.line <= line && (end === undefined || line <= end.line),
    );
    const isSecret = (at: number) =>
      secrets.some(
        ({ start, end }) => !isBefore(line, at, start) && (end === undefined || isBefore(line, at, end)),
      );
    const caret = column - 1;
    // Only what can be shown is read, because a line may have megabytes.
    const from = Math.max(0, caret - MAX_WIDTH * 2);
    const to = Math.min(text.length, caret + MAX_WIDTH * 2);
    let before = "";
    let after = "";
    for (let i = from; i < to; i++) {
      const unit = isSecret(i + 1) ? ELLIPSIS : printable(text.charAt(i).replace("\t", " "));
      if (i < caret) before = append(before, unit);
      else after = append(after, unit);
    }
    const left = Math.max(MAX_WIDTH / 2, MAX_WIDTH - after.length);
    if (from > 0 || before.length > left) before = ELLIPSIS + before.slice(-left);
    const room = MAX_WIDTH - before.length;
    if (to < text.length || after.length > room) after = after.slice(0, room) + ELLIPSIS;
    return { line, text: before + after, indent: before.length };
  }

  /** The line of a position, with a caret under it; none if it cannot be shown. */
  format(at: Position, style: Style): string[] {
    const excerpt = this.at(at);
    if (excerpt === undefined) return [];
    const number = String(excerpt.line).padStart(5);
    return [
      style.faint(`${number} | `) + excerpt.text,
      style.faint(`${" ".repeat(number.length)} | `) + style.bad(`${" ".repeat(excerpt.indent)}^`),
    ];
  }

  private source(file: string): Source | undefined {
    if (!this.sources.has(file)) this.sources.set(file, read(file, this.texts.get(file)));
    return this.sources.get(file);
  }
}

/** One ellipsis for everything that is left out at one point. */
function append(text: string, unit: string): string {
  return unit === ELLIPSIS && text.endsWith(ELLIPSIS) ? text : text + unit;
}

function isBefore(line: number, column: number, other: Position): boolean {
  return line < other.line || (line === other.line && column < other.column);
}

function read(file: string, text: string | undefined): Source | undefined {
  if (text === undefined) return undefined;
  const { documents, diagnostics } = parseYaml(file, text);
  // If the file is not YAML, a secret may begin and end anywhere.
  if (diagnostics.length > 0 && SECRET_FIELDS.some((name) => text.toLowerCase().includes(name)))
    return undefined;
  return { lines: text.replace(/^\uFEFF/, "").split(/\r?\n/), secrets: secretsOf(documents) };
}

function secretsOf(documents: readonly YamlNode[]): Range[] {
  const places: { at: Position; isSecret: boolean }[] = [];
  const walk = (node: YamlNode, isSecret = false): void => {
    places.push({ at: node.at, isSecret });
    if (isSecret) return;
    if (node.kind === "list") for (const item of node.items) walk(item);
    if (node.kind !== "map") return;
    for (const { key, value } of node.entries.values()) {
      places.push({ at: key.at, isSecret: false });
      walk(value, SECRET_FIELDS.includes(key.value.toLowerCase()));
    }
  };
  for (const document of documents) walk(document);
  places.sort((a, b) => a.at.line - b.at.line || a.at.column - b.at.column);
  const ranges: Range[] = [];
  let end: Position | undefined;
  for (const { at, isSecret } of places.reverse()) {
    // A secret ends where the next value begins that is not part of it.
    if (isSecret) ranges.push({ start: at, end });
    else end = at;
  }
  return ranges;
}
