/** What `compile` accepts, the filter loads: policies of any strings. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import type { Host } from "../../tools/host/host.ts";
import { createNodeHost } from "../../tools/host/node.ts";
import { toBareYaml } from "../../tools/render/yaml.ts";
import { compile } from "../../tools/targets/compile.ts";
import { anyText } from "../render/strings.ts";
import { MODULE } from "../support/envoy.ts";
import { TestKey } from "../support/tokens.ts";

const SEED = Number(process.env["RANDOM_SEED"] ?? 2026);
const RUNS = Number(process.env["RANDOM_RUNS"] ?? 400);

let host: Host;
beforeAll(async () => {
  host = await createNodeHost(await WebAssembly.compile(readFileSync(MODULE)));
});

const key = TestKey.generate("ES256", "k");
const jwks = JSON.stringify({ keys: [key.jwk] });

/** Mostly what is meant there, so that the other fields are looked at too. */
const text = (...usual: string[]) =>
  fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...usual) }, { weight: 1, arbitrary: anyText });
const some = <T>(value: fc.Arbitrary<T>) => fc.array(value, { minLength: 1, maxLength: 2 });
const perhaps = <T extends object>(value: fc.Arbitrary<T>) => fc.oneof(fc.constant({}), value);

/** A URL, and what is nearly one. */
const url = fc
  .tuple(
    text("https://", "http://"),
    text("idp.example.com", "bücher.example", "10.0.0.1", "[::1]", "keys", "A.Example", "a_b"),
    text("", ":443", ":8443", ":", ":0", ":00443"),
    text(
      "",
      "/",
      "/jwks.json",
      "/a b",
      "/é",
      "/?x=1",
      "?x=1",
      "/%2f",
      "/%",
      "\\x",
      "/a\\b",
      "/a#b",
      "//a",
      "/../a",
    ),
  )
  .map((parts) => parts.join(""));

const keys = fc.oneof(
  fc.constant({ jwks }),
  fc.record({ jwksUri: url }),
  fc.record({ issuer: url }),
  fc.record({
    jwks: anyText.map((kid) => JSON.stringify({ keys: [{ ...key.jwk, kid }] })),
  }),
);

const jwtRule = fc
  .tuple(
    fc.record({ issuer: text("https://issuer.example", "i") }),
    keys,
    perhaps(fc.record({ audiences: some(text("a")) })),
    perhaps(
      fc.record({ fromHeaders: some(fc.record({ name: text("x-a", "X-B"), prefix: text("Bearer ", "T") })) }),
    ),
    perhaps(fc.record({ fromParams: some(text("token")) })),
    perhaps(fc.record({ fromCookies: some(text("session")) })),
    perhaps(fc.record({ outputPayloadToHeader: text("x-payload") })),
    perhaps(
      fc.record({
        outputClaimToHeaders: some(fc.record({ header: text("x-a"), claim: text("sub", "a.b") })),
      }),
    ),
    perhaps(fc.record({ spaceDelimitedClaims: some(text("roles")) })),
  )
  .map((parts) => Object.assign({}, ...parts) as object);

const list = (...usual: string[]) => some(text(...usual));
const source = fc.oneof(
  fc.record({ principals: list("a/ns/b/sa/c", "*") }),
  fc.record({ requestPrincipals: list("i/s", "*"), notRequestPrincipals: list("a*") }),
  fc.record({ namespaces: list("foo") }),
  fc.record({ ipBlocks: list("10.0.0.0/8"), notRemoteIpBlocks: list("::1") }),
  fc.record({ serviceAccounts: list("a", "a/b") }),
);
const operation = fc.oneof(
  fc.record({ paths: list("/a", "/a/*", "/{*}/b", "/{**}"), notPaths: list("*x") }),
  fc.record({ hosts: list("a.example", "*.example"), methods: list("GET") }),
  fc.record({ ports: list("80"), notMethods: list("PUT") }),
);
const condition = fc
  .tuple(
    text(
      "request.auth.claims[a]",
      "request.auth.claims[a][b]",
      "request.headers[x-a]",
      "request.auth.principal",
      "source.ip",
      "remote.ip",
      "source.namespace",
      "source.principal",
      "source.trustDomain",
      "source.serviceAccount",
      "destination.ip",
      "destination.port",
      "connection.sni",
    ),
    anyText,
    anyText,
    list("a", "10.0.0.1", "80", "*"),
  )
  .map(([key, name, other, values]) => ({
    key: key.replace("[a]", `[${name}]`).replace("[x-a]", `[${other}]`),
    values,
  }));

const policy = fc.record({
  action: fc.constantFrom("ALLOW", "DENY", "AUDIT"),
  rules: fc.array(
    fc
      .tuple(
        perhaps(fc.record({ from: some(fc.record({ source })) })),
        perhaps(fc.record({ to: some(fc.record({ operation })) })),
        perhaps(fc.record({ when: some(condition) })),
      )
      .map((parts) => Object.assign({}, ...parts) as object),
    { maxLength: 2 },
  ),
});

const resource = (kind: string, spec: object) => ({
  apiVersion: "security.istio.io/v1",
  kind,
  metadata: { name: "a" },
  spec,
});

const policies = fc.oneof(
  fc.array(jwtRule, { maxLength: 2 }).map((jwtRules) => resource("RequestAuthentication", { jwtRules })),
  policy.map((spec) => resource("AuthorizationPolicy", spec)),
);

test("what compile accepts, the filter loads", () => {
  let accepted = 0;
  fc.assert(
    fc.property(policies, fc.constantFrom("envoy", "config", "wasmplugin"), (document, target) => {
      const source = { name: "a.yaml", text: toBareYaml([document]) };
      for (const { configuration } of compile([source], { target }).workloads) {
        accepted++;
        const loaded = host.configure(configuration);
        expect(loaded.logs.filter(({ level }) => level === "error").map(({ message }) => message)).toEqual(
          [],
        );
        expect(loaded.accepted).toBe(true);
        host.logs.length = 0;
      }
    }),
    { seed: SEED, numRuns: RUNS },
  );
  // Often enough to have shown something.
  expect(accepted).toBeGreaterThan(RUNS / 4);
});
