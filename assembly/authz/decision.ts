/** The policies' decision on one request. One object, reset for each. */
import { EMPTY, Slice } from "../memory/slice";

/** In the order in which Istio evaluates them. */
export const enum Action {
  Audit,
  Deny,
  Allow,
}

/** The rules of one action, dry-run or enforced, in the order of evaluation. */
export const enum RuleSet {
  DryRunAudit,
  Audit,
  DryRunDeny,
  Deny,
  DryRunAllow,
  Allow,
}

/** How many rule sets there are. */
export const RULE_SETS: i32 = 6;

/** A set of them: bit i is rule set i. */
export type RuleSets = u32;

/** The dry-run or the enforced rules of an action. */
// @ts-ignore: decorator
@inline
export function ruleSetOf(action: Action, isDryRun: bool): RuleSet {
  return 2 * <i32>action + (isDryRun ? 0 : 1);
}

// @ts-ignore: decorator
@inline
function only(ruleSet: RuleSet): RuleSets {
  return 1 << (<u32>ruleSet);
}

export class Decision {
  /** Whether the request is refused: 403. */
  refused: bool = false;
  /** The rule that decided: the DENY rule that matched, else the ALLOW rule that matched; EMPTY if none matched. */
  ruleId: Slice = EMPTY;
  /** The rule sets that were evaluated. After a refusal the rest is skipped. */
  private asked: RuleSets = 0;
  /** The rule sets of which a rule matched. */
  private matching: RuleSets = 0;
  /** By rule set in `matching`, except Deny and Allow: the first rule that matched. */
  private readonly ruleIds: StaticArray<Slice> = new StaticArray<Slice>(RULE_SETS);

  reset(): void {
    this.refused = false;
    this.ruleId = EMPTY;
    this.asked = 0;
    this.matching = 0;
  }

  /** Records that no rule of the set matched. */
  // @ts-ignore: decorator
  @inline
  addUnmatched(ruleSet: RuleSet): void {
    this.asked |= only(ruleSet);
    if (ruleSet == RuleSet.Allow) this.refused = true;
  }

  /** Records the first rule of the set that matched. */
  // @ts-ignore: decorator
  @inline
  addMatched(ruleSet: RuleSet, ruleId: Slice): void {
    this.asked |= only(ruleSet);
    this.matching |= only(ruleSet);
    if (ruleSet == RuleSet.Deny) this.refused = true;
    if (ruleSet == RuleSet.Deny || ruleSet == RuleSet.Allow) this.ruleId = ruleId;
    else unchecked((this.ruleIds[ruleSet] = ruleId));
  }

  /** Whether that rule set exists and was evaluated. */
  wasAsked(ruleSet: RuleSet): bool {
    return (this.asked & only(ruleSet)) != 0;
  }

  /** Whether a rule of that set matched. */
  matched(ruleSet: RuleSet): bool {
    return (this.matching & only(ruleSet)) != 0;
  }

  /** The first rule of that set that matched, or EMPTY. */
  firstMatch(ruleSet: RuleSet): Slice {
    if (!this.matched(ruleSet)) return EMPTY;
    // After a DENY rule has matched, no ALLOW rule is asked.
    return ruleSet == RuleSet.Deny || ruleSet == RuleSet.Allow
      ? this.ruleId
      : unchecked(this.ruleIds[ruleSet]);
  }

  /** The results to report although they change no answer: AUDIT rules that matched, and dry-run refusals. */
  // @ts-ignore: decorator
  @inline
  get unenforced(): RuleSets {
    const onMatch = only(RuleSet.DryRunAudit) | only(RuleSet.Audit) | only(RuleSet.DryRunDeny);
    return (this.matching & onMatch) | (this.asked & ~this.matching & only(RuleSet.DryRunAllow));
  }
}
