/** Adds a request to a test file, and leaves the rest of its text as it is. */
import { isMap, isSeq, type ParsedNode, parseDocument } from "yaml";
import { parseYaml } from "../../tools/istio/yaml.ts";
import { toBareYaml } from "../../tools/render/yaml.ts";
import type { Case, Key, TestFile, Token } from "../../tools/testing/schema.ts";
import type { TextFile } from "./suite.ts";

/** What is added to which file. */
export interface Addition {
  /** The file; empty text for a new one. */
  tests: TextFile;
  /** The policies of a new file, as it names them. */
  policies: readonly string[];
  keys: Readonly<Record<string, Key>>;
  tokens: Readonly<Record<string, Token>>;
  test: Case;
}

/**
 * The file's text with the test at the end of `tests`, and the keys and tokens that the file has not yet.
 *
 * @throws {Error} with a message for people, if the file has a form that nothing can be added to
 */
export function addTest({ tests, policies, keys, tokens, test }: Addition): string {
  if (tests.text.trim() === "") {
    const file: TestFile = {
      policies: [...policies],
      keys: { ...keys },
      tokens: { ...tokens },
      tests: [test],
    };
    return toBareYaml([withoutEmpty(file)], { shortLists: true });
  }
  const text = insert(insert(insert(tests.text, "tests", [test]), "tokens", tokens), "keys", keys);
  if (parseYaml(tests.name, text).diagnostics.length > 0)
    throw new Error(`nothing can be added to ${tests.name} as it is written: add the request by hand`);
  return text;
}

function withoutEmpty(file: TestFile): TestFile {
  const entries = Object.entries(file).filter(([, value]) => Object.keys(value).length > 0);
  return Object.fromEntries(entries) as TestFile;
}

/** The text with more entries in a list or map of the top level. */
function insert(
  text: string,
  field: string,
  more: readonly object[] | Readonly<Record<string, unknown>>,
): string {
  if (Object.keys(more).length === 0) return text;
  const document = parseDocument(text);
  const present = isMap(document.contents) ? document.contents.get(field, true) : undefined;
  if (present === undefined) {
    const end = text.endsWith("\n") ? text : `${text}\n`;
    return `${end}\n${toBareYaml([{ [field]: more }], { shortLists: true })}`;
  }
  const node = present as ParsedNode;
  if (!(isSeq(node) || isMap(node)) || node.flow)
    throw new Error(
      `${field}: is written on one line, in brackets: write a line for each entry, and save again`,
    );
  const begin = node.range[0];
  const column = begin - (text.lastIndexOf("\n", begin - 1) + 1);
  const written = toBareYaml([Array.isArray(more) ? more : { ...more }], { shortLists: true });
  const last = text.slice(0, node.range[1]).trimEnd().length;
  const lineEnd = text.indexOf("\n", last);
  const at = lineEnd < 0 ? text.length : lineEnd;
  const indented = written.trimEnd().replace(/^(?=.)/gm, " ".repeat(column));
  return `${text.slice(0, at)}\n${indented}${text.slice(at)}`;
}
