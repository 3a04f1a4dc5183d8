/** Clients, other users and the environment can neither make `jwtgate run` crash nor bypass it. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { envoyBinary } from "../support/envoy.ts";
import { http1 } from "../support/http1.ts";
import { type Running, RunWorkspace, stop } from "../support/run-command.ts";
import { until } from "../support/until.ts";
import { startUpstream, type Upstream } from "../support/upstream.ts";

const policy = (path: string) => `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: closed, namespace: ns}
spec: {action: DENY, rules: [{to: [{operation: {paths: [${path}]}}]}]}
`;

let upstream: Upstream;
let workspace: RunWorkspace;

beforeAll(async () => {
  upstream = await startUpstream();
});
afterAll(() => upstream.close());

beforeEach(() => {
  workspace = new RunWorkspace();
  writeFileSync(workspace.path("policies/policy.yaml"), policy("/secret"));
});
afterEach(() => workspace.remove());

const ask = async (port: number, path: string, from?: string) =>
  (await http1({ host: "127.0.0.1", port, ...(from !== undefined && { from }) }, { path })).status;

/** Every request is still decided by its policy, and Ctrl-C ends the gate as ever. */
async function expectAlive(running: Running): Promise<void> {
  expect(await ask(running.port, "/secret")).toBe(403);
  expect(await ask(running.port, "/open")).toBe(200);
  expect(await stop(running)).toBe(0);
  expect(running.stderr()).not.toMatch(/Error|has a bug|^ {4}at /m);
}

/** What clients send that is not a request, or do not wait for; and how many log lines it causes. */
const FLOODS: Record<string, { bytes: Buffer; waits: boolean; line: RegExp }> = {
  garbage: { bytes: Buffer.from("x\r\n\r\n"), waits: true, line: / - - 400 http1\.codec_error$/ },
  "a TLS hello": {
    bytes: Buffer.from(`16030100c8010000c40303${"ab".repeat(193)}`, "hex"),
    waits: true,
    line: / - - 400 http1\.codec_error$/,
  },
  "70 kB of header": {
    bytes: Buffer.from(`GET / HTTP/1.1\r\nhost: a\r\nx: ${"a".repeat(70_000)}\r\n\r\n`),
    waits: true,
    line: / - - 431 http1\.headers_too_large$/,
  },
  "GET *": {
    bytes: Buffer.from("GET * HTTP/1.1\r\nhost: a\r\n\r\n"),
    waits: true,
    line: / - - 400 http1\.invalid_url$/,
  },
  "half a request": {
    bytes: Buffer.from("GET /half HTTP/1.1\r\nhost: a"),
    waits: false,
    line: / - - - downstream_remote_disconnect$/,
  },
  "a request and no reader": {
    bytes: Buffer.from("GET /aborted HTTP/1.1\r\nhost: a\r\n\r\n"),
    waits: false,
    // The client may have gone before the answer or after it.
    line: / GET \/aborted (- downstream_remote_disconnect|200)$/,
  },
};

/** How many of each kind: for lines of text, and for lines of JSON, which are made of the same. */
const [EACH, EACH_AS_JSON] = [10_000, 1_000];
const AT_ONCE = 64;

