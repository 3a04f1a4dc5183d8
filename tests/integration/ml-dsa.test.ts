/** Tokens signed by ML-DSA (RFC 9964), through Envoy: the largest that providers send. */

import { afterAll, beforeAll, expect, test } from "vitest";
import type { Envoy } from "../../tools/envoy/process.ts";
import { normalizeJwks } from "../../tools/jwks/normalize.ts";
import { cluster, listener } from "../../tools/render/bootstrap.ts";
import { PrivateKey } from "../../tools/token/private-key.ts";
import { Signer } from "../../tools/token/signer.ts";
import { whole } from "../support/configuration.ts";
import { MODULE, startEnvoy } from "../support/envoy.ts";
import { http1 } from "../support/http1.ts";
import { bearer } from "../support/tokens.ts";
import { startUpstream, type Upstream } from "../support/upstream.ts";

const ISSUER = "https://issuer.example";
const ALGORITHMS = ["ML-DSA-44", "ML-DSA-65", "ML-DSA-87"];

let upstream: Upstream;
let envoy: Envoy;
const signers = new Map<string, Signer>();

beforeAll(async () => {
  upstream = await startUpstream();
  const keys: object[] = [];
  for (const alg of ALGORITHMS) {
    const key = await PrivateKey.generate(alg);
    signers.set(alg, await Signer.read(JSON.stringify(key.signing), { kid: alg }));
    keys.push({ ...key.verifying, kid: alg, use: "jwt-svid" });
  }
  const configuration = whole({
    providers: [
      {
        name: "origins-0",
        issuer: ISSUER,
        localJwks: { keys: normalizeJwks(JSON.stringify({ keys })).keys },
        fromHeaders: [{ name: "authorization", valuePrefix: "Bearer " }],
      },
    ],
  });
  const address = { host: "127.0.0.1", port: 0 };
  const gate = {
    name: "gate",
    address,
    module: MODULE,
    configuration,
    cluster: "upstream",
    accessLog: false,
  };
  const upstreamAddress = { host: "127.0.0.1", port: upstream.port };
  envoy = await startEnvoy({
    listeners: [listener(gate)],
    clusters: [cluster({ name: "upstream", address: upstreamAddress })],
  });
});
afterAll(async () => {
  await envoy?.stop();
  await upstream?.close();
});

test.each(ALGORITHMS)("%s", async (alg) => {
  const target = { host: "127.0.0.1", port: await envoy.portOf("gate") };
  const answer = async (token: string) => {
    const { status, body } = await http1(target, { headers: [bearer(token)] });
    return status === 401 ? body : status;
  };
  const signer = signers.get(alg);
  // As many claims as a provider may add, so that the token is large.
  const token = await signer?.sign({ iss: ISSUER, sub: "alice", groups: Array(100).fill("a group") });
  const [header = "", payload = "", signature = ""] = token?.split(".") ?? [];
  // The first computes without a table of the key, the second makes one, and the third is known.
  for (let i = 0; i < 2; i++)
    expect(await answer((await signer?.sign({ iss: ISSUER, sub: `${i}` })) ?? "")).toBe(200);
  for (let i = 0; i < 2; i++) expect(await answer(`${header}.${payload}.${signature}`)).toBe(200);
  const [, forged] = (await signer?.sign({ iss: ISSUER, sub: "root" }))?.split(".") ?? [];
  expect(await answer(`${header}.${forged}.${signature}`)).toBe("Jwt verification fails");
  expect(await answer(`${header}.${payload}.${signature.slice(4)}`)).toBe("Jwt verification fails");
  const others = ALGORITHMS.filter((other) => other !== alg);
  for (const other of others) {
    const text = Buffer.from(JSON.stringify({ alg: other, kid: alg })).toString("base64url");
    expect(await answer(`${text}.${payload}.${signature}`)).toBe(
      "Jwks doesn't have key to match kid or alg from Jwt",
    );
  }
});
