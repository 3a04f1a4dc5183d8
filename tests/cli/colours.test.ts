/**
 * What determines whether results have colours: the command line, then FORCE_COLOR and NO_COLOR, then the
 * terminal.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ISTIO_TOKEN } from "../../tools/demo/tokens.ts";
import { ROOT, TOOL, Workspace } from "../support/cli.ts";

const workspace = new Workspace();
afterAll(() => workspace.remove());

const SAMPLE = join(ROOT, "envoy/istio/one-principal.yaml");
const TESTS = join(ROOT, "envoy/istio/one-principal.test.yaml");
const ESCAPE = "\u001b[";
const DECODE = ["token", "decode", ISTIO_TOKEN];

/** Each command that has colours. */
const COMMANDS: [string, string[]][] = [
  ["token decode", DECODE],
  ["explain", ["explain", "-f", SAMPLE, "--at", "2026-01-31T12:00:00Z"]],
  ["check", ["check", "-f", "policy.yaml"]],
  ["test", ["test", TESTS]],
];

/** Text without its colours (ECMA-48, 8.3.117). */
const plain = (text: string) => text.replaceAll(/\u001b\[\d+m/g, "");

beforeAll(() => {
  // `check` has colours if there is an error.
  const policy = readFileSync(SAMPLE, "utf8");
  const wrong = policy.replace(/requestPrincipals: .*/, 'requestPrincipals: ["*/*"]');
  expect(wrong).not.toBe(policy);
  writeFileSync(workspace.path("policy.yaml"), wrong);
});

describe.each(COMMANDS)("%s", (_name, args) => {
  test("has colours with --color always, after and before the command, and is the same text", () => {
    const { stdout } = workspace.run([...args, "--color", "always"]);
    const without = workspace.run([...args, "--color", "never"]).stdout;
    expect(stdout).toContain(ESCAPE);
    expect(without).not.toContain(ESCAPE);
    const durations = /\(\d[\d.]* m?s\)|\d+ ms|\d+\.\d+ s/g;
    expect(plain(stdout).replaceAll(durations, "")).toBe(without.replaceAll(durations, ""));
    expect(workspace.run(["--color", "always", ...args]).stdout).toContain(ESCAPE);
  });

  test("has no colours if the output is not a terminal", () => {
    expect(workspace.run(args).stdout).not.toContain(ESCAPE);
  });
});

describe("the environment", () => {
  const has = (env: Record<string, string>, ...options: string[]) =>
    workspace.run([...DECODE, ...options], { env }).stdout.includes(ESCAPE);

  test("forces colours with any FORCE_COLOR that is not empty (force-color.org)", () => {
    expect(has({ FORCE_COLOR: "1" })).toBe(true);
    expect(has({ FORCE_COLOR: "0" })).toBe(true);
    expect(has({ FORCE_COLOR: "" })).toBe(false);
    expect(has({ FORCE_COLOR: "1", TERM: "dumb" })).toBe(true);
  });

  test("prefers FORCE_COLOR to NO_COLOR, and the command line to both", () => {
    expect(has({ FORCE_COLOR: "1", NO_COLOR: "1" })).toBe(true);
    expect(has({ FORCE_COLOR: "1" }, "--color", "never")).toBe(false);
    expect(has({ FORCE_COLOR: "1" }, "--no-color")).toBe(false);
    expect(has({ NO_COLOR: "1" }, "--color", "always")).toBe(true);
    expect(has({ FORCE_COLOR: "1" }, "--color", "auto")).toBe(true);
  });
});

describe("on a terminal", () => {
  /** What the tool writes to a terminal that Python provides. */
  function onTerminal(env: Record<string, string>, ...options: string[]): string {
    const { status, stdout, stderr } = spawnSync(
      "python3",
      [
        "-c",
        "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]))",
        process.execPath,
        TOOL,
        ...DECODE,
        ...options,
      ],
      {
        encoding: "utf8",
        timeout: 240_000,
        env: { ...process.env, FORCE_COLOR: undefined, NO_COLOR: "", TERM: "xterm", ...env },
      },
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    return stdout;
  }

  test("there are colours, but not with NO_COLOR of any value, a dumb terminal, --color never or -o", () => {
    expect(onTerminal({})).toContain(ESCAPE);
    expect(onTerminal({ NO_COLOR: "" })).toContain(ESCAPE);
    expect(onTerminal({ NO_COLOR: "0" })).not.toContain(ESCAPE);
    expect(onTerminal({ TERM: "dumb" })).not.toContain(ESCAPE);
    expect(onTerminal({}, "--no-color")).not.toContain(ESCAPE);
    onTerminal({}, "-o", workspace.path("decoded.txt"));
    expect(readFileSync(workspace.path("decoded.txt"), "utf8")).not.toContain(ESCAPE);
  });
});

test("another word after --color is refused", () => {
  const { status, stderr } = workspace.run([...DECODE, "--color", "yes"]);
  expect(status).toBe(2);
  expect(stderr).toContain("Allowed choices are always, auto, never.");
});
