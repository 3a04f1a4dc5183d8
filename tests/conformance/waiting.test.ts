/** Requests that wait for keys: how many are resumed at a time, which ones, and which requests wait at all. */
import { readFileSync } from "node:fs";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { HttpResponse } from "../../tools/host/context.ts";
import type { Host, Stream } from "../../tools/host/host.ts";
import { createNodeHost } from "../../tools/host/node.ts";
import { Vm } from "../../tools/host/vm.ts";
import { whole } from "../support/configuration.ts";
import { MODULE } from "../support/envoy.ts";
import { bearer, TestKey } from "../support/tokens.ts";

afterEach(() => vi.restoreAllMocks());

const module = await WebAssembly.compile(readFileSync(MODULE));
const NOW = Date.UTC(2026, 10, 26);
const ISSUER = "https://issuer.example";
/** The id of the root context of the first configuration of a host. */
const ROOT = 1;
const NO_KEY = "Jwks doesn't have key to match kid or alg from Jwt";
const FETCH_FAILED = "Jwks remote fetch is failed";
const current = TestKey.generate("HS256", "current");
const next = TestKey.generate("HS256", "next");
const keySet = (...keys: TestKey[]): HttpResponse => ({
  status: 200,
  body: JSON.stringify({ keys: keys.map(({ jwk }) => jwk) }),
});

/** A gate whose key server answers when the test triggers it. */
class Gate {
  private pending: ((response: HttpResponse) => void)[] = [];
  fetches = 0;
  private constructor(readonly host: Host) {}

  static async open(limits: object = {}, remote: object = {}, more: object = {}): Promise<Gate> {
    const gates: Gate[] = [];
    const host = await createNodeHost(module, {
      fetch: () =>
        new Promise((resolve) => {
          const [gate] = gates;
          if (gate === undefined) return;
          gate.fetches++;
          gate.pending.push(resolve);
        }),
    });
    const gate = new Gate(host);
    gates.push(gate);
    host.clock.set(NOW);
    const providers = [
      {
        name: "origins-0",
        issuer: ISSUER,
        remoteJwks: { uri: `${ISSUER}/keys`, cluster: "keys", refreshMs: 3_600_000, ...remote },
        fromHeaders: [{ name: "authorization", valuePrefix: "Bearer " }],
      },
    ];
    expect(host.configure(whole({ providers, limits, ...more }))).toMatchObject({ accepted: true });
    host.advance(1000);
    return gate;
  }

