/** The GitHub Action and the hooks of pre-commit, run as their runners run them, in a repository with one change. */
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { ROOT, TOOL, Workspace } from "../support/cli.ts";

const workspace = new Workspace();
afterAll(() => workspace.remove());
const git = (folder: string, ...args: string[]) =>
  execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@example.com", ...args], {
    cwd: workspace.path(folder),
    stdio: "pipe",
  });
const policy = (path: string) => `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: shop, namespace: shop}
spec: {action: ALLOW, rules: [{to: [{operation: {paths: ["${path}"]}}]}]}
`;

/** Runs a script with the built tool instead of what npm would install. */
function run(script: string, folder: string, env: Record<string, string> = {}) {
  const PATH = `${workspace.path("bin")}:${process.env["PATH"]}`;
  const { status, stdout, stderr } = spawnSync("bash", ["-e", "-o", "pipefail", "-c", script], {
    cwd: workspace.path(folder),
    encoding: "utf8",
    env: { ...process.env, ...env, PATH, NO_COLOR: "1", FORCE_COLOR: undefined },
  });
  return { status, stdout, stderr };
}

beforeAll(() => {
  mkdirSync(workspace.path("bin"));
  const shim = (name: string, text: string) => {
    writeFileSync(workspace.path("bin", name), `#!/bin/sh\n${text}\n`);
    chmodSync(workspace.path("bin", name), 0o755);
  };
  shim("jwtgate", `exec "${process.execPath}" "${TOOL}" "$@"`);
  // npx --yes jwtgate@VERSION …
  shim("npx", 'echo "$2" > "$NPX_LOG"; shift 2; exec jwtgate "$@"');
  mkdirSync(workspace.path("upstream", "policies"), { recursive: true });
  git("upstream", "init", "--quiet", "--initial-branch=main");
  writeFileSync(workspace.path("upstream/policies/shop.yaml"), policy("/a/*"));
  git("upstream", "add", ".");
  git("upstream", "commit", "--quiet", "--message", "first");
  execFileSync("git", ["clone", "--quiet", workspace.path("upstream"), workspace.path("clone")], {
    stdio: "pipe",
  });
  writeFileSync(workspace.path("clone/policies/shop.yaml"), policy("/a*"));
});

describe("the GitHub Action", () => {
  interface Action {
    inputs: Record<string, { default: string }>;
    runs: { using: string; steps: { shell: string; env: Record<string, string>; run: string }[] };
  }
  const action = parse(readFileSync(join(ROOT, "action.yml"), "utf8")) as Action;
  const [step] = action.runs.steps;

  /** The environment of the step, with each expression replaced by its input. */
  function environment(inputs: Record<string, string>): Record<string, string> {
    return Object.fromEntries(
      Object.entries(step?.env ?? {}).map(([name, text]) => {
        const input = /^\$\{\{ inputs\.([a-z-]+) \}\}$/.exec(text)?.[1] ?? "";
        return [name, inputs[input] ?? action.inputs[input]?.default ?? "?"];
      }),
    );
  }
  const runAction = (inputs: Record<string, string> = {}) =>
    run(step?.run ?? "", "clone", {
      ...environment(inputs),
      GITHUB_BASE_REF: "main",
      GITHUB_WORKSPACE: workspace.path("clone"),
      NPX_LOG: workspace.path("npx.log"),
    });

  test("is one step of bash, which gets its inputs only from its environment", () => {
    expect(action.runs).toMatchObject({ using: "composite", steps: [{ shell: "bash" }] });
    expect(step?.run).not.toContain("${{");
    expect(Object.values(environment({}))).not.toContain("?");
  });

  test("compares with the base branch, and annotates the deciding line", () => {
    const { status, stdout } = runAction();
    expect(status).toBe(1);
    expect(stdout).toMatch(
      /^::error file=policies\/shop\.yaml,line=4,col=\d+,title=opened%3A GET \/a of localhost::/,
    );
    const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
    expect(readFileSync(workspace.path("npx.log"), "utf8").trim()).toBe(`jwtgate@${version}`);
  });

  test("takes another base and options", () => {
    expect(runAction({ old: "policies/", options: "--namespace shop" })).toEqual({
      status: 0,
      stdout: "",
      stderr: "",
    });
    expect(runAction({ options: "--namespace none" }).status).toBe(1);
  });
});

describe("the hooks of pre-commit", () => {
  interface Hook {
    id: string;
    entry: string;
    args: string[];
    language: string;
    pass_filenames: boolean;
  }
  const hooks = parse(readFileSync(join(ROOT, ".pre-commit-hooks.yaml"), "utf8")) as Hook[];
  const runHook = (id: string, args?: string[]) => {
    const hook = hooks.find((one) => one.id === id);
    if (hook === undefined) throw new Error(`there is no hook ${id}`);
    expect(hook).toMatchObject({ language: "node", pass_filenames: false });
    const words = (args ?? hook.args).map((word) => `'${word}'`).join(" ");
    return run(`${hook.entry} ${words}`, "clone");
  };

  test("diff fails if a commit opens something", () => {
    const { status, stdout } = runHook("jwtgate-diff");
    expect(status).toBe(1);
    expect(stdout).toContain("opened: GET /a of localhost");
    expect(runHook("jwtgate-diff", ["--old", "policies/", "--new", "policies/"]).status).toBe(0);
  });

  test("test runs the repository's test files", () => {
    writeFileSync(
      workspace.path("clone/policies/shop.test.yaml"),
      "policies: [shop.yaml]\ntests: [{name: b, request: {path: /b}, expect: 403}]\n",
    );
    expect(runHook("jwtgate-test").stdout).toContain("1 passed");
  });

  test("check lints the policies", () => {
    expect(runHook("jwtgate-check")).toMatchObject({ status: 0, stderr: "" });
  });
});
