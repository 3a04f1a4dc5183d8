/** Reviews sources: compiles them, and checks those that apply to the workload. */
import { type CompileOptions, compileSources, INSPECTED, type SourceFile } from "../compile.ts";
import type { Diagnostic } from "../diagnostics.ts";
import { check } from "./check.ts";
import { byPlace, type Finding } from "./findings.ts";
import { type Suppressed, type SuppressionEntry, suppress } from "./suppressions.ts";

/** The compiler's own default. */
const DEFAULT_ROOT_NAMESPACE = "istio-system";

/** The workload whose policies are reviewed; all policies if it is not set. */
export interface ReviewOptions
  extends Pick<CompileOptions, "namespace" | "labels" | "gateway" | "rootNamespace"> {
  /** Suppressions of files; comments in the sources are read in any case. */
  suppressions?: readonly SuppressionEntry[] | undefined;
}

/** The result of a review. */
export interface Review {
  /** In the order of their positions; empty if a diagnostic is an error. */
  findings: Finding[];
  /** The findings that a suppression hides. */
  suppressed: Suppressed[];
  /** The compiler's diagnostics. */
  diagnostics: Diagnostic[];
}

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
export function review(
  sources: readonly SourceFile[],
  {
    namespace,
    labels,
    gateway,
    rootNamespace = DEFAULT_ROOT_NAMESPACE,
    suppressions = [],
  }: ReviewOptions = {},
): Review {
  const options = { target: INSPECTED, namespace, labels, gateway, rootNamespace };
  const { result, selected } = compileSources(sources, options);
  const { diagnostics, resources } = result;
  if (diagnostics.some(({ severity }) => severity === "error"))
    return { findings: [], suppressed: [], diagnostics };
  const isWhole = resources.every((one) => one.selected);
  const all = check(selected, diagnostics, { rootNamespace });
  const { findings, suppressed } = suppress(all, sources, resources, suppressions, isWhole);
  return { findings: findings.sort(byPlace), suppressed, diagnostics };
}
