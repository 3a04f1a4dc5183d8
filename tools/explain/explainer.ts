/** Explains requests under compiled policies, for programs. */
import type { CompileResult, SourceFile } from "../compile.ts";
import { type CompleteRequest, DEFAULT_LISTENER, DEFAULT_REQUEST } from "../host/http-connection-manager.ts";
import { ProviderGates } from "./custom.ts";
import { type Explanation, explain, type Gates, type Subject } from "./explain.ts";
import { type Documents, type Modules, TracedGate } from "./gate.ts";
import { subjectOf } from "./subject.ts";

/** What requests are explained with. */
export interface ExplainerOptions {
  /** The two builds of the filter. */
  modules: Modules;
  /** Key sets and discovery documents that policies fetch, by their URLs. */
  documents?: Documents;
  /** What Envoy does around the filter. Default: a gateway with `BASE` path normalization at 127.0.0.1:8080. */
  listener?: Partial<Subject["listener"]>;
  /** When requests come, in milliseconds since 1970. Default: now. */
  now?: number;
  /** The namespace of resources that name none. Default: `default`. */
  namespace?: string;
}

/** The gates of compiled policies. */
export async function openGates(
  modules: Modules,
  { workloads }: CompileResult,
  subject: Subject,
): Promise<Gates> {
  const custom = workloads.flatMap((workload) => workload.custom);
  return {
    gate: await TracedGate.open(modules, subject),
    providers: await ProviderGates.open(modules, custom, subject.sources, subject),
  };
}

/**
 * Explains requests: each gets the module's own verdict, with the steps that led to it.
 *
 * @example
 * ```ts
 * import { compile, Explainer, loadModules } from "jwtgate";
 *
 * const text = `apiVersion: security.istio.io/v1
 * kind: AuthorizationPolicy
 * metadata: {name: no-admin}
 * spec:
 *   action: DENY
 *   rules: [{to: [{operation: {paths: [/admin]}}]}]`;
 * const sources = [{ name: "policy.yaml", text }];
 * const modules = await loadModules();
 * const explainer = await Explainer.open(compile(sources, { target: "envoy" }), sources, { modules });
 * const { outcome, decidedBy } = await explainer.explain({ path: "/admin" });
 * console.log(outcome.answer?.status, "by line", decidedBy?.at.line); // 403 by line 6
 * ```
 */
export class Explainer {
  private constructor(
    private readonly gates: Gates,
    private readonly subject: Subject,
  ) {}

  /**
   * Loads compiled policies into the module.
   *
   * @param result of `compile`, without an error
   * @param sources that were compiled
   * @param options the modules, and what is around the filter
   * @throws {Error} if the compilation has no configuration, or a module does not load it; the promise is rejected
   */
  static async open(
    result: CompileResult,
    sources: readonly SourceFile[],
    { modules, documents = new Map(), listener, now = Date.now(), namespace }: ExplainerOptions,
  ): Promise<Explainer> {
    const rest = { documents, listener: { ...DEFAULT_LISTENER, ...listener }, now };
    const subject = subjectOf(result, sources, namespace, rest);
    return new Explainer(await openGates(modules, result, subject), subject);
  }

  /**
   * Sends a request, and explains the result.
   *
   * @param request what it lacks is taken from `GET / HTTP/1.1` to localhost
   * @returns the answer or the request to the upstream, and each step with its line of YAML
   */
  explain(request: Partial<CompleteRequest>): Promise<Explanation> {
    return explain(this.gates, this.subject, { ...DEFAULT_REQUEST, ...request });
  }
}
