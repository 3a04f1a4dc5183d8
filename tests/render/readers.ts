/** Readers of YAML other than the tool's own. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadAll } from "js-yaml";
import { parseAllDocuments } from "yaml";
import { ROOT } from "../support/cli.ts";

export interface Reader {
  name: string;
  /**
   * @returns the documents of all texts
   * @throws if one is not YAML to it
   */
  read(texts: readonly string[]): unknown[];
  /** Whether it takes resources alone, with a kind and a name. */
  needsName?: true;
}

const each = (read: (text: string) => unknown[]) => (texts: readonly string[]) => texts.flatMap(read);

function readWith(version: "1.1" | "1.2"): Reader["read"] {
  return each((text) => {
    const documents = parseAllDocuments(text, { version, merge: version === "1.1" });
    if (!Array.isArray(documents)) throw new Error("there is no document");
    return documents.map((document) => {
      if (document.errors[0]) throw document.errors[0];
      return document.toJS({ maxAliasCount: -1 }) as unknown;
    });
  });
}

/** The readers of this machine. Node's are always there. */
export function readers(): Reader[] {
  return [
    { name: "yaml, as YAML 1.2", read: readWith("1.2") },
    { name: "yaml, as YAML 1.1", read: readWith("1.1") },
    { name: "js-yaml", read: each((text) => loadAll(text) as unknown[]) },
    ...pyYaml(),
    ...kubectl(),
  ];
}

/** One wheel for every machine: PyYAML runs without its library in C, and Python imports it from the archive. */
const PYYAML = {
  requirement: "pyyaml==6.0.3",
  sha256: "b8bb0864c5a28024fac8a632c443c87c5aa6f215c0b126c449ae1a150412f31d",
  platform: ["--platform", "manylinux2014_x86_64", "--python-version", "3.11", "--implementation", "cp"],
};

const PYTHON = `
import json, sys, yaml
texts = json.load(sys.stdin)
json.dump([document for text in texts for document in yaml.load_all(text, Loader=yaml.SafeLoader)], sys.stdout, default=repr)
`;

/** YAML 1.1 to the letter, line ends included: that of this machine, or else the pinned one. */
function pyYaml(): Reader[] {
  const reader = (path?: string): Reader => {
    const env = { ...process.env, ...(path && { PYTHONPATH: path }), PYTHONUTF8: "1" };
    const read = (texts: readonly string[]) => {
      const { status, stdout, stderr } = spawnSync("python3", ["-c", PYTHON], {
        input: JSON.stringify(texts),
        env,
        encoding: "utf8",
        maxBuffer: 256 * 1024 * 1024,
      });
      if (status !== 0) throw new Error(`PyYAML: ${stderr?.trim().split("\n").slice(-6).join("\n")}`);
      return JSON.parse(stdout) as unknown[];
    };
    return { name: "PyYAML", read };
  };
  const works = ({ read }: Reader) => {
    try {
      return read(["a: b"]).length === 1;
    } catch {
      return false;
    }
  };
  if (works(reader())) return [reader()];
  const wheel = pyYamlWheel();
  if (wheel !== undefined && works(reader(wheel))) return [reader(wheel)];
  process.stderr.write(
    "PyYAML is not here and cannot be downloaded: the other readers are asked without it\n",
  );
  return [];
}

/** The pinned wheel in the project's cache; undefined if it cannot be downloaded. */
function pyYamlWheel(): string | undefined {
  const folder = join(ROOT, ".cache", "pyyaml-6.0.3");
  const found = () =>
    existsSync(folder) ? readdirSync(folder).find((name) => name.endsWith(".whl")) : undefined;
  const there = found();
  if (there !== undefined) return join(folder, there);
  mkdirSync(join(ROOT, ".cache"), { recursive: true });
  const partial = mkdtempSync(`${folder}.`);
  try {
    const requirements = join(partial, "requirements.txt");
    writeFileSync(requirements, `${PYYAML.requirement} --hash=sha256:${PYYAML.sha256}\n`);
    const args = [
      "-I",
      "-m",
      "pip",
      "download",
      "--disable-pip-version-check",
      "--no-input",
      "--quiet",
      "--no-deps",
      "--retries=0",
    ];
    args.push(
      "--require-hashes",
      "--only-binary",
      ":all:",
      ...PYYAML.platform,
      "--dest",
      partial,
      "-r",
      requirements,
    );
    spawnSync("python3", args, { stdio: "ignore", timeout: 60_000 });
    if (readdirSync(partial).some((name) => name.endsWith(".whl")) && found() === undefined) {
      renameSync(partial, folder);
    }
  } catch {
    // Another run was faster.
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
  const downloaded = found();
  return downloaded && join(folder, downloaded);
}

/** What Kubernetes reads: `--local` asks no cluster. */
function kubectl(): Reader[] {
  if (spawnSync("kubectl", ["version", "--client"], { stdio: "ignore" }).status !== 0) return [];
  const args = [
    "patch",
    "--local",
    "--dry-run=client",
    "--type=merge",
    "--patch={}",
    "--output=json",
    "--filename=-",
  ];
  const read = (texts: readonly string[]) => {
    const { status, stdout, stderr } = spawnSync("kubectl", args, {
      input: texts.join("---\n"),
      encoding: "utf8",
      maxBuffer: 256 * 1024 * 1024,
    });
    if (status !== 0) throw new Error(`kubectl: ${stderr}`);
    // One JSON object after another; in none of them does a line consist of this bracket alone.
    return stdout.split(/^(?=\{$)/m).map((text) => JSON.parse(text) as unknown);
  };
  return [{ name: "kubectl", read, needsName: true }];
}
