/** Streams that last, and that are silent for long: nothing cuts them, and nothing of them is held back. */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import {
  type ClientRequest,
  createServer,
  type IncomingMessage,
  request,
  type ServerResponse,
} from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { type AddressInfo, connect } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { askAdminForJson } from "../../tools/envoy/admin.ts";
import { Envoy } from "../../tools/envoy/process.ts";
import type { Message } from "../../tools/render/bootstrap.ts";
import { envoyBinary, envoyMinorVersion } from "../support/envoy.ts";
import { compileBootstrap } from "../support/gate.ts";
import { type Running, RunWorkspace, stop } from "../support/run-command.ts";
import { bearer, TestKey } from "../support/tokens.ts";
import { until } from "../support/until.ts";
import { listen } from "../support/upstream.ts";
import { openWebSocket, said, startWebSocketUpstream, type WebSocketUpstream } from "../support/websocket.ts";

const key = TestKey.generate("ES256", "k");
const token = key.token({ iss: "https://issuer.example", sub: "alice" });
const headers = Object.fromEntries([bearer(token)]);

const POLICIES = `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: issuer, namespace: ns}
spec: {jwtRules: [{issuer: https://issuer.example, jwks: '${key.jwks}'}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: token-needed, namespace: ns}
spec: {rules: [{from: [{source: {requestPrincipals: ['*']}}]}]}
`;

/** A service that passes each request to the test, which answers it. */
class HandOver {
  private readonly server = createServer({ requestTimeout: 0, headersTimeout: 0 }, (incoming, response) => {
    this.arrived.push([incoming, response]);
    this.wake();
  });
  private readonly arrived: [IncomingMessage, ServerResponse][] = [];
  private wake: () => void = () => {};

  async start(): Promise<number> {
    await listen(this.server);
    return (this.server.address() as AddressInfo).port;
  }

  /** The next request. */
  async next(): Promise<[IncomingMessage, ServerResponse]> {
    while (this.arrived.length === 0) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    return this.arrived.shift() as [IncomingMessage, ServerResponse];
  }

  close(): void {
    this.server.closeAllConnections();
    this.server.close();
  }
}

/** The next bytes of a body, as text. */
async function nextChunk(stream: IncomingMessage): Promise<string> {
  const arrived = once(stream, "data");
  stream.resume();
  const [chunk] = (await arrived) as [Buffer];
  stream.pause();
  return chunk.toString();
}

/** Begins a request that is not ended. */
function begin(port: number, method: string): ClientRequest {
  const outgoing = request({ host: "127.0.0.1", port, method, path: "/stream", headers, agent: false });
  outgoing.on("error", () => {});
  outgoing.flushHeaders();
  return outgoing;
}

let service: HandOver;
let servicePort: number;

beforeEach(async () => {
  service = new HandOver();
  servicePort = await service.start();
});
afterEach(() => service.close());

describe("with every time limit of the bootstrap at a second", () => {
  let envoy: Envoy;
  let sockets: WebSocketUpstream;
  let port: number;
  let socketPort: number;

  /** Sets each duration that is not 0 to a second, wherever it is. */
  const hurried = (value: unknown): unknown => {
    if (typeof value === "string" && /^[0-9.]+s$/.test(value)) return value === "0s" ? value : "1s";
    if (Array.isArray(value)) return value.map(hurried);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, hurried(member)]));
  };

  const resourcesFor = (upstream: number, name: string) => {
    const flags = ["--listen", "127.0.0.1:0", "--upstream", `127.0.0.1:${upstream}`];
    const text = JSON.stringify(compileBootstrap(POLICIES, flags));
    // Two gates in one Envoy.
    return JSON.parse(
      text.replaceAll('"gate"', `"${name}"`).replaceAll('"upstream"', `"to-${name}"`),
    ) as Message;
  };

  beforeEach(async () => {
    sockets = await startWebSocketUpstream();
    const [plain, upgraded] = [resourcesFor(servicePort, "plain"), resourcesFor(sockets.port, "upgraded")];
    const of = (message: Message) =>
      message["static_resources"] as Record<"listeners" | "clusters", Message[]>;
    const bootstrap = hurried({
      ...plain,
      static_resources: {
        listeners: [...of(plain).listeners, ...of(upgraded).listeners],
        clusters: [...of(plain).clusters, ...of(upgraded).clusters],
      },
    });
    envoy = await Envoy.start({ binary: await envoyBinary(), bootstrap: bootstrap as Message });
    port = await envoy.portOf("plain");
    socketPort = await envoy.portOf("upgraded");
  });
  afterEach(async () => {
    await envoy?.stop();
    await sockets?.close();
  });

  /** Waits until limits of a second have passed, which two connections show that they do end. */
  async function waitForLimits(): Promise<void> {
    const idle = connect(port, "127.0.0.1");
    const slow = connect(port, "127.0.0.1");
    slow.write("GET / HTTP/1.1\r\nHost: a\r\n");
    idle.resume();
    let answer = "";
    slow.on("data", (chunk: Buffer) => {
      answer += chunk.toString();
    });
    await Promise.all([once(idle, "close"), once(slow, "close")]);
    expect(answer).toMatch(/^HTTP\/1.1 408 /);
  }

  test("an event stream, an upload, an answer that is late and a WebSocket may be silent for longer", async () => {
    const events = begin(port, "GET");
    events.end();
    const [, stream] = await service.next();
    stream.writeHead(200, { "content-type": "text/event-stream" }).write("data: one\n\n");
    const [received] = (await once(events, "response")) as [IncomingMessage];
    expect(await nextChunk(received)).toBe("data: one\n\n");

    const upload = begin(port, "POST");
    upload.write("one");
    const [uploaded, uploadAnswer] = await service.next();
    expect(await nextChunk(uploaded)).toBe("one");

    const late = begin(port, "GET");
    late.end();
    const [, lateAnswer] = await service.next();

    const opened = await openWebSocket(`ws://127.0.0.1:${socketPort}/`, [], { headers });
    if (!("socket" in opened)) throw new Error(`${opened.status}`);

    await waitForLimits();
    await waitForLimits();

    stream.write("data: two\n\n");
    expect(await nextChunk(received)).toBe("data: two\n\n");
    upload.write("two");
    expect(await nextChunk(uploaded)).toBe("two");
    upload.end();
    uploadAnswer.end("done");
    expect(((await once(upload, "response")) as [IncomingMessage])[0].statusCode).toBe(200);
    lateAnswer.end("at last");
    expect(await nextChunk(((await once(late, "response")) as [IncomingMessage])[0])).toBe("at last");
    expect(await said(opened.socket, "still there")).toBe("still there");
    opened.socket.terminate();
  });

  test("a complete answer that a client of HTTP/2 does not take is given up", async () => {
    const session = connectHttp2(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 10 } });
    const stream = session.request({ ":path": "/stream", ...headers });
    stream.pause();
    const ended = once(stream, "error") as Promise<[Error]>;
    const [, response] = await service.next();
    response.end("more than the window has room for");
    if ((await envoyMinorVersion()) >= 37) {
      expect((await ended)[0].message).toContain("NGHTTP2_INTERNAL_ERROR");
    } else {
      // Envoy 1.36 waits for stream_idle_timeout, which is unlimited here.
      ended.catch(() => {});
      await waitForLimits();
      await waitForLimits();
      expect(stream.destroyed).toBe(false);
    }
    session.destroy();
  });
});

