/**
 * The proxy-wasm host by itself, with a module that obeys its requests (tests/support/guest/probe.ts): what cannot be
 * compared with Envoy call by call (tests/differential/host.test.ts) – time, calls to other services, several
 * configurations, and modules that fail.
 */
import { runInContext } from "node:vm";
import { beforeAll, describe, expect, test } from "vitest";
import type { HttpResponse } from "../../tools/host/context.ts";
import { createHost, type Host, type HostOptions, type HttpCall } from "../../tools/host/host.ts";
import { SharedData } from "../../tools/host/shared-data.ts";
import { compileAssembly } from "../support/assembly.ts";
import { bundlePortable, webContext } from "../support/portable.ts";

let probe: WebAssembly.Module;
beforeAll(async () => {
  probe = await WebAssembly.compile(await compileAssembly("tests/support/guest/probe.ts"));
});

const doing = (operations: string): { headers: [string, string][] } => ({ headers: [["x-do", operations]] });
const messages = (host: Host): string[] => host.logs.map(({ message }) => message);

async function hostWith(options: HostOptions = {}, configuration = ""): Promise<Host> {
  const host = await createHost(probe, options);
  expect(host.configure(configuration).accepted).toBe(true);
  host.logs.length = 0;
  return host;
}

test("no foreign function is one that every object has", async () => {
  const host = await hostWith({ foreignFunctions: { echo: (bytes) => bytes } });
  host.send(doing("foreign echo hi|foreign constructor hi|foreign toString hi|foreign __proto__ hi"));
  expect(messages(host).filter((line) => line.startsWith("foreign"))).toEqual([
    "foreign 0 6869",
    ...["foreign 1", "foreign 1", "foreign 1"],
  ]);
});

describe("time", () => {
  test("passes only if it is advanced, with every tick at its own time", async () => {
    const host = await hostWith();
    host.clock.set(1_000_000);
    host.send(doing("tick 100"));
    host.logs.length = 0;
    host.advance(99);
    expect(messages(host)).toEqual([]);
    host.advance(1);
    expect(messages(host)).toEqual(["tick"]);
    host.advance(1000);
    expect(messages(host)).toHaveLength(11);
    expect(host.clock.now).toBe(1_001_100n * 1_000_000n);
    host.send(doing("tick 0"));
    host.logs.length = 0;
    host.advance(1000);
    expect(messages(host)).toEqual([]);
  });

  test("ticks continue when the clock is set back or ahead, as Envoy's timers do", async () => {
    const host = await hostWith();
    host.clock.set(1_000_000);
    host.send(doing("tick 100"));
    for (const time of [1_000, 9_000_000]) {
      host.clock.set(time);
      host.logs.length = 0;
      host.advance(200);
      expect(messages(host)).toEqual(["tick", "tick"]);
      expect(host.clock.now).toBe((BigInt(time) + 200n) * 1_000_000n);
    }
  });

  test("follows the system's until it is set", async () => {
    const host = await hostWith();
    expect(Math.abs(Number(host.clock.now / 1_000_000n) - Date.now())).toBeLessThan(10_000);
  });
});

