/**
 * What the bootstrap limits, in a real Envoy: memory of requests that wait, the heap, slow clients, streams,
 * connections. Each gate is what `compile --output envoy` writes; where a limit is too large for a test to reach, the
 * test lowers that number and nothing else (tests/docs/edge-guide.test.ts compares the numbers).
 */
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { type ClientHttp2Session, connect as connectHttp2, constants } from "node:http2";
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { memoryOf } from "../../bench/process-clock.ts";
import { Envoy } from "../../tools/envoy/process.ts";
import { bootstrapCluster } from "../../tools/jwks/source.ts";
import { type BootstrapOptions, type Message, renderBootstrap } from "../../tools/render/bootstrap.ts";
import { whole } from "../support/configuration.ts";
import { connectionManager, DETAILS_HEADER, envoyBinary, MODULE, tellDetails } from "../support/envoy.ts";
import { headerOf, http1 } from "../support/http1.ts";
import { type Behaviour, JwksServer, keys, type SigningKey, signingKey } from "../support/jwks-server.ts";
import { CertificateAuthority } from "../support/pki.ts";
import { until } from "../support/until.ts";
import { listen } from "../support/upstream.ts";

const ISSUER = "https://issuer.example";
const MIB = 1024 * 1024;

/** What `GET /large` gets: more than the kernel's own buffers take. */
const LARGE = Buffer.alloc(20 * MIB, "x");

/** A service that answers with the digest of the body that it got, as soon as it has all of it. */
const service = createServer((request, response) => {
  if (request.url === "/large") return void response.end(LARGE);
  const digest = createHash("sha256");
  request.on("data", (chunk: Buffer) => digest.update(chunk));
  request.on("end", () => response.end(digest.digest("hex")));
});

/** It sends no answer until a test allows it. */
let keyServer: JwksServer;
let letKeysCome: () => void;
let key: SigningKey;
let token: string;
let envoy: Envoy;

beforeAll(async () => {
  await listen(service);
  key = await signingKey("k");
  token = await key.sign(ISSUER);
});
afterAll(() => {
  service.closeAllConnections();
  service.close();
});

beforeEach(async () => {
  const held: Parameters<Behaviour>[] = [];
  keyServer = await JwksServer.start((...request) => held.push(request));
  letKeysCome = () => {
    keyServer.behaviour = keys([key.publicJwk]);
    for (const request of held.splice(0)) keyServer.behaviour(...request);
  };
});
afterEach(async () => {
  await envoy?.stop();
  await keyServer.close();
});

/** Starts a gate whose keys are not delivered. @returns its port */
async function start(
  options: Partial<BootstrapOptions> = {},
  change: (listener: Message, bootstrap: Message) => void = () => {},
): Promise<number> {
  const uri = new URL(`${keyServer.origin}/keys`);
  const configuration = whole({
    limits: { maxWaitMs: 60_000 },
    providers: [
      {
        name: "origins-0",
        issuer: ISSUER,
        remoteJwks: { uri: uri.href, cluster: bootstrapCluster(uri), timeoutMs: 60_000 },
        fromHeaders: [{ name: "authorization", valuePrefix: "Bearer " }],
      },
    ],
  });
  const bootstrap = renderBootstrap(configuration, {
    listen: { host: "127.0.0.1", port: 0 },
    upstream: { host: "127.0.0.1", port: (service.address() as AddressInfo).port },
    mode: "gateway",
    pathNormalization: "BASE",
    module: MODULE,
    ...options,
  });
  const [listener] = (bootstrap["static_resources"] as { listeners: Message[] }).listeners;
  if (listener === undefined) throw new Error("the bootstrap has no listener");
  delete connectionManager(tellDetails(listener))["access_log"];
  change(listener, bootstrap);
  envoy = await Envoy.start({ binary: await envoyBinary(), bootstrap });
  return envoy.portOf("gate");
}

async function stat(name: string): Promise<number> {
  return (await envoy.stats(name)).get(name) ?? 0;
}

const waiting = () => stat("wasmcustom.jwtgate_jwks_waiting_requests");

/** Waits until `count` requests wait, and until Envoy has read of them all that it will. */
async function settled(count: number): Promise<void> {
  await until(`${count} requests wait`, async () => (await waiting()) === count);
  await still("http.gate.downstream_cx_rx_bytes_total");
}

/** Waits until a counter does not move any more. */
async function still(name: string): Promise<void> {
  let last = -1;
  let same = 0;
  await until(`${name} stays`, async () => {
    const now = await stat(name);
    same = now === last ? same + 1 : 0;
    last = now;
    return same === 10;
  });
}

/** Requests under way that have sent more than Envoy takes. */
interface Flood {
  end(): void;
}