test("a running Envoy has no time limit for a stream, not even a default one", async () => {
  const flags = ["--listen", "127.0.0.1:0", "--upstream", `127.0.0.1:${servicePort}`];
  const bootstrap = compileBootstrap(POLICIES, flags);
  const envoy = await Envoy.start({ binary: await envoyBinary(), bootstrap });
  try {
    const dump = JSON.stringify(await askAdminForJson(envoy.admin, "/config_dump"));
    const limits = [...dump.matchAll(/"([a-z_]*(?:timeout|duration))":"([0-9.]+)s"/g)];
    const ofStreams = limits.filter(([, name = ""]) =>
      /^(stream_idle_|request_)?timeout$|duration/.test(name),
    );
    // A member that is missing would have Envoy's default: five minutes of silence, 15 s for an answer.
    expect(new Set(ofStreams.map(([, name, value]) => `${name} ${value}`))).toEqual(
      new Set(["stream_idle_timeout 0", "request_timeout 0", "timeout 0"]),
    );
  } finally {
    await envoy.stop();
  }
});

describe("run passes bodies on piece by piece", () => {
  let workspace: RunWorkspace;
  let running: Running;

  beforeEach(async () => {
    workspace = new RunWorkspace();
    writeFileSync(workspace.path("policies/policies.yaml"), POLICIES);
    running = await workspace.serve(servicePort);
  });
  afterEach(async () => {
    await stop(running);
    workspace.remove();
  });

  const pieces = ["one", "two", "x".repeat(10), "three"];

  test("of an answer: each before the service sends the next", async () => {
    const outgoing = begin(running.port, "GET");
    outgoing.end();
    const [, response] = await service.next();
    response.flushHeaders();
    const [received] = (await once(outgoing, "response")) as [IncomingMessage];
    for (const piece of pieces) {
      response.write(piece);
      expect(await nextChunk(received)).toBe(piece);
    }
    response.end();
    received.resume();
    await once(received, "end");
  });

  test("of a request: each before the client sends the next", async () => {
    const outgoing = begin(running.port, "POST");
    const [received, response] = await service.next();
    for (const piece of pieces) {
      outgoing.write(piece);
      expect(await nextChunk(received)).toBe(piece);
    }
    outgoing.end();
    response.end("done");
    await once(outgoing, "response");
  });

  test("of both at once, and prints the stream when it ends", async () => {
    const outgoing = begin(running.port, "POST");
    const [received, response] = await service.next();
    response.flushHeaders();
    const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
    for (const piece of pieces) {
      outgoing.write(piece);
      expect(await nextChunk(received)).toBe(piece);
      response.write(piece);
      expect(await nextChunk(answer)).toBe(piece);
    }
    outgoing.end();
    response.end();
    answer.resume();
    await once(answer, "end");
    await until("it is printed", async () => / POST \/stream 200 /.test(running.stdout()));
  });
});
