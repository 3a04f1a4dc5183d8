/** What TokenPolicies ask of tokens (RFC 9068, RFC 8725bis), in the project's own host with its own clock. */

import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import type { Provider } from "../../tools/config/schema.ts";
import type { Host } from "../../tools/host/host.ts";
import { createNodeHost } from "../../tools/host/node.ts";
import { whole } from "../support/configuration.ts";
import { MODULE } from "../support/envoy.ts";
import { bearer, TestKey } from "../support/tokens.ts";

const ISSUER = "https://issuer.example";
/** 1 January 2026. */
const NOW = 1_767_225_600;
const key = TestKey.generate("HS256", "k");

let module: WebAssembly.Module;
beforeAll(async () => {
  module = await WebAssembly.compile(readFileSync(MODULE));
});

const providerOf = (constraints: Partial<Provider>, name = "origins-0"): Provider => ({
  name,
  issuer: ISSUER,
  localJwks: { keys: [key.jwk as never] },
  fromHeaders: [{ name: "authorization", valuePrefix: "Bearer " }],
  ...constraints,
});

async function hostWith(...providers: Provider[]): Promise<Host> {
  const host = await createNodeHost(module);
  host.clock.set(NOW * 1000);
  expect(host.configure(whole({ providers })).accepted).toBe(true);
  return host;
}

/** The answer to a token: its status, body and challenge; "" if it passes. */
function answerTo(host: Host, claims: object, header: object = { kid: "k" }): string {
  const token = key.token({ iss: ISSUER, sub: "s", ...claims }, { kid: "k", ...header });
  const { outcome } = host.send({ headers: [bearer(token)] });
  const { status, headers = [], body = "" } = outcome?.answer ?? {};
  if (status === undefined) return "";
  const [, challenge = ""] = headers.find(([name]) => name === "www-authenticate") ?? [];
  return `${status} ${body} ${/error=.*/.exec(challenge)?.[0] ?? ""}`;
}

const refused = (body: string) => `401 ${body} error="invalid_token"`;
const WRONG_TYPE = refused("Jwt header [typ] is not allowed");
const TOO_LONG = refused("Jwt lifetime is too long");
const lacks = (claim: string) => refused(`Jwt payload [${claim}] field is required`);

describe("tokenTypes: typ is compared as a media type (RFC 7515 section 4.1.9)", () => {
  test.each([
    ["at+jwt", ""],
    ["AT+JWT", ""],
    ["application/at+jwt", ""],
    ["Application/At+Jwt", ""],
    ["x/y", ""],
    ["X/Y", ""],
    ["application/x/y", WRONG_TYPE],
    ["application/application/at+jwt", WRONG_TYPE],
    ["y", WRONG_TYPE],
    ["JWT", WRONG_TYPE],
    ["dpop+jwt", WRONG_TYPE],
    ["at+jwt;v=1", WRONG_TYPE],
    ["at+jwt ", WRONG_TYPE],
    ["at+jw", WRONG_TYPE],
    ["application/", WRONG_TYPE],
    ["", WRONG_TYPE],
    [7, WRONG_TYPE],
    [null, WRONG_TYPE],
    [["at+jwt"], WRONG_TYPE],
  ])("%j", async (typ, expected) => {
    const host = await hostWith(providerOf({ tokenTypes: ["at+jwt", "x/y"] }));
    expect(answerTo(host, {}, { typ })).toBe(expected);
  });

  test("a token without typ passes, unless it is required", async () => {
    const tokenTypes = ["at+jwt"];
    expect(answerTo(await hostWith(providerOf({ tokenTypes })), {})).toBe("");
    const strict = await hostWith(providerOf({ tokenTypes, requireTokenType: true }));
    expect(answerTo(strict, {})).toBe(WRONG_TYPE);
    expect(answerTo(strict, {}, { typ: "at+jwt" })).toBe("");
  });

  test("without tokenTypes any typ passes", async () => {
    expect(answerTo(await hostWith(providerOf({})), {}, { typ: 7 })).toBe("");
  });

  test("the type is checked after the issuer and before the time", async () => {
    const host = await hostWith(providerOf({ tokenTypes: ["at+jwt"] }));
    expect(answerTo(host, { iss: "other" }, { typ: "JWT" })).toBe(refused("Jwt issuer is not configured"));
    expect(answerTo(host, { exp: 1 }, { typ: "JWT" })).toBe(WRONG_TYPE);
  });
});

