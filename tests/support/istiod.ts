/**
 * The filters that istiod generates from a RequestAuthentication's rules and from AuthorizationPolicies: Envoy's own,
 * written from docs/semantics.md and not from jwtgate's compiler, which is compared with them. Only the fields that
 * random policies use are supported.
 */
import type { Message } from "../../tools/render/bootstrap.ts";
import { ANY, claim, jwtAuthn, NON_EMPTY, provider } from "./native.ts";

/** A jwtRule with its keys. */
export interface JwtRule {
  /** Absent: any issuer. */
  issuer?: string;
  jwks: string;
  audiences?: string[];
  fromHeaders?: { name: string; prefix?: string }[];
  fromParams?: string[];
  fromCookies?: string[];
  forwardOriginalToken?: boolean;
  outputPayloadToHeader?: string;
  outputClaimToHeaders?: { header: string; claim: string }[];
  spaceDelimitedClaims?: string[];
  presence?: "REQUIRED";
}

/** An AuthorizationPolicy's rule: the part about tokens and request lines. */
export interface Rule {
  from?: { source: { requestPrincipals?: string[]; notRequestPrincipals?: string[] } }[];
  to?: { operation: { methods?: string[]; notMethods?: string[]; paths?: string[]; notPaths?: string[] } }[];
  when?: { key: string; values?: string[]; notValues?: string[] }[];
}

/** An AuthorizationPolicy in a namespace that has no other of its name. */
export interface Policy {
  name: string;
  action: "ALLOW" | "DENY" | "AUDIT";
  rules: Rule[];
}

/** The filters, in their order. */
export function istiodFilters(rules: readonly JwtRule[], policies: readonly Policy[]): Message[] {
  const filters = rules.length === 0 ? [] : [authentication(rules)];
  for (const action of ["AUDIT", "DENY", "ALLOW"] as const) {
    const chosen = policies.filter((policy) => policy.action === action);
    if (chosen.length > 0) filters.push(authorization(action, chosen));
  }
  return filters;
}

/** The order of the providers: by issuer, a missing one first; rules of one issuer keep their order. */
export function inProviderOrder<T extends { issuer?: string }>(rules: readonly T[]): T[] {
  return [...rules].sort(({ issuer: a = "" }, { issuer: b = "" }) => (a < b ? -1 : a > b ? 1 : 0));
}

function authentication(rules: readonly JwtRule[]): Message {
  const ordered = inProviderOrder(rules);
  const nameOf = (index: number): Message => ({ provider_name: `origins-${index}` });
  const anyOf = (...requirements: Message[]): Message => ({ requires_any: { requirements } });
  const allOf = (requirements: Message[]): Message => ({ requires_all: { requirements } });
  const optional = (index: number): Message => anyOf(nameOf(index), { allow_missing: {} });
  const own = ordered.map(({ presence }, index) =>
    presence === "REQUIRED" ? nameOf(index) : optional(index),
  );
  const [only, ...others] = own;
  const requires =
    others.length === 0 && only !== undefined
      ? only
      : ordered.some(({ presence }) => presence === "REQUIRED")
        ? allOf(own)
        : anyOf(...ordered.map((_, index) => nameOf(index)), allOf(own));
  return jwtAuthn(
    Object.fromEntries(ordered.map((rule, index) => [`origins-${index}`, providerOf(rule)])),
    requires,
  );
}

function providerOf(rule: JwtRule): Message {
  return provider(rule.issuer ?? "", rule.jwks, {
    audiences: rule.audiences ?? [],
    from_headers: (rule.fromHeaders ?? []).map(({ name, prefix = "" }) => ({ name, value_prefix: prefix })),
    from_params: rule.fromParams ?? [],
    from_cookies: rule.fromCookies ?? [],
    forward: rule.forwardOriginalToken ?? false,
    forward_payload_header: rule.outputPayloadToHeader ?? "",
    claim_to_headers: (rule.outputClaimToHeaders ?? []).map((output) => ({
      header_name: output.header,
      claim_name: output.claim,
    })),
    normalize_payload_in_metadata: {
      space_delimited_claims: ["permission", "scope", ...(rule.spaceDelimitedClaims ?? [])],
    },
  });
}

