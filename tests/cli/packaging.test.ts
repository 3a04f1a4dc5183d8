/** The package: packed, installed offline into an empty folder, run, imported, and its types checked. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { globalsOf } from "../architecture/imports.ts";
import { ROOT, Workspace } from "../support/cli.ts";

const workspace = new Workspace();
afterAll(() => workspace.remove());

const APP = workspace.path("app");
const INSTALLED = join(APP, "node_modules/jwtgate");

beforeAll(() => {
  const npm = (cwd: string, ...args: string[]) =>
    execFileSync("npm", [...args, "--loglevel=error", "--cache", workspace.path("cache")], {
      cwd,
      encoding: "utf8",
    });
  // What prepack would build has been built before the tests.
  npm(workspace.folder, "pack", ROOT, "--ignore-scripts");
  const tarball = readdirSync(workspace.folder).find((name) => name.endsWith(".tgz"));
  if (tarball === undefined) throw new Error("npm packed nothing");
  mkdirSync(APP);
  npm(APP, "install", join("..", tarball), "--offline", "--no-audit", "--no-fund");
});

function npx(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(join(APP, "node_modules/.bin/jwtgate"), args, {
    cwd: APP,
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}

test("it needs no other package, and contains the files that the documents name", () => {
  expect(readdirSync(join(APP, "node_modules")).filter((name) => !name.startsWith("."))).toEqual(["jwtgate"]);
  for (const path of [
    "build/jwtgate.wasm",
    "build/jwtgate.trace.wasm",
    "schema/configuration.schema.json",
    "dist/types/lib.d.ts",
    "dist/types/core.d.ts",
    "dist/THIRD-PARTY-NOTICES.txt",
    "envoy/istio/skip-a-path.yaml",
    "docs/configuration.md",
    "LICENSE",
    "NOTICE",
    "README.md",
  ]) {
    expect(existsSync(join(INSTALLED, path)), path).toBe(true);
  }
  for (const path of ["tools", "tests", "assembly", "scripts", "node_modules"]) {
    expect(existsSync(join(INSTALLED, path)), path).toBe(false);
  }
});

test("the notices name every bundled package", () => {
  const notices = readFileSync(join(INSTALLED, "dist/THIRD-PARTY-NOTICES.txt"), "utf8");
  const bundles = ["jwtgate.mjs", "index.mjs", "core.mjs"].map((name) =>
    readFileSync(join(INSTALLED, "dist", name), "utf8"),
  );
  const bundled = bundles.flatMap((text) =>
    [...text.matchAll(/^(?:\/\/| {2}") ?node_modules\/((?:@[^/]+\/)?[^/]+)\//gm)].map(([, name]) => name),
  );
  expect(new Set(bundled).size).toBeGreaterThan(2);
  for (const name of new Set(bundled)) expect(notices).toMatch(new RegExp(`^${name} \\d+\\.`, "m"));
});

test("the tool runs, with the module of the package", () => {
  const sample = "node_modules/jwtgate/envoy/istio/skip-a-path.yaml";
  const { status, stdout, stderr } = npx(
    ...["compile", "-f", sample, "--output", "envoy", "--listen", "127.0.0.1:8080", "--upstream", "a:1"],
  );
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toContain(`filename: ${join(INSTALLED, "build/jwtgate.wasm")}\n`);
  expect(npx("image", "image.tar").status).toBe(0);
  expect(npx("--version").stdout).toBe(
    `${(JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string }).version}\n`,
  );
});

test("explain finds the traced module in the package", () => {
  const sample = "node_modules/jwtgate/envoy/istio/skip-a-path.yaml";
  const { status, stdout, stderr } = npx("explain", "-f", sample, "--path", "/api/v1/products/0");
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toContain("403 RBAC: access denied");
});

test("a program imports the compiler and the host", () => {
  writeFileSync(
    join(APP, "program.mjs"),
    `import { readFile } from "node:fs/promises";
import { compile, createHost, moduleFile } from "jwtgate";

const name = "node_modules/jwtgate/envoy/istio/skip-a-path.yaml";
const { configuration } = compile([{ name, text: await readFile(name, "utf8") }], { target: "envoy" });
const host = await createHost(await readFile(moduleFile));
host.configure(configuration);
for (const path of ["/productpage", "/api/v1/products/0"]) {
  const { answer } = await host.request({ path });
  console.log(path, answer?.status ?? "passes");
}
`,
  );
  const output = execFileSync(process.execPath, ["program.mjs"], { cwd: APP, encoding: "utf8" });
  expect(output).toBe("/productpage passes\n/api/v1/products/0 403\n");
});

test("the part that runs anywhere has the same types, and needs nothing of Node", () => {
  const text = readFileSync(join(INSTALLED, "dist/core.mjs"), "utf8");
  expect(globalsOf(text, ["Buffer", "process", "require"])).toEqual([]);
  expect(text).not.toMatch(/^import\b/m);
  writeFileSync(
    join(APP, "core.mjs"),
    `import * as core from "jwtgate/core";
import * as all from "jwtgate";
const { length } = Object.keys(core).filter((name) => !(name in all));
const rejected = await core.createHost(new Uint8Array()).catch(({ name }) => name);
console.log(length, rejected, await core.PrivateKey.generate("x").catch(({ message }) => message));
`,
  );
  const output = execFileSync(process.execPath, ["core.mjs"], { cwd: APP, encoding: "utf8" });
  expect(output).toBe("0 CompileError x is not an algorithm\n");
});

test("its types compile with the strictest options, without other packages", () => {
  writeFileSync(
    join(APP, "program.mts"),
    `import { check, compile, type Configuration, createHost, type Diagnostic, Explainer, formatDiagnostic, loadModules, loadSuite, type Outcome, PrivateKey, runSuite, Signer } from "jwtgate";
import { createHost as createAnywhere, type Explanation } from "jwtgate/core";

const { configuration, diagnostics } = compile([{ name: "a.yaml", text: "" }], { target: "wasmplugin" });
const first: Diagnostic | undefined = diagnostics[0];
const whole: Configuration | undefined = configuration;
const issuers: (string | undefined)[] = whole?.providers?.map(({ issuer }) => issuer) ?? [];
const host = await createHost(new Uint8Array());
const outcome: Outcome = await host.request({ path: "/", headers: [["a", "b"]] });
export const results = [first && formatDiagnostic(first), issuers, outcome.answer?.status, outcome.upstream?.path];
const modules = await loadModules();
const sources = [{ name: "a.yaml", text: "" }];
const explainer = await Explainer.open(compile(sources, { target: "envoy" }), sources, { modules });
const explanation: Explanation = await explainer.explain({ path: "/" });
const signer = await Signer.read(JSON.stringify((await PrivateKey.generate("ES256")).signing));
const token: string = await signer.sign({ sub: "a" });
const { suite } = await loadSuite(sources[0]!, { policies: () => ({ files: [], diagnostics: [] }), text: () => "" }, 0);
const result = suite && (await runSuite(suite, modules.release));
export const more = [explanation.decidedBy?.at.line, token, result?.cases[0]?.failures, check(sources).findings[0]?.code, createAnywhere];
// @ts-expect-error: no such target
compile([], { target: "nginx" });
// @ts-expect-error: one of the schema's words
export const wrong: Configuration = { version: 1, contents: { providers: 1, rules: 0 }, providers: [{ name: "a", presence: "SOMETIMES" }] };
`,
  );
  const { status, stdout } = spawnSync(
    process.execPath,
    [
      join(ROOT, "node_modules/typescript/bin/tsc"),
      ...["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess"],
      ...["--module", "nodenext", "--target", "es2023", "program.mts"],
    ],
    { cwd: APP, encoding: "utf8" },
  );
  expect(stdout).toBe("");
  expect(status).toBe(0);
});
