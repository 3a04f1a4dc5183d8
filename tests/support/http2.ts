/** An HTTP/2 client: with prior knowledge, or by ALPN over TLS. */
import { type ClientHttp2Session, connect, constants, type IncomingHttpHeaders } from "node:http2";
import type { Http1Request, Http1Response, Target } from "./http1.ts";

/** Sends one request on its own connection. The response's trailers follow its headers. */
export async function http2(target: Target, request: Http1Request): Promise<Http1Response> {
  const client = new Http2Client(target);
  try {
    return await client.request(request);
  } finally {
    client.close();
  }
}

/** One connection, for any number of requests at once. */
export class Http2Client {
  private readonly session: ClientHttp2Session;

  constructor({ host, port, tls }: Target) {
    const origin = `${tls === undefined ? "http" : "https"}://${host.includes(":") ? `[${host}]` : host}:${port}`;
    this.session = connect(origin, { ...tls, settings: { enablePush: false } });
    this.session.setMaxListeners(0);
  }

  /** The answer's trailers follow its headers. */
  request(request: Http1Request): Promise<Http1Response> {
    return exchange(this.session, request);
  }

  close(): void {
    this.session.destroy();
  }
}

function exchange(session: ClientHttp2Session, request: Http1Request): Promise<Http1Response> {
  const { method = "GET", path = "/", authority = "localhost", headers = [], body = "" } = request;
  return new Promise((resolve, reject) => {
    const fields: Record<string, string | string[]> = {};
    for (const [name, value] of headers) {
      const key = name.toLowerCase();
      fields[key] = key in fields ? [fields[key] ?? "", value].flat() : value;
    }
    const stream = session.request(
      { ...fields, ":method": method, ":path": path, ":authority": authority },
      { endStream: body === "" },
    );
    let answer: Http1Response | undefined;
    let text = "";
    session.on("error", reject);
    stream.on("error", reject);
    stream.on("response", (received) => {
      answer = {
        status: Number(received[constants.HTTP2_HEADER_STATUS]),
        headers: pairs(received),
        body: "",
      };
    });
    stream.on("trailers", (received) => answer?.headers.push(...pairs(received)));
    stream.setEncoding("latin1");
    stream.on("data", (chunk: string) => {
      text += chunk;
    });
    stream.on("close", () => {
      if (answer === undefined) reject(new Error("the stream ended without an answer"));
      else resolve({ ...answer, body: text });
    });
    if (body !== "") stream.end(body, "latin1");
  });
}

function pairs(received: IncomingHttpHeaders): [string, string][] {
  return Object.entries(received)
    .filter(([name]) => !name.startsWith(":"))
    .flatMap(([name, value]) => [value ?? ""].flat().map((one): [string, string] => [name, one]));
}
