/** Realistic folders, and the output of `kubectl get -A -o yaml`: policies among many other files and resources. */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const TOOL = fileURLToPath(new URL("../../dist/jwtgate.mjs", import.meta.url));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "jwtgate-folders-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
}

function compile(args: string[], input?: string) {
  return tool(["compile", ...args], input);
}

function tool(args: string[], input?: string) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [TOOL, ...args], {
    cwd: folder,
    encoding: "utf8",
    ...(input !== undefined && { input }),
  });
  return { status, stdout, stderr };
}

const policy = (name: string, spec: string, namespace = "shop") => `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ${name}, namespace: ${namespace}}
spec: ${spec}
`;
const DENY = "{action: DENY, rules: [{to: [{operation: {paths: [/admin]}}]}]}";

describe("a folder", () => {
  test("has files of other programs, which are left out", () => {
    write({
      "deny.yaml": policy("deny", DENY),
      "kustomization.yaml": "resources: [deny.yaml]\n",
      "values.yaml": "replicas: 2\nimage: {tag: v1}\n",
      "package.json": '{"name": "shop"}',
      "list.yaml": "- a\n- b\n",
      "schema.json": '{"$schema": "x", "type": "object"}',
      "node_modules/dep/policy.yaml": policy("dep", "{action: ALLOWED}"),
      ".git/policy.yaml": policy("hidden", "{action: ALLOWED}"),
    });
    const { status, stderr, stdout } = compile(["-f", "."]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toContain("/admin");
  });

  test("has templates: one that names no policy is left out with a warning, another is an error", () => {
    write({ "deny.yaml": policy("deny", DENY), "deployment.yaml": "kind: {{ .Values.kind }}\na: [\n" });
    const { status, stderr } = compile(["-f", "."]);
    expect(status).toBe(0);
    expect(stderr).toMatch(/deployment\.yaml:\d+:\d+: warning: this file is left out: it names no policy/);
    write({ "policy.yaml": "kind: AuthorizationPolicy\nmetadata: {{ toYaml .Values.meta }}\na: [\n" });
    const refused = compile(["-f", "."]);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain(
      "a template is rendered first: `helm template … | jwtgate compile -f -`",
    );
  });

  test("a resource with one of its two fields missing is not left out", () => {
    write({ "deny.yaml": policy("deny", DENY), "typo.yaml": policy("typo", DENY).replace("kind", "knd") });
    expect(compile(["-f", "."])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("kind is missing"),
    });
  });

  test("has files that look like policies: a Helm chart's, and texts that name the kinds", () => {
    write({
      "deny.yaml": policy("deny", DENY),
      "Chart.yaml": "apiVersion: v2\nname: shop\nversion: 1.0.0\n",
      "package.json": '{"name": "shop", "description": "has an AuthorizationPolicy"}',
      "schema.json": '{"kind": {"enum": ["AuthorizationPolicy", "RequestAuthentication"]}}',
      "docker-compose.yml": "services: {web: {image: nginx}}\n",
      ".github/workflows/ci.yml": "on: [push]\n",
      "kustomization.yaml":
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [deny.yaml]\n",
    });
    for (const command of ["compile", "check"]) {
      const { status, stderr } = tool([command, "-f", "."]);
      expect(status).toBe(0);
      expect(stderr.trim().split("\n").length).toBe(1);
    }
    expect(compile(["-f", "."]).stderr).toBe(
      "kustomization.yaml:1:1: warning: Kustomization (kustomize.config.k8s.io/v1beta1) is not a policy and is not compiled\n",
    );
  });

  test.each([
    ["neither field, but a spec", `spec: ${DENY}\n`],
    ["fields in capitals", `APIVersion: security.istio.io/v1\nKind: AuthorizationPolicy\n`],
    ["a kind alone", "kind: AuthorizationPolicy\n"],
    ["an API alone", "apiVersion: security.istio.io/v1\n"],
    ["a list without a kind", `items: [{kind: AuthorizationPolicy, spec: ${DENY}}]\n`],
    ["a list that is not an object", `- kind: AuthorizationPolicy\n  spec: ${DENY}\n`],
  ])("a misspelt policy is not ignored: %s", (_, text) => {
    write({ "deny.yaml": policy("deny", DENY), "wrong.yaml": text });
    const { status, stderr } = compile(["-f", "."]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^wrong\.yaml:1:\d+: (apiVersion is missing|kind is missing|a document must be)/m);
  });

  test("a template that is YAML by chance is an error, unless the file itself is named", () => {
    const text = policy(
      "deny",
      '{action: DENY, rules: [{to: [{operation: {hosts: ["{{ .Values.host }}"]}}]}]}',
    );
    write({ "a/deny.yaml": text });
    expect(compile(["-f", "a"])).toMatchObject({
      status: 1,
      stderr:
        "a/deny.yaml:4:57: this value is part of a template; a template is rendered first: `helm template … | jwtgate compile -f -`\n",
    });
    expect(compile(["-f", "a/deny.yaml"]).status).toBe(0);
  });

  test("a named file is read strictly", () => {
    write({ "values.yaml": "replicas: 2\n" });
    expect(compile(["-f", "values.yaml"])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("apiVersion is missing"),
    });
  });

  test("resources of other kinds are counted in one line", () => {
    const other = (kind: string, name: string) =>
      `apiVersion: v1\nkind: ${kind}\nmetadata: {name: ${name}}\n`;
    const others = ["a", "b", "c"].map((name) => other("Service", name));
    write({ "all.yaml": [policy("deny", DENY), ...others, other("ConfigMap", "m")].join("---\n") });
    const { stderr } = compile(["-f", "."]);
    expect(stderr).toBe(
      "all.yaml:6:1: warning: 4 resources are not policies and are not compiled: 3 Service, 1 ConfigMap\n",
    );
  });
});

