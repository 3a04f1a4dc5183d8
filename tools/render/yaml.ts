/**
 * Writes objects as readable YAML that every reader reads as the same objects: with comments that give the reasons, and
 * JSON texts in readable blocks.
 *
 * Readers differ: YAML 1.1 (Kubernetes in many places, PyYAML) ends lines at U+0085, U+2028 and U+2029 and has more
 * words for booleans, numbers, dates and merges than YAML 1.2. So a string is plain only if no reader can mistake it
 * for anything else; every other string is in double quotes and ASCII.
 */
import { Document, isPair, isScalar, Scalar, type ScalarTag, type Tags, visit } from "yaml";
import { stringifyString } from "yaml/util";
import { escapeUnit } from "../diagnostics.ts";

/** From a member's name to the reason for its value. */
export type Reasons = Readonly<Record<string, string>>;

export interface YamlOptions {
  /** Comments, each before the first member of that name in a document. */
  reasons?: Reasons;
  /** Whether a list of scalars is written on one line, `[a, b]`. */
  shortLists?: boolean;
}

/**
 * @param documents one YAML document each, of strings, booleans, null and whole numbers
 * @param heading comment before the first
 * @throws {RangeError} if a string contains a lone surrogate, or a number is not an integer
 */
export function toYaml(documents: readonly object[], heading: string, options: YamlOptions = {}): string {
  return `${comment(heading).replace(/^/gm, "#")}\n${toBareYaml(documents, options)}`;
}

/** The same without a heading. */
export function toBareYaml(documents: readonly object[], options: YamlOptions = {}): string {
  return documents.map((document) => print(document, options)).join("---\n");
}

function print(content: object, { reasons = {}, shortLists = false }: YamlOptions): string {
  const document = new Document(content, { customTags: () => TAGS, aliasDuplicateObjects: false });
  const given = new Set<string>();
  visit(document, {
    Pair(_key, pair) {
      if (!isPair(pair) || !isScalar(pair.key)) return;
      const name = String(pair.key.value);
      if (!Object.hasOwn(reasons, name) || given.has(name)) return;
      given.add(name);
      pair.key.commentBefore = comment(reasons[name] ?? "");
    },
    Seq(_key, list) {
      if (shortLists && list.items.every(isScalar)) list.flow = true;
    },
  });
  return document.toString({ lineWidth: 0, flowCollectionPadding: false, indentSeq: !shortLists });
}

/**
 * Begins with a letter or `/`, which begin nothing else in YAML, and contains nothing that could end a plain scalar.
 */
const PLAIN = /^[A-Za-z/][A-Za-z0-9_./-]*$/;

/** Words that some reader reads as a boolean, a number or null, in any case. */
const WORDS = /^(?:y|yes|n|no|on|off|true|false|null|nil|none|undefined|inf|infinity|nan)$/i;

/**
 * A string on one line, as a key or a value, block or flow.
 *
 * @throws {RangeError} if it contains a lone surrogate
 */
export function yamlString(text: string): string {
  const inQuotes = quoted(text);
  return PLAIN.test(text) && !WORDS.test(text) ? text : inQuotes;
}

/**
 * In double quotes, only ASCII. JSON's short escapes and `\uXXXX` are the same in every YAML. A character of more than
 * four digits is `\UXXXXXXXX`: Go and Envoy refuse JSON's form, one escape for each surrogate.
 */
function quoted(text: string): string {
  const fault = /\p{Surrogate}/u.exec(text);
  if (fault !== null)
    throw new RangeError(`YAML cannot hold half a character (at ${fault.index} of a string)`);
  return JSON.stringify(text)
    .replace(/[\u{10000}-\u{10ffff}]/gu, (character) => `\\U${hexadecimal(character).padStart(8, "0")}`)
    .replace(/[\x7f-\uffff]/g, escapeUnit);
}

function hexadecimal(character: string): string {
  return (character.codePointAt(0) ?? 0).toString(16);
}

/** Whether a text is lines of printable ASCII, the first not indented, none empty, none with a space at its end. */
function isBlock(text: string): boolean {
  const lines = text.replace(/\n$/, "").split("\n");
  return lines.length > 1 && /^[!-~]/.test(text) && lines.every((line) => /^[ -~]*[!-~]$/.test(line));
}

/** As the library requires it: each line after a space. Nothing in a line can end it for any reader. */
function comment(text: string): string {
  return text.replace(/[^\n -~]/g, escapeUnit).replace(/^(?=.)/gm, " ");
}

const STRING: ScalarTag = {
  tag: "tag:yaml.org,2002:str",
  default: true,
  identify: (value) => typeof value === "string",
  resolve: (text) => text,
  stringify: (node, context, onComment, onChompKeep) => {
    const text = node.value as string;
    // A block is unreadable as a name.
    if (context.implicitKey || context.inFlow || !isBlock(text)) return yamlString(text);
    const block = { type: Scalar.BLOCK_LITERAL, value: text } as Scalar<string>;
    return stringifyString(block, context, onComment, onChompKeep);
  },
};

const BOOLEAN: ScalarTag = {
  tag: "tag:yaml.org,2002:bool",
  default: true,
  identify: (value) => typeof value === "boolean",
  resolve: (text) => text === "true",
  stringify: ({ value }) => String(value),
};

const NULL: ScalarTag = {
  tag: "tag:yaml.org,2002:null",
  default: true,
  identify: (value) => value === null,
  resolve: () => null,
  stringify: () => "null",
};

/** Integers, and decimals that every reader reads as the same number: digits, a point, a few digits. */
const NUMBER_TEXT = /^-?(0|[1-9]\d{0,15})(\.\d{1,6})?$/;

const NUMBER: ScalarTag = {
  tag: "tag:yaml.org,2002:float",
  default: true,
  identify: (value) => typeof value === "number",
  resolve: Number,
  stringify: ({ value }) => {
    const text = String(value);
    if (!NUMBER_TEXT.test(text)) throw new RangeError(`readers of YAML disagree on the number ${text}`);
    return text;
  },
};

/** How values are written; the library reads nothing here. */
const TAGS: Tags = ["map", "seq", STRING, BOOLEAN, NULL, NUMBER];