describe("calls to other services", () => {
  /** A service that answers when the test triggers it. */
  function service(): {
    options: HostOptions;
    calls: HttpCall[];
    answer: (response: HttpResponse | Error) => void;
  } {
    const calls: HttpCall[] = [];
    let settle: (response: HttpResponse | Error) => void = () => {};
    const fetch = (call: HttpCall): Promise<HttpResponse> => {
      calls.push(call);
      return new Promise((resolve, reject) => {
        settle = (response) => (response instanceof Error ? reject(response) : resolve(response));
      });
    };
    return { options: { fetch }, calls, answer: (response) => settle(response) };
  }

  test("pause the request until the answer arrives", async () => {
    const { options, calls, answer } = service();
    const host = await hostWith(options);
    const stream = host.send(doing("hold|call keys /jwks 5000"));
    expect(stream.outcome).toBeUndefined();
    expect(calls).toMatchObject([
      { cluster: "keys", timeout: 5000, headers: expect.arrayContaining([[":path", "/jwks"]]) },
    ]);
    answer({ status: 200, headers: [["a", "b"]], body: "keys" });
    expect((await stream.decided).answer).toMatchObject({ status: 200, body: "answered", details: "probe" });
    await host.settle();
    expect(messages(host)).toContain("response true 4 0 200");
    expect(messages(host)).toContain(`buffer 0 ${Buffer.from("keys").toString("hex")}`);
    expect(host.contextCount).toBe(1);
  });

  test("that break are reported as such", async () => {
    const { options, answer } = service();
    const host = await hostWith(options);
    const stream = host.send(doing("hold|call keys /jwks 0"));
    answer(new Error("reset"));
    await stream.decided;
    expect(messages(host)).toContain("response false 0 0 ");
    expect(messages(host)).toContain("status 0 11");
  });

  test("that take too long are answered 504, and their late response is ignored", async () => {
    const { options, calls, answer } = service();
    const host = await hostWith(options);
    host.clock.set(0);
    const stream = host.send(doing("hold|call keys /jwks 1000"));
    host.advance(999);
    expect(stream.outcome).toBeUndefined();
    host.advance(1);
    await stream.decided;
    expect(messages(host)).toContain("response true 24 0 504");
    expect(calls[0]?.signal.aborted).toBe(true);
    answer({ status: 200 });
    await host.settle();
    expect(messages(host).filter((message) => message.startsWith("response"))).toHaveLength(1);
  });

  test("end with their configuration", async () => {
    const { options, calls, answer } = service();
    const host = await hostWith(options);
    const stream = host.send(doing("hold|call keys /jwks 0"));
    stream.close();
    await expect(stream.decided).rejects.toThrow("the client went away");
    host.unload();
    expect(calls[0]?.signal.aborted).toBe(true);
    host.logs.length = 0;
    answer({ status: 200 });
    await host.settle();
    expect(messages(host)).toEqual([]);
    expect(host.contextCount).toBe(0);
  });

  test("need a cluster that is known", async () => {
    const unknown = await hostWith({ clusters: ["other"], fetch: async () => ({ status: 200 }) });
    unknown.send(doing("call keys /jwks 0"));
    expect(messages(unknown)).toContain("call 2 false");
  });
});

describe("several configurations", () => {
  test("have a root context each, and end by themselves", async () => {
    const host = await hostWith();
    host.configure("", { name: "second" });
    expect(host.contextCount).toBe(2);
    host.logs.length = 0;
    host.unload("second");
    expect(messages(host)).toEqual(["done", "delete"]);
    expect(host.contextCount).toBe(1);
    expect(() => host.send({}, "second")).toThrow('no configuration named "second"');
  });

  test("one that is replaced lives as long as its last request", async () => {
    const host = await hostWith();
    const stream = host.send(doing("hold"));
    host.logs.length = 0;
    expect(host.configure("random 8").accepted).toBe(true);
    expect(messages(host)).toEqual(["random 0 true"]);
    expect(host.contextCount).toBe(3);
    host.logs.length = 0;
    stream.close();
    // The stream's own end, then the root context's.
    expect(messages(host)).toEqual(["log", "done", "delete", "done", "delete"]);
    expect(host.contextCount).toBe(1);
  });

  test("one that is not finished yet is waited for", async () => {
    const host = await hostWith();
    host.configure("unfinished", { name: "second" });
    host.logs.length = 0;
    host.unload("second");
    expect(messages(host)).toEqual(["done"]);
    expect(host.contextCount).toBe(2);
    host.logs.length = 0;
    host.send(doing("effective 2|done"));
    expect(messages(host)).toContain("done 0");
    expect(messages(host)).toContain("delete");
    expect(host.contextCount).toBe(1);
  });

  test("one that is refused changes nothing", async () => {
    const host = await hostWith();
    expect(host.configure("refuse")).toEqual({ accepted: false, logs: [] });
    expect(host.contextCount).toBe(1);
    expect((await host.request({})).upstream?.path).toBe("/");
  });

  test("workers of one process share data, others do not", async () => {
    const sharedData = new SharedData();
    const [one, two, other] = [
      await hostWith({ sharedData }),
      await hostWith({ sharedData }),
      await hostWith(),
    ];
    one.send(doing("store k v 0"));
    two.send(doing("fetch k"));
    other.send(doing("fetch k"));
    expect(messages(two)).toContain("fetch 0 76");
    expect(messages(other)).toContain("fetch 1");
  });
});

