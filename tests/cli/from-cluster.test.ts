/** `--from-cluster` reads policies through `kubectl`. A program here prints what kubectl 1.32 printed, and keeps what it was asked. */
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const TOOL = fileURLToPath(new URL("../../dist/jwtgate.mjs", import.meta.url));

const item = (kind: string, name: string, spec: unknown, namespace = "shop") => ({
  apiVersion: "security.istio.io/v1",
  kind,
  metadata: {
    creationTimestamp: "2026-11-01T00:00:00Z",
    generation: 1,
    name,
    namespace,
    resourceVersion: "5",
    uid: "1",
  },
  spec,
});

const ITEMS = [
  item("RequestAuthentication", "jwt", {
    jwtRules: [{ issuer: "https://i.test", jwksUri: "https://i.test/jwks" }],
  }),
  item("AuthorizationPolicy", "deny", {
    action: "DENY",
    rules: [{ to: [{ operation: { paths: ["/admin"] } }] }],
  }),
  item("AuthorizationPolicy", "extern", { action: "CUSTOM", provider: { name: "opa" }, rules: [{}] }, "bank"),
];

const list = (items: unknown[]) =>
  `${JSON.stringify({ apiVersion: "v1", items, kind: "List", metadata: { resourceVersion: "" } }, undefined, 4)}\n`;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "jwtgate-cluster-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Answer {
  stdout?: string;
  stderr?: string;
  code?: number;
}

/** Writes a `kubectl` with this answer into the folder. */
function kubectl({ stdout = "", stderr = "", code = 0 }: Answer): void {
  for (const [name, text] of Object.entries({ stdout, stderr })) writeFileSync(join(folder, name), text);
  writeFileSync(
    join(folder, "kubectl"),
    `#!/bin/sh
printf '%s\\n' "$@" > '${folder}/asked'
cat '${folder}/stdout'
cat '${folder}/stderr' >&2
exit ${code}
`,
  );
  chmodSync(join(folder, "kubectl"), 0o755);
}

const asked = () => readFileSync(join(folder, "asked"), "utf8").trim().split("\n");

function tool(args: string[], environment: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [TOOL, ...args], {
    encoding: "utf8",
    env: { ...process.env, KUBECTL: "", PATH: `${folder}:/usr/bin:/bin`, ...environment },
  });
  return { status, stdout, stderr };
}

describe("the policies of a cluster", () => {
  test("are read from all namespaces of the chosen context", () => {
    kubectl({ stdout: list(ITEMS) });
    const { status, stdout } = tool([
      "compile",
      "--from-cluster",
      "--context=prod",
      "--kubeconfig",
      "/k",
      "--namespace=shop",
    ]);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      providers: [{ policy: "shop/jwt", issuer: "https://i.test" }],
      authorization: { deny: { rules: [{ id: "ns[shop]-policy[deny]-rule[0]" }] } },
    });
    expect(asked()).toEqual([
      "get",
      "requestauthentications.security.istio.io,authorizationpolicies.security.istio.io,tokenpolicies.jwtgate.dev",
      "--all-namespaces",
      "--output=json",
      "--request-timeout=30s",
      "--context=prod",
      "--kubeconfig=/k",
    ]);
  });

  test.each([
    ["check", ["check"], 1],
    ["explain", ["explain", "--path=/admin"], 0],
    ["token verify", ["token", "verify", "e30.e30.e30"], 1],
  ])("%s reads them, too", (_, command, status) => {
    kubectl({ stdout: list(ITEMS) });
    const result = tool([...command, "--from-cluster", "--namespace=shop"]);
    expect(result).toMatchObject({ status });
    expect(result.stdout + result.stderr).toContain("<cluster>/shop/");
  });

  test("have the lines of kubectl get KIND NAME -o json", () => {
    const wrong = item("AuthorizationPolicy", "wrong", { action: "DENI" });
    kubectl({ stdout: list([ITEMS[0], wrong]) });
    const line = JSON.stringify(wrong, undefined, 4)
      .split("\n")
      .findIndex((text) => text.includes("DENI"));
    expect(tool(["compile", "--from-cluster", "--namespace=shop"])).toMatchObject({
      status: 1,
      stdout: "",
      stderr: expect.stringContaining(`<cluster>/shop/AuthorizationPolicy/wrong:${line + 1}:`),
    });
  });

  test("are those of Istio if the cluster does not know TokenPolicies", () => {
    kubectl({ stdout: list(ITEMS) });
    const program = join(folder, "kubectl");
    const unknown = `error: the server doesn't have a resource type "tokenpolicies"`;
    const script = readFileSync(program, "utf8");
    writeFileSync(
      program,
      script.replace(
        "\n",
        `\ncase "$2" in *tokenpolicies*) echo '${unknown.replace("'", "'\\''")}' >&2; exit 1;; esac\n`,
      ),
    );
    expect(tool(["compile", "--from-cluster", "--namespace=shop"])).toMatchObject({ status: 0 });
    expect(asked()[1]).toBe(
      "requestauthentications.security.istio.io,authorizationpolicies.security.istio.io",
    );
  });

  test("are an error if there are none, as with every command", () => {
    kubectl({ stdout: list([]) });
    expect(tool(["check", "--from-cluster", "--namespace=shop"])).toEqual({
      status: 1,
      stdout: "",
      stderr:
        "<cluster>: there is no RequestAuthentication and no AuthorizationPolicy here: a filter would let everything through\n",
    });
  });
});

