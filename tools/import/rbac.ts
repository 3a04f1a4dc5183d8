/**
 * Converts Envoy's RBAC (envoy.config.rbac.v3.RBAC) to conditions. Envoy's
 * source/extensions/filters/common/rbac/matchers.cc defines what each condition matches.
 */
import type { Position } from "../diagnostics.ts";
import { quote } from "../istio/report.ts";
import type { Claims } from "./claims.ts";
import {
  certificateCondition,
  missing,
  readCidr,
  readHeaderMatcher,
  readPathMatcher,
  templateCondition,
  textCondition,
} from "./conditions.ts";
import { ALWAYS, all, any, type Expression, not, without } from "./expression.ts";
import type { Message } from "./message.ts";
import { readStringMatcher } from "./patterns.ts";

export const ACTIONS = ["ALLOW", "DENY", "LOG"] as const;

/** A policy of an RBAC filter. */
export interface RbacPolicy {
  id: string;
  at: Position;
  condition: Expression;
}

/** The policies of one action. */
export interface RbacRules {
  action: (typeof ACTIONS)[number];
  at: Position;
  policies: RbacPolicy[];
}

/** The context of conditions. */
export interface RbacContext {
  claims: Claims;
  /** Whether a PROXY protocol header may give the connection another address than the peer's. */
  hasProxyProtocol: boolean;
}

/** Reads an envoy.config.rbac.v3.RBAC. */
export function readRules(message: Message, context: RbacContext): RbacRules {
  const action = message.enumeration("action", ACTIONS) ?? "DENY";
  if (message.has("audit_logging_options")) {
    message.report.warning(
      message.keyAt("audit_logging_options"),
      "Istio has no audit loggers for policies: these no longer log; no answer changes",
    );
  }
  message.ignore("audit_logging_options");
  const policies = message.map("policies").map(({ key, value }) => ({
    id: key.value,
    at: key.at,
    condition: readPolicy(value, context),
  }));
  message.finish();
  return { action, at: message.at, policies };
}

function readPolicy(message: Message, context: RbacContext): Expression {
  const permissions = message
    .messages("permissions")
    .map((one) => new Reader("permission", context).read(one));
  const principals = message.messages("principals").map((one) => new Reader("principal", context).read(one));
  const condition = ["condition", "checked_condition", "cel_config"].find((name) => message.has(name));
  const isWritten = message.has("permissions") && message.has("principals");
  const cel = condition && message.keyAt(condition);
  message.ignore("condition", "checked_condition", "cel_config");
  message.finish();
  if (!isWritten) return missing(message);
  return all(
    any(...permissions),
    any(...principals),
    ...(cel ? [without(cel, "Istio has no CEL expressions in policies")] : []),
  );
}

/** Both messages are trees of the same form. */
class Reader {
  constructor(
    private readonly side: "permission" | "principal",
    private readonly context: RbacContext,
  ) {}

  read(message: Message): Expression {
    const names = [...message.node.entries.keys()];
    const kind = message.oneOf(...(this.side === "permission" ? PERMISSIONS : PRINCIPALS));
    const found = kind === undefined ? missing(message) : this.condition(message, kind);
    message.finish();
    if (kind === undefined && names.length === 0) {
      message.report.error(message.at, `${message.path} is empty: write any: true if everything is meant`);
    }
    return found;
  }

  private condition(message: Message, kind: string): Expression {
    const at = message.keyAt(kind);
    switch (kind) {
      case "any":
        if (message.boolean("any")) return ALWAYS;
        return without(at, "Envoy refuses any: false");
      case "and_rules":
      case "and_ids":
        return this.conjunction(this.set(message, kind));
      case "or_rules":
      case "or_ids":
        return any(...this.set(message, kind));
      case "destination_port":
        return ports([message.integer("destination_port") ?? 0], at);
      case "matcher":
        message.ignore("matcher");
        return without(at, "Istio has no equivalent for matchers that are extensions");
      case "custom":
        message.ignore("custom");
        return without(at, "Istio has no equivalent for principals that are extensions");
    }
    const inner = message.message(kind);
    return inner === undefined ? missing(message) : this.inner(inner, kind);
  }

  private set(message: Message, kind: string): Expression[] {
    const set = message.message(kind);
    const found = set?.messages(this.side === "permission" ? "rules" : "ids").map((one) => this.read(one));
    set?.finish();
    if (set && found?.length === 0) return [missing(set)];
    return found ?? [missing(message)];
  }

  /** An issuer and a subject together are a request principal. */
  private conjunction(conditions: Expression[]): Expression {
    return this.context.claims.requestPrincipal(conditions) ?? all(...conditions);
  }

