/** Reads policies of a revision of git: `main:policies/`, as `git show` names files. */
import type { SourceFile } from "../compile.ts";
import { printableLines } from "../diagnostics.ts";
import { type Finished, findPrograms, runProgram } from "../envoy/programs.ts";
import { decodeText } from "../istio/yaml.ts";
import { UserError } from "./output.ts";
import { isPolicyFile, type Sources } from "./sources.ts";

/** A path in a revision. */
export interface RevisionPath {
  revision: string;
  /** From the repository's folder; from the current one if it begins with `./` or `../`. */
  path: string;
}

/** How long git may take. */
const TIMEOUT_MS = 60_000;
const MAX_CHARACTERS = 16 * 1024 * 1024;

/**
 * The revision and the path in a name such as `main:policies/`.
 *
 * @param exists whether there is a file or folder of that name, which then has precedence
 * @returns undefined if it is not such a name
 */
export function revisionPathOf(name: string, exists: (path: string) => boolean): RevisionPath | undefined {
  const [, revision, path] = /^([^-:][^:]*):(.*)$/s.exec(name) ?? [];
  if (revision === undefined || path === undefined || exists(name)) return undefined;
  return { revision, path };
}

/**
 * Reads a file, or the YAML files of a folder and those below it, as they are in a revision.
 *
 * @returns the files, named `REVISION:PATH`; none if the revision has no such path
 * @throws {UserError} if git is missing, or has no such revision
 */
export async function readRevision({ revision, path }: RevisionPath): Promise<Sources> {
  const [git] = findPrograms("git", process.env);
  if (git === undefined)
    throw new UserError(`error: git was not found, which ${revision}:${path} needs: name a file or a folder`);
  const run = (...args: string[]) =>
    runProgram(git, args, { timeoutMs: TIMEOUT_MS, maxOutput: MAX_CHARACTERS });
  const isRelative = /^\.{1,2}(\/|$)/.test(path);
  const prefix = isRelative ? (await output(run("rev-parse", "--show-prefix"))).trim() : "";
  const root = clean(`${prefix}${path}`);
  const commit = await output(
    run("rev-parse", "--verify", "--quiet", "--end-of-options", `${revision}^{tree}`),
    () => {
      return `there is no revision ${revision} here, and no file ${revision}:${path}`;
    },
  );
  const listed = await output(
    run("ls-tree", "-r", "-z", "--full-tree", "--name-only", commit.trim(), "--", root || "."),
  );
  const names = listed.split("\0").filter((name) => name !== "");
  const isFile = names.length === 1 && names[0] === root;
  const wanted = isFile
    ? names
    : names.filter((name) => isPolicyFile(name) && !isHidden(name.slice(root.length)));
  const files: SourceFile[] = [];
  const sources: Sources = { files, diagnostics: [] };
  for (const name of wanted) {
    const text = await output(run("cat-file", "blob", `${commit.trim()}:${name}`));
    const shown = `${revision}:${name}`;
    const decoded = decodeText(shown, Buffer.from(text, "utf8"));
    if ("diagnostic" in decoded) sources.diagnostics.push(decoded.diagnostic);
    else files.push({ name: shown, text: decoded.text, ...(!isFile && { found: true }) });
  }
  return sources;
}

/** `./a//b/` → `a/b`. */
function clean(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.join("/");
}

/** Whether a file of a folder is skipped, as in folders on disk. */
function isHidden(path: string): boolean {
  return path.split("/").some((part) => part.startsWith(".") || part === "node_modules");
}

/** @throws {UserError} if the program fails */
async function output(running: Promise<Finished>, failure?: () => string): Promise<string> {
  const { code, stdout, stderr, failure: reason, timedOut, isCut } = await running;
  if (timedOut) throw new UserError(`error: git did not end within ${TIMEOUT_MS / 1000} s`);
  if (isCut) throw new UserError("error: git printed more than 16 MiB");
  if (code === 0) return stdout;
  const said = printableLines(stderr.trim().split("\n").slice(-3).join("\n"));
  throw new UserError(`error: ${failure?.() ?? `git failed: ${reason ?? said}`}`);
}
