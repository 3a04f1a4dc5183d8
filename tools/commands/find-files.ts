/** Finds the files of folders and of patterns such as `policies/**\/*.yaml`. */
import { type Dirent, readdirSync, realpathSync, statSync } from "node:fs";
import { join, normalize, relative } from "node:path";
import picomatch from "picomatch";

/** Which files and folders are searched. */
export interface Search {
  /** Whether a file with this name is wanted. */
  isWanted: (name: string) => boolean;
  isIgnored: Ignore;
  /** Called for each entry that cannot be read; the search continues. */
  onError: (path: string, error: unknown) => void;
}

/** More than this is probably the wrong folder, such as `/`, or the target of a link. */
const MAX_ENTRIES = 100_000;

/** Folders that hold third-party files. */
const SKIPPED_FOLDER = "node_modules";

/** Whether entries of this name are skipped: hidden files and folders, such as `.git` and a ConfigMap's `..data`. */
export function isSkipped(name: string): boolean {
  return name.startsWith(".") || name === SKIPPED_FOLDER;
}

/** Whether a path found in a folder is left out. */
export type Ignore = (path: string, folder: string) => boolean;

/**
 * @param patterns globs. One without a slash is compared with the name of each file and folder. Any other is compared
 *   with the path, both as messages show it and relative to the named folder. A trailing slash changes nothing.
 */
export function ignoring(patterns: readonly string[]): Ignore {
  const matchers = patterns.map((pattern) => {
    const clean = normalize(pattern).replace(/\/$/, "");
    return picomatch(clean, { dot: true, nonegate: true, basename: !clean.includes("/") });
  });
  return (path, folder) =>
    [normalize(path), relative(folder, path)].some((name) => matchers.some((matches) => matches(name)));
}

/**
 * The files of a folder and its subfolders, in the order of their names. Links are followed; each folder is read once.
 *
 * @param known real paths of the folders that were already read
 */
export function filesOf(folder: string, search: Search, known: Set<string> = new Set()): string[] {
  let count = 0;
  const walk = (inside: string): string[] => {
    try {
      const real = realpathSync(inside);
      if (known.has(real)) return [];
      known.add(real);
      const entries = readdirSync(inside, { withFileTypes: true }).filter(({ name }) => !isSkipped(name));
      count += entries.length;
      if (count > MAX_ENTRIES) throw new Error(TOO_MANY);
      entries.sort((a, b) => (a.name < b.name ? -1 : 1));
      return entries.flatMap((entry) => {
        const path = join(inside, entry.name);
        return search.isIgnored(path, folder) ? [] : take(path, entry);
      });
    } catch (error) {
      search.onError(inside, error);
      return [];
    }
  };
  const take = (path: string, entry: Dirent): string[] => {
    const isWanted = search.isWanted(entry.name);
    try {
      const is = entry.isSymbolicLink() ? statSync(path) : entry;
      if (is.isDirectory()) return walk(path);
      if (!isWanted) return [];
      if (is.isFile()) return [path];
      throw new Error(NO_FILE);
    } catch (error) {
      // A broken link is ignored, unless its name is that of a policy.
      if (isWanted) search.onError(path, error);
      return [];
    }
  };
  return walk(folder);
}

const TOO_MANY = `there are more than ${MAX_ENTRIES} files and folders in it: name a smaller folder, or leave some out with --ignore`;

const NO_FILE =
  "this is a pipe or a device, not a file: remove it, leave it out with --ignore, or name it with -f";

/** The folder that a pattern starts from, and which of its files match. Undefined if the path is not a pattern. */
export function readPattern(
  path: string,
): { folder: string; matches: (path: string) => boolean } | undefined {
  const { isGlob, base } = picomatch.scan(path, { nonegate: true });
  if (!isGlob) return undefined;
  const matches = picomatch(normalize(path), { nonegate: true });
  return { folder: base || ".", matches: (found) => matches(normalize(found)) };
}
