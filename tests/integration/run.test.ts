/**
 * `jwtgate run` on a real Envoy: it decides, reports, watches its files, keeps the last good policies, and
 * cleans up.
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { basename, join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Http1Client, headerOf, http1 } from "../support/http1.ts";
import { JwksServer, keys } from "../support/jwks-server.ts";
import { type Running, RunWorkspace, stop } from "../support/run-command.ts";
import { bearer, TestKey } from "../support/tokens.ts";
import { until } from "../support/until.ts";
import { startUpstream, type Upstream } from "../support/upstream.ts";

const key = TestKey.generate("ES256", "k");
const token = key.token({ iss: "https://issuer.example", sub: "alice" });

const authentication = (keys: string) => `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata:
  name: issuer
  namespace: ns
spec:
  jwtRules:
  - issuer: https://issuer.example
    ${keys}
`;
const AUTHENTICATION = authentication(`jwks: '${key.jwks}'`);

const policy = (path: string) => `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: token-needed
  namespace: ns
spec:
  action: DENY
  rules:
  - from:
    - source:
        notRequestPrincipals: ['*']
    to:
    - operation:
        paths: [${path}]
`;

let upstream: Upstream;
let workspace: RunWorkspace;

beforeAll(async () => {
  upstream = await startUpstream();
});
afterAll(() => upstream.close());

beforeEach(() => {
  workspace = new RunWorkspace();
  writeFileSync(workspace.path("policies/authentication.yaml"), AUTHENTICATION);
  writeFileSync(workspace.path("policies/policy.yaml"), policy("/secret"));
});
afterEach(() => workspace.remove());

const start = (...args: string[]) => workspace.serve(upstream.port, args);

const ask = async ({ port }: Running, path: string, headers: [string, string][] = []) =>
  (await http1({ host: "127.0.0.1", port }, { path, headers })).status;

test("decides, prints each decision in a line, and leaves no process and no file", async () => {
  const running = await start();
  expect(running.stderr()).toContain(
    `jwtgate: 1 JWT rule, 1 authorization rule; http://127.0.0.1:${running.port}`,
  );
  expect(await ask(running, "/secret?token=x")).toBe(403);
  expect(await ask(running, "/secret", [bearer(token)])).toBe(200);
  expect(await ask(running, "/open", [bearer("x")])).toBe(401);
  expect(await ask(running, "/open")).toBe(200);
  await until("four lines", async () => running.stdout().split("\n").length > 4);
  const time = /^\d\d:\d\d:\d\d /;
  const lines = running.stdout().trim().split("\n");
  for (const line of lines) expect(line).toMatch(time);
  expect(lines.map((line) => line.replace(time, ""))).toEqual([
    "GET /secret 403 RBAC: access denied token-needed (policies/policy.yaml:9:5)",
    "GET /secret 200 as https://issuer.example/alice",
    "GET /open 401 Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections RequestAuthentication (policies/authentication.yaml:8:5)",
    "GET /open 200",
  ]);
  expect(await stop(running)).toBe(0);
  expect(readdirSync(workspace.path("tmp"))).toEqual([]);
  await expect(ask(running, "/open")).rejects.toThrow();
});

test("prints decisions as JSON", async () => {
  const running = await start("--json");
  await ask(running, "/secret");
  await until("a line", async () => running.stdout().includes("\n"));
  expect(JSON.parse(running.stdout())).toEqual({
    time: expect.stringMatching(/^\d{4}-/),
    method: "GET",
    path: "/secret",
    status: 403,
    details: expect.stringMatching(/^rbac_access_denied_matched_policy/),
    reason: "RBAC: access denied",
    rule: "ns[ns]-policy[token-needed]-rule[0]",
    at: { file: "policies/policy.yaml", line: 9, column: 5 },
  });
  expect(await stop(running, "SIGTERM")).toBe(0);
});

describe("a file that changes", () => {
  const edit = (text: string) => writeFileSync(workspace.path("policies/policy.yaml"), text);

  test("is used as soon as it is saved; an error is reported, and the old policies stay in use", async () => {
    const running = await start();
    expect(await ask(running, "/other")).toBe(200);
    edit(policy("/other"));
    await running.printed("jwtgate: reloaded: 1 JWT rule, 1 authorization rule");
    expect(await ask(running, "/other")).toBe(403);
    expect(await ask(running, "/secret")).toBe(200);

    edit(policy("/secret").replace("paths", "pats"));
    await running.printed("jwtgate: the previous policies stay in force");
    expect(running.stderr()).toContain('policies/policy.yaml:14:9: unknown field "pats"');
    expect(await ask(running, "/other")).toBe(403);

    rmSync(workspace.path("policies"), { recursive: true });
    await running.printed("policies: there is no such file or folder");
    expect(await ask(running, "/other")).toBe(403);

    mkdirSync(workspace.path("policies"));
    writeFileSync(workspace.path("policies/a.yaml"), AUTHENTICATION);
    await until("a reload without policy", async () =>
      running.stderr().includes("1 JWT rule, 0 authorization rules"),
    );
    expect(await ask(running, "/other")).toBe(200);
    expect(await ask(running, "/other", [bearer("x")])).toBe(401);
    expect(await stop(running)).toBe(0);
  });

  test("may be a link that leads elsewhere, as a ConfigMap's are", async () => {
    for (const version of ["one", "two"]) {
      mkdirSync(workspace.path(version));
      writeFileSync(workspace.path(version, "policy.yaml"), policy(`/${version}`));
    }
    const link = workspace.path("policies/policy.yaml");
    const lead = (version: string) => {
      rmSync(link);
      symlinkSync(workspace.path(version, "policy.yaml"), link);
    };
    lead("one");
    const running = await start();
    expect(await ask(running, "/two")).toBe(200);
    lead("two");
    await running.printed("reloaded");
    expect(await ask(running, "/two")).toBe(403);
    expect(await stop(running)).toBe(0);
  });

  test("leaves a connection open, whose next request is decided by the new policies", async () => {
    const running = await start();
    const client = new Http1Client({ host: "127.0.0.1", port: running.port });
    try {
      expect((await client.request({ path: "/other" })).status).toBe(200);
      edit(policy("/other"));
      await running.printed("reloaded");
      const answer = await client.request({ path: "/secret", headers: [bearer(token)] });
      expect([answer.status, headerOf(answer, "x-received") !== undefined]).toEqual([200, true]);
    } finally {
      client.close();
    }
    expect(await stop(running)).toBe(0);
  });

  test("may bring keys that are fetched", async () => {
    const server = await JwksServer.start(keys([key.jwk as never]));
    try {
      const running = await start();
      writeFileSync(
        workspace.path("policies/authentication.yaml"),
        authentication(`jwksUri: ${server.origin}/jwks`),
      );
      await running.printed("reloaded");
      expect(await ask(running, "/secret", [bearer(token)])).toBe(200);
      expect(await stop(running)).toBe(0);
    } finally {
      await server.close();
    }
  });
});

test("--max-heap-size limits Envoy's heap", async () => {
  const running = await start("--max-heap-size", "512MiB");
  const [folder = ""] = readdirSync(workspace.path("tmp"));
  const bootstrap = readFileSync(workspace.path("tmp", folder, "envoy.json"), "utf8");
  expect(bootstrap).toContain('"max_heap_size_bytes":536870912');
  expect(await stop(running)).toBe(0);
});

describe("a gate that cannot start is reported, and leaves no process and no file", () => {
  test.each(["--listen", "--admin"])("an address that is taken, of %s", async (option) => {
    const server = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const running = await workspace.spawn([
      ...["run", "-f", "policies", "--upstream", "127.0.0.1:1", "--listen", "127.0.0.1:0"],
      ...[option, address],
    ]);
    expect(await running.ended).toBe(1);
    server.close();
    const holder = `${basename(process.execPath)} (process ${process.pid})`;
    // If Envoy cannot start at all, its log is printed before.
    expect(running.stderr().trimEnd().split("\n").at(-1)).toBe(
      `${option} ${address} is in use by ${holder}: choose another with ${option} IP:PORT`,
    );
    expect(readdirSync(workspace.path("tmp"))).toEqual([]);
  });

  test("policies that are wrong from the start", async () => {
    writeFileSync(workspace.path("policies/policy.yaml"), "a: [");
    const running = await workspace.spawn(["run", "-f", "policies", "--upstream", "127.0.0.1:1"]);
    expect(await running.ended).toBe(1);
    expect(running.stderr()).toMatch(/^policies\/policy\.yaml:1:/);
  });

  test("an Envoy that exits", async () => {
    const running = await start();
    const [folder = ""] = readdirSync(workspace.path("tmp"));
    expect(existsSync(workspace.path("tmp", folder, "envoy.json"))).toBe(true);
    process.kill(envoyOf(running.process.pid ?? 0), "SIGKILL");
    expect(await running.ended).toBe(1);
    expect(running.stderr()).toContain("Envoy ended by itself\n");
    await until("the folder is gone", async () => readdirSync(workspace.path("tmp")).length === 0);
  });

  test("standard input, which does not change", async () => {
    const running = await workspace.spawn(["run", "-f", "-", "--upstream", "127.0.0.1:1"]);
    expect(await running.ended).toBe(2);
    expect(running.stderr()).toContain("run watches files for changes");
  });
});

/** The Envoy that a process started. */
function envoyOf(parent: number): number {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const [, , , ppid] = readFileSync(join("/proc", pid, "stat"), "utf8")
        .replace(/\(.*\)/, "()")
        .split(" ");
      if (Number(ppid) === parent) return Number(pid);
    } catch {
      // Ended between two looks.
    }
  }
  throw new Error(`process ${parent} has no child`);
}
