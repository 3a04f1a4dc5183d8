/** The release contains no byte of the trace: without the calls in the sources, the compiler makes the same module. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { expect, test } from "vitest";
import { readTree } from "../architecture/imports.ts";
import { MODULE, TRACE_MODULE } from "../support/envoy.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const COMPILE_WITHIN_MS = 300_000;

/** A text without `if (TRACING) …` and without the imports that are then unused. */
function withoutTrace(text: string): { text: string; removed: number } {
  const parse = (source: string) => ts.createSourceFile("file.ts", source, ts.ScriptTarget.Latest, true);
  const cut = (source: string, nodes: readonly ts.Node[]) =>
    nodes.toReversed().reduce((rest, node) => rest.slice(0, node.getStart()) + rest.slice(node.end), source);
  const calls: ts.Node[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isIfStatement(node) && node.expression.getText() === "TRACING") calls.push(node);
    else node.forEachChild(visit);
  };
  visit(parse(text));
  // Helpers that only those called, and the imports of trace.ts, go too.
  const isHelper = (node: ts.Node): boolean =>
    (ts.isMethodDeclaration(node) || ts.isFunctionDeclaration(node)) &&
    /^trace/.test(node.name?.getText() ?? "");
  const isImport = (node: ts.Node): boolean =>
    ts.isImportDeclaration(node) && /\/trace"$/.test(node.moduleSpecifier.getText());
  const rest = cut(text, calls);
  const others: ts.Node[] = [];
  const find = (node: ts.Node): void => {
    if (isHelper(node) || isImport(node)) others.push(node);
    else node.forEachChild(find);
  };
  find(parse(rest));
  return { text: cut(rest, others), removed: calls.length };
}

test(
  "without the calls in the sources",
  () => {
    const folder = mkdtempSync(join(ROOT, "build", "without-trace-"));
    try {
      cpSync(join(ROOT, "assembly"), join(folder, "assembly"), { recursive: true });
      cpSync(join(ROOT, "asconfig.json"), join(folder, "asconfig.json"));
      symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
      rmSync(join(folder, "assembly", "trace.ts"));
      rmSync(join(folder, "assembly", "abi", "trace.ts"));
      let calls = 0;
      for (const file of readTree(join(folder, "assembly"), ["__tests__"]).files) {
        const path = join(folder, "assembly", file);
        const { text, removed } = withoutTrace(readFileSync(path, "utf8"));
        calls += removed;
        expect(text, file).not.toMatch(/TRACING|\btrace[A-Z]\w*\(/);
        writeFileSync(path, text);
      }
      expect(calls).toBeGreaterThan(20);
      const compiler = join(ROOT, "node_modules", "assemblyscript", "bin", "asc.js");
      const output = ["--outFile", "without-trace.wasm"];
      execFileSync(
        process.execPath,
        [compiler, "--config", "asconfig.json", "--target", "release", ...output],
        {
          cwd: folder,
          stdio: ["ignore", "ignore", "pipe"],
        },
      );
      const release = readFileSync(MODULE);
      expect(readFileSync(join(folder, "without-trace.wasm")).equals(release)).toBe(true);
      expect(readFileSync(TRACE_MODULE).equals(release)).toBe(false);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  COMPILE_WITHIN_MS,
);
