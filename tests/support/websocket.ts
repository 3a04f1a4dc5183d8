/** WebSockets of the `ws` package, on both sides of a gate. */
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { type ClientOptions, type RawData, WebSocket, WebSocketServer } from "ws";
import { listen } from "./upstream.ts";

/** What a service saw of the handshake. */
export interface Handshake {
  path: string;
  headers: IncomingMessage["headers"];
}

export interface WebSocketUpstream {
  port: number;
  /** The handshakes so far, in order. */
  readonly handshakes: Handshake[];
  close(): Promise<void>;
}

/** A service that returns every message, and of several subprotocols chooses `chat`. */
export async function startWebSocketUpstream(): Promise<WebSocketUpstream> {
  const server = createServer((_request, response) => response.end("no WebSocket\n"));
  const sockets = new WebSocketServer({
    server,
    handleProtocols: (offered) => (offered.has("chat") ? "chat" : false),
  });
  const handshakes: Handshake[] = [];
  sockets.on("connection", (socket, { url = "", headers }) => {
    handshakes.push({ path: url, headers });
    socket.on("message", (data: RawData, isBinary) => socket.send(data, { binary: isBinary }));
  });
  await listen(server);
  return {
    port: (server.address() as AddressInfo).port,
    handshakes,
    close: () => {
      for (const socket of sockets.clients) socket.terminate();
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** The result of a handshake: an open socket, or an HTTP answer. */
export type Opened =
  | { socket: WebSocket }
  | { status: number; body: string; headers: IncomingMessage["headers"] };

/** Asks for a WebSocket. @throws {Error} if the connection fails, or the handshake violates RFC 6455 */
export function openWebSocket(
  url: string,
  protocols: string[] = [],
  options: ClientOptions = {},
): Promise<Opened> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, protocols, options);
    socket.once("open", () => resolve({ socket }));
    socket.once("error", reject);
    socket.once("unexpected-response", (request, response) => {
      let body = "";
      response.setEncoding("latin1").on("data", (text: string) => {
        body += text;
      });
      response.on("end", () => {
        resolve({ status: response.statusCode ?? 0, body, headers: response.headers });
        request.destroy();
      });
    });
  });
}

/** Sends a text over an open socket, and waits for the answer. */
export function said(socket: WebSocket, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    socket.once("message", (data: RawData) => resolve(String(data)));
    socket.once("close", () => reject(new Error("the socket was closed")));
    socket.send(text);
  });
}
