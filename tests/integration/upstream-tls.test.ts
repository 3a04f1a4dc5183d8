/** Upstreams of every scheme through a real Envoy: TLS whose certificate is checked, client certificates, HTTP/2. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttp2Server, createSecureServer, type Http2Server } from "node:http2";
import { createServer } from "node:https";
import { type AddressInfo, connect, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PeerCertificate, TLSSocket } from "node:tls";
import { credentials, Metadata, ServerCredentials, status } from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { WebSocketServer } from "ws";
import { Envoy } from "../../tools/envoy/process.ts";
import { cluster, type Message } from "../../tools/render/bootstrap.ts";
import { envoyBinary } from "../support/envoy.ts";
import { compileBootstrap, Gate, type GateAnswer, jwtgate } from "../support/gate.ts";
import { GrpcClient, startGrpcUpstream } from "../support/grpc.ts";
import { type Http1Request, http1 } from "../support/http1.ts";
import { CertificateAuthority } from "../support/pki.ts";
import { RunWorkspace, stop } from "../support/run-command.ts";
import { until } from "../support/until.ts";
import { openWebSocket, said } from "../support/websocket.ts";

const OPEN = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: open, namespace: ns}
spec: {rules: [{}]}
`;

/** What a service saw of a request and its connection. */
interface Seen {
  protocol: string;
  host: string;
  sni: string;
  alpn: string;
  /** Names in the client's certificate. */
  client: string;
}

const authority = new CertificateAuthority();
const credentialsOf = (...dns: string[]) => {
  const { certificate, key } = authority.issue({ dns });
  return { cert: certificate, key };
};

