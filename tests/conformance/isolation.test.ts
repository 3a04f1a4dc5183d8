/**
 * Data of one request never reaches another: the filter has one object of each kind and one arena, and data
 * of an earlier request in them must not count.
 */

import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Configuration } from "../../tools/config/schema.ts";
import type { Host } from "../../tools/host/host.ts";
import type { DownstreamRequest } from "../../tools/host/http-connection-manager.ts";
import { createNodeHost } from "../../tools/host/node.ts";
import { Vm } from "../../tools/host/vm.ts";
import { whole } from "../support/configuration.ts";
import { MODULE } from "../support/envoy.ts";
import { bearer, TestKey } from "../support/tokens.ts";

afterEach(() => vi.restoreAllMocks());

const ISSUER = "https://issuer.example";
const module = await WebAssembly.compile(readFileSync(MODULE));
const key = TestKey.generate("RS256", "k");

const provider = (name: string, issuer: string): NonNullable<Configuration["providers"]>[number] => ({
  name,
  issuer,
  localJwks: { keys: [key.jwk as never] },
  fromHeaders: [{ name: "authorization", valuePrefix: "Bearer " }],
  fromParams: ["access_token"],
  fromCookies: ["session"],
  claimToHeaders: [{ headerName: "x-sub", claimName: "sub" }],
});

const MALFORMED = "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections";
const alice = key.token({ iss: ISSUER, sub: "alice" });
/** What an honest request leaves behind: its token, deep enough in the arena that a shorter request does not reach it. */
const honest: DownstreamRequest = {
  headers: [
    ...Array.from({ length: 8 }, (_, i): [string, string] => [`x-${i}`, "v".repeat(200)]),
    bearer(alice),
  ],
};

describe.each([
  ["one provider", [provider("origins-0", ISSUER)]],
  ["several providers", [provider("origins-0", "https://other.example"), provider("origins-1", ISSUER)]],
])("a request after one with a good token, %s", (_name, providers) => {
  let host: Host;
  beforeEach(async () => {
    host = await createNodeHost(module);
    expect(host.configure(whole({ providers })).accepted).toBe(true);
    expect(host.send(honest).outcome?.upstream?.headers).toContainEqual(["x-sub", "alice"]);
  });

  test.each<[string, DownstreamRequest]>([
    ["a parameter without a value", { path: "/?access_token" }],
    ["a parameter with an empty value", { path: "/?access_token=" }],
    ["a cookie with an empty value", { headers: [["cookie", "session="]] }],
    ["a cookie of two quotes", { headers: [["cookie", 'session=""']] }],
    ["a parameter without a value, next to others", { path: "/?a&access_token&b" }],
  ])("%s is a malformed token", (_case, request) => {
    for (let i = 0; i < 3; i++) {
      expect(host.send(request).outcome?.answer).toMatchObject({ status: 401, body: MALFORMED });
    }
  });

  test("a request without a token has no identity", () => {
    expect(host.send({}).outcome?.upstream?.headers.map(([name]) => name)).not.toContain("x-sub");
  });
});

describe("a root context with the id of one that has ended", () => {
  const configuration = (issuer: string): Configuration =>
    whole({ providers: [provider("origins-0", issuer)] });
  const bob = key.token({ iss: "https://other.example", sub: "bob" });

  test("handles its requests itself", async () => {
    const host = await createNodeHost(module);
    const ids = vi.spyOn(Vm.prototype, "allocateContextId");
    expect(host.configure(configuration(ISSUER)).accepted).toBe(true);
    expect(host.send({ headers: [bearer(alice)] }).outcome?.upstream).toBeDefined();
    const id = ids.mock.results[1]?.value;
    host.unload();
    // The id is returned twice: for the context in which a configuration is tried, and for the one that stays.
    ids.mockReturnValueOnce(id).mockReturnValueOnce(id);
    expect(host.configure(configuration("https://other.example")).accepted).toBe(true);
    expect(host.send({ headers: [bearer(bob)] }).outcome?.upstream?.headers).toContainEqual(["x-sub", "bob"]);
    expect(host.send({ headers: [bearer(alice)] }).outcome?.answer).toMatchObject({
      status: 401,
      body: "Jwt issuer is not configured",
    });
  });
});

describe("a stream whose headers come after another stream began", () => {
  test("is answered 500, and not by the configuration of the other stream", async () => {
    const host = await createNodeHost(module);
    const open = whole({ authorization: { predicates: [], audit: { rules: [] } } });
    expect(host.configure(open, { name: "open" }).accepted).toBe(true);
    expect(host.configure(whole({ providers: [provider("origins-0", ISSUER)] })).accepted).toBe(true);
    expect(host.send({}, "open").outcome?.upstream).toBeDefined();
    const { call } = Vm.prototype;
    vi.spyOn(Vm.prototype, "call").mockImplementation(function (this: Vm, context, callback, ...args) {
      // Hosts begin a stream and pass its headers in one go. This one begins a stream of id 1000 in between.
      if (callback === "proxy_on_request_headers") {
        call.call(this, context, "proxy_on_context_create", 1000, context.root.id);
      }
      return call.call(this, context, callback, ...args);
    });
    expect(host.send({}, "open").outcome).toMatchObject({ answer: { status: 500 } });
    expect(host.send({ headers: [bearer(alice)] }).outcome).toMatchObject({ answer: { status: 500 } });
  });
});