describe("a kubectl that fails", () => {
  const log = (line: string) => `E1126 11:36:29.649949   24701 memcache.go:265] "Unhandled Error" ${line}\n`;
  const REFUSED =
    "The connection to the server 127.0.0.1:18080 was refused - did you specify the right host or port?";
  test.each<[string, Answer, string]>([
    [
      "says why",
      { code: 1, stderr: log("refused") + log("refused") + REFUSED },
      `error: kubectl failed: ${REFUSED}\n`,
    ],
    ["has logged only", { code: 1, stderr: log("refused") }, `error: kubectl failed: ${log("refused")}`],
    ["says nothing", { code: 3 }, "error: kubectl failed: it ended with 3\n"],
    [
      "knows no policies",
      { code: 1, stderr: `error: the server doesn't have a resource type "requestauthentications"\n` },
      `error: kubectl failed: error: the server doesn't have a resource type "requestauthentications"\nIs Istio installed in this cluster?\n`,
    ],
    [
      "writes to the terminal",
      { code: 1, stderr: "\u001b[2Jgone" },
      "error: kubectl failed: \\u001b[2Jgone\n",
    ],
    ["prints no JSON", { stdout: "NAME AGE\n" }, "error: kubectl printed no list of policies\n"],
    [
      "prints JSON of another kind",
      { stdout: '{"items": [1]}' },
      "error: kubectl printed no list of policies\n",
    ],
  ])("%s", (_, answer, stderr) => {
    kubectl(answer);
    expect(tool(["check", "--from-cluster"])).toEqual({ status: 1, stdout: "", stderr });
  });

  test("leaves the output file as it was", () => {
    kubectl({ code: 1 });
    const file = join(folder, "filter.json");
    expect(tool(["compile", "--from-cluster", "-o", file]).status).toBe(1);
    expect(existsSync(file)).toBe(false);
  });

  test("is not there", () => {
    const { status, stderr } = tool(["check", "--from-cluster"], { PATH: folder });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^error: kubectl was not found: install it/);
  });

  test("is not searched for in the current folder", () => {
    const { status, stderr } = tool(["check", "--from-cluster"], { KUBECTL: "kubectl" });
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: "error: KUBECTL is not the absolute path of a program\n",
    });
  });
});

test.each([
  [["compile", "--from-cluster", "-f", "x.yaml"], "policies come from -f or --from-cluster, not from both"],
  [["check", "--context", "prod", "-f", "x.yaml"], "--context belongs to --from-cluster"],
  [["explain", "--kubeconfig", "k", "-f", "x.yaml"], "--kubeconfig belongs to --from-cluster"],
  [["explain"], "name the policies with -f FILE, or use --from-cluster"],
])("%j is misuse", (args, message) => {
  const { status, stdout, stderr } = tool(args);
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  expect(stderr).toContain(`error: ${message}`);
});
