#!/usr/bin/env node
/**
 * Makes the files of a release in release/, and publishes them.
 *
 *   npm run release -- --dry-run [--repository OWNER/NAME] [--output FOLDER] [--reuse-build]
 *
 *   --dry-run       make everything, publish nothing; the changelog may still say "Unreleased"
 *   --repository    the repository on GitHub that the package names (default: GITHUB_REPOSITORY)
 *   --output        where the files go; must be new or empty (default: release)
 *   --reuse-build   take build/ and dist/ as they are; only with --dry-run
 *
 * The same commit gives the same bytes, on every clone. Without --dry-run it runs in the release workflow, for a tag that
 * is "v" and the version of package.json: .github/workflows/release.yml gives it what it needs to publish (npm, skopeo,
 * cosign, gh).
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));

const { values: options } = parseArgs({
  options: {
    "dry-run": { type: "boolean", default: false },
    repository: { type: "string", default: process.env["GITHUB_REPOSITORY"] ?? "" },
    output: { type: "string", default: "release" },
    "reuse-build": { type: "boolean", default: false },
  },
});
const dryRun = options["dry-run"];
const output = resolve(options.output);
const manifest = JSON.parse(readFileSync("package.json", "utf8"));
const { version } = manifest;
const tag = `v${version}`;
const files = {
  package: `jwtgate-${version}.tgz`,
  module: `jwtgate-${version}.wasm`,
  traceModule: `jwtgate-${version}.trace.wasm`,
  image: `jwtgate-${version}.image.tar`,
  console: `jwtgate-${version}.console.html`,
  bom: `jwtgate-${version}.sbom.cdx.json`,
  consoleBom: `jwtgate-${version}.console.sbom.cdx.json`,
};
const NOTES = "RELEASE-NOTES.md";
const CHECKSUMS = "SHA256SUMS";

check();
if (!options["reuse-build"]) {
  for (const folder of ["build", "dist"]) rmSync(folder, { recursive: true, force: true });
  run(process.execPath, ["scripts/build.mjs", "--quiet"]);
}
mkdirSync(output, { recursive: true });
pack();
copyFileSync("build/jwtgate.wasm", at(files.module));
copyFileSync("build/jwtgate.trace.wasm", at(files.traceModule));
jwtgate("image", at(files.image), "--tag", version);
jwtgate("console", "--export", at(files.console));
copyFileSync("dist/sbom.cdx.json", at(files.bom));
copyFileSync("dist/console/sbom.cdx.json", at(files.consoleBom));
const sums = Object.values(files).map((name) => `${sha256(readFileSync(at(name)))}  ${name}\n`);
writeFileSync(at(CHECKSUMS), sums.join(""));
writeFileSync(at(NOTES), releaseNotes());
process.stdout.write(sums.join(""));
if (dryRun) console.log(`\n${tag}: nothing was published. The files are in ${options.output}.`);
else publish();

/** Stops before anything is made if the files could not be published as they are. */
function check() {
  if (existsSync(output) && readdirSync(output).length > 0) {
    fail(`${options.output} is not empty: remove it, or pass another folder with --output`);
  }
  if (options.repository !== "" && !/^[\w.-]+\/[\w.-]+$/.test(options.repository)) {
    fail(`--repository ${JSON.stringify(options.repository)}: write OWNER/NAME`);
  }
  if (options["reuse-build"] && !dryRun)
    fail("--reuse-build works with --dry-run only: a release is always built again");
  if (dryRun) return;
  if (process.env["GITHUB_ACTIONS"] !== "true") {
    fail("releases are made by the release workflow: push the tag, or pass --dry-run");
  }
  if (process.env["GITHUB_REF"] !== `refs/tags/${tag}`) {
    fail(
      `this is ${process.env["GITHUB_REF"]}, and package.json has version ${version}: push the tag ${tag}`,
    );
  }
  if (run("git", ["status", "--porcelain"]).trim() !== "")
    fail("files differ from the commit: commit them first");
  if (section(version) === undefined) fail(`CHANGELOG.md has no "## ${version}": rename "## Unreleased"`);
}

/** Packs the package. If the repository is known, the package names it, which npm's provenance needs. */
function pack() {
  const folder = mkdtempSync(join(tmpdir(), "jwtgate-release-"));
  try {
    npm(["pack", "--ignore-scripts", "--pack-destination", folder]);
    if (options.repository === "") {
      copyFileSync(join(folder, files.package), at(files.package));
      return;
    }
    run("tar", ["-xzf", join(folder, files.package), "-C", folder]);
    const url = `https://github.com/${options.repository}`;
    const complete = {
      ...manifest,
      homepage: `${url}#readme`,
      bugs: { url: `${url}/issues` },
      repository: { type: "git", url: `git+${url}.git` },
    };
    writeFileSync(join(folder, "package/package.json"), `${JSON.stringify(complete, null, 2)}\n`);
    npm(["pack", join(folder, "package"), "--ignore-scripts", "--pack-destination", output]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The version's part of the changelog; that of the next version in a dry run before it has a number. */
function releaseNotes() {
  const text = section(version) ?? section("Unreleased") ?? "";
  return `${text.trim()}\n`;
}

/** What the changelog has below the heading of a version. */
function section(name) {
  const sections = readFileSync("CHANGELOG.md", "utf8").split(/^## /m);
  const found = sections.find((text) => text.startsWith(`${name}\n`) || text.startsWith(`${name} `));
  return found?.slice(found.indexOf("\n") + 1);
}

/**
 * Steps that can be repeated are first. npm accepts a version only once, so it is published before the
 * release becomes public. If a step fails, a draft is left and the workflow can run again.
 */
function publish() {
  const image = `ghcr.io/${options.repository.toLowerCase()}`;
  const source = `oci-archive:${at(files.image)}:${version}`;
  run("skopeo", ["copy", "--preserve-digests", source, `docker://${image}:${version}`]);
  const digest = run("skopeo", ["inspect", "--format", "{{.Digest}}", `docker://${image}:${version}`]).trim();
  run("cosign", ["sign", "--yes", `${image}@${digest}`]);
  run("cosign", ["sign-blob", "--yes", "--bundle", at(`${CHECKSUMS}.sigstore.json`), at(CHECKSUMS)]);
  const assets = [...Object.values(files), CHECKSUMS, `${CHECKSUMS}.sigstore.json`].map(at);
  run("gh", [
    "release",
    "create",
    tag,
    "--draft",
    "--verify-tag",
    "--title",
    tag,
    "--notes-file",
    at(NOTES),
    ...assets,
  ]);
  npm(["publish", at(files.package), "--provenance", "--access", "public"]);
  run("gh", ["release", "edit", tag, "--draft=false"]);
}

function at(name) {
  return join(output, name);
}

function jwtgate(...args) {
  run(process.execPath, ["dist/jwtgate.mjs", ...args]);
}

/** The npm that runs this script. A dependency has an old npm, which is first in the path. */
function npm(args) {
  const program = process.env["npm_execpath"];
  const [command, ...first] = program === undefined ? ["npm"] : [process.execPath, program];
  run(command, [...first, ...args, "--loglevel=error"]);
}

/** @returns what the program prints; its errors are shown */
function run(program, args) {
  return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
}

function sha256(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
