/** Finds what decided a request, from Envoy's response-code details, and the line of YAML that it came from. */
import type { SourceMap } from "../compile.ts";
import { formatPosition, type Position } from "../diagnostics.ts";

/**
 * What refused a request, as text; empty if nothing did.
 *
 * @param details Envoy's response-code details
 */
export function whoDecided(details: string, { rules, providers }: SourceMap): string {
  // A rule's id, `ns[NAMESPACE]-policy[NAME]-rule[INDEX]`, holds brackets itself. Envoy writes spaces as underscores.
  const rule = /^rbac_access_denied_matched_policy\[(.*)\]$/.exec(details)?.[1];
  if (rule === "none") return "no ALLOW policy allows it";
  if (details === "ext_authz_denied") return "the extension provider of a CUSTOM policy";
  if (details === "ext_authz_error") return "the extension provider of a CUSTOM policy could not be asked";
  if (rule !== undefined) return at(policyOf(rule), Object.hasOwn(rules, rule) ? rules[rule] : undefined);
  if (!details.startsWith("jwt_authn_access_denied")) return "";
  const [first, second] = Object.values(providers);
  return at("RequestAuthentication", second === undefined ? first : undefined);
}

/** The policy's name within a rule's id. */
export function policyOf(rule: string): string {
  return /-policy\[(.*)\]-rule\[\d+\]$/.exec(rule)?.[1] ?? rule;
}

function at(name: string, position: Position | undefined): string {
  return position === undefined ? name : `${name} (${formatPosition(position)})`;
}
