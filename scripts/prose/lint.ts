/** The prose linter: textlint over documents, comments and messages, with the project's list of idioms. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { extname } from "node:path";
import { TextlintKernel, type TextlintPluginCreator, type TextlintRuleModule } from "@textlint/kernel";
import { sourcePlugin } from "./source.ts";

/** The list of idioms, in the format of prh. */
export const IDIOMS = "scripts/prose/idioms.yml";

/** An idiom that a file has. */
export interface Problem {
  /** From 1. */
  line: number;
  /** From 1. */
  column: number;
  /** The idiom, and what to write instead. */
  message: string;
}

// CommonJS, whose default export is a property for Node.js.
const require = createRequire(import.meta.url);
const {
  default: markdownPlugin,
}: { default: TextlintPluginCreator } = require("@textlint/textlint-plugin-markdown");
const { default: prh }: { default: TextlintRuleModule } = require("textlint-rule-prh");

const kernel = new TextlintKernel();
const plugins = [
  { pluginId: "markdown", plugin: markdownPlugin },
  { pluginId: "source", plugin: sourcePlugin },
];
const everywhere = { checkLink: true, checkBlockQuote: true, checkEmphasis: true };
const rules = [{ ruleId: "prh", rule: prh, options: { rulePaths: [IDIOMS], ...everywhere } }];

/**
 * Finds idioms in a text.
 *
 * @param text a document or a program
 * @param path names its language by its extension: .md, .ts, .tsx or .mjs
 * @throws if it is another extension, or the list of idioms is faulty
 */
export async function lintText(text: string, path: string): Promise<Problem[]> {
  const { messages } = await kernel.lintText(text, { filePath: path, ext: extname(path), plugins, rules });
  return messages.map(({ loc, message }) => ({
    line: loc.start.line,
    column: loc.start.column,
    message: message.replace(/\n([\s\S]*)/, " ($1)").replace(/\s+/g, " "),
  }));
}

/** As `lintText`, for a file. */
export async function lintFile(path: string): Promise<Problem[]> {
  return lintText(await readFile(path, "utf8"), path);
}