describe("a request without an identity, after one of alice", () => {
  const id = "ns[foo]-policy[p]-rule[0]";
  const authorization = {
    predicates: [{ claim: ["sub"], match: { exact: "alice" } }],
    allow: { rules: [{ id, condition: 0 }] },
  };
  const DENIED = { status: 403, body: "RBAC: access denied" };
  let host: Host;
  beforeEach(async () => {
    host = await createNodeHost(module);
    const providers = [provider("origins-0", ISSUER)];
    expect(host.configure(whole({ providers, authorization })).accepted).toBe(true);
    expect(host.send({}).outcome?.answer).toMatchObject(DENIED);
    expect(host.send(honest).outcome?.upstream).toBeDefined();
  });

  test("has no identity of hers if it is a CORS preflight", () => {
    const headers: [string, string][] = [
      ["origin", "https://app.example"],
      ["access-control-request-method", "PUT"],
    ];
    expect(host.send({ method: "OPTIONS", headers }).outcome?.answer).toMatchObject(DENIED);
  });

  test("has no identity of hers if its configuration has no provider", () => {
    expect(host.configure(whole({ authorization }), { name: "second" }).accepted).toBe(true);
    host.send(honest);
    expect(host.send(honest, "second").outcome?.answer).toMatchObject(DENIED);
  });
});

test("each of two tokens has its own claims, in any order of reading", async () => {
  const at = (name: string, issuer: string, header: string): ReturnType<typeof provider> => ({
    ...provider(name, issuer),
    fromHeaders: [{ name: header }],
  });
  const host = await createNodeHost(module);
  // The first provider reads alice's token, the second mallory's, and the third alice's again.
  const providers = [
    at("origins-0", "https://first.example", "x-a"),
    at("origins-1", "https://second.example", "x-b"),
    at("origins-2", ISSUER, "x-a"),
  ];
  expect(host.configure(whole({ providers })).accepted).toBe(true);
  const mallory = key.token({ iss: "https://mallory.example", sub: "mallory" });
  const headers: [string, string][] = [
    ["x-a", alice],
    ["x-b", mallory],
  ];
  expect(host.send({ headers }).outcome?.upstream?.headers).toContainEqual(["x-sub", "alice"]);
});

describe("of two required providers", () => {
  const required = (name: string, more: object): object => ({
    ...provider(name, ISSUER),
    presence: "REQUIRED",
    forward: true,
    ...more,
  });

  test("only the later one sets a header of both", async () => {
    const output = (claimName: string): object => ({ claimToHeaders: [{ headerName: "x-sub", claimName }] });
    const host = await createNodeHost(module);
    const providers = [required("origins-0", output("sub")), required("origins-1", output("other"))];
    expect(host.configure(whole({ providers })).accepted).toBe(true);
    for (const other of ["bob", undefined]) {
      const token = key.token({ iss: ISSUER, sub: "alice", ...(other && { other }) });
      const headers = host.send({ headers: [bearer(token)] }).outcome?.upstream?.headers;
      expect(headers?.filter(([name]) => name === "x-sub")).toEqual(other ? [["x-sub", other]] : []);
    }
  });

  test("the later one finds a token that the first one writes", async () => {
    const host = await createNodeHost(module);
    const providers = [
      required("origins-0", { claimToHeaders: [{ headerName: "x-inner", claimName: "inner" }] }),
      required("origins-1", { fromHeaders: [{ name: "x-inner" }] }),
    ];
    expect(host.configure(whole({ providers })).accepted).toBe(true);
    const outer = key.token({ iss: ISSUER, inner: key.token({ iss: ISSUER, sub: "inner" }) });
    for (let i = 0; i < 2; i++) {
      const headers = host.send({ headers: [bearer(outer)] }).outcome?.upstream?.headers;
      expect(headers).toContainEqual(["x-sub", "inner"]);
    }
  });
});

test("a request without a token has no claims, however many policies ask for", async () => {
  const host = await createNodeHost(module);
  const predicates = Array.from({ length: 4000 }, (_, i) => ({ claim: [`c${i}`], match: { exact: "x" } }));
  const condition = { or: predicates.map((_, i) => i) };
  const authorization = { predicates, allow: { rules: [{ id: "ns[foo]-policy[p]-rule[0]", condition }] } };
  const providers = [provider("origins-0", ISSUER)];
  expect(host.configure(whole({ providers, authorization })).accepted).toBe(true);
  expect(host.send({}).outcome?.answer).toMatchObject({ status: 403 });
  const token = bearer(key.token({ iss: ISSUER, c3999: "x" }));
  expect(host.send({ headers: [token] }).outcome?.upstream).toBeDefined();
  expect(host.send({}).outcome?.answer).toMatchObject({ status: 403 });
});