/** Sends the same on many connections, some at a time, from several addresses: one has not ports enough. */
async function flood(port: number, { bytes, waits }: { bytes: Buffer; waits: boolean }, count: number) {
  let sent = 0;
  let next = 0;
  /** @returns whether it was heard: answered, or sent if no answer is waited for */
  const one = (from: string) =>
    new Promise<boolean>((resolve) => {
      let isHeard = false;
      const hear = () => {
        isHeard = true;
        socket.resetAndDestroy();
      };
      const socket = connect({ host: "127.0.0.1", port, localAddress: from });
      socket.on("error", () => {}).on("close", () => resolve(isHeard));
      if (waits) socket.on("data", hear);
      socket.on("connect", () => socket.write(bytes, () => waits || hear()));
    });
  const worker = async () => {
    while (sent < count) {
      sent++;
      // On a busy machine a connection may fail.
      if (!(await one(`127.0.${1 + (next++ % 8)}.1`))) sent--;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

describe("thousands of each kind of broken request leave the gate as it was", () => {
  test("10,000 of each, each a well-formed line", async () => {
    const running = await workspace.serve(upstream.port);
    for (const kind of Object.values(FLOODS)) await flood(running.port, kind, EACH);
    const lines = () => running.stdout().trim().split("\n");
    // What was reset at once, Envoy may not have seen at all.
    await until("the lines", async () => lines().length >= 4 * EACH && (await settled(running)));
    for (const line of lines())
      expect(line).toMatch(/^\d\d:\d\d:\d\d (-|[A-Z]+) (-|\/\S*) (-|\d{3})( [\x20-\x7e]+)?$/);
    for (const [name, { line: pattern, waits }] of Object.entries(FLOODS)) {
      const alike = Object.values(FLOODS).filter(({ line }) => line.source === pattern.source).length;
      const count = lines().filter((line) => pattern.test(line)).length;
      if (waits) expect(count, name).toBeGreaterThanOrEqual(alike * EACH);
      else expect(count, name).toBeGreaterThan(0);
    }
    await expectAlive(running);
  });

  test("each a line of JSON", async () => {
    const running = await workspace.serve(upstream.port, ["--json"]);
    for (const kind of Object.values(FLOODS)) await flood(running.port, kind, EACH_AS_JSON);
    const lines = () => running.stdout().trim().split("\n");
    await until("the lines", async () => lines().length >= 4 * EACH_AS_JSON && (await settled(running)));
    const kinds = new Map<string, number>();
    for (const line of lines()) {
      const { time, method, path, status, details } = JSON.parse(line) as Record<string, unknown>;
      expect([time, method, path, details].every((text) => typeof text === "string" && text !== "")).toBe(
        true,
      );
      const kind = `${method} ${path} ${status} ${details}`;
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    }
    expect(kinds.get("- - 400 http1.codec_error")).toBe(2 * EACH_AS_JSON);
    expect(kinds.get("- - 400 http1.invalid_url")).toBe(EACH_AS_JSON);
    expect(kinds.get("- - 431 http1.headers_too_large")).toBe(EACH_AS_JSON);
    expect(kinds.get("- - 0 downstream_remote_disconnect")).toBeGreaterThan(0);
    await expectAlive(running);
  });
});

/** Sends one more request, and waits for its line: those before it have been written. */
async function settled(running: Running): Promise<boolean> {
  await ask(running.port, "/settled");
  return until("the last line", async () => running.stdout().includes("/settled"));
}

describe("what Envoy writes is only read", () => {
  /** An Envoy that writes something before it starts. */
  function writing(...lines: string[]): string {
    const file = workspace.path("lines");
    writeFileSync(file, lines.map((line) => `${line}\n`).join(""));
    return `cat '${file}'`;
  }

  test("of any kind", async () => {
    const entry = (members: object) =>
      JSON.stringify({ time: null, method: null, path: null, status: null, details: null, ...members });
    const before = writing(
      ...["{", "{}", "[]", "null", '{"details": 7}', "\u001b[2J\u202e"],
      entry({}),
      entry({
        time: 5,
        method: {},
        path: [],
        status: "x",
        details: [],
        policy: {},
        principal: 1,
        reason: [],
      }),
      entry({ method: "GET", path: "/\u001b[2J", status: 200, details: "d", policy: "constructor" }),
      entry({ details: "rbac_access_denied_matched_policy[__proto__]", status: 403 }),
      "x".repeat(3 * 1024 * 1024),
    );
    const running = await workspace.serve(upstream.port, [], { ENVOY_BIN: await wrapper(before) });
    const lines = running.stdout().trim().split("\n");
    expect(lines).toEqual([
      "- - - -",
      "- - - -",
      "- GET /\\u001b[2J 200",
      "- - - 403 rbac_access_denied_matched_policy[__proto__] __proto__",
    ]);
    expect(running.stderr()).not.toMatch(/[\u001b\u202e]/);
    await expectAlive(running);
  });
});

/** An executable that does something and then becomes Envoy. */
async function wrapper(before: string): Promise<string> {
  const file = workspace.path("wrapper");
  const version = 'case "$*" in *--version*) ;; *)';
  writeFileSync(file, `#!/bin/sh\n${version} ${before};; esac\nexec '${await envoyBinary()}' "$@"\n`);
  chmodSync(file, 0o755);
  return file;
}

describe("a reader that goes away does not take the gate with it", () => {
  test("a closed pipe", async () => {
    const running = await workspace.serve(upstream.port);
    running.process.stdout?.destroy();
    for (let i = 0; i < 3; i++) expect(await ask(running.port, "/secret")).toBe(403);
    await running.printed("standard output: its reader has ended: requests are no longer printed");
    running.process.stderr?.destroy();
    writeFileSync(workspace.path("policies/policy.yaml"), policy("/other"));
    await until("the edit is in force", async () => (await ask(running.port, "/other")) === 403);
    writeFileSync(workspace.path("policies/policy.yaml"), "a: [");
    writeFileSync(workspace.path("policies/policy.yaml"), policy("/secret"));
    await until("the next edit is in force", async () => (await ask(running.port, "/secret")) === 403);
    await expectAlive(running);
  });
});

describe("a file that cannot be read", () => {
  test("has no effect, and the gate keeps serving", async () => {
    const running = await workspace.serve(upstream.port);
    symlinkSync("circle.yaml", workspace.path("policies/circle.yaml"));
    await running.printed("policies/circle.yaml: the path has a loop of links");
    await running.printed("the previous policies stay in force");
    expect(await ask(running.port, "/secret")).toBe(403);
    rmSync(workspace.path("policies/circle.yaml"));
    await running.printed("reloaded");
    await expectAlive(running);
  });
});

describe("two gates at one address", () => {
  test("are refused, and the second names the first", async () => {
    const first = await workspace.serve(upstream.port);
    const address = `127.0.0.1:${first.port}`;
    for (const listen of [address, `0.0.0.0:${first.port}`]) {
      const second = await workspace.spawn([
        ...["run", "-f", "policies", "--upstream", "127.0.0.1:1", "--listen", listen],
      ]);
      expect(await second.ended).toBe(1);
      expect(second.stderr()).toBe(
        `--listen ${listen} is in use by another jwtgate (process ${first.process.pid}): ` +
          "choose another with --listen IP:PORT\n",
      );
    }
    await expectAlive(first);
    // A connection that Envoy closed leaves the address waiting; the next gate need not.
    const next = await workspace.serve(upstream.port, ["--listen", address]);
    await expectAlive({ ...next, port: first.port });
  });
});

describe("Envoy's admin interface", () => {
  test("is a socket that only this user can open, and Envoy listens only at the gate's address", async () => {
    const running = await workspace.serve(upstream.port);
    const [folder = ""] = readdirSync(workspace.path("tmp"));
    const socket = workspace.path("tmp", folder, "admin.sock");
    expect(statSync(socket).isSocket()).toBe(true);
    expect(statSync(socket).mode & 0o777).toBe(0o600);
    expect(statSync(dirname(socket)).mode & 0o777).toBe(0o700);
    expect(listeningPorts(workspace.path("tmp", folder))).toEqual([running.port]);
    expect(running.stderr()).not.toContain("admin");
    await expectAlive(running);
    expect(readdirSync(workspace.path("tmp"))).toEqual([]);
  });

  test("has a path short enough though the temporary files' own is not", async () => {
    const long = workspace.path("tmp", "d".repeat(90));
    mkdirSync(long);
    const running = await workspace.serve(upstream.port, [], { TMPDIR: long });
    expect(readdirSync(long)).toEqual([]);
    // Others run Envoys on this machine, too: ours is the one with this upstream.
    const clusters = (name: string) => join("/tmp", name, "cds.json");
    const own = readdirSync("/tmp")
      .filter((name) => name.startsWith("jwtgate-envoy-") && existsSync(clusters(name)))
      .filter((name) => readFileSync(clusters(name), "utf8").includes(`"port_value":${upstream.port}}`));
    expect(own).toHaveLength(1);
    await expectAlive(running);
    expect(own.filter((name) => existsSync(join("/tmp", name)))).toEqual([]);
  });

  test.each([
    ["127.0.0.1", "every user and program of this machine"],
    ["0.0.0.0", "everyone who can reach 0.0.0.0:PORT"],
  ])("that was asked for at %s is reported, with what it shows and who can reach it", async (host, who) => {
    const running = await workspace.serve(upstream.port, ["--admin", `${host}:0`]);
    const port = /jwtgate: http:\/\/[\d.]+:(\d+) is Envoy's admin interface/.exec(running.stderr())?.[1];
    expect(running.stderr()).toContain(
      `jwtgate: http://${host}:${port} is Envoy's admin interface, without a password: it shows the whole configuration, ` +
        `HMAC secrets included (/config_dump), and ends the gate (/quitquitquit), for ${who.replace("PORT", `${port}`)}\n`,
    );
    expect(await ask(Number(port), "/ready")).toBe(200);
    await expectAlive(running);
  });
});

/** The ports of TCP at which the Envoy listens that has its files in a folder. */
function listeningPorts(folder: string): number[] {
  const pid = readdirSync("/proc").find(
    (name) => /^\d+$/.test(name) && commandLine(name).includes(join(folder, "envoy.json")),
  );
  const sockets = readdirSync(`/proc/${pid}/fd`).flatMap((name) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${name}`))?.[1] ?? [];
    } catch {
      return [];
    }
  });
  return ["tcp", "tcp6"].flatMap((table) =>
    readFileSync(`/proc/net/${table}`, "utf8")
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[3] === "0A" && sockets.includes(fields[9] ?? ""))
      .map((fields) => Number.parseInt(fields[1]?.split(":")[1] ?? "", 16)),
  );
}

function commandLine(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    return [];
  }
}

describe("the current folder", () => {
  test("is not searched for programs, and variables that Node.js or a shell would run are not passed on", async () => {
    const trap = (path: string) => {
      mkdirSync(workspace.path(path, ".."), { recursive: true });
      writeFileSync(
        workspace.path(path),
        `#!/bin/sh\necho ${path} >> '${workspace.path("trapped")}'\nexit 1\n`,
      );
      chmodSync(workspace.path(path), 0o755);
    };
    for (const name of ["envoy", "sh", "rm", "cat", "kill", "sleep", "python3", "env.sh"]) {
      trap(name);
      trap(`bin/${name}`);
    }
    const running = await workspace.serve(upstream.port, [], {
      ENVOY_BIN: await wrapper(`/usr/bin/env > '${workspace.path("environment")}'`),
      PATH: `:.:bin:./bin:${dirname(process.execPath)}:/usr/bin:/bin:`,
      LD_LIBRARY_PATH: `:.:${workspace.path("lib")}`,
      NODE_OPTIONS: "--no-deprecation",
      NODE_PATH: ".",
      // Node itself would pass it on to each process that it starts, if tests are run with coverage.
      NODE_V8_COVERAGE: "",
      BASH_ENV: "./env.sh",
      ENV: "./env.sh",
    });
    const environment = readFileSync(workspace.path("environment"), "utf8").split("\n");
    expect(environment.filter((line) => /^(NODE_|BASH_ENV|ENV=)/.test(line))).toEqual([]);
    expect(environment).toContain(`PATH=${dirname(process.execPath)}:/usr/bin:/bin`);
    expect(environment).toContain(`LD_LIBRARY_PATH=${workspace.path("lib")}`);
    await expectAlive(running);
    expect(readdirSync(workspace.path("tmp"))).toEqual([]);

    // With an empty PATH, execvp(3) looks in the current folder.
    const empty = await workspace.serve(upstream.port, [], { PATH: "" });
    await expectAlive(empty);
    expect(existsSync(workspace.path("trapped"))).toBe(false);
  });
});
