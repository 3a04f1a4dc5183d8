/** gRPC calls of all four kinds through a real Envoy with the filter, to a real gRPC server. */
import { writeFileSync } from "node:fs";
import { credentials, Metadata, status } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Gate } from "../support/gate.ts";
import { type GrpcAnswer, GrpcClient, type GrpcUpstream, startGrpcUpstream } from "../support/grpc.ts";
import { http1 } from "../support/http1.ts";
import { RunWorkspace, stop } from "../support/run-command.ts";
import { bearer, TestKey } from "../support/tokens.ts";
import { until } from "../support/until.ts";

const key = TestKey.generate("ES256", "k");
const token = key.token({ iss: "https://issuer.example", sub: "alice" });

const POLICIES = `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: issuer, namespace: ns}
spec:
  jwtRules:
  - issuer: https://issuer.example
    jwks: '${key.jwks}'
    outputClaimToHeaders: [{header: x-sub, claim: sub}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: token-needed, namespace: ns}
spec:
  rules:
  - from: [{source: {requestPrincipals: ["https://issuer.example/*"]}}]
    to: [{operation: {paths: [/test.Echo/*]}}]
`;

let upstream: GrpcUpstream;
let gate: Gate;
let client: GrpcClient;

beforeAll(async () => {
  upstream = await startGrpcUpstream();
  gate = await Gate.start(POLICIES, ["--upstream", `grpc://127.0.0.1:${upstream.port}`]);
  client = new GrpcClient(`127.0.0.1:${gate.port}`, credentials.createInsecure());
});
afterAll(async () => {
  client?.close();
  await gate?.stop();
  upstream?.close();
});

function metadata(entries: Record<string, string>): Metadata {
  const result = new Metadata();
  for (const [name, value] of Object.entries(entries)) result.set(name, value);
  return result;
}
const good = () => metadata({ authorization: `Bearer ${token}`, "x-sub": "root" });

/** Each kind of call. */
const CALLS: [string, (as: Metadata) => Promise<GrpcAnswer>, string[]][] = [
  ["unary", (as) => client.unary("hello", as), ["hello"]],
  ["with a stream of answers", (as) => client.serverStream("one two three", as), ["one", "two", "three"]],
  ["with a stream of questions", (as) => client.clientStream(["one", "two"], as), ["one two"]],
  ["with both, alternately", (as) => client.inTurns(["one", "two", "three"], as), ["one", "two", "three"]],
];

describe.each(CALLS)("a call %s", (_, call, messages) => {
  test("passes with a good token: messages, status and trailers; the service sees who calls", async () => {
    const answer = await call(good());
    expect(answer).toMatchObject({ messages, code: status.OK });
    expect(answer.trailers).toMatchObject({ "x-trailer": "from the service" });
    const seen = upstream.calls.at(-1)?.getMap();
    expect(seen?.["x-sub"]).toBe("alice");
    expect(seen?.["authorization"]).toBeUndefined();
  });

  test("without a token is PERMISSION_DENIED, with the filter's words", async () => {
    const before = upstream.calls.length;
    const answer = await call(metadata({}));
    expect(answer).toMatchObject({
      messages: [],
      code: status.PERMISSION_DENIED,
      details: "RBAC: access denied",
    });
    expect(upstream.calls).toHaveLength(before);
  });

  test("with a bad token is UNAUTHENTICATED, with the filter's words", async () => {
    const before = upstream.calls.length;
    const answer = await call(metadata({ authorization: "Bearer a.b.c" }));
    expect(answer).toMatchObject({ messages: [], code: status.UNAUTHENTICATED });
    expect(answer.details).toMatch(/^Jwt header is an invalid /);
    expect(upstream.calls).toHaveLength(before);
  });
});

test("an error of the service comes as it is", async () => {
  const answer = await client.unary("fail", good());
  expect(answer).toMatchObject({ messages: [], code: status.ALREADY_EXISTS, details: "so it is" });
  expect(answer.trailers).toMatchObject({ "x-trailer": "from the service" });
});

test("messages larger than every buffer pass", async () => {
  const text = "x".repeat(1024 * 1024);
  expect(await client.unary(text, good())).toMatchObject({ messages: [text], code: status.OK });
});

test("a method that policies do not name is refused", async () => {
  const other = await gate.request({
    method: "POST",
    path: "/other.Service/Method",
    headers: [
      ["content-type", "application/grpc"],
      ["authorization", `Bearer ${token}`],
    ],
  });
  expect(other.status).toBe(200);
  expect(Object.fromEntries(other.headers)).toMatchObject({ "grpc-status": "7" });
});

test("a service that is not there is UNAVAILABLE", async () => {
  const gone = await startGrpcUpstream();
  gone.close();
  const lost = await Gate.start(POLICIES, ["--upstream", `h2c://127.0.0.1:${gone.port}`]);
  const other = new GrpcClient(`127.0.0.1:${lost.port}`, credentials.createInsecure());
  try {
    expect(await other.unary("hello", good())).toMatchObject({ code: status.UNAVAILABLE });
  } finally {
    other.close();
    await lost.stop();
  }
});

test("run prints the status of a call, which is not the HTTP status", async () => {
  const workspace = new RunWorkspace();
  try {
    writeFileSync(workspace.path("policies/policies.yaml"), POLICIES);
    const running = await workspace.serve(1, ["--upstream", `grpc://127.0.0.1:${upstream.port}`]);
    const other = new GrpcClient(`127.0.0.1:${running.port}`, credentials.createInsecure());
    await other.unary("hello", metadata({}));
    await other.unary("hello", metadata({ authorization: "Bearer a.b.c" }));
    await other.unary("hello", good());
    await other.unary("fail", good());
    other.close();
    const lines = () => running.stdout().trim().split("\n");
    await until("all calls are printed", async () => lines().length >= 4);
    expect(lines().map((line) => line.replace(/^[0-9:]{8} POST \/test.Echo\/Unary /, ""))).toEqual([
      expect.stringMatching(/^200 grpc-status 7 RBAC: access denied /),
      expect.stringMatching(/^200 grpc-status 16 Jwt header is an invalid /),
      expect.stringMatching(/^200 grpc-status 0 .*token-needed.* as https:\/\/issuer.example\/alice$/),
      expect.stringMatching(/^200 grpc-status 6 .*token-needed/),
    ]);
    await stop(running);
  } finally {
    workspace.remove();
  }
});

test("run prints why a service of HTTP/2 behind an upstream of HTTP/1.1 does not answer", async () => {
  const workspace = new RunWorkspace();
  try {
    writeFileSync(workspace.path("policies/policies.yaml"), POLICIES);
    const running = await workspace.serve(upstream.port);
    const other = new GrpcClient(`127.0.0.1:${running.port}`, credentials.createInsecure());
    expect(await other.unary("hello", good())).toMatchObject({ code: status.UNAVAILABLE });
    other.close();
    const plain = await http1(
      { host: "127.0.0.1", port: running.port },
      { path: "/test.Echo/x", headers: [bearer(token)] },
    );
    expect(plain.status).toBe(502);
    await until("it is printed", async () => running.stdout().includes("/test.Echo/Unary"));
    expect(running.stdout()).toMatch(
      / 200 grpc-status 14 upstream_reset_before_response_started\{protocol_error\}/,
    );
    await stop(running);
  } finally {
    workspace.remove();
  }
});
