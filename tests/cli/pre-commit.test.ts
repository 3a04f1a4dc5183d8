/**
 * The hooks under the real pre-commit, which clones a repository of hooks and installs it with npm. The repository here has
 * what is built already; what the hooks themselves do is in ci-entry-points.test.ts.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ROOT, Workspace } from "../support/cli.ts";

/** Of 2026-11, with what it needs. */
const REQUIREMENTS = [
  ...["pre-commit==4.7.0", "cfgv==3.5.0", "distlib==0.4.4", "filelock==4.3.1", "identify==2.6.20"],
  ...["nodeenv==1.12.0", "packaging==26.4", "platformdirs==4.14.8", "python-discovery==1.9.6"],
  ...["PyYAML==6.0.4", "virtualenv==21.15.11"],
];

/** The program in a virtual environment of the project's cache; undefined if it cannot be installed. */
function installed(): string | undefined {
  const folder = join(ROOT, ".cache", "pre-commit-4.7.0");
  const program = join(folder, "bin", "pre-commit");
  if (existsSync(program)) return program;
  mkdirSync(join(ROOT, ".cache"), { recursive: true });
  const partial = mkdtempSync(`${folder}.`);
  const packages = join(partial, "packages");
  const pip = ["-I", "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"];
  const args = [...pip, "--no-deps", "--target", packages, ...REQUIREMENTS];
  if (spawnSync("python3", args, { stdio: "ignore", timeout: 120_000 }).status !== 0) {
    process.stderr.write("pre-commit cannot be installed from PyPI: its test is skipped\n");
    return undefined;
  }
  mkdirSync(join(partial, "bin"));
  // A script that finds its packages next to it, wherever the folder is.
  const script = `#!/bin/sh
here=$(cd "$(dirname "$0")/.." && pwd)
PYTHONPATH="$here/packages" exec python3 -m pre_commit "$@"
`;
  writeFileSync(join(partial, "bin", "pre-commit"), script, { mode: 0o755 });
  if (!existsSync(folder)) renameSync(partial, folder);
  return program;
}

const program = installed();
const workspace = new Workspace();
afterAll(() => workspace.remove());
const git = (folder: string, ...args: string[]) =>
  execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@example.com", ...args], {
    cwd: workspace.path(folder),
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
const policy = (path: string) => `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: shop, namespace: shop}
spec: {action: ALLOW, rules: [{to: [{operation: {paths: ["${path}"]}}]}]}
`;
const write = (name: string, text: string) => writeFileSync(workspace.path(name), text);

/** The repository of the hooks, and one that uses them, in which a commit opens a path. */
beforeAll(() => {
  for (const folder of ["hooks/dist", "hooks/build", "shop/policies"])
    mkdirSync(workspace.path(folder), { recursive: true });
  for (const file of ["dist/jwtgate.mjs", "build/jwtgate.wasm", "build/jwtgate.trace.wasm"])
    cpSync(join(ROOT, file), workspace.path("hooks", file));
  cpSync(join(ROOT, ".pre-commit-hooks.yaml"), workspace.path("hooks/.pre-commit-hooks.yaml"));
  const { devDependencies, overrides, ...rest } = JSON.parse(
    readFileSync(join(ROOT, "package.json"), "utf8"),
  ) as Record<string, unknown>;
  // npm prints what the script that builds prints, before the name of the package.
  const scripts = { prepack: "node --print 0" };
  write("hooks/package.json", JSON.stringify({ ...rest, scripts }));
  write("shop/policies/shop.yaml", policy("/a/*"));
  write(
    "shop/policies/shop.test.yaml",
    "policies: [shop.yaml]\ntests: [{name: b, request: {path: /b}, expect: 403}]\n",
  );
  for (const folder of ["hooks", "shop"]) {
    git(folder, "init", "--quiet", "--initial-branch=main");
    git(folder, "add", ".");
    git(folder, "commit", "--quiet", "--message", "first");
  }
  const revision = git("hooks", "rev-parse", "HEAD").trim();
  const ids = ["jwtgate-diff", "jwtgate-test", "jwtgate-check"];
  const hooks = { repo: workspace.path("hooks"), rev: revision, hooks: ids.map((id) => ({ id })) };
  write("shop/.pre-commit-config.yaml", JSON.stringify({ repos: [hooks] }));
  git("shop", "add", ".");
  git("shop", "commit", "--quiet", "--message", "hooks");
});

function preCommit(...args: string[]) {
  const { status, stdout } = spawnSync(program ?? "", args, {
    cwd: workspace.path("shop"),
    encoding: "utf8",
    timeout: 240_000,
    env: { ...process.env, PRE_COMMIT_HOME: workspace.path("home"), NO_COLOR: "1", FORCE_COLOR: undefined },
  });
  return { status, stdout };
}

describe.skipIf(program === undefined)("pre-commit", () => {
  test("refuses a commit that opens something, and names the request", () => {
    write("shop/policies/shop.yaml", policy("/a*"));
    git("shop", "add", ".");
    const { status, stdout } = preCommit("run", "--color", "never");
    expect(stdout).toMatch(/what a change of policies opens\.+Failed/);
    expect(stdout).toContain("opened: GET /a of localhost");
    expect(stdout).toMatch(/tests and properties of policies\.+Passed/);
    expect(stdout).toMatch(/findings about policies\.+Passed/);
    expect(status).toBe(1);
  });

  test("lets a commit pass that opens nothing", () => {
    write("shop/policies/shop.yaml", policy("/a/b"));
    git("shop", "add", ".");
    const { status, stdout } = preCommit("run", "--color", "never");
    expect(stdout).toMatch(/what a change of policies opens\.+Passed/);
    expect(status).toBe(0);
  });
});
