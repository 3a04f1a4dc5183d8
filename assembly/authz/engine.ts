/**
 * The compiled policies of one configuration (`authorization`): RBAC as Envoy evaluates it for istiod, AUDIT before
 * DENY before ALLOW (source/extensions/filters/common/rbac/engine_impl.cc, filters/http/rbac/rbac_filter.cc).
 *
 * Predicates about the token alone are evaluated once per token, into bits. Predicates about the request are evaluated
 * once per request, and only if a rule asks for them. Nothing is allocated outside the arena.
 */
import { Region } from "../memory/region";
import { EMPTY, Slice } from "../memory/slice";
import { AUTHORIZATION_FIELDS, RULE_SET_FIELDS } from "../config/schema";
import { Reader } from "../document/reader";
import { decodeStrict } from "../encoding/base64url";
import { JsonDocument, NONE, Node } from "../encoding/json";
import { Request } from "../http/request";
import { TRACING, traceDecision, traceHolds, tracePayload, tracePolicies, traceRuleSet } from "../trace";
import { Program } from "./condition";
import { Action, Decision, RULE_SETS, RuleSet, ruleSetOf } from "./decision";
import { Facts } from "./facts";
import { Predicates } from "./predicates";
import { NO_RULE, Rules } from "./rules";

/** The document that the traced module parses a token's claims into for its events. */
// @ts-ignore: decorator
@lazy
const PAYLOAD = new JsonDocument();

export class Engine {
  private readonly facts: Facts;
  /** By rule set; null if it is absent. An empty list of ALLOW rules allows nothing. */
  private readonly rules: StaticArray<Rules | null> = new StaticArray<Rules | null>(RULE_SETS);

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
   * @returns null if it is faulty; the reader has recorded why
   */
  static load(reader: Reader, authorization: Node): Engine | null {
    if (!reader.object(authorization, AUTHORIZATION_FIELDS)) return null;
    const predicates = Predicates.load(reader, reader.require(authorization, "predicates"));
    const engine = new Engine(reader.region, predicates);
    const program = new Program(predicates.count);
    engine.loadAction(reader, reader.get(authorization, "audit"), Action.Audit, program);
    engine.loadAction(reader, reader.get(authorization, "deny"), Action.Deny, program);
    engine.loadAction(reader, reader.get(authorization, "allow"), Action.Allow, program);
    if (engine.isEmpty) {
      reader.fail(
        authorization,
        'has none of "audit", "deny" and "allow", and would let everything through: compile the policies again',
      );
    }
    return reader.failed ? null : engine;
  }

  private loadAction(reader: Reader, ruleSet: Node, action: Action, program: Program): void {
    if (ruleSet == NONE || !reader.object(ruleSet, RULE_SET_FIELDS)) return;
    const rules = reader.get(ruleSet, "rules");
    const shadowRules = reader.get(ruleSet, "shadowRules");
    if (rules == NONE && shadowRules == NONE) {
      reader.fail(ruleSet, 'has neither "rules" nor "shadowRules": compile the policies again');
    }
    this.loadRules(reader, rules, ruleSetOf(action, false), program);
    this.loadRules(reader, shadowRules, ruleSetOf(action, true), program);
  }

  private loadRules(reader: Reader, list: Node, ruleSet: RuleSet, program: Program): void {
    if (list != NONE) this.rules[ruleSet] = Rules.load(reader, list, this.predicates, program);
  }

  /** Whether no rule set is present. A rule set without rules is present: an ALLOW set without rules allows nothing. */
  private get isEmpty(): bool {
    for (let i = 0; i < RULE_SETS; i++) {
      if (unchecked(this.rules[i]) !== null) return false;
    }
    return true;
  }

  /** The number of rules in all rule sets, enforced and dry-run. */
  get ruleCount(): i32 {
    let count = 0;
    for (let i = 0; i < RULE_SETS; i++) {
      const rules = unchecked(this.rules[i]);
      if (rules !== null) count += rules.count;
    }
    return count;
  }

  /** How many bytes `evaluateToken` writes: whole 64-bit words. */
  get tokenPredicateBytes(): i32 {
    return this.predicates.claims.tokenBytes;
  }

  /**
   * Evaluates the predicates that depend on a token alone.
   *
   * @param payload of the verified token
   * @param spaceDelimited its provider's `spaceDelimitedClaims`; `scope` and `permission` need not be among them
   * @param bits address of `tokenPredicateBytes` bytes, which are overwritten
   */
  evaluateToken(payload: JsonDocument, spaceDelimited: StaticArray<Slice>, bits: usize): void {
    this.predicates.claims.evaluate(payload, spaceDelimited, bits);
  }

  /**
   * Decides on a request. The decision is void if `request.failed` is true afterwards.
   *
   * @param tokenBits what `evaluateToken` wrote, or 0 without a verified token
   * @param decision overwritten with the decision
   */
  decide(request: Request, tokenBits: usize, decision: Decision): void {
    decision.reset();
    if (TRACING) tracePolicies();
    this.facts.begin(request, tokenBits);
    for (let ruleSet: RuleSet = 0; ruleSet < RULE_SETS && !decision.refused; ruleSet++) {
      const rules = unchecked(this.rules[ruleSet]);
      if (rules === null) continue;
      const rule = rules.firstMatch(this.facts);
      if (rule == NO_RULE) decision.addUnmatched(ruleSet);
      else decision.addMatched(ruleSet, rules.id(rule));
    }
  }

  /**
   * Reports how `decide` decided. For the report it also evaluates the rest: rules after the first match and after a
   * refusal, and the attributes that they need.
   *
   * @param payload of the verified token, in base64url; EMPTY without one
   * @param spaceDelimited its provider's `spaceDelimitedClaims`
   */
  trace(request: Request, decision: Decision, payload: Slice, spaceDelimited: StaticArray<Slice>): void {
    const facts = this.facts;
    const claims = payload == EMPTY ? EMPTY : decodeStrict(payload);
    if (claims != EMPTY && PAYLOAD.parse(claims)) {
      tracePayload(claims);
      this.predicates.claims.traceLists(PAYLOAD, spaceDelimited);
    }
    facts.learnAll(this.predicates.allAttributes);
    for (let i = 0; i < facts.held.count; i++) traceHolds(facts.held.at(i));
    for (let ruleSet: RuleSet = 0; ruleSet < RULE_SETS; ruleSet++) {
      const rules = unchecked(this.rules[ruleSet]);
      if (rules === null) continue;
      traceRuleSet(ruleSet);
      rules.trace(facts, decision.wasAsked(ruleSet));
    }
    traceDecision(decision.refused, decision.ruleId);
    // A value that cannot be read for the events does not fail the request.
    request.failed = false;
  }
}
