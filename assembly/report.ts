/**
 * What the filter reports about a request besides its answer: counters, filter state for access logs, and log lines.
 */
import { logInfo, loggable } from "./abi/log";
import { setProperty } from "./abi/property";
import { EMPTY, Slice, Text, lengthOf, textOf } from "./memory/slice";
import { VerifiedToken } from "./authn/verified-token";
import { Decision, RuleSet } from "./authz/decision";
import { ByteBuilder } from "./encoding/byte-builder";
import { Request } from "./http/request";
import { Counter } from "./metrics";
import { Plugin } from "./plugin";

const REASON_PROPERTY = new Text("jwtgate.reason");
const POLICY_PROPERTY = new Text("jwtgate.policy");
const PRINCIPAL_PROPERTY = new Text("jwtgate.principal");
const ALLOWED = new Text("allowed");
const SLASH = new Text("/");

const builder = new ByteBuilder();

/** Reports that a request passes. @param decision of the policies, or null if there are none */
export function reportAllowed(
  plugin: Plugin,
  verified: VerifiedToken | null,
  decision: Decision | null,
): void {
  plugin.counters.allowed.add(1);
  setFilterState(plugin, verified, ALLOWED.slice, decision ? decision.ruleId : EMPTY);
}

/** Reports a refusal. @param ruleId the rule that decided, or EMPTY */
export function reportRefused(
  plugin: Plugin,
  counter: Counter,
  verified: VerifiedToken | null,
  reason: Slice,
  ruleId: Slice,
): void {
  setFilterState(plugin, verified, reason, ruleId);
  if (!plugin.shadow) counter.add(1);
}

/** Reports the refusal that a request would have got outside shadow. */
export function reportShadowRefusal(plugin: Plugin, request: Request, reason: Slice): void {
  report(plugin, request, plugin.counters.shadowDenied, "shadow would refuse", reason);
}

/** Counts and logs policies' results that change no answer: AUDIT and dry-run. */
export function reportUnenforced(plugin: Plugin, request: Request, decision: Decision): void {
  const counters = plugin.counters;
  for (let left = decision.unenforced; left != 0; left &= left - 1) {
    const ruleSet: RuleSet = ctz(left);
    const ruleId = decision.firstMatch(ruleSet);
    if (ruleSet == RuleSet.Audit) report(plugin, request, counters.audited, "AUDIT matched", ruleId);
    else if (ruleSet == RuleSet.DryRunAudit)
      report(plugin, request, counters.audited, "dry-run AUDIT matched", ruleId);
    else report(plugin, request, counters.dryRunDenied, "dry-run would refuse", ruleId);
  }
}

/**
 * Writes the decision into filter state, for access logs. Nothing depends on it, so a host that refuses it is ignored.
 *
 * @param verified the token whose issuer and subject are the principal; null for none
 * @param reason `allowed`, or the body of the refusal
 */
function setFilterState(plugin: Plugin, verified: VerifiedToken | null, reason: Slice, ruleId: Slice): void {
  if (!plugin.filterState) return;
  setProperty(REASON_PROPERTY.slice, reason);
  if (ruleId != EMPTY) setProperty(POLICY_PROPERTY.slice, ruleId);
  if (!verified) return;
  const principal = builder
    .begin(lengthOf(verified.issuer) + lengthOf(verified.subject) + 1)
    .appendPrintable(verified.issuer)
    .append(SLASH.slice)
    .appendPrintable(verified.subject).slice;
  setProperty(PRINCIPAL_PROPERTY.slice, principal);
}

/** The log line shows method, host and path, never a header, so that no token is logged. */
function report(plugin: Plugin, request: Request, counter: Counter, what: string, why: Slice): void {
  counter.add(1);
  if (!plugin.decisionLog.take()) return;
  const reason = why == EMPTY ? "none" : textOf(why);
  logInfo(
    `jwtgate: ${what}: ${reason} method=${loggable(request.method)} authority=${loggable(request.authority)} path=${loggable(request.path)}`,
  );
}
