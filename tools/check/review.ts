/** Reviews sources: compiles them, and checks those that apply to the workload. */
import { type CompileOptions, compileSources, INSPECTED, type SourceFile } from "../compile.ts";
import type { Diagnostic } from "../diagnostics.ts";
import { check, type RuleProver } from "./check.ts";
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

/** Reviews sources, with rules compared by their conditions alone unless `prover` is given. */
export function review(
  sources: readonly SourceFile[],
  {
    namespace,
    labels,
    gateway,
    rootNamespace = DEFAULT_ROOT_NAMESPACE,
    suppressions = [],
  }: ReviewOptions = {},
  prover?: RuleProver,
): Review {
  const options = { target: INSPECTED, namespace, labels, gateway, rootNamespace };
  const { result, selected } = compileSources(sources, options);
  const { diagnostics, resources } = result;
  if (diagnostics.some(({ severity }) => severity === "error"))
    return { findings: [], suppressed: [], diagnostics };
  const isWhole = resources.every((one) => one.selected);
  const all = check(selected, diagnostics, {
    rootNamespace,
    ...(prover && { proof: { ...result, prover } }),
  });
  const { findings, suppressed } = suppress(all, sources, resources, suppressions, isWhole);
  return { findings: findings.sort(byPlace), suppressed, diagnostics };
}
