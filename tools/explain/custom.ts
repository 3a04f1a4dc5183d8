/**
 * The extension providers that Envoy asks about a request before the filter decides (action CUSTOM). Whether it asks
 * one follows from the module's result for the same rules in a DENY policy, which it evaluates as Envoy does.
 */
import { DIRECT_REMOTE_ADDRESS } from "../compile.ts";
import { withContents } from "../config/contents.ts";
import { CONFIGURATION_VERSION, type Configuration } from "../config/schema.ts";
import type { CompleteRequest } from "../host/http-connection-manager.ts";
import type { CompiledProvider } from "../istio/authorization.ts";
import { type GateOptions, type Modules, TracedGate } from "./gate.ts";
import { explainRules, type RuleSource, type RuleStep } from "./rules.ts";

/** An extension provider, and whether it is asked. Its answer is unknown. */
export interface ProviderQuestion {
  /** Its name. */
  provider: string;
  /** The policies that name it, such as `AuthorizationPolicy foo/bar`. */
  policies: string[];
  isAsked: boolean;
  /** The rules of the policies. After the first match the rest is skipped. */
  rules: RuleStep[];
}

/** Rules that decide whether extension providers are asked, in separate gates. */
export class ProviderGates {
  private constructor(
    private readonly gates: readonly {
      compiled: CompiledProvider;
      configuration: Configuration;
      gate: TracedGate;
    }[],
    private readonly sources: ReadonlyMap<string, RuleSource>,
  ) {}

  /** @param sources the source of each rule, by its id */
  static async open(
    modules: Modules,
    providers: readonly CompiledProvider[],
    sources: ReadonlyMap<string, RuleSource>,
    options: Pick<GateOptions, "listener" | "now">,
  ): Promise<ProviderGates> {
    const gates = providers.map(async (compiled) => {
      const configuration = withContents({
        version: CONFIGURATION_VERSION,
        ...(compiled.needsDirectPeer && { directRemoteAddress: DIRECT_REMOTE_ADDRESS }),
        authorization: compiled.matches,
      });
      const gate = await TracedGate.open(modules, { ...options, configuration, documents: new Map() });
      return { compiled, configuration, gate };
    });
    return new ProviderGates(await Promise.all(gates), sources);
  }

  /** In the order in which Envoy asks them; none if Envoy itself refuses the request. */
  async ask(request: CompleteRequest): Promise<ProviderQuestion[]> {
    const questions: ProviderQuestion[] = [];
    for (const { compiled, configuration, gate } of this.gates) {
      const { outcome, trace } = await gate.send(request);
      if (trace?.policies === undefined) continue;
      const directPeer = `filter_state.${configuration.directRemoteAddress}`;
      const { matches, positions, name, policies } = compiled;
      const actions = explainRules(trace.policies, matches, positions, this.sources, directPeer);
      questions.push({
        provider: name.value,
        policies,
        isAsked: outcome.answer !== undefined,
        rules: actions.flatMap(({ rules }) => rules),
      });
    }
    return questions;
  }
}
