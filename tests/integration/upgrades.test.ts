/** WebSockets through a real Envoy with the filter: who gets one, what the service sees, and what else is refused. */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { WebSocket } from "ws";
import { Gate } from "../support/gate.ts";
import { RunWorkspace, stop } from "../support/run-command.ts";
import { TestKey } from "../support/tokens.ts";
import { until } from "../support/until.ts";
import { openWebSocket, said, startWebSocketUpstream, type WebSocketUpstream } from "../support/websocket.ts";

const key = TestKey.generate("ES256", "k");
const token = key.token({ iss: "https://issuer.example", sub: "alice" });

/** Tokens at four places; a token is needed except for /open. */
const policies = (forward: boolean) => `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: issuer, namespace: ns}
spec:
  jwtRules:
  - issuer: https://issuer.example
    jwks: '${key.jwks}'
    forwardOriginalToken: ${forward}
    fromHeaders:
    - {name: Authorization, prefix: "Bearer "}
    - {name: Sec-WebSocket-Protocol, prefix: "bearer."}
    fromParams: [access_token]
    fromCookies: [session]
    outputClaimToHeaders: [{header: x-sub, claim: sub}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: token-needed, namespace: ns}
spec:
  rules:
  - from: [{source: {requestPrincipals: ["https://issuer.example/*"]}}]
  - to: [{operation: {paths: [/open]}}]
`;

let upstream: WebSocketUpstream;
let gate: Gate;
let forwarding: Gate;

beforeAll(async () => {
  upstream = await startWebSocketUpstream();
  const flags = ["--upstream", `http://127.0.0.1:${upstream.port}`];
  gate = await Gate.start(policies(false), flags);
  forwarding = await Gate.start(policies(true), flags);
});
afterAll(async () => {
  await gate?.stop();
  await forwarding?.stop();
  await upstream?.close();
});

interface Way {
  path?: string;
  protocols?: string[];
  headers?: Record<string, string>;
}

const open = ({ path = "/ws", protocols = [], headers = {} }: Way = {}, through = gate) =>
  openWebSocket(`ws://127.0.0.1:${through.port}${path}`, protocols, { headers });

async function opened(way: Way, through = gate): Promise<WebSocket> {
  const result = await open(way, through);
  if (!("socket" in result)) throw new Error(`${result.status} ${result.body}`);
  return result.socket;
}

describe("a good token opens a WebSocket", () => {
  test.each<[string, Way, { path?: string; cookie?: string }]>([
    ["in a header", { headers: { authorization: `Bearer ${token}` } }, {}],
    ["in a query parameter", { path: `/ws?a=1&access_token=${token}&b=2` }, { path: "/ws?a=1&b=2" }],
    ["in a cookie", { headers: { cookie: `session=${token}` } }, { cookie: `session=${token}` }],
  ])("%s", async (_, way, { path = "/ws", cookie }) => {
    const socket = await opened(way);
    expect(await said(socket, "hello")).toBe("hello");
    expect(await said(socket, "again")).toBe("again");
    const seen = upstream.handshakes.at(-1);
    expect(seen?.path).toBe(path);
    expect(seen?.headers).toMatchObject({ upgrade: "websocket", connection: "Upgrade", "x-sub": "alice" });
    expect(seen?.headers["authorization"]).toBeUndefined();
    expect(seen?.headers["cookie"]).toBe(cookie);
    socket.close();
    await once(socket, "close");
  });

  test("as the last subprotocol, which is forwarded so that the service can choose another", async () => {
    const socket = await opened({ protocols: ["chat", `bearer.${token}`] }, forwarding);
    expect(socket.protocol).toBe("chat");
    expect(await said(socket, "hello")).toBe("hello");
    expect(upstream.handshakes.at(-1)?.headers["sec-websocket-protocol"]).toBe(`chat,bearer.${token}`);
    socket.terminate();
  });

  test("as a subprotocol that is removed: the service sees no subprotocol, and clients refuse the answer", async () => {
    const before = upstream.handshakes.length;
    await expect(open({ protocols: ["chat", `bearer.${token}`] })).rejects.toThrow("no subprotocol");
    expect(upstream.handshakes).toHaveLength(before + 1);
    const { headers } = upstream.handshakes.at(-1) ?? { headers: {} };
    expect(headers["sec-websocket-protocol"]).toBeUndefined();
    expect(headers["x-sub"]).toBe("alice");
  });
});

test("no token is needed if policies need none", async () => {
  const socket = await opened({ path: "/open" });
  expect(await said(socket, "hello")).toBe("hello");
  socket.terminate();
});

describe("other requests for a WebSocket are refused, and the service does not see them", () => {
  const forged = `${token.slice(0, -6)}AAAAAA`;
  test.each<[string, Way, number, string]>([
    ["no token", {}, 403, "RBAC: access denied"],
    ["a forged token", { headers: { authorization: `Bearer ${forged}` } }, 401, "Jwt verification fails"],
    ["a forged parameter", { path: `/ws?access_token=${forged}` }, 401, "Jwt verification fails"],
    ["a forged cookie", { headers: { cookie: `session=${forged}` } }, 401, "Jwt verification fails"],
    ["a forged subprotocol", { protocols: [`bearer.${forged}`] }, 401, "Jwt verification fails"],
    [
      "a subprotocol with the token before others",
      { protocols: [`bearer.${token}`, "chat"] },
      401,
      "Jwt signature is an invalid Base64url encoded",
    ],
  ])("%s", async (_, way, status, body) => {
    const before = upstream.handshakes.length;
    expect(await open(way)).toMatchObject({ status, body });
    expect(upstream.handshakes).toHaveLength(before);
  });
});

