/** `jwtgate compile` as a user runs it: the bundle, its output, its messages and its exit codes. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Ajv2020 } from "ajv/dist/2020.js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import type { Configuration } from "../../tools/config/schema.ts";
import { TARGETS } from "../../tools/targets/index.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const CLI = join(ROOT, "dist/jwtgate.mjs");
const SAMPLE = join(ROOT, "envoy/istio/skip-a-path.yaml");

const POLICY = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: NAME
spec:
  rules:
  - to:
    - operation:
        paths: [/open]
`;

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "jwtgate-cli-"));
  const write = (name: string, text: string | Buffer) => writeFileSync(join(folder, name), text);
  mkdirSync(join(folder, "policies/nested/.hidden"), { recursive: true });
  mkdirSync(join(folder, "empty"));
  write("policies/a.yaml", POLICY.replace("NAME", "a"));
  write("policies/nested/b.yml", POLICY.replace("NAME", "b"));
  write("policies/nested/c.json", JSON.stringify(parse(POLICY.replace("NAME", "c"))));
  write("policies/nested/notes.txt", "not: [read");
  write("policies/nested/.hidden/d.yaml", "not: [read");
  write("wrong.yaml", POLICY.replace("NAME", "a").replace("paths", "pats"));
  write("latin1.yaml", Buffer.from(`# one\n# zw\xf6lf\n${POLICY}`, "latin1"));
  write("binary.yaml", Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0, 1, 2, 0xff]));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(args: string[], input = "") {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...args], {
    cwd: folder,
    input,
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: undefined },
  });
  return { status, stdout, stderr };
}

const names = (stdout: string) => {
  const { authorization } = JSON.parse(stdout) as Configuration;
  return authorization?.allow?.rules?.map(({ id }) => /policy\[(.*?)\]/.exec(id)?.[1]);
};

describe("--output config", () => {
  test("is the filter's configuration, and no message is printed", () => {
    const { status, stdout, stderr } = run(["compile", "-f", SAMPLE]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const schema: object = JSON.parse(readFileSync(join(ROOT, "schema/configuration.schema.json"), "utf8"));
    const validate = new Ajv2020({ strict: false }).compile(schema);
    validate(JSON.parse(stdout));
    expect(validate.errors).toBeNull();
  });

  test("reads folders with their subfolders, without hidden ones and other files", () => {
    expect(names(run(["compile", "-f", "policies"]).stdout)).toEqual(["a", "b", "c"]);
  });

  test("refuses a policy in a folder that is named like a test, instead of ignoring it", () => {
    mkdirSync(join(folder, "named/nested"), { recursive: true });
    writeFileSync(join(folder, "named/a.yaml"), POLICY.replace("NAME", "a"));
    writeFileSync(join(folder, "named/a.test.yaml"), "policies: [a.yaml]\ntests: []\n");
    expect(names(run(["compile", "-f", "named"]).stdout)).toEqual(["a"]);
    writeFileSync(join(folder, "named/nested/deny.test.yaml"), `# one\n---\n${POLICY.replace("NAME", "b")}`);
    const { status, stdout, stderr } = run(["compile", "-f", "named"]);
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^named\/nested\/deny\.test\.yaml:\d+:1: .*: rename the file\n$/);
  });

  test("reads several files in every form, and each only once", () => {
    const [a, b] = ["policies/a.yaml", "policies/nested/b.yml"] as const;
    expect(names(run(["compile", "-f", a, b, "--output", "config"]).stdout)).toEqual(["a", "b"]);
    expect(names(run(["compile", "-f", a, "-f", b, "-f", a]).stdout)).toEqual(["a", "b"]);
    expect(names(run(["compile", a, b]).stdout)).toEqual(["a", "b"]);
    expect(names(run(["compile", b, "--output", "config", "-f", a, b]).stdout)).toEqual(["a", "b"]);
  });

  test.each([
    ["check", []],
    ["explain", ["--path", "/x"]],
    ["run", ["--upstream", "127.0.0.1:1"]],
  ])("%s accepts files with -f and without it", (command, options) => {
    for (const args of [["missing"], ["-f", "missing"]]) {
      const { status, stderr } = run([command, ...args, ...options]);
      expect({ status, stderr }).toEqual({
        status: 1,
        stderr: "missing: there is no such file or folder\n",
      });
    }
  });

  test("run needs policies, and not from standard input", () => {
    const options = ["--upstream", "127.0.0.1:1"];
    const none = { status: 2, stderr: "error: name the policies: a file, a folder, or a glob in quotes\n" };
    expect(run(["run", ...options])).toMatchObject(none);
    expect(run(["run", "-", ...options])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("run watches files for changes"),
    });
  });

  test("reads standard input", () => {
    expect(names(run(["compile", "-f", "-"], POLICY.replace("NAME", "x")).stdout)).toEqual(["x"]);
    const { status, stderr } = run(["compile", "-f", "-"], "a: [");
    expect(status).toBe(1);
    expect(stderr).toMatch(/^<stdin>:1:/);
  });

  test("writes a source map", () => {
    expect(run(["compile", "-f", "policies/a.yaml", "--source-map", "map.json"]).status).toBe(0);
    expect(JSON.parse(readFileSync(join(folder, "map.json"), "utf8"))).toEqual({
      rules: { "ns[default]-policy[a]-rule[0]": { file: "policies/a.yaml", line: 7, column: 5 } },
      providers: {},
      constraints: {},
    });
    const { status, stderr } = run(["compile", "-f", "policies/a.yaml", "--source-map", "no/map.json"]);
    expect(status).toBe(1);
    expect(stderr).toBe("no/map.json: the source map cannot be written: its folder does not exist\n");
  });

  test("carries --shadow", () => {
    expect(JSON.parse(run(["compile", "-f", "policies", "--shadow"]).stdout)).toMatchObject({ shadow: true });
  });

  test("carries --remove-lookalikes, except for headers that look like framing", () => {
    const authentication = (header: string) => `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: a}
spec:
  jwtRules:
  - issuer: i
    jwks: '{"keys":[{"kty":"oct","alg":"HS256","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"}]}'
    outputClaimToHeaders: [{header: ${header}, claim: c}]
`;
    const compiled = (header: string, ...options: string[]) =>
      run(["compile", "-f", "-", ...options], authentication(header));
    expect(JSON.parse(compiled("x-c", "--remove-lookalikes").stdout)).toMatchObject({
      removeLookalikes: true,
    });
    expect(JSON.parse(compiled("x-c").stdout)).not.toHaveProperty("removeLookalikes");
    expect(compiled("content_length").status).toBe(0);
    const { status, stderr } = compiled("content_length", "--remove-lookalikes");
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^<stdin>:6:5: "content_length" looks like a header that defines where a request ends/,
    );
  });
});

describe("--output envoy", () => {
  const args = [
    "compile",
    "-f",
    SAMPLE,
    "--output",
    "envoy",
    "--listen",
    "127.0.0.1:8080",
    "--upstream",
    "backend:80",
  ];

  test("is a bootstrap with this package's module", () => {
    const { status, stdout, stderr } = run(args);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toContain(`filename: ${join(ROOT, "build/jwtgate.wasm")}\n`);
    expect(parse(stdout)).not.toHaveProperty("admin");
  });

  test("takes a module's path as Envoy will see it", () => {
    expect(run([...args, "--module", "/etc/envoy/x.wasm"]).stdout).toContain("filename: /etc/envoy/x.wasm\n");
  });

  test.each([
    [[], 2_147_483_648],
    [["--max-heap-size", "64MiB"], 67_108_864],
    [["--max-heap-size", "65536KiB"], 67_108_864],
    [["--max-heap-size", "512Mi"], 536_870_912],
    [["--max-heap-size", "1.5GiB"], 1_610_612_736],
  ])("limits the heap: %j", (more, bytes) => {
    const { stdout } = run([...args, ...more]);
    expect(stdout).toContain(`max_heap_size_bytes: ${bytes}\n`);
  });

  test("listens, forwards and is administered at the given addresses", () => {
    const { stdout } = run([
      ...args,
      "--listen",
      "[::]:443",
      "--upstream",
      "[::1]:8080",
      "--admin",
      "127.0.0.1:9901",
    ]);
    const ports = [...stdout.matchAll(/address: (\S+)\n\s+port_value: (\d+)/g)].map(([, host, port]) => [
      host,
      port,
    ]);
    expect(ports).toEqual(
      [
        ["127.0.0.1", "9901"],
        ["'::'", "443"],
        ["::1", "8080"],
      ].map(([host, port]) => [expect.stringContaining(host?.replaceAll("'", "") ?? ""), port]),
    );
  });
});

describe("--output wasmplugin", () => {
  const args = ["compile", "-f", SAMPLE, "--output", "wasmplugin"];

  test("is a WasmPlugin, and names what it does not cover", () => {
    const { status, stdout, stderr } = run([
      ...args,
      "--mode",
      "sidecar",
      "--image",
      "registry.example.com/jwtgate:1",
    ]);
    expect(status).toBe(0);
    expect(stderr).toContain("TCP ports are not covered");
    const [plugin] = parseAllDocuments(stdout).map(
      (document) => document.toJS() as { kind: string; spec: object },
    );
    expect(plugin).toMatchObject({
      kind: "WasmPlugin",
      spec: { url: "oci://registry.example.com/jwtgate:1", match: [{ mode: "SERVER" }] },
    });
  });

  test("needs --mode, and reports why", () => {
    const { status, stdout, stderr } = run([...args, "--image", "oci://a/b"]);
    expect(status).toBe(1);
    expect(stdout).toBe("");
    expect(stderr).toContain(
      "needs --mode gateway, --mode sidecar or --mode waypoint: without it, Istio runs a plugin on",
    );
  });

  test("for a waypoint accepts its services, and refuses options without effect there", () => {
    const plugin = (...flags: string[]) =>
      run(["compile", "-f", SAMPLE, "--output", "wasmplugin", "--image", "oci://a/b:1", ...flags]);
    expect(plugin("--mode", "waypoint", "--labels", "app=a")).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("--labels have no effect for a waypoint"),
    });
    expect(plugin("--mode", "sidecar", "--service", "a")).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("--service needs --mode waypoint"),
    });
    expect(plugin("--mode", "waypoint", "--service", "a", "--service-entry", "b")).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("--service and --service-entry exclude each other"),
    });
    expect(run(["compile", "-f", SAMPLE, "--mode", "waypoint"])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("--mode waypoint is for --output wasmplugin or trafficextension"),
    });
    expect(plugin("--mode", "waypoint", "--namespace", "default", "--service", "a")).toMatchObject({
      status: 1,
      stdout: "",
      stderr: expect.stringContaining("has no targetRefs, so no waypoint enforces it"),
    });
  });
});

describe("--output trafficextension", () => {
  const args = ["compile", "-f", SAMPLE, "--output", "trafficextension", "--image", "oci://a/b"];

  test("is a TrafficExtension, with the content of a WasmPlugin", () => {
    const { status, stdout, stderr } = run([...args, "--mode", "sidecar", "--sha256", "a".repeat(64)]);
    expect(status).toBe(0);
    expect(stderr).toContain("TCP ports are not covered");
    expect(parse(stdout)).toMatchObject({
      kind: "TrafficExtension",
      spec: {
        phase: "AUTHN",
        match: [{ mode: "SERVER" }],
        wasm: { url: "oci://a/b", sha256: "a".repeat(64), failStrategy: "FAIL_RELOAD" },
      },
    });
    expect(parse(run([...args, "--mode", "sidecar", "--shadow"]).stdout)).toMatchObject({
      spec: { wasm: { failStrategy: "FAIL_OPEN" } },
    });
  });

  test("needs --mode too", () => {
    const { status, stdout, stderr } = run(args);
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toContain("--output trafficextension needs --mode");
  });
});

describe("--output envoygateway", () => {
  const args = [
    "compile",
    "-f",
    "policies",
    "--output",
    "envoygateway",
    "--image",
    "registry.example.com/a:1",
  ];

  test("is an EnvoyExtensionPolicy for a Gateway", () => {
    const { status, stdout, stderr } = run([...args, "--namespace", "default", "--gateway", "edge"]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(parse(stdout)).toMatchObject({
      kind: "EnvoyExtensionPolicy",
      metadata: { namespace: "default" },
      spec: {
        targetRefs: [{ kind: "Gateway", name: "edge" }],
        wasm: [{ code: { image: { url: "registry.example.com/a:1" } }, failOpen: false }],
      },
    });
  });

  test("needs a Gateway, and reports how to name one", () => {
    const { status, stdout, stderr } = run(args);
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toContain("--output envoygateway needs --gateway NAME (and --namespace)");
  });
});

describe("--output higress", () => {
  const args = ["compile", "-f", SAMPLE, "--output", "higress", "--image", "oci://a/b"];

  test("is a WasmPlugin of Higress, in its namespace", () => {
    const { status, stdout, stderr } = run(args);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(parse(stdout)).toMatchObject({
      apiVersion: "extensions.higress.io/v1alpha1",
      kind: "WasmPlugin",
      metadata: { name: "jwtgate", namespace: "higress-system" },
      spec: { failStrategy: "FAIL_CLOSE" },
    });
    expect(parse(run([...args, "--higress-namespace", "gateways", "--shadow"]).stdout)).toMatchObject({
      metadata: { namespace: "gateways" },
      spec: { failStrategy: "FAIL_OPEN" },
    });
  });
});

describe("--output google", () => {
  const compile = (text: string, ...more: string[]) =>
    run(["compile", "-f", "-", "--output", "google", ...more], text);
  const authentication = (rule: string) => `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: a}
spec:
  jwtRules:
  - ${rule}
`;
  const jwks = `jwks: '{"keys":[{"kty":"oct","alg":"HS256","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"}]}'`;

  test("is the filter's configuration on one line", () => {
    const { status, stdout, stderr } = run(["compile", "-f", SAMPLE, "--output", "google"]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout.trimEnd()).not.toContain("\n");
    expect(JSON.parse(stdout)).toEqual(JSON.parse(run(["compile", "-f", SAMPLE]).stdout));
  });

  test.each([
    [
      `{issuer: i, jwksUri: "https://keys.example/jwks"}`,
      "cannot fetch keys from https://keys.example/jwks: write",
    ],
    [`{issuer: "https://issuer.example"}`, "cannot fetch keys from https://issuer.example/.well-known/"],
    [
      `{issuer: i, ${jwks}, outputPayloadToHeader: X-Goog-User}`,
      "change the header x-goog-user: use another one",
    ],
    [
      `{issuer: i, ${jwks}, fromHeaders: [{name: x-goog-iap-jwt-assertion}]}`,
      "change the header x-goog-iap-jwt-assertion: the token stays in it if you write forwardOriginalToken: true",
    ],
  ])("does not take %s", (rule, words) => {
    const { status, stdout, stderr } = compile(authentication(rule));
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^<stdin>:6:5: /);
    expect(stderr).toContain(words);
  });

  test.each([
    ["from", "{source: {principals: [a/ns/b/sa/c]}}", "principals"],
    ["from", "{source: {notNamespaces: [a]}}", "namespaces"],
    ["from", "{source: {remoteIpBlocks: [10.0.0.0/8]}}", "remoteIpBlocks"],
    ["from", "{source: {ipBlocks: [10.0.0.0/8]}}", "ipBlocks"],
    ["to", '{operation: {ports: ["80"]}}', "ports"],
    ["when", "{key: connection.sni, values: [a]}", "connection.sni"],
    ["when", "{key: destination.ip, values: [10.0.0.1]}", "destination.ip"],
    ["when", "{key: remote.ip, notValues: [10.0.0.1]}", "remote.ip"],
  ])("has no %s %s, which would go unchecked", (field, value, name) => {
    const [head = ""] = POLICY.replace("NAME", "a").split("  - to:");
    const { status, stdout, stderr } = compile(`${head}  - ${field}: [${value}]\n`);
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^<stdin>:7:/);
    expect(stderr).toContain(`so ${name} would go unchecked`);
  });

  test("has headers, tokens and values of headers", () => {
    const text = `${POLICY.replace("NAME", "a")}    from:
    - source: {requestPrincipals: ["i/*"], notRequestPrincipals: ["i/x"]}
    when:
    - {key: "request.headers[x-a]", values: [a]}
    - {key: "request.auth.claims[groups]", values: [a]}
    - {key: request.auth.audiences, values: [a]}
`;
    expect(compile(text)).toMatchObject({ status: 0, stderr: "" });
  });

  test("has a limit of size, and no access log", () => {
    const values = Array.from({ length: 4000 }, (_, i) => `"claim-${i}"`).join();
    const policy = POLICY.replace("NAME", "a");
    const when = `- when: [{key: "request.auth.claims[a]", values: [${values}]}]`;
    const large = policy.replace("- to:", `${when}\n    to:`);
    const { status, stdout, stderr } = compile(large);
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toContain(
      "bytes, and with more than 131072 the filter may need more than the 16 MiB of memory",
    );
    expect(compile(policy, "--filter-state").stderr).toContain("--filter-state is for Envoy's access logs");
  });
});

describe("--output ecds", () => {
  const args = ["compile", "-f", SAMPLE, "--output", "ecds"];

  test("is the answer of a control plane", () => {
    const { status, stdout, stderr } = run([...args, "--module", "/etc/envoy/x.wasm"]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(parse(stdout)).toMatchObject({
      version_info: expect.stringMatching(/^[0-9a-f]{16}$/),
      resources: [
        {
          "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
          name: "jwtgate",
          typed_config: { config: { vm_config: { code: { local: { filename: "/etc/envoy/x.wasm" } } } } },
        },
      ],
    });
  });

  test("has a version for each content", () => {
    const version = (...more: string[]) =>
      (parse(run([...args, ...more]).stdout) as { version_info: string }).version_info;
    expect(version()).toBe(version());
    expect(version("--shadow")).not.toBe(version());
  });

  test("names what the Envoy must have", () => {
    const { status, stderr } = run(
      ["compile", "-f", "-", "--output", "ecds"],
      `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: a}
spec: {jwtRules: [{issuer: i, jwksUri: "https://keys.example/jwks"}]}
---
${POLICY.replace("NAME", "b").replace("- to:", "- from: [{source: {ipBlocks: [10.0.0.0/8]}}]\n    to:")}`,
    );
    expect(status).toBe(0);
    expect(stderr).toContain('through the Envoy cluster "jwks|443|keys.example": your Envoy must have it');
    expect(stderr).toContain("the filter state jwtgate.direct_remote_address");
  });
});

describe("wrong input ends with 1, with its position", () => {
  test.each([
    ["wrong.yaml", "wrong.yaml:9:9: "],
    ["missing.yaml", "missing.yaml: there is no such file or folder\n"],
    ["empty", "empty: no .yaml, .yml or .json file is in this folder\n"],
    ["latin1.yaml", "latin1.yaml:2:5: this is not valid UTF-8: save the file as UTF-8\n"],
    ["binary.yaml", "binary.yaml:1:8: this is not valid UTF-8: save the file as UTF-8\n"],
    ["wrong.yaml/a", "wrong.yaml/a: a part of the path is not a folder\n"],
  ])("%s", (file, message) => {
    const { status, stdout, stderr } = run(["compile", "-f", file]);
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr.slice(0, message.length)).toBe(message);
  });
});

describe("a wrong command line ends with 2, and names what to write", () => {
  const envoy = ["--output", "envoy", "--listen", "127.0.0.1:1", "--upstream", "a:1"];
  const gateway = ["--output", "envoygateway", "--image", "oci://a/b"];
  test.each<[string[], string]>([
    [["-f"], "argument missing"],
    [["-f", "a", "--wrong"], "unknown option '--wrong'"],
    [["-f", "a", "--output", "xml"], `Allowed choices are ${[...TARGETS.keys()].join(", ")}`],
    [
      ["-f", "a", "--listen", "127.0.0.1:1"],
      "--listen belongs to --output envoy, and this is --output config",
    ],
    [
      ["-f", "a", ...envoy, "--image", "oci://a"],
      "--image belongs to --output wasmplugin, trafficextension, envoygateway or higress, and this is --output envoy",
    ],
    [["-f", "a", "--output", "envoy"], "needs --listen IP:PORT and --upstream HOST:PORT"],
    [["-f", "a", ...envoy, "--listen", "localhost:80"], "Listen on an IP address, not on a name"],
    [["-f", "a", ...envoy, "--listen", "127.0.0.1"], "Write HOST:PORT"],
    [["-f", "a", ...envoy, "--upstream", "::1:80"], "Write HOST:PORT"],
    [["-f", "a", ...envoy, "--upstream", "a:65536"], "Write HOST:PORT"],
    [["-f", "a", ...envoy, "--upstream", "a b:80"], "neither an IP address nor a host name"],
    [["-f", "a", ...envoy, "--tls-cert", "a"], "--tls-cert and --tls-key go together"],
    [["-f", "a", ...envoy, "--tls-client-ca", "a"], "--tls-client-ca needs --tls-cert"],
    [["-f", "a", ...envoy, "--ecds", "a.json"], "only if its name ends with .yaml"],
    [
      ["-f", "a", ...envoy, "--ecds", "a.yaml", "--module", "b"],
      "--module belongs in the file that --ecds names: write that with --output ecds --module FILE",
    ],
    [["-f", "a", "--module", "b"], "--module belongs to --output envoy or ecds, and this is --output config"],
    [["-f", "a", "--output", "trafficextension"], "--output trafficextension needs --image"],
    [["-f", "a", "--output", "envoygateway"], "--output envoygateway needs --image"],
    [["-f", "a", "--output", "higress"], "--output higress needs --image"],
    [
      ["-f", "a", "--output", "higress", "--image", "oci://a/b", "--mode", "sidecar"],
      "Higress runs at the edge: leave --mode sidecar out",
    ],
    [["-f", "a", "--output", "google", "--mode", "sidecar"], "leave --mode sidecar out"],
    [["-f", "a", ...gateway, "--mode", "sidecar"], "leave --mode sidecar out"],
    [["-f", "a", ...gateway, "--image", "file:///a"], "reads no file of the proxy: write --image oci://"],
    [
      ["-f", "a", ...gateway, "--jwks-ca", "a"],
      "takes authorities from a ConfigMap: write --jwks-ca-configmap",
    ],
    [["-f", "a", ...gateway, "--jwks-ca-configmap", "A_b"], "Write a name of lower-case letters"],
    [["-f", "a", "--jwks-ca-configmap", "a"], "--jwks-ca-configmap belongs to --output envoygateway"],
    [["-f", "a", "--max-heap-size", "1GiB"], "--max-heap-size belongs to --output envoy"],
    [
      ["-f", "a", ...envoy, "--max-heap-size", "512"],
      "The unit is missing. Write a number with KiB, MiB or GiB",
    ],
    [["-f", "a", ...envoy, "--max-heap-size", "512m"], "Write a number with KiB, MiB or GiB, such as 512MiB"],
    [["-f", "a", ...envoy, "--max-heap-size", "1 GiB"], "Write a number with KiB, MiB or GiB"],
    [["-f", "a", ...envoy, "--max-heap-size", "-1GiB"], "Write a number with KiB, MiB or GiB"],
    [["-f", "a", ...envoy, "--max-heap-size", "9999999GiB"], "Write a number with KiB, MiB or GiB"],
    [["-f", "a", ...envoy, "--max-heap-size", "63MiB"], "write 64MiB or more"],
    [["-f", "a", "--labels", "app"], "Write NAME=VALUE"],
    [["-f", "a", "--labels", "app=a,v=1", "--labels", "app=b"], "A workload has one value of app: a or b?"],
    [
      ["-f", "a", "--output", "wasmplugin", "--mode", "gateway"],
      "needs --image with the place that you pushed",
    ],
    [["-f", "a", "--output", "wasmplugin", "--image", "a b"], "Write oci://"],
    [["-f", "a", "--output", "wasmplugin", "--sha256", "123"], "Write 64 hexadecimal digits"],
  ])("%j", (args, words) => {
    const { status, stdout, stderr } = run(["compile", ...args]);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toContain(words);
    expect(stderr).not.toContain("    at ");
  });

  test("no command, or an unknown one", () => {
    expect(run([]).status).toBe(2);
    expect(run(["compil"])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("Did you mean compile?"),
    });
  });
});

describe("help and version end with 0", () => {
  test.each([
    [["--help"]],
    [["help", "compile"]],
    [["compile", "--help"]],
    [["demo", "-h"]],
    [["--version"]],
  ])("%j", (args) => {
    const { status, stdout, stderr } = run(args);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).not.toBe("");
  });
});

test("a reader that stops reading is not an error", () => {
  const script = `for i in 1 2 3; do "$0" "$1" compile -f "$2" | true; echo "\${PIPESTATUS[0]}"; done`;
  const { stdout, stderr } = spawnSync("bash", ["-c", script, process.execPath, CLI, SAMPLE], {
    encoding: "utf8",
  });
  expect({ stdout, stderr }).toEqual({ stdout: "0\n0\n0\n", stderr: "" });
});