function floodHttp1(port: number, count: number, body: Buffer): Flood {
  const head = `POST / HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer ${token}\r\ncontent-length: ${body.length}\r\n\r\n`;
  const sockets = Array.from({ length: count }, () => {
    const socket = connect(port, "127.0.0.1").on("error", () => {});
    socket.write(head);
    socket.write(body);
    return socket;
  });
  return {
    end: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}

function floodHttp2(port: number, connections: number, streams: number, body: Buffer): Flood {
  const sessions = Array.from({ length: connections }, () => openHttp2(port));
  for (const session of sessions) {
    for (let i = 0; i < streams; i++) {
      const headers = { ":method": "POST", ":path": "/", authorization: `Bearer ${token}` };
      session
        .request(headers)
        .on("error", () => {})
        .end(body);
    }
  }
  return {
    end: () => {
      for (const session of sessions) session.destroy();
    },
  };
}

function openHttp2(port: number): ClientHttp2Session {
  return connectHttp2(`http://127.0.0.1:${port}`).on("error", () => {});
}

describe("requests that wait for keys", () => {
  test.each<[string, (port: number, body: Buffer) => Flood]>([
    ["HTTP/1.1", (port, body) => floodHttp1(port, 200, body)],
    ["HTTP/2, 100 on each connection", (port, body) => floodHttp2(port, 2, 100, body)],
    ["HTTP/2, each on its own connection", (port, body) => floodHttp2(port, 200, 1, body)],
  ])("200 POSTs of 3 MiB add less than 40 MiB over %s", async (_, flood) => {
    const port = await start();
    // The first request makes Envoy allocate memory that does not count.
    expect((await http1({ host: "127.0.0.1", port }, {})).status).toBe(200);
    const before = memoryOf(envoy.pid).resident;
    const started = flood(port, Buffer.alloc(3 * MIB, "x"));
    await settled(200);
    const added = memoryOf(envoy.pid).resident - before;
    started.end();
    expect(added).toBeLessThan(40 * MIB);
  });
});

describe("clients that do not read", () => {
  test.each<[string, (port: number) => Flood]>([
    ["HTTP/1.1", (port) => idleReaders(port, 200)],
    ["HTTP/2", (port) => idleStreams(port, 2, 100)],
  ])("200 answers of 20 MiB add less than 40 MiB over %s", async (_, flood) => {
    const port = await start();
    expect((await http1({ host: "127.0.0.1", port }, {})).status).toBe(200);
    const before = memoryOf(envoy.pid).resident;
    const started = flood(port);
    await until("all are answered", async () => (await stat("http.gate.downstream_rq_active")) === 200);
    await still("http.gate.downstream_cx_tx_bytes_total");
    const added = memoryOf(envoy.pid).resident - before;
    started.end();
    expect(added).toBeLessThan(40 * MIB);
  });
});

function idleReaders(port: number, count: number): Flood {
  const sockets = Array.from({ length: count }, () => {
    const socket = openIdle(port).pause();
    socket.write("GET /large HTTP/1.1\r\nhost: gate\r\n\r\n");
    return socket;
  });
  return {
    end: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}

function idleStreams(port: number, connections: number, streams: number): Flood {
  const sessions = Array.from({ length: connections }, () => openHttp2(port));
  for (const session of sessions) {
    for (let i = 0; i < streams; i++) session.request({ ":path": "/large" }).on("error", () => {});
  }
  return {
    end: () => {
      for (const session of sessions) session.destroy();
    },
  };
}

/** Sends a body and reads the digest that the service answers with. */
type Send = (port: number, body: Buffer, headers: Record<string, string>) => Promise<string>;

const OVER: [string, Send][] = [
  ["HTTP/1.1", overHttp1],
  ["HTTP/2", overHttp2],
];

async function overHttp1(port: number, body: Buffer, headers: Record<string, string>): Promise<string> {
  const request = { method: "POST", headers: Object.entries(headers), body: body.toString("latin1") };
  return (await http1({ host: "127.0.0.1", port }, request)).body;
}

async function overHttp2(port: number, body: Buffer, headers: Record<string, string>): Promise<string> {
  const session = openHttp2(port);
  try {
    const stream = session.request({ ":method": "POST", ":path": "/", ...headers });
    stream.end(body);
    let text = "";
    for await (const chunk of stream) text += String(chunk);
    return text;
  } finally {
    session.destroy();
  }
}

describe("a body of 10 MiB arrives whole", () => {
  const body = randomBytes(10 * MIB);
  const digest = createHash("sha256").update(body).digest("hex");

  test.each(OVER)("over %s", async (_, send) => {
    const port = await start();
    expect(await send(port, body, {})).toBe(digest);
  });

  test.each(OVER)("over %s, after it waited for keys", async (_, send) => {
    const port = await start();
    const answer = send(port, body, { authorization: `Bearer ${token}` });
    await settled(1);
    letKeysCome();
    expect(await answer).toBe(digest);
  });
});

describe("the heap", () => {
  test("at --max-heap-size new requests get 503, and afterwards they are served again", async () => {
    const port = await start({ maxHeapBytes: 64 * MIB });
    const status = async () => (await http1({ host: "127.0.0.1", port }, {})).status;
    expect(await status()).toBe(200);
    const body = Buffer.alloc(MIB, "x");
    const floods: Flood[] = [];
    try {
      await until("the limit is reached", async () => {
        if (floods.length < 20) floods.push(floodHttp1(port, 50, body));
        return (await status()) === 503;
      });
      const refused = await http1({ host: "127.0.0.1", port }, {});
      expect(refused).toMatchObject({ status: 503, body: "envoy overloaded" });
      expect(headerOf(refused, DETAILS_HEADER)).toBe("overload");
      expect(await stat("overload.envoy.overload_actions.stop_accepting_requests.active")).toBe(1);
      expect(await stat("overload.envoy.overload_actions.shrink_heap.active")).toBe(1);
      expect(await stat("http.gate.downstream_rq_overload_close")).toBeGreaterThan(0);
    } finally {
      for (const flood of floods) flood.end();
    }
    letKeysCome();
    await until("requests are served again", async () => (await status()) === 200);
  });
});

describe("a slow client", () => {
  /** A gate whose timeouts are short. */
  const startHasty = () =>
    start({}, (listener) => {
      const manager = connectionManager(listener);
      manager["request_headers_timeout"] = "0.5s";
      manager["stream_idle_timeout"] = "1s";
      Object.assign(manager["common_http_protocol_options"] as Message, { idle_timeout: "0.5s" });
    });

  test("is cut off if it sends its headers a byte at a time, or half a body, or nothing", async () => {
    const port = await startHasty();
    const headers = talk(port, "GET / HTTP/1.1\r\nx: ", () => "y");
    const body = talk(port, "POST / HTTP/1.1\r\nhost: gate\r\ncontent-length: 10\r\n\r\nhalf", () => "");
    const nothing = talk(port, "", () => "");
    expect(await headers).toMatch(/^HTTP\/1\.1 408 /);
    expect(await body).toMatch(/^HTTP\/1\.1 408 /);
    expect(await nothing).toBe("");
    expect(await stat("http.gate.downstream_rq_header_timeout")).toBe(1);
    expect(await stat("http.gate.downstream_rq_idle_timeout")).toBe(1);
    expect(await stat("http.gate.downstream_cx_idle_timeout")).toBeGreaterThan(0);
  });

  test("may take as long as it likes for a body that moves", async () => {
    const port = await startHasty();
    const chunks = Array.from("a body of 20 chunks.");
    const head = `POST / HTTP/1.1\r\nhost: gate\r\nconnection: close\r\ncontent-length: ${chunks.length}\r\n\r\n`;
    const digest = createHash("sha256").update(chunks.join("")).digest("hex");
    const started = performance.now();
    expect(await talk(port, head, () => chunks.shift() ?? "")).toContain(digest);
    expect(performance.now() - started).toBeGreaterThan(1_000);
  });

  test("is cut off if it does not finish the TLS handshake", async () => {
    const folder = mkdtempSync(join(tmpdir(), "jwtgate-limits-"));
    try {
      const server = new CertificateAuthority().issue({ dns: ["gate.example"] });
      const tls = { certificate: join(folder, "server.pem"), key: join(folder, "server.key") };
      writeFileSync(tls.certificate, server.certificate);
      writeFileSync(tls.key, server.key);
      const port = await start({ tls }, (listener) => {
        const [chain] = listener["filter_chains"] as Message[];
        Object.assign(chain ?? {}, { transport_socket_connect_timeout: "0.5s" });
      });
      await talk(port, await clientHello(), () => "");
      const name = "downstream_cx_transport_socket_connect_timeout";
      // Envoy's admin interface has one of that name, too.
      const counts = (await envoy.stats(name)).values();
      expect([...counts].reduce((sum, count) => sum + count, 0)).toBe(1);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

/**
 * Sends a text and then, every 100 ms, what `next` says, until the other end closes.
 *
 * @returns all that came
 */
async function talk(port: number, text: string | Buffer, next: () => string): Promise<string> {
  const socket = connect(port, "127.0.0.1").on("error", () => {});
  socket.write(text);
  const timer = setInterval(() => socket.write(next()), 100);
  let received = "";
  socket.on("data", (chunk) => {
    received += String(chunk);
  });
  await new Promise((resolve) => socket.once("close", resolve));
  clearInterval(timer);
  return received;
}

/** The first message of a TLS client. */
async function clientHello(): Promise<Buffer> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const accepted = new Promise<Socket>((resolve) => server.once("connection", resolve));
    const client = connectTls((server.address() as AddressInfo).port, "127.0.0.1", {
      servername: "gate.example",
    });
    client.on("error", () => {});
    const socket = await accepted;
    const hello = await new Promise<Buffer>((resolve) => socket.once("data", resolve));
    client.destroy();
    socket.destroy();
    return hello;
  } finally {
    server.close();
  }
}

describe("one client", () => {
  test("opens at most 100 streams on an HTTP/2 connection, with the windows of the guide", async () => {
    const port = await start();
    const client = new FrameClient(port);
    try {
      for (let i = 0; i < 101; i++) client.openStream(1 + 2 * i);
      const refused = await client.next((frame) => frame.type === RST_STREAM);
      expect(refused).toMatchObject({ stream: 201, code: constants.NGHTTP2_REFUSED_STREAM });
      expect(await stat("http.gate.downstream_rq_active")).toBe(100);
    } finally {
      client.close();
    }
    const session = openHttp2(port);
    try {
      const settings = await new Promise((resolve) => session.once("remoteSettings", resolve));
      expect(settings).toMatchObject({ maxConcurrentStreams: 100, initialWindowSize: 65_536 });
      await until("the connection's window is 1 MiB", async () => session.state.remoteWindowSize === MIB);
    } finally {
      session.destroy();
    }
  });

  test("does not get more connections than the listener takes", async () => {
    const port = await start({}, (_, bootstrap) => {
      const { layers } = bootstrap["layered_runtime"] as { layers: { static_layer: Message }[] };
      const limits = layers.at(-1)?.static_layer ?? {};
      expect(Object.values(limits)).toEqual([10_000]);
      for (const name of Object.keys(limits)) limits[name] = 2;
    });
    const held = [openIdle(port), openIdle(port)];
    try {
      await until("both are connected", async () => (await stat("http.gate.downstream_cx_active")) === 2);
      expect(await talk(port, "", () => "")).toBe("");
      const [overflow] = (await envoy.stats("downstream_cx_overflow")).values();
      expect(overflow).toBe(1);
    } finally {
      for (const socket of held) socket.destroy();
    }
  });
});

function openIdle(port: number): Socket {
  return connect(port, "127.0.0.1").on("error", () => {});
}

const HEADERS = 1;
const RST_STREAM = 3;
const SETTINGS = 4;
const END_HEADERS = 4;

interface Frame {
  type: number;
  stream: number;
  /** Of RST_STREAM. */
  code: number;
}

/** An HTTP/2 client that does not keep to the server's settings (RFC 9113, 4.1; RFC 7541, 6). */
class FrameClient {
  private readonly socket: Socket;
  private readonly frames: AsyncGenerator<Frame>;

  constructor(port: number) {
    this.socket = openIdle(port);
    this.socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    this.write(SETTINGS, 0, 0, Buffer.alloc(0));
    this.frames = read(this.socket);
  }

  /** A POST whose body is never sent. */
  openStream(id: number): void {
    // :method POST, :scheme http, :path /, and :authority as a literal.
    const fields = Buffer.from("\x83\x86\x84\x41\x04gate", "latin1");
    this.write(HEADERS, END_HEADERS, id, fields);
  }

  /** Waits for a frame. */
  async next(matches: (frame: Frame) => boolean): Promise<Frame> {
    for (;;) {
      const { value, done } = await this.frames.next();
      if (done) throw new Error("the connection ended");
      if (matches(value)) return value;
    }
  }

  close(): void {
    this.socket.destroy();
  }

  private write(type: number, flags: number, stream: number, payload: Buffer): void {
    const head = Buffer.alloc(9);
    head.writeUIntBE(payload.length, 0, 3);
    head.writeUInt8(type, 3);
    head.writeUInt8(flags, 4);
    head.writeUInt32BE(stream, 5);
    this.socket.write(Buffer.concat([head, payload]));
  }
}

async function* read(socket: Socket): AsyncGenerator<Frame> {
  let rest = Buffer.alloc(0);
  for await (const chunk of socket) {
    rest = Buffer.concat([rest, chunk as Buffer]);
    while (rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3)) {
      const length = rest.readUIntBE(0, 3);
      const type = rest.readUInt8(3);
      yield { type, stream: rest.readUInt32BE(5), code: type === RST_STREAM ? rest.readUInt32BE(9) : 0 };
      rest = rest.subarray(9 + length);
    }
  }
}
