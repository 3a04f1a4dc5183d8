/** Files that the tool writes: completely or not at all, and never over a key without --force. */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { ROOT, TOOL, Workspace } from "../support/cli.ts";

const SAMPLE = join(ROOT, "envoy/istio/one-principal.yaml");
const COMPILE = ["compile", "-f", SAMPLE];

let workspace = new Workspace();
afterAll(() => workspace.remove());
beforeEach(() => {
  workspace.remove();
  workspace = new Workspace();
});

const text = (name: string) => readFileSync(workspace.path(name), "utf8");
const names = (folder = ".") => readdirSync(workspace.path(folder)).sort();
/** Runs the tool in a shell, which sets limits or namespaces for it. */
function shell(script: string, args: readonly string[]) {
  const command = ["-c", script, "sh", process.execPath, TOOL, ...args];
  return spawnSync("sh", command, { cwd: workspace.folder, encoding: "utf8" });
}

describe("-o FILE has the content of standard output", () => {
  const KEY = ["jwk", "--generate", "ES256", "--private", "key.pem"];
  test.each<[string, string[]]>([
    ["compile", COMPILE],
    ["check", ["check", "-f", SAMPLE]],
    ["explain", ["explain", "-f", SAMPLE, "--at", "2030-01-01", "--json"]],
    ["new", ["new", "--issuer", "https://idp.example.com"]],
    ["jwk", ["jwk", "key.pem"]],
    ["token decode", ["token", "decode", "eyJhbGciOiJub25lIn0.e30."]],
    ["image", ["image", "-"]],
    ["image of a folder", ["image", "layout", "--json"]],
    ["completion", ["completion", "bash"]],
  ])("%s", (_, args) => {
    workspace.run(KEY);
    const printed = workspace.run(args);
    const written = workspace.run([...args, "-o", "result"]);
    expect(printed.stdout).not.toBe("");
    // `new` names the file, and the next commands for it.
    const stderr = args[0] === "new" ? printed.stderr : written.stderr;
    expect({ ...written, stderr, stdout: text("result") }).toEqual(printed);
    expect(written.stdout).toBe("");
    expect(workspace.run([...args, "--output-file", "-"]).stdout).toBe(printed.stdout);
  });

  test("token sign and token verify", () => {
    workspace.run([...KEY, "-o", "jwks.json"]);
    const claims = ["--iss", "https://idp.example.com"];
    expect(workspace.run(["token", "sign", "--key", "key.pem", ...claims, "-o", "t"]).stdout).toBe("");
    expect(text("t")).toMatch(/^ey\S+\n$/);
    const verify = ["token", "verify", "--jwks", "jwks.json", text("t").trim()];
    expect(workspace.run([...verify, "-o", "verdict"])).toEqual({ status: 0, stdout: "", stderr: "" });
    expect(text("verdict")).toBe(workspace.run(verify).stdout);
  });

  test("test writes its report although a test fails", () => {
    const suite = { policies: [SAMPLE], tests: [{ name: "a", request: {}, expect: { status: 200 } }] };
    writeFileSync(workspace.path("a.test.yaml"), JSON.stringify(suite));
    const { status } = workspace.run(["test", "a.test.yaml", "--reporter", "junit", "-o", "report.xml"]);
    expect(status).toBe(1);
    expect(text("report.xml")).toContain("<testsuites");
  });
});

describe("an existing file", () => {
  test("stays if the policies do not compile", () => {
    writeFileSync(workspace.path("filter.json"), "old");
    writeFileSync(workspace.path("wrong.yaml"), "kind: AuthorizationPolicy");
    const args = ["compile", "-f", "wrong.yaml", "-o", "filter.json", "--source-map", "map.json"];
    expect(workspace.run(args).status).toBe(1);
    expect(text("filter.json")).toBe("old");
    expect(names()).toEqual(["filter.json", "wrong.yaml"]);
  });

  test("keeps its permissions", () => {
    writeFileSync(workspace.path("filter.json"), "old");
    chmodSync(workspace.path("filter.json"), 0o640);
    workspace.run([...COMPILE, "-o", "filter.json"]);
    expect(statSync(workspace.path("filter.json")).mode & 0o777).toBe(0o640);
    expect(JSON.parse(text("filter.json"))).toHaveProperty("version");
  });

  test.each([
    ["a link to it", "filter.json"],
    ["a link to a missing file", "later.json"],
  ])("%s stays a link, and its file is written", (_, target) => {
    writeFileSync(workspace.path("filter.json"), "old");
    mkdirSync(workspace.path("links"));
    symlinkSync(`../${target}`, workspace.path("links", "link"));
    expect(workspace.run([...COMPILE, "-o", "links/link"]).stderr).toBe("");
    expect(readlinkSync(workspace.path("links", "link"))).toBe(`../${target}`);
    expect(JSON.parse(text(target))).toHaveProperty("version");
    expect(names("links")).toEqual(["link"]);
  });

  test("is a device, and is written to", () => {
    expect(workspace.run([...COMPILE, "-o", "/dev/null"])).toMatchObject({ status: 0, stdout: "" });
    expect(lstatSync("/dev/null").isCharacterDevice()).toBe(true);
  });
});