describe("a module that fails", () => {
  test.each([
    ["unreachable", "trap", /unreachable/],
    ["recursion without end", "recurse 1", /call stack/i],
  ])("%s: the request is answered 503 and the failure reported", async (_name, operation, message) => {
    const host = await hostWith();
    const outcome = await host.request(doing(operation));
    expect(outcome.answer).toMatchObject({ status: 503, body: "", details: "wasm_fail_stream" });
    expect(outcome.trapped).toMatchObject({
      callback: "proxy_on_request_headers",
      message: expect.stringMatching(message),
    });
    expect(host.trapped).toEqual(outcome.trapped);
    // So is every request after it, without a call into the module.
    host.logs.length = 0;
    expect((await host.request({})).answer?.status).toBe(503);
    expect(messages(host)).toEqual([]);
  });

  test("while it is configured: refused, and the old configuration stays in force", async () => {
    const host = await hostWith();
    expect(host.configure("trap")).toMatchObject({
      accepted: false,
      trapped: { callback: "proxy_on_configure" },
    });
    expect(host.trapped).toBeUndefined();
    expect((await host.request({})).upstream?.path).toBe("/");
  });

  test.each<[string, string, RegExp]>([
    ["imports what Envoy does not have", '(import "env" "abort" (func (param i32)))', /abort/],
    ["exports no memory", "", /memory/],
    ["exports no malloc", '(memory (export "memory") 1)', /malloc/],
    [
      "says no ABI version",
      '(memory (export "memory") 1) (func (export "malloc") (param i32) (result i32) i32.const 0)',
      /abi_version/,
    ],
    [
      "has a callback that this host does not make",
      '(memory (export "memory") 1) (func (export "malloc") (param i32) (result i32) i32.const 0) (func (export "proxy_abi_version_0_2_1")) (func (export "proxy_on_response_headers"))',
      /proxy_on_response_headers/,
    ],
  ])("one that %s is not loaded", async (_name, text, reason) => {
    const { default: binaryen } = await import("binaryen");
    const module = binaryen.parseText(`(module ${text})`);
    await expect(createHost(module.emitBinary())).rejects.toThrow(reason);
  });
});

test("the host runs without Node", async () => {
  const bundle = await bundlePortable('export * from "./tools/host/host.ts";');
  const path: unknown = await runInContext(
    `${bundle}
    (async () => {
      const host = await jwtgate.createHost(module);
      host.configure("");
      return (await host.request({ path: "/a/../b" })).upstream.path;
    })()`,
    webContext({ module: probe }),
  );
  expect(path).toBe("/b");
});

describe("requests that are answered in one callback", () => {
  async function answerMany(count: number): Promise<Host> {
    const host = await hostWith();
    const held = Array.from({ length: count }, () => host.send(doing("hold")));
    const ids = held.map((_, i) => i + 2);
    host.send(doing(ids.map((id) => `effective ${id}|local 403 -1 refused body`).join("|")));
    return host;
  }

  test("end one inside the other, and a few hundred end the machine, as in Envoy", async () => {
    expect((await answerMany(200)).trapped).toBeUndefined();
    expect((await answerMany(320)).trapped?.message).toBe("Maximum call stack size exceeded");
  });
});
