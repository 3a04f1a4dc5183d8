/** Reads the inputs of a command: files, folders, and `-` for standard input. */
import { closeSync, fstatSync, openSync, readSync, realpathSync, statSync } from "node:fs";
import type { SourceFile } from "../compile.ts";
import type { Diagnostic } from "../diagnostics.ts";
import { decodeText, parseYaml } from "../istio/yaml.ts";
import { filesOf, ignoring, readPattern } from "./find-files.ts";

export interface Sources {
  files: SourceFile[];
  diagnostics: Diagnostic[];
}

/** Whether a file that was found in a folder holds policies, by its name. */
export function isPolicyFile(name: string): boolean {
  return YAML_FILE.test(name) && !TEST_FILE.test(name);
}

/** Names of files in a folder that are read; JSON is YAML. */
const YAML_FILE = /\.(ya?ml|json)$/i;

/** Tests are often next to the policies that they test. */
const TEST_FILE = /\.test\.(ya?ml|json)$/i;

/** What a folder is searched for. */
export type SourceKind = "policies" | "tests";

/** A larger file is not a policy that a person wrote: a cluster accepts no resource over 1.5 MiB. */
const MAX_FILE_BYTES = 16 * 1024 * 1024;

/** What is searched for, and what is left out. */
export interface SourceOptions {
  /** For files in folders: `*.test.yaml` are tests, all others policies. */
  kind?: SourceKind;
  /** Globs, in the format of `ignoring`. */
  ignore?: readonly string[] | undefined;
  /** Whether a folder may have no such file; otherwise that is an error. */
  mayBeEmpty?: boolean;
}

/**
 * @param paths files, folders (with their subfolders, without hidden ones and `node_modules`), globs and `-`
 * @returns the files' texts in order, each once, and what could not be read
 */
export function readSources(
  paths: readonly string[],
  { kind = "policies", ignore = [], mayBeEmpty = false }: SourceOptions = {},
): Sources {
  const sources: Sources = { files: [], diagnostics: [] };
  const onError = (path: string, error: unknown): void => {
    const place = { file: nameOf(path), line: 0, column: 0, severity: "error" as const };
    sources.diagnostics.push(
      error instanceof DiagnosticError ? error.diagnostic : { ...place, message: reasonOf(error) },
    );
  };
  const isIgnored = ignoring(ignore);
  const known = new Set<string>();
  const add = (path: string, read: () => SourceFile): void => {
    try {
      const real = path === "-" ? path : realpathSync(path);
      if (!known.has(real)) sources.files.push(read());
      known.add(real);
    } catch (error) {
      onError(path, error);
    }
  };
  const isWanted = wantedOf(kind);
  for (const path of paths) {
    const place = placeOf(path);
    if (place === undefined) {
      if (path === "-" || !isIgnored(path, ".")) add(path, () => readSource(path));
      continue;
    }
    const before = sources.diagnostics.length;
    const found = filesOf(place.folder, { isWanted, isIgnored, onError }).filter(place.matches);
    const wanted = found.filter((file) => TEST_FILE.test(file) === (kind === "tests"));
    const isMissed = wanted.length === 0 && sources.diagnostics.length === before;
    if (isMissed && !(mayBeEmpty && !place.isPattern)) {
      onError(path, new Error(noneFound(kind, place)));
    }
    for (const file of wanted)
      add(file, () => ({ ...readSource(file), ...(kind === "policies" && { found: true }) }));
    if (kind === "tests") continue;
    for (const test of found.filter((file) => TEST_FILE.test(file))) {
      try {
        refuseResources(test);
      } catch (error) {
        onError(test, error);
      }
    }
  }
  return sources;
}

/** What `readSources` reads. */
export interface FoundSources {
  files: string[];
  /** The real paths of the folders that were searched. */
  folders: Set<string>;
  /** What cannot be read, each with its reason. */
  problems: string[];
}

/**
 * Finds what `readSources` reads, without reading it. A named file is included even if it does not exist.
 *
 * @param paths as in `readSources`
 */
