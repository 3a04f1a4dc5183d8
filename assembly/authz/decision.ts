/** What the policies say of one request. One object, reset for each. */
import { EMPTY, Slice } from "../abi/slice";

/** In the order in which Istio evaluates them. */
export const enum Action {
  Audit,
  Deny,
  Allow,
}

/** What the rules of one action say: the enforced or the dry-run ones. */
export class Outcome {
  /** Whether there are such rules and they were asked: behind a refusal none are. */
  asked: bool = false;
  matched: bool = false;
  /** The id of the first rule that matched, or EMPTY. */
  ruleId: Slice = EMPTY;

  /** @param action of the rules */
  constructor(readonly action: Action) {}

  /** Whether these rules refuse the request, or would if they were enforced. Those of AUDIT never do. */
  get refuses(): bool {
    if (this.action == Action.Deny) return this.matched;
    return this.action == Action.Allow && this.asked && !this.matched;
  }

  reset(): void {
    this.asked = false;
    this.matched = false;
    this.ruleId = EMPTY;
  }
}

export class Decision {
  /** Whether the request is refused: 403. */
  refused: bool = false;
  /** The rule that decided: the DENY rule that matched, else the ALLOW rule that did; EMPTY where none matched. */
  ruleId: Slice = EMPTY;
  /** By action: what enforced rules say. */
  readonly enforced: StaticArray<Outcome> = outcomes();
  /** By action: what dry-run rules say. */
  readonly shadow: StaticArray<Outcome> = outcomes();

  reset(): void {
    this.refused = false;
    this.ruleId = EMPTY;
    for (let action = 0; action < this.enforced.length; action++) {
      unchecked(this.enforced[action]).reset();
      unchecked(this.shadow[action]).reset();
    }
  }
}

/** One for each action. */
function outcomes(): StaticArray<Outcome> {
  return [new Outcome(Action.Audit), new Outcome(Action.Deny), new Outcome(Action.Allow)];
}
