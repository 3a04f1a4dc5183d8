/** Random filters of Envoy, jwt_authn and rbac, in unusual combinations, and random requests. */
import type { Message } from "../../tools/render/bootstrap.ts";
import type { Random } from "../fuzz/random.ts";
import type { Http1Request } from "../support/http1.ts";
import { bearer, TestKey } from "../support/tokens.ts";

const A = "https://a.example";
const B = "https://b.example";
const keyOfA = TestKey.generate("ES256", "a");
const keyOfB = TestKey.generate("ES256", "b");

/** Issuers and their keys, by the names of providers. */
export const ISSUERS: Readonly<Record<string, string>> = { a: A, b: B };
export const JWKS: Readonly<Record<string, string>> = { a: keyOfA.jwks, b: keyOfB.jwks };

const PATHS = ["/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/open", "/open/x", "/c.json", "/a?x=1"];
const TEXTS = ["x", "xy", "yx", "y"];
const SUBJECTS = ["alice", "bob", "alice-2"];

/** Filters in their order. */
export function randomFilters(random: Random): Message[] {
  const hasTokens = !random.oneIn(6);
  const rbac = random.list(hasTokens ? 0 : 1, 3, () => rbacFilter(random));
  if (!hasTokens) return rbac;
  const isFirst = !random.oneIn(10);
  return isFirst ? [jwtAuthn(random), ...rbac] : [...rbac, jwtAuthn(random)];
}

function jwtAuthn(random: Random): Message {
  const names = random.oneIn(2) ? ["a", "b"] : ["a"];
  const onePlace = random.oneIn(2);
  const bearerOnly = !random.oneIn(3);
  const provider = (name: string): Message => ({
    issuer: name === "a" ? A : B,
    local_jwks: { inline_string: (name === "a" ? keyOfA : keyOfB).jwks },
    ...(bearerOnly && { from_headers: [{ name: "Authorization", value_prefix: "Bearer " }] }),
    ...(!onePlace && name === "b" && { from_headers: [{ name: "x-b" }] }),
    ...(random.oneIn(3) && { audiences: ["api"] }),
    ...(random.oneIn(2) && { forward: true }),
    ...(random.oneIn(3) && { claim_to_headers: [{ header_name: "x-sub", claim_name: "sub" }] }),
    ...(random.oneIn(8) && { subjects: textMatch(random, SUBJECTS) }),
    ...(!random.oneIn(8) && { payload_in_metadata: random.oneIn(4) ? name : "payload" }),
    ...(random.oneIn(2) && {
      normalize_payload_in_metadata: { space_delimited_claims: ["scope", "permission"] },
    }),
  });
  return {
    name: "envoy.filters.http.jwt_authn",
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
      providers: Object.fromEntries(names.map((name) => [name, provider(name)])),
      rules: random.oneIn(2)
        ? [{ match: { prefix: "/" }, requires: requirement(random, names, 0) }]
        : random.list(1, 3, () => ({
            match: routeMatch(random),
            ...(!random.oneIn(4) && { requires: requirement(random, names, 0) }),
          })),
      ...(random.oneIn(2) && { bypass_cors_preflight: true }),
    },
  };
}

function requirement(random: Random, names: readonly string[], depth: number): Message {
  const one = (): Message =>
    random.oneIn(8)
      ? {
          provider_and_audiences: {
            provider_name: random.pick(names),
            audiences: [random.pick(["api", "else"])],
          },
        }
      : { provider_name: random.pick(names) };
  const some = () => random.list(2, 3, () => (depth > 0 ? one() : requirement(random, names, depth + 1)));
  switch (random.below(8)) {
    case 0:
      return { requires_all: { requirements: some() } };
    case 1:
      return { requires_any: { requirements: some() } };
    case 2:
    case 3:
      return {
        requires_any: {
          requirements: [...names.map((provider_name) => ({ provider_name })), { allow_missing: {} }],
        },
      };
    case 4:
      return {
        requires_any: {
          requirements: [one(), { [random.pick(["allow_missing", "allow_missing_or_failed"])]: {} }],
        },
      };
    case 5:
      return random.oneIn(3) ? { [random.pick(["allow_missing", "allow_missing_or_failed"])]: {} } : one();
    default:
      return one();
  }
}

function routeMatch(random: Random): Message {
  const path = random.pick<Message>([
    { prefix: "/" },
    { prefix: "/a" },
    { prefix: "/open" },
    { path: "/a/b" },
    { path_separated_prefix: "/a" },
    { safe_regex: { regex: "/a/.*" } },
    { safe_regex: { regex: "/(a|open)" } },
  ]);
  return { ...path, ...(random.oneIn(5) && { headers: [headerMatch(random)] }) };
}

function textMatch(random: Random, texts: readonly string[]): Message {
  const text = random.pick(texts);
  switch (random.below(7)) {
    case 0:
      return { prefix: text };
    case 1:
      return { suffix: text };
    case 2:
      return {
        safe_regex: {
          regex: random.pick([".+", ".*", `${text}.*`, `.*${text}`, `(${text}|z)`, `${text}.+`]),
        },
      };
    default:
      return { exact: text };
  }
}

function headerMatch(random: Random): Message {
  const name = random.pick(["x", "x", "x-sub", ":method", ":authority", "authorization"]);
  const texts =
    name === ":method" ? ["GET", "POST"] : name === ":authority" ? ["localhost", "a.example"] : TEXTS;
  const match = textMatch(random, texts);
  return {
    name,
    ...(random.oneIn(5)
      ? { present_match: !random.oneIn(4) }
      : {
          string_match: {
            ...match,
            ...(!("safe_regex" in match) && random.oneIn(8) && { ignore_case: true }),
          },
        }),
    ...(random.oneIn(5) && { invert_match: true }),
    ...(random.oneIn(8) && { treat_missing_header_as_empty: true }),
  };
}