describe("a glob", () => {
  beforeEach(() =>
    write({
      "p/a.yaml": policy("a", DENY),
      "p/deep/b.yml": policy("b", DENY),
      "p/deep/c.json": "{}",
      "p/a.test.yaml": "policies: [a.yaml]\n",
      "p/.hidden/d.yaml": policy("d", DENY),
      "p/node_modules/e.yaml": policy("e", DENY),
      "q[1].yaml": policy("q", DENY),
    }),
  );
  const names = (...args: string[]) => {
    const { stdout, stderr } = compile([...args, "--source-map", "map.json"]);
    return stdout === ""
      ? stderr
      : Object.keys(read("map.json").rules)
          .map((rule) => /policy\[(.)/.exec(rule)?.[1])
          .join("");
  };
  const read = (name: string) => JSON.parse(readFileSync(join(folder, name), "utf8"));

  test.each([
    [["p/**/*.yaml"], "a"],
    [["p/**"], "ab"],
    [["./p/*"], "a"],
    [["p/{a,deep/b}.{yaml,yml}"], "ab"],
    [["p/**/b.*", "p/*.yaml"], "ab"],
    [["p", "p/**", "p/a.yaml"], "ab"],
    [["q[1].yaml"], "q"],
  ])("%j is read like a folder", (files, expected) => {
    const read = names(...files.flatMap((file) => ["-f", file]));
    expect([...read].sort().join("")).toBe(expected);
    expect(names("-f", join(folder, "p/**/b.*"))).toBe("b");
  });

  test.each([
    ["p/*.yml", "p/*.yml: no .yaml, .yml or .json file has a name like this pattern\n"],
    ["nowhere/*.yaml", "nowhere: there is no such file or folder\n"],
    ["nowhere.yaml", "nowhere.yaml: there is no such file or folder\n"],
  ])("%s that finds nothing is an error", (file, expected) => {
    expect(names("-f", file)).toBe(expected);
  });

  test.each([
    [["b.yml"], "a"],
    [["deep"], "a"],
    [["deep/"], "a"],
    [["p/deep/**"], "a"],
    [["deep/*"], "a"],
    [["*.yml", "*.json"], "a"],
    [["eep"], "ab"],
    [["deep/a.yaml"], "ab"],
  ])("--ignore %j leaves files and folders out", (globs, expected) => {
    expect(names("-f", "p", ...globs.flatMap((glob) => ["--ignore", glob]))).toBe(expected);
    expect(names("-f", "p/**", ...globs.flatMap((glob) => ["--ignore", glob]))).toBe(expected);
  });

  test("--ignore leaves out what a shell's glob has named, too", () => {
    expect(names("-f", "p/a.yaml", "p/deep/b.yml", "--ignore", "b.*")).toBe("a");
  });
});

describe("a folder with", () => {
  beforeEach(() => write({ "p/a.yaml": policy("a", DENY), "far/b.yaml": policy("b", DENY) }));
  const path = (name: string) => join(folder, name);

  test("links are followed, each file is read once, and loops end", () => {
    symlinkSync("../far", path("p/far"));
    symlinkSync("..", path("far/up"));
    symlinkSync("a.yaml", path("p/b.yaml"));
    symlinkSync("nowhere", path("p/dangling"));
    const { status, stderr, stdout } = compile(["-f", "p"]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toContain("policy[b]");
    symlinkSync("nowhere", path("p/dangling.yaml"));
    symlinkSync("round.yaml", path("p/round.yaml"));
    expect(compile(["-f", "p"])).toMatchObject({
      status: 1,
      stderr:
        "p/dangling.yaml: there is no such file or folder\np/round.yaml: the path has a loop of links\n",
    });
  });

  test("a ConfigMap's links", () => {
    write({ "m/..2026_01/a.yaml": policy("a", DENY) });
    symlinkSync("..2026_01", path("m/..data"));
    symlinkSync("..data/a.yaml", path("m/a.yaml"));
    expect(compile(["-f", "m"])).toMatchObject({ status: 0, stderr: "" });
  });

  test("a pipe, which is not read", () => {
    spawnSync("mkfifo", [path("p/pipe.yaml"), path("p/other")]);
    expect(compile(["-f", "p"])).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^p\/pipe\.yaml: this is a pipe or a device, not a file: [^\n]+\n$/),
    });
    expect(compile(["-f", "p", "--ignore", "pipe.yaml"]).status).toBe(0);
  });

  test("a file that is too large", () => {
    writeFileSync(path("p/dump.json"), "");
    truncateSync(path("p/dump.json"), 17 * 1024 * 1024);
    expect(compile(["-f", "p"])).toMatchObject({
      status: 1,
      stderr: "p/dump.json: this is larger than 16 MiB\n",
    });
  });

  test.each([
    ["bytes that are not text", Buffer.from([0x89, 0x50, 0x4e, 0x47, 0xff, 0x00])],
    ["UTF-16", Buffer.from(`\ufeff${policy("z", DENY)}`, "utf16le")],
    ["a policy that was cut off", policy("z", DENY).slice(0, -5)],
  ])("%s, which is not left out", (_, content) => {
    writeFileSync(path("p/spoilt.json"), content);
    const { status, stderr } = compile(["-f", "p"]);
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^p\/spoilt\.json:\d+:\d+: (this is not valid UTF-8|the file is UTF-16|this is not YAML|the indentation)/,
    );
    expect(compile(["-f", "p", "--ignore", "spoilt.json"]).status).toBe(0);
  });

  test("a tsconfig.json, which may have comments", () => {
    write({ "p/tsconfig.build.json": '{\n  // a comment\n  "files": ["a"] /* and */\n}\n' });
    const { status, stderr } = compile(["-f", "p"]);
    expect(status).toBe(0);
    expect(stderr).toMatch(
      /^p\/tsconfig\.build\.json:\d+:\d+: warning: this file is left out: it names no policy[^\n]*\n$/,
    );
  });

  test("a folder that cannot be read", () => {
    mkdirSync(path("p/closed"), { mode: 0 });
    chmodSync(folder, 0o755);
    const asUser = process.getuid?.() === 0 ? ["setpriv", "--reuid", "65534", "--clear-groups"] : ["env"];
    const [program = "", ...args] = [...asUser, process.execPath, TOOL, "compile", "-f", "p"];
    const { status, stderr } = spawnSync(program, args, {
      cwd: folder,
      encoding: "utf8",
      // That user cannot write coverage.
      env: { ...process.env, NODE_V8_COVERAGE: "" },
    });
    expect({ status, stderr }).toEqual({ status: 1, stderr: "p/closed: reading it is not permitted\n" });
  });

  test("too many files", () => {
    mkdirSync(path("many"));
    // A file has at most 65,000 names in ext4.
    for (let i = 0; i < 100_001; i++) linkSync(path(i % 2 ? "p/a.yaml" : "far/b.yaml"), path(`many/${i}`));
    expect(compile(["-f", "."])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("there are more than 100000 files and folders in it"),
    });
    expect(compile(["-f", ".", "--ignore", "many"]).status).toBe(0);
  });
});

