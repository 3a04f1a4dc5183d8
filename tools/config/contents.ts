/** The end of a configuration, which says how much there is before it. */
import type { Configuration } from "./schema.ts";

/** Completes a configuration: `contents` goes last, where what is cut off lacks it. */
export function withContents(parts: Omit<Configuration, "contents">): Configuration {
  const { providers = [], authorization: { audit, deny, allow } = {} } = parts;
  const rules = [audit, deny, allow].flatMap((set) => [...(set?.rules ?? []), ...(set?.shadowRules ?? [])]);
  return { ...parts, contents: { providers: providers.length, rules: rules.length } };
}
