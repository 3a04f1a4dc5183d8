/** Writes files so that each is replaced as a whole or not at all. */
import { randomBytes } from "node:crypto";
import {
  accessSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";

export interface WriteOptions {
  /** Permissions, also of a file that is replaced; absent: those of the replaced file, or the default of the umask. */
  mode?: number;
  /** Fails with `EEXIST` if there is such a file. */
  isNew?: boolean;
}

/**
 * Writes a file so that at every moment either the old or the new content is there as a whole: the bytes go into a file
 * next to it, reach the disk, and take its name (rename(2)). A symbolic link is kept, and the file that it names is
 * replaced. Devices and pipes have no content to lose, and are written to directly. A signal that would end this
 * process waits until the file is written.
 *
 * @throws {NodeJS.ErrnoException} if it cannot be written; then nothing has changed
 */
export async function writeFileSafely(
  path: string,
  data: string | Uint8Array,
  options: WriteOptions = {},
): Promise<void> {
  let received: NodeJS.Signals | undefined;
  const remember = (signal: NodeJS.Signals) => {
    received = signal;
  };
  const signals = SIGNALS.filter((signal) => process.listenerCount(signal) === 0);
  for (const signal of signals) process.on(signal, remember);
  try {
    replace(path, data, options);
  } finally {
    // A signal that came in between is known one turn of the event loop later.
    await new Promise((done) => setImmediate(done));
    for (const signal of signals) process.off(signal, remember);
    if (received !== undefined) process.kill(process.pid, received);
  }
}

/** Signals that end a process that does not handle them. */
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

function replace(path: string, data: string | Uint8Array, { mode, isNew = false }: WriteOptions): void {
  const there = statSync(path, { throwIfNoEntry: false });
  if (isNew && lstatSync(path, { throwIfNoEntry: false })) throw systemError("EEXIST", path);
  if (there?.isDirectory()) throw systemError("EISDIR", path);
  if (there && !there.isFile()) {
    writeFileSync(path, data);
    return;
  }
  // A file that its owner protects from changes is kept, although its folder would allow to replace it.
  if (there) accessSync(path, constants.W_OK);
  const target = there ? realpathSync(path) : endOfLinks(path);
  const beside = join(dirname(target), `.jwtgate-${randomBytes(6).toString("hex")}.tmp`);
  try {
    writeDown(beside, data, mode, there);
    if (isNew) giveNewName(beside, target);
    else renameSync(beside, target);
  } finally {
    rmSync(beside, { force: true });
  }
  syncFolder(dirname(target));
}

/** Writes a new file and waits until it is on the disk. */
function writeDown(
  path: string,
  data: string | Uint8Array,
  mode: number | undefined,
  old: Stats | undefined,
): void {
  const descriptor = openSync(path, "wx", mode ?? (old === undefined ? 0o666 : 0o600));
  try {
    if (old !== undefined) keepOwner(descriptor, old);
    if (mode !== undefined || old !== undefined) fchmodSync(descriptor, mode ?? (old?.mode ?? 0) & 0o7777);
    writeFileSync(descriptor, data);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** The administrator may write another user's file, which keeps its owner. Other users cannot give files away. */
function keepOwner(descriptor: number, { uid, gid }: Stats): void {
  try {
    fchownSync(descriptor, uid, gid);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPERM") throw error;
  }
}

/** Names a file, unless another program has taken the name in between. */
function giveNewName(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    // File systems without hard links (FAT, some mounts) return one of these.
    if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"].includes(codeOf(error))) throw error;
    closeSync(openSync(to, "wx"));
    renameSync(from, to);
  }
}

/** Linux follows this many links at most (path_resolution(7)). */
const MAX_LINKS = 40;

/** The file at the end of a chain of symbolic links; it need not exist. */
function endOfLinks(path: string): string {
  let end = path;
  for (let i = 0; i < MAX_LINKS; i++) {
    if (!lstatSync(end, { throwIfNoEntry: false })?.isSymbolicLink()) return end;
    end = resolve(dirname(end), readlinkSync(end));
  }
  throw systemError("ELOOP", path);
}

/** Makes a new name survive a loss of power, if the system supports that for a folder. */
function syncFolder(folder: string): void {
  try {
    const descriptor = openSync(folder, "r");
    try {
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  } catch {
    // Windows cannot open a folder, and some file systems cannot sync one. The file itself is written.
  }
}

function systemError(code: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${path}`), { code, path });
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? "";
}
