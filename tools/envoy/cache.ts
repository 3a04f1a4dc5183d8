/** This user's folder for programs that the tool installs. No other user can write to it. */
import { lstatSync, mkdirSync, readFileSync, realpathSync, type Stats, statSync } from "node:fs";
import { userInfo } from "node:os";
import { dirname, isAbsolute, join } from "node:path";

/** There is no such folder; the message explains why and what to do, without a full stop. */
export class NoCacheFolder extends Error {
  override readonly name = "NoCacheFolder";
}

const NAME = "jwtgate";

/**
 * Where the platform keeps files that can be made again: `$XDG_CACHE_HOME` or `~/.cache` (XDG Base Directory
 * Specification), `~/Library/Caches` on macOS. A relative `XDG_CACHE_HOME` counts as absent, as the specification
 * requires.
 *
 * @returns the tool's own folder in it, absolute; it need not exist
 * @throws {NoCacheFolder}
 */
export function cacheFolder(environment: NodeJS.ProcessEnv, platform: NodeJS.Platform): string {
  const { XDG_CACHE_HOME: chosen = "" } = environment;
  if (platform !== "darwin" && isAbsolute(chosen)) return join(chosen, NAME);
  const home = homeFolder(environment);
  return platform === "darwin" ? join(home, "Library", "Caches", NAME) : join(home, ".cache", NAME);
}

function homeFolder({ HOME = "" }: NodeJS.ProcessEnv): string {
  if (isAbsolute(HOME)) return HOME;
  try {
    const home = userInfo().homedir;
    if (isAbsolute(home)) return home;
  } catch {
    // This user is not in the list of users.
  }
  throw new NoCacheFolder("there is no home folder to install it into: set HOME or XDG_CACHE_HOME");
}

/**
 * Makes a folder in the cache folder if it is missing, for this user alone, and refuses it if another user could put
 * something else there.
 *
 * @param cache the result of `cacheFolder`
 * @param folder the cache folder itself, or one in it
 * @throws {NoCacheFolder}
 */
export function makePrivateFolder(cache: string, folder: string): void {
  // Also before anything is made, so that nothing is left in a refused place.
  refuseShared(cache, folder);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new NoCacheFolder(`the folder ${folder} cannot be made: ${reasonOf(error)}`);
  }
  refuseShared(cache, folder);
}

/** Checks a folder and all folders that contain it, even if a part of its path is a link. */
function refuseShared(cache: string, folder: string): void {
  const way = [...ancestors(folder)];
  for (const path of way) {
    const stats = path.startsWith(cache) ? statsOf(lstatSync, path) : undefined;
    const fault = stats && faultOfOwn(stats);
    if (fault !== undefined) refuse(path, fault);
  }
  const parents = way.filter((path) => !path.startsWith(cache));
  const nearest = parents.find((path) => statsOf(statSync, path) !== undefined) ?? "/";
  for (const path of [...parents, ...ancestors(realpathSync(nearest))]) {
    const stats = statsOf(statSync, path);
    const fault = stats && faultOfParent(stats);
    if (fault !== undefined) refuse(path, fault);
  }
}

function refuse(path: string, fault: string): never {
  throw new NoCacheFolder(`${path} ${fault}: correct that, or name another folder in XDG_CACHE_HOME`);
}

/** A path and every folder that contains it, the innermost first. */
function* ancestors(path: string): Generator<string, void> {
  yield path;
  const parent = dirname(path);
  if (parent !== path) yield* ancestors(parent);
}

/** @returns undefined if there is nothing */
function statsOf(read: (path: string) => Stats, path: string): Stats | undefined {
  try {
    return read(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new NoCacheFolder(`${path} cannot be read: ${reasonOf(error)}`);
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const GROUP_CAN_WRITE = 0o020;
const ALL_CAN_WRITE = 0o002;
/** Only an entry's owner can rename or remove it, as in /tmp. */
const STICKY = 0o1000;

const OTHERS_CAN_WRITE = "can be written to by other users";
const ANOTHERS = "belongs to another user";

function faultOfOwn(stats: Stats): string | undefined {
  if (!stats.isDirectory()) return "is not a folder";
  if (stats.uid !== process.geteuid?.()) return ANOTHERS;
  return (stats.mode & (GROUP_CAN_WRITE | ALL_CAN_WRITE)) !== 0 ? OTHERS_CAN_WRITE : undefined;
}

function faultOfParent({ uid, gid, mode }: Stats): string | undefined {
  const [user, group] = [process.geteuid?.(), process.getegid?.()];
  if (uid !== 0 && uid !== user && !isOutsideOurs(uid)) return ANOTHERS;
  if ((mode & STICKY) !== 0) return undefined;
  // Many systems give each user a group of the same number, and let it write: it has no other member. Root's group
  // counts as root.
  const isPrivate = gid === 0 || (gid === group && gid === user);
  const harmful = isPrivate ? ALL_CAN_WRITE : GROUP_CAN_WRITE | ALL_CAN_WRITE;
  return (mode & harmful) !== 0 ? OTHERS_CAN_WRITE : undefined;
}

/**
 * In a user namespace (a sandbox, a container without root), the system's root is shown as this user, and no
 * process inside can act as it (user_namespaces(7)).
 */
function isOutsideOurs(uid: number): boolean {
  try {
    const overflow = Number(readFileSync("/proc/sys/kernel/overflowuid", "utf8"));
    const hasAllUsers = /^\s*0\s+0\s+4294967295\s*$/.test(readFileSync("/proc/self/uid_map", "utf8"));
    return uid === overflow && !hasAllUsers;
  } catch {
    return false;
  }
}
