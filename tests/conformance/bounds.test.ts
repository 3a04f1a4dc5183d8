/** The work and memory of one request are bounded, for any request and configuration. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { DownstreamRequest } from "../../tools/host/http-connection-manager.ts";
import { createNodeHost } from "../../tools/host/node.ts";
import { whole } from "../support/configuration.ts";
import { MODULE } from "../support/envoy.ts";
import { TestKey } from "../support/tokens.ts";

const module = await WebAssembly.compile(readFileSync(MODULE));
const key = TestKey.generate("HS256", "k");

test("a token is read once, however many providers look at its place", async () => {
  const host = await createNodeHost(module);
  const providers = Array.from({ length: 100 }, (_, i) => ({
    name: `origins-${i}`,
    issuer: `https://${i}.example`,
    localJwks: { keys: [key.jwk] },
    fromHeaders: [{ name: `x-${i % 8}` }],
  }));
  expect(host.configure(whole({ providers }))).toMatchObject({ accepted: true });
  // Eight tokens of 7 KB, almost every byte of which is a JSON value, from an unknown issuer.
  const token = (i: number): string => key.token({ iss: "nobody", i, list: Array(2500).fill(0) });
  const headers = Array.from({ length: 8 }, (_, i): [string, string] => [`x-${i}`, token(i)]);
  const before = host.memorySize;
  expect(host.send({ headers }).outcome?.answer).toMatchObject({ body: "Jwt issuer is not configured" });
  expect(host.memorySize - before).toBeLessThan(8 * 1024 * 1024);
});

test("a token of the last of many providers passes, next to tokens of others", async () => {
  const host = await createNodeHost(module);
  const providers = Array.from({ length: 20 }, (_, i) => ({
    name: `origins-${i}`,
    issuer: `https://${i}.example`,
    localJwks: { keys: [key.jwk] },
    fromHeaders: [{ name: `x-${i % 2}` }],
    claimToHeaders: [{ headerName: "x-sub", claimName: "sub" }],
  }));
  expect(host.configure(whole({ providers }))).toMatchObject({ accepted: true });
  const token = (i: number, sub: string): string => key.token({ iss: `https://${i}.example`, sub });
  for (let i = 0; i < 3; i++) {
    const { outcome } = host.send({
      headers: [
        ["x-0", "bad"],
        ["x-1", token(19, "last")],
      ],
    });
    expect(outcome?.upstream?.headers.filter(([name]) => name === "x-sub")).toEqual([["x-sub", "last"]]);
  }
});

test("a token may become any number of headers", async () => {
  const host = await createNodeHost(module);
  const claims = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`claim${i}`, `value ${i}`]));
  const claimToHeaders = Object.keys(claims).map((claimName) => ({
    headerName: `x-${claimName}`,
    claimName,
  }));
  const issuer = "https://idp.example";
  const providers = [
    {
      name: "origins-0",
      issuer,
      localJwks: { keys: [key.jwk] },
      fromHeaders: [{ name: "authorization", valuePrefix: "Bearer " }],
      claimToHeaders,
    },
  ];
  expect(host.configure(whole({ providers }))).toMatchObject({ accepted: true });
  const authorization = `Bearer ${key.token({ iss: issuer, ...claims })}`;
  const { outcome } = host.send({ headers: [["authorization", authorization]] });
  const forwarded = outcome?.upstream?.headers.filter(([name]) => name.startsWith("x-claim"));
  expect(forwarded).toEqual(Object.entries(claims).map(([name, value]) => [`x-${name}`, value]));
});

describe("a log line of a decision", () => {
  async function lineOf(request: DownstreamRequest): Promise<string> {
    const host = await createNodeHost(module);
    const rule = { id: "ns[foo]-policy[p]-rule[0]", condition: 0 };
    const authorization = { predicates: [{ path: { prefix: "/" } }], audit: { rules: [rule] } };
    expect(host.configure(whole({ authorization }))).toMatchObject({ accepted: true });
    host.send({ protocol: "HTTP/2", ...request });
    return host.logs.map(({ message }) => message).find((text) => text.includes("AUDIT matched")) ?? "";
  }

  const long = "a".repeat(50_000);
  const start = "a".repeat(250);

  test.each<[string, DownstreamRequest, string]>([
    ["path", { path: `/start/${long}` }, "path=/start/aaa"],
    ["authority", { authority: `${long}.example` }, `authority=${start}`],
    ["method", { method: long }, `method=${start}`],
  ])("contains only a part of a long %s", async (_, request, part) => {
    const line = await lineOf({ path: "/", ...request });
    expect(line).toContain(part);
    expect(line.length).toBeLessThan(500);
  });

  test("is one line of three fields for any request", async () => {
    const line = await lineOf({
      method: "GET path=/other",
      authority: "a\r\n[info] \u001b[2K\\",
      // A line separator (U+2028) in UTF-8, and bytes that are not UTF-8.
      path: "/\xe2\x80\xa8\xe9\x7f",
    });
    expect(line).toBe(
      "jwtgate: AUDIT matched: ns[foo]-policy[p]-rule[0] method=GET\\x20path=/other " +
        "authority=a\\x0d\\x0a[info]\\x20\\x1b[2K\\x5c path=/\\xe2\\x80\\xa8\\xe9\\x7f",
    );
  });
});

// Without the table of powers, `1e-300` cost 180 µs: a third of a second for a token of 16 KB.
test.each<[string, (i: number) => string]>([
  ["tiny", (i) => `${1 + (i % 9)}e-${280 + (i % 20)}`],
  ["huge", () => "1e308"],
  ["subnormal", () => "4.9e-324"],
  ["with an exact half", () => "0.5"],
  ["of 17 digits", (i) => `1.${1234567890123456n + BigInt(i)}e-300`],
  ["of 20 digits", (i) => `1.${1234567890123456789n + BigInt(i)}e-300`],
  ["of 770 digits", () => `1.${"7".repeat(769)}e-300`],
  ["of 3,000 digits", () => `1.${"7".repeat(2999)}e-300`],
])("a forwarded list of numbers costs little more than one of digits: %s", async (_, number) => {
  const host = await createNodeHost(module);
  const provider = {
    name: "origins-0",
    issuer: "i",
    localJwks: { keys: [key.jwk] },
    fromHeaders: [{ name: "x-token" }],
    claimToHeaders: [{ headerName: "x-list", claimName: "list" }],
  };
  expect(host.configure(whole({ providers: [provider] }))).toMatchObject({ accepted: true });
  const listOf = (make: (i: number) => string): string => {
    let list = make(0);
    for (let i = 1; list.length + make(i).length < 12_000; i++) list += `,${make(i)}`;
    return list;
  };
  const [list, digits] = [listOf(number), listOf(() => "7")];
  let runs = 0;
  const cost = (of: string): number => {
    const token = key.tokenOf(`{"iss":"i","run":${runs++},"list":[${of}]}`);
    const started = performance.now();
    expect(host.send({ headers: [["x-token", token]] }).outcome?.upstream).toBeDefined();
    return performance.now() - started;
  };
  // The machine may be busy: the fastest of several in turn.
  const costs = Array.from({ length: 50 }, () => [cost(list), cost(digits)] as const);
  const [ours, theirs] = [0, 1].map((side) => Math.min(...costs.map((pair) => pair[side] as number)));
  expect((ours as number) / (theirs as number)).toBeLessThan(10);
});
