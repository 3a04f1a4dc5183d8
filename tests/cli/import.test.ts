/**
 * `jwtgate import` as a user runs it: its input, and the message and position for everything that is lost.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { type ToolResult, Workspace } from "../support/cli.ts";

const workspace = new Workspace();
afterAll(() => workspace.remove());

const type = (name: string) => `type.googleapis.com/envoy.extensions.filters.http.${name}`;
const JWKS = '{"keys":[{"kty":"oct","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}]}';
const ISSUER = "https://a.example";

const provider = (more: object = {}) => ({
  issuer: ISSUER,
  local_jwks: { inline_string: JWKS },
  from_headers: [{ name: "Authorization", value_prefix: "Bearer " }],
  payload_in_metadata: "payload",
  ...more,
});
const jwtAuthn = (
  providers: Record<string, object> = { a: provider() },
  rules?: object[],
  more: object = {},
) => ({
  name: "jwt",
  typed_config: {
    "@type": type("jwt_authn.v3.JwtAuthentication"),
    providers,
    rules: rules ?? [{ match: { prefix: "/" }, requires: { provider_name: "a" } }],
    bypass_cors_preflight: true,
    ...more,
  },
});
const policy = (permission: object = { any: true }, principal: object = { any: true }) => ({
  permissions: [permission],
  principals: [principal],
});
const rbac = (action: string, one: object, more: object = {}) => ({
  name: "rbac",
  typed_config: { "@type": type("rbac.v3.RBAC"), rules: { action, policies: { p: one } }, ...more },
});
const path = (match: object) => ({ url_path: { path: match } });
const claim = (name: string, value: object, key = "payload") => ({
  metadata: { filter: "envoy.filters.http.jwt_authn", path: [{ key }, { key: name }], value },
});

/** Imports filters, each as one line of JSON, so that the line of a message identifies it. */
function run(filters: unknown, ...options: string[]): ToolResult {
  const text = Array.isArray(filters)
    ? `[\n${filters.map((one) => JSON.stringify(one)).join(",\n")}\n]`
    : JSON.stringify(filters, null, 1);
  writeFileSync(workspace.path("f.json"), text);
  return workspace.run(["import", "f.json", ...options]);
}

interface Document {
  kind: string;
  metadata: { name: string; namespace?: string; annotations?: Record<string, string> };
  spec: { action?: string; rules?: object[]; jwtRules?: Record<string, unknown>[] };
}

function imported(filters: unknown, ...options: string[]): Document[] {
  const { status, stdout, stderr } = run(filters, ...options);
  expect(status, stderr).toBe(0);
  return parseAllDocuments(stdout).map((document) => document.toJS() as Document);
}

/** The rules of the only policy. */
function rulesOf(filters: unknown, ...options: string[]): object[] | undefined {
  return imported(filters, ...options).find(({ kind }) => kind === "AuthorizationPolicy")?.spec.rules;
}

function refusal(filters: unknown, ...options: string[]): string {
  const { status, stdout, stderr } = run(filters, ...options);
  expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
  expect(stderr).toMatch(/^f\.json(:\d+:\d+)?: /m);
  return stderr;
}