function authorization(action: Policy["action"], policies: readonly Policy[]): Message {
  const entries = policies.flatMap(({ name, rules }) =>
    rules.map((rule, index) => [`ns[foo]-policy[${name}]-rule[${index}]`, policyOf(rule)]),
  );
  return {
    name: `envoy.filters.http.rbac.${action}`,
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
      rules: { action: action === "AUDIT" ? "LOG" : action, policies: Object.fromEntries(entries) },
    },
  };
}

function policyOf({ from, to, when = [] }: Rule): Message {
  const conditions = when.flatMap(({ key, values, notValues }) =>
    matches(values, notValues, (value) => conditionOf(key, value), PRINCIPAL),
  );
  const principals = (from ?? [{ source: {} }]).map(({ source }) => [
    ...matches(source.requestPrincipals, source.notRequestPrincipals, requestPrincipal, PRINCIPAL),
    ...conditions,
  ]);
  const permissions = (to ?? [{ operation: {} }]).map(({ operation }) => [
    ...matches(operation.methods, operation.notMethods, (value) => header(":method", value), PERMISSION),
    ...matches(operation.paths, operation.notPaths, path, PERMISSION),
  ]);
  return {
    principals: principals.map((all) => ({ and_ids: { ids: all.length > 0 ? all : [ANY] } })),
    permissions: permissions.map((all) => ({ and_rules: { rules: all.length > 0 ? all : [ANY] } })),
  };
}

/** How alternatives and their negation are written on either side of a policy. */
interface Side {
  or: string;
  list: string;
  not: string;
}
const PRINCIPAL: Side = { or: "or_ids", list: "ids", not: "not_id" };
const PERMISSION: Side = { or: "or_rules", list: "rules", not: "not_rule" };

function matches(
  values: readonly string[] = [],
  notValues: readonly string[] = [],
  make: (value: string) => Message,
  side: Side,
): Message[] {
  const any = (of: readonly string[]): Message => ({ [side.or]: { [side.list]: of.map(make) } });
  return [
    ...(values.length > 0 ? [any(values)] : []),
    ...(notValues.length > 0 ? [{ [side.not]: any(notValues) }] : []),
  ];
}

function conditionOf(key: string, value: string): Message {
  const names = [...key.matchAll(/\[([^\]]*)\]/g)].map(([, name = ""]) => name);
  switch (key.replace(/\[.*/, "")) {
    case "request.headers":
      return header(names[0] ?? "", value);
    case "request.auth.claims":
      return claim(names, stringMatch(value));
    case "request.auth.audiences":
      return claim("aud", stringMatch(value));
    case "request.auth.presenter":
      return claim("azp", stringMatch(value));
    case "request.auth.principal":
      return requestPrincipal(value);
  }
  throw new Error(`${key} has no form here`);
}

/** Istio's patterns. */
function stringMatch(value: string): Message {
  if (value === "*") return NON_EMPTY;
  if (value.startsWith("*")) return { suffix: value.slice(1) };
  return value.endsWith("*") ? { prefix: value.slice(0, -1) } : { exact: value };
}

function header(name: string, value: string): Message {
  return {
    header: { name, ...(value === "*" ? { present_match: true } : { string_match: stringMatch(value) }) },
  };
}

function path(value: string): Message {
  return { url_path: { path: stringMatch(value) } };
}

/** ISS/SUB, split at the last slash; a star is at one end, and without a slash the other side is anything. */
function requestPrincipal(value: string): Message {
  const slash = value.lastIndexOf("/");
  const [issuer, subject] = slash < 0 ? [value, ""] : [value.slice(0, slash), value.slice(slash + 1)];
  const both = (iss: Message, sub: Message): Message => ({
    and_ids: { ids: [ofToken("iss", iss), ofToken("sub", sub)] },
  });
  if (value === "*") return both(NON_EMPTY, NON_EMPTY);
  if (value.startsWith("*")) {
    return slash < 0 ? both(NON_EMPTY, stringMatch(value)) : both(stringMatch(issuer), { exact: subject });
  }
  if (value.endsWith("*")) {
    return slash < 0 ? both(stringMatch(value), NON_EMPTY) : both({ exact: issuer }, stringMatch(subject));
  }
  return both({ exact: issuer }, { exact: subject });
}

/** A claim that is a string. */
function ofToken(name: string, match: Message): Message {
  return {
    metadata: {
      filter: "envoy.filters.http.jwt_authn",
      path: [{ key: "payload" }, { key: name }],
      value: { string_match: match },
    },
  };
}
