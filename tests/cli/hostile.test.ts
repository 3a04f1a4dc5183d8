/** Every command with hostile input: one clean line each, soon, and no stack trace. */
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { ROOT, TOOL, Workspace } from "../support/cli.ts";

const workspace = new Workspace();
afterAll(() => workspace.remove());

// These tests wait for programs without letting anything else run: for more than a minute on a busy machine, which is as
// long as vitest waits for a sign of life.
afterEach(() => new Promise((resolve) => setImmediate(resolve)));

const MIB = 1024 * 1024;

/** The name of the input → a function that makes it; other inputs are missing or exist already. */
const INPUTS: Record<string, (path: string) => void> = {
  "missing.yaml": () => {},
  folder: (path) => mkdirSync(path),
  "/proc/self/mem": () => {},
  "/dev/zero": () => {},
  "/dev/null": () => {},
  "binary.yaml": (path) => writeFileSync(path, Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0xff, 0xfe])),
  "invalid-utf8.yaml": (path) => writeFileSync(path, Buffer.from("a: \xe9\xff\n", "latin1")),
  "large.yaml": (path) => writeFileSync(path, Buffer.alloc(50 * MIB, "- a: b\n")),
  "values.yaml": (path) => writeFileSync(path, Buffer.alloc(5 * MIB, "- a: b\n")),
  "errors.yaml": (path) => writeFileSync(path, Buffer.alloc(5 * MIB, "}\n")),
  "documents.yaml": (path) => writeFileSync(path, Buffer.alloc(5 * MIB, "---\na: b\na: c\n")),
  "twice.yaml": (path) => writeFileSync(path, Buffer.alloc(5 * MIB, "a: b\n")),
  "one-line.yaml": (path) => writeFileSync(path, Buffer.alloc(5 * MIB, "[")),
  "bomb.yaml": (path) => {
    const names = "abcdefghij".split("");
    const lines = names.map((name, i) => {
      const before = names[i - 1];
      return `${name}: &${name} [${Array(10)
        .fill(before ? `*${before}` : "x")
        .join(",")}]`;
    });
    writeFileSync(path, `${lines.join("\n")}\n`);
  },
  "circle.yaml": (path) => symlinkSync(path, path),
  "file/inside.yaml": (path) => writeFileSync(join(path, ".."), ""),
};

beforeAll(() => {
  for (const [name, make] of Object.entries(INPUTS)) if (!name.startsWith("/")) make(workspace.path(name));
});

/** Each way that a command takes a file. */
const COMMANDS: Record<string, (file: string) => string[]> = {
  compile: (file) => ["compile", "-f", file],
  "compile --output envoy": (file) => [
    ...["compile", "-f", file, "--output", "envoy", "--listen", "127.0.0.1:1", "--upstream", "a:1"],
  ],
  explain: (file) => ["explain", "-f", file, "--path", "/"],
  check: (file) => ["check", "-f", file],
  test: (file) => ["test", file],
  run: (file) => ["run", "-f", file, "--upstream", "127.0.0.1:1"],
  new: (file) => ["new", "--issuer", "a", "--jwks", file],
  import: (file) => ["import", file],
  jwk: (file) => ["jwk", file],
  "token sign": (file) => ["token", "sign", "--key", file],
  "token verify -f": (file) => ["token", "verify", "-f", file, "x"],
  "token verify --jwks": (file) => ["token", "verify", "--jwks", file, "x"],
  image: (file) => ["image", "out", "--module", file],
};

function expectClean(stderr: string): void {
  expect(stderr).not.toMatch(/has a bug|^ {4}at |node:internal|\x1b/m);
  const lines = stderr.trimEnd().split("\n");
  expect(lines[0]).not.toBe("");
  // Several faults are several lines, each with its position, up to a limit.
  expect(lines.length).toBeLessThan(60);
  for (const line of lines) expect(line.length).toBeLessThan(400);
}

describe.each(Object.keys(COMMANDS))("%s", (command) => {
  test.each(Object.keys(INPUTS))("of %s", (input) => {
    const args = COMMANDS[command]?.(input) ?? [];
    const { status, stdout, stderr } = spawnSync(process.execPath, [TOOL, ...args], {
      cwd: workspace.folder,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
      timeout: 240_000,
      maxBuffer: 16 * MIB,
    });
    expect(status, stderr).toBe(1);
    // A test file with a fault is a part of the report, which is a result.
    if (command === "test") return expectClean(stdout);
    expect(stdout).toBe("");
    expectClean(stderr);
  });
});