describe("what is read", () => {
  const filters = [jwtAuthn()];
  const manager = (list: object[], more: object = {}) => ({
    "@type":
      "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    normalize_path: true,
    http_filters: list,
    ...more,
  });
  const listener = (name: string, list: object[], more: object = {}) => ({
    name,
    filter_chains: [{ filters: [{ name: "http", typed_config: manager(list, more) }] }],
  });
  const dump = (...listeners: object[]) => ({
    configs: [
      {
        "@type": "type.googleapis.com/envoy.admin.v3.BootstrapConfigDump",
        bootstrap: { static_resources: { listeners } },
      },
      {
        "@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump",
        dynamic_listeners: listeners.map((one) => ({
          name: "x",
          active_state: { listener: one },
          draining_state: { listener: listener("old", [rbac("DENY", policy())]) },
        })),
      },
    ],
  });

  test.each<[string, unknown]>([
    ["a list of filters", filters],
    ["http_filters alone", { http_filters: filters }],
    ["a listener", listener("in", filters)],
    ["a bootstrap", { static_resources: { listeners: [listener("in", filters)] } }],
    ["a dump", dump(listener("in", filters))],
    [
      "a TypedStruct",
      [
        {
          name: "jwt",
          typed_config: {
            "@type": "type.googleapis.com/xds.type.v3.TypedStruct",
            type_url: type("jwt_authn.v3.JwtAuthentication"),
            value: { ...jwtAuthn().typed_config, "@type": undefined },
          },
        },
      ],
    ],
    [
      "names in lowerCamelCase",
      JSON.parse(
        JSON.stringify(filters).replace(/_([a-z])(?=[a-z_]*":)/g, (_, letter: string) =>
          letter.toUpperCase(),
        ),
      ),
    ],
  ])("%s", (_name, input) => {
    expect(imported(input)).toEqual(imported(filters));
    expect(imported(filters)[0]?.spec.jwtRules).toEqual([
      {
        issuer: ISSUER,
        jwks: JWKS,
        fromHeaders: [{ name: "Authorization", prefix: "Bearer " }],
        presence: "REQUIRED",
      },
    ]);
  });

  test("standard input, into a file", () => {
    const input = JSON.stringify(filters);
    const { status, stdout } = workspace.run(["import", "-", "-o", "out.yaml"], { input });
    expect({ status, stdout }).toEqual({ status: 0, stdout: "" });
    expect(readFileSync(workspace.path("out.yaml"), "utf8")).toMatch(/^# Imported from <stdin>/);
    expect(workspace.run(["compile", "-f", "out.yaml", "--output", "config"]).status).toBe(0);
  });

  test("with an error, no file is written", () => {
    refusal([rbac("ALLOW", policy(path({ contains: "a" })))], "-o", "never.yaml");
    expect(existsSync(workspace.path("never.yaml"))).toBe(false);
  });

  test("several listeners: the same filters once, others by their name", () => {
    const [a, b] = [listener("a", filters), listener("b", [rbac("DENY", policy(path({ exact: "/x" })))])];
    expect(imported(dump(a, listener("c", filters)))).toEqual(imported(filters));
    expect(refusal(dump(a, b))).toContain('name one with --listener NAME ("a", "b")');
    expect(rulesOf(dump(a, b), "--listener", "b")).toEqual([{ to: [{ operation: { paths: ["/x"] } }] }]);
    expect(refusal(dump(a, b), "--listener", "z")).toContain('the listeners are "a", "b"');
    expect(run(dump(a, listener("none", []))).stderr).toMatch(
      /warning: "none", filter chain "0" has neither/,
    );
  });

  test("several filter chains", () => {
    const chains = [filters, [rbac("DENY", policy())]].map((list, index) => ({
      ...(index === 1 && { name: "second" }),
      filters: [{ typed_config: manager(list) }],
    }));
    const two = { name: "in", filter_chains: chains };
    expect(refusal(two)).toContain('--filter-chain NAME ("in" "0", "in" "second")');
    expect(imported(two, "--filter-chain", "0")).toEqual(imported(filters));
    expect(rulesOf(two, "--filter-chain", "second")).toEqual([{}]);
  });

  test("routes that change the filters", () => {
    const override = (config: object) => ({
      route_config: {
        virtual_hosts: [{ name: "v", routes: [{ typed_per_filter_config: config }] }],
      },
    });
    const routes = override({ jwt: { "@type": type("jwt_authn.v3.PerRouteConfig"), disabled: true } });
    expect(refusal(listener("in", filters, routes))).toContain(
      'this route changes what the filter "jwt" does',
    );
    const other = override({ lua: { "@type": type("lua.v3.LuaPerRoute"), disabled: true } });
    expect(imported(listener("in", filters, other))).toEqual(imported(filters));
  });

  test("missing routes", () => {
    const rds = listener("in", filters, { rds: { route_config_name: "r" } });
    expect(refusal(rds)).toContain('the routes "r" are not here');
    expect(imported(rds, "--no-route-overrides")).toEqual(imported(filters));
    const routes = {
      name: "r",
      virtual_hosts: [{ routes: [{ typed_per_filter_config: { jwt: { disabled: true } } }] }],
    };
    expect(refusal([rds, routes])).toContain("this route changes");
    expect(imported([rds, { ...routes, virtual_hosts: [] }])).toEqual(imported(filters));
  });

  test("filters that jwtgate cannot see, and metadata that it does not write", () => {
    const composite = {
      name: "c",
      typed_config: { "@type": "type.googleapis.com/x.Composite", inner: rbac("DENY", policy()) },
    };
    expect(refusal(listener("in", [...filters, composite]))).toContain(
      "is not in a connection manager's http_filters",
    );
    const log = { access_log: [{ format: "%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:payload:sub)%" }] };
    expect(run(listener("in", filters, log)).stderr).toContain("warning: this reads the metadata");
    expect(run(listener("in", filters, { normalize_path: false })).stderr).toContain(
      "--path-normalization NONE",
    );
    const address = rbac(
      "DENY",
      policy(undefined, { remote_ip: { address_prefix: "10.0.0.0", prefix_len: 8 } }),
    );
    const said = run(listener("in", [address], { xff_num_trusted_hops: 1 })).stderr;
    expect(said).toContain("with --mode sidecar");
    expect(said).toContain("warning: xff_num_trusted_hops decides");
    expect(run(listener("in", [address], { use_remote_address: true })).stderr).toBe("");
    const discovered = {
      name: "jwt",
      config_discovery: { type_urls: [type("jwt_authn.v3.JwtAuthentication")] },
    };
    expect(refusal([...filters, discovered])).toContain("is discovered (ECDS)");
    expect(refusal([{ ...filters[0], disabled: true }])).toContain(
      "there is no jwt_authn and no rbac filter here",
    );
    const lua = { name: "lua", typed_config: { "@type": type("lua.v3.Lua") } };
    expect(run([...filters, lua, rbac("DENY", policy())]).stderr).toMatch(
      /^f\.json:3:1: warning: the filter "lua" runs between/m,
    );
  });

  test("nothing to import, an unknown field, a wrong type", () => {
    expect(refusal({ a: 1 })).toBe(
      "f.json: there is no jwt_authn and no rbac filter here, and no SecurityPolicy: nothing to import\n",
    );
    expect(refusal([jwtAuthn({ a: provider({ future: 1 }) })])).toMatch(
      /:2:\d+: unknown field "future" in jwt_authn\.providers\[a\]/,
    );
    expect(refusal([jwtAuthn({ a: provider({ forwrd: true }) })])).toContain("did you mean forward?");
    expect(refusal([jwtAuthn({ a: provider({ forward: "yes" }) })])).toContain("must be true or false");
    expect(refusal([rbac("PERHAPS", policy())])).toContain(
      "rbac.rules.action must be one of ALLOW, DENY, LOG",
    );
  });
});

test("filters that do nothing", () => {
  expect(refusal([rbac("DENY", policy(), { rules: { action: "DENY" } })])).toContain(
    "let every request pass",
  );
});

describe("names and workloads", () => {
  test("all resources", () => {
    const made = imported(
      [jwtAuthn(), rbac("DENY", policy())],
      "--name",
      "edge",
      "--namespace",
      "web",
      "--labels",
      "app=a",
    );
    expect(made.map(({ kind, metadata, spec }) => [kind, metadata, spec])).toMatchObject([
      [
        "RequestAuthentication",
        { name: "edge", namespace: "web" },
        { selector: { matchLabels: { app: "a" } } },
      ],
      ["AuthorizationPolicy", { name: "p", namespace: "web" }, { selector: { matchLabels: { app: "a" } } }],
    ]);
    const [one] = imported([jwtAuthn()], "--gateway", "g");
    expect(one?.spec).toMatchObject({ targetRefs: [{ kind: "Gateway", name: "g" }] });
    expect(run([], "--gateway", "g", "--labels", "a=b").status).toBe(2);
    expect(run([], "--jwks-uri", "x").status).toBe(2);
  });

  test("istiod's names", () => {
    const policies = Object.fromEntries(
      ["ns[a]-policy[x]-rule[1]", "ns[a]-policy[x]-rule[0]", "ns[b]-policy[x]-rule[0]"].map((id, port) => [
        id,
        policy({ destination_port: port }),
      ]),
    );
    const filter = { typed_config: { "@type": type("rbac.v3.RBAC"), rules: { policies } } };
    const port = (number: string) => ({ to: [{ operation: { ports: [number] } }] });
    expect(imported([filter]).map(({ metadata, spec }) => [metadata, spec.rules])).toEqual([
      [{ name: "x", namespace: "a" }, [port("1"), port("0")]],
      [{ name: "x", namespace: "b" }, [port("2")]],
    ]);
  });

  test("shadow rules become a dry run; a filter that allows nothing allows nothing", () => {
    const shadow = rbac("DENY", policy(), {
      rules: undefined,
      shadow_rules: { action: "DENY", policies: { p: policy() } },
    });
    expect(imported([shadow])[0]).toMatchObject({
      metadata: { annotations: { "istio.io/dry-run": "true" } },
      spec: { action: "DENY", rules: [{}] },
    });
    const nothing = { typed_config: { "@type": type("rbac.v3.RBAC"), rules: {} } };
    expect(imported([nothing])[0]?.spec).toEqual({ action: "ALLOW" });
  });
});

describe("the token", () => {
  const requires = (requirement: object) => [{ match: { prefix: "/" }, requires: requirement }];
  const two = {
    a: provider(),
    b: provider({ issuer: "https://b.example" }),
  };
  const both = [{ provider_name: "a" }, { provider_name: "b" }];
  const presences = (documents: Document[]) =>
    documents[0]?.spec.jwtRules?.map(({ presence = "" }) => presence);

  test.each<[string, object, string[], string[]]>([
    [
      "one of several, or none",
      { requires_any: { requirements: [...both, { allow_missing: {} }] } },
      ["", ""],
      [],
    ],
    ["one of several", { requires_any: { requirements: both } }, ["", ""], ["imported-require-token"]],
    ["all", { requires_all: { requirements: both } }, ["REQUIRED", "REQUIRED"], []],
    [
      "one, and the other if it is present",
      {
        requires_all: {
          requirements: [both[0], { requires_any: { requirements: [both[1], { allow_missing: {} }] } }],
        },
      },
      ["REQUIRED", ""],
      [],
    ],
  ])("%s", (_name, requirement, wanted, policies) => {
    const made = imported([jwtAuthn(two, requires(requirement))]);
    expect(presences(made)).toEqual(wanted);
    expect(made.slice(1).map(({ metadata }) => metadata.name)).toEqual(policies);
  });

  test("requirements without an equivalent", () => {
    const optional = (name: string) => ({
      requires_any: { requirements: [{ provider_name: name }, { allow_missing: {} }] },
    });
    expect(
      refusal([jwtAuthn(two, requires({ requires_all: { requirements: [optional("a"), optional("b")] } }))]),
    ).toContain("Istio has no requirement that is as strict as this one");
    expect(refusal([jwtAuthn(two, requires({ allow_missing: {} }))])).toContain("allow_missing by itself");
    expect(refusal([jwtAuthn(), jwtAuthn()])).toContain("a second jwt_authn filter");
    expect(refusal([jwtAuthn(undefined, undefined, { filter_state_rules: {} })])).toContain("filter state");
    expect(refusal([jwtAuthn(undefined, requires({ provider_name: "z" }))])).toContain(
      'there is no provider "z"',
    );
  });

  test("several tokens", () => {
    const wide = {
      a: provider({ from_headers: [] }),
      b: provider({ issuer: "https://b.example", from_headers: [] }),
    };
    const filters = [
      jwtAuthn(wide, requires({ requires_any: { requirements: [...both, { allow_missing: {} }] } })),
    ];
    expect(refusal(filters)).toContain("--assume-one-token");
    expect(presences(imported(filters, "--assume-one-token"))).toEqual(["", ""]);
  });

  test.each<[object, RegExp]>([
    [{ require_expiration: true }, /Istio takes tokens without exp/],
    [{ max_lifetime: "60s" }, /no limit for the lifetime/],
    [{ clock_skew_seconds: 5 }, /expired up to 60 seconds ago/],
    [{ issuer: "" }, /has no issuer/],
    [{ local_jwks: { filename: "/nowhere/keys" } }, /"\/nowhere\/keys": /],
    [{ local_jwks: { inline_string: "no" } }, /the result is refused: jwks/],
    [{ local_jwks: undefined }, /has no keys/],
    [{ forward_payload_header: "host" }, /the result is refused/],
  ])("refused: %j", (more, words) => {
    expect(refusal([jwtAuthn({ a: provider(more) })])).toMatch(words);
  });

  test.each<[object, RegExp]>([
    [{ clock_skew_seconds: 90 }, /tokens are refused earlier/],
    [{ pad_forward_payload_header: true }, /without padding/],
    [{ header_in_metadata: "h" }, /header_in_metadata has no equivalent/],
    [{ subjects: { prefix: "x" } }, /403 by a policy/],
  ])("warned of: %j", (more, words) => {
    const { status, stderr } = run([jwtAuthn({ a: provider(more) })]);
    expect(status).toBe(0);
    expect(stderr).toMatch(words);
  });

  test("keys of a file, and of a URL", () => {
    writeFileSync(workspace.path("keys.json"), JWKS);
    const filters = [jwtAuthn({ a: provider({ local_jwks: { filename: "keys.json" } }) })];
    expect(imported(filters)[0]?.spec.jwtRules?.[0]).toMatchObject({ jwks: JWKS });
    const [rule] = imported(filters, "--jwks-uri", "a=https://a.example/keys")[0]?.spec.jwtRules ?? [];
    expect(rule).toMatchObject({ jwksUri: "https://a.example/keys" });
    expect(rule).not.toHaveProperty("jwks");
  });

  test("preflights", () => {
    const off = { bypass_cors_preflight: false };
    const optional = requires({
      requires_any: { requirements: [{ provider_name: "a" }, { allow_missing: {} }] },
    });
    const required = imported([jwtAuthn(undefined, undefined, off)])[1];
    expect(required).toMatchObject({ metadata: { name: "imported-no-preflight" }, spec: { action: "DENY" } });
    const [, some] = imported([jwtAuthn(undefined, optional, off)]);
    expect(JSON.stringify(some?.spec.rules)).toContain("request.headers[authorization]");
    const inQuery = [jwtAuthn({ a: provider({ from_params: ["t"] }) }, optional, off)];
    expect(refusal(inQuery)).toContain("--preflights deny");
    expect(imported(inQuery, "--preflights", "deny")[1]?.metadata.name).toBe("imported-no-preflight");
    expect(imported(inQuery, "--preflights", "pass")[1]?.metadata.name).toBe(
      "imported-no-preflight-with-token",
    );
  });
});

describe("policies", () => {
  test.each<[string, object, object, object[]]>([
    [
      "the sum of sources and operations, not their product",
      { or_rules: { rules: [path({ exact: "/a" }), { destination_port: 1 }] } },
      {
        or_ids: {
          ids: [
            { remote_ip: { address_prefix: "10.0.0.0", prefix_len: 8 } },
            { direct_remote_ip: { address_prefix: "::1", prefix_len: 128 } },
          ],
        },
      },
      [
        {
          from: [{ source: { remoteIpBlocks: ["10.0.0.0/8"] } }, { source: { ipBlocks: ["::1/128"] } }],
          to: [{ operation: { paths: ["/a"] } }, { operation: { ports: ["1"] } }],
        },
      ],
    ],
    [
      "negations of groups",
      {
        not_rule: {
          and_rules: {
            rules: [path({ prefix: "/a" }), { header: { name: ":method", string_match: { exact: "GET" } } }],
          },
        },
      },
      { any: true },
      [{ to: [{ operation: { notPaths: ["/a*"] } }, { operation: { notMethods: ["GET"] } }] }],
    ],
    [
      "two conditions on the path",
      {
        and_rules: {
          rules: [path({ prefix: "/a" }), path({ prefix: "/a/b" }), { not_rule: path({ exact: "/z" }) }],
        },
      },
      { any: true },
      [{ to: [{ operation: { paths: ["/a/b*"] } }] }],
    ],
    [
      "an issuer and a subject",
      { any: true },
      {
        and_ids: {
          ids: [
            claim("iss", { string_match: { exact: ISSUER } }),
            claim("sub", { string_match: { prefix: "x" } }),
          ],
        },
      },
      [{ from: [{ source: { requestPrincipals: [`${ISSUER}/x*`] } }] }],
    ],
    [
      "regular expressions",
      {
        or_rules: {
          rules: [path({ safe_regex: { regex: "/(a|b)/.*" } }), path({ safe_regex: { regex: "^/c\\.d$" } })],
        },
      },
      { any: true },
      [{ to: [{ operation: { paths: ["/a/*", "/b/*", "/c.d"] } }] }],
    ],
    [
      "names of certificates",
      { any: true },
      {
        or_ids: {
          ids: [
            { authenticated: { principal_name: { exact: "spiffe://td/ns/a/sa/b" } } },
            { authenticated: { principal_name: { safe_regex: { regex: ".*/ns/foo/.*" } } } },
            {
              authenticated: {
                principal_name: { safe_regex: { regex: "spiffe://.+/ns/n/(.+/|)sa/s(/.+)?" } },
              },
            },
            { filter_state: { key: "io.istio.peer_principal", string_match: { prefix: "spiffe://td/" } } },
          ],
        },
      },
      [
        {
          from: [
            { source: { principals: ["td/ns/a/sa/b", "td/*"] } },
            { source: { namespaces: ["foo"] } },
            { source: { serviceAccounts: ["n/s"] } },
          ],
        },
      ],
    ],
    [
      "headers",
      { header: { name: "x", string_match: { exact: "v" }, invert_match: true } },
      { header: { name: ":authority", string_match: { prefix: "a.", ignore_case: true } } },
      [
        {
          to: [{ operation: { hosts: ["a.*"] } }],
          when: [{ key: "request.headers[x]", values: ["*"], notValues: ["v"] }],
        },
      ],
    ],
    [
      "ports",
      { destination_port_range: { start: 80, end: 82 } },
      { any: true },
      [{ to: [{ operation: { ports: ["80", "81"] } }] }],
    ],
  ])("%s", (_name, permission, principal, rules) => {
    expect(rulesOf([jwtAuthn(), rbac("DENY", policy(permission, principal))])).toEqual(rules);
  });

  test.each<[string, object, RegExp]>([
    ["contains", path({ contains: "x" }), /contains "x"/],
    ["a regular expression", path({ safe_regex: { regex: "/[a-z]+" } }), /no regular expressions/],
    ["a text with a star", path({ exact: "/a*" }), /the text "\/a\*" itself/],
    ["case", path({ exact: "/administrators", ignore_case: true }), /upper and lower case/],
    ["a range", { header: { name: "x", range_match: { start: 1, end: 2 } } }, /ranges of numbers/],
    [
      "metadata of other filters",
      { metadata: { filter: "x", path: [{ key: "y" }], value: { string_match: { exact: "z" } } } },
      /"x" writes/,
    ],
    [
      "a prefix and a suffix of a path",
      { and_rules: { rules: [path({ prefix: "/a" }), path({ suffix: ".js" })] } },
      /one list of paths/,
    ],
    ["an extension", { matcher: { name: "m" } }, /matchers that are extensions/],
  ])("refused for ALLOW and for DENY: %s", (_name, permission, words) => {
    for (const action of ["ALLOW", "DENY"]) {
      expect(refusal([rbac(action, policy(permission))])).toMatch(words);
    }
  });

  test("--keep-going allows less and denies more", () => {
    const unknown = { and_rules: { rules: [path({ contains: "x" }), { destination_port: 1 }] } };
    expect(rulesOf([rbac("ALLOW", policy(unknown))], "--keep-going")).toBeUndefined();
    expect(rulesOf([rbac("DENY", policy(unknown))], "--keep-going")).toEqual([
      { to: [{ operation: { ports: ["1"] } }] },
    ]);
    expect(rulesOf([rbac("DENY", policy({ not_rule: path({ contains: "x" }) }))], "--keep-going")).toEqual([
      {},
    ]);
    expect(run([rbac("DENY", policy(unknown))], "--keep-going").stderr).toMatch(
      /warning: .*denies whether it holds or not/,
    );
  });

  test("a wider match is an error for ALLOW, and a warning for DENY", () => {
    const text = claim("role", { string_match: { exact: "admin" } });
    expect(refusal([jwtAuthn(), rbac("ALLOW", policy(undefined, text))])).toContain(
      "pass --assume-claim-types",
    );
    expect(run([jwtAuthn(), rbac("DENY", policy(undefined, text))]).stderr).toContain(
      "more requests are denied",
    );
    expect(refusal([jwtAuthn(), rbac("DENY", policy(undefined, { not_id: text }))])).toContain(
      "requests would be allowed",
    );
    const rules = rulesOf([jwtAuthn(), rbac("ALLOW", policy(undefined, text))], "--assume-claim-types");
    expect(rules).toEqual([{ when: [{ key: "request.auth.claims[role]", values: ["admin"] }] }]);
  });

  test("two ALLOW filters allow only what both allow", () => {
    const filters = [path({ prefix: "/a" }), { destination_port: 1 }].map((one) =>
      rbac("ALLOW", policy(one)),
    );
    expect(rulesOf(filters)).toEqual([{ to: [{ operation: { ports: ["1"], paths: ["/a*"] } }] }]);
  });

  test("too many terms", () => {
    const pair = (index: number) => ({
      or_rules: {
        rules: [{ destination_port: index }, { header: { name: `h${index}`, present_match: true } }],
      },
    });
    const rules = Array.from({ length: 12 }, (_, index) => pair(index));
    expect(refusal([rbac("ALLOW", policy({ and_rules: { rules } }))])).toContain("more than 1000 rules");
  });

  test("a payload of one provider belongs to its issuer", () => {
    const two = { a: provider({ payload_in_metadata: "a" }), b: provider({ issuer: "https://b.example" }) };
    const rules = [
      {
        match: { prefix: "/" },
        requires: { requires_any: { requirements: [{ provider_name: "a" }, { provider_name: "b" }] } },
      },
    ];
    const filters = [
      jwtAuthn(two, rules),
      rbac("ALLOW", policy(undefined, claim("sub", { string_match: { exact: "x" } }, "a"))),
    ];
    const made = imported(filters).find(({ spec }) => spec.action === "ALLOW");
    expect(made?.spec.rules).toEqual([
      {
        when: [
          { key: "request.auth.claims[iss]", values: [ISSUER] },
          { key: "request.auth.claims[sub]", values: ["x"] },
        ],
      },
    ]);
  });

  test("rbac before jwt_authn sees no token", () => {
    const before = [
      rbac("DENY", policy(undefined, claim("sub", { string_match: { exact: "x" } }))),
      jwtAuthn(),
    ];
    expect(refusal(before)).toContain("runs before jwt_authn and sees no token");
  });
});

describe("Envoy Gateway's SecurityPolicy", () => {
  interface Rule {
    action: string;
    operation?: object;
    principal?: object;
  }
  const security = (
    spec: object,
    name = "gate",
    targetRefs: object[] = [{ kind: "Gateway", name: "edge" }],
  ) => ({
    apiVersion: "gateway.envoyproxy.io/v1alpha1",
    kind: "SecurityPolicy",
    metadata: { name, namespace: "web" },
    spec: { targetRefs: targetRefs.map((one) => ({ group: "gateway.networking.k8s.io", ...one })), ...spec },
  });
  const jwt = (more: object = {}, of: object = {}) => ({
    providers: [{ name: "a", issuer: ISSUER, localJWKS: { inline: JWKS }, ...more }],
    ...of,
  });
  const authorization = (rules: Rule[], defaultAction?: string) => ({
    authorization: { rules, defaultAction },
  });
  const gateway = { targetRefs: [{ group: "gateway.networking.k8s.io", kind: "Gateway", name: "edge" }] };

  test("providers, for a Gateway", () => {
    const [made] = imported(
      security({
        jwt: jwt({
          audiences: ["api"],
          localJWKS: undefined,
          remoteJWKS: { uri: "https://a.example/keys", cacheDuration: "60s" },
          extractFrom: { headers: [{ name: "x-t", valuePrefix: "T " }], cookies: ["c"], params: ["p"] },
          claimToHeaders: [{ header: "x-sub", claim: "sub" }],
          recomputeRoute: true,
        }),
      }),
    );
    expect(made).toMatchObject({
      kind: "RequestAuthentication",
      metadata: { name: "gate", namespace: "web" },
      spec: {
        ...gateway,
        jwtRules: [
          {
            issuer: ISSUER,
            audiences: ["api"],
            jwksUri: "https://a.example/keys",
            timeout: "10000ms",
            fromHeaders: [{ name: "x-t", prefix: "T " }],
            fromParams: ["p"],
            fromCookies: ["c"],
            forwardOriginalToken: true,
            outputClaimToHeaders: [{ header: "x-sub", claim: "sub" }],
            spaceDelimitedClaims: ["scp"],
            presence: "REQUIRED",
          },
        ],
      },
    });
  });

  test("optional tokens, several providers, keys in a ConfigMap, a List of kubectl", () => {
    const extractFrom = { headers: [{ name: "Authorization", valuePrefix: "Bearer " }] };
    const optional = imported(security({ jwt: jwt({ extractFrom }, { optional: true }) }));
    expect(optional[0]?.spec.jwtRules?.[0]).not.toHaveProperty("presence");
    const second = {
      name: "b",
      issuer: "https://b.example",
      extractFrom,
      localJWKS: { type: "ValueRef", valueRef: { name: "keys" } },
    };
    const both = security({ jwt: { providers: [{ ...jwt().providers[0], extractFrom }, second] } });
    expect(refusal(both)).toContain('the keys are in the ConfigMap "keys", which is not in this file');
    const list = {
      kind: "List",
      items: [both, { kind: "ConfigMap", metadata: { name: "keys" }, data: { jwks: JWKS } }],
    };
    const made = imported(list);
    expect(made[0]?.spec.jwtRules).toMatchObject([
      { issuer: ISSUER },
      { issuer: "https://b.example", jwks: JWKS },
    ]);
    expect(made[1]).toMatchObject({
      metadata: { name: "gate-require-token" },
      spec: { ...gateway, action: "DENY" },
    });
  });

  test("the first rule that matches decides", () => {
    const rules: Rule[] = [
      { action: "Deny", principal: { clientCIDRs: ["10.0.0.0/8"] } },
      { action: "Allow", operation: { methods: ["GET"] } },
      { action: "Deny", operation: { path: { type: "PathPrefix", value: "/admin" } } },
      {
        action: "Allow",
        principal: { jwt: { provider: "a", scopes: ["read"], claims: [{ name: "sub", values: ["alice"] }] } },
      },
    ];
    const policyOf = (defaultAction?: string) =>
      imported(security({ jwt: jwt(), ...authorization(rules, defaultAction) })).find(
        ({ metadata }) => metadata.name === "gate-authorization",
      )?.spec;
    const notTen = { from: [{ source: { notRemoteIpBlocks: ["10.0.0.0/8"] } }] };
    expect(policyOf()).toEqual({
      ...gateway,
      action: "ALLOW",
      rules: [
        { ...notTen, to: [{ operation: { methods: ["GET"] } }] },
        ...["scope", "scp"].map((claimName) => ({
          ...notTen,
          to: [{ operation: { notPaths: ["/admin", "/admin/*", "/admin;*"] } }],
          when: [
            { key: `request.auth.claims[${claimName}]`, values: ["read"] },
            { key: "request.auth.claims[sub]", values: ["alice"] },
          ],
        })),
      ],
    });
    expect(policyOf("Allow")).toMatchObject({
      action: "DENY",
      rules: [
        { from: [{ source: { remoteIpBlocks: ["10.0.0.0/8"] } }] },
        { to: [{ operation: { paths: ["/admin", "/admin/*", "/admin;*"] } }] },
      ],
    });
  });

  test("nothing is allowed if no rule allows it; nothing is written if nothing is denied", () => {
    const deny: Rule[] = [{ action: "Deny", operation: { methods: ["GET"] } }];
    expect(imported(security(authorization(deny)))[0]?.spec).toEqual({ ...gateway, action: "ALLOW" });
    expect(refusal(security(authorization([], "Allow")))).toContain("let every request pass");
  });

  test.each<[string, object, RegExp]>([
    [
      "a claim that is a text",
      { jwt: { provider: "a", claims: [{ name: "role", values: ["x"] }] } },
      /--assume-claim-types/,
    ],
    ["a header", { headers: [{ name: "x", values: ["v"] }] }, /value by value/],
    ["geolocations", { clientIPGeoLocations: [{ country: "CH" }] }, /no equivalent of clientIPGeoLocations/],
  ])("refused: %s", (_name, principal, words) => {
    expect(refusal(security({ jwt: jwt(), ...authorization([{ action: "Allow", principal }]) }))).toMatch(
      words,
    );
  });

  test.each<[string, object, RegExp]>([
    ["other parts", { basicAuth: {} }, /basicAuth asks for passwords, and is not imported/],
    ["a merge", { mergeType: "StrategicMerge" }, /without mergeType/],
    ["an unknown field", { jwt: jwt({ future: 1 }) }, /unknown field "future" in spec.jwt.providers\[0\]/],
    ["CEL", authorization([{ action: "Allow", cel: "true" } as Rule]), /no CEL expressions/],
    [
      "a regular expression with the query",
      authorization([{ action: "Allow", operation: { path: { type: "RegularExpression", value: "/a" } } }]),
      /with the query too/,
    ],
  ])("refused: %s", (_name, spec, words) => {
    expect(refusal(security({ jwt: jwt(), ...spec }))).toMatch(words);
  });

  test("routes, and several policies", () => {
    const rules: Rule[] = [{ action: "Allow", operation: { methods: ["GET"] } }];
    const forRoute = (name: string) =>
      security(authorization(rules), name, [{ kind: "HTTPRoute", name: "shop" }]);
    expect(run(forRoute("one")).stderr).toMatch(
      /warning: this is for the HTTPRoute "shop", and policies cannot select routes/,
    );
    const two = { kind: "List", items: [forRoute("one"), forRoute("two")] };
    expect(refusal(two)).toContain('with --policy NAME ("web/one", "web/two")');
    expect(imported(two, "--policy", "web/two")[0]?.metadata.name).toBe("two-authorization");
    expect(refusal(two, "--policy", "three")).toContain('there is no SecurityPolicy "three"');
    const apart = {
      kind: "List",
      items: [
        security(authorization(rules), "a"),
        security(authorization(rules), "b", [{ kind: "Gateway", name: "other" }]),
      ],
    };
    expect(imported(apart).map(({ metadata }) => metadata.name)).toEqual([
      "a-authorization",
      "b-authorization",
    ]);
  });
});