describe("requiredClaims", () => {
  test.each([
    [{ jti: "j" }, ""],
    [{ jti: "" }, ""],
    [{}, lacks("jti")],
    [{ jti: "j", act: { sub: "a" } }, ""],
    [{ jti: "j", act: null }, lacks("act")],
    [{ jti: "j", act: undefined }, lacks("act")],
    [{ jti: "j", act: false }, ""],
    [{ jti: "j", act: 0 }, ""],
    [{ nested: { jti: "j" } }, lacks("jti")],
  ])("%j", async (claims, expected) => {
    const host = await hostWith(providerOf({ requiredClaims: ["jti", "act"] }));
    expect(answerTo(host, { ...(!("act" in claims) && { act: 1 }), ...claims })).toBe(expected);
  });

  test("they are checked after the audience and before the signature", async () => {
    const host = await hostWith(providerOf({ requiredClaims: ["jti"], audiences: ["api"] }));
    expect(answerTo(host, { aud: "web" })).toMatch(/^403 Audiences in Jwt are not allowed/);
    const other = TestKey.generate("HS256", "k").token({ iss: ISSUER, aud: "api" });
    const { outcome } = host.send({ headers: [bearer(other)] });
    expect(outcome?.answer?.body).toBe("Jwt payload [jti] field is required");
  });

  test("the answer has no control character of the claim's name", async () => {
    const host = await hostWith(providerOf({ requiredClaims: ["a\nb"] }));
    expect(answerTo(host, {})).toBe(lacks("a_b"));
  });
});

describe("maxLifetimeSeconds: from iat to exp", () => {
  const hour = { maxLifetimeSeconds: 3600 };
  test.each([
    [{ iat: NOW, exp: NOW + 3600 }, ""],
    [{ iat: NOW, exp: NOW + 3601 }, TOO_LONG],
    [{ iat: NOW + 0.9, exp: NOW + 3600.9 }, ""],
    [{ iat: NOW - 3600, exp: NOW }, ""],
    [{ iat: NOW - 7200, exp: NOW + 60 }, TOO_LONG],
    [{ iat: 0, exp: NOW + 60 }, TOO_LONG],
    [{ exp: NOW + 60 }, lacks("iat")],
    [{ iat: NOW, exp: undefined }, lacks("exp")],
    [{ iat: NOW, exp: 2 ** 63 }, TOO_LONG],
  ])("%j", async (claims, expected) => {
    expect(answerTo(await hostWith(providerOf(hour)), claims)).toBe(expected);
  });

  test("an iat in the future counts as now, so it does not prolong a token", async () => {
    const host = await hostWith(providerOf(hour));
    expect(answerTo(host, { iat: NOW + 60, exp: NOW + 3660 })).toBe("");
    expect(answerTo(host, { iat: NOW + 120, exp: NOW + 3720 })).toBe(TOO_LONG);
    expect(answerTo(host, { iat: NOW + 86_400, exp: NOW + 86_460 })).toBe(TOO_LONG);
    expect(answerTo(host, { iat: NOW + 86_400, exp: NOW + 60 })).toBe("");
    const exact = await hostWith(providerOf({ ...hour, clockSkewSeconds: 0 }));
    expect(answerTo(exact, { iat: NOW + 1, exp: NOW + 3601 })).toBe(TOO_LONG);
  });
});

test("a token in the cache of one provider is checked by the constraints of another", async () => {
  const other = providerOf(
    { tokenTypes: ["at+jwt"], requireTokenType: true, presence: "REQUIRED" },
    "origins-1",
  );
  const host = await hostWith(providerOf({ forward: true }), other);
  expect(answerTo(host, {})).toBe(WRONG_TYPE);
  expect(answerTo(host, {})).toBe(WRONG_TYPE);
  expect(answerTo(host, {}, { typ: "at+jwt" })).toBe("");
});

test("of several providers that lack a claim, the answer names the claim of the one that decides", async () => {
  const host = await hostWith(
    providerOf({ requiredClaims: ["first"] }),
    providerOf({ requiredClaims: ["second"] }, "origins-1"),
  );
  expect(answerTo(host, {})).toBe(lacks("first"));
  expect(answerTo(host, { first: 1 })).toBe("");
  expect(answerTo(host, { second: 1 })).toBe("");
});

describe("a faulty configuration is refused with the place of its fault", () => {
  test.each<[Partial<Provider>, string]>([
    [{ tokenTypes: [] }, "/providers/0/tokenTypes: must not be empty"],
    [{ tokenTypes: [""] }, "/providers/0/tokenTypes: must not contain an empty string"],
    [{ requiredClaims: [] }, "/providers/0/requiredClaims: must not be empty"],
    [{ requiredClaims: ["a", ""] }, "/providers/0/requiredClaims: must not contain an empty string"],
    [{ requireTokenType: true }, '/providers/0: lacks "tokenTypes", which "requireTokenType" needs'],
    [{ maxLifetimeSeconds: -1 }, "/providers/0/maxLifetimeSeconds: must be an integer from 0 to 4294967295"],
  ])("%j", async (constraints, message) => {
    const host = await createNodeHost(module);
    const { accepted, logs } = host.configure(whole({ providers: [providerOf(constraints)] }));
    expect(accepted).toBe(false);
    expect(logs.map(({ message: text }) => text).join()).toContain(message);
  });
});
