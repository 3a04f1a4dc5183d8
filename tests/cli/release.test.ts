/** The files of a release: complete, the same each time, and described. */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { Spec, Validation } from "@cyclonedx/cyclonedx-library";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { links } from "../docs/markdown.ts";
import { ROOT, Workspace } from "../support/cli.ts";

const workspace = new Workspace();
afterAll(() => workspace.remove());

const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
const FILES = [
  ...["console.html", "console.sbom.cdx.json", "image.tar", "sbom.cdx.json", "tgz", "trace.wasm", "wasm"].map(
    (ending) => `jwtgate-${version}.${ending}`,
  ),
];

function release(args: string[], environment: Record<string, string> = {}) {
  const { GITHUB_ACTIONS: _, GITHUB_REF: __, GITHUB_REPOSITORY: ___, ...rest } = process.env;
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(ROOT, "scripts/release.mjs"), ...args],
    {
      encoding: "utf8",
      env: { ...rest, ...environment },
    },
  );
  return { status, stdout, stderr };
}

function dryRun(folder: string) {
  return release([
    "--dry-run",
    "--reuse-build",
    "--repository",
    "owner/name",
    "--output",
    workspace.path(folder),
  ]);
}

function read(folder: string, name: string): Buffer {
  return readFileSync(join(workspace.path(folder), name));
}

beforeAll(() => {
  for (const folder of ["one", "two"]) expect(dryRun(folder)).toMatchObject({ status: 0, stderr: "" });
  execFileSync("tar", [
    "-xzf",
    join(workspace.path("one"), `jwtgate-${version}.tgz`),
    "-C",
    workspace.folder,
  ]);
});

test("has every file, and a checksum of each", () => {
  expect(readdirSync(workspace.path("one")).sort()).toEqual(
    [...FILES, "RELEASE-NOTES.md", "SHA256SUMS"].sort(),
  );
  const sums = read("one", "SHA256SUMS").toString("utf8").trimEnd().split("\n");
  const expected = FILES.map(
    (name) => `${createHash("sha256").update(read("one", name)).digest("hex")}  ${name}`,
  );
  expect(sums.sort()).toEqual(expected.sort());
});

test("has the same bytes the second time", () => {
  for (const name of readdirSync(workspace.path("one"))) {
    expect(read("two", name).equals(read("one", name)), name).toBe(true);
  }
});

test("has the module that was built, and the changes since the last version", () => {
  expect(read("one", `jwtgate-${version}.wasm`).equals(readFileSync(join(ROOT, "build/jwtgate.wasm")))).toBe(
    true,
  );
  expect(read("one", "RELEASE-NOTES.md").toString("utf8")).toContain("### Security");
});

describe("the package", () => {
  const packed = (path: string) => join(workspace.path("package"), path);

  test("names the repository", () => {
    expect(JSON.parse(readFileSync(packed("package.json"), "utf8"))).toMatchObject({
      name: "jwtgate",
      homepage: "https://github.com/owner/name#readme",
      bugs: { url: "https://github.com/owner/name/issues" },
      repository: { type: "git", url: "git+https://github.com/owner/name.git" },
    });
  });

  test("has no dead link", () => {
    const pages = readdirSync(packed(""), { recursive: true, encoding: "utf8" }).filter((path) =>
      path.endsWith(".md"),
    );
    expect(pages.length).toBeGreaterThan(30);
    const dead = pages.flatMap((page) =>
      links(readFileSync(packed(page), "utf8"))
        .map((link) => link.split("#")[0] ?? "")
        .filter((path) => path !== "" && !existsSync(packed(normalize(join(dirname(page), path)))))
        .map((path) => `${page}: ${path}`),
    );
    expect(dead).toEqual([]);
  });
});

test.each([`jwtgate-${version}.sbom.cdx.json`, `jwtgate-${version}.console.sbom.cdx.json`])(
  "%s is CycloneDX, and lists what the filter is compiled with",
  async (name) => {
    const text = read("one", name).toString("utf8");
    const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot6);
    expect(await validator.validate(text)).toBeNull();
    const { components } = JSON.parse(text) as { components: { purl: string; hashes?: unknown[] }[] };
    const purls = components.map(({ purl }) => purl);
    expect(purls.some((purl) => purl.startsWith("pkg:npm/assemblyscript@"))).toBe(true);
    expect(purls.some((purl) => purl.startsWith("pkg:npm/js-yaml@"))).toBe(true);
    expect(components.filter(({ hashes }) => hashes?.length !== 1)).toEqual([]);
    expect(new Set(purls).size).toBe(purls.length);
  },
);

describe("it refuses", () => {
  const tagged = { GITHUB_ACTIONS: "true", GITHUB_REF: "refs/tags/v9.9.9" };
  test.each([
    ["a release from a developer's machine", [], {}, "releases are made by the release workflow"],
    ["a tag of another version", [], tagged, `package.json has version ${version}: push the tag v${version}`],
    ["an old build", ["--reuse-build"], tagged, "--reuse-build works with --dry-run only"],
    ["a folder with files", ["--dry-run", "--output", "tests"], {}, "tests is not empty"],
    ["a value that is not a repository", ["--dry-run", "--repository", "x"], {}, "write OWNER/NAME"],
  ] as const)("%s", (_, args, environment, message) => {
    const { status, stdout, stderr } = release(["--output", workspace.path("new"), ...args], environment);
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toContain(message);
    expect(existsSync(workspace.path("new"))).toBe(false);
  });
});
