/** Failures of the host that never happen in practice: the answer is 500, and nothing is forwarded. */

import { readFileSync } from "node:fs";
import { afterEach, describe, expect, test, vi } from "vitest";
import { WasmResult } from "../../tools/host/abi.ts";
import { HeaderMap } from "../../tools/host/header-map.ts";
import type { Host } from "../../tools/host/host.ts";
import { createNodeHost, verifySignature } from "../../tools/host/node.ts";
import { whole } from "../support/configuration.ts";
import { MODULE } from "../support/envoy.ts";
import { bearer, TestKey } from "../support/tokens.ts";

const module = await WebAssembly.compile(readFileSync(MODULE));
const ISSUER = "https://issuer.example";
const FAILED = {
  status: 500,
  body: "The proxy refused a call of its filter",
  details: "jwtgate_host_failure",
};

afterEach(() => vi.restoreAllMocks());

test("headers that the host reports as an empty list", async () => {
  const host = await createNodeHost(module);
  const id = "ns[foo]-policy[p]-rule[0]";
  const deny = { rules: [{ id, condition: 0 }] };
  const authorization = { predicates: [{ path: { exact: "/denied" } }], deny };
  expect(host.configure(whole({ authorization })).accepted).toBe(true);
  vi.spyOn(HeaderMap.prototype, "pairs").mockReturnValueOnce([]);
  expect(host.send({ path: "/denied" }).outcome?.answer).toMatchObject(FAILED);
  expect(host.send({ path: "/denied" }).outcome?.answer).toMatchObject({ status: 403 });
});

describe("verify_signature, which worked when the configuration was loaded", () => {
  const first = TestKey.generate("ES256", "first");
  const second = TestKey.generate("HS256", "second");
  let works = true;

  async function gate(): Promise<Host> {
    works = true;
    const host = await createNodeHost(module, {
      foreignFunctions: {
        verify_signature: (request) => (works ? verifySignature(request) : WasmResult.InternalFailure),
      },
    });
    const provider = (name: string, issuer: string, key: TestKey): object => ({
      name,
      issuer,
      localJwks: { keys: [key.jwk] },
      fromHeaders: [{ name: "authorization", valuePrefix: "Bearer " }, { name: "x-t" }],
    });
    const providers = [provider("origins-0", ISSUER, first), provider("origins-1", "other", second)];
    expect(host.configure(whole({ providers })).accepted).toBe(true);
    return host;
  }

  const token = first.token({ iss: ISSUER });

  test("is needed for a token that is not known yet", async () => {
    const host = await gate();
    works = false;
    expect(host.send({ headers: [bearer(token)] }).outcome?.answer).toMatchObject(FAILED);
    works = true;
    expect(host.send({ headers: [bearer(token)] }).outcome?.upstream).toBeDefined();
    const forged = `${token.slice(0, -8)}AAAAAAAA`;
    expect(host.send({ headers: [bearer(forged)] }).outcome?.answer).toMatchObject({ status: 401 });
  });

  test("is missed by no token that needs it not", async () => {
    const host = await gate();
    expect(host.send({ headers: [bearer(token)] }).outcome?.upstream).toBeDefined();
    works = false;
    expect(host.send({ headers: [bearer(token)] }).outcome?.upstream).toBeDefined();
    const own = second.token({ iss: "other" });
    expect(host.send({ headers: [bearer(own)] }).outcome?.upstream).toBeDefined();
    expect(host.send({}).outcome?.upstream).toBeDefined();
  });
});
