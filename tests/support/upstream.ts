/**
 * A backend that returns what it received: in the header `x-received` of its answer, so that it needs no bookkeeping.
 */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { headerOf } from "./http1.ts";

/** A request as the backend received it; text is latin-1, header names unchanged. */
export interface Received {
  method: string;
  path: string;
  headers: [string, string][];
  body: string;
}

export interface Upstream {
  port: number;
  /** How many requests there were. */
  readonly count: number;
  close(): Promise<void>;
}

/** @param host address of the loopback to listen on, at a free port */
export async function startUpstream(host = "127.0.0.1"): Promise<Upstream> {
  let count = 0;
  const server = createServer(
    { insecureHTTPParser: true, maxHeaderSize: 256 * 1024 },
    (request, response) => {
      count++;
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const raw = request.rawHeaders;
        const received: Received = {
          method: request.method ?? "",
          path: request.url ?? "",
          headers: raw.flatMap((name, i) =>
            i % 2 === 0 ? [[name, raw[i + 1] ?? ""] as [string, string]] : [],
          ),
          body: Buffer.concat(chunks).toString("latin1"),
        };
        const grpc = request.headers["content-type"]?.startsWith("application/grpc") === true;
        response.writeHead(200, {
          "x-received": Buffer.from(JSON.stringify(received)).toString("base64"),
          "content-type": grpc ? "application/grpc" : "text/plain",
        });
        response.end("upstream\n");
      });
    },
  );
  server.keepAliveTimeout = 0;
  await listen(server, host);
  return {
    port: (server.address() as AddressInfo).port,
    get count() {
      return count;
    },
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** Listens on a free port. */
export function listen(server: Server, host = "127.0.0.1"): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, host, resolve);
  });
}

/** What the backend received, from its answer; undefined if the answer is not the backend's. */
export function receivedOf(response: {
  headers: readonly (readonly [string, string])[];
}): Received | undefined {
  const header = headerOf(response, "x-received");
  return header === undefined
    ? undefined
    : (JSON.parse(Buffer.from(header, "base64").toString()) as Received);
}
