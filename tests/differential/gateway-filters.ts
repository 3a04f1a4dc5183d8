/**
 * Random SecurityPolicies of Envoy Gateway, and the filters that Envoy Gateway generates from them, written from its
 * sources.
 */
import type { Message } from "../../tools/render/bootstrap.ts";
import type { Random } from "../fuzz/random.ts";
import { ISSUERS, JWKS } from "./random-filters.ts";

const type = (name: string) => `type.googleapis.com/${name}`;

interface Rule {
  action: "Allow" | "Deny";
  operation?: { methods?: string[]; path?: { type: string; value: string; invert?: boolean } };
  principal?: {
    clientCIDRs?: string[];
    headers?: { name: string; values: string[] }[];
    jwt?: {
      provider: string;
      scopes?: string[];
      claims?: { name: string; valueType?: string; values: string[] }[];
    };
  };
}

export interface SecurityPolicy {
  jwt: { optional: boolean; providers: Message[] };
  authorization: { rules: Rule[]; defaultAction: "Allow" | "Deny" };
}

export function randomSecurityPolicy(random: Random): SecurityPolicy {
  const names = random.oneIn(2) ? ["a", "b"] : ["a"];
  return {
    jwt: {
      optional: random.oneIn(2),
      providers: names.map((name) => ({
        name,
        issuer: ISSUERS[name],
        localJWKS: { inline: JWKS[name] },
        ...(random.oneIn(3) && { audiences: ["api"] }),
        ...(!random.oneIn(3) && {
          extractFrom: { headers: [{ name: "Authorization", valuePrefix: "Bearer " }] },
        }),
        ...(random.oneIn(3) && { claimToHeaders: [{ header: "x-sub", claim: "sub" }] }),
      })),
    },
    authorization: {
      rules: random.list(0, 4, () => rule(random, names)),
      defaultAction: random.pick(["Allow", "Deny"]),
    },
  };
}

function rule(random: Random, names: readonly string[]): Rule {
  const path = () => ({
    type: random.pick(["PathPrefix", "PathPrefix", "Exact", "RegularExpression"]),
    value: random.pick(["/", "/a", "/a/", "/a/b", "/open/.*"]),
    ...(random.oneIn(4) && { invert: true }),
  });
  const operation = {
    ...(random.oneIn(3) && { methods: random.pick([["GET"], ["GET", "POST"], ["OPTIONS"]]) }),
    ...(random.oneIn(2) && { path: path() }),
  };
  const claims = () => [
    {
      name: random.pick(["sub", "role", "iss"]),
      ...(random.oneIn(3) && { valueType: "StringArray" }),
      values: random.pick([["alice"], ["x", "bob"], [ISSUERS["a"] ?? ""]]),
    },
  ];
  const principal = {
    ...(random.oneIn(4) && { clientCIDRs: [random.pick(["127.0.0.0/8", "10.0.0.0/8"])] }),
    ...(random.oneIn(6) && { headers: [{ name: "x", values: random.pick([["x"], ["xy", "y"]]) }] }),
    ...(random.oneIn(2) && {
      jwt: {
        provider: random.pick(names),
        ...(random.oneIn(2) ? { scopes: random.pick([["read"], ["read", "write"]]) } : { claims: claims() }),
      },
    }),
  };
  const hasOperation = Object.keys(operation).length > 0;
  return {
    action: random.pick(["Allow", "Deny"]),
    ...(hasOperation && { operation }),
    ...((Object.keys(principal).length > 0 || !hasOperation) && {
      principal: Object.keys(principal).length > 0 ? principal : { clientCIDRs: ["0.0.0.0/0"] },
    }),
  };
}

/** As in internal/xds/translator of Envoy Gateway, for every route. */
export function gatewayFilters({ jwt, authorization }: SecurityPolicy): Message[] {
  const names = jwt.providers.map(({ name }) => name as string);
  const requirements: Message[] = [
    ...names.map((provider_name) => ({ provider_name })),
    ...(jwt.optional ? [{ allow_missing: {} }] : []),
  ];
  return [
    {
      name: "envoy.filters.http.jwt_authn",
      typed_config: {
        "@type": type("envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"),
        providers: Object.fromEntries(jwt.providers.map((one) => [one["name"], provider(one)])),
        rules: [
          {
            match: { prefix: "/" },
            requires: requirements.length === 1 ? requirements[0] : { requires_any: { requirements } },
          },
        ],
      },
    },
    {
      name: "envoy.filters.http.rbac",
      typed_config: {
        "@type": type("envoy.extensions.filters.http.rbac.v3.RBAC"),
        matcher: {
          ...(authorization.rules.length > 0 && {
            matcher_list: {
              matchers: authorization.rules.map((one) => ({
                predicate: allOf(predicatesOf(one)),
                on_match: act(one.action),
              })),
            },
          }),
          on_no_match: act(authorization.defaultAction),
        },
      },
    },
  ];
}

