/** A real OpenID provider (oidc-provider) on the loopback, over TLS, that issues JWTs and rotates its keys. */
import type { RequestListener } from "node:http";
import { createServer, request } from "node:https";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, type JWK } from "jose";
import Provider from "oidc-provider";
import { CertificateAuthority } from "./pki.ts";

const RESOURCE = "urn:jwtgate:tests";
const CLIENT = "tests";
const SECRET = "of-no-worth-at-all";

export class OpenIdProvider {
  private handler: RequestListener = (_, response) => response.writeHead(503).end();
  private keys: JWK[] = [];
  private alg = "";
  private count = 0;
  /** Paths that were asked for. */
  readonly requests: string[] = [];

  private constructor(
    readonly issuer: string,
    /** The authority of its certificate, PEM. */
    readonly authority: string,
    private readonly stop: () => Promise<void>,
  ) {}

  static async start(alg: string): Promise<OpenIdProvider> {
    const authority = new CertificateAuthority();
    const { certificate, key } = authority.issue({});
    let provider: OpenIdProvider | undefined;
    const server = createServer({ cert: certificate, key }, (request, response) => {
      provider?.requests.push(request.url ?? "");
      provider?.handler(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    provider = new OpenIdProvider(`https://127.0.0.1:${port}`, authority.certificate, () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    });
    await provider.addKey(alg);
    return provider;
  }

  /** Publishes a further key, the first in the set, and signs with it from now on. */
  async addKey(alg: string): Promise<void> {
    const { privateKey } = await generateKeyPair(alg, { extractable: true });
    const key = { ...(await exportJWK(privateKey)), kid: `key-${++this.count}`, alg, use: "sig" };
    this.alg = alg;
    this.serve([key, ...this.keys]);
  }

  /** Removes all keys but the newest from the set. */
  retire(): void {
    this.serve(this.keys.slice(0, 1));
  }

  private serve(keys: JWK[]): void {
    this.keys = keys;
    const alg = this.alg;
    const provider = new Provider(this.issuer, {
      clients: [
        {
          client_id: CLIENT,
          client_secret: SECRET,
          grant_types: ["client_credentials"],
          redirect_uris: [],
          response_types: [],
          id_token_signed_response_alg: alg as never,
        },
      ],
      enabledJWA: { idTokenSigningAlgValues: ["RS256", "PS256", "ES256", "EdDSA"] },
      jwks: { keys: keys as never },
      features: {
        devInteractions: { enabled: false },
        clientCredentials: { enabled: true },
        resourceIndicators: {
          enabled: true,
          defaultResource: () => RESOURCE,
          getResourceServerInfo: () => ({
            scope: "read write",
            audience: RESOURCE,
            accessTokenFormat: "jwt",
            accessTokenTTL: 3600,
            jwt: { sign: { alg: alg as never } },
          }),
        },
      },
    });
    provider.proxy = false;
    this.handler = provider.callback();
  }

  /** An access token: a JWT of the newest key. */
  token(): Promise<string> {
    const body = new URLSearchParams({ grant_type: "client_credentials", scope: "read", resource: RESOURCE });
    return new Promise((resolve, reject) => {
      const call = request(
        `${this.issuer}/token`,
        {
          method: "POST",
          ca: this.authority,
          auth: `${CLIENT}:${SECRET}`,
          headers: { "content-type": "application/x-www-form-urlencoded" },
        },
        (response) => {
          let text = "";
          response.setEncoding("utf8").on("data", (chunk: string) => {
            text += chunk;
          });
          response.on("end", () => {
            const { access_token: token } = JSON.parse(text) as { access_token?: string };
            if (token === undefined) reject(new Error(`no token: ${text}`));
            else resolve(token);
          });
        },
      );
      call.on("error", reject);
      call.end(body.toString());
    });
  }

  close(): Promise<void> {
    return this.stop();
  }
}
