/** Path templates: `{*}` is one segment, `{**}` any number of them. */
import { quote, type Report } from "./report.ts";
import type { Located } from "./yaml.ts";

const ONE = "{*}";
const ANY = "{**}";

/** Longest template, in characters of Envoy's spelling, that Envoy takes. */
const MAX_LENGTH = 256;

/** What istiod accepts as a segment's literal text (RFC 3986's pchar without *). */
const LITERAL = /^[a-zA-Z0-9\-._~%!$&'()+,;:@=]+$/;

export function isPathTemplate(path: string): boolean {
  return path.includes(ONE) || path.includes(ANY);
}

/** Reports faults of a path, template or not. */
export function checkPathTemplate({ value, at }: Located<string>, report: Report): void {
  const fault = faultOf(value);
  if (fault !== undefined) report.error(at, `the path ${quote(value)} ${fault}`);
}

/**
 * What istiod refuses in a path (pkg/config/security, CheckValidPathTemplate), and what it accepts although Envoy then
 * aborts (source/extensions/path/uri_template_lib).
 */
function faultOf(path: string): string | undefined {
  const isTemplate = isPathTemplate(path);
  let ended = false;
  for (const segment of path.replace(/^\/+|\/+$/g, "").split("/")) {
    if (segment === ONE || segment === ANY) {
      if (ended) return `has ${segment} after {**}, which can only be the last wildcard`;
      ended = segment === ANY;
    } else if (/[{}]/.test(segment)) {
      return "has a brace that is not a wildcard: only a whole segment can be {*} or {**}";
    } else if (isTemplate && segment.includes("*")) {
      return "mixes {*} with *: use {*} and {**} for whole segments, or one * at the beginning or the end";
    } else if (isTemplate && segment === "") {
      return "has an empty segment (//), which a template cannot have";
    } else if (isTemplate && !LITERAL.test(segment)) {
      return `has the segment ${quote(segment)}, with a character that no path has: percent-encode it`;
    }
  }
  if (!isTemplate) return undefined;
  if (!path.startsWith("/")) return `must begin with /: write ${quote(`/${path}`)}`;
  if (/^\/\/|\/\/$/.test(path)) return "has an empty segment (//), which a template cannot have";
  const length = path.replaceAll(ONE, "*").replaceAll(ANY, "**").length;
  return length > MAX_LENGTH ? `is longer than the ${MAX_LENGTH} characters that Envoy takes` : undefined;
}
