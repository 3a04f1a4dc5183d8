/** `jwtgate test --envoy`: the same tests in a real Envoy, keys fetched by the filter, and what cannot be run there. */

import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { basename } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { runSuiteInEnvoy } from "../../tools/testing/envoy.ts";
import { runSuite, type SuiteResult } from "../../tools/testing/run.ts";
import { Bail } from "../../tools/testing/select.ts";
import { loadSuite, type Suite } from "../../tools/testing/suite.ts";
import { Workspace } from "../support/cli.ts";
import { envoyBinary, MODULE } from "../support/envoy.ts";
import { listen } from "../support/upstream.ts";

const IDP = "https://idp.example.com";
const FILE = `policies:
- apiVersion: security.istio.io/v1
  kind: RequestAuthentication
  metadata: {name: idp}
  spec:
    jwtRules:
    - {issuer: "${IDP}", jwksUri: "http://keys.example.com:8080/keys?x=y", fromHeaders: [{name: x-jwt}], outputPayloadToHeader: x-payload}
    - {issuer: "${IDP}/discovered"}
- apiVersion: security.istio.io/v1
  kind: AuthorizationPolicy
  metadata: {name: known}
  spec:
    rules:
    - from: [{source: {requestPrincipals: ["*"]}}]
      to: [{operation: {notPaths: ["/admin*"]}}]
    - from: [{source: {ipBlocks: [127.9.0.0/16]}}]
- apiVersion: security.istio.io/v1
  kind: AuthorizationPolicy
  metadata: {name: blocked}
  spec:
    action: DENY
    rules: [{to: [{operation: {methods: [DELETE]}}]}]
keys:
  fetched: {alg: ES256, jwksUri: "http://keys.example.com:8080/keys?x=y"}
  discovered: {alg: EdDSA, issuer: "${IDP}/discovered"}
tokens:
  fetched: {key: fetched, claims: {iss: "${IDP}", sub: alice}}
  discovered: {key: discovered, claims: {sub: bob}}
  flipped: {from: discovered, signature: flip}
tests:
- {name: fetched keys, request: {token: {name: fetched, header: x-jwt}}, expect: {status: 200, rule: default/known, upstream: {path: /, headers: {x-jwt: null, host: localhost}}}}
- {name: discovered keys, request: {token: discovered, method: POST, body: abc}, expect: {status: 200, upstream: {method: POST, headers: {authorization: null, x-payload: null}}}}
- {name: a bad signature, request: {token: flipped, host: "a.example:81", path: "/x?y"}, expect: {status: 401, body: Jwt verification fails, headers: {www-authenticate: 'Bearer realm="http://a.example:81/x?y", error="invalid_token"'}}}
- {name: the query, request: {path: /a, token: {name: discovered, param: access_token}}, expect: {upstream: {path: /a}}}
- {name: nobody, expect: {status: 403, rule: none, details: "rbac_access_denied_matched_policy[none]"}}
- {name: a denied method, request: {method: DELETE, token: discovered}, expect: {status: 403, rule: "default/blocked[0]"}}
- {name: a peer, request: {peer: 127.9.8.7}, expect: {status: 200, rule: "default/known[1]"}}
- {name: a WebSocket, request: {token: discovered, headers: {connection: Upgrade, upgrade: websocket}}, expect: {status: 101, rule: default/known, upstream: {headers: {upgrade: websocket, authorization: null}}}}
- {name: a WebSocket for nobody, request: {headers: {connection: Upgrade, upgrade: websocket}}, expect: {status: 403, rule: none, body: "RBAC: access denied"}}
- {name: another upgrade, request: {token: discovered, headers: {connection: Upgrade, upgrade: chat}}, expect: {status: 403, body: "", details: upgrade_failed}}
- {name: CONNECT, request: {method: CONNECT, path: "a:443", token: discovered}, expect: {status: 404, details: route_not_found}}
- {name: a method that Envoy refuses, request: {method: FOO}, expect: 400}
- {name: put off, skip: not today, expect: 599}
`;
const TABLE = `tables:
- name: who may do what
  tokens: [none, discovered]
  expect:
    GET,POST /: [403, 200]
    /admin: [403, 403]
    DELETE /: [403, 403]
`;
const ODD = `- {name: wrong, request: {token: discovered}, expect: 403}
- {name: far away, request: {peer: 10.0.0.1}, expect: 403}
- {name: TLS, request: {tls: {}}, expect: 403}
- {name: later, at: "2040-01-01", request: {token: discovered}, expect: 401}
`;

