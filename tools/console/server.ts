/** Serves the console's page on this machine, with policies from disk and their key sets. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { sha256 } from "@noble/hashes/sha2.js";
import { isAddress } from "../encoding/address.ts";
import { base64Encode, utf8Encode } from "../host/bytes.ts";
import type { KeyDocuments } from "./key-documents.ts";
import { contentSecurityPolicyOf, type Policies, servedPage } from "./page.ts";

export interface ConsoleOptions {
  /** An IP address, and a port; 0 is any free one. */
  listen: { host: string; port: number };
  /** The built console, by the names of its files. */
  files: ReadonlyMap<string, Uint8Array>;
  policies: Policies;
  documents: KeyDocuments;
}

/** A URI is shorter. */
const MAX_BODY_BYTES = 16 * 1024;
/** How much of a too large body is read, so that its sender sees the answer. */
const MAX_DRAINED_BYTES = 1024 * 1024;

const TYPES: Record<string, string> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  wasm: "application/wasm",
  txt: "text/plain; charset=utf-8",
};

/** The answers at a path, by method. */
type Resource = Partial<
  Record<"GET" | "POST", (request: IncomingMessage, response: ServerResponse) => unknown>
>;

/** A request is refused; the message is shown. */
class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly headers: Record<string, string> = {},
  ) {
    super(message);
  }
}

/** Policies as JSON, and their tag (RFC 9110, section 8.8.3). */
interface Tagged {
  body: Uint8Array;
  tag: string;
}

function tagged(policies: Policies): Tagged {
  const body = utf8Encode(JSON.stringify(policies));
  return { body, tag: `"${base64Encode(sha256(body))}"` };
}

/** The console, served. */
export class ConsoleServer {
  private readonly resources = new Map<string, Resource>();
  private readonly headers: Record<string, string>;
  private readonly server: Server;
  private policies: Tagged;

  private constructor({ files, policies, documents }: ConsoleOptions) {
    this.policies = tagged(policies);
    const html = new TextDecoder().decode(files.get("index.html"));
    this.headers = {
      "content-security-policy": `${contentSecurityPolicyOf(html)}; frame-ancestors 'none'`,
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-resource-policy": "same-origin",
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
    };
    for (const [name, bytes] of files) {
      const isPage = name === "index.html";
      const body = isPage ? utf8Encode(servedPage(html)) : bytes;
      const type = TYPES[name.slice(name.lastIndexOf(".") + 1)] ?? "application/octet-stream";
      const resource: Resource = { GET: (_, response) => send(response, 200, type, body, "no-cache") };
      this.resources.set(`/${name}`, resource);
      if (isPage) this.resources.set("/", resource);
    }
    this.resources.set("/api/policies", { GET: (request, response) => this.sendPolicies(request, response) });
    this.resources.set("/api/jwks", {
      POST: async (request, response) => {
        const uri = await readUri(request);
        const fetched = await documents.fetch(uri);
        if (fetched === undefined) throw new Refused(403, "no policy names this URI");
        sendJson(response, 200, fetched);
      },
    });
    this.server = createServer((request, response) => void this.answer(request, response));
    // A client that disconnects, or that does not speak HTTP, does not affect others.
    this.server.on("clientError", (_, socket) => {
      if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n");
      else socket.destroy();
    });
  }

  /** @throws the system's error if the address cannot be listened on; the promise is rejected */
  static async start(options: ConsoleOptions): Promise<ConsoleServer> {
    const { host, port } = options.listen;
    const console = new ConsoleServer(options);
    await new Promise<void>((resolve, reject) => {
      console.server.once("error", reject);
      console.server.listen(port, host, () => resolve());
    });
    return console;
  }

  /** Where it listens. */
  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** Shows other policies; open pages ask for them. */
  publish(policies: Policies): void {
    this.policies = tagged(policies);
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.server.closeAllConnections();
    await closed;
  }

