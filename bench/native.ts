/**
 * The same policies for Envoy's own filters, `jwt_authn` and `rbac`, in the form that istiod writes
 * (docs/semantics.md): conditions on the request in a policy's permissions, conditions on the caller in its principals.
 * Only the conditions of the benchmark's policies are supported.
 */
import type {
  Condition,
  Configuration,
  Predicate,
  Provider,
  RuleSet,
  StringMatch,
} from "../tools/config/schema.ts";
import type { Message } from "../tools/render/bootstrap.ts";

const JWT_AUTHN = "envoy.filters.http.jwt_authn";
/** The key of the payload in the request's metadata, as in istiod. */
const PAYLOAD = "payload";

export interface NativeOptions {
  /** Entries of jwt_authn's own token cache; absent for no cache. */
  cacheSize?: number;
}

/** The HTTP filters that implement the same configuration. */
export function nativeFilters(configuration: Configuration, options: NativeOptions = {}): Message[] {
  const { providers = [], authorization } = configuration;
  const predicates = authorization?.predicates ?? [];
  return [
    jwtAuthn(providers, options),
    ...(authorization?.deny ? [rbac("DENY", authorization.deny, predicates)] : []),
    ...(authorization?.allow ? [rbac("ALLOW", authorization.allow, predicates)] : []),
  ];
}

function jwtAuthn(providers: readonly Provider[], { cacheSize }: NativeOptions): Message {
  const [only, ...others] = providers;
  if (only === undefined || others.length > 0) throw new Error("the benchmark has one provider");
  const { name, issuer, audiences, localJwks, fromHeaders = [], fromParams = [], forward = false } = only;
  return {
    name: JWT_AUTHN,
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
      providers: {
        [name]: {
          issuer,
          audiences,
          local_jwks: { inline_string: JSON.stringify(localJwks) },
          from_headers: fromHeaders.map((place) => ({ name: place.name, value_prefix: place.valuePrefix })),
          from_params: fromParams,
          forward,
          payload_in_metadata: PAYLOAD,
          normalize_payload_in_metadata: { space_delimited_claims: ["permission", "scope"] },
          ...(cacheSize !== undefined && { jwt_cache_config: { jwt_cache_size: cacheSize } }),
        },
      },
      rules: [
        {
          match: { prefix: "/" },
          requires: { requires_any: { requirements: [{ provider_name: name }, { allow_missing: {} }] } },
        },
      ],
      bypass_cors_preflight: true,
    },
  };
}

function rbac(action: "ALLOW" | "DENY", { rules = [] }: RuleSet, predicates: readonly Predicate[]): Message {
  const policies = rules.map(({ id, condition }) => [id, policy(condition, predicates)]);
  return {
    name: "envoy.filters.http.rbac",
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
      rules: { action, policies: Object.fromEntries(policies) },
    },
  };
}

/** How a list of conditions, their alternatives and their negation are written on either side of a policy. */
interface Side {
  and: string;
  or: string;
  not: string;
  list: string;
}
const PERMISSION: Side = { and: "and_rules", or: "or_rules", not: "not_rule", list: "rules" };
const PRINCIPAL: Side = { and: "and_ids", or: "or_ids", not: "not_id", list: "ids" };

function policy(condition: Condition, predicates: readonly Predicate[]): Message {
  const parts = typeof condition === "object" && "and" in condition ? condition.and : [condition];
  const isOfSender = (part: Condition): boolean =>
    leavesOf(part).every((index) => {
      const predicate = predicates[index] ?? {};
      return "claim" in predicate || "header" in predicate;
    });
  const all = (side: Side, of: Condition[]): Message[] => {
    if (of.length === 0) return [{ any: true }];
    return [{ [side.and]: { [side.list]: of.map((part) => translate(part, side, predicates)) } }];
  };
  return {
    permissions: all(
      PERMISSION,
      parts.filter((part) => !isOfSender(part)),
    ),
    principals: all(PRINCIPAL, parts.filter(isOfSender)),
  };
}

/** The predicates that a condition is made of. */
function leavesOf(condition: Condition): number[] {
  if (typeof condition === "number") return [condition];
  if ("not" in condition) return leavesOf(condition.not);
  return ("and" in condition ? condition.and : condition.or).flatMap(leavesOf);
}

function translate(condition: Condition, side: Side, predicates: readonly Predicate[]): Message {
  const list = (of: Condition[]): Message => ({
    [side.list]: of.map((part) => translate(part, side, predicates)),
  });
  if (typeof condition === "number") return leaf(predicates[condition]);
  if ("not" in condition) return { [side.not]: translate(condition.not, side, predicates) };
  return "and" in condition ? { [side.and]: list(condition.and) } : { [side.or]: list(condition.or) };
}

function leaf(predicate: Predicate | undefined): Message {
  if (predicate === undefined) throw new Error("a condition names a predicate that is not there");
  if ("claim" in predicate) return { metadata: claimMatcher(predicate.claim, predicate.match) };
  if ("header" in predicate) {
    const { header, match } = predicate;
    return {
      header: {
        name: header,
        ...("present" in match ? { present_match: true } : { string_match: stringMatcher(match) }),
      },
    };
  }
  if ("host" in predicate) {
    return {
      header: { name: ":authority", string_match: { ...stringMatcher(predicate.host), ignore_case: true } },
    };
  }
  if ("method" in predicate) {
    return { header: { name: ":method", string_match: stringMatcher(predicate.method) } };
  }
  if ("path" in predicate) {
    const { path } = predicate;
    return "template" in path
      ? { uri_template: uriTemplate(path.template) }
      : { url_path: { path: stringMatcher(path) } };
  }
  throw new Error(`the benchmark has no native form of ${JSON.stringify(predicate)}`);
}

/** `iss` and `sub` are strings; any other claim may be a list with the value in it. */
function claimMatcher(claim: readonly string[], match: StringMatch): Message {
  const value = { string_match: stringMatcher(match) };
  const isPrincipal = claim.length === 1 && (claim[0] === "iss" || claim[0] === "sub");
  return {
    filter: JWT_AUTHN,
    path: [PAYLOAD, ...claim].map((key) => ({ key })),
    value: isPrincipal ? value : { or_match: { value_matchers: [{ list_match: { one_of: value } }, value] } },
  };
}

function stringMatcher(match: StringMatch): Message {
  return "nonEmpty" in match ? { safe_regex: { regex: ".+" } } : match;
}

function uriTemplate(template: string): Message {
  return {
    name: "uri-template",
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
      path_template: template.replaceAll("{**}", "**").replaceAll("{*}", "*"),
    },
  };
}