async function load(text: string): Promise<Suite> {
  const files = { policies: () => ({ files: [], diagnostics: [] }), text: () => "" };
  const { suite, diagnostics } = await loadSuite({ name: "x.test.yaml", text }, files, Date.now());
  if (suite === undefined) throw new Error(JSON.stringify(diagnostics));
  return suite;
}

const failures = ({ cases }: SuiteResult) => cases.filter((result) => result.failures.length > 0);

let binary: string;
beforeAll(async () => {
  binary = await envoyBinary();
});

describe("a suite", () => {
  test("passes in the host", async () => {
    const module = await WebAssembly.compile(readFileSync(MODULE));
    expect(failures(await runSuite(await load(FILE + TABLE), module))).toEqual([]);
  });

  test("passes in Envoy; what cannot be run there is skipped with the reason; what is wrong fails", async () => {
    const result = await runSuiteInEnvoy(await load(FILE + ODD + TABLE), { binary, module: MODULE });
    expect(failures(result).map(({ name, failures: all }) => [name, all.map(({ what }) => what)])).toEqual([
      ["wrong", ["status"]],
    ]);
    expect(result.cases.filter(({ table }) => table === "who may do what")).toHaveLength(8);
    expect(
      result.cases.filter(({ skipped }) => skipped !== undefined).map(({ name, skipped }) => [name, skipped]),
    ).toEqual([
      ["put off", "not today"],
      ["far away", "only peers in 127.0.0.0/8 can connect with --envoy"],
      ["TLS", "the client's TLS cannot be simulated with --envoy"],
      ["later", "Envoy's clock cannot be set (at:)"],
    ]);
  });

  test("ends after the failures that --bail allows", async () => {
    const bail = new Bail(1);
    const result = await runSuiteInEnvoy(await load(FILE + ODD + TABLE), { binary, module: MODULE }, bail);
    const wrong = result.cases.findIndex(({ name }) => name === "wrong");
    expect(new Set(result.cases.slice(wrong + 4).map(({ skipped }) => skipped))).toEqual(
      new Set(["not run: --bail after 1 failure"]),
    );
  });

  test("at an address that is taken is reported with its owner", async () => {
    const server = createServer();
    await listen(server);
    const { port } = server.address() as AddressInfo;
    const workspace = new Workspace();
    try {
      const file = `listener: {address: "127.0.0.1:${port}"}\n${FILE}`;
      writeFileSync(workspace.path("a.test.yaml"), file);
      const { status, stderr } = workspace.run(["test", "a.test.yaml", "--envoy"], {
        env: { ENVOY_BIN: binary },
      });
      const holder = `${basename(process.execPath)} (process ${process.pid})`;
      expect({ status, stderr }).toEqual({
        status: 1,
        stderr: `127.0.0.1:${port} is in use by ${holder}\n`,
      });
    } finally {
      server.close();
      workspace.remove();
    }
  });

  test("that needs a clock starts no Envoy", async () => {
    const result = await runSuiteInEnvoy(await load(`at: 2026-01-31T12:00:00Z\n${FILE}`), {
      binary: "/none",
      module: MODULE,
    });
    expect(result.cases.every(({ skipped }) => skipped !== undefined)).toBe(true);
  });
});
