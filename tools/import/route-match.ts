/** Converts the match of a jwt_authn rule (envoy.config.route.v3.RouteMatch) to a condition. */
import { quote } from "../istio/report.ts";
import { missing, pathCondition, readHeaderMatcher, templateCondition } from "./conditions.ts";
import { ALWAYS, type Atom, all, any, type Expression, without } from "./expression.ts";
import type { Message } from "./message.ts";
import { readRegex, type TextMatch } from "./patterns.ts";

const PATHS = [
  "prefix",
  "path",
  "safe_regex",
  "connect_matcher",
  "path_separated_prefix",
  "path_match_policy",
] as const;

/** Conditions that jwt_authn ignores, or that have no equivalent in Istio. */
const OTHERS: Record<string, string> = {
  query_parameters: "Istio's policies cannot see query parameters",
  tls_context: "Istio's policies cannot ask whether a certificate was presented or is valid",
  dynamic_metadata: "Istio's policies cannot see the metadata of other filters",
  filter_state: "Istio's policies cannot see filter state",
  cookies: "Istio's policies cannot see single cookies",
  runtime_fraction: "Istio's policies are for all requests, not for a part of them",
};

/** Reads a RouteMatch. Query and fragment are not part of the path. */
export function readRouteMatch(message: Message): Expression {
  const kind = message.oneOf(...PATHS);
  const { at } = message;
  const ignoreCase = message.has("case_sensitive") && !message.boolean("case_sensitive");
  const text = (match: TextMatch): Expression => pathCondition({ at, match, ignoreCase });
  const path = ((): Expression => {
    switch (kind) {
      case "prefix": {
        const prefix = message.string("prefix")?.value ?? "";
        // A path begins with a slash.
        return prefix === "" || prefix === "/" ? ALWAYS : text({ prefix });
      }
      case "path":
        return text({ exact: message.string("path")?.value ?? "" });
      case "safe_regex":
        return text({ regex: readRegex(message.message("safe_regex")) ?? "" });
      case "path_separated_prefix": {
        const prefix = message.string("path_separated_prefix")?.value ?? "";
        return any(text({ exact: prefix }), text({ prefix: `${prefix}/` }));
      }
      case "path_match_policy":
        return readPolicy(message);
      case "connect_matcher":
        message.message("connect_matcher")?.finish();
        return { attribute: "methods", values: ["CONNECT"], at };
      default:
        return missing(message);
    }
  })();
  const headers = message.messages("headers").map((header) => readHeaderMatcher(header, "joined"));
  const isGrpc = message.has("grpc");
  message.message("grpc")?.finish();
  const others = Object.entries(OTHERS).flatMap(([name, reason]) => {
    if (!message.has(name)) return [];
    message.ignore(name);
    return [without(message.keyAt(name), reason)];
  });
  message.finish();
  return all(path, ...headers, ...(isGrpc ? [grpc(message)] : []), ...others);
}

/** A content type that Envoy takes for gRPC. */
function grpc({ at }: Message): Atom {
  return {
    attribute: "request.headers[content-type]",
    values: ["application/grpc", "application/grpc+*"],
    at,
  };
}

const URI_TEMPLATE = "envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig";

function readPolicy(message: Message): Expression {
  const policy = message.message("path_match_policy");
  policy?.ignore("name");
  const config = policy?.message("typed_config");
  policy?.finish();
  const type = config?.string("@type")?.value ?? "";
  const template = config?.string("path_template");
  config?.finish();
  if (!type.endsWith(URI_TEMPLATE) || template === undefined) {
    return without(message.at, `${quote(type)} has no equivalent in Istio`);
  }
  return templateCondition(template.value, template.at);
}
