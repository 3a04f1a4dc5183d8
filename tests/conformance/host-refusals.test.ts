/**
 * A host that lacks a function, or returns less than it announces: the request is answered 500 or held, never
 * forwarded.
 */
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { HeaderMap } from "../../tools/host/header-map.ts";
import type { Host } from "../../tools/host/host.ts";
import { createNodeHost } from "../../tools/host/node.ts";
import * as pairs from "../../tools/host/pairs.ts";
import { whole } from "../support/configuration.ts";
import { MODULE } from "../support/envoy.ts";
import { bearer, TestKey } from "../support/tokens.ts";

vi.mock("../../tools/host/pairs.ts", { spy: true });

const module = await WebAssembly.compile(readFileSync(MODULE));
const key = TestKey.generate("HS256", "k");
const ISSUER = "https://issuer.example";
const FAILED = { status: 500, details: "jwtgate_host_failure" };
const providers = [
  {
    name: "origins-0",
    issuer: ISSUER,
    localJwks: { keys: [key.jwk] },
    fromHeaders: [{ name: "authorization", valuePrefix: "Bearer " }],
    claimToHeaders: [{ headerName: "x-sub", claimName: "sub" }],
  },
];
const alice = bearer(key.token({ iss: ISSUER, sub: "alice" }));

afterEach(() => vi.restoreAllMocks());

/** A host without these functions, and with this configuration. */
async function without(functions: string[], configuration: object): Promise<Host> {
  const host = await createNodeHost(module, { unimplemented: functions });
  expect(host.configure(whole(configuration)).accepted).toBe(true);
  return host;
}

describe("a host that does not", () => {
  test("remove headers: a forged identity is not forwarded", async () => {
    const host = await without(["proxy_remove_header_map_value"], { providers });
    expect(host.send({}).outcome?.upstream).toBeDefined();
    expect(host.send({ headers: [["x-sub", "mallory"]] }).outcome?.answer).toMatchObject(FAILED);
  });

  test("remove headers: not even a refusal is written", async () => {
    const host = await without(["proxy_remove_header_map_value"], { providers });
    const headers: [string, string][] = [["x-sub", "mallory"], bearer("no token")];
    expect(host.send({ headers }).outcome?.answer).toMatchObject(FAILED);
  });

  test("add headers: a request whose backend would not see who asks is not forwarded", async () => {
    const host = await without(["proxy_add_header_map_value"], { providers });
    expect(host.send({ headers: [alice] }).outcome?.answer).toMatchObject(FAILED);
  });

  test("answer for the filter: a request that is refused waits, and is not forwarded", async () => {
    const host = await without(["proxy_send_local_response"], { providers });
    expect(host.send({ headers: [bearer("no token")] }).outcome).toBeUndefined();
    expect(host.send({}).outcome?.upstream).toBeDefined();
  });

  test("give properties: a condition on one is not taken for false", async () => {
    const rule = { id: "ns[foo]-policy[p]-rule[0]", condition: { not: 0 } };
    const authorization = { predicates: [{ destinationPort: 22 }], allow: { rules: [rule] } };
    const host = await without(["proxy_get_property"], { authorization });
    expect(host.send({}).outcome?.answer).toMatchObject(FAILED);
  });

  test("know the direct peer: a condition on its address is not taken for false", async () => {
    const rule = { id: "ns[foo]-policy[p]-rule[0]", condition: { not: 0 } };
    const authorization = { predicates: [{ sourceIp: "10.0.0.0/8" }], allow: { rules: [rule] } };
    const host = await without([], { authorization, directRemoteAddress: "peer" });
    expect(host.send({}).outcome?.answer).toMatchObject(FAILED);
    const listener = { directRemoteAddressKey: "peer" };
    expect(host.configure(whole({ authorization, directRemoteAddress: "peer" }), { listener }).accepted).toBe(
      true,
    );
    expect(host.send({}).outcome?.upstream).toBeDefined();
  });

  test("tell the time: no token that expires is valid", async () => {
    const host = await without(["proxy_get_current_time_nanoseconds"], { providers });
    expect(host.send({ headers: [alice] }).outcome?.answer).toMatchObject({
      status: 401,
      body: "Jwt is expired",
    });
  });
});

describe("a host that gives headers", () => {
  const deny = { rules: [{ id: "ns[foo]-policy[p]-rule[0]", condition: 0 }] };
  const authorization = { predicates: [{ path: { exact: "/denied" } }], deny };
  let host: Host;
  beforeEach(async () => {
    host = await without([], { authorization });
    expect(host.send({}).outcome?.upstream).toBeDefined();
  });

  test.each<[string, (bytes: Uint8Array) => Uint8Array]>([
    ["without their last bytes", (bytes) => bytes.subarray(0, -1)],
    ["without their lengths", (bytes) => bytes.subarray(0, 8)],
    ["of which the first is longer than all", (bytes) => bytes.fill(0xff, 4, 8)],
    ["of which there are fewer than it says", (bytes) => bytes.fill(0xff, 0, 1)],
    ["of which there are far fewer than it says", (bytes) => bytes.fill(1, 3, 4)],
  ])("%s: they are not read beyond their end", (_name, change) => {
    vi.mocked(pairs.encodePairs).mockImplementationOnce((list) => change(encode(list)));
    expect(host.send({}).outcome?.answer).toMatchObject(FAILED);
    // No room is made for headers that cannot be there.
    expect(host.memorySize).toBeLessThan(64 * 1024 * 1024);
  });
});

/** The host's own encoding, written again, because a spied function cannot be called. */
function encode(list: readonly pairs.Pair[]): Uint8Array {
  const texts = list.flat();
  const head = Buffer.alloc(4 + 4 * texts.length);
  head.writeUInt32LE(list.length);
  for (const [i, text] of texts.entries()) head.writeUInt32LE(text.length, 4 + 4 * i);
  return Buffer.concat([head, ...texts.map((text) => Buffer.from(`${text}\0`, "latin1"))]);
}

test("headers that a refused request forged are removed before access logs are written", async () => {
  const host = await without([], { providers });
  const remove = vi.spyOn(HeaderMap.prototype, "remove");
  const headers: [string, string][] = [["x-sub", "mallory"], bearer("no token")];
  expect(host.send({ headers }).outcome?.answer).toMatchObject({ status: 401 });
  expect(remove).toHaveBeenCalledWith("x-sub");
});