  /** Answers any request. */
  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on("error", () => {});
    for (const [name, value] of Object.entries(this.headers)) response.setHeader(name, value);
    try {
      checkOrigin(request);
      const path = (request.url ?? "").replace(/\?.*/s, "");
      const resource = this.resources.get(path);
      if (resource === undefined) throw new Refused(404, "this path does not exist");
      const method = request.method === "HEAD" ? "GET" : request.method;
      const handle = resource[method as keyof Resource];
      if (handle === undefined) {
        const allow = resource.GET ? "GET, HEAD" : "POST";
        throw new Refused(405, `this path takes ${allow}`, { allow });
      }
      await handle(request, response);
    } catch (error) {
      if (response.headersSent) return void response.destroy();
      const { status, message, headers } =
        error instanceof Refused ? error : new Refused(500, "the console failed on this request");
      for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
      sendJson(response, status, { error: message });
    }
  }

  /** A page that has the latest ones gets no body (RFC 9110, section 13.1.2). */
  private sendPolicies({ headers }: IncomingMessage, response: ServerResponse): void {
    const { body, tag } = this.policies;
    response.setHeader("etag", tag);
    if (headers["if-none-match"] === tag) response.writeHead(304, { "cache-control": "no-store" }).end();
    else send(response, 200, "application/json", body, "no-store");
  }
}

/**
 * A page of another site cannot use this server: neither under a name that it has pointed at this machine (DNS
 * rebinding), because then the Host is a name; nor from its own origin.
 *
 * @throws {Refused}
 */
function checkOrigin({ method, headers }: IncomingMessage): void {
  const { host = "", origin } = headers;
  if (!isOwnHost(host)) {
    throw new Refused(403, "the console is served only under an IP address or localhost");
  }
  const site = headers["sec-fetch-site"];
  const isNavigation = headers["sec-fetch-mode"] === "navigate" && method === "GET";
  if (site !== undefined && site !== "same-origin" && site !== "none" && !isNavigation)
    throw new Refused(403, "only the console's own page may use this");
  if (method !== "GET" && method !== "HEAD" && origin !== `http://${host}`)
    throw new Refused(403, "only the console's own page may use this");
}

/** An IP address or localhost, with any port: it may come through a tunnel. */
function isOwnHost(host: string): boolean {
  const [, bracketed, plain = ""] = /^(?:\[([^\]]*)\]|([^:[\]]+))(?::\d+)?$/.exec(host) ?? [];
  if (bracketed !== undefined) return bracketed.includes(":") && isAddress(bracketed);
  return isAddress(plain) || /^localhost$/i.test(plain);
}

/** The URI of `{"uri": …}`. @throws {Refused} */
async function readUri(request: IncomingMessage): Promise<string> {
  if (!/^application\/json(;|$)/i.test(request.headers["content-type"] ?? ""))
    throw new Refused(415, "send application/json");
  const text = await readBody(request);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Refused below.
  }
  const uri = typeof value === "object" && value !== null ? (value as { uri?: unknown }).uri : undefined;
  if (typeof uri !== "string") throw new Refused(400, 'send {"uri": "https://…"}');
  return uri;
}

/** @throws {Refused} if it is too large, or its sender disconnects */
function readBody(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_DRAINED_BYTES) request.destroy();
      else if (size <= MAX_BODY_BYTES) chunks.push(chunk);
      else reject(new Refused(413, `send at most ${MAX_BODY_BYTES} bytes`, { connection: "close" }));
    });
    request.on("end", () => resolve(Buffer.concat(chunks).toString("utf8")));
    const gone = () => reject(new Refused(400, "the request ended too early"));
    request.on("error", gone).on("close", gone);
  });
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  send(response, status, "application/json", utf8Encode(JSON.stringify(value)), "no-store");
}

function send(
  response: ServerResponse,
  status: number,
  type: string,
  body: Uint8Array,
  caching: "no-cache" | "no-store",
): void {
  response.writeHead(status, {
    "content-type": type,
    "content-length": body.length,
    "cache-control": caching,
  });
  response.end(response.req.method === "HEAD" ? undefined : body);
}
