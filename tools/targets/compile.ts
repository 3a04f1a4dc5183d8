/** What the compiler has to know of each output of `jwtgate compile`, and the compiler for those who know an output by its name. */
import type * as compiler from "../compile.ts";
import {
  type CompileResult,
  type CompileTarget,
  compile as compileFor,
  DIRECT_REMOTE_ADDRESS,
  type ReviewedWorkload,
  type SourceFile,
  STANDALONE,
} from "../compile.ts";
import type { Report } from "../istio/report.ts";
import type { Resource } from "../istio/resource.ts";
import type { Selection } from "../istio/selection.ts";
import { meshCluster } from "../jwks/source.ts";

/** By name. The outputs themselves, which need Node, are in `index.ts`. */
export const COMPILE_TARGETS = {
  config: {
    ...STANDALONE,
    review(workload, report) {
      warnOfClusters(workload, report);
      if (workload.needsDirectPeer === undefined) return;
      const message = `this needs the filter state ${DIRECT_REMOTE_ADDRESS} to hold the direct peer's address: --output envoy arranges that`;
      report.warning(workload.needsDirectPeer, message);
    },
  },
  envoy: STANDALONE,
  wasmplugin: {
    noun: "a WasmPlugin",
    knowsDirectPeer: false,
    inMesh: true,
    clusterFor: meshCluster,
    grouping: "selections",
    review({ selection, policies: [first] }, report) {
      if (first) report.warning(first.at, uncoveredTcp(first, selection));
    },
  },
} as const satisfies Record<string, CompileTarget>;

/** The name of an output, as in `--output NAME`. */
export type TargetName = keyof typeof COMPILE_TARGETS;

/** What `compile` is asked for. */
export interface CompileOptions extends Omit<compiler.CompileOptions, "target"> {
  /** What the configuration is for: decides what the filter can know of a request. */
  target: TargetName;
}

/**
 * Compiles policies.
 *
 * @param sources YAML files, each with any number of documents
 * @returns the configuration, where `diagnostics` has no error
 * @throws {RangeError} if there is no such target
 */
export function compile(sources: SourceFile[], { target, ...options }: CompileOptions): CompileResult {
  if (!Object.hasOwn(COMPILE_TARGETS, target)) throw new RangeError(`there is no output ${target}`);
  return compileFor(sources, { ...options, target: COMPILE_TARGETS[target] });
}

/** A bare configuration brings no clusters along. */
function warnOfClusters({ providers, positions }: ReviewedWorkload, report: Report): void {
  for (const { name, remoteJwks } of providers) {
    const at = positions[name];
    if (remoteJwks === undefined || at === undefined) continue;
    const uri = remoteJwks.uri ?? remoteJwks.discovery?.uri;
    const message = `the keys are fetched from ${uri} through the Envoy cluster "${remoteJwks.cluster}": your Envoy must have it (--output envoy writes it)`;
    report.warning(at, message);
  }
}

/** An HTTP filter sees no TCP: what Istio would close there has to stay with Istio. */
function uncoveredTcp(policy: Resource, selection: Selection | undefined): string {
  const { namespace, matchLabels, targetRefs } = selection ?? { namespace: policy.metadata.namespace };
  const spec = {
    ...(matchLabels && { selector: { matchLabels } }),
    ...(targetRefs && { targetRefs }),
    action: "DENY",
    rules: [{ to: [{ operation: { ports: ["YOUR TCP PORTS"] } }] }],
  };
  const resource = {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name: "tcp-without-jwtgate", namespace },
    spec,
  };
  return `TCP ports are not covered by an HTTP filter: keep a policy for them in the cluster, such as ${JSON.stringify(resource)}`;
}