test("many messages both ways, large ones too, arrive whole and in order", async () => {
  const socket = await opened({ path: "/open" });
  const texts = Array.from({ length: 20 }, (_, i) => `${i}`.repeat(40_000));
  const back: string[] = [];
  socket.on("message", (data) => back.push(String(data)));
  for (const text of texts) socket.send(text);
  await until("all messages are back", async () => back.length === texts.length);
  expect(back).toEqual(texts);
  socket.terminate();
});

test("a socket that one side closes is closed on the other", async () => {
  const socket = await opened({ path: "/open" });
  socket.close(4000, "enough");
  expect(await once(socket, "close")).toEqual([4000, Buffer.from("enough")]);
});

/** The response to these lines, until the connection ends. */
function exchange(lines: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(gate.port, "127.0.0.1", () => socket.write(`${lines.join("\r\n")}\r\n\r\n`));
    let text = "";
    socket.setEncoding("latin1").on("data", (chunk: string) => {
      text += chunk;
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(text));
  });
}

describe("no upgrade but WebSocket is allowed", () => {
  const authorization = `Authorization: Bearer ${token}`;

  test.each(["chat", "websocket, chat", "TLS/1.0"])("an upgrade to %s, with a good token", async (type) => {
    const before = upstream.handshakes.length;
    const lines = ["GET /ws HTTP/1.1", "Host: a", authorization, "Connection: Upgrade", `Upgrade: ${type}`];
    const answer = await exchange(lines);
    expect(answer).toMatch(/^HTTP\/1.1 403 Forbidden\r\n/);
    expect(answer).toContain("x-response-code-details: upgrade_failed\r\n");
    expect(answer).toMatch(/\r\n\r\n$/);
    expect(upstream.handshakes).toHaveLength(before);
  });

  test.each([
    ["without a token", [], 403],
    ["with a good token", [authorization], 404],
  ])("CONNECT %s", async (_, headers, status) => {
    const target = `127.0.0.1:${upstream.port}`;
    const answer = await exchange([`CONNECT ${target} HTTP/1.1`, `Host: ${target}`, ...headers]);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  });

  test("CONNECT of HTTP/2", async () => {
    const session = connectHttp2(`http://127.0.0.1:${gate.port}`);
    const stream = session.request({
      ":method": "CONNECT",
      ":authority": `127.0.0.1:${upstream.port}`,
      authorization: `Bearer ${token}`,
    });
    const [headers] = (await once(stream, "response")) as [Record<string, unknown>];
    expect(headers[":status"]).toBe(404);
    session.destroy();
  });

  // As istiod's listeners: browsers then open another connection, of HTTP/1.1 (RFC 8441, 3).
  test("WebSockets in HTTP/2 are not offered", async () => {
    const session = connectHttp2(`http://127.0.0.1:${gate.port}`);
    const [settings] = (await once(session, "remoteSettings")) as [{ enableConnectProtocol?: boolean }];
    expect(settings.enableConnectProtocol).toBe(false);
    const before = upstream.handshakes.length;
    let answered = false;
    const stream = session.request({
      ":method": "CONNECT",
      ":protocol": "websocket",
      ":scheme": "http",
      ":authority": "a",
      ":path": "/open",
    });
    stream.on("response", () => {
      answered = true;
    });
    session.on("error", () => {});
    await new Promise((resolve) => stream.on("error", resolve).on("close", resolve));
    expect(answered).toBe(false);
    expect(upstream.handshakes).toHaveLength(before);
    session.destroy();
  });

  test("an offer of HTTP/2 in plain text is passed over, as a service may", async () => {
    const lines = ["GET /open HTTP/1.1", "Host: a", "Connection: Upgrade, HTTP2-Settings, close"];
    const answer = await exchange([...lines, "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"]);
    expect(answer).toMatch(/^HTTP\/1.1 200 OK\r\n/);
    expect(answer).toContain("no WebSocket\n");
  });
});

test("run allows them, prints each when it begins, and ends it after an edit", async () => {
  const workspace = new RunWorkspace();
  try {
    writeFileSync(workspace.path("policies/policies.yaml"), policies(false));
    const running = await workspace.serve(upstream.port);
    const url = `ws://127.0.0.1:${running.port}/ws`;
    expect(await openWebSocket(url)).toMatchObject({ status: 403 });
    const result = await openWebSocket(`${url}?access_token=${token}`);
    if (!("socket" in result)) throw new Error(`${result.status}`);
    const lines = () => running.stdout().trim().split("\n");
    await until("it is printed while it is open", async () => lines().some((line) => line.includes(" 101 ")));
    expect(await said(result.socket, "hello")).toBe("hello");
    // A connection that other policies allowed does not stay open.
    const closed = once(result.socket, "close");
    writeFileSync(workspace.path("policies/policies.yaml"), policies(false).replace("/open", "/other"));
    await closed;
    expect(await openWebSocket(`${url}?again`)).toMatchObject({ status: 403 });
    await until("what came later is printed", async () => lines().length >= 3);
    expect(lines().map((line) => line.replace(/^[0-9:]{8} /, ""))).toEqual([
      "GET /ws 403 RBAC: access denied no ALLOW policy allows it",
      expect.stringMatching(/^GET \/ws 101 .*token-needed.* as https:\/\/issuer\.example\/alice$/),
      "GET /ws 403 RBAC: access denied no ALLOW policy allows it",
    ]);
    await stop(running);
  } finally {
    workspace.remove();
  }
});
