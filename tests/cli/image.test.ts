/** `jwtgate image`: OCI's own schemas, every digest, both forms read in Istio's way, and the same bytes each time. */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { Ajv } from "ajv";
import addFormats from "ajv-formats";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { gzipStored, tar } from "../../tools/oci/tar.ts";
import { ROOT, Workspace } from "../support/cli.ts";
import { MODULE } from "../support/envoy.ts";

const workspace = new Workspace();
afterAll(() => workspace.remove());

const sha256 = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");

interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
  annotations?: Record<string, string>;
}

interface Manifest {
  mediaType: string;
  config: Descriptor;
  layers: Descriptor[];
}

/**
 * OCI's schemas use JSON Schema's fourth draft, whose `id` is now `$id`; there is no other difference here.
 */
const ajv = new Ajv({ strict: false, validateFormats: true });
addFormats.default(ajv);
const SCHEMAS = join(ROOT, "tests/vectors/oci-image-spec");
for (const name of readdirSync(SCHEMAS).filter((file) => file.endsWith(".json"))) {
  const withoutIds = (_name: string, value: unknown) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
    const { id, $schema: _draft, ...rest } = value as Record<string, unknown>;
    // A property may be named `id` too; then it is a schema, not a string.
    return typeof id === "object" ? { id, ...rest } : rest;
  };
  ajv.addSchema(JSON.parse(readFileSync(join(SCHEMAS, name), "utf8"), withoutIds), name);
}

function faultsOf(schema: string, value: unknown): unknown {
  const validate = ajv.getSchema(schema);
  if (validate === undefined) throw new Error(`there is no ${schema}`);
  validate(value);
  return validate.errors;
}

/** A layout's files by path. */
type Files = Map<string, Buffer>;

function readFolder(folder: string): Files {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  return new Map(
    entries.map(({ parentPath, name }) => {
      const path = join(parentPath, name);
      return [path.slice(folder.length + 1), readFileSync(path)];
    }),
  );
}

