/** The console's page as it is served, and as one file. */
import { sha256 } from "@noble/hashes/sha2.js";
import { base64Encode, utf8Encode } from "../host/bytes.ts";

/** What the page shows first. */
export interface Policies {
  files: { name: string; text: string }[];
  /** Why files could not be read, one reason on each line. */
  problems: string[];
}

/** The files of the built console that make a page. */
export interface PageParts {
  html: string;
  script: string;
  style: string;
  /** The workers' scripts. */
  worker: string;
  comparer: string;
  /** The filter as Envoy runs it. */
  release: Uint8Array;
  /** The same with traces. */
  trace: Uint8Array;
}

const POLICY = /(http-equiv="Content-Security-Policy"\s+content=")([^"]*)(")/;
const SCRIPT = '<script type="module" src="main.js"></script>';
const STYLE = '<link rel="stylesheet" href="style.css" />';

/** The Content-Security-Policy that the page gives itself. */
export function contentSecurityPolicyOf(html: string): string {
  return part(html, POLICY)[2] ?? "";
}

/** The page as `jwtgate console` serves it: it may ask its server for policies and key sets. */
export function servedPage(html: string): string {
  return html.replace("</head>", () => '<meta name="jwtgate-console" content="served" /></head>');
}

/** The page in one file, which makes no requests. */
export function exportedPage(
  { html, script, style, worker, comparer, release, trace }: PageParts,
  policies?: Pick<Policies, "files">,
): string {
  // A script ends at any </script, and <!-- changes how HTML reads the rest of it.
  const code = script.replaceAll("</script", "<\\/script").replaceAll("<!--", "<\\u0021--");
  const data = {
    worker,
    comparer,
    modules: { release: base64Encode(release), trace: base64Encode(trace) },
    ...(policies && { policies: { files: policies.files } }),
  };
  const json = JSON.stringify(data).replaceAll("<", "\\u003c");
  const policy = exportedPolicy(contentSecurityPolicyOf(html), code, style);
  return [
    [POLICY, (_: string, before: string, __: string, after: string) => `${before}${policy}${after}`],
    // The data is first, because the script reads it as soon as it runs.
    [
      SCRIPT,
      () =>
        `<script type="application/json" id="jwtgate-export">${json}</script><script type="module">${code}</script>`,
    ],
    [STYLE, () => `<style>${style}</style>`],
  ].reduce((text, [pattern, replacement]) => {
    part(text, pattern as string | RegExp);
    return text.replace(pattern as string, replacement as () => string);
  }, html);
}

/** What the file may do: run its own script and style, identified by their hashes, and its worker; no network. */
function exportedPolicy(policy: string, script: string, style: string): string {
  const own: Record<string, string> = { "script-src": hash(script), "style-src": hash(style) };
  return policy
    .split(";")
    .map((directive) => {
      const [name = "", ...sources] = directive.trim().split(/\s+/);
      const kept = sources.flatMap((source) => (source === "'self'" ? (own[name] ?? []) : source));
      return [name, ...(kept.length > 0 ? kept : ["'none'"])].join(" ");
    })
    .join("; ");
}

/** A source expression (CSP3 §2.3.1). */
function hash(text: string): string {
  return `'sha256-${base64Encode(sha256(utf8Encode(text)))}'`;
}

/** @throws Error if the page has changed so that this file no longer recognises it */
function part(html: string, pattern: string | RegExp): RegExpExecArray | string[] {
  const found =
    typeof pattern === "string" ? (html.includes(pattern) ? [pattern] : null) : pattern.exec(html);
  if (found === null) throw new Error(`console/index.html has no ${pattern}`);
  return found;
}
