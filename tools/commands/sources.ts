/** Reads what a command is told to read: files, folders, and `-` for standard input. */
import { closeSync, fstatSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import type { SourceFile } from "../compile.ts";
import type { Diagnostic } from "../diagnostics.ts";
import { decodeText, parseYaml } from "../istio/yaml.ts";

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

/** More is no policy that a person wrote: a cluster takes no resource over 1.5 MiB. */
const MAX_FILE_BYTES = 16 * 1024 * 1024;

/**
 * @param paths files, folders (read with their folders, without hidden ones and `node_modules`) and `-`
 * @param kind of the files in folders: `*.test.yaml` are tests, all others policies
 * @returns the files' texts in order, and what could not be read
 */
export function readSources(paths: readonly string[], kind: SourceKind = "policies"): Sources {
  const sources: Sources = { files: [], diagnostics: [] };
  const attempt = (path: string, read: () => void): void => {
    try {
      read();
    } catch (error) {
      const place = { file: nameOf(path), line: 0, column: 0, severity: "error" as const };
      const told =
        error instanceof DiagnosticError ? error.diagnostic : { ...place, message: reasonOf(error) };
      sources.diagnostics.push(told);
    }
  };
  const add = (path: string) => attempt(path, () => sources.files.push(readSource(path)));
  for (const path of new Set(paths)) {
    attempt(path, () => {
      if (path === "-" || !statSync(path).isDirectory()) return add(path);
      const found = filesOf(path, kind);
      if (found.length === 0) throw new Error(NONE_FOUND[kind]);
      for (const file of found)
        attempt(file, () =>
          sources.files.push({ ...readSource(file), ...(kind === "policies" && { found: true }) }),
        );
      if (kind === "policies")
        for (const test of filesOf(path, "tests")) attempt(test, () => refuseResources(test));
    });
  }
  return sources;
}

/** A policy that is left out for its file's name leaves a door open. */
function refuseResources(path: string): void {
  const { name, text } = readSource(path);
  const { documents } = parseYaml(name, text);
  const resource = documents.find((node) => node.kind === "map" && node.entries.has("kind"));
  if (resource === undefined) return;
  const message =
    "files named *.test.* are tests and are not compiled, but this is a resource: rename the file";
  throw new DiagnosticError({ ...resource.at, severity: "error", message });
}

const NONE_FOUND: Record<SourceKind, string> = {
  policies: "no .yaml, .yml or .json file is in this folder",
  tests: "no .test.yaml file is in this folder",
};

/** The files of a folder and its folders, in the order of their names. */
function filesOf(folder: string, kind: SourceKind): string[] {
  const entries = readdirSync(folder, { withFileTypes: true }).filter(
    ({ name }) => !name.startsWith(".") && name !== "node_modules",
  );
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  return entries.flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return filesOf(path, kind);
    const isWanted = YAML_FILE.test(entry.name) && TEST_FILE.test(entry.name) === (kind === "tests");
    return isWanted ? [path] : [];
  });
}

/** @throws {DiagnosticError} where the bytes are no text */
function readSource(path: string): SourceFile {
  const decoded = decodeText(nameOf(path), readUpTo(path, MAX_FILE_BYTES));
  if ("diagnostic" in decoded) throw new DiagnosticError(decoded.diagnostic);
  return { name: nameOf(path), text: decoded.text };
}

/**
 * The bytes of a file, or of standard input for `-`.
 *
 * @param limit in bytes; reading ends there, so that endless devices and pipes end too
 * @throws where it cannot be read or is larger
 */
export function readUpTo(path: string, limit: number): Buffer {
  const descriptor = path === "-" ? 0 : openSync(path, "r");
  try {
    // Reading a folder says so too, but not on every system.
    if (fstatSync(descriptor).isDirectory()) throw new Error("this is a folder");
    const parts: Buffer[] = [];
    let size = 0;
    for (;;) {
      const part = Buffer.allocUnsafe(64 * 1024);
      const count = readSome(descriptor, part);
      if (count === 0) return Buffer.concat(parts);
      parts.push(part.subarray(0, count));
      size += count;
      if (size > limit) throw new Error(`this is larger than ${limit / 1024 / 1024} MiB`);
    }
  } finally {
    if (descriptor !== 0) closeSync(descriptor);
  }
}

/** Like readSync, but waits where standard input is a terminal or pipe that does not. */
function readSome(descriptor: number, part: Buffer): number {
  for (;;) {
    try {
      return readSync(descriptor, part);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EOF") return 0;
      if (code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
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

/** System errors of writing in words. */
export function writeReasonOf(error: unknown): string {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (code === "EACCES" || code === "EPERM") {
    return syscall === "open" ? "writing into its folder is not permitted" : "writing it is not permitted";
  }
  if (code === "ENOENT") return "its folder does not exist";
  return reasonOf(error);
}

const SYSTEM_ERRORS: Record<string, string> = {
  ENOENT: "there is no such file or folder",
  EACCES: "reading it is not permitted",
  EISDIR: "this is a folder",
  ENOTDIR: "a part of the path is no folder",
  ELOOP: "the path goes in a circle of links",
  EEXIST: "the file is there already",
  EMFILE: "too many files are open",
  ENOSPC: "the disk is full",
  EDQUOT: "your quota of the disk is used up",
  ENAMETOOLONG: "the name is too long",
  EBUSY: "it is in use, as a mounted file is: write to another one",
  EROFS: "nothing can be written there",
  EPIPE: "nobody reads it any more",
};
