/**
 * The compiled policies of one configuration (`authorization`): RBAC as Envoy evaluates it for istiod, AUDIT before
 * DENY before ALLOW (source/extensions/filters/common/rbac/engine_impl.cc, filters/http/rbac/rbac_filter.cc).
 *
 * Predicates about the token alone are evaluated once per token, into bits. Predicates about the request are evaluated
 * once per request, and only if a rule asks for them. Nothing is allocated outside the arena.
 */
import { Records, newRecords, recordAt } from "../memory/records";
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

/** A rule set that is present. */
@unmanaged
class Entry {
  ruleSet: RuleSet;
  rules: Rules;
}

export class Engine {
  private readonly facts: Facts;
  /** The rule sets that are present, in the order of evaluation, and how many they are. */
  private readonly sets: Records;
  private setCount: i32 = 0;
  private readonly program: Program;

  /**
   * @param region holds the texts that rules and predicates point to
   * @param tables holds what requests read
   */
  private constructor(
    private readonly region: Region,
    private readonly tables: Region,
    private readonly predicates: Predicates,
  ) {
    this.program = new Program(predicates.count);
    this.facts = Facts.create(tables, predicates);
    this.sets = newRecords<Entry>(tables, RULE_SETS);
  }

  /**
   * Loads `authorization` of a configuration.
   *
   * @returns null if it is faulty; the reader has recorded why
   */
  static load(reader: Reader, authorization: Node): Engine | null {
    if (!reader.object(authorization, AUTHORIZATION_FIELDS)) return null;
    const tables = reader.tables;
    const predicates = Predicates.load(reader, reader.require(authorization, "predicates"), tables);
    const engine = new Engine(reader.region, tables, predicates);
    const program = engine.program;
    engine.loadAction(reader, reader.get(authorization, "audit"), Action.Audit);
    engine.loadAction(reader, reader.get(authorization, "deny"), Action.Deny);
    engine.loadAction(reader, reader.get(authorization, "allow"), Action.Allow);
    program.seal(predicates);
    for (let i = 0; i < engine.setCount; i++) engine.at(i).rules.seal(program);
    if (engine.isEmpty) {
      reader.fail(
        authorization,
        'has none of "audit", "deny" and "allow", and would let everything through: compile the policies again',
      );
    }
    return reader.failed ? null : engine;
  }

  private loadAction(reader: Reader, ruleSet: Node, action: Action): void {
    if (ruleSet == NONE || !reader.object(ruleSet, RULE_SET_FIELDS)) return;
    const rules = reader.get(ruleSet, "rules");
    const shadowRules = reader.get(ruleSet, "shadowRules");
    if (rules == NONE && shadowRules == NONE) {
      reader.fail(ruleSet, 'has neither "rules" nor "shadowRules": compile the policies again');
    }
    // In the order of evaluation: dry-run first.
    this.loadRules(reader, shadowRules, ruleSetOf(action, true));
    this.loadRules(reader, rules, ruleSetOf(action, false));
  }

  private loadRules(reader: Reader, list: Node, ruleSet: RuleSet): void {
    if (list == NONE) return;
    const rules = Rules.load(reader, list, this.predicates, this.program, this.tables);
    const entry = this.at(this.setCount++);
    entry.ruleSet = ruleSet;
    entry.rules = rules;
  }

  /** Whether no rule set is present. A rule set without rules is present: an ALLOW set without rules allows nothing. */
  private get isEmpty(): bool {
    return this.setCount == 0;
  }

  /** The number of rules in all rule sets, enforced and dry-run. */
  get ruleCount(): i32 {
    let count = 0;
    for (let i = 0; i < this.setCount; i++) count += this.at(i).rules.count;
    return count;
  }

  // @ts-ignore: decorator
  @inline
  private at(i: i32): Entry {
    return recordAt<Entry>(this.sets, i);
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
    for (let i = 0; i < this.setCount && !decision.refused; i++) {
      const ruleSet = this.at(i).ruleSet;
      const rules = this.at(i).rules;
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
    for (let i = 0; i < this.setCount; i++) {
      const ruleSet = this.at(i).ruleSet;
      traceRuleSet(ruleSet);
      this.at(i).rules.trace(facts, decision.wasAsked(ruleSet));
    }
    traceDecision(decision.refused, decision.ruleId);
    // A value that cannot be read for the events does not fail the request.
    request.failed = false;
  }
}