describe("a result that cannot be written is an error of one line", () => {
  test.each([
    ["folder", "folder: the result cannot be written: this is a folder"],
    ["missing/a", "missing/a: the result cannot be written: its folder does not exist"],
    ["file/a", "file/a: the result cannot be written: a part of the path is not a folder"],
    ["circle", "circle: the result cannot be written: the path has a loop of links"],
    ["/dev/full", "/dev/full: the result cannot be written: the disk is full"],
    ["/proc/x", "/proc/x: the result cannot be written: its folder does not exist"],
    ["n".repeat(300), "the result cannot be written: the name is too long"],
  ])("%s", (file, message) => {
    mkdirSync(workspace.path("folder"));
    writeFileSync(workspace.path("file"), "old");
    symlinkSync("circle", workspace.path("circle"));
    const before = names();
    const { status, stdout, stderr } = workspace.run([...COMPILE, "-o", file]);
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr.endsWith(`${message}\n`), stderr).toBe(true);
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(names()).toEqual(before);
  });

  test("a protected file, for a user other than the administrator", () => {
    writeFileSync(workspace.path("filter.json"), "old");
    chmodSync(workspace.path("filter.json"), 0o444);
    // Another user cannot write coverage.
    const drop =
      process.getuid?.() === 0
        ? 'unset NODE_V8_COVERAGE; chmod 755 .; exec setpriv --reuid 65534 --clear-groups "$@"'
        : 'unset NODE_V8_COVERAGE; exec "$@"';
    const { status, stderr } = shell(drop, [...COMPILE, "-o", "filter.json"]);
    expect(stderr).toBe("filter.json: the result cannot be written: writing it is not permitted\n");
    expect({ status, old: text("filter.json") }).toEqual({ status: 1, old: "old" });
    const { stderr: closed } = shell(`chmod 555 .; ${drop.replace("chmod 755 .; ", "")}`, [
      ...COMPILE,
      "-o",
      "new.json",
    ]);
    chmodSync(workspace.folder, 0o755);
    expect(closed).toBe("new.json: the result cannot be written: writing into its folder is not permitted\n");
  });

  test.each([
    ["the result", [...COMPILE, "-o", "kept"]],
    ["the source map", [...COMPILE, "--source-map", "kept"]],
    ["the image", ["image", "kept.tar"]],
    ["the private key", ["jwk", "--generate", "ES256", "--private", "kept", "--force"]],
  ])("%s that grows over a limit leaves the old file", (what, args) => {
    const file = args.find((arg) => arg.startsWith("kept")) ?? "";
    writeFileSync(workspace.path(file), "old");
    const { status, stderr } = shell('ulimit -f 0; exec "$@"', args);
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: expect.stringContaining(`${file}: ${what} cannot be written: `),
    });
    expect({ names: names(), content: text(file) }).toEqual({ names: [file], content: "old" });
  });
});

/** Mounts need a user namespace, which some machines keep from people; `ulimit` above needs nothing. */
const canMount =
  spawnSync("unshare", ["-Urm", "mount", "-t", "tmpfs", "none", "/mnt"], { stdio: "ignore" }).status === 0;

