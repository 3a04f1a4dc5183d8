/** The review with rules compared exactly. */
import type { SourceFile } from "../compile.ts";
import { reviewRules } from "../prove/rules.ts";
import { type Review, type ReviewOptions, review } from "./review.ts";

/**
 * Finds policies that are open, that never match, or that disclose keys (docs/check.md).
 *
 * @param sources YAML files, each with any number of documents
 * @param options which workload's policies, and what is suppressed
 * @returns the findings in the order of their places; none if a diagnostic is an error
 *
 * @example
 * ```ts
 * import { check } from "jwtgate";
 *
 * const text = `apiVersion: security.istio.io/v1
 * kind: AuthorizationPolicy
 * metadata: {name: anybody}
 * spec: {action: DENY, rules: [{from: [{source: {ipBlocks: ["10.0.0.1/99"]}}]}]}`;
 * const { findings, diagnostics } = check([{ name: "policy.yaml", text }]);
 * console.log(findings.length, diagnostics[0]?.severity); // 0 error
 * ```
 */
export function check(sources: readonly SourceFile[], options: ReviewOptions = {}): Review {
  return review(sources, options, reviewRules);
}
