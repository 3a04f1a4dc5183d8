/** What remembering costs where it is of no use: tokens that come once, in the TypeScript host, with the cache and without. */
import { readFileSync } from "node:fs";
import type { Host } from "../../tools/host/host.ts";
import { createNodeHost } from "../../tools/host/node.ts";
import { compilePolicy, targets } from "../policies.ts";
import { type Algorithm, Signer } from "../tokens.ts";
import type { StageOptions } from "./stage.ts";

export interface HostOptions extends StageOptions {
  algorithms: readonly Algorithm[];
  tokenBytes: number;
  /** How many pairs are measured. */
  pairs: number;
}

export interface HostResult {
  algorithm: Algorithm;
  /** Microseconds a request, a number a pair. */
  cacheOn: number[];
  cacheOff: number[];
}

export async function measureHost(options: HostOptions): Promise<HostResult[]> {
  const module = await WebAssembly.compile(readFileSync(options.module));
  const results: HostResult[] = [];
  for (const algorithm of options.algorithms) {
    const { requests, pairs, tokenBytes, progress } = options;
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
    const measure = (host: Host, tokens: readonly string[]): number => {
      const start = process.cpuUsage();
      for (const token of tokens) {
        const headers: [string, string][] = [["authorization", `Bearer ${token}`]];
        const { outcome } = host.send({ path: target.path, authority: target.host, headers });
        if (outcome?.upstream === undefined) throw new Error(`refused: ${outcome?.answer?.body}`);
      }
      const { user, system } = process.cpuUsage(start);
      return (user + system) / tokens.length;
    };
    // The first two pairs warm up.
    for (let pair = -2; pair < pairs; pair++) {
      progress(`host, ${algorithm}: pair ${Math.max(pair + 1, 0)} of ${pairs}`, true);
      const tokens = Array.from({ length: requests }, () => signer.token(tokenBytes));
      const order = pair % 2 === 0 ? [on, off] : [off, on];
      for (const host of order) {
        const cost = measure(host, tokens);
        if (pair >= 0) (host === on ? result.cacheOn : result.cacheOff).push(cost);
      }
    }
    results.push(result);
  }
  return results;
}
