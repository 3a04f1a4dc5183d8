/** What the filter passes to logs: no text of a request, a token, a configuration or a server ends a line there. */
import { readFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { createNodeHost } from "../../tools/host/node.ts";
import { whole } from "../support/configuration.ts";
import { MODULE } from "../support/envoy.ts";
import { bearer, TestKey } from "../support/tokens.ts";

const ISSUER = "https://issuer.example";
const FORBIDDEN = /[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/;

let module: WebAssembly.Module;
beforeAll(async () => {
  module = await WebAssembly.compile(readFileSync(MODULE));
});

const key = TestKey.generate("HS256", "k");
const provider = {
  name: "origins-0",
  issuer: ISSUER,
  localJwks: { keys: [key.jwk] },
  fromHeaders: [{ name: "authorization", valuePrefix: "Bearer " }],
};

/** A string whose characters are the bytes of its UTF-8. */
const bytes = (text: string) => Buffer.from(text).toString("latin1");

test("the refusal of a configuration is one line, with any quoted text", async () => {
  const host = await createNodeHost(module);
  const { accepted, logs } = host.configure(
    whole({ providers: [provider], "a\n[error] b\u009b\u2028\u202e": 1 }),
  );
  expect(accepted).toBe(false);
  const [line] = logs.filter(({ level }) => level === "error");
  expect(line?.message).toContain("/a\\u000a[error] b\\u009b\\u2028\\u202e: is not a field");
  for (const { message } of logs) expect(message).not.toMatch(FORBIDDEN);
});

test("the log of a decision is one line for any request", async () => {
  const host = await createNodeHost(module);
  const rule = { id: "ns[foo]-policy[p]-rule[0]", condition: 0 };
  const authorization = { predicates: [{ path: { prefix: "/" } }], audit: { rules: [rule] } };
  // HTTP/1.1 and the normalisation of paths allow only ASCII.
  const listener = { pathNormalization: "NONE" } as const;
  expect(host.configure(whole({ authorization }), { listener }).accepted).toBe(true);
  const protocol = "HTTP/2";
  for (const path of ["/\u009b2J\u2028x", "/a\ufeff\u202eb", "/😀é"])
    host.send({ path: bytes(path), protocol });
  // Malformed UTF-8.
  for (const path of ["/\xff\x9b\xed\xa0\xbd", "/\xf0\x9f"]) host.send({ path, protocol });
  const lines = host.logs
    .map(({ message }) => message)
    .filter((message) => message.includes("AUDIT matched"));
  expect(lines).toHaveLength(5);
  for (const line of lines) expect(line).not.toMatch(FORBIDDEN);
  expect(lines[0]).toMatch(/path=\/\\xc2\\x9b2J\\xe2\\x80\\xa8x$/);
  expect(lines[3]).toMatch(/path=\/\\xff\\x9b\\xed\\xa0\\xbd$/);
});

test("an access log's principal ends no line", async () => {
  const host = await createNodeHost(module);
  expect(host.configure(whole({ filterState: true, providers: [provider] })).accepted).toBe(true);
  const token = key.token({ iss: ISSUER, sub: "alice\n2026-01-01 GET /admin 200\u0000\u001b[2J\u007f é" });
  const { outcome } = host.send({ headers: [bearer(token)] });
  expect(outcome?.properties["jwtgate.principal"]).toBe(
    bytes(`${ISSUER}/alice_2026-01-01 GET /admin 200__[2J_ é`),
  );
});

test("response-code details do not either, with any name of a claim", async () => {
  const host = await createNodeHost(module);
  const claimToHeaders = [{ headerName: "x-a", claimName: "a\nb\u001b c" }];
  expect(host.configure(whole({ providers: [{ ...provider, claimToHeaders }] })).accepted).toBe(true);
  const token = key.token({ iss: ISSUER, "a\nb\u001b c": "x\ny" });
  expect(host.send({ headers: [bearer(token)] }).outcome?.answer).toMatchObject({
    status: 401,
    body: "Jwt claim [a_b_ c] is not a valid header value",
    details: "jwt_authn_access_denied{Jwt_claim_[a_b__c]_is_not_a_valid_header_value}",
  });
});

test("decisions that change no answer are logged maxDecisionLogsPerSecond times a second", async () => {
  const host = await createNodeHost(module);
  const limits = { maxDecisionLogsPerSecond: 3 };
  expect(host.configure(whole({ providers: [provider], shadow: true, limits })).accepted).toBe(true);
  const lines = (): number => host.logs.filter(({ message }) => message.includes("shadow would")).length;
  for (const expected of [3, 6, 9]) {
    for (let i = 0; i < 10; i++) {
      expect(host.send({ headers: [bearer("no token")] }).outcome?.upstream).toBeDefined();
    }
    expect(lines()).toBe(expected);
    host.advance(1000);
  }
  expect(host.metrics.values()).toMatchObject({ jwtgate_shadow_denied: 30, jwtgate_unauthenticated: 0 });
});

test("filter state has the principal and the decision, if the configuration enables it", async () => {
  const token = bearer(key.token({ iss: ISSUER, sub: "alice" }));
  for (const filterState of [true, false]) {
    const host = await createNodeHost(module);
    expect(host.configure(whole({ providers: [provider], filterState })).accepted).toBe(true);
    expect(host.send({ headers: [token] }).outcome?.properties).toEqual(
      filterState ? { "jwtgate.principal": `${ISSUER}/alice`, "jwtgate.reason": "allowed" } : {},
    );
  }
});
