/** AuthorizationPolicy: its fields, and what istiod's validation and the CRD's schema refuse in them. */
import type { Position } from "../diagnostics.ts";
import { DRY_RUN } from "./annotations.ts";
import { type Attribute, OPERATION, SOURCE, whenAttribute } from "./attributes.ts";
import { closest, type Fields } from "./fields.ts";
import type { Metadata } from "./metadata.ts";
import { quote, type Report } from "./report.ts";
import type { Located } from "./yaml.ts";

export type Action = "ALLOW" | "DENY" | "AUDIT" | "CUSTOM";

export interface AuthorizationPolicy {
  action: Action;
  /** In a CUSTOM policy: the extension provider that is asked. Absent if it is not named, which is an error. */
  provider?: Located<string>;
  /** Whether it is a dry run: counted and logged only. */
  dryRun: boolean;
  rules: PolicyRule[];
}

/** Matches if any of `from`, any of `to` and all of `when` match; an empty list always matches. */
export interface PolicyRule {
  at: Position;
  from: Clause[][];
  to: Clause[][];
  when: Clause[];
}

/** One attribute: any of the values, and none of the others. */
export interface Clause {
  /** As the user wrote it: a field's name or a key. */
  name: string;
  at: Position;
  /** Absent for a key that istiod accepts without an Envoy matcher for it. */
  attribute?: Attribute;
  values: Located<string>[];
  notValues: Located<string>[];
}

const MAX_RULES = 512;
const MAX_SOURCES = 512;

export function readAuthorizationPolicy(
  spec: Fields,
  metadata: Metadata | undefined,
  report: Report,
): AuthorizationPolicy {
  const { action, provider } = readAction(spec, report);
  const rules = spec.objects("rules");
  if (rules.length > MAX_RULES) {
    report.error(spec.keyAt("rules"), `spec.rules has more than ${MAX_RULES} entries: split the policy`);
  }
  if (action === "DENY" && rules.length === 0) {
    const advice = "write a rule, or `- {}` to deny everything";
    report.error(spec.keyAt("rules"), `a DENY policy without rules would deny nothing: ${advice}`);
  }
  if (action === "CUSTOM" && rules.length === 0) {
    const advice = "write a rule, or `- {}` to ask it about every request";
    report.error(
      spec.keyAt("rules"),
      `a CUSTOM policy without rules would never ask its provider: ${advice}`,
    );
  }
  const policy = {
    action,
    ...(provider && { provider }),
    dryRun: readDryRun(metadata, action, report),
    rules: rules.map((rule) => readRule(rule, report)),
  };
  if (action === "CUSTOM") for (const rule of policy.rules) checkCustomRule(rule, report);
  return policy;
}

/**
 * istiod's validation accepts neither certificates nor tokens in a CUSTOM policy (pkg/config/validation/validation.go),
 * because its provider is asked before tokens are verified.
 */
function checkCustomRule({ from, to, when }: PolicyRule, report: Report): void {
  for (const { name, at, attribute } of [...from.flat(), ...to.flat(), ...when]) {
    const isIdentity = attribute?.source === "certificate" || attribute?.source === "token";
    if (!isIdentity && !name.startsWith("request.auth.")) continue;
    report.error(
      at,
      `Istio takes no ${name} in a CUSTOM policy, whose provider is asked before tokens are verified: choose requests by hosts, ports, methods, paths, ipBlocks, remoteIpBlocks or request.headers[NAME], and write a policy with ALLOW or DENY for the rest`,
    );
  }
}

function readAction(spec: Fields, report: Report): Pick<AuthorizationPolicy, "action" | "provider"> {
  const action = spec.string("action");
  const provider = spec.object("provider");
  const name = provider?.string("name");
  provider?.finish();
  switch (action?.value) {
    case undefined:
    case "ALLOW":
    case "DENY":
    case "AUDIT":
      if (provider) report.error(spec.keyAt("provider"), "provider goes with action: CUSTOM: remove it");
      return { action: action?.value ?? "ALLOW" };
    case "CUSTOM":
      if (name !== undefined && name.value !== "") return { action: "CUSTOM", provider: name };
      // A present value that is not a string was already reported.
      if (name !== undefined || provider?.has("name") !== true) {
        const what = "the extension provider of Istio's mesh config that is asked";
        spec.miss(`provider.name is missing: ${what}`, name?.at ?? provider?.at ?? action.at);
      }
      return { action: "CUSTOM" };
    default: {
      const meant = closest(action?.value ?? "", ["ALLOW", "DENY", "AUDIT", "CUSTOM"]);
      const advice = meant ? `did you mean ${meant}?` : "write ALLOW, DENY, AUDIT or CUSTOM";
      report.error(action?.at ?? spec.at, `unknown action ${quote(action?.value ?? "")}: ${advice}`);
      return { action: "ALLOW" };
    }
  }
}