export function findSources(
  paths: readonly string[],
  { kind = "policies", ignore = [] }: SourceOptions = {},
): FoundSources {
  const found: FoundSources = { files: [], folders: new Set(), problems: [] };
  const isIgnored = ignoring(ignore);
  const onError = (path: string, error: unknown) => found.problems.push(`${path}: ${reasonOf(error)}`);
  for (const path of paths) {
    const place = placeOf(path);
    if (place === undefined) {
      if (path !== "-" && !isIgnored(path, ".")) found.files.push(path);
      continue;
    }
    const known = new Set<string>();
    const files = filesOf(place.folder, { isWanted: wantedOf(kind), isIgnored, onError }, known);
    found.files.push(...files.filter(place.matches));
    for (const folder of known) found.folders.add(folder);
  }
  return found;
}

/** Which names are searched for. Tests next to policies are included: they may be misnamed resources. */
function wantedOf(kind: SourceKind): (name: string) => boolean {
  return (name) => YAML_FILE.test(name) && (kind === "policies" || TEST_FILE.test(name));
}

/** Where files are searched for: a folder, or the folder of a pattern. */
interface Place {
  folder: string;
  matches: (path: string) => boolean;
  isPattern: boolean;
}

/** @returns undefined if the path names one file. An existing file is never a pattern. */
function placeOf(path: string): Place | undefined {
  if (path === "-") return undefined;
  try {
    return statSync(path).isDirectory() ? { folder: path, matches: () => true, isPattern: false } : undefined;
  } catch {
    const pattern = readPattern(path);
    return pattern && { ...pattern, isPattern: true };
  }
}

/** Refuses a policy in a test file: if its name alone excluded it, requests that it denies would pass. */
function refuseResources(path: string): void {
  const { name, text } = readSource(path);
  const { documents } = parseYaml(name, text);
  const resource = documents.find((node) => node.kind === "map" && node.entries.has("kind"));
  if (resource === undefined) return;
  const message =
    "files named *.test.* are tests and are not compiled, but this is a resource: rename the file";
  throw new DiagnosticError({ ...resource.at, severity: "error", message });
}

function noneFound(kind: SourceKind, { isPattern }: Place): string {
  const what = kind === "tests" ? "no .test.yaml file" : "no .yaml, .yml or .json file";
  if (isPattern) return `${what} has a name like this pattern`;
  const advice = kind === "tests" ? ": `jwtgate new -o policy.yaml` writes one next to a policy" : "";
  return `${what} is in this folder${advice}`;
}

/** @throws {DiagnosticError} if the bytes are not text */
function readSource(path: string): SourceFile {
  const decoded = decodeText(nameOf(path), readUpTo(path, MAX_FILE_BYTES));
  if ("diagnostic" in decoded) throw new DiagnosticError(decoded.diagnostic);
  return { name: nameOf(path), text: decoded.text };
}

/**
 * The bytes of a file, or of standard input for `-`.
 *
 * @param limit in bytes; reading ends there, so that endless devices and pipes end too
 * @throws if it cannot be read or is larger
 */
export function readUpTo(path: string, limit: number): Buffer {
  const descriptor = path === "-" ? 0 : openSync(path, "r");
  try {
    // Reading a folder fails too, but not on every system.
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

/** Like readSync, but waits if standard input is a non-blocking terminal or pipe. */
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

/** A fault at a position in a file. */
class DiagnosticError extends Error {
  constructor(readonly diagnostic: Diagnostic) {
    super(diagnostic.message);
  }
}

function nameOf(path: string): string {
  return path === "-" ? "<stdin>" : path;
}

/** A system error in words. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as NodeJS.ErrnoException;
  return (code !== undefined && SYSTEM_ERRORS[code]) || error.message;
}

/** A system error of writing in words. */
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
  ENOTDIR: "a part of the path is not a folder",
  ELOOP: "the path has a loop of links",
  EEXIST: "the file is there already",
  EMFILE: "too many files are open",
  ENOSPC: "the disk is full",
  EDQUOT: "your quota of the disk is used up",
  ENAMETOOLONG: "the name is too long",
  EBUSY: "it is in use, as a mounted file is: write to another one",
  EROFS: "it cannot be written to",
  EPIPE: "its reader has ended",
};
