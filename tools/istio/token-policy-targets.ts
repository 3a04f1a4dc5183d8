/** Attaches TokenPolicies to RequestAuthentications, and reports what contradicts. */
import { formatPosition, type Position } from "../diagnostics.ts";
import { closest } from "./fields.ts";
import { quote, type Report } from "./report.ts";
import type { RequestAuthentication } from "./request-authentication.ts";
import type { RequestAuthenticationResource, TokenPolicyResource } from "./resource.ts";
import { nameOf, reportElsewhere } from "./selection.ts";
import type { SetField, TokenPolicyField } from "./token-constraints.ts";
import { TARGET_KIND } from "./token-policy.ts";

/**
 * Attaches TokenPolicies to the rules of the RequestAuthentications that they target.
 *
 * @param isLeftOut whether a RequestAuthentication is certainly not compiled; what is wrong with its policies then does
 *   not count
 * @returns the RequestAuthentications with the constraints of their rules, by their names
 */
export function attachTokenPolicies(
  policies: readonly TokenPolicyResource[],
  authentications: readonly RequestAuthenticationResource[],
  isLeftOut: (authentication: RequestAuthenticationResource) => boolean,
  report: Report,
): Map<string, RequestAuthenticationResource> {
  const known = new Map(authentications.map((one) => [nameOf(one), one]));
  const conflicts = new Set<string>();
  for (const policy of policies) {
    const targets = targetsOf(policy, known);
    if (targets.length > 0 && targets.every(({ resource }) => resource && isLeftOut(resource))) {
      reportElsewhere(policy, report);
      continue;
    }
    report.addAll(policy.faults);
    for (const { resource, at, name } of targets) if (resource === undefined) reportMissing(name, at, report);
    const found = targets.flatMap(({ resource }) => resource ?? []);
    reportUnknownIssuers(policy, found, targets.length > found.length, report);
    for (const target of new Set(found)) {
      const spec = attach(policy, target.spec, (message, at) => {
        if (isLeftOut(target) || conflicts.has(message)) return;
        conflicts.add(message);
        report.error(at, message);
      });
      known.set(nameOf(target), { ...target, spec });
    }
  }
  return known;
}

/** The targets of a policy: each with its full name, and without a resource if the input lacks it. */
export function targetsOf(
  { spec, metadata }: TokenPolicyResource,
  authentications: ReadonlyMap<string, RequestAuthenticationResource>,
): { name: string; at: Position; resource: RequestAuthenticationResource | undefined }[] {
  return spec.targets.map(({ value, at }) => {
    const name = `${TARGET_KIND} ${metadata.namespace}/${value}`;
    return { name, at, resource: authentications.get(name) };
  });
}

function reportMissing(name: string, at: Position, report: Report): void {
  report.error(at, `there is no ${name} here: correct the name, or add the file that has it`);
}

/** @param isIncomplete whether a target is missing, whose issuers are not known */
function reportUnknownIssuers(
  { spec: { issuers = [] } }: TokenPolicyResource,
  targets: readonly RequestAuthenticationResource[],
  isIncomplete: boolean,
  report: Report,
): void {
  if (isIncomplete) return;
  const known = new Set(
    targets.flatMap(({ spec }) => spec.jwtRules.flatMap(({ issuer }) => issuer?.value ?? [])),
  );
  for (const { value, at } of issuers) {
    if (known.has(value)) continue;
    const meant = closest(value, known);
    const advice =
      meant === undefined ? "name the issuer of one of their rules" : `did you mean ${quote(meant)}?`;
    report.error(at, `no rule of the targets has the issuer ${quote(value)}: ${advice}`);
  }
}

/** The rules of a target with the constraints of one more policy. */
function attach(
  policy: TokenPolicyResource,
  { jwtRules }: RequestAuthentication,
  conflict: (message: string, at: Position) => void,
): RequestAuthentication {
  const { issuers, values, fields } = policy.spec;
  const names = Object.keys(fields) as TokenPolicyField[];
  return {
    jwtRules: jwtRules.map((rule) => {
      const isMeant = issuers === undefined || issuers.some(({ value }) => value === rule.issuer?.value);
      if (!isMeant) return rule;
      const before = rule.constraints;
      for (const name of names) {
        const other = before?.fields[name];
        const at = fields[name];
        if (other && at) conflict(alreadySet(name, rule.issuer?.value, other), at);
      }
      const own = names.map((name) => [name, { at: fields[name], policy: nameOf(policy) }]);
      const constraints = {
        values: { ...before?.values, ...values },
        fields: { ...before?.fields, ...Object.fromEntries(own) },
      };
      return { ...rule, constraints };
    }),
  };
}

function alreadySet(field: string, issuer: string | undefined, { policy, at }: SetField): string {
  const whose = issuer === undefined ? "a rule without an issuer" : `the issuer ${quote(issuer)}`;
  return `${policy} (${formatPosition(at)}) already sets ${field} for ${whose}: keep one of the two`;
}
