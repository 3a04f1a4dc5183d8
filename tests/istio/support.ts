/** Small policies to compile, and the results in a form that a test can show. */
import type { CompileResult } from "../../tools/compile.ts";
import type { Authorization, Condition, Predicate, Rule } from "../../tools/config/schema.ts";
import { formatDiagnostic } from "../../tools/diagnostics.ts";
import { type CompileOptions, compile } from "../../tools/targets/compile.ts";

/** The key of Istio's samples. */
export const JWKS =
  '{"keys":[{"e":"AQAB","kid":"DHFbpoIUqrY8t2zpA2qXfCmr5VO5ZEr4RzHU_-envvQ","kty":"RSA","n":"xAE7eB6qugXyCAG3yhh7pkDkT65pHymX-P7KfIupjf59vsdo91bSP9C8H07pSAGQO1MV_xFj9VswgsCg4R6otmg5PV2He95lZdHtOcU5DXIg_pbhLdKXbi66GlVeK6ABZOUW3WYtnNHD-91gVuoeJT_DwtGGcp4ignkgXfkiEm4sw-4sfb4qdt5oLbyVpmW6x9cfa7vs2WTfURiCrBoUqgBo_-4WTiULmmHSGZHOjzwa8WtrtOQGsAFjIbno85jp6MnGGGZPYZbDAa_b3y5u-YpW7ypZrvD8BgtKVjgtQgZhLAGezMt0ua3DRrWnKqTZ0BJ_EyxOGuHJrLsn00fnMQ"}]}';

/** Compiles one file, `policy.yaml`. */
export function compileText(text: string, options: Partial<CompileOptions> = {}): CompileResult {
  return compile([{ name: "policy.yaml", text }], { target: "envoy", ...options });
}

/** Everything that the compiler has to say, as a person sees it, without the file's name. */
export function messages(text: string, options: Partial<CompileOptions> = {}): string[] {
  return compileText(text, options).diagnostics.map((diagnostic) =>
    formatDiagnostic(diagnostic).replace(/^policy\.yaml: ?/, ""),
  );
}

/** Marks in a text the place that a message must name. */
const MARK = "▲";

/**
 * What is wrong with a text: its errors, those at the mark without their place.
 *
 * @param marked the text, with a mark where the error is expected
 */
export function faultsAtMark(marked: string, options: Partial<CompileOptions> = {}): string[] {
  const before = marked.slice(0, marked.indexOf(MARK)).split("\n");
  const place = `${before.length}:${before.at(-1)!.length + 1}: `;
  return messages(marked.replace(MARK, ""), options)
    .filter((message) => !/^[\d:]+ warning: /.test(message))
    .map((message) => (message.startsWith(place) ? message.slice(place.length) : message));
}

/** A resource with a spec. */
export function resource(
  kind: "RequestAuthentication" | "AuthorizationPolicy",
  spec: string,
  name = "p",
): string {
  const metadata = `apiVersion: security.istio.io/v1\nkind: ${kind}\nmetadata: {name: ${name}, namespace: foo}\n`;
  return `${metadata}spec: ${spec}\n`;
}

/** A RequestAuthentication of one rule with further fields, in flow style. */
export function jwtRule(fields: string, keys = `, jwks: '${JWKS}'`): string {
  return resource("RequestAuthentication", `{jwtRules: [{${fields}${keys}}]}`);
}

/** An AuthorizationPolicy of one rule, in flow style. */
export function rule(text: string, action = "ALLOW"): string {
  return resource("AuthorizationPolicy", `{action: ${action}, rules: [${text}]}`);
}

/** A condition with its predicates in place of their indexes. */
export type Shown = Predicate | { and: Shown[] } | { or: Shown[] } | { not: Shown };

export function show(condition: Condition, predicates: Predicate[]): Shown {
  if (typeof condition === "number") return predicates[condition]!;
  if ("and" in condition) return { and: condition.and.map((part) => show(part, predicates)) };
  if ("or" in condition) return { or: condition.or.map((part) => show(part, predicates)) };
  return { not: show(condition.not, predicates) };
}

/** The authorization of policies that compile. */
export function authorizationOf(text: string, options: Partial<CompileOptions> = {}): Authorization {
  const { configuration, diagnostics } = compileText(text, options);
  if (!configuration?.authorization) throw new Error(diagnostics.map(formatDiagnostic).join("\n"));
  return configuration.authorization;
}

/** The only rule of a policy that compiles, its condition shown. */
export function onlyRule(
  text: string,
  options: Partial<CompileOptions> = {},
): { condition: Shown; guard: Predicate[] } {
  const { predicates, allow, deny, audit } = authorizationOf(text, options);
  const [only] = [allow, deny, audit].flatMap((set): Rule[] => set?.rules ?? set?.shadowRules ?? []);
  return {
    condition: show(only!.condition, predicates),
    guard: (only!.guard ?? []).map((index) => predicates[index]!),
  };
}
