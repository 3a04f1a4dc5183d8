/** Every command has help with its exit codes, and its examples work. */
import { spawnSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { chmodSync, cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ISTIO_TOKEN } from "../../tools/demo/tokens.ts";
import { ROOT, TOOL, Workspace } from "../support/cli.ts";

const help = new Workspace();
const workspaces = [help];
afterAll(() => {
  for (const workspace of workspaces) workspace.remove();
});

const texts = new Map<string, string>();

/** @param command "" for the program itself */
function helpOf(command: string): string {
  const known = texts.get(command);
  if (known !== undefined) return known;
  const { stdout } = help.run([...command.split(" ").filter((word) => word !== ""), "--help"]);
  texts.set(command, stdout);
  return stdout;
}

/** Names of the commands in a command's help, without `help` itself. */
function commandsIn(...path: string[]): string[] {
  const list = /^Commands:\n([\s\S]*?)\n\n/m.exec(helpOf(path.join(" ")))?.[1] ?? "";
  return [...list.matchAll(/^ {2}([a-z]\S*)/gm)].flatMap(([, name = ""]) => (name === "help" ? [] : [name]));
}

const COMMANDS = commandsIn().flatMap((name) => {
  const below = commandsIn(name).map((child) => `${name} ${child}`);
  return [name, ...below];
});

/** The lines to type: after `$ `, with their continuation lines. */
function examplesOf(command: string): string[] {
  const examples = /^Examples:\n([\s\S]*?)(?:\n\n|$(?![\s\S]))/m.exec(helpOf(command))?.[1] ?? "";
  return [...examples.matchAll(/^ {4}\$ ((?:.*\\\n)*.*)$/gm)].map(([, line = ""]) => line);
}

/** The results of examples that fail here: they need a terminal or an Envoy, do not end, or fail on purpose. */
interface Otherwise {
  status: number;
  says: RegExp;
  /** A command to run it with. */
  with?: string;
}
const OTHERWISE: Record<string, Otherwise> = {
  "jwtgate new -o gateway.yaml": { status: 2, says: /this is not a terminal/ },
  "jwtgate check -f policies/ --fail-on warning": { status: 1, says: /1 warning/ },
  "jwtgate test -t 'another key' --bail": { status: 0, says: /2 passed, 21 not selected/ },
  "jwtgate diff --old envoy/istio/require-a-token.yaml --new envoy/istio/one-principal.yaml": {
    status: 1,
    says: /^opened: /,
  },
  // The folder of the examples is not a repository.
  "jwtgate diff --old main:policies/ --new policies/": { status: 1, says: /there is no revision main here/ },
  "jwtgate diff --old main:policies/ --new policies/ --fail-on opened --format github": {
    status: 1,
    says: /there is no revision main here/,
  },
  "jwtgate console": { status: 124, says: /^http:\/\/127/, with: "timeout -s INT 2 " },
  "jwtgate console -f policies/": { status: 124, says: /^http:\/\/127/, with: "timeout -s INT 2 " },
  "jwtgate test tests/*.test.yaml --watch": { status: 124, says: /passed/, with: "timeout -s INT 4 " },
};

const NO_ENVOY: Otherwise = { status: 1, says: /which is not an Envoy that runs here/ };

const PEM = generateKeyPairSync("rsa", { modulusLength: 2048 })
  .privateKey.export({ type: "pkcs8", format: "pem" })
  .toString();

/** A folder with all files that examples name. */
function furnish(): Workspace {
  const workspace = new Workspace();
  workspaces.push(workspace);
  const write = (name: string, text: string) => writeFileSync(workspace.path(name), text);
  for (const name of ["bin", "policies", "tests", ".config/fish/completions"]) {
    mkdirSync(workspace.path(name), { recursive: true });
  }
  symlinkSync(join(ROOT, "envoy"), workspace.path("envoy"));
  const sample = readFileSync(join(ROOT, "envoy/istio/skip-a-path.yaml"), "utf8");
  write("policies/gateway.yaml", sample.replaceAll(/namespace: \S+/g, "namespace: foo"));
  const keys = /jwks: '(.*)'/.exec(sample)?.[1] ?? "";
  for (const name of ["keys.json", "jwks.json", "old.jwks.json"]) write(name, keys);
  for (const name of ["one-principal.yaml", "one-principal.test.yaml"]) {
    cpSync(join(ROOT, "envoy/istio", name), workspace.path("tests", name));
  }
  write("token.jwt", ISTIO_TOKEN);
  write("new-certificate.pem", PEM);
  // Envoy's own filters: alone, and as Envoy's admin shows a listener.
  const rules = { policies: { p: { permissions: [{ any: true }], principals: [{ any: true }] } } };
  const type = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC";
  const http_filters = [{ name: "rbac", typed_config: { "@type": type, rules } }];
  write("native.yaml", JSON.stringify({ http_filters }));
  const filter_chains = [{ filters: [{ typed_config: { http_filters } }] }];
  write("dump.json", JSON.stringify({ configs: [{ listener: { name: "ingress", filter_chains } }] }));
  const program = (name: string, ...lines: string[]) => {
    write(`bin/${name}`, ["#!/bin/sh", ...lines, ""].join("\n"));
    chmodSync(workspace.path("bin", name), 0o755);
  };
  program("jwtgate", `exec '${process.execPath}' '${TOOL}' "$@"`);
  program("envoy", "exit 0");
  program("openssl", 'while [ "$1" != -out ]; do shift; done; cp new-certificate.pem "$2"');
  const policy = (name: string) => ({
    apiVersion: "gateway.envoyproxy.io/v1alpha1",
    kind: "SecurityPolicy",
    metadata: { name, namespace: "web" },
    spec: { targetRefs: [{ kind: "Gateway", name }], authorization: { defaultAction: "Deny" } },
  });
  write("security.json", JSON.stringify({ kind: "List", items: ["gateway", "other"].map(policy) }));
  program("curl", "cat dump.json");
  // These only read their input here.
  for (const name of ["skopeo", "jq"]) program(name, "cat >/dev/null");
  program("kubectl", '[ "$1 $2" = "get securitypolicy" ] && exec cat security.json', "cat >/dev/null");
  return workspace;
}

/** Runs one line in bash, as a user types it. */
function type(workspace: Workspace, line: string) {
  const { status, stdout, stderr } = spawnSync("bash", ["--norc", "-uo", "pipefail", "-c", line], {
    cwd: workspace.folder,
    encoding: "utf8",
    timeout: 240_000,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...process.env,
      PATH: [workspace.path("bin"), process.env["PATH"]].join(delimiter),
      HOME: workspace.folder,
      TOKEN: ISTIO_TOKEN,
      ENVOY_BIN: workspace.path("bin/envoy"),
    },
  });
  return { status, output: stdout + stderr };
}