  /** Makes the key server answer the fetch that is in flight. */
  async answer(response: HttpResponse): Promise<void> {
    const answer = this.pending.shift();
    if (answer === undefined) throw new Error("no fetch is in flight");
    answer(response);
    // The host handles it in another microtask.
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** A gate that has the current key, for long enough that a refetch is allowed. */
  static async withKeys(limits: object = {}, remote: object = {}): Promise<Gate> {
    const gate = await Gate.open(limits, remote);
    await gate.answer(keySet(current));
    gate.host.advance(10_000);
    return gate;
  }

  send(token: string): Stream {
    return this.host.send({ headers: [bearer(token)] });
  }

  sendMany(count: number, token: (i: number) => string): Stream[] {
    return Array.from({ length: count }, (_, i) => this.send(token(i)));
  }

  get waiting(): number {
    return this.host.metrics.values()["jwtgate_jwks_waiting_requests"] ?? 0;
  }
}

const forged = (kid: string | undefined): string => {
  const header = { alg: "HS256", ...(kid !== undefined && { kid }) };
  const text = [header, { iss: ISSUER }].map((part) =>
    Buffer.from(JSON.stringify(part)).toString("base64url"),
  );
  return `${text.join(".")}.AAAA`;
};
const good = (key: TestKey): string => key.token({ iss: ISSUER, sub: "s" });
const bodies = (streams: Stream[]): Set<string | undefined> =>
  new Set(streams.map(({ outcome }) => (outcome?.upstream ? "forwarded" : outcome?.answer?.body)));
const undecided = (streams: Stream[]): number =>
  streams.filter(({ outcome }) => outcome === undefined).length;

describe("requests are resumed a few at a time, the oldest first", () => {
  test("when keys come", async () => {
    const gate = await Gate.open();
    const streams = gate.sendMany(1000, () => good(current));
    expect(undecided(streams)).toBe(1000);
    expect(gate.waiting).toBe(1000);
    await gate.answer(keySet(current));
    for (let done = 16; done < 1000; done += 16) {
      expect(streams.map(({ outcome }) => outcome !== undefined)).toEqual(streams.map((_, i) => i < done));
      gate.host.advance(10);
    }
    expect(bodies(streams)).toEqual(new Set(["forwarded"]));
    expect(gate.host.trapped).toBeUndefined();
    expect(gate.waiting).toBe(0);
  });

  test("when their time is over", async () => {
    const gate = await Gate.open({ maxWaitMs: 1000, maxResumedPerCallback: 5 }, { timeoutMs: 60_000 });
    const streams = gate.sendMany(700, () => forged("one"));
    gate.host.advance(990);
    expect(undecided(streams)).toBe(700);
    gate.host.advance(150);
    expect(undecided(streams)).toBeGreaterThan(600);
    expect(streams.slice(-600).every(({ outcome }) => outcome === undefined)).toBe(true);
    gate.host.advance(1600);
    expect(bodies(streams)).toEqual(new Set([FETCH_FAILED]));
    expect(gate.host.trapped).toBeUndefined();
  });

  test("when the clock is set back", async () => {
    const gate = await Gate.open({}, { timeoutMs: 60_000 });
    const streams = gate.sendMany(700, () => forged("one"));
    gate.host.clock.set(NOW - 86_400_000);
    for (let i = 0; i < 44; i++) gate.host.tick();
    expect(bodies(streams)).toEqual(new Set([FETCH_FAILED]));
    expect(gate.host.trapped).toBeUndefined();
  });

  test("and ticks are rare again afterwards", async () => {
    const gate = await Gate.open();
    gate.sendMany(100, () => good(current));
    await gate.answer(keySet(current));
    const calls = vi.spyOn(Vm.prototype, "call");
    const ticks = (): number =>
      calls.mock.calls.filter(([, callback]) => callback === "proxy_on_tick").length;
    gate.host.advance(50);
    expect(ticks()).toBe(5);
    gate.host.advance(1000);
    expect(ticks()).toBeLessThan(20);
  });
});

describe("a forged token of a known issuer", () => {
  test("of a known kid does not wait, but causes a refetch", async () => {
    const gate = await Gate.withKeys();
    expect(gate.send(forged("current")).outcome?.answer?.body).toBe("Jwt verification fails");
    expect(gate.fetches).toBe(2);
  });

  test("waits for the one refetch that its kid may trigger, once", async () => {
    const gate = await Gate.withKeys();
    const first = gate.send(forged("made-up"));
    expect(gate.fetches).toBe(2);
    await gate.answer(keySet(current));
    expect(first.outcome?.answer?.body).toBe(NO_KEY);
    // It was asked for a moment ago, so it is not asked for again.
    expect(gate.send(forged("made-up")).outcome?.answer?.body).toBe(NO_KEY);
    expect(gate.fetches).toBe(2);
    // Without a kid, any key may fit.
    const nameless = gate.send(forged(undefined));
    expect(nameless.outcome).toBeUndefined();
    gate.host.advance(2500);
    expect(gate.fetches).toBe(3);
    await gate.answer(keySet(current));
    expect(nameless.outcome?.answer?.body).toBe("Jwt verification fails");
  });

  test("with made-up kids: at most 64 wait, the others are refused at once with the same text", async () => {
    const gate = await Gate.withKeys();
    const streams = gate.sendMany(1000, (i) => forged(`made-up-${i}`));
    expect(undecided(streams)).toBe(64);
    expect(gate.fetches).toBe(2);
    await gate.answer(keySet(current));
    gate.host.advance(2500);
    await gate.answer(keySet(current));
    gate.host.advance(2500);
    expect(bodies(streams)).toEqual(new Set([NO_KEY]));
    expect(gate.waiting).toBe(0);
  });

  test.each([1, 2, 16])("a kid with %i requests does not keep a new key out", async (each) => {
    const gate = await Gate.withKeys();
    const strangers = gate.sendMany(64 * each, (i) => forged(`made-up-${Math.floor(i / each)}`));
    expect(undecided(strangers)).toBe(64 * each);
    const streams: Stream[] = [];
    for (let i = 0; i < 1000; i++) {
      streams.push(gate.send(good(next)));
      strangers.push(gate.send(forged(`later-${i}`)));
    }
    expect(undecided(streams)).toBe(1000);
    await gate.answer(keySet(current, next));
    gate.host.advance(3000);
    expect(bodies(streams)).toEqual(new Set(["forwarded"]));
    gate.host.advance(5000);
    expect(bodies(strangers)).toEqual(new Set([NO_KEY]));
  });

  test("in thousands of one kid leaves room for those of another", async () => {
    const gate = await Gate.withKeys();
    const strangers = gate.sendMany(5000, () => forged("made-up"));
    expect(undecided(strangers)).toBe(2000);
    const streams = gate.sendMany(1000, () => good(next));
    expect(undecided(strangers)).toBe(1000);
    await gate.answer(keySet(current, next));
    gate.host.advance(3000);
    expect(bodies(streams)).toEqual(new Set(["forwarded"]));
    expect(bodies(strangers)).toEqual(new Set([NO_KEY]));
  });

  test("leaves a refetch for the next new key, which waits until it is allowed", async () => {
    const gate = await Gate.withKeys();
    gate.send(forged("made-up"));
    await gate.answer(keySet(current));
    // The keys are rotated now, and the refetch has happened.
    const streams = gate.sendMany(1000, () => good(next));
    expect(undecided(streams)).toBe(1000);
    expect(gate.fetches).toBe(2);
    gate.host.advance(2300);
    expect(gate.fetches).toBe(3);
    await gate.answer(keySet(next));
    gate.host.advance(1000);
    expect(bodies(streams)).toEqual(new Set(["forwarded"]));
  });
});

describe("while there are no keys", () => {
  test.each<[string, HttpResponse]>([
    ["a status", { status: 503, body: "" }],
    ["no JSON", { status: 200, body: "<html>" }],
    ["no key", keySet()],
  ])(
    "and the latest fetch failed with %s, requests are answered at once until the next",
    async (_name, response) => {
      const gate = await Gate.open();
      const before = gate.send(good(current));
      expect(before.outcome).toBeUndefined();
      await gate.answer(response);
      expect(before.outcome?.answer?.body).toBe(FETCH_FAILED);
      expect(gate.send(good(current)).outcome?.answer?.body).toBe(FETCH_FAILED);
      gate.host.advance(1200);
      const after = gate.send(good(current));
      expect(after.outcome).toBeUndefined();
      await gate.answer(keySet(current));
      expect(after.outcome?.upstream).toBeDefined();
      expect(gate.send(good(current)).outcome?.upstream).toBeDefined();
    },
  );

  test("and the latest fetch took too long, requests wait for the next", async () => {
    const gate = await Gate.open({ maxWaitMs: 60_000 });
    const stream = gate.send(good(current));
    gate.host.advance(4300);
    expect(gate.fetches).toBe(1);
    const other = gate.send(good(current));
    gate.host.advance(1000);
    expect(gate.fetches).toBe(2);
    expect(undecided([stream, other])).toBe(2);
    await gate.answer(keySet(current));
    await gate.answer(keySet(current));
    expect(bodies([stream, other])).toEqual(new Set(["forwarded"]));
  });
});

test("in shadow no request waits", async () => {
  const gate = await Gate.open({}, {}, { shadow: true });
  expect(gate.send(good(current)).outcome?.upstream).toBeDefined();
  expect(gate.waiting).toBe(0);
});

test("streams that end leave the list, and their places to others", async () => {
  const gate = await Gate.open({ maxWaitingRequests: 10 });
  const streams = gate.sendMany(10, () => good(current));
  expect(gate.send(good(current)).outcome?.answer?.body).toBe(FETCH_FAILED);
  for (const stream of streams.slice(0, 7)) stream.close();
  expect(gate.waiting).toBe(3);
  const others = gate.sendMany(7, () => good(current));
  expect(gate.waiting).toBe(10);
  await gate.answer(keySet(current));
  expect(bodies([...streams.slice(7), ...others])).toEqual(new Set(["forwarded"]));
  expect(gate.waiting).toBe(0);
});

describe("a context that the host does not allow the filter to act on", () => {
  /** The host refuses `proxy_set_effective_context` for the contexts of that list. */
  function refuse(...ids: number[]): void {
    const { setEffectiveContext } = Vm.prototype;
    vi.spyOn(Vm.prototype, "setEffectiveContext").mockImplementation(function (this: Vm, id) {
      return !ids.includes(id) && setEffectiveContext.call(this, id);
    });
  }

  /** The ids of the contexts that are made from now on. */
  function newIds(): () => number[] {
    const calls = vi.spyOn(Vm.prototype, "allocateContextId");
    return () => calls.mock.results.map(({ value }) => value as number);
  }

  test("is a waiting stream: the one that takes its place is not answered for it", async () => {
    const gate = await Gate.withKeys({ maxWaitingRequests: 2 });
    const ids = newIds();
    const strangers = gate.sendMany(2, () => forged("made-up"));
    expect(gate.waiting).toBe(2);
    refuse(...ids());
    const stream = gate.send(good(next));
    expect(stream.outcome, "waits, and is not refused instead of the one that left").toBeUndefined();
    await gate.answer(keySet(current, next));
    expect(stream.outcome?.upstream).toBeDefined();
    expect(undecided(strangers), "the host alone can end them").toBe(2);
    expect(gate.host.trapped).toBeUndefined();
    gate.host.advance(1000);
    expect(gate.host.metrics.values()).toMatchObject({ jwtgate_allowed: 1, jwtgate_failed: 0 });
  });

  test("is a waiting stream: its keys come, and no other stream is resumed", async () => {
    const gate = await Gate.open();
    const ids = newIds();
    const streams = gate.sendMany(3, () => good(current));
    const [, second = 0] = ids();
    refuse(second);
    await gate.answer(keySet(current));
    expect(streams.map(({ outcome }) => outcome?.upstream !== undefined)).toEqual([true, false, true]);
    expect(streams[1]?.outcome).toBeUndefined();
    gate.host.advance(1000);
    expect(gate.host.metrics.values()).toMatchObject({ jwtgate_allowed: 2, jwtgate_failed: 0 });
    expect(gate.waiting).toBe(0);
  });

  test("is the root context: if a stream began a fetch, the response would go to the stream", async () => {
    const gate = await Gate.withKeys();
    refuse(ROOT);
    expect(gate.send(good(next)).outcome?.answer?.body).toBe(NO_KEY);
    expect(gate.fetches).toBe(1);
    vi.restoreAllMocks();
    const stream = gate.send(good(next));
    expect(gate.fetches).toBe(2);
    await gate.answer(keySet(next));
    expect(stream.outcome?.upstream).toBeDefined();
  });

  test("is the root context: the ticks that resume requests start when the host accepts it again", async () => {
    const gate = await Gate.open();
    const streams = gate.sendMany(100, () => good(current));
    refuse(ROOT);
    await gate.answer(keySet(current));
    const left = undecided(streams);
    gate.host.advance(50);
    expect(undecided(streams), "the ticks are as rare as before").toBe(left);
    vi.restoreAllMocks();
    gate.host.advance(2000);
    expect(bodies(streams)).toEqual(new Set(["forwarded"]));
  });
});
