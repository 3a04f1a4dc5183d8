/** The policies that requests are explained against: compiled, and as they were written. */
import type { CompileResult, SourceFile } from "../compile.ts";
import { Report } from "../istio/report.ts";
import { type Resource, readResources } from "../istio/resource.ts";
import { parseYaml } from "../istio/yaml.ts";
import type { Subject } from "./explain.ts";
import { ruleSources } from "./rules.ts";

/** The compiler's own defaults. */
const DEFAULT_NAMESPACE = "default";
const DEFAULT_TRUST_DOMAIN = "cluster.local";

/**
 * @param sources that were compiled
 * @param namespace of resources that name none
 */
export function subjectOf(
  { configuration, sourceMap }: CompileResult,
  sources: readonly SourceFile[],
  namespace: string | undefined,
  rest: Pick<Subject, "documents" | "answers" | "listener" | "now">,
): Subject {
  if (configuration === undefined || sourceMap === undefined) {
    throw new Error("a compilation without an error has a configuration");
  }
  return {
    configuration,
    positions: sourceMap,
    sources: ruleSources(resourcesOf(sources, namespace), DEFAULT_TRUST_DOMAIN),
    ...rest,
  };
}

/**
 * The resources of sources that compile, without TokenPolicies.
 *
 * @param namespace of resources that name none
 */
export function resourcesOf(sources: readonly SourceFile[], namespace: string | undefined): Resource[] {
  // Diagnostics were already reported by the compilation.
  const silent = new Report();
  const resources = sources.flatMap(({ name, text, documents }) =>
    readResources(documents ?? parseYaml(name, text).documents, namespace ?? DEFAULT_NAMESPACE, silent),
  );
  return resources.filter((resource) => resource.kind !== "TokenPolicy");
}
