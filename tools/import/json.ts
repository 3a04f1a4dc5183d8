/**
 * Reads JSON with the position of every value. The YAML reader reads JSON too, but limits the values of a document, and
 * Envoy's /config_dump has many megabytes.
 */
import type { Position } from "../diagnostics.ts";
import type { MapNode, YamlNode } from "../istio/yaml.ts";

/** Levels of lists and objects: more than Envoy's own reader accepts, fewer than the stack allows. */
const MAX_DEPTH = 200;

const SPACE = /[ \t\n\r]*/y;
const STRING = /"(?:[^"\\\0-\x1f]+|\\.)*"/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?/y;
const WORD = /true|false|null/y;

/** Ends the parsing: the text is not JSON. */
class NotJson extends Error {}

/**
 * Reads a text that is one JSON document.
 *
 * @param file as the user named it
 * @returns undefined if the text is not JSON (RFC 8259), has a name twice in one object, or nests too deeply
 */
export function parseJson(file: string, text: string): YamlNode | undefined {
  try {
    return new JsonReader(file, text).read();
  } catch (error) {
    if (error instanceof NotJson) return undefined;
    throw error;
  }
}

class JsonReader {
  private offset = 0;
  private line = 1;
  private lineStart = 0;

  constructor(
    private readonly file: string,
    private readonly text: string,
  ) {}

  read(): YamlNode {
    const value = this.value(0);
    this.space();
    if (this.offset < this.text.length) throw new NotJson();
    return value;
  }

  private value(depth: number): YamlNode {
    if (depth > MAX_DEPTH) throw new NotJson();
    this.space();
    const at = this.at();
    switch (this.text[this.offset]) {
      case "{":
        return this.object(at, depth);
      case "[":
        return { kind: "list", at, items: this.sequence("]", () => this.value(depth + 1)) };
      case '"':
        return { kind: "string", at, value: this.string() };
      default:
        return this.scalar(at);
    }
  }

  private object(at: Position, depth: number): MapNode {
    const entries: MapNode["entries"] = new Map();
    this.sequence("}", () => {
      const key = { at: this.at(), value: this.string() };
      this.space();
      if (this.text[this.offset++] !== ":" || entries.has(key.value)) throw new NotJson();
      entries.set(key.value, { key, value: this.value(depth + 1) });
    });
    return { kind: "map", at, entries };
  }

  /** What is between an opening bracket and `end`, separated by commas. */
  private sequence<T>(end: string, read: () => T): T[] {
    const found: T[] = [];
    this.offset++;
    this.space();
    if (this.text[this.offset] === end) {
      this.offset++;
      return found;
    }
    for (;;) {
      this.space();
      found.push(read());
      this.space();
      const next = this.text[this.offset++];
      if (next === end) return found;
      if (next !== ",") throw new NotJson();
    }
  }

  private string(): string {
    try {
      return JSON.parse(this.take(STRING)) as string;
    } catch (error) {
      if (error instanceof SyntaxError) throw new NotJson();
      throw error;
    }
  }

  private scalar(at: Position): YamlNode {
    WORD.lastIndex = this.offset;
    if (!WORD.test(this.text)) return { kind: "number", at, source: this.take(NUMBER) };
    const source = this.take(WORD);
    return source === "null"
      ? { kind: "null", at, source }
      : { kind: "boolean", at, source, value: source === "true" };
  }

  private take(pattern: RegExp): string {
    pattern.lastIndex = this.offset;
    const [found = ""] = pattern.exec(this.text) ?? [];
    if (found === "") throw new NotJson();
    this.offset += found.length;
    return found;
  }

  private space(): void {
    SPACE.lastIndex = this.offset;
    SPACE.test(this.text);
    for (; this.offset < SPACE.lastIndex; this.offset++) {
      if (this.text[this.offset] !== "\n") continue;
      this.line++;
      this.lineStart = this.offset + 1;
    }
  }

  private at(): Position {
    return { file: this.file, line: this.line, column: this.offset - this.lineStart + 1 };
  }
}