describe("what kubectl prints of a mesh with external authorization", () => {
  const item = (name: string, namespace: string, spec: object) => ({
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: {
      name,
      namespace,
      creationTimestamp: "2026-01-01T00:00:00Z",
      generation: 1,
      resourceVersion: "4711",
      uid: "00000000-0000-0000-0000-000000000000",
      managedFields: [{ manager: "kubectl", operation: "Update" }],
      annotations: { "kubectl.kubernetes.io/last-applied-configuration": "{}" },
    },
    spec,
    status: { conditions: [] },
  });
  const selector = (app: string) => ({ matchLabels: { app } });
  const list = JSON.stringify({
    apiVersion: "v1",
    kind: "List",
    metadata: { resourceVersion: "" },
    items: [
      item("ext", "legacy", { action: "CUSTOM", provider: { name: "oauth" }, rules: [{}] }),
      item("ext", "shop", {
        selector: selector("admin"),
        action: "CUSTOM",
        provider: { name: "o" },
        rules: [{}],
      }),
      item("deny", "shop", {
        selector: selector("cart"),
        action: "DENY",
        rules: [{ to: [{ operation: { paths: ["/admin"] } }] }],
      }),
    ],
  });

  test("compiles for one workload, from standard input, despite another workload's CUSTOM policy", () => {
    for (const file of [["-f", "-"], []]) {
      const { status, stderr, stdout } = compile(
        [...file, "--namespace", "shop", "--labels", "app=cart"],
        list,
      );
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
      expect(stdout).toContain("/admin");
    }
  });

  test("reports that a CUSTOM policy for the workload is not part of the configuration", () => {
    const { status, stdout, stderr } = compile([], list);
    expect(status).toBe(0);
    expect(stdout).toContain("/admin");
    for (const name of ["legacy/ext", "shop/ext"]) {
      expect(stderr).toContain(`AuthorizationPolicy ${name} is not part of the filter's configuration`);
    }
  });

  test("is refused if only CUSTOM policies apply to the workload", () => {
    const { status, stdout, stderr } = compile(["--namespace", "shop", "--labels", "app=admin"], list);
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toContain("there are only CUSTOM policies here, and nothing for the filter to decide");
  });

  test("is refused for an Envoy, if no option names the extension providers", () => {
    const envoy = ["--output", "envoy", "--listen", "127.0.0.1:0", "--upstream", "127.0.0.1:1"];
    const { status, stdout, stderr } = compile(
      [...envoy, "--namespace", "shop", "--labels", "app=admin"],
      list,
    );
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toContain(
      'this policy asks the extension provider "o": define it with --mesh-config FILE',
    );
  });
});

test("an issuer with a query or a fragment is not discovered", () => {
  for (const issuer of ["https://idp.example/a?x=1", "https://idp.example/#a"]) {
    const text = `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: r, namespace: shop}
spec: {jwtRules: [{issuer: "${issuer}"}]}
`;
    const { status, stderr } = compile([], text);
    expect(status).toBe(1);
    expect(stderr).toContain(
      "no issuer that is discovered has (OpenID Connect Discovery 1.0 §3): write jwksUri",
    );
    const uri = text.replace('"}]}', '", jwksUri: "https://idp.example/keys"}]}');
    expect(compile([], uri).status).toBe(0);
  }
});
