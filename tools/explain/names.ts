/** How places of tokens and rules are called. */
import type { Location } from "./trace.ts";

/** A place as people say it. */
export function formatLocation({ kind, name, prefix }: Location): string {
  if (kind === "header")
    return `the header ${name}${prefix === "" ? "" : ` behind ${JSON.stringify(prefix)}`}`;
  return `the ${kind === "cookie" ? "cookie" : "query parameter"} ${name}`;
}

/** `ns[foo]-policy[bar]-rule[0]` → `foo/bar, rule 0`. */
export function nameOfRule(id: string): string {
  const [, namespace, policy, index] = /^ns\[(.*)\]-policy\[(.*)\]-rule\[(\d+)\]$/.exec(id) ?? [];
  return policy === undefined ? id : `${namespace}/${policy}, rule ${index}`;
}
