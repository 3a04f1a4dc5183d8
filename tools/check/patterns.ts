/** What patterns of policies have in common: which values one matches that another does too. */
import { stringMatch } from "../istio/attributes.ts";
import { isPathTemplate } from "../istio/path-template.ts";

/** Attributes whose values are exact, `x*`, `*x` or `*`. Others are compared as they are written. */
const STRING_ATTRIBUTES = new Set(["hosts", "methods", "paths", "connection.sni"]);

/** Whether an attribute's values are such patterns. */
export function hasPatterns(name: string): boolean {
  return STRING_ATTRIBUTES.has(name) || name.startsWith("request.headers[") || isClaim(name);
}

/** Whether an attribute is a claim that is compared with patterns. */
export function isClaim(name: string): boolean {
  return name.startsWith("request.auth.claims[") || /^request\.auth\.(audiences|presenter)$/.test(name);
}

/**
 * Whether every value that `narrow` matches is matched by `wide` too. Sound, not complete: false where it is not clear.
 *
 * @param name of the attribute that both are about
 */
export function covers(name: string, wide: string, narrow: string): boolean {
  if (wide === narrow) return true;
  if (!hasPatterns(name) || isPathTemplate(wide) || isPathTemplate(narrow)) return false;
  const fold = (value: string) => (name === "hosts" ? value.toLowerCase() : value);
  const [w, n] = [stringMatch(fold(wide)), stringMatch(fold(narrow))];
  // `*` is anything but nothing and line breaks; of headers it is anything at all.
  if ("nonEmpty" in w)
    return name.startsWith("request.headers[") || ("exact" in n && !n.exact.includes("\n"));
  if ("nonEmpty" in n) return false;
  const text = Object.values(n)[0] ?? "";
  if ("prefix" in w) return !("suffix" in n) && text.startsWith(w.prefix);
  if ("suffix" in w) return !("prefix" in n) && text.endsWith(w.suffix);
  return "exact" in n && text === w.exact;
}
