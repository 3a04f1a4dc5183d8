/** `npm run demo`, on a real Envoy: every answer as the documents say, and no process left behind, however it ends. */
import { type ChildProcess, spawn } from "node:child_process";
import { connect } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { differences } from "../../tools/demo/client.ts";
import { whoDecided } from "../../tools/demo/decision.ts";
import { envoyBinary } from "../support/envoy.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const DEMO = [process.execPath, join(ROOT, "dist/jwtgate.mjs"), "demo"];

let binary: string;
let child: ChildProcess | undefined;

beforeAll(async () => {
  binary = await envoyBinary();
});
afterEach(() => {
  child?.kill("SIGKILL");
});

interface Run {
  output: () => string;
  ended: Promise<number | null>;
  process: ChildProcess;
}

function start(command: string[]): Run {
  const [file = "", ...args] = command;
  const started = spawn(file, args, { cwd: ROOT, env: { ...process.env, ENVOY_BIN: binary } });
  child = started;
  let output = "";
  for (const stream of [started.stdout, started.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  return {
    output: () => output,
    ended: new Promise((resolve) => started.on("exit", resolve)),
    process: started,
  };
}

test("--once: all answers are as expected, and every refusal names who decided", async () => {
  const { output, ended } = start([...DEMO, "--once"]);
  expect(await ended, output()).toBe(0);
  const lines = output().split("\n");
  expect(lines).toContainEqual(expect.stringMatching(/^All \d+ answers were as expected\.$/));
  for (const [index, line] of lines.entries()) {
    if (!/^ +ok .* 40[13]( |$)/.test(line)) continue;
    expect(lines[index + 1], line).toMatch(/envoy\/istio\/\S+\.yaml:\d+:\d+\)$|no ALLOW policy allows it$/);
  }
  expect(output()).toContain("token-needed-but-on-productpage (envoy/istio/skip-a-path.yaml:");
});

describe("serving", () => {
  /** Starts serving; returns the port of the first scene too. */
  async function serving(command: string[]): Promise<Run & { port: number }> {
    const run = start(command);
    await expect.poll(run.output, { timeout: 100_000 }).toMatch(/# E\.2[\s\S]*curl .*\n/);
    return {
      ...run,
      port: Number(/curl -i http:\/\/127\.0\.0\.1:(\d+)\/productpage/.exec(run.output())?.[1]),
    };
  }

  const answers = (port: number) =>
    new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1");
      socket.on("connect", () => resolve(true)).on("error", () => resolve(false));
      socket.on("connect", () => socket.destroy());
    });

  test("prints each request that a user sends, and ends with Ctrl-C", async () => {
    const { process: demo, output, ended, port } = await serving(DEMO);
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/products/0`);
    expect(response.status).toBe(403);
    await expect
      .poll(output)
      .toMatch(
        /A GET \/api\/v1\/products\/0 → 403 token-needed-but-on-productpage \(envoy\/istio\/skip-a-path\.yaml/,
      );
    demo.kill("SIGINT");
    expect(await ended).toBe(0);
    expect(await answers(port)).toBe(false);
  });

  test("keeps serving after bytes that are not a request, and after clients that stop reading", async () => {
    const { process: demo, output, ended, port } = await serving(DEMO);
    for (const bytes of [
      "x\r\n\r\n",
      "GET * HTTP/1.1\r\nhost: a\r\n\r\n",
      "CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n",
    ]) {
      await new Promise<void>((resolve) => {
        const socket = connect(port, "127.0.0.1").on("error", () => {});
        socket.on("data", () => socket.destroy()).on("close", () => resolve());
        socket.write(bytes);
      });
    }
    await expect.poll(output).toContain("  - - - → 400 http1.codec_error\n");
    await expect.poll(output).toContain("  - - - → 400 http1.invalid_url\n");
    await expect.poll(output).toContain("  - CONNECT - → 403 ");
    demo.stdout?.destroy();
    for (let i = 0; i < 3; i++) await fetch(`http://127.0.0.1:${port}/api/v1/products/0`);
    await expect.poll(output).toContain("requests are no longer printed, and the gate continues\n");
    expect((await fetch(`http://127.0.0.1:${port}/productpage`)).status).toBe(200);
    demo.kill("SIGINT");
    expect(await ended).toBe(0);
  });

  test("leaves no Envoy behind if it is killed", async () => {
    const { process: demo, ended, port } = await serving(DEMO);
    expect(await answers(port)).toBe(true);
    demo.kill("SIGKILL");
    await ended;
    await expect.poll(() => answers(port), { timeout: 100_000 }).toBe(false);
  });

  test("leaves no process if its parent is killed, as npm is", async () => {
    const { process: shell, ended, port } = await serving(["sh", "-c", '"$0" "$@"; exit $?', ...DEMO]);
    shell.kill("SIGKILL");
    await ended;
    await expect.poll(() => answers(port), { timeout: 100_000 }).toBe(false);
  });
});

describe("the comparison", () => {
  const answer = {
    status: 403,
    headers: { a: "http://127.0.0.1:80/" },
    body: '{"url":"/x","headers":{"b":"1"}}',
  };

  test.each([
    [{ status: 403, headers: { a: "http://HOST/" } }, []],
    [{ status: 200 }, ["status is 403, expected 200"]],
    [{ status: 403, body: "no" }, [expect.stringContaining('expected "no"')]],
    [{ status: 403, headers: { c: "1" } }, ['c is undefined, expected "1"']],
    [{ status: 403, upstream: { url: "/x", headers: { b: "1", c: null } } }, []],
    [{ status: 403, upstream: { url: "/y" } }, ['the URL upstream is "/x", expected "/y"']],
    [{ status: 403, upstream: { headers: { b: null } } }, ['b upstream is "1", expected null']],
  ])("%j", (expectation, expected) => {
    expect(differences(answer, expectation, 80)).toEqual(expected);
  });

  test.each(["", "{", "null", "7"])("an upstream that answered %j instead of what it received", (body) => {
    const expectation = { status: 403, upstream: { url: "/x" } };
    expect(differences({ ...answer, body }, expectation, 80)).toEqual([
      `the upstream's answer is ${JSON.stringify(body)}`,
    ]);
  });
});

describe("who decided", () => {
  const at = { file: "a.yaml", line: 3, column: 5 };
  const id = "ns[foo]-policy[b[a]r]-rule[0]";
  const sourceMap = { rules: { [id]: at }, providers: { "origins-0": at }, constraints: {} };

  test.each([
    [`rbac_access_denied_matched_policy[${id}]`, "b[a]r (a.yaml:3:5)"],
    ["rbac_access_denied_matched_policy[none]", "no ALLOW policy allows it"],
    ["jwt_authn_access_denied{Jwt_is_expired}", "RequestAuthentication (a.yaml:3:5)"],
    ["via_upstream", ""],
  ])("%s", (details, expected) => {
    expect(whoDecided(details, sourceMap)).toBe(expected);
  });
});
