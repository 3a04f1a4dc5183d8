/** No client supplies an identity: not by the headers that the filter writes, nor, if configured, by their lookalikes. */

import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import type { Host } from "../../tools/host/host.ts";
import type { DownstreamRequest } from "../../tools/host/http-connection-manager.ts";
import { createNodeHost } from "../../tools/host/node.ts";
import { whole } from "../support/configuration.ts";
import { MODULE } from "../support/envoy.ts";
import { bearer, TestKey } from "../support/tokens.ts";

const ISSUER = "https://issuer.example";
const key = TestKey.generate("HS256", "k");
const token = key.token({ iss: ISSUER, sub: "alice", role: "reader" });

/** Names that CGI, WSGI or PHP read as one of the filter's: `HTTP_X_USER`, `HTTP_X_USER_ROLE`, `HTTP_X_PAYLOAD`. */
const FORGED: [string, string][] = [
  ["x-user", "forged"],
  ["X_User", "forged"],
  ["x_user", "forged again"],
  ["x.user", "forged"],
  ["x_user-role", "forged"],
  ["x-user-role", "forged"],
  ["x_payload", "forged"],
];
/** Names that differ for every backend, however similar, and names that every request needs. */
const HONEST: [string, string][] = [
  ["x-use", "a"],
  ["x-user2", "b"],
  ["xxuser", "c"],
  ["content_length", "d"],
];

let host: Host;
beforeAll(async () => {
  host = await createNodeHost(await WebAssembly.compile(readFileSync(MODULE)));
  const provider = {
    name: "origins-0",
    issuer: ISSUER,
    localJwks: { keys: [key.jwk] },
    fromHeaders: [{ name: "authorization", valuePrefix: "Bearer " }],
    forwardPayloadHeader: "x-payload",
    claimToHeaders: [
      { headerName: "x-user", claimName: "sub" },
      { headerName: "x_user_role", claimName: "role" },
      // As long as `:path`, and different only in its first character.
      { headerName: "-path", claimName: "none" },
    ],
  };
  expect(host.configure(whole({ removeLookalikes: true, providers: [provider] }))).toMatchObject({
    accepted: true,
  });
});

/** The headers that reach the backend of a request with all of these headers. */
function received(request: DownstreamRequest): [string, string][] {
  const { outcome } = host.send({ ...request, headers: [...(request.headers ?? []), ...FORGED, ...HONEST] });
  const names = new Set([...FORGED, ...HONEST].map(([name]) => name.toLowerCase()).concat("x_user_role"));
  expect(outcome?.upstream?.path).toBe("/");
  const headers = outcome?.upstream?.headers ?? [];
  return headers.filter(([name]) => names.has(name)).map(([name, value]) => [name, value]);
}

describe("headers that look like the filter's own are removed", () => {
  test.each<[string, DownstreamRequest]>([
    ["without a token", {}],
    [
      "on a CORS preflight",
      {
        method: "OPTIONS",
        headers: [
          ["origin", "https://a.example"],
          ["access-control-request-method", "GET"],
        ],
      },
    ],
  ])("%s", (_case, request) => {
    expect(received(request)).toEqual(HONEST);
  });

  test("with one, whose claims take their places", () => {
    expect(received({ headers: [bearer(token)] })).toEqual([
      ...HONEST,
      ["x-user", "alice"],
      ["x_user_role", "reader"],
    ]);
  });
});

test("without the option, only the headers themselves are removed, as in Envoy", async () => {
  const plain = await createNodeHost(await WebAssembly.compile(readFileSync(MODULE)));
  const provider = {
    name: "origins-0",
    issuer: ISSUER,
    localJwks: { keys: [key.jwk] },
    fromHeaders: [{ name: "authorization", valuePrefix: "Bearer " }],
    claimToHeaders: [{ headerName: "x-user", claimName: "sub" }],
  };
  expect(plain.configure(whole({ providers: [provider] }))).toMatchObject({ accepted: true });
  const { outcome } = plain.send({ headers: FORGED });
  const names = outcome?.upstream?.headers.map(([name]) => name) ?? [];
  expect(names).not.toContain("x-user");
  expect(names).toContain("x_user");
});