describe.runIf(canMount)("on a disk that is full", () => {
  /** A small disk with an old file and no more room. */
  const onFullDisk = (args: readonly string[]) =>
    spawnSync(
      "unshare",
      [
        ...["-Urm", "sh", "-c"],
        "mkdir disk && mount -t tmpfs -o size=64k none disk && cd disk && printf old > kept && " +
          '(cat /dev/zero > filler 2>&-; "$@"; echo "$?"; cat kept; echo; ls -A)',
        ...["sh", process.execPath, TOOL, ...args],
      ],
      { cwd: workspace.folder, encoding: "utf8" },
    );

  test.each<[string, string[]]>([
    ["the result", [...COMPILE, "-o", "kept"]],
    ["the source map", [...COMPILE, "--source-map", "kept"]],
    ["the private key", ["jwk", "--generate", "ES256", "--private", "kept", "--force"]],
  ])("%s leaves the old file complete, and no other file", (what, args) => {
    const { stdout, stderr } = onFullDisk(args);
    expect(stderr).toContain(`kept: ${what} cannot be written: the disk is full`);
    expect(stdout).toBe("1\nold\nfiller\nkept\n");
  });

  test("an image leaves no partial layout that looks complete", () => {
    const { stdout, stderr } = onFullDisk(["image", "layout"]);
    expect(stderr).toContain("layout: the image cannot be written: the disk is full");
    expect(stdout).toBe("1\nold\nfiller\nkept\nlayout\n");
  });
});

describe("a private key", () => {
  const generate = (...args: string[]) =>
    workspace.run(["jwk", "--generate", "ES256", "--private", "key.pem", ...args]);

  test("is readable only by its owner, and is replaced only with --force", () => {
    expect(generate().status).toBe(0);
    const first = text("key.pem");
    expect(statSync(workspace.path("key.pem")).mode & 0o777).toBe(0o600);
    const second = generate("-o", "jwks.json");
    expect(second).toEqual({
      status: 1,
      stdout: "",
      stderr:
        "key.pem: this file exists, and may hold a key that is in use: name another one, or replace it with --force\n",
    });
    expect(text("key.pem")).toBe(first);
    chmodSync(workspace.path("key.pem"), 0o644);
    expect(generate("--force").status).toBe(0);
    expect(text("key.pem")).not.toBe(first);
    expect(statSync(workspace.path("key.pem")).mode & 0o777).toBe(0o600);
    expect(names()).toEqual(["key.pem"]);
  });

  test("is not written if the keys next to it are wrong", () => {
    expect(generate("--kid", "a", join(ROOT, "envoy/nginx/jwks.json")).status).toBe(1);
    expect(names()).toEqual([]);
  });

  test("does not follow a link at its path", () => {
    symlinkSync("elsewhere", workspace.path("key.pem"));
    expect(generate().status).toBe(1);
    expect(names()).toEqual(["key.pem"]);
  });

  test("and its public half need a file each", () => {
    const { status, stderr } = generate("-o", "./key.pem");
    expect({ status, names: names() }).toEqual({ status: 2, names: [] });
    expect(stderr).toContain("--private and -o name the same file");
    expect(workspace.run(["jwk", "a", "--force"]).stderr).toContain("--force belongs to --private");
  });
});

test("Ctrl-C while a file is written ends the process after the file is complete", async () => {
  const { outputFiles } = await build({
    entryPoints: [join(ROOT, "tools/files.ts")],
    ...{ bundle: true, platform: "node", format: "esm", write: false },
  });
  // The option is read in the middle of the writing.
  const script = `${outputFiles[0]!.text}
    const interrupted = { get mode() { process.kill(process.pid, "SIGINT"); return 0o600; } };
    await writeFileSafely("kept", "new", interrupted);
    console.log("not reached");`;
  writeFileSync(workspace.path("kept"), "old");
  const { signal, stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
    cwd: workspace.folder,
    encoding: "utf8",
  });
  expect({ signal, stdout, names: names(), content: text("kept") }).toEqual({
    ...{ signal: "SIGINT", stdout: "", names: ["kept"], content: "new" },
  });
});

test("an OCI layout is replaced index last, and a folder of other files is refused", () => {
  mkdirSync(workspace.path("layout", "blobs", "sha256"), { recursive: true });
  // What an interrupted run leaves: the marker and blobs.
  writeFileSync(workspace.path("layout", "oci-layout"), "");
  expect(workspace.run(["image", "layout"]).status).toBe(0);
  const { manifests } = JSON.parse(text("layout/index.json")) as { manifests: { digest: string }[] };
  expect(names("layout/blobs/sha256")).toContain(manifests[0]!.digest.replace("sha256:", ""));
});