function rbacFilter(random: Random): Message {
  const rules = (): Message => ({
    action: random.pick(["ALLOW", "ALLOW", "DENY", "LOG"]),
    policies: Object.fromEntries(
      random.list(random.oneIn(8) ? 0 : 1, 3, (index) => [
        `policy ${index}`,
        {
          permissions: random.list(1, 2, () => permission(random, 0)),
          principals: random.list(1, 2, () => principal(random, 0)),
        },
      ]),
    ),
  });
  return {
    name: "envoy.filters.http.rbac",
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
      ...(!random.oneIn(8) && { rules: rules() }),
      ...(random.oneIn(8) && { shadow_rules: rules() }),
    },
  };
}

function permission(random: Random, depth: number): Message {
  const inner = () => ({ rules: random.list(1, 3, () => permission(random, depth + 1)) });
  switch (random.below(depth > 2 ? 8 : 12)) {
    case 0:
    case 1:
      return { any: true };
    case 2:
    case 3:
      return { header: headerMatch(random) };
    case 4:
      return { destination_port: random.pick([1, 80]) };
    case 5:
      return { uri_template: template(random) };
    case 8:
      return { and_rules: inner() };
    case 9:
      return { or_rules: inner() };
    case 10:
      return { not_rule: permission(random, depth + 1) };
    case 11:
      return { metadata: claim(random) };
    default:
      return { url_path: { path: textMatch(random, ["/a", "/a/", "/a/b", "/open", ".json", "/open/x"]) } };
  }
}

function principal(random: Random, depth: number): Message {
  const inner = () => ({ ids: random.list(1, 3, () => principal(random, depth + 1)) });
  switch (random.below(depth > 2 ? 8 : 12)) {
    case 0:
      return { any: true };
    case 1:
      return { header: headerMatch(random) };
    case 2:
      return { direct_remote_ip: { address_prefix: random.pick(["127.0.0.1", "10.0.0.0"]), prefix_len: 8 } };
    case 3:
      return { remote_ip: { address_prefix: random.pick(["127.0.0.1", "10.0.0.0"]), prefix_len: 32 } };
    case 4:
      return { url_path: { path: textMatch(random, ["/a", "/a/b"]) } };
    case 8:
      return { and_ids: inner() };
    case 9:
      return { or_ids: inner() };
    case 10:
      return { not_id: principal(random, depth + 1) };
    case 11:
      return {
        and_ids: { ids: [claim(random, "iss"), claim(random, "sub")].map((metadata) => ({ metadata })) },
      };
    default:
      return { metadata: claim(random) };
  }
}

function template(random: Random): Message {
  return {
    name: "envoy.path.match.uri_template.uri_template_matcher",
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
      path_template: random.pick(["/a/*", "/a/**", "/*/b", "/a/*/c"]),
    },
  };
}

function claim(random: Random, name = random.pick(["iss", "sub", "aud", "role", "scope"])): Message {
  const texts = { iss: [A, B, "https://"], sub: SUBJECTS, aud: ["api", "else"] }[name] ?? [
    "x",
    "read",
    "write",
  ];
  const string_match = textMatch(random, texts);
  const text = { string_match };
  const list = { list_match: { one_of: text } };
  return {
    filter: "envoy.filters.http.jwt_authn",
    path: [random.oneIn(8) ? "a" : "payload", name].map((key) => ({ key })),
    value: random.pick<Message>([
      text,
      list,
      { or_match: { value_matchers: [list, text] } },
      { or_match: { value_matchers: [text, list] } },
    ]),
    ...(random.oneIn(10) && { invert: true }),
  };
}

export function randomRequest(random: Random): Http1Request {
  const headers: [string, string][] = [];
  for (const place of ["authorization", "x-b"]) {
    if (random.oneIn(place === "x-b" ? 4 : 2))
      headers.push(place === "x-b" ? ["x-b", token(random)] : bearer(token(random)));
  }
  for (const value of random.list(0, 2, () => random.pick(TEXTS))) headers.push(["x", value]);
  if (random.oneIn(6)) headers.push(["x-sub", "forged"]);
  const isPreflight = random.oneIn(6);
  if (isPreflight) {
    headers.push(["origin", random.pick(["https://web.example", "null", "app://x"])]);
    headers.push(["access-control-request-method", "PUT"]);
  }
  return {
    method: isPreflight ? "OPTIONS" : random.pick(["GET", "POST"]),
    path: random.oneIn(12) ? `/a?access_token=${token(random)}` : random.pick(PATHS),
    authority: random.pick(["localhost", "LOCALHOST", "a.example"]),
    headers,
  };
}

function token(random: Random): string {
  const [key, iss] = random.oneIn(3) ? [keyOfB, B] : [keyOfA, A];
  const claims = {
    iss: random.oneIn(12) ? "https://c.example" : iss,
    ...(!random.oneIn(8) && { sub: random.pick(SUBJECTS) }),
    ...(!random.oneIn(4) && { aud: random.pick(["api", "else", ["api", "else"]]) }),
    ...(random.oneIn(2) && { role: random.pick(["x", ["x", "read"], ["read"], 3]) }),
    ...(random.oneIn(2) && { scope: random.pick(["read", "read write", ["write"], "x"]) }),
    ...(random.oneIn(10) && { exp: 1_600_000_000 }),
  };
  return random.oneIn(15) ? "junk" : (random.oneIn(12) ? keyOfB : key).token(claims);
}
