/** The results of a run: what was measured, on which machine, and derived figures. */
import { type ContenderName, TITLES } from "../contenders.ts";
import type { Condition } from "../neighbour.ts";
import type { Shape } from "../policies.ts";
import type { HostResult } from "../stages/host.ts";
import type { MemoryResult } from "../stages/memory.ts";
import type { RulesResult } from "../stages/rules.ts";
import type { StepsResult } from "../stages/steps.ts";
import type { TokensResult } from "../stages/tokens.ts";
import type { UpdateResult } from "../stages/update.ts";
import { difference, type Estimate, estimate, ratio } from "../statistics.ts";

/** The machine of a run. */
export interface Machine {
  cpu: string;
  cores: number;
  kernel: string;
  node: string;
  envoy: string;
}

/** The raw measurements. */
export interface Measured {
  tokens: TokensResult[];
  steps: StepsResult;
  rules: RulesResult[];
  memory: MemoryResult;
  update: UpdateResult[];
  host: HostResult[];
}

/** CPU time of Envoy with a contender, in microseconds per request. */
export interface Cost {
  contender: ContenderName;
  title: string;
  /** Envoy's total. */
  total: Estimate;
  /** What it adds to Envoy without a filter, pair by pair. */
  added?: Estimate;
  /** The added cost relative to that of the native filters, without and with their cache. */
  toNative?: Estimate;
  toNativeCache?: Estimate;
}

export interface Report {
  machine: Machine;
  date: string;
  rounds: number;
  requests: number;
  tokens: {
    algorithm: string;
    mode: string;
    condition: Condition;
    tokenBytes: number;
    costs: Cost[];
    /** The added cost with jwtgate's cache relative to that without it. */
    cacheOnToOff?: Estimate;
  }[];
  /** One token repeated: filters that do more and more, and jwtgate. */
  steps: { condition: Condition; costs: Cost[] }[];
  rules: {
    shape: Shape;
    series: {
      contender: ContenderName;
      title: string;
      points: { rules: number; added: Estimate; toFewest: Estimate }[];
    }[];
  }[];
  /** Bytes: medians of several runs. */
  memory: { contender: ContenderName; title: string; resident: number; anonymous: number }[];
  update: {
    shape: Shape;
    rules: number;
    contender: ContenderName;
    title: string;
    milliseconds: Estimate;
    toNative?: Estimate;
  }[];
  host: { algorithm: string; cacheOn: Estimate; cacheOff: Estimate; onToOff: Estimate }[];
}

export function report(
  measured: Measured,
  about: Pick<Report, "machine" | "date" | "rounds" | "requests">,
): Report {
  return {
    ...about,
    tokens: measured.tokens.map(tokensReport),
    steps: [...measured.steps].map(([condition, cpu]) => ({ condition, costs: costsOf(cpu) })),
    rules: measured.rules.map(rulesReport),
    memory: [...measured.memory].map(([contender, runs]) => ({
      contender,
      title: TITLES[contender],
      resident: estimate(runs.map(({ resident }) => resident)).median,
      anonymous: estimate(runs.map(({ anonymous }) => anonymous)).median,
    })),
    update: measured.update.flatMap(({ shape, rules, milliseconds }) =>
      [...milliseconds].map(([contender, runs]) => {
        const native = contender === "native" ? undefined : milliseconds.get("native");
        return {
          shape,
          rules,
          contender,
          title: TITLES[contender],
          milliseconds: estimate(runs),
          ...(native && { toNative: ratio(runs, native) }),
        };
      }),
    ),
    host: measured.host.map(({ algorithm, cacheOn, cacheOff }) => ({
      algorithm,
      cacheOn: estimate(cacheOn),
      cacheOff: estimate(cacheOff),
      onToOff: ratio(cacheOn, cacheOff),
    })),
  };
}

function tokensReport({
  algorithm,
  mode,
  condition,
  tokenBytes,
  cpu,
}: TokensResult): Report["tokens"][number] {
  const on = addedBy("jwtgate", cpu);
  const off = addedBy("jwtgate-no-cache", cpu);
  const costs = costsOf(cpu);
  return {
    algorithm,
    mode,
    condition,
    tokenBytes,
    costs,
    ...(on && off && { cacheOnToOff: ratio(on, off) }),
  };
}

/** What a contender adds to Envoy without a filter, one number per round. */
function addedBy(
  name: ContenderName,
  cpu: ReadonlyMap<ContenderName, readonly number[]>,
): number[] | undefined {
  const none = cpu.get("none");
  const total = cpu.get(name);
  return none && total && name !== "none" ? difference(total, none) : undefined;
}

function costsOf(cpu: ReadonlyMap<ContenderName, readonly number[]>): Cost[] {
  return [...cpu].map(([contender, total]): Cost => {
    const added = addedBy(contender, cpu);
    const to = (base: ContenderName): Estimate | undefined => {
      const baseline = base === contender ? undefined : addedBy(base, cpu);
      return added && baseline && ratio(added, baseline);
    };
    const toNative = to("native");
    const toNativeCache = to("native-cache");
    return {
      contender,
      title: TITLES[contender],
      total: estimate(total),
      ...(added && { added: estimate(added) }),
      ...(toNative && { toNative }),
      ...(toNativeCache && { toNativeCache }),
    };
  });
}

function rulesReport({ shape, none, series }: RulesResult): Report["rules"][number] {
  const contenders = [...new Set(series.map(({ contender }) => contender))];
  return {
    shape,
    series: contenders.map((contender) => {
      const own = series.filter((entry) => entry.contender === contender);
      const added = own.map(({ rules, cpu }) => ({ rules, added: difference(cpu, none) }));
      const fewest = added[0]?.added ?? [];
      return {
        contender,
        title: TITLES[contender],
        points: added.map((point) => ({
          rules: point.rules,
          added: estimate(point.added),
          toFewest: ratio(point.added, fewest),
        })),
      };
    }),
  };
}