/** Go's strconv.ParseBool. */
function readDryRun(metadata: Metadata | undefined, action: Action, report: Report): boolean {
  const annotation = metadata?.annotations.get(DRY_RUN);
  if (annotation === undefined) return false;
  if (action === "AUDIT") {
    report.error(
      annotation.at,
      `${DRY_RUN} is for ALLOW and DENY: an AUDIT policy never refuses, so remove it`,
    );
  } else if (action === "CUSTOM") {
    report.error(annotation.at, `${DRY_RUN} is for ALLOW and DENY: Istio refuses it in a CUSTOM policy`);
  } else if (!/^(1|t|T|TRUE|true|True|0|f|F|FALSE|false|False)$/.test(annotation.value)) {
    report.error(annotation.at, `${DRY_RUN} ${quote(annotation.value)} must be "true" or "false"`);
  }
  return /^(1|t|T|TRUE|true|True)$/.test(annotation.value);
}

function readRule(fields: Fields, report: Report): PolicyRule {
  const sources = fields.objects("from");
  const operations = fields.objects("to");
  const conditions = fields.objects("when");
  fields.finish();
  if (sources.length > MAX_SOURCES) {
    report.error(
      fields.keyAt("from"),
      `${fields.path}.from has more than ${MAX_SOURCES} entries: split the rule`,
    );
  }
  return {
    at: fields.at,
    from: sources.map((entry) => readPeer(entry, "source", SOURCE, report)),
    to: operations.map((entry) => readPeer(entry, "operation", OPERATION, report)),
    when: conditions.flatMap((entry) => readCondition(entry, report) ?? []),
  };
}

/** An entry of `from` or `to`. */
function readPeer(
  entry: Fields,
  name: "source" | "operation",
  attributes: Record<string, Attribute>,
  report: Report,
): Clause[] {
  const fields = entry.object(name);
  if (!entry.has(name)) entry.miss(`${entry.path}.${name} is missing: remove the entry to match all`);
  entry.finish();
  if (fields === undefined) return [];
  const before = report.diagnostics.length;
  const clauses = Object.entries(attributes).flatMap(([field, attribute]) => {
    const negated = `not${field[0]?.toUpperCase()}${field.slice(1)}`;
    const values = readValues(fields, field, attribute, report);
    const notValues = readValues(fields, negated, attribute, report);
    const at = fields.keyAt(values.length > 0 ? field : negated);
    return values.length + notValues.length > 0 ? [{ name: field, at, attribute, values, notValues }] : [];
  });
  fields.finish();
  // A misspelt field was already reported, and its author did not mean an empty entry.
  if (clauses.length === 0 && report.diagnostics.length === before) {
    report.error(
      fields.at,
      `${fields.path} must not be empty: name a field, or remove the entry to match all`,
    );
  }
  checkServiceAccounts(fields, report);
  return clauses;
}

function readValues(fields: Fields, name: string, attribute: Attribute, report: Report): Located<string>[] {
  const values = fields.strings(name);
  checkValues(values, `${fields.path}.${name}`, attribute, report);
  return values;
}

function checkValues(values: Located<string>[], name: string, attribute: Attribute, report: Report): void {
  const { maxValues, check } = attribute;
  if (maxValues !== undefined && values.length > maxValues && values[maxValues]) {
    report.error(values[maxValues].at, `${name} has more than ${maxValues} values`);
  }
  for (const value of values) {
    if (value.value === "") report.error(value.at, `${name} must not contain an empty value: remove it`);
    else check?.(value, report);
  }
}

/** The service account already names the namespace. */
function checkServiceAccounts(fields: Fields, report: Report): void {
  const named = (names: string[]) => names.find((name) => fields.has(name));
  const accounts = named(["serviceAccounts", "notServiceAccounts"]);
  const others = named(["principals", "notPrincipals", "namespaces", "notNamespaces"]);
  if (accounts === undefined || others === undefined) return;
  const advice = "write NAMESPACE/NAME, or use a source of its own";
  report.error(fields.keyAt(accounts), `${accounts} and ${others} cannot be in one source: ${advice}`);
}

function readCondition(fields: Fields, report: Report): Clause | undefined {
  const key = fields.string("key");
  const before = report.diagnostics.length;
  const values = fields.strings("values");
  const notValues = fields.strings("notValues");
  if (key?.value === "" || !fields.has("key")) fields.miss(`${fields.path}.key is missing`);
  // Values that are not strings were already reported, and their author did not mean an empty list.
  else if (values.length + notValues.length === 0 && report.diagnostics.length === before) {
    fields.miss(`${fields.path} needs values or notValues: a condition without them has no effect`, key?.at);
  }
  fields.finish();
  if (key === undefined || key.value === "") return undefined;
  const found = whenAttribute(key.value);
  if ("refused" in found) {
    report.error(key.at, found.refused);
    return undefined;
  }
  const clause: Clause = { name: key.value, at: key.at, values, notValues };
  const attribute: Attribute = "attribute" in found ? found.attribute : { expression: () => ({ or: [] }) };
  checkValues(values, `${fields.path}.values`, attribute, report);
  checkValues(notValues, `${fields.path}.notValues`, attribute, report);
  return "attribute" in found ? { ...clause, attribute } : clause;
}
