/** Properties of policies: all requests that match some rules are refused, or allowed. */
import type { Configuration } from "../config/schema.ts";
import type { PathNormalization } from "../host/http-connection-manager.ts";
import { VERIFIED } from "./authentication.ts";
import { FALSE, type Formula, TRUE } from "./formula.ts";
import { Model } from "./model.ts";
import { type Scenario, scenariosOf, type TokenState, type View } from "./scenarios.ts";
import { type Difference, Paused, Search } from "./search.ts";
import { Undecided } from "./undecided.ts";
import { type Reply, type Witness, WitnessMaker } from "./witness.ts";

/** What must be true of policies. */
export interface Property {
  /** The requests that it is about: those that these rules match, compiled as the rules of a DENY policy. */
  about: Configuration;
  are: "refused" | "allowed";
  /** The tokens that they may have. */
  tokens: readonly TokenState[];
}

/** The result of a proof. */
export interface Proof {
  /** Whether it is true of every request. */
  holds: boolean;
  /** A request that refutes it, and the answer to it. */
  counterexample?: { witness: Witness; reply: Reply };
  /** Why it is neither proven nor refuted. */
  undecided?: string;
  /** How many cases the proof rests on. */
  cases: number;
}

export interface ProofOptions {
  module: WebAssembly.Module;
  pathNormalization?: PathNormalization;
  /** Called at intervals. */
  onProgress?: () => void | Promise<void>;
}

const MAX_STEPS = 4_000_000;
/** How many places are tried before a property counts as undecided. */
const MAX_MISSES = 40;

/**
 * Proves or refutes a property.
 *
 * @param configuration of the policies, as compiled
 */
export async function prove(
  configuration: Configuration,
  property: Property,
  options: ProofOptions,
): Promise<Proof> {
  const prover = new Prover(configuration, property, options);
  try {
    return await prover.run();
  } catch (error) {
    if (!(error instanceof Undecided)) throw error;
    return { holds: false, undecided: error.message, cases: prover.cases };
  }
}

class Prover {
  cases = 0;
  private isAboutAny = false;

  constructor(
    private readonly configuration: Configuration,
    private readonly property: Property,
    private readonly options: ProofOptions,
  ) {}

  async run(): Promise<Proof> {
    const { configuration, property, options } = this;
    const { module, pathNormalization = "BASE" } = options;
    if (configuration.peerPrincipal !== undefined) throw new Undecided("a waypoint's peers are not modelled");
    const sides = [configuration, requestsOf(configuration, property)];
    const { all } = scenariosOf([configuration]);
    const model = new Model([configuration], all, {
      normalization: pathNormalization,
      extra: [property.about],
    });
    const maker = new WitnessMaker(module, sides, pathNormalization);
    for (const scenario of all) {
      if (!property.tokens.includes(stateOf(scenario))) continue;
      const found = await this.refute(model, maker, scenario);
      if (found) return found;
    }
    if (!this.isAboutAny) throw new Undecided(NOTHING);
    return { holds: true, cases: this.cases };
  }

  private async refute(model: Model, maker: WitnessMaker, scenario: Scenario): Promise<Proof | undefined> {
    const { formulas } = model.space;
    const [view] = scenario.views as [View];
    const { authorization: { predicates = [], deny } = {} } = this.property.about;
    const matched = (deny?.rules ?? []).map(({ condition }) => model.rule(0, condition, predicates, view));
    const about = formulas.and([model.condition(scenario), formulas.or(matched)]);
    if (about === FALSE) return undefined;
    const allowed = view.refusal === VERIFIED ? model.allowed(0, view) : FALSE;
    const wrong = this.property.are === "refused" ? allowed : formulas.not(allowed);
    if (!this.isAboutAny) this.isAboutAny = (await this.search(model, about, TRUE)) !== undefined;
    let rest = about;
    for (let misses = 0; misses <= MAX_MISSES; misses++) {
      const found = await this.search(model, rest, wrong);
      if (found === undefined) {
        if (misses > 0) throw new Undecided(DISAGREED);
        return undefined;
      }
      const witnesses = await maker.make(scenario, model.space.examples(found.assignment));
      for (const witness of witnesses) {
        const reply = await maker.send(0, witness);
        const isWrong = reply.passed === (this.property.are === "refused");
        if (isWrong && (await isMatched(maker, witness, view)))
          return { holds: false, counterexample: { witness, reply }, cases: this.cases };
      }
      rest = formulas.and([rest, formulas.not(model.space.formulaOf(found.assignment))]);
    }
    throw new Undecided(DISAGREED);
  }

  private async search(model: Model, when: Formula, wrong: Formula): Promise<Difference | undefined> {
    const search = new Search(model.space.formulas, model.space, MAX_STEPS);
    try {
      for (;;) {
        try {
          return search.difference(when, wrong, FALSE);
        } catch (error) {
          if (!(error instanceof Paused)) throw error;
          await this.options.onProgress?.();
        }
      }
    } finally {
      this.cases += search.cases;
    }
  }
}

const DISAGREED = "the module answered differently than expected; please report it";
const NOTHING = "no request that can arrive matches these rules, so they prove nothing: correct them";

/** The kind of token of the requests of a scenario. A CORS preflight counts as one without a token. */
function stateOf({ views: [view] }: Scenario): TokenState {
  if (view === undefined || view.refusal !== VERIFIED)
    return view?.claims === undefined && isMissing(view) ? "none" : "bad";
  return view.claims === undefined ? "none" : "valid";
}

function isMissing(view: View | undefined): boolean {
  return view?.refusal === "Jwt is missing";
}

/** Policies that refuse the requests that a property is about, with the same providers. */
function requestsOf({ providers, directRemoteAddress }: Configuration, { about }: Property): Configuration {
  const { directRemoteAddress: own, ...rest } = about;
  const address = directRemoteAddress ?? own;
  return {
    ...rest,
    ...(address !== undefined && { directRemoteAddress: address }),
    ...(providers && { providers }),
    contents: { ...about.contents, providers: providers?.length ?? 0 },
  };
}

/** Whether the module matches the witness with the property's rules, too. Of a refused token policies see nothing. */
async function isMatched(maker: WitnessMaker, witness: Witness, view: View): Promise<boolean> {
  if (view.refusal !== VERIFIED) return true;
  return (await maker.send(1, witness)).passed === false;
}
