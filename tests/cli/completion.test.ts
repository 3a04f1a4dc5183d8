/** `jwtgate completion`: bash completes all commands and options; the scripts of other shells contain the same words. */
import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TARGETS } from "../../tools/targets/index.ts";
import { Workspace } from "../support/cli.ts";

const workspace = new Workspace();
afterAll(() => workspace.remove());

let script: string;
beforeAll(() => {
  script = workspace.run(["completion", "bash"]).stdout;
});

/** Bash's completions after these words, the last of which is incomplete. */
function complete(...words: string[]): string[] {
  const { stdout, stderr } = spawnSync(
    "bash",
    [
      "--norc",
      "-euc",
      `eval "$SCRIPT"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _jwtgate || true; printf '%s\\n' "\${COMPREPLY[@]}"`,
      "bash",
      "jwtgate",
      ...words,
    ],
    { encoding: "utf8", env: { ...process.env, SCRIPT: script } },
  );
  expect(stderr).toBe("");
  return stdout.split("\n").filter((line) => line !== "");
}

describe("bash", () => {
  test("completes commands, and commands below them", () => {
    expect(complete("")).toEqual(
      expect.arrayContaining(["compile", "token", "run", "completion", "--version"]),
    );
    expect(complete("comp")).toEqual(["compile", "completion"]);
    expect(complete("token", "")).toEqual(expect.arrayContaining(["sign", "decode", "verify"]));
  });

  test("completes options of the command before it", () => {
    expect(complete("compile", "--out")).toEqual(["--output", "--output-file"]);
    expect(complete("token", "verify", "--jw")).toEqual(["--jwks", "--jwks-ca"]);
    expect(complete("token", "sign", "--kid", "x", "--cl")).toEqual(["--claim", "--claims"]);
  });

  test("completes the options that all commands take", () => {
    expect(complete("token", "verify", "--col")).toEqual(["--color"]);
    expect(complete("check", "--color", "")).toEqual(["always", "auto", "never"]);
  });

  test("completes known values, and file names for others", () => {
    expect(complete("compile", "--output", "")).toEqual([...TARGETS.keys()]);
    expect(complete("token", "sign", "--alg", "Ed")).toEqual(["EdDSA", "Ed25519"]);
    expect(complete("completion", "z")).toEqual(["zsh"]);
    expect(complete("compile", "-f", "")).toEqual([]);
  });
});

test("zsh runs bash's script", () => {
  const { status, stdout } = workspace.run(["completion", "zsh"]);
  expect(status).toBe(0);
  expect(stdout).toContain("bashcompinit");
  expect(stdout.endsWith(script)).toBe(true);
});

test("fish has a line for each command and option", () => {
  const { stdout } = workspace.run(["completion", "fish"]);
  for (const word of ["-a compile ", "-a verify ", "-l output ", "-a 'bash zsh fish'", "-s f -l file -r"]) {
    expect(stdout).toContain(word);
  }
  // Each quote that opens closes in its line.
  for (const line of stdout.trim().split("\n")) {
    expect(line.replace(/\\['\\]/g, "").match(/'/g)?.length ?? 0).toSatisfy(
      (count: number) => count % 2 === 0,
    );
  }
});

test("an unknown shell is a wrong command line", () => {
  const { status, stderr } = workspace.run(["completion", "tcsh"]);
  expect(status).toBe(2);
  expect(stderr).toContain("Allowed choices are bash, zsh, fish.");
});
