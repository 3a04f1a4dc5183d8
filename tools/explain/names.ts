/** Names of locations of tokens, and of rules. */
import type { Location } from "./trace.ts";

/** A location in words. */
export function formatLocation({ kind, name, prefix }: Location): string {
  if (kind === "header")
    return `the header ${name}${prefix === "" ? "" : ` after ${JSON.stringify(prefix)}`}`;
  return `the ${kind === "cookie" ? "cookie" : "query parameter"} ${name}`;
}

/** `ns[foo]-policy[bar]-rule[0]` → `foo/bar, rule 0`. */
export function nameOfRule(id: string): string {
  const [, namespace, policy, index] = /^ns\[(.*)\]-policy\[(.*)\]-rule\[(\d+)\]$/.exec(id) ?? [];
  return policy === undefined ? id : `${namespace}/${policy}, rule ${index}`;
}
