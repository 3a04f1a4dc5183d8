/**
 * Converts rules to policies of Envoy's own RBAC (envoy.config.rbac.v3.Policy), which match the same requests: the
 * filter evaluates a rule as Envoy evaluates what istiod generates from it (istio pilot/pkg/security/authz/model,
 * matcher). For rules that Envoy has to evaluate before the filter runs.
 */
import type { Authorization, Condition, Predicate, Rule, StringMatch } from "../config/schema.ts";
import type { Message } from "./bootstrap.ts";

/** Policies of envoy.config.rbac.v3.RBAC, by their names. */
export type RbacPolicies = Record<string, Message>;

/**
 * @param rules of one action, about requests alone: hosts, methods, paths, headers, addresses, ports, server names
 * @param predicates that the rules' conditions refer to
 * @param nameOf the name of a rule's policy
 * @throws {RangeError} if a rule asks for a token or a certificate, or a condition is about both sides of a connection:
 *   the compiler makes no such rule of a CUSTOM policy
 */
export function rbacPolicies(
  rules: readonly Rule[],
  { predicates }: Pick<Authorization, "predicates">,
  nameOf: (rule: Rule) => string,
): RbacPolicies {
  return Object.fromEntries(rules.map((rule) => [nameOf(rule), policyOf(rule.condition, predicates)]));
}

/**
 * The two halves of a policy, both of which must match: `permissions` are about what is requested, `principals` about
 * the caller. Neither can express everything that the other can, so each part of a condition goes to a half that can
 * express it.
 */
type Side = "permissions" | "principals";

function policyOf(condition: Condition, predicates: readonly Predicate[]): Message {
  const parts = typeof condition === "object" && "and" in condition ? condition.and : [condition];
  const written = parts.map((part) => write(part, predicates));
  return {
    permissions: [allOf("permissions", written)],
    principals: [allOf("principals", written)],
  };
}

/** A part of a condition, for each half that can express it. */
type Written = Partial<Record<Side, Message>>;

function allOf(side: Side, parts: readonly Written[]): Message {
  const own = parts.filter((part) => sideOf(part) === side).map((part) => part[side] as Message);
  const [only, second] = own;
  if (only === undefined) return ANY;
  return second === undefined ? only : combine("and", side, own);
}

/** If both can express it, it becomes a permission. */
function sideOf(part: Written): Side {
  return part.permissions === undefined ? "principals" : "permissions";
}

const ANY: Message = { any: true };

function write(condition: Condition, predicates: readonly Predicate[]): Written {
  if (typeof condition === "number") {
    const predicate = predicates[condition];
    if (predicate === undefined) throw new RangeError(`no predicate ${condition}`);
    return writePredicate(predicate);
  }
  if ("not" in condition) {
    const inner = write(condition.not, predicates);
    return bothSides((side) => {
      const message = inner[side];
      return message && negate(side, message);
    });
  }
  const operator = "and" in condition ? "and" : "or";
  const parts = ("and" in condition ? condition.and : condition.or).map((part) => write(part, predicates));
  return bothSides((side) => {
    const own = parts.map((part) => part[side]).filter((message) => message !== undefined);
    return own.length === parts.length ? combine(operator, side, own) : undefined;
  });
}

/** @throws {RangeError} if neither half can express it */
function bothSides(say: (side: Side) => Message | undefined): Written {
  const [permissions, principals] = [say("permissions"), say("principals")];
  if (permissions === undefined && principals === undefined) {
    throw new RangeError(
      "Envoy's RBAC cannot express OR between a condition on the caller and one on the request",
    );
  }
  return { ...(permissions && { permissions }), ...(principals && { principals }) };
}

/** Envoy refuses an empty list: all of nothing is always true, any of nothing never. */
function combine(operator: "and" | "or", side: Side, parts: Message[]): Message {
  if (parts.length === 0) return operator === "and" ? ANY : negate(side, ANY);
  return side === "permissions"
    ? { [`${operator}_rules`]: { rules: parts } }
    : { [`${operator}_ids`]: { ids: parts } };
}

function negate(side: Side, message: Message): Message {
  return side === "permissions" ? { not_rule: message } : { not_id: message };
}

function writePredicate(predicate: Predicate): Written {
  if ("path" in predicate) {
    if ("template" in predicate.path) return { permissions: template(predicate.path.template) };
    return everywhere({ url_path: { path: stringMatch(predicate.path) } });
  }
  if ("host" in predicate) {
    return everywhere(
      header(":authority", { string_match: { ...stringMatch(predicate.host), ignore_case: true } }),
    );
  }
  if ("method" in predicate)
    return everywhere(header(":method", { string_match: stringMatch(predicate.method) }));
  if ("header" in predicate) {
    const { header: name, match } = predicate;
    const matcher = "present" in match ? { present_match: true } : { string_match: stringMatch(match) };
    return everywhere(header(name, matcher));
  }
  if ("destinationPort" in predicate) return { permissions: { destination_port: predicate.destinationPort } };
  if ("destinationIp" in predicate) return { permissions: { destination_ip: cidr(predicate.destinationIp) } };
  if ("sni" in predicate) return { permissions: { requested_server_name: stringMatch(predicate.sni) } };
  if ("sourceIp" in predicate) return { principals: { direct_remote_ip: cidr(predicate.sourceIp) } };
  if ("remoteIp" in predicate) return { principals: { remote_ip: cidr(predicate.remoteIp) } };
  throw new RangeError(`a CUSTOM policy cannot ask for this: ${JSON.stringify(predicate)}`);
}

function everywhere(message: Message): Written {
  return { permissions: message, principals: message };
}

function header(name: string, matcher: Message): Message {
  return { header: { name, ...matcher } };
}

function stringMatch(match: StringMatch): Message {
  return "nonEmpty" in match ? { safe_regex: { regex: ".+" } } : match;
}

function cidr(range: string): Message {
  const [address_prefix = "", bits] = range.split("/");
  return { address_prefix, prefix_len: Number(bits) };
}

/** Envoy writes the operators without braces. */
function template(text: string): Message {
  return {
    uri_template: {
      name: "envoy.path.match.uri_template.uri_template_matcher",
      typed_config: {
        "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
        path_template: text.replaceAll("{**}", "**").replaceAll("{*}", "*"),
      },
    },
  };
}