/** A simple reader of tar archives: names, sizes, and everything that could differ between machines. */
function readTar(archive: Buffer): Files {
  const files: Files = new Map();
  for (let at = 0; archive[at] !== 0; ) {
    const field = (offset: number, length: number) =>
      archive.toString("latin1", at + offset, at + offset + length).replace(/[\0 ].*$/s, "");
    const header = Buffer.from(archive.subarray(at, at + 512));
    header.fill(" ", 148, 156);
    expect(Number.parseInt(field(148, 8), 8)).toBe(header.reduce((sum, byte) => sum + byte, 0));
    expect([field(257, 6), field(108, 8), field(116, 8), field(136, 12)]).toEqual([
      "ustar",
      "0000000",
      "0000000",
      "00000000000",
    ]);
    const size = Number.parseInt(field(124, 12), 8);
    files.set(field(0, 100), archive.subarray(at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}

function blob(files: Files, { digest, size }: Descriptor): Buffer {
  const data = files.get(`blobs/${digest.replace(":", "/")}`);
  if (data === undefined) throw new Error(`there is no blob ${digest}`);
  expect(`sha256:${sha256(data)}`).toBe(digest);
  expect(data.length).toBe(size);
  return data;
}

const parse = <T>(data: Buffer | undefined) => JSON.parse(data?.toString() ?? "") as T;

/** Checks a whole layout, and returns its manifests by tag. */
function checkLayout(files: Files): Record<string, Manifest> {
  expect(faultsOf("image-layout-schema.json", parse(files.get("oci-layout")))).toBeNull();
  const index = parse<{ manifests: Descriptor[] }>(files.get("index.json"));
  expect(faultsOf("image-index-schema.json", index)).toBeNull();
  const named = new Set(["oci-layout", "index.json"]);
  const manifests = index.manifests.map((descriptor): [string, Manifest] => {
    const manifest = parse<Manifest>(blob(files, descriptor));
    expect(faultsOf("image-manifest-schema.json", manifest)).toBeNull();
    expect(manifest.mediaType).toBe(descriptor.mediaType);
    for (const part of [descriptor, manifest.config, ...manifest.layers]) {
      blob(files, part);
      named.add(`blobs/${part.digest.replace(":", "/")}`);
    }
    return [descriptor.annotations?.["org.opencontainers.image.ref.name"] ?? "", manifest];
  });
  expect([...files.keys()].sort()).toEqual([...named].sort());
  return Object.fromEntries(manifests);
}

const module = () => readFileSync(MODULE);

/** As istio's extractOCIStandardImage reads it. */
function checkCompatible(files: Files, { config, layers }: Manifest): void {
  const layer = layers.at(-1);
  expect(layer?.mediaType).toBe("application/vnd.oci.image.layer.v1.tar+gzip");
  const archive = gunzipSync(blob(files, layer as Descriptor));
  expect([...readTar(archive)]).toEqual([["plugin.wasm", module()]]);
  const summary = parse<{ rootfs: { diff_ids: string[] } }>(blob(files, config));
  expect(faultsOf("config-schema.json", summary)).toBeNull();
  expect(summary.rootfs.diff_ids).toEqual([`sha256:${sha256(archive)}`]);
}

/** As istio's extractOCIArtifactImage reads it. */
function checkArtifact(files: Files, { layers }: Manifest): void {
  expect(layers.map(({ mediaType }) => mediaType)).toEqual([
    "application/vnd.module.wasm.config.v1+json",
    "application/vnd.module.wasm.content.layer.v1+wasm",
  ]);
  expect(blob(files, layers[1] as Descriptor).equals(module())).toBe(true);
}

describe("a layout", () => {
  let files: Files;
  let manifests: Record<string, Manifest>;
  let summary: { images: { form: string; tag: string; digest: string; sha256: string }[]; module: object };
  beforeAll(() => {
    const { status, stdout, stderr } = workspace.run([
      "image",
      "both",
      "--form",
      "both",
      "--tag",
      "t",
      "--json",
    ]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    summary = JSON.parse(stdout);
    files = readFolder(workspace.path("both"));
    manifests = checkLayout(files);
  });

  test("contains both forms that Istio reads", () => {
    expect(Object.keys(manifests)).toEqual(["t", "t-artifact"]);
    checkCompatible(files, manifests["t"] as Manifest);
    checkArtifact(files, manifests["t-artifact"] as Manifest);
  });

  test("is printed with the digests of its manifests, which WasmPlugin needs", () => {
    const { manifests: descriptors } = parse<{ manifests: Descriptor[] }>(files.get("index.json"));
    expect(summary.images.map(({ digest }) => digest)).toEqual(descriptors.map(({ digest }) => digest));
    for (const { digest, sha256: hex } of summary.images) expect(`sha256:${hex}`).toBe(digest);
    expect(summary.module).toEqual({ sha256: sha256(module()), size: module().length });
  });

  test("is the same in an archive, and on standard output", () => {
    expect(workspace.run(["image", "both.tar", "--form", "both", "--tag", "t"]).status).toBe(0);
    const archive = readFileSync(workspace.path("both.tar"));
    const same = (left: Files, right: Files) =>
      expect([...left].map(([path, data]) => [path, sha256(data)]).sort()).toEqual(
        [...right].map(([path, data]) => [path, sha256(data)]).sort(),
      );
    same(readTar(archive), files);
    expect(workspace.run(["image", "again.tar", "--form", "both", "--tag", "t"]).status).toBe(0);
    expect(readFileSync(workspace.path("again.tar")).equals(archive)).toBe(true);
    const { stdout, stderr } = workspace.run(["image", "-", "--form", "both", "--tag", "t"]);
    expect(stderr).toContain("digest  sha256:");
    // The tool's output was read as text here, which is enough to compare the archive's names.
    expect(stdout).toContain("oci-layout");
  });
});

test("by default it is one image of this version, and a line explains how to use it", () => {
  const { status, stdout, stderr } = workspace.run(["image", "one"]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  const files = readFolder(workspace.path("one"));
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
  const [[tag, manifest]] = Object.entries(checkLayout(files)) as [[string, Manifest]];
  expect(tag).toBe(version);
  checkCompatible(files, manifest);
  const [{ digest }] = parse<{ manifests: [Descriptor] }>(files.get("index.json")).manifests;
  expect(stdout).toContain(
    `--image oci://registry.example.com/jwtgate:${version} --sha256 ${digest.slice(7)}\n`,
  );
});

test("a path that the printed command cannot contain is refused, and any other is quoted in it", () => {
  const { status, stderr } = workspace.run(["image", "a:b"]);
  expect(status).toBe(2);
  expect(stderr).toContain("cut a path at its colon");
  const { stdout } = workspace.run(["image", "it's $(mine)"]);
  expect(stdout).toMatch(/--preserve-digests 'oci:it'\\''s \$\(mine\):[\w.-]+' docker:/);
});

test("an existing layout is replaced, and other folders are not", () => {
  expect(workspace.run(["image", "over"]).status).toBe(0);
  expect(workspace.run(["image", "over", "--form", "artifact"]).status).toBe(0);
  const index = parse<{ manifests: Descriptor[] }>(readFolder(workspace.path("over")).get("index.json"));
  expect(index.manifests).toHaveLength(1);
  mkdirSync(workspace.path("other"));
  writeFileSync(workspace.path("other/mine"), "");
  const { status, stderr } = workspace.run(["image", "other"]);
  expect(status).toBe(1);
  expect(stderr).toBe(
    "other: the image cannot be written: this folder holds other files: name a new one, or one that holds an OCI layout\n",
  );
});

describe("files that cannot be read or written are reported in one line", () => {
  test.each<[string[], number, string]>([
    [["image", "x", "--module", "missing.wasm"], 1, "missing.wasm: there is no such file or folder\n"],
    [["image", "x", "--module", "."], 1, ".: this is a folder\n"],
    [["image", "x", "--module", "/dev/null"], 1, "/dev/null: this is not a WebAssembly module\n"],
    [["image", "x", "--module", "/dev/zero"], 1, "/dev/zero: this is larger than 256 MiB\n"],
    [["image", "/proc/x"], 1, "/proc/x: the image cannot be written: its folder does not exist\n"],
    [["image", "no/x.tar"], 1, "no/x.tar: the image cannot be written: its folder does not exist\n"],
    [["image"], 2, "error: missing required argument 'path'\n"],
    [
      ["image", "x", "--tag", "a b"],
      2,
      "error: option '--tag <tag>' argument 'a b' is invalid. Write letters",
    ],
    [["image", "x", "--form", "zip"], 2, "error: option '--form <form>' argument 'zip' is invalid. Allowed"],
  ])("%j", (args, status, words) => {
    const result = workspace.run(args);
    expect(result.status).toBe(status);
    expect(result.stdout).toBe("");
    expect(result.stderr.slice(0, words.length)).toBe(words);
    expect(result.stderr.trim().split("\n")).toHaveLength(1);
  });
});

describe("gzip without compression", () => {
  test.each([0, 1, 0xfffe, 0xffff, 0x10000, 0x1ffff])("of %i bytes", (size) => {
    const data = Buffer.alloc(size, "jwtgate");
    expect(gunzipSync(gzipStored(data)).equals(data)).toBe(true);
  });
});

test("an archive has the same bytes as in earlier versions, so that digests can be compared", async () => {
  const archive = await tar([
    { path: "blobs/a", data: Buffer.from("jwtgate") },
    { path: "empty", data: Buffer.alloc(0) },
    { path: "whole", data: Buffer.alloc(512, "x") },
  ]);
  expect(sha256(archive)).toBe("5645e1c804cac0844f4de9ea7c3ebb0e126e1a24ffebdc3d755f01a1fcb8df88");
});
