/** The prose linter: each idiom is found in documents, comments and messages, and code is left alone. */
import { readFileSync } from "node:fs";
import { load } from "js-yaml";
import { describe, expect, test } from "vitest";
import { IDIOMS, lintText } from "../../scripts/prose/lint.ts";

interface Idiom {
  expected: string;
  specs: { from: string; to: string }[];
}

const { rules } = load(readFileSync(IDIOMS, "utf8")) as { rules: Idiom[] };
const EXAMPLES = rules.flatMap(({ specs }) => specs);

test("every idiom has an example", () => {
  expect(rules.filter(({ specs }) => specs.length === 0)).toEqual([]);
});

describe("an idiom is found", () => {
  test.each(EXAMPLES)("in a document: $from", async ({ from }) => {
    expect(await lintText(`# Title\n\nHere ${from}, and so on.\n`, "a.md")).toMatchObject([{ line: 3 }]);
  });

  test.each(EXAMPLES)("in a comment: $from", async ({ from }) => {
    expect(await lintText(`const a = 1;\n/** Here ${from}. */\nconst b = 2;\n`, "a.ts")).toMatchObject([
      { line: 2 },
    ]);
  });

  test.each(EXAMPLES)("in a message: $from", async ({ from }) => {
    expect(await lintText(`fail(\n  ${JSON.stringify(`here ${from}`)});\n`, "a.mjs")).toMatchObject([
      { line: 2 },
    ]);
  });

  test.each(EXAMPLES)("not in what is to be written instead: $to", async ({ to }) => {
    expect(await lintText(`Here ${to}, and so on.\n`, "a.md")).toEqual([]);
  });
});

// In two parts and in one word, so that the linter does not find them here.
const IDIOM = ["equal but", "for its date"].join(" ");
const WORD = "meanwhile";

describe("is found wherever there is prose", () => {
  const found = async (text: string, path: string) =>
    (await lintText(text, path)).map(({ line, column }) => `${line}:${column}`);

  test.each([
    ["across the lines of a comment", "  /**\n   * Equal but\n   * for its date.\n   */\n", "a.ts", "2:12"],
    ["across comments of one line", "// Equal but\n// for its date.\n", "a.ts", "1:10"],
    ["after code on the same line", `const a = 1; // ${IDIOM}\n`, "a.ts", "1:23"],
    ["in a template", `fail(\`\${name} is ${IDIOM}\`);\n`, "a.ts", "1:24"],
    ["in JSX", `const a = <p>${IDIOM}</p>;\n`, "a.tsx", "1:20"],
    ["in a table", `| a | b |\n| --- | --- |\n| ${IDIOM} | c |\n`, "a.md", "3:9"],
    ["in a link", `See [${IDIOM}](a.md).\n`, "a.md", "1:12"],
    ["in AssemblyScript", `@inline\nfunction f(): i32 { return 1; } // ${IDIOM}\n`, "a.ts", "2:42"],
  ])("%s", async (_, text, path, at) => {
    expect(await found(text, path)).toEqual([at]);
  });

  test.each([
    ["code in a document", `\`${IDIOM}\`\n\n    ${IDIOM}\n`, "a.md"],
    ["a block of code", `\`\`\`sh\n${IDIOM}\n\`\`\`\n`, "a.md"],
    ["code in a comment", `/** \`${IDIOM}\` */\n`, "a.ts"],
    ["names", `import { ${WORD} } from './${WORD}.ts';\n${WORD}('${WORD}');\n`, "a.ts"],
    ["a regular expression", `const a = /${IDIOM}/;\n`, "a.ts"],
    ["directives", `// @ts-ignore: ${IDIOM}\n// biome-ignore lint: ${IDIOM}\n`, "a.ts"],
    ["comments in strings", `const url = 'http://${WORD}.example';\n`, "a.ts"],
  ])("and not in %s", async (_, text, path) => {
    expect(await found(text, path)).toEqual([]);
  });
});
