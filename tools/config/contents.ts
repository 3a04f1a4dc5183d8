/** The end of a configuration, which counts what comes before it. */
import type { Configuration } from "./schema.ts";

/** Completes a configuration: `contents` is last, so that a truncated configuration lacks it. */
export function withContents(parts: Omit<Configuration, "contents">): Configuration {
  const { providers = [], authorization: { audit, deny, allow } = {} } = parts;
  const rules = [audit, deny, allow].flatMap((set) => [...(set?.rules ?? []), ...(set?.shadowRules ?? [])]);
  return { ...parts, contents: { providers: providers.length, rules: rules.length } };
}