let folder: string;
let ca: string;
const closing: (() => unknown)[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "jwtgate-upstream-tls-"));
  ca = write("ca.pem", authority.certificate);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function write(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

/** Listens on a free port until the test is over. */
async function serve(server: Server | Http2Server): Promise<number> {
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  closing.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

function seen(socket: TLSSocket, protocol: string, host: string | undefined): string {
  const { subjectaltname = "" } = (socket.getPeerCertificate?.() ?? {}) as Partial<PeerCertificate>;
  const { servername = "", alpnProtocol = "" } = socket as Partial<TLSSocket & { servername: string }>;
  const result = { protocol, host, sni: servername || "", alpn: alpnProtocol || "", client: subjectaltname };
  return JSON.stringify(result);
}

/** A service over TLS that speaks HTTP/1.1. */
function https(options: object = {}): Promise<number> {
  const server = createServer({ ...credentialsOf("localhost"), ...options }, (request, response) => {
    response.end(seen(request.socket as TLSSocket, request.httpVersion, request.headers.host));
  });
  server.keepAliveTimeout = 0;
  closing.push(() => server.closeAllConnections());
  return serve(server);
}

async function gateTo(upstream: string, ...flags: string[]): Promise<Gate> {
  const gate = await Gate.start(OPEN, ["--upstream", upstream, ...flags]);
  closing.push(() => gate.stop());
  return gate;
}

const requestOf = ({ body }: GateAnswer) => JSON.parse(body) as Seen;

async function ask(upstream: string, flags: string[] = [], request: Http1Request = {}): Promise<GateAnswer> {
  return (await gateTo(upstream, ...flags)).request(request);
}

describe("https://", () => {
  test("asks for the host's name, checks its certificate, and sends the client's Host", async () => {
    const answer = await ask(`https://localhost:${await https()}`, ["--upstream-ca", ca], {
      authority: "a.example",
    });
    expect(answer.status).toBe(200);
    expect(requestOf(answer)).toEqual({
      protocol: "1.1",
      host: "a.example",
      sni: "localhost",
      alpn: "http/1.1",
      client: "",
    });
  });

  test("sends another Host if it is configured", async () => {
    const port = await https();
    const flags = ["--upstream-ca", ca, "--upstream-host", "api.example.com:8443"];
    const answer = await ask(`https://localhost:${port}`, flags, { authority: "a.example" });
    expect(requestOf(answer).host).toBe("api.example.com:8443");
  });

  test("checks the address if there is no name, and sends no server name", async () => {
    const answer = await ask(`https://127.0.0.1:${await https()}`, ["--upstream-ca", ca]);
    expect(requestOf(answer).sni).toBe("");
  });

  const refused = (answer: GateAnswer, reason: string) => {
    expect(answer.status).toBe(503);
    expect(answer.details).toContain(reason);
  };

  test("answers 503 to a certificate of another name", async () => {
    const port = await https(credentialsOf("other.example"));
    refused(await ask(`https://localhost:${port}`, ["--upstream-ca", ca]), "CERTIFICATE_VERIFY_FAILED");
  });

  test("answers 503 to a certificate of another authority", async () => {
    const { certificate: cert, key } = new CertificateAuthority().issue({ dns: ["localhost"] });
    const port = await https({ cert, key });
    refused(await ask(`https://localhost:${port}`, ["--upstream-ca", ca]), "CERTIFICATE_VERIFY_FAILED");
  });

  test("trusts this system's authorities by default", async () => {
    refused(await ask(`https://localhost:${await https()}`), "CERTIFICATE_VERIFY_FAILED");
  });

  test.each([
    ["api.example.com", 200],
    ["a.b.example.com", 503],
    ["example.com", 503],
  ])("a certificate for *.example.com, of %s: %i", async (host, expected) => {
    const port = await https(credentialsOf("*.example.com"));
    const addresses = ["--listen", "127.0.0.1:0", "--upstream", `https://${host}:${port}`];
    const bootstrap = compileBootstrap(OPEN, [...addresses, "--upstream-ca", ca]);
    // Nothing here has the name: the service's address replaces a resolver's answer.
    const { clusters } = bootstrap["static_resources"] as { clusters: Message[] };
    const own = cluster({ name: "upstream", address: { host: "127.0.0.1", port } });
    Object.assign(clusters[0] ?? {}, { type: own["type"], load_assignment: own["load_assignment"] });
    const envoy = await Envoy.start({ binary: await envoyBinary(), bootstrap });
    closing.push(() => envoy.stop());
    const answer = await http1({ host: "127.0.0.1", port: await envoy.portOf("gate") }, {});
    expect(answer.status).toBe(expected);
    if (expected === 200) expect((JSON.parse(answer.body) as Seen).sni).toBe(host);
  });

  describe("to a service that requires certificates", () => {
    const mutual = () => https({ ca: authority.certificate, requestCert: true, rejectUnauthorized: true });

    test("shows the gate's own", async () => {
      const { cert, key } = credentialsOf("gate.example");
      const own = ["--upstream-cert", write("gate.pem", cert), "--upstream-key", write("gate.key", key)];
      const answer = await ask(`https://localhost:${await mutual()}`, ["--upstream-ca", ca, ...own]);
      expect(requestOf(answer).client).toContain("DNS:gate.example");
    });

    test("answers 503 without one", async () => {
      expect((await ask(`https://localhost:${await mutual()}`, ["--upstream-ca", ca])).status).toBe(503);
    });
  });

  test("allows WebSockets", async () => {
    const server = createServer(credentialsOf("localhost"));
    const sockets = new WebSocketServer({ server });
    sockets.on("connection", (socket) => socket.on("message", (data) => socket.send(`${data}!`)));
    closing.push(() => {
      for (const socket of sockets.clients) socket.terminate();
    });
    const gate = await gateTo(`https://localhost:${await serve(server)}`, "--upstream-ca", ca);
    const result = await openWebSocket(`ws://127.0.0.1:${gate.port}/`);
    if (!("socket" in result)) throw new Error(`${result.status} ${result.body}`);
    expect(await said(result.socket, "hello")).toBe("hello!");
    result.socket.terminate();
  });

  test("is an upstream of run, which reads files from the folder that it was started in", async () => {
    const workspace = new RunWorkspace();
    try {
      writeFileSync(workspace.path("policies/policies.yaml"), OPEN);
      writeFileSync(workspace.path("ca.pem"), authority.certificate);
      const port = await https();
      const args = ["--upstream", `https://localhost:${port}`, "--upstream-ca", "ca.pem"];
      const running = await workspace.serve(1, args);
      expect(running.stderr()).toContain(`→ https://localhost:${port}\n`);
      const response = await fetch(`http://127.0.0.1:${running.port}/`);
      expect(await response.json()).toMatchObject({ sni: "localhost" });
      await stop(running);
    } finally {
      workspace.remove();
    }
  });

  test.each<[string, string[], RegExp]>([
    [
      "an authority's file that is not there",
      ["--upstream-ca", "none.pem"],
      /^--upstream-ca none\.pem: .*no such file/,
    ],
    [
      "no certificate",
      ["--upstream-ca", "policies/policies.yaml"],
      /--upstream-ca policies.*: it does not begin with a certificate/,
    ],
    [
      "an authority of key servers that is not a certificate",
      ["--jwks-ca", "gate.key"],
      /--jwks-ca gate\.key: it does not begin with a certificate/,
    ],
    [
      "a certificate as key",
      ["--upstream-cert", "gate.pem", "--upstream-key", "gate.pem"],
      /--upstream-key gate\.pem: it has no private key/,
    ],
    [
      "another's key",
      ["--upstream-cert", "gate.pem", "--upstream-key", "other.key"],
      /--upstream-key other\.key: this key is not that of the first certificate in gate\.pem/,
    ],
  ])("run reports the fault of a file at once: %s", async (_, flags, message) => {
    const workspace = new RunWorkspace();
    try {
      writeFileSync(workspace.path("policies/policies.yaml"), OPEN);
      const { cert, key } = credentialsOf("gate.example");
      for (const [name, text] of Object.entries({
        "gate.pem": cert,
        "gate.key": key,
        "other.key": credentialsOf("a").key,
      })) {
        writeFileSync(workspace.path(name), text);
      }
      const args = ["run", "-f", "policies", "--listen", "127.0.0.1:0", "--upstream", "https://localhost:1"];
      const running = await workspace.spawn([...args, ...flags]);
      expect(await running.ended).toBe(1);
      expect(running.stderr()).toMatch(message);
      expect(running.stderr().trim().split("\n")).toHaveLength(1);
    } finally {
      workspace.remove();
    }
  });
});

describe("HTTP/2", () => {
  const answering = <S extends Http2Server>(server: S): S => {
    const sessions = new Set<{ destroy(): void }>();
    server.on("session", (session) => sessions.add(session));
    closing.push(() => {
      for (const session of sessions) session.destroy();
    });
    return server.on("request", (request, response) => {
      response.end(seen(request.stream.session?.socket as TLSSocket, request.httpVersion, request.authority));
    });
  };

  test("h2c:// is HTTP/2 in plain text", async () => {
    const port = await serve(answering(createHttp2Server()));
    const answer = await ask(`h2c://127.0.0.1:${port}`, [], { authority: "a.example" });
    expect(requestOf(answer)).toMatchObject({ protocol: "2.0", host: "a.example" });
  });

  test("h2:// is HTTP/2 over TLS", async () => {
    const port = await serve(answering(createSecureServer(credentialsOf("localhost"))));
    const answer = await ask(`h2://localhost:${port}`, ["--upstream-ca", ca]);
    expect(requestOf(answer)).toMatchObject({ protocol: "2.0", sni: "localhost", alpn: "h2" });
  });

  test("grpcs:// is gRPC over TLS", async () => {
    const { cert, key } = credentialsOf("localhost");
    const pair = { cert_chain: Buffer.from(cert), private_key: Buffer.from(key) };
    const upstream = await startGrpcUpstream(ServerCredentials.createSsl(null, [pair]));
    closing.push(() => upstream.close());
    const gate = await gateTo(`grpcs://localhost:${upstream.port}`, "--upstream-ca", ca);
    const client = new GrpcClient(`127.0.0.1:${gate.port}`, credentials.createInsecure());
    closing.push(() => client.close());
    const answer = await client.inTurns(["one", "two"], new Metadata());
    expect(answer).toMatchObject({ messages: ["one", "two"], code: status.OK });
  });

  test("a WebSocket to a service without WebSockets is refused, not left open", async () => {
    const port = await serve(answering(createHttp2Server()));
    const gate = await gateTo(`h2c://127.0.0.1:${port}`);
    const answer = await openWebSocket(`ws://127.0.0.1:${gate.port}/`);
    // 503 before Envoy 1.37.
    expect([502, 503]).toContain("status" in answer && answer.status);
  });

  test("a WebSocket reaches a service that takes it in HTTP/2 (RFC 8441)", async () => {
    const server = createHttp2Server({ settings: { enableConnectProtocol: true } });
    const asked: unknown[] = [];
    server.on("stream", (stream, headers) => {
      asked.push([headers[":method"], headers[":protocol"], headers[":path"]]);
      stream.respond({ ":status": 200 });
      stream.on("error", () => {});
      // A text frame of five bytes (RFC 6455, 5.2).
      stream.write(Buffer.concat([Buffer.of(0x81, 5), Buffer.from("hello")]));
    });
    const gate = await gateTo(`h2c://127.0.0.1:${await serve(answering(server))}`);
    const socket = connect(gate.port, "127.0.0.1");
    socket.write(
      "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    );
    let answer = "";
    socket.on("data", (chunk: Buffer) => {
      answer += chunk.toString("latin1");
    });
    await until("the service's frame", async () => answer.endsWith("hello"));
    socket.destroy();
    expect(answer).toMatch(/^HTTP\/1.1 101 /);
    expect(asked).toEqual([["CONNECT", "websocket", "/ws"]]);
  });
});

describe("contradictions are reported, with what to write instead", () => {
  const policies = () => write("policies.yaml", OPEN);
  const commands: [string, () => string[]][] = [
    ["compile", () => ["compile", "-f", policies(), "--output", "envoy", "--listen", "127.0.0.1:1"]],
    ["run", () => ["run", "-f", policies()]],
  ];

  test.each<[string[], string]>([
    [
      ["http://backend:80/api"],
      "The service gets the path that the client asks for: write http://backend:80.",
    ],
    [["https://backend?x=1"], "write https://backend."],
    [["https://user:secret@backend"], "write https://backend."],
    [["ftp://backend"], "ftp:// is not known: write HOST:PORT, or one of http://, https://, h2c://"],
    [["wss://backend:443"], "Write https://backend:443: WebSockets begin in HTTP"],
    [["backend"], "The port is missing: write backend:8000, or a URL such as https://backend."],
    [["https://"], "Write HOST:PORT"],
    [["https://:443"], "Write HOST:PORT"],
    [["https://backend:"], "Write HOST:PORT"],
    [["https://backend:99999"], "Write HOST:PORT"],
    [["https://a b"], "neither an IP address nor a host name"],
    [["http://::1:80"], "Write HOST:PORT"],
    [
      ["backend:80", "--upstream-ca", "ca.pem"],
      "--upstream-ca is for a service with TLS: write --upstream https://backend:80",
    ],
    [["grpc://backend", "--upstream-ca", "ca.pem"], "write --upstream h2://backend:80"],
    [["https://backend", "--upstream-cert", "a.pem"], "--upstream-cert and --upstream-key go together"],
    [["https://backend", "--upstream-host", "http://x/"], "Write HOST or HOST:PORT"],
  ])("%s", (upstream, message) => {
    for (const [, args] of commands) {
      const { status: code, stderr } = jwtgate(...args(), "--upstream", ...upstream);
      expect(stderr).toContain(message);
      expect(code).toBe(2);
    }
  });
});
