/**
 * The compiled policies of one configuration (`authorization`): RBAC as istiod has Envoy do it, AUDIT before DENY
 * before ALLOW (source/extensions/filters/common/rbac/engine_impl.cc, filters/http/rbac/rbac_filter.cc).
 *
 * What depends on the token alone is evaluated once a token, into bits; what depends on the request once a request,
 * and only where a rule asks for it. Nothing is allocated, but in the arena.
 */
import { Region } from "../abi/region";
import { Slice } from "../abi/slice";
import { Reader } from "../config/reader";
import { JsonDocument, NONE, Node } from "../encoding/json";
import { Request } from "../http/request";
import { Program } from "./condition";
import { Action, Decision, Outcome } from "./decision";
import { Facts } from "./facts";
import { Predicates } from "./predicates";
import { NO_RULE, Rules } from "./rules";

/** How many actions there are. */
const ACTIONS: i32 = 3;

export class Engine {
  private readonly facts: Facts;
  /** By action; null where nothing is enforced. An empty list enforces that nothing matches. */
  private readonly enforced: StaticArray<Rules | null> = new StaticArray<Rules | null>(ACTIONS);
  /** By action: dry-run. */
  private readonly shadow: StaticArray<Rules | null> = new StaticArray<Rules | null>(ACTIONS);

  /** @param region holds the texts that rules and predicates point to */
  private constructor(
    private readonly region: Region,
    private readonly predicates: Predicates,
  ) {
    this.facts = new Facts(predicates);
  }

  /**
   * Loads `authorization` of a configuration.
   *
   * @returns null where it is faulty; the reader has recorded why
   */
  static load(reader: Reader, authorization: Node): Engine | null {
    if (!reader.object(authorization, ["predicates", "audit", "deny", "allow"])) return null;
    const predicates = Predicates.load(reader, reader.require(authorization, "predicates"));
    const engine = new Engine(reader.region, predicates);
    const program = new Program(predicates.count);
    engine.loadAction(reader, reader.get(authorization, "audit"), Action.Audit, program);
    engine.loadAction(reader, reader.get(authorization, "deny"), Action.Deny, program);
    engine.loadAction(reader, reader.get(authorization, "allow"), Action.Allow, program);
    return reader.failed ? null : engine;
  }

  private loadAction(reader: Reader, ruleSet: Node, action: Action, program: Program): void {
    if (ruleSet == NONE || !reader.object(ruleSet, ["rules", "shadowRules"])) return;
    const rules = reader.get(ruleSet, "rules");
    if (rules != NONE) this.enforced[action] = Rules.load(reader, rules, this.predicates, program);
    const shadowRules = reader.get(ruleSet, "shadowRules");
    if (shadowRules != NONE) {
      this.shadow[action] = Rules.load(reader, shadowRules, this.predicates, program);
    }
  }

  /** The bytes that `evaluateToken` writes: whole 64-bit words. */
  get tokenPredicateBytes(): i32 {
    return this.predicates.tokenBytes;
  }

  /**
   * Evaluates what depends on a token alone.
   *
   * @param payload of the verified token
   * @param spaceDelimited its provider's `spaceDelimitedClaims`; `scope` and `permission` need not be among them
   * @param bits address of `tokenPredicateBytes` bytes, which are overwritten
   */
  evaluateToken(payload: JsonDocument, spaceDelimited: StaticArray<Slice>, bits: usize): void {
    this.predicates.evaluateToken(payload, spaceDelimited, bits);
  }

  /**
   * Decides on a request. Where this makes `request.failed` true, the decision is void.
   *
   * @param tokenBits what `evaluateToken` wrote, or 0 without a verified token
   * @param decision is overwritten
   */
  decide(request: Request, tokenBits: usize, decision: Decision): void {
    decision.reset();
    this.facts.begin(request, tokenBits);
    for (let action: i32 = Action.Audit; action < ACTIONS; action++) {
      this.ask(unchecked(this.shadow[action]), unchecked(decision.shadow[action]));
      const outcome = unchecked(decision.enforced[action]);
      this.ask(unchecked(this.enforced[action]), outcome);
      if (action != Action.Audit) decision.ruleId = outcome.ruleId;
      decision.refused = outcome.refuses;
      if (decision.refused) return;
    }
  }

  private ask(rules: Rules | null, outcome: Outcome): void {
    if (rules === null) return;
    const rule = rules.firstMatch(this.facts);
    outcome.asked = true;
    if (rule != NO_RULE) {
      outcome.matched = true;
      outcome.ruleId = rules.id(rule);
    }
  }
}
