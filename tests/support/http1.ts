/** An HTTP/1.1 client that sends exactly the given bytes, which Node's own does not: malformed requests are tested. */
import { connect as connectTcp, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";

/** A request as it is sent; text is latin-1. */
export interface Http1Request {
  method?: string;
  path?: string;
  authority?: string;
  headers?: readonly (readonly [string, string])[];
  body?: string;
}

/** An answer as it was received; text is latin-1, header names in lower case. */
export interface Http1Response {
  status: number;
  headers: [string, string][];
  body: string;
}

/** The value of a header; several are joined with a comma. */
export function headerOf(
  response: { headers: readonly (readonly [string, string])[] },
  name: string,
): string | undefined {
  const values = response.headers.filter(([key]) => key === name).map(([, value]) => value);
  return values.length === 0 ? undefined : values.join(",");
}

export interface Target {
  host: string;
  port: number;
  /** The client's own address. */
  from?: string;
  tls?: ConnectionOptions;
}

/** One connection, used for one request after another as long as the server keeps it. */
export class Http1Client {
  private socket: Socket | undefined;
  private received = Buffer.alloc(0);
  private wake: () => void = () => {};
  private ended = false;

  constructor(private readonly target: Target) {}

  private async connect(): Promise<void> {
    const { host, port, from, tls } = this.target;
    const options = { host, port, ...(from !== undefined && { localAddress: from }) };
    this.received = Buffer.alloc(0);
    this.ended = false;
    const socket = tls === undefined ? connectTcp(options) : connectTls({ ...options, ...tls });
    this.socket = socket;
    await new Promise<void>((resolve, reject) => {
      socket.once(tls === undefined ? "connect" : "secureConnect", resolve);
      socket.once("error", reject);
    });
    socket.removeAllListeners("error");
    socket.setNoDelay(true);
    socket.on("data", (chunk) => {
      this.received = Buffer.concat([this.received, chunk]);
      this.wake();
    });
    const end = (): void => {
      // A late event about an earlier socket's end must not be taken for this one's.
      if (this.socket !== socket) return;
      this.ended = true;
      this.wake();
    };
    socket.on("error", end);
    socket.on("close", end);
  }

  /** The client's own port, while there is a connection. */
  get localPort(): number {
    return this.socket?.localPort ?? 0;
  }

  /** Waits for more bytes. @returns false if there will be none */
  private async more(): Promise<boolean> {
    const before = this.received.length;
    if (this.ended) return false;
    await new Promise<void>((resolve) => {
      this.wake = resolve;
    });
    return this.received.length > before || !this.ended;
  }

  /** Takes `size` bytes, and waits for them if needed. */
  private async take(size: number): Promise<string> {
    while (this.received.length < size)
      if (!(await this.more())) throw new Error("the connection ended early");
    const text = this.received.toString("latin1", 0, size);
    this.received = this.received.subarray(size);
    return text;
  }

  /** Takes the text before a line break pair, and that pair. */
  private async takeUntil(mark: string): Promise<string> {
    for (;;) {
      const at = this.received.indexOf(mark, 0, "latin1");
      if (at >= 0) return this.take(at + mark.length);
      if (!(await this.more())) throw new Error("the connection ended early");
    }
  }

  /** Sends a request and reads its answer; on a connection that the server has closed, once more. */
  async request(request: Http1Request): Promise<Http1Response> {
    const { method = "GET", path = "/", authority = "localhost", headers = [], body = "" } = request;
    const length: [string, string][] = body === "" ? [] : [["content-length", String(body.length)]];
    const head = [["Host", authority], ...headers, ...length].map(([name, value]) => `${name}: ${value}\r\n`);
    const message = `${method} ${path} HTTP/1.1\r\n${head.join("")}\r\n${body}`;
    for (;;) {
      const isReused = this.socket !== undefined;
      if (!isReused) await this.connect();
      this.socket?.write(message, "latin1");
      try {
        return await this.response(method);
      } catch (error) {
        const isUnanswered = this.received.length === 0;
        this.close();
        if (!isReused || !isUnanswered) throw error;
      }
    }
  }

  /** Reads one answer (RFC 9112, 6.3). */
  private async response(method: string): Promise<Http1Response> {
    const [statusLine = "", ...lines] = (await this.takeUntil("\r\n\r\n")).slice(0, -4).split("\r\n");
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(statusLine)?.[1]);
    const headers = lines.map((line): [string, string] => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    });
    const answer: Http1Response = { status, headers, body: "" };
    if (status >= 100 && status < 200) return this.response(method);
    if (method !== "HEAD" && status !== 204 && status !== 304) answer.body = await this.body(answer);
    if (headerOf(answer, "connection") === "close") this.close();
    return answer;
  }

  private async body(answer: Http1Response): Promise<string> {
    if (headerOf(answer, "transfer-encoding") === "chunked") {
      let body = "";
      for (;;) {
        const size = Number.parseInt(await this.takeUntil("\r\n"), 16);
        body += (await this.take(size + 2)).slice(0, -2);
        if (size === 0) return body;
      }
    }
    const length = headerOf(answer, "content-length");
    if (length !== undefined) return this.take(Number(length));
    while (await this.more());
    return this.take(this.received.length);
  }

  close(): void {
    this.socket?.destroy();
    this.socket = undefined;
  }
}

/** One request on its own connection. */
export async function http1(target: Target, request: Http1Request): Promise<Http1Response> {
  const client = new Http1Client(target);
  try {
    return await client.request(request);
  } finally {
    client.close();
  }
}
