/** Shows textlint the prose in TypeScript and JavaScript: comments, and string literals that are sentences. */
import type { TextlintPluginCreator } from "@textlint/kernel";
import ts from "typescript";

/** From `start` up to but not including `end`, in UTF-16 units. */
interface Range {
  start: number;
  end: number;
}

interface Literal extends Range {
  /** Whether it is a regular expression. */
  isPattern: boolean;
}

const COMMENT = /\/\/.*|\/\*[\s\S]*?\*\//g;
/** Comments that compilers, linters and formatters read. */
const DIRECTIVE = /^\/[/*]+\s*(?:@ts-|biome-|prettier-|<)/;
/** The marks of a comment, and code in it. */
const MARKUP = /^\/\/+|^\/\*+|\*\/$|^[ \t]*(?:\*|\/\/)|`[^`]*`/gm;
/** Two words with a space between them. */
const WORDS = /[a-z,;:)"'] +[a-z("']/i;

/** The plugin of textlint for these files. */
export const sourcePlugin = {
  Processor: class {
    availableExtensions(): string[] {
      return [".ts", ".tsx", ".mjs"];
    }

    processor() {
      return {
        preProcess: parseSource,
        postProcess: <Message>(messages: Message[], filePath = "<text>") => ({ messages, filePath }),
      };
    }
  },
} as unknown as TextlintPluginCreator;

/**
 * Parses a file.
 *
 * @param source its text
 * @param path selects the grammar by its extension
 * @returns a text of the same length with spaces in place of everything but prose, and its tree: a paragraph for each
 *   comment and each literal
 */
function parseSource(source: string, path = "file.ts") {
  const file = ts.createSourceFile(path, source, ts.ScriptTarget.Latest);
  const literals = literalsOf(file);
  const comments = joinLines(source, commentsOf(blank(source, literals)));
  const sentences = literals.filter(
    ({ start, end, isPattern }) => !isPattern && WORDS.test(source.slice(start, end)),
  );
  const prose = [...comments, ...sentences].sort((a, b) => a.start - b.start);
  const markup = comments.flatMap(({ start, end }) => find(MARKUP, source.slice(start, end), start));
  const text = blank(source, [...gapsBetween(prose, source.length), ...markup]);

  const positionOf = (offset: number) => {
    const { line, character } = file.getLineAndCharacterOfPosition(offset);
    return { line: line + 1, column: character };
  };
  const nodeOf = (type: string, { start, end }: Range) => ({
    type,
    raw: text.slice(start, end),
    range: [start, end],
    loc: { start: positionOf(start), end: positionOf(end) },
  });
  const children = prose.map((range) => {
    const str = nodeOf("Str", range);
    return { ...nodeOf("Paragraph", range), children: [{ ...str, value: str.raw }] };
  });
  return { text, ast: { ...nodeOf("Document", { start: 0, end: source.length }), children } };
}

/** Strings, parts of templates, regular expressions and the text of JSX, in order. */
function literalsOf(file: ts.SourceFile): Literal[] {
  const literals: Literal[] = [];
  const visit = (node: ts.Node): void => {
    const isTemplatePart =
      node.kind >= ts.SyntaxKind.FirstTemplateToken && node.kind <= ts.SyntaxKind.LastTemplateToken;
    const isPattern = ts.isRegularExpressionLiteral(node);
    if (isTemplatePart || isPattern || ts.isStringLiteral(node) || ts.isJsxText(node)) {
      literals.push({ start: node.getStart(file), end: node.end, isPattern });
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return literals;
}

/** @param code without literals, which may look like comments */
function commentsOf(code: string): Range[] {
  return find(COMMENT, code).filter(({ start, end }) => !DIRECTIVE.test(code.slice(start, end)));
}

/** Joins comments of one line each that follow one another, so that a sentence can be found across their lines. */
function joinLines(source: string, comments: readonly Range[]): Range[] {
  const joined: Range[] = [];
  for (const comment of comments) {
    const last = joined.at(-1);
    const isNextLine =
      last !== undefined &&
      source.startsWith("//", last.start) &&
      source.startsWith("//", comment.start) &&
      /^\n[ \t]*$/.test(source.slice(last.end, comment.start));
    if (isNextLine) last.end = comment.end;
    else joined.push({ ...comment });
  }
  return joined;
}

/** @param offset of the text, added to every range */
function find(pattern: RegExp, text: string, offset = 0): Range[] {
  return [...text.matchAll(pattern)].map(({ 0: match, index }) => ({
    start: offset + index,
    end: offset + index + match.length,
  }));
}

/** What is between ranges in order, up to `length`. */
function gapsBetween(ranges: readonly Range[], length: number): Range[] {
  const starts = [0, ...ranges.map(({ end }) => end)];
  const ends = [...ranges.map(({ start }) => start), length];
  return starts.map((start, index) => ({ start, end: ends[index] ?? length }));
}

/** The text with spaces in place of the ranges, which may overlap. Line ends stay. */
function blank(text: string, ranges: readonly Range[]): string {
  let result = "";
  for (const { start, end } of [...ranges].sort((a, b) => a.start - b.start)) {
    if (end <= result.length) continue;
    result += text.slice(result.length, start);
    result += text.slice(result.length, end).replace(/[^\n]/g, " ");
  }
  return result + text.slice(result.length);
}
