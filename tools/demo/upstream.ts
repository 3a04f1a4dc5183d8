/** Replaces the services of Istio's samples, bookinfo and httpbin: returns what it received. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** The answer of `/headers`: that of httpbin, and the URL. */
export interface Echo {
  method: string;
  url: string;
  headers: Record<string, string>;
}

const PAGES = new Map<string, object>(
  Object.entries({
    "/": { service: "demo" },
    "/healthz": { status: "ok" },
    "/productpage": { page: "The Comedy of Errors" },
    "/api/v1/products/0": { id: 0, title: "The Comedy of Errors" },
    "/api/v1/products/1": { id: 1, title: "Twelfth Night" },
  }),
);

/** Starts it on a free port of the loopback. */
export async function startUpstream(): Promise<{ port: number; stop: () => Promise<void> }> {
  const server = createServer(answer);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(0, "127.0.0.1", resolve);
  });
  return { port: (server.address() as AddressInfo).port, stop: () => stop(server) };
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  const { method = "", url = "", headers } = request;
  const path = url.split("?")[0] ?? "";
  const page = path === "/headers" ? { method, url, headers } : PAGES.get(path);
  response.writeHead(page ? 200 : 404, { "content-type": "application/json" });
  response.end(`${JSON.stringify(page ?? { error: "not found" })}\n`);
}

function stop(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
