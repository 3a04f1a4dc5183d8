/**
 * `npm run bench:post-quantum`: what it costs to verify a token by ML-DSA, side by side with JavaScript's best and, if it
 * knows ML-DSA, with Node's own.
 *
 * The module's figures are those of a request in the TypeScript host with a token that comes for the first time, less those of a
 * request with a token that is known: what the verification adds. `first use` is that of a key's first token, `again` that
 * of any later one, for which the key has a table.
 */
import { createPublicKey, type JsonWebKey, type KeyObject, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { ml_dsa44, ml_dsa65, ml_dsa87 } from "@noble/post-quantum/ml-dsa.js";
import { Command } from "commander";
import type { Host } from "../tools/host/host.ts";
import { createNodeHost } from "../tools/host/node.ts";
import { PrivateKey } from "../tools/token/private-key.ts";
import { Signer } from "../tools/token/signer.ts";
import { compilePolicy, targets } from "./policies.ts";
import { interleave } from "./rounds.ts";
import { difference, estimate } from "./statistics.ts";
import { ISSUER } from "./tokens.ts";

/** Keys of a set, and so first uses in a round. */
const KEYS = 20;
/** Valid until 2100. */
const EXPIRES = 4_102_444_800;

const ALGORITHMS = [
  ["ML-DSA-44", ml_dsa44],
  ["ML-DSA-65", ml_dsa65],
  ["ML-DSA-87", ml_dsa87],
] as const;

const { rounds } = new Command("npm run bench:post-quantum --")
  .description("measure what a verification by ML-DSA adds to a request")
  .option("--rounds <number>", "how often each is measured", Number, 20)
  .parse()
  .opts<{ rounds: number }>();
const module = await WebAssembly.compile(readFileSync("build/jwtgate.wasm"));
const [target] = targets("exact", 1);
if (target === undefined) throw new Error("a policy of one rule has one target");

for (const [alg, noble] of ALGORITHMS) {
  const keys = await Promise.all(Array.from({ length: KEYS }, () => PrivateKey.generate(alg)));
  const signers = await Promise.all(
    keys.map((key, i) => Signer.read(JSON.stringify(key.signing), { kid: `${i}` })),
  );
  const jwks: Record<string, unknown>[] = keys.map((key, i) => ({ ...key.verifying, kid: `${i}` }));
  const configuration = compilePolicy(JSON.stringify({ keys: jwks }), "exact", 1);
  const token = async (signer: Signer | undefined, n: number) =>
    (await signer?.sign({ iss: ISSUER, sub: "testing@secure.istio.io", exp: EXPIRES, n })) ?? "";
  // A token for each key's first use, and as many of one key for each round.
  const firsts = await Promise.all(signers.map((signer) => token(signer, 0)));
  const again = await Promise.all(
    Array.from({ length: (rounds + 1) * KEYS }, (_, i) => token(signers[0], i + 1)),
  );
  const open = async (): Promise<Host> => {
    const host = await createNodeHost(module, { logLevel: "warn" });
    if (!host.configure(configuration).accepted) throw new Error("the configuration was refused");
    return host;
  };
  const ask = (host: Host, tokens: readonly string[]): number => {
    const start = process.hrtime.bigint();
    for (const one of tokens) {
      const headers: [string, string][] = [["authorization", `Bearer ${one}`]];
      const { outcome } = host.send({ path: target.path, authority: target.host, headers });
      if (outcome?.upstream === undefined) throw new Error(`refused: ${outcome?.answer?.body}`);
    }
    return Number(process.hrtime.bigint() - start) / 1000 / tokens.length;
  };
  const host = await open();
  ask(host, again.slice(rounds * KEYS));
  const [header, payload, signature = ""] = (firsts[0] ?? "").split(".");
  const text = Buffer.from(`${header}.${payload}`);
  const bytes = Buffer.from(signature, "base64url");
  const pub = Buffer.from(String(jwks[0]?.["pub"]), "base64url");
  const nodeKey = keyOfNode(jwks[0]);
  const timed = (good: () => boolean | undefined): number => {
    const start = process.hrtime.bigint();
    if (!good()) throw new Error("a good signature was refused");
    return Number(process.hrtime.bigint() - start) / 1000;
  };
  const results = await interleave(
    [
      { name: "first use", measure: async () => ask(await open(), firsts) },
      { name: "again", measure: async (round) => ask(host, again.slice(round * KEYS, (round + 1) * KEYS)) },
      { name: "known", measure: async () => ask(host, Array(KEYS).fill(again.at(-1) ?? "")) },
      { name: "noble", measure: async () => timed(() => noble.verify(bytes, text, pub)) },
      ...(nodeKey === undefined
        ? []
        : [{ name: "node", measure: async () => timed(() => verify(null, text, nodeKey, bytes)) }]),
    ],
    rounds,
    () => undefined,
  );
  const known = results.get("known") ?? [];
  for (const [name, numbers] of results) {
    const added = ["first use", "again"].includes(name) ? difference(numbers, known) : numbers;
    const { median, low, high } = estimate(added);
    console.log(`${alg}  ${name.padEnd(10)} ${median.toFixed(1)} µs [${low.toFixed(1)}, ${high.toFixed(1)}]`);
  }
}

/** undefined if this Node does not know ML-DSA. */
function keyOfNode(jwk: object | undefined): KeyObject | undefined {
  try {
    return createPublicKey({ format: "jwk", key: jwk as JsonWebKey });
  } catch {
    return undefined;
  }
}
