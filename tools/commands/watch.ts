/** Detects changes of files, however they happen: written, replaced, linked elsewhere, added to a folder, removed. */
import { lstatSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { isAbsolute, join, parse, resolve, sep } from "node:path";
import { watch } from "chokidar";
import { tell } from "./output.ts";
import { findSources, reasonOf, type SourceOptions } from "./sources.ts";

/** Files, folders and globs that are read in the same way. */
export interface Watched extends SourceOptions {
  paths: readonly string[];
}

/** The watched files, and their state. */
export interface Seen {
  watched: Watched;
  look: Look;
}

/** Records the state of files. Called before they are read, so that a change while they are read is detected. */
export function see(watched: Watched): Seen {
  return { watched, look: look(watched) };
}

/** Several changes within this time, such as those of an editor or of `git checkout`, cause one call. */
const QUIET_MS = 100;

/** The time between two checks, if the system does not report changes. */
const POLL_MS = 300;

/**
 * The system reports that something happened; comparing the files shows whether it is a change. So it does not matter
 * how systems and editors report changes. With CHOKIDAR_USEPOLLING=1 the files are compared periodically, for network
 * drives, whose changes the system does not report.
 *
 * @param seen what `readSources` reads, as it was before it was read; neither ignored folders nor `node_modules` are
 *   watched
 * @returns stops it
 */
export function watchFiles(seen: readonly Seen[], onChange: () => void): () => void {
  let last = together(seen.map((one) => one.look));
  let usePolling = false;
  let isOver = false;
  let timer: NodeJS.Timeout | undefined;

  const check = () => {
    timer = undefined;
    const now = together(seen.map(({ watched }) => look(watched)));
    const isMoved = now.places !== last.places;
    const isChanged = now.files !== last.files;
    last = now;
    if (isMoved) restart();
    if (isChanged) onChange();
  };
  const checkSoon = () => {
    if (!isOver) timer ??= setTimeout(check, QUIET_MS);
  };
  const start = () => {
    const { watch: paths } = last;
    const watcher = watch([...paths], {
      ignored: (path) => !paths.has(resolve(path)),
      ignoreInitial: true,
      followSymlinks: false,
      atomic: false,
      depth: 0,
      interval: POLL_MS,
      usePolling,
    });
    // Detects changes from before it was ready.
    watcher.on("raw", checkSoon).on("all", checkSoon).on("ready", checkSoon);
    watcher.on("error", (error) => {
      if (isOver || usePolling) return;
      usePolling = true;
      tell(
        `files are checked every ${POLL_MS} ms, because the system cannot watch them: ${reasonOf(error)}`,
        process.stderr,
      );
      restart();
    });
    return watcher;
  };
  let watcher = start();
  const restart = () => {
    void watcher.close();
    watcher = start();
  };
  return () => {
    isOver = true;
    clearTimeout(timer);
    void watcher.close();
  };
}

/** The current state. */
interface Look {
  /** Differs if the content of a file may. */
  files: string;
  /** Differs if other files must be watched, or other folders under the same names. */
  places: string;
  /** The folders and files to watch, without links. */
  watch: ReadonlySet<string>;
}

function look({ paths, ...options }: Watched): Look {
  const found = findSources(paths, options);
  const folders = new Set<string>(found.folders);
  const targets = new Set<string>();
  const files = [...found.problems];
  for (const path of [...paths, ...found.files])
    if (path !== "-") for (const one of waysTo(path)) folders.add(one);
  for (const file of found.files) {
    const target = realOf(file);
    if (target !== undefined) targets.add(target);
    files.push(stateOf(file));
  }
  const places = [...[...folders].map((folder) => `${folder} ${inodeOf(folder)}`), ...targets].sort();
  return { files: files.join("\n"), places: places.join("\n"), watch: new Set([...folders, ...targets]) };
}

function together(looks: readonly Look[]): Look {
  return {
    files: looks.map(({ files }) => files).join("\n"),
    places: looks.map(({ places }) => places).join("\n"),
    watch: new Set(looks.flatMap(({ watch }) => [...watch])),
  };
}

function stateOf(file: string): string {
  try {
    const { mtimeMs, ctimeMs, size, ino } = statSync(file);
    return `${file} ${mtimeMs} ${ctimeMs} ${size} ${ino}`;
  } catch (error) {
    // It is gone or not accessible; the code that reads it reports why.
    return `${file} ${(error as NodeJS.ErrnoException).code}`;
  }
}

function inodeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino;
}

function realOf(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

/** Linux follows at most this many links in a path. */
const MAX_LINKS = 40;

/**
 * The folders in which a change can make a path refer to another file: the file's own, and that of each link on the
 * way. If a part of the path is missing, the folder in which it would appear.
 */
function waysTo(path: string): string[] {
  const { root } = parse(resolve(path));
  const folders: string[] = [];
  let rest = resolve(path).slice(root.length).split(sep);
  let at = root;
  for (let links = 0; links < MAX_LINKS; ) {
    const [name, ...others] = rest;
    if (name === undefined) break;
    const next = join(at, name);
    const entry = stateOfEntry(next);
    if (entry === undefined || others.length === 0) folders.push(at);
    if (entry === undefined) break;
    rest = others;
    if (entry === "other") {
      at = next;
      continue;
    }
    links++;
    folders.push(at);
    const target = isAbsolute(entry.link) ? entry.link : join(at, entry.link);
    // From the root again, because the target may contain links.
    rest = [
      ...resolve(target)
        .slice(root.length)
        .split(sep)
        .filter((part) => part !== ""),
      ...others,
    ];
    at = root;
  }
  return folders;
}

/** @returns undefined if there is nothing, or it is not accessible */
function stateOfEntry(path: string): { link: string } | "other" | undefined {
  try {
    return lstatSync(path).isSymbolicLink() ? { link: readlinkSync(path) } : "other";
  } catch {
    return undefined;
  }
}
