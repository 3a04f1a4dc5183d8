/** Where the parts of a request end, for policies and for tokens. */
import { readFileSync } from "node:fs";
import { afterEach, expect, test, vi } from "vitest";
import { HeaderMap } from "../../tools/host/header-map.ts";
import { createNodeHost } from "../../tools/host/node.ts";
import { whole } from "../support/configuration.ts";
import { MODULE } from "../support/envoy.ts";
import { TestKey } from "../support/tokens.ts";

const module = await WebAssembly.compile(readFileSync(MODULE));
afterEach(() => vi.restoreAllMocks());

const ISSUER = "https://issuer.example";
const key = TestKey.generate("HS256", "k");
const token = key.token({ iss: ISSUER, sub: "alice" });
const provider = {
  name: "origins-0",
  issuer: ISSUER,
  localJwks: { keys: [key.jwk] },
  claimToHeaders: [{ headerName: "x-sub", claimName: "sub" }],
};

test.each(["/denied", "/denied?q", "/denied#f", "/denied#f?q", "/denied?q#f"])(
  "%s has the path /denied",
  async (path) => {
    const host = await createNodeHost(module);
    const deny = { rules: [{ id: "ns[foo]-policy[p]-rule[0]", condition: 0 }] };
    const authorization = { predicates: [{ path: { exact: "/denied" } }], deny };
    expect(host.configure(whole({ authorization })).accepted).toBe(true);
    expect(host.send({ path: "/other" }).outcome?.upstream).toBeDefined();
    // Envoy takes fragments away or refuses them, unless its configuration says otherwise.
    const { pairs } = HeaderMap.prototype;
    vi.spyOn(HeaderMap.prototype, "pairs").mockImplementation(function (this: HeaderMap) {
      return pairs.call(this).map(([name, value]) => [name, name === ":path" ? path : value]);
    });
    expect(host.send({ path: "/other" }).outcome?.answer).toMatchObject({ status: 403 });
  },
);

test.each([
  { fromHeaders: [{ name: "host" }] },
  { fromHeaders: [{ name: "x-t" }], claimToHeaders: [{ headerName: "host", claimName: "sub" }] },
])("the header host is neither read nor written by a provider: %j", async (more) => {
  const host = await createNodeHost(module);
  const { accepted, logs } = host.configure(whole({ providers: [{ ...provider, ...more }] }));
  expect(accepted).toBe(false);
  expect(logs.at(-1)?.message).toMatch(/: must not be the Host header$/);
});

test("a parameter is found and taken out however its name is encoded", async () => {
  const host = await createNodeHost(module);
  const providers = [{ ...provider, fromParams: ["access_token"] }];
  expect(host.configure(whole({ providers })).accepted).toBe(true);
  for (const name of ["access_token", "acc%65ss_token", "%61ccess%5Ftoken"]) {
    const upstream = host.send({ path: `/?a=1&${name}=${token}&b=2` }).outcome?.upstream;
    expect(upstream?.headers).toContainEqual(["x-sub", "alice"]);
    expect(upstream?.path).toBe("/?a=1&b=2");
  }
});
