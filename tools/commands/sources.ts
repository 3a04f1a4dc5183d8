/** Reads what a command is told to read: files, folders, and `-` for standard input. */
import { readdirSync, readFileSync, type Stats, statSync } from "node:fs";
import { join } from "node:path";
import type { SourceFile } from "../compile.ts";
import type { Diagnostic } from "../diagnostics.ts";
import { decodeText } from "../istio/yaml.ts";

export interface Sources {
  files: SourceFile[];
  diagnostics: Diagnostic[];
}

/** Names of files in a folder that are read; JSON is YAML. */
const YAML_FILE = /\.(ya?ml|json)$/i;

/** Tests often stand beside the policies that they are of. */
const TEST_FILE = /\.test\.(ya?ml|json)$/i;

/** What is looked for in a folder. */
export type SourceKind = "policies" | "tests";

/** More is no policy that a person wrote. */
const MAX_FILE_BYTES = 64 * 1024 * 1024;

/**
 * @param paths files, folders (read with their folders, hidden ones left out) and `-`
 * @param kind of the files in folders: `*.test.yaml` are tests, all others policies
 * @returns the files' texts in order, and what could not be read
 */
export function readSources(paths: readonly string[], kind: SourceKind = "policies"): Sources {
  const sources: Sources = { files: [], diagnostics: [] };
  for (const path of new Set(paths)) {
    try {
      const stats: Stats | undefined = path === "-" ? undefined : statSync(path);
      if (!stats?.isDirectory()) {
        sources.files.push(readSource(path, stats?.size ?? 0));
        continue;
      }
      const found = filesOf(path, kind);
      if (found.length === 0) throw new Error(NONE_FOUND[kind]);
      for (const file of found) sources.files.push(readSource(file, statSync(file).size));
    } catch (error) {
      if (error instanceof DiagnosticError) {
        sources.diagnostics.push(error.diagnostic);
        continue;
      }
      const message = reasonOf(error);
      sources.diagnostics.push({ file: nameOf(path), line: 0, column: 0, severity: "error", message });
    }
  }
  return sources;
}

const NONE_FOUND: Record<SourceKind, string> = {
  policies: "no .yaml, .yml or .json file is in this folder",
  tests: "no .test.yaml file is in this folder",
};

/** The files of a folder and its folders, in the order of their names. */
function filesOf(folder: string, kind: SourceKind): string[] {
  const entries = readdirSync(folder, { withFileTypes: true }).filter(({ name }) => !name.startsWith("."));
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  return entries.flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return filesOf(path, kind);
    const isWanted = YAML_FILE.test(entry.name) && TEST_FILE.test(entry.name) === (kind === "tests");
    return isWanted ? [path] : [];
  });
}

/** @throws {DiagnosticError} where the bytes are no text */
function readSource(path: string, size: number): SourceFile {
  if (size > MAX_FILE_BYTES) throw new Error(`the file is larger than ${MAX_FILE_BYTES / 1024 / 1024} MiB`);
  const decoded = decodeText(nameOf(path), readFileSync(path === "-" ? 0 : path));
  if ("diagnostic" in decoded) throw new DiagnosticError(decoded.diagnostic);
  return { name: nameOf(path), text: decoded.text };
}

/** Something that is wrong at a place in a file. */
class DiagnosticError extends Error {
  constructor(readonly diagnostic: Diagnostic) {
    super(diagnostic.message);
  }
}

function nameOf(path: string): string {
  return path === "-" ? "<stdin>" : path;
}

/** System errors in words. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as NodeJS.ErrnoException;
  return (code !== undefined && SYSTEM_ERRORS[code]) || error.message;
}

const SYSTEM_ERRORS: Record<string, string> = {
  ENOENT: "there is no such file or folder",
  EACCES: "reading it is not permitted",
  EISDIR: "this is a folder",
  ENOTDIR: "a part of the path is no folder",
  ELOOP: "the path goes in a circle of links",
  EEXIST: "the file is there already",
  EMFILE: "too many files are open",
};