describe("standard input", () => {
  const closed = [
    "compile",
    "check",
    "token decode",
    "jwk -",
    "token sign --key -",
    "new --issuer a --jwks -",
  ];

  test.each(closed)("that does not exist: %s", (line) => {
    const args = line === "compile" || line === "check" ? [line, "-f", "-"] : line.split(" ");
    const { status, stdout, stderr } = spawnSync(
      "bash",
      ["-c", '"$@" <&-', "bash", process.execPath, TOOL, ...args],
      {
        cwd: workspace.folder,
        encoding: "utf8",
      },
    );
    expect({ status, stdout }, stderr).toEqual({ status: 1, stdout: "" });
    expectClean(stderr);
  });

  test("of 50 MB", () => {
    const { status, stderr } = workspace.run(["token", "decode"], { input: Buffer.alloc(50 * MIB, "a") });
    expect({ status, stderr }).toEqual({ status: 1, stderr: "<stdin>: this is larger than 1 MiB\n" });
  });
});

describe("a reader that stops reading", () => {
  const sample = join(ROOT, "envoy/istio/skip-a-path.yaml");

  test.each([
    ["compile", "-f", sample],
    ["compile", "-f", sample, "--output", "envoy", "--listen", "127.0.0.1:1", "--upstream", "a:1"],
    ["completion", "bash"],
    ["image", "-", "--json"],
    ["explain", "-f", sample],
    ["--help"],
  ])("%s %s", async (...args) => {
    const child = spawn(process.execPath, [TOOL, ...args], { cwd: workspace.folder });
    child.stdout.destroy();
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    const status = await new Promise((resolve) => child.on("close", resolve));
    expect(status).toBe(0);
    expect(stderr).not.toMatch(/EPIPE|bug/);
  });

  test("for messages too", () => {
    const { stdout } = spawnSync(
      "bash",
      ["-c", '"$@" 2> >(true); echo $?', "bash", process.execPath, TOOL, "compil"],
      {
        encoding: "utf8",
      },
    );
    expect(stdout).toBe("2\n");
  });
});

describe("many policies", () => {
  const policy = (name: number, field: string) => `---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: p${name}
spec:
  rules:
  - to:
    - operation:
        ${field}: ["/${name}"]
`;
  const write = (field: string) => {
    const texts = Array.from({ length: 10_000 }, (_, i) => policy(i, field));
    writeFileSync(workspace.path("many.yaml"), texts.join(""));
  };

  test("ten thousand of them compile", () => {
    write("paths");
    const { status, stdout, stderr } = workspace.run(["compile", "-f", "many.yaml"]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toContain("policy[p9999]");
  });

  test("the first of many errors are reported, and that there are more", () => {
    write("pats");
    const { status, stderr } = workspace.run(["compile", "-f", "many.yaml"]);
    const lines = stderr.trimEnd().split("\n");
    expect(status).toBe(1);
    expect(lines).toHaveLength(51);
    expect(lines[49]).toMatch(/^many\.yaml:500:9: unknown field "pats"/);
    expect(lines[50]).toBe("many.yaml: there are more errors in this file than these 50: fix these first");
  });
});

describe("text of a file is shown, and does not control the terminal", () => {
  const name = (kind: string, version: string) => `apiVersion: "${version}"\nkind: "${kind}"\n`;

  test.each([
    ["control characters", name("Pod\\e[2J", "v1\\nv2"), "Pod\\u001b[2J (v1\\u000av2)"],
    ["very long names", name("Pod", "v".repeat(100_000)), "is not a policy and is not compiled"],
    ["very many aliases", `a: *${"t".repeat(100_000)}\n`, "put a value that begins with * in quotes"],
  ])("%s", (_, text, expected) => {
    for (const command of ["compile", "check"]) {
      const { stderr } = workspace.run([command, "-f", "-"], { input: text });
      expectClean(stderr);
      if (command === "compile") expect(stderr).toContain(expected);
    }
  });
});

test("a full output is reported", () => {
  const { status, stderr } = spawnSync(
    "bash",
    [
      "-c",
      '"$@" > /dev/full',
      "bash",
      process.execPath,
      TOOL,
      "compile",
      "-f",
      join(ROOT, "envoy/istio/skip-a-path.yaml"),
    ],
    { encoding: "utf8" },
  );
  expect(status).toBe(1);
  expectClean(stderr);
});
