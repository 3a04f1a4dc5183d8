/** A key server that tests can make slow, broken or lying. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import type { Credentials } from "./pki.ts";

export type Behaviour = (request: IncomingMessage, response: ServerResponse) => void;

/** A key that signs tokens, and its public part. */
export interface SigningKey {
  kid: string;
  publicJwk: JWK;
  /** A token of this key; claims are added to `iss`, `sub` and an `exp` in an hour. */
  sign(issuer: string, claims?: Record<string, unknown>): Promise<string>;
}

export async function signingKey(kid: string, alg = "ES256"): Promise<SigningKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return {
    kid,
    publicJwk: { ...(await exportJWK(publicKey)), kid, alg },
    sign: (issuer, claims = {}) =>
      new SignJWT({ sub: "someone", ...claims })
        .setProtectedHeader({ alg, kid })
        .setIssuer(issuer)
        .setExpirationTime("1h")
        .sign(privateKey),
  };
}

/** Answers with these keys. */
export function keys(list: JWK[], headers: Record<string, string> = {}): Behaviour {
  return (_, response) => {
    response.writeHead(200, { "content-type": "application/json", ...headers });
    response.end(JSON.stringify({ keys: list }));
  };
}

/** Answers with this status and body. */
export function answer(
  status: number,
  body: string | Buffer,
  headers: Record<string, string> = {},
): Behaviour {
  return (_, response) => {
    response.writeHead(status, headers);
    response.end(body);
  };
}

export class JwksServer {
  /** The requests so far, by path. */
  readonly requests: string[] = [];
  private waiters: (() => void)[] = [];

  private constructor(
    private readonly server: Server,
    readonly origin: string,
    public behaviour: Behaviour,
  ) {
    server.on("request", (request: IncomingMessage, response: ServerResponse) => {
      this.requests.push(request.url ?? "");
      for (const wake of this.waiters.splice(0)) wake();
      response.on("error", () => {});
      this.behaviour(request, response);
    });
  }

  static async start(behaviour: Behaviour, tls?: Credentials, host = "127.0.0.1"): Promise<JwksServer> {
    const server = tls ? createSecureServer({ cert: tls.certificate, key: tls.key }) : createServer();
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, host, resolve);
    });
    const { port } = server.address() as AddressInfo;
    return new JwksServer(server, `${tls ? "https" : "http"}://${host}:${port}`, behaviour);
  }

  get count(): number {
    return this.requests.length;
  }

  /** Waits until there were `count` requests in all. */
  async reached(count: number): Promise<void> {
    while (this.count < count) await new Promise<void>((resolve) => this.waiters.push(resolve));
  }

  close(): Promise<void> {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(() => resolve()));
  }
}
