/** How the cost grows with the number of rules: one token, and requests that are spread over the rules. */
import { Contender, type ContenderName } from "../contenders.ts";
import { compilePolicy, requestBytes, type Shape, targets } from "../policies.ts";
import { interleave } from "../rounds.ts";
import { Signer } from "../tokens.ts";
import type { StageOptions } from "./stage.ts";

export interface RulesOptions extends StageOptions {
  shapes: readonly Shape[];
  /** Numbers of rules. */
  rules: readonly number[];
  contenders: readonly ContenderName[];
  tokenBytes: number;
}

export interface RulesResult {
  shape: Shape;
  /** Microseconds per request without any filter, one number per round. */
  none: number[];
  series: { contender: ContenderName; rules: number; cpu: number[] }[];
}

/** With so large a policy that requests take long, fewer of them make a measurement. */
const MEASUREMENT_MICROSECONDS = 100_000;

export async function measureRules(options: RulesOptions): Promise<RulesResult[]> {
  const results: RulesResult[] = [];
  for (const shape of options.shapes) results.push(await measureShape(shape, options));
  return results;
}

/** All numbers of rules side by side: one Envoy for each contender and number. */
async function measureShape(shape: Shape, options: RulesOptions): Promise<RulesResult> {
  const { rounds, rules: numbers, contenders: names, progress } = options;
  const signer = new Signer("HS256");
  const token = signer.token(options.tokenBytes);
  const running: Contender[] = [];
  try {
    const series: {
      name: string;
      contender: ContenderName;
      rules: number;
      measure: () => Promise<number>;
    }[] = [];
    for (const rules of numbers) {
      const configuration = compilePolicy(signer.jwks, shape, rules);
      const requested = targets(shape, rules);
      for (const name of names) {
        // Without a filter there are no rules.
        if (name === "none" && rules !== numbers[0]) continue;
        progress(`${shape}, ${rules} rules: starting ${name} …`, true);
        const contender = await Contender.start(name, configuration, options);
        running.push(contender);
        const [first] = requested;
        if (first === undefined) throw new Error("no rules, no requests");
        await contender.prove(first, token);
        const requests = requested.map((target) => requestBytes(target, token));
        const repeated = Array.from(
          { length: options.requests },
          (_, i) => requests[i % requests.length] as Buffer,
        );
        // Warms up, for long enough to estimate the size of a measurement.
        let cost = Number.POSITIVE_INFINITY;
        for (let i = 0; i < 8; i++) cost = Math.min(cost, await contender.measure(repeated));
        const count = Math.max(requests.length, Math.floor(MEASUREMENT_MICROSECONDS / cost));
        const measured = repeated.slice(0, count - (count % requests.length));
        series.push({
          name: `${name} ${rules}`,
          contender: name,
          rules,
          measure: () => contender.measure(measured),
        });
      }
    }
    const samples = await interleave(series, rounds, (round) =>
      progress(`${shape}: round ${round} of ${rounds}`, true),
    );
    const all = series.map(({ name, contender, rules }) => ({
      contender,
      rules,
      cpu: samples.get(name) ?? [],
    }));
    const none = all.find(({ contender }) => contender === "none");
    return {
      shape,
      none: none?.cpu ?? [],
      series: all
        .filter((entry) => entry !== none)
        .sort((a, b) => names.indexOf(a.contender) - names.indexOf(b.contender)),
    };
  } finally {
    await Promise.all(running.map((contender) => contender.stop()));
  }
}
