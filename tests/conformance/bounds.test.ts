/** The work and memory of one request are bounded, whatever it and the configuration are. */

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
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
  // Eight tokens of 7 KB, of which nearly each byte is a JSON value, of an issuer that nobody knows.
  const token = (i: number): string => key.token({ iss: "nobody", i, list: Array(2500).fill(0) });
  const headers = Array.from({ length: 8 }, (_, i): [string, string] => [`x-${i}`, token(i)]);
  const before = host.memorySize;
  expect(host.send({ headers }).outcome?.answer).toMatchObject({ body: "Jwt issuer is not configured" });
  expect(host.memorySize - before).toBeLessThan(8 * 1024 * 1024);
});

test("a token of the last of many providers passes, beside tokens of others", async () => {
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

test("a log line holds a part of a long path only", async () => {
  const host = await createNodeHost(module);
  const rule = { id: "ns[foo]-policy[p]-rule[0]", condition: 0 };
  const authorization = { predicates: [{ path: { prefix: "/" } }], audit: { rules: [rule] } };
  expect(host.configure(whole({ authorization }))).toMatchObject({ accepted: true });
  host.send({ path: `/start/${"a".repeat(50_000)}` });
  const line = host.logs.map(({ message }) => message).find((message) => message.includes("AUDIT matched"));
  expect(line).toContain("path=/start/aaa");
  expect(line?.length).toBeLessThan(500);
});
