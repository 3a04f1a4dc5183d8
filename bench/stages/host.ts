/** The cost of remembering tokens that come only once, in the TypeScript host, with and without the cache. */
import { readFileSync } from "node:fs";
import type { Host } from "../../tools/host/host.ts";
import { createNodeHost } from "../../tools/host/node.ts";
import { CACHE_ENTRIES } from "../contenders.ts";
import { compilePolicy, targets } from "../policies.ts";
import { type Algorithm, Signer } from "../tokens.ts";
import type { StageOptions } from "./stage.ts";

/**
 * Tokens for warming up, which are not measured: they fill the cache, whose pages cost the kernel time on first use.
 */
const WARM_UP_TOKENS = CACHE_ENTRIES + 1_000;

export interface HostOptions extends StageOptions {
  algorithms: readonly Algorithm[];
  tokenBytes: number;
  /** How many pairs are measured. */
  pairs: number;
}

export interface HostResult {
  algorithm: Algorithm;
  /** Microseconds per request in wall-clock time, one number per pair. */
  cacheOn: number[];
  cacheOff: number[];
}

export async function measureHost(options: HostOptions): Promise<HostResult[]> {
  const module = await WebAssembly.compile(readFileSync(options.module));
  const results: HostResult[] = [];
  for (const algorithm of options.algorithms) {
    const { requests, pairs, tokenBytes, progress } = options;
    const warmUp = Math.ceil(WARM_UP_TOKENS / requests);
    const signer = new Signer(algorithm);
    const configuration = compilePolicy(signer.jwks, "exact", 1);
    const [target] = targets("exact", 1);
    if (target === undefined) throw new Error("a policy of one rule has one target");
    const on = await createNodeHost(module, { logLevel: "warn" });
    const off = await createNodeHost(module, { logLevel: "warn" });
    if (!on.configure(configuration).accepted) throw new Error("the configuration was refused");
    if (!off.configure({ ...configuration, tokenCache: { maxEntries: 0 } }).accepted)
      throw new Error("the configuration was refused");
    const result: HostResult = { algorithm, cacheOn: [], cacheOff: [] };
    const ask = (host: Host, token: string): void => {
      const headers: [string, string][] = [["authorization", `Bearer ${token}`]];
      const { outcome } = host.send({ path: target.path, authority: target.host, headers });
      if (outcome?.upstream === undefined) throw new Error(`refused: ${outcome?.answer?.body}`);
    };
    // All tokens are made before, so that collecting the garbage of signing is not measured.
    progress(`host, ${algorithm}: signing tokens …`, true);
    const tokens = Array.from({ length: (pairs + warmUp) * requests }, () => signer.token(tokenBytes));
    for (let pair = -warmUp; pair < pairs; pair++) {
      progress(`host, ${algorithm}: pair ${Math.max(pair + 1, 0)} of ${pairs}`, true);
      // Alternates for each token, in both orders.
      const nanoseconds = { on: 0n, off: 0n };
      for (let i = 0; i < requests; i++) {
        const token = tokens[(pair + warmUp) * requests + i] ?? "";
        for (const which of i % 2 === 0 ? (["on", "off"] as const) : (["off", "on"] as const)) {
          const start = process.hrtime.bigint();
          ask(which === "on" ? on : off, token);
          nanoseconds[which] += process.hrtime.bigint() - start;
        }
      }
      if (pair < 0) continue;
      result.cacheOn.push(Number(nanoseconds.on) / 1_000 / requests);
      result.cacheOff.push(Number(nanoseconds.off) / 1_000 / requests);
    }
    results.push(result);
  }
  return results;
}
