/** A real OpenID provider, found by its issuer, whose keys rotate while requests flow. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Configuration } from "../../tools/config/schema.ts";
import { Envoy } from "../../tools/envoy/process.ts";
import { renderBootstrap } from "../../tools/render/bootstrap.ts";
import { compile } from "../../tools/targets/compile.ts";
import { envoyBinary, MODULE } from "../support/envoy.ts";
import { Http1Client, type Http1Response } from "../support/http1.ts";
import { addressPool } from "../support/loopback.ts";
import { OpenIdProvider } from "../support/oidc.ts";
import { startUpstream, type Upstream } from "../support/upstream.ts";

const ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"];
const PORT = 28080;
const REFRESH_MS = 200;
const addresses = addressPool();

let folder: string;
let upstream: Upstream;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "jwtgate-oidc-"));
  upstream = await startUpstream();
});

afterAll(async () => {
  await upstream?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A gate that requires a token of this issuer and knows no more of it. */
function policies(issuer: string): string {
  return `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: jwt, namespace: istio-system}
spec:
  jwtRules:
  - issuer: ${issuer}
    audiences: ['urn:jwtgate:tests']
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: require-a-token, namespace: istio-system}
spec:
  rules:
  - from: [{source: {requestPrincipals: ['${issuer}/*']}}]
    when: [{key: 'request.auth.claims[scope]', values: [read]}]
`;
}

function configurationFor(issuer: string): Configuration {
  const { configuration, diagnostics } = compile([{ name: "oidc.yaml", text: policies(issuer) }], {
    target: "envoy",
  });
  expect(diagnostics).toEqual([]);
  for (const { remoteJwks } of configuration?.providers ?? []) {
    if (remoteJwks) {
      Object.assign(remoteJwks, {
        refreshMs: REFRESH_MS,
        minRefreshMs: REFRESH_MS,
        maxRefreshMs: REFRESH_MS,
      });
      Object.assign(remoteJwks, { kidMissMs: 50, backoffMs: 50, maxBackoffMs: 100 });
    }
  }
  return configuration as Configuration;
}

async function withGate(
  provider: OpenIdProvider,
  use: (get: (token?: string) => Promise<Http1Response>) => Promise<void>,
): Promise<void> {
  const jwksCa = join(folder, `${new URL(provider.issuer).port}.pem`);
  writeFileSync(jwksCa, provider.authority);
  const listen = { host: addresses.next().value, port: PORT };
  const envoy = await Envoy.start({
    binary: await envoyBinary(),
    concurrency: 2,
    bootstrap: renderBootstrap(configurationFor(provider.issuer), {
      listen,
      upstream: { host: "127.0.0.1", port: upstream.port },
      mode: "gateway",
      pathNormalization: "BASE",
      module: MODULE,
      jwksCa,
    }),
  });
  const get = async (token?: string) => {
    const client = new Http1Client(listen);
    try {
      return await client.request({ headers: token ? [["authorization", `Bearer ${token}`]] : [] });
    } finally {
      client.close();
    }
  };
  try {
    await use(get);
  } finally {
    await envoy.stop();
  }
}

describe.each(ALGORITHMS)("a provider that signs with %s", (alg) => {
  test("is discovered by its issuer, and its tokens open the gate", async () => {
    const provider = await OpenIdProvider.start(alg);
    try {
      await withGate(provider, async (get) => {
        expect((await get()).body).toBe("RBAC: access denied");
        const token = await provider.token();
        expect((await get(token)).status).toBe(200);
        const [header, payload] = token.split(".");
        expect((await get(`${header}.${payload}.${"A".repeat(86)}`)).status).toBe(401);
        expect(provider.requests).toContain("/.well-known/openid-configuration");
      });
    } finally {
      await provider.close();
    }
  });
});

test("ten rotations under load: no valid request is refused, and no removed key is accepted after its refresh", async () => {
  const provider = await OpenIdProvider.start("ES256");
  try {
    await withGate(provider, async (get) => {
      let rotating = true;
      let token = await provider.token();
      const refused: string[] = [];
      let sent = 0;
      const load = (async () => {
        while (rotating) {
          const response = await get(token);
          sent++;
          if (response.status !== 200) refused.push(response.body);
        }
      })();
      for (let rotation = 0; rotation < 10; rotation++) {
        const old = token;
        // Used as soon as it is published: the gate has to ask for it.
        await provider.addKey(ALGORITHMS[rotation % ALGORITHMS.length] ?? "ES256");
        token = await provider.token();
        const seen = sent;
        while (sent < seen + 20) await new Promise((resolve) => setImmediate(resolve));
        provider.retire();
        const end = Date.now() + 10_000;
        let response = await get(old);
        while (response.status === 200 && Date.now() < end) response = await get(old);
        expect(response.status).toBe(401);
      }
      rotating = false;
      await load;
      expect(refused).toEqual([]);
      expect(sent).toBeGreaterThan(200);
    });
  } finally {
    await provider.close();
  }
});