  private inner(message: Message, kind: string): Expression {
    switch (kind) {
      case "not_rule":
      case "not_id":
        return not(this.read(message));
      case "header":
        return readHeaderMatcher(message, "each");
      case "url_path":
        return readPathMatcher(message);
      case "destination_ip":
        return readCidr("destination.ip", message);
      case "direct_remote_ip":
        return readCidr("ipBlocks", message);
      case "remote_ip":
        return readCidr("remoteIpBlocks", message);
      case "source_ip": {
        const range = readCidr("ipBlocks", message);
        if (!this.context.hasProxyProtocol) return range;
        return without(
          message.at,
          "source_ip is the address that the PROXY protocol names, and Istio's ipBlocks the peer's own",
        );
      }
      case "destination_port_range":
        return portRange(message);
      case "metadata":
        return this.context.claims.read(message);
      case "sourced_metadata":
        return this.sourcedMetadata(message);
      case "requested_server_name": {
        const matcher = readStringMatcher(message);
        return matcher ? textCondition("connection.sni", matcher) : missing(message);
      }
      case "uri_template":
        return uriTemplate(message);
      case "authenticated":
        return authenticated(message);
      case "filter_state":
        return filterState(message);
    }
    return missing(message);
  }

  private sourcedMetadata(message: Message): Expression {
    const metadata = message.message("metadata_matcher");
    const source = message.enumeration("metadata_source", ["DYNAMIC", "ROUTE"]);
    message.finish();
    if (source === "ROUTE") {
      metadata?.ignore();
      return without(message.at, "Istio's policies cannot see the metadata of routes");
    }
    return metadata ? this.context.claims.read(metadata) : missing(message);
  }
}

const PERMISSIONS = [
  "and_rules",
  "or_rules",
  "any",
  "header",
  "url_path",
  "destination_ip",
  "destination_port",
  "destination_port_range",
  "metadata",
  "not_rule",
  "requested_server_name",
  "matcher",
  "uri_template",
  "sourced_metadata",
];
const PRINCIPALS = [
  "and_ids",
  "or_ids",
  "any",
  "authenticated",
  "source_ip",
  "direct_remote_ip",
  "remote_ip",
  "header",
  "url_path",
  "metadata",
  "filter_state",
  "not_id",
  "sourced_metadata",
  "custom",
];

function ports(numbers: readonly number[], at: Position): Expression {
  return { attribute: "ports", values: numbers.map(String), at };
}

/** A list with more ports than these would be unreadable. */
const MAX_PORTS = 256;

/** Reads an envoy.type.v3.Int32Range, which excludes its end. */
function portRange(message: Message): Expression {
  const [start = 0, end = 0] = [message.integer("start"), message.integer("end")];
  message.finish();
  if (start < 0 || end > 65_536 || start >= end) return missing(message);
  if (start === 0 && end === 65_536) return ALWAYS;
  if (end - start > MAX_PORTS) {
    return without(
      message.at,
      `Istio has no ranges of ports, and this one has ${end - start}, more than ${MAX_PORTS}`,
    );
  }
  return ports(
    Array.from({ length: end - start }, (_, i) => start + i),
    message.at,
  );
}

const URI_TEMPLATE = "envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig";

function uriTemplate(message: Message): Expression {
  message.ignore("name");
  const config = message.message("typed_config");
  message.finish();
  const type = config?.string("@type");
  const template = config?.string("path_template");
  config?.finish();
  if (!type?.value.endsWith(URI_TEMPLATE) || template === undefined) {
    return without(message.at, `only ${URI_TEMPLATE} has an equivalent here`);
  }
  return templateCondition(template.value, template.at);
}

function authenticated(message: Message): Expression {
  const name = message.message("principal_name");
  message.finish();
  if (name === undefined) {
    const reason = `"*" matches a peer whose certificate has a name, and this matches any peer with a TLS connection`;
    return { attribute: "principals", values: ["*"], at: message.at, misfit: { matches: "fewer", reason } };
  }
  const matcher = readStringMatcher(name);
  return matcher ? certificateCondition(matcher) : missing(message);
}

/** The filter state key of the peer's name in a waypoint. */
const PEER_PRINCIPAL = "io.istio.peer_principal";

function filterState(message: Message): Expression {
  const key = message.string("key");
  const match = message.message("string_match");
  message.ignore("address_match");
  message.finish();
  if (key?.value !== PEER_PRINCIPAL || match === undefined) {
    return without(message.at, `Istio's policies cannot see the filter state ${quote(key?.value ?? "")}`);
  }
  const matcher = readStringMatcher(match);
  return matcher ? certificateCondition(matcher) : missing(message);
}
