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
  /** Of resources that name none. Default: `default`. */
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

/** Explains requests: each gets the module's own verdict, with the steps that led to it. */
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
   * Sends a request, and explains what comes of it.
   *
   * @param request what it lacks is taken from `GET / HTTP/1.1` to localhost
   */
  explain(request: Partial<CompleteRequest>): Promise<Explanation> {
    return explain(this.gates, this.subject, { ...DEFAULT_REQUEST, ...request });
  }
}
