/**
 * TokenPolicy (jwtgate.dev/v1alpha1): what RequestAuthentications have no field for. It attaches to them as Gateway API's
 * policies attach to their targets (docs/token-policy.md).
 */
import type { TokenConstraints } from "../config/constraints.ts";
import { MAX_CLOCK_SKEW_SECONDS, MAX_LIFETIME_SECONDS, TOKEN_TYPE } from "../config/schema.ts";
import type { Position } from "../diagnostics.ts";
import { parseDuration } from "./duration.ts";
import type { Fields } from "./fields.ts";
import { quote, type Report } from "./report.ts";
import { FIELDS, type TokenPolicyField } from "./token-constraints.ts";
import type { Located } from "./yaml.ts";

export interface TokenPolicy {
  /** The names of RequestAuthentications of the same namespace. */
  targets: Located<string>[];
  /** The issuers whose rules it applies to; absent for all rules. */
  issuers?: Located<string>[];
  values: TokenConstraints;
  /** The positions of the fields that are set. */
  fields: Partial<Record<TokenPolicyField, Position>>;
}

const MAX_TARGET_REFS = 16;

/** Fields that are planned. A policy with one of them must not seem to be enforced. */
const UNSUPPORTED = ["senderConstraint", "revocation", "introspection", "resource", "mcp"];

/** The kind of its targets. */
export const TARGET_KIND = "RequestAuthentication";
const TARGET_GROUP = "security.istio.io";

/** @param report receives the faults */
export function readTokenPolicy(spec: Fields, report: Report): TokenPolicy {
  const targets = readTargets(spec, report);
  const issuers = readIssuers(spec, report);
  const tokenTypes = readTokenTypes(spec, report);
  const requireType = spec.boolean("requireType");
  const requiredClaims = readNames(spec, "requiredClaims", report);
  const maxLifetime = readSeconds(spec, "maxLifetime", [1, MAX_LIFETIME_SECONDS], report);
  const clockSkew = readSeconds(spec, "clockSkew", [0, MAX_CLOCK_SKEW_SECONDS], report);
  if (requireType && !spec.has("tokenTypes")) {
    report.error(spec.keyAt("requireType"), "requireType needs tokenTypes: write tokenTypes: [at+jwt]");
  }
  for (const name of UNSUPPORTED) {
    if (spec.has(name)) report.error(spec.keyAt(name), `spec.${name} is not supported yet: remove it`);
  }
  const names = Object.keys(FIELDS) as TokenPolicyField[];
  const set = names.filter((name) => spec.has(name));
  if (set.length === 0 && !UNSUPPORTED.some((name) => spec.has(name)))
    spec.miss(`this TokenPolicy asks nothing of tokens: write one of ${names.join(", ")}`);
  return {
    targets,
    ...(issuers && { issuers }),
    values: {
      ...(tokenTypes && { tokenTypes }),
      ...(requireType && { requireTokenType: true }),
      ...(requiredClaims && { requiredClaims }),
      ...(maxLifetime !== undefined && { maxLifetimeSeconds: maxLifetime }),
      ...(clockSkew !== undefined && { clockSkewSeconds: clockSkew }),
    },
    fields: Object.fromEntries(set.map((name) => [name, spec.keyAt(name)])),
  };
}

function readTargets(spec: Fields, report: Report): Located<string>[] {
  const references = spec.objects("targetRefs");
  const advice = `write targetRefs: [{kind: ${TARGET_KIND}, name: NAME}]`;
  if (!spec.has("targetRefs")) spec.miss(`spec.targetRefs is missing: ${advice}`);
  if (spec.isEmptyList("targetRefs"))
    report.error(spec.keyAt("targetRefs"), `spec.targetRefs is empty: ${advice}`);
  if (references.length > MAX_TARGET_REFS) {
    report.error(spec.keyAt("targetRefs"), `spec.targetRefs has more than ${MAX_TARGET_REFS} entries`);
  }
  return references.flatMap((fields) => readTarget(fields, report) ?? []);
}

function readTarget(fields: Fields, report: Report): Located<string> | undefined {
  const group = fields.string("group");
  const kind = fields.string("kind");
  const name = fields.string("name");
  for (const field of ["kind", "name"] as const) {
    if (!fields.has(field) || fields.string(field)?.value === "")
      fields.miss(`${fields.path}.${field} is missing`, fields.keyAt(field));
  }
  const namespace = fields.string("namespace");
  fields.finish();
  if (namespace && namespace.value !== "") {
    report.error(namespace.at, `${fields.path} must be in the policy's own namespace: remove namespace`);
  }
  if (!kind?.value || !name?.value) return undefined;
  if (kind.value !== TARGET_KIND) {
    report.error(kind.at, `a TokenPolicy attaches to a ${TARGET_KIND}, not to ${quote(kind.value)}`);
    return undefined;
  }
  if (group && group.value !== "" && group.value !== TARGET_GROUP) {
    report.error(group.at, `the group of ${TARGET_KIND} is ${TARGET_GROUP}: write that, or remove group`);
    return undefined;
  }
  return name;
}

function readIssuers(spec: Fields, report: Report): Located<string>[] | undefined {
  if (!spec.has("issuers")) return undefined;
  const issuers = spec.strings("issuers");
  if (spec.isEmptyList("issuers"))
    report.error(spec.keyAt("issuers"), "spec.issuers selects no rule: leave it out for all rules");
  return issuers;
}

/** Media types as the filter compares them: in lower case, without `application/`. Each once. */
function readTokenTypes(spec: Fields, report: Report): string[] | undefined {
  if (!spec.has("tokenTypes")) return undefined;
  const types = new Set<string>();
  for (const { value, at } of spec.strings("tokenTypes")) {
    const type = value.toLowerCase().replace(/^application\/(?=[^/]*$)/, "");
    if (TOKEN_TYPE.test(type)) types.add(type);
    else report.error(at, `${quote(value)} is not a media type without parameters: write one like at+jwt`);
  }
  reportEmpty(spec, "tokenTypes", "leave it out to accept any type", report);
  return [...types];
}

/** Names of claims, each once. */
function readNames(spec: Fields, name: "requiredClaims", report: Report): string[] | undefined {
  if (!spec.has(name)) return undefined;
  const names = new Set<string>();
  for (const { value, at } of spec.strings(name)) {
    if (value === "") report.error(at, `spec.${name} must not contain an empty value: remove it`);
    else names.add(value);
  }
  reportEmpty(spec, name, "leave it out to require no claim", report);
  return [...names];
}

function reportEmpty(spec: Fields, name: string, advice: string, report: Report): void {
  if (spec.isEmptyList(name)) report.error(spec.keyAt(name), `spec.${name} is empty: ${advice}`);
}

function readSeconds(
  spec: Fields,
  field: "maxLifetime" | "clockSkew",
  [least, most]: [number, number],
  report: Report,
): number | undefined {
  const text = spec.string(field);
  if (text === undefined) return undefined;
  const milliseconds = parseDuration(text.value);
  const name = `spec.${field} ${quote(text.value)}`;
  if (milliseconds === undefined) {
    report.error(text.at, `${name} is not a duration: write a number with its unit, such as 30s or 1h`);
  } else if (milliseconds < least * 1000) {
    report.error(text.at, `${name} is too short: at least ${least}s`);
  } else if (milliseconds % 1000 !== 0) {
    report.error(text.at, `${name} is too fine: whole seconds only`);
  } else if (milliseconds > most * 1000) {
    report.error(text.at, `${name} is too long: at most ${most}s`);
  } else {
    return milliseconds / 1000;
  }
  return undefined;
}