const needsEnvoy = (line: string) => /\bjwtgate (run|demo)\b|--envoy\b/.test(line);

describe.each(COMMANDS)("jwtgate %s", (command) => {
  test("has a help with examples and exit codes", () => {
    const text = helpOf(command);
    expect(text).toMatch(/^Usage: jwtgate /);
    expect(examplesOf(command).length).toBeGreaterThan(0);
    const leads = commandsIn(...command.split(" ")).length > 0 || command === "completion";
    if (!leads) expect(text).toMatch(/exit\s+code:?\s+0/i);
    for (const line of text.split("\n")) expect(line.length, line).toBeLessThanOrEqual(130);
  });

  describe("examples", () => {
    let workspace: Workspace;
    beforeAll(() => {
      workspace = furnish();
    });

    test.each(examplesOf(command))("$ %s", (line) => {
      const otherwise = OTHERWISE[line] ?? (needsEnvoy(line) ? NO_ENVOY : undefined);
      const typed = line
        .replace("ENVOY_BIN=/usr/local/bin/envoy ", "")
        // The machine that runs the tests may use the port.
        .replace(/^jwtgate console(?!.*--export).*/, "$& --listen 127.0.0.1:0");
      const { status, output } = type(workspace, `${otherwise?.with ?? ""}${typed}`);
      expect(status, output).toBe(otherwise?.status ?? 0);
      if (otherwise) expect(output).toMatch(otherwise.says);
      expect(output).not.toContain("has a bug");
    });
  });
});

test("each exception is an example", () => {
  const all = COMMANDS.flatMap(examplesOf);
  for (const line of Object.keys(OTHERWISE)) expect(all).toContain(line);
});
