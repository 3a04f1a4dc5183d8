/** The cost of a request with a token: for each algorithm, and each way in which clients repeat tokens. */
import type { ContenderName } from "../contenders.ts";
import { type Condition, conditionsOf } from "../neighbour.ts";
import { compilePolicy, requestBytes, targets } from "../policies.ts";
import { type Algorithm, Signer } from "../tokens.ts";
import { measureContenders, type StageOptions, withContenders } from "./stage.ts";

export const MODES = ["unique", "cold", "hot"] as const;
/** unique: each token once; cold: 5,000 tokens in rotation; hot: one token. */
export type Mode = (typeof MODES)[number];

/** Tokens of the mode `cold`. */
const ROTATION = 5_000;

export interface TokensOptions extends StageOptions {
  algorithms: readonly Algorithm[];
  modes: readonly Mode[];
  contenders: readonly ContenderName[];
  /** The least length of a token, in bytes. */
  tokenBytes: number;
  /** How many starts of Envoy the rounds are spread over, because two equal processes still differ slightly. */
  starts: number;
}

export interface TokensResult {
  algorithm: Algorithm;
  mode: Mode;
  condition: Condition;
  tokenBytes: number;
  /** Microseconds per request, by contender, one number per round. */
  cpu: Map<ContenderName, number[]>;
}

export async function measureTokens(options: TokensOptions): Promise<TokensResult[]> {
  const results: TokensResult[] = [];
  for (const algorithm of options.algorithms) results.push(...(await measureAlgorithm(algorithm, options)));
  return results;
}

async function measureAlgorithm(algorithm: Algorithm, options: TokensOptions): Promise<TokensResult[]> {
  const { modes, rounds, starts, requests, contenders: names, tokenBytes, progress } = options;
  const signer = new Signer(algorithm);
  const configuration = compilePolicy(signer.jwks, "exact", 1);
  const [target] = targets("exact", 1);
  if (target === undefined) throw new Error("a policy of one rule has one target");
  const request = (): Buffer => requestBytes(target, signer.token(tokenBytes));

  progress(`${algorithm}: signing tokens …`, true);
  const rotation = Array.from({ length: ROTATION }, request);
  const hot = Array.from({ length: requests }, () => rotation[0] ?? Buffer.alloc(0));
  const unique = modes.includes("unique") ? Array.from({ length: rounds * requests }, request) : [];
  const length = (rotation[0]?.length ?? 0) - requestBytes(target, "").length;
  const take: Record<Mode, (round: number) => Buffer[]> = {
    unique: (round) => unique.slice(round * requests, (round + 1) * requests),
    cold: (round) => around(rotation, round * requests, requests),
    hot: () => hot,
  };

  const proof = { target, token: signer.token(tokenBytes) };
  const conditions = conditionsOf(options.neighbour);
  const results = modes.flatMap((mode) =>
    conditions.map(
      (condition): TokensResult => ({ algorithm, mode, condition, tokenBytes: length, cpu: new Map() }),
    ),
  );
  for (let start = 0; start < starts; start++) {
    const first = Math.floor((start * rounds) / starts);
    const last = Math.floor(((start + 1) * rounds) / starts);
    await withContenders(names, configuration, proof, options, async (contenders) => {
      for (const contender of contenders) {
        progress(`${algorithm}: warming up ${contender.name} …`, true);
        await contender.measure(rotation);
        for (let i = 0; i < 3_000; i += requests) await contender.measure(hot);
      }
      for (const mode of modes) {
        const measured = await measureContenders(
          contenders,
          (round) => take[mode](first + round),
          last - first,
          options.neighbour,
          (round) => progress(`${algorithm}, ${mode}: round ${first + round} of ${rounds}`, true),
        );
        for (const { cpu, ...result } of results.filter((one) => one.mode === mode)) {
          for (const [name, numbers] of measured.get(result.condition) ?? []) {
            cpu.set(name, [...(cpu.get(name) ?? []), ...numbers]);
          }
        }
      }
    });
  }
  return results;
}

/** `count` elements from `start` on, continuing at the beginning after the end. */
function around<T>(list: readonly T[], start: number, count: number): T[] {
  return Array.from({ length: count }, (_, i) => list[(start + i) % list.length] as T);
}
