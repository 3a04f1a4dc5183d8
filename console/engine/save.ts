/** Adds a request to a test file, and leaves the rest of its text as it is. */
import { parseYaml, type YamlNode } from "../../tools/istio/yaml.ts";
import { toBareYaml } from "../../tools/render/yaml.ts";
import { plain } from "../../tools/testing/read.ts";
import type { Case, Key, TestFile, Token } from "../../tools/testing/schema.ts";
import type { TextFile } from "./suite.ts";

/** The test to add, and the file. */
export interface Addition {
  /** The file; empty text for a new one. */
  tests: TextFile;
  /** The names of the policies, for a new file. */
  policies: readonly string[];
  /** The settings of all tests, for a new file. */
  setting: Pick<TestFile, "workload" | "listener">;
  keys: Readonly<Record<string, Key>>;
  tokens: Readonly<Record<string, Token>>;
  test: Case;
}

/** Entries of a list or a map. */
type Entries = readonly object[] | Readonly<Record<string, unknown>>;

/**
 * The file's text with the test at the end of `tests`, and the keys and tokens that the file does not have yet.
 *
 * @throws {Error} with a message for people, if the file has a form that nothing can be added to
 */
export function addTest({ tests, policies, setting, keys, tokens, test }: Addition): string {
  if (tests.text.trim() === "") {
    const file: TestFile = {
      policies: [...policies],
      ...setting,
      keys: { ...keys },
      tokens: { ...tokens },
      tests: [test],
    };
    const filled = Object.entries(file).filter(([, value]) => Object.keys(value).length > 0);
    return toBareYaml([Object.fromEntries(filled)], { shortLists: true });
  }
  const fields: readonly [string, Entries][] = [
    ["tests", [test]],
    ["tokens", tokens],
    ["keys", keys],
  ];
  const text = fields.reduce((before, [field, more]) => insert(before, field, more), tests.text);
  const [was, is] = [contentOf(tests.name, tests.text), contentOf(tests.name, text)];
  const wanted = fields.reduce((content, [field, more]) => withMore(content, field, more), was);
  // The text was edited as text, so read it again and compare.
  if (wanted === undefined || JSON.stringify(sorted(is)) !== JSON.stringify(sorted(wanted)))
    throw new Error(
      `nothing can be added to ${tests.name} as it is written: put tests:, tokens: and keys: at the beginnings of lines, with a line for each entry`,
    );
  return text;
}

/** The text with more entries at the end of a field of the top level. */
function insert(text: string, field: string, more: Entries): string {
  if (Object.keys(more).length === 0) return text;
  const lines = text.trimEnd().split("\n");
  const head = lines.findIndex((line) => new RegExp(`^${field}:\\s*(?:#.*)?$`).test(line.trimEnd()));
  if (head < 0) return `${lines.join("\n")}\n\n${toBareYaml([{ [field]: more }], { shortLists: true })}`;
  // The field ends before the next name at the beginning of a line, and before the comments on that name.
  const next = lines.findIndex((line, index) => index > head && /^[^\s#-]/.test(line));
  let end = next < 0 ? lines.length : next;
  while (end > head + 1 && /^(?:#.*|\s*)$/.test(lines[end - 1] ?? "")) end--;
  const first = lines.slice(head + 1, end).find((line) => /^\s*[^\s#]/.test(line)) ?? "";
  const indent = /^\s*/.exec(first)?.[0] ?? "";
  const entries = toBareYaml([Array.isArray(more) ? more : { ...more }], { shortLists: true }).trimEnd();
  const written = entries.replace(/^(?=.)/gm, indent);
  return `${[...lines.slice(0, end), written, ...lines.slice(end)].join("\n")}\n`;
}

type Content = Record<string, unknown>;

function contentOf(name: string, text: string): Content | undefined {
  const [document]: (YamlNode | undefined)[] = parseYaml(name, text).documents;
  return document === undefined ? undefined : (plain(document) as Content);
}

function withMore(content: Content | undefined, field: string, more: Entries): Content | undefined {
  if (content === undefined || Object.keys(more).length === 0) return content;
  const before = content[field];
  if (Array.isArray(more))
    return { ...content, [field]: [...(Array.isArray(before) ? before : []), ...more] };
  return { ...content, [field]: { ...(before ?? {}), ...more } };
}

/** The value with the members of each object sorted by name. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(members.map(([name, one]) => [name, sorted(one)]));
}