function provider(one: Message): Message {
  const { headers } = (one["extractFrom"] as { headers?: { name: string; valuePrefix: string }[] }) ?? {};
  const outputs = (one["claimToHeaders"] as { header: string; claim: string }[]) ?? [];
  return {
    issuer: one["issuer"],
    audiences: one["audiences"] ?? [],
    local_jwks: { inline_string: (one["localJWKS"] as { inline: string }).inline },
    forward: true,
    payload_in_metadata: one["name"],
    normalize_payload_in_metadata: { space_delimited_claims: ["scope", "scp"] },
    from_headers: (headers ?? []).map(({ name, valuePrefix }) => ({ name, value_prefix: valuePrefix })),
    claim_to_headers: outputs.map(({ header, claim }) => ({ header_name: header, claim_name: claim })),
  };
}

function act(action: "Allow" | "Deny"): Message {
  const name = action.toUpperCase();
  return {
    action: { name, typed_config: { "@type": type("envoy.config.rbac.v3.Action"), name, action: name } },
  };
}

function allOf(predicates: Message[]): Message {
  return predicates.length === 1 && predicates[0]
    ? predicates[0]
    : { and_matcher: { predicate: predicates } };
}

function anyOf(predicates: Message[]): Message {
  return predicates.length === 1 && predicates[0] ? predicates[0] : { or_matcher: { predicate: predicates } };
}

function predicatesOf({ operation = {}, principal = {} }: Rule): Message[] {
  const { methods, path } = operation;
  const { clientCIDRs, headers = [], jwt } = principal;
  return [
    ...(methods
      ? [anyOf(methods.map((value) => header(":method", { exact: value, ignore_case: true })))]
      : []),
    ...(path ? [pathOf(path)] : []),
    ...(clientCIDRs ? [addresses(clientCIDRs)] : []),
    ...(jwt?.scopes ?? []).map((exact) =>
      anyOf(
        ["scope", "scp"].map((claim) =>
          metadata([jwt?.provider ?? "", claim], { list_match: { one_of: { string_match: { exact } } } }),
        ),
      ),
    ),
    ...(jwt?.claims ?? []).map(({ name, valueType, values }) =>
      anyOf(
        values.map((exact) => {
          const string = { string_match: { exact } };
          const value = valueType === "StringArray" ? { list_match: { one_of: string } } : string;
          return metadata([jwt?.provider ?? "", ...name.split(".")], value);
        }),
      ),
    ),
    ...headers.map(({ name, values }) => anyOf(values.map((exact) => header(name, { exact })))),
  ];
}

function single(input: Message, matcher: Message): Message {
  return { single_predicate: { input: { name: "input", typed_config: input }, ...matcher } };
}

function header(name: string, value_match: Message): Message {
  const input = { "@type": type("envoy.type.matcher.v3.HttpRequestHeaderMatchInput"), header_name: name };
  return single(input, { value_match });
}

function custom(config: Message): Message {
  return { custom_match: { name: "matcher", typed_config: config } };
}

function metadata(path: string[], value: Message): Message {
  return single(
    {
      "@type": type("envoy.extensions.matching.common_inputs.network.v3.DynamicMetadataInput"),
      filter: "envoy.filters.http.jwt_authn",
      path: path.map((key) => ({ key })),
    },
    custom({ "@type": type("envoy.extensions.matching.input_matchers.metadata.v3.Metadata"), value }),
  );
}

function addresses(ranges: string[]): Message {
  return single(
    { "@type": type("envoy.extensions.matching.common_inputs.network.v3.SourceIPInput") },
    custom({
      "@type": type("envoy.extensions.matching.input_matchers.ip.v3.Ip"),
      stat_prefix: "client_ip",
      cidr_ranges: ranges.map((range) => {
        const [address_prefix, length] = range.split("/");
        return { address_prefix, prefix_len: Number(length) };
      }),
    }),
  );
}

function pathOf({
  type: kind,
  value,
  invert = false,
}: {
  type: string;
  value: string;
  invert?: boolean;
}): Message {
  const prefix = value.replace(/\/$/, "").replace(/[.*]/g, "\\$&");
  const regex = {
    PathPrefix: `^${prefix}(/.*|\\?.*|#.*|;.*|$)`,
    // It is unknown whether the text after a semicolon belongs to the path there.
    Exact: `^${value.replace(/[.*]/g, "\\$&")}(\\?.*|#.*|$)`,
  }[kind];
  const match =
    kind === "PathPrefix" && value === "/"
      ? { prefix: "/" }
      : { safe_regex: { google_re2: {}, regex: regex ?? value } };
  const predicate = header(":path", match);
  return invert ? { not_matcher: predicate } : predicate;
}
