/**
 * The commands in the documents work. A block whose fence is `sh test` is run unchanged, after those before
 * it in the same document, in a folder that has what a checkout has after a build, with `jwtgate` in the path. A block
 * `text output` after it is what the commands print.
 */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Block, blocks, markdownFiles, ROOT, readMarkdown } from "./markdown.ts";

/** A folder like a checkout's, in which commands may write. */
function makeCheckout(): string {
  const folder = mkdtempSync(join(tmpdir(), "jwtgate-docs-"));
  for (const name of readdirSync(ROOT)) {
    if (name !== ".git") symlinkSync(join(ROOT, name), join(folder, name));
  }
  mkdirSync(join(folder, BIN));
  symlinkSync(join(ROOT, "dist/jwtgate.mjs"), join(folder, BIN, "jwtgate"));
  return folder;
}

const BIN = ".bin";

/** @returns exit code and everything that was printed */
function run(script: string, cwd: string): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const env = { ...process.env, PATH: join(cwd, BIN) + delimiter + process.env["PATH"] };
    const child = execFile(
      "bash",
      ["-euo", "pipefail", "-c", `exec 2>&1\n${script}`],
      { cwd, env, encoding: "utf8", timeout: 240_000 },
      (error, stdout) => resolve({ code: error === null ? 0 : (child.exitCode ?? -1), output: stdout }),
    );
  });
}

/** Text in which how long something took is left out: it differs each time. */
function withoutTimes(text: string): string {
  return text.replace(/( in |\()\d+(\.\d+)? m?s\b/g, "$1…");
}

for (const file of markdownFiles()) {
  const all = blocks(readMarkdown(file));
  const tested = all.flatMap((block, index): [Block, Block | undefined][] => {
    const next = all[index + 1];
    return block.info === "sh test" ? [[block, next?.info === "text output" ? next : undefined]] : [];
  });
  if (tested.length === 0) continue;
  describe(file, () => {
    let folder: string;
    beforeAll(() => {
      folder = makeCheckout();
    });
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    test.each(tested.map(([block, output]) => ({ line: block.line, block, output })))(
      "the commands of line $line",
      { timeout: 240_000 },
      async ({ block, output }) => {
        const result = await run(block.text, folder);
        expect(result.code, result.output).toBe(0);
        if (output !== undefined) expect(withoutTimes(result.output)).toBe(withoutTimes(output.text));
      },
    );
  });
}

test("the documents have commands that are tested", () => {
  const infos = markdownFiles().flatMap((file) => blocks(readMarkdown(file)).map(({ info }) => info));
  expect(infos).toContain("sh test");
});
