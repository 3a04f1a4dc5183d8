/** Whole documents of policies with usual and odd values in every field, for tests of the compiler and the filter. */
import fc from "fast-check";
import { stringify } from "yaml";
import type { CompileOptions } from "../../tools/targets/compile.ts";
import { TARGETS, targetOf } from "../../tools/targets/index.ts";
import { anyText } from "../render/strings.ts";

/** The public key of RFC 7515, appendix A.3. */
const EC_KEY = {
  kty: "EC",
  crv: "P-256",
  x: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
  y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
};

/** Texts that JSON can hold and YAML cannot: a lone surrogate. */
const halves = fc.constantFrom("\ud83d", "a\ude00b", "\ude00\ud83d");

/** Longer than every limit of a single value. */
const LONG = [63, 64, 253, 254, 2048, 2049, 8192, 70_000].map((length) => "a".repeat(length));

const odd = fc.oneof(
  { weight: 12, arbitrary: anyText },
  { weight: 2, arbitrary: fc.constantFrom(...LONG) },
  { weight: 1, arbitrary: halves },
);

/** Values of a wrong type for a field. */
const otherType = fc.constantFrom<unknown>(null, true, false, 0, 1, -1, 8080, 0.5, [], {}, [[]], [null], {
  a: "b",
});

/** Mostly valid values of a field, sometimes nearly valid ones or any text, rarely a value of another type. */
function value(right: readonly string[], wrong: readonly string[] = []): fc.Arbitrary<unknown> {
  const appended = fc.tuple(fc.constantFrom(...right), odd).map((parts) => parts.join(""));
  return fc.oneof(
    { weight: 60, arbitrary: fc.constantFrom(...right) },
    { weight: wrong.length > 0 ? 4 : 0, arbitrary: fc.constantFrom(...wrong, "") },
    { weight: 4, arbitrary: odd },
    { weight: 2, arbitrary: appended },
    { weight: 1, arbitrary: otherType },
  );
}

/** A list of those: one or two, rarely none, many, or the same many times. */
function list(right: readonly string[], wrong: readonly string[] = []): fc.Arbitrary<unknown> {
  const one = fc.constantFrom(...right);
  const many = fc
    .tuple(one, fc.constantFrom(3, 16, 17, 64, 65))
    .map(([first, count]) => Array.from({ length: count }, (_, i) => (i % 3 === 0 ? first : `${first}${i}`)));
  const same = fc.tuple(one, fc.constantFrom(16, 512, 513)).map(([first, count]) => Array(count).fill(first));
  return fc.oneof(
    { weight: 40, arbitrary: fc.array(value(right, wrong), { minLength: 1, maxLength: 2 }) },
    { weight: 1, arbitrary: fc.constant([]) },
    { weight: 2, arbitrary: many },
    { weight: 1, arbitrary: same },
    { weight: 1, arbitrary: otherType },
  );
}

/** Some of the fields, mostly few. */
function some(fields: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<object> {
  const all = Object.keys(fields);
  const few = fc.subarray(all, { minLength: 1, maxLength: Math.min(3, all.length) });
  return fc
    .oneof({ weight: 12, arbitrary: few }, { weight: 1, arbitrary: fc.subarray(all) })
    .chain((names) =>
      fc.record(Object.fromEntries(names.map((name) => [name, fields[name] as fc.Arbitrary<unknown>]))),
    );
}

/** None of the fields, or some. */
function perhaps(fields: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<object> {
  return fc.oneof(fc.constant({}), some(fields));
}

function objects(object: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc.oneof(
    { weight: 30, arbitrary: fc.array(object, { minLength: 1, maxLength: 2 }) },
    { weight: 1, arbitrary: otherType },
  );
}

/** Parts of a URL: the usual ones, and others that are valid or nearly valid. */
const PARTS: readonly { usual: readonly string[]; others: readonly string[] }[] = [
  {
    usual: ["https://", "https://", "http://"],
    others: [
      "HTTPS://",
      "Http://",
      "hTTp://",
      "https:/",
      "https:",
      "ftp://",
      "//",
      "file:///",
      " https://",
      "",
    ],
  },
  { usual: [""], others: ["user@", "user:pass@", ":@", "@", "%41@", "a:b@c@"] },
  {
    usual: ["idp.example.com", "keys", "10.0.0.1", "[2001:db8::1]"],
    others: [
      ...[
        "bücher.example",
        "BÜCHER.example",
        "faß.example",
        "例え.jp",
        "xn--bcher-kva.example",
        "A.Example",
        "a.example.",
      ],
      ...[
        "0x7f.1",
        "017700000001",
        "169.254.169.254",
        "localhost",
        "[::1]",
        "[2001:DB8::1]",
        "[fe80::1%25eth0]",
      ],
      ...[
        "[::ffff:10.0.0.1]",
        "[::",
        "a_b",
        "a..b",
        ".",
        "-a-",
        "a b",
        "a%41",
        "%C3%BC",
        "%2f",
        "",
        "*",
        "a\\b",
      ],
      ...[
        "a,b",
        "a;b",
        "a=b",
        "a+b",
        "a~b",
        "a!b",
        "a$b",
        "a&b",
        "a(b)",
        "a*b",
        "a'b",
        'a"b',
        "a|b",
        "a^b",
        "a`b",
        "a{b}",
      ],
      ...[
        `${"a".repeat(63)}.b`,
        `${"a".repeat(64)}.b`,
        `${"a.".repeat(126)}b`,
        `${"a.".repeat(127)}bc`,
        "1.2.3.4.5",
        "0",
      ],
    ],
  },
  {
    usual: ["", "", ":8443"],
    others: [":", ":0", ":443", ":80", ":00443", ":65535", ":65536", ":+1", ":1e3", ":٣"],
  },
  {
    usual: ["/jwks.json", "/", ""],
    others: [
      ...[
        "/My Realm/certs",
        "/Zürich/certs",
        "/?x=1",
        "?x=1",
        "/%2f",
        "/%",
        "/%zz",
        "\\x",
        "/a\\b",
        "/a#b",
        "#b",
        "?",
        "#",
      ],
      ...[
        "//a",
        "/../a",
        "/./a",
        "/%2e%2e/a",
        "/a;b",
        "/a|b",
        "/a'b",
        '/"a"',
        "/<a>",
        "/a^b",
        "/a`b",
        "/{a}",
        "/[a]",
      ],
      ...[
        "/?a b",
        "/?é",
        "/?a'b",
        "/?%",
        "/?a?b#c?d",
        "/?a\\b",
        '/?"<>`{}|^',
        "/😀",
        "/a\tb",
        "/a\nb",
        " ",
        "/ ",
        "/a ",
      ],
      ...[
        "/\u00a0",
        "/\u200b",
        "/\u202e",
        "/\u00ad",
        "/\ufeff",
        `/${"a".repeat(2030)}`,
        `/${"é".repeat(700)}`,
      ],
    ],
  },
];

/** A URL, or nearly one: at most two of its parts are unusual. */
const url = fc
  .tuple(
    fc.subarray([0, 1, 2, 3, 4], { maxLength: 2 }),
    ...PARTS.map(({ usual, others }) =>
      fc.tuple(
        fc.constantFrom(...usual),
        fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...others) }, { weight: 1, arbitrary: odd }),
      ),
    ),
  )
  .map(([unusual, ...parts]) =>
    parts.map(([usual, other], i) => (unusual.includes(i) ? other : usual)).join(""),
  );

const member = (text: fc.Arbitrary<unknown>) =>
  fc.oneof({ weight: 2, arbitrary: text }, { weight: 1, arbitrary: otherType });

/** A JWK, or nearly one. */
const jwk = fc
  .tuple(
    fc.constantFrom<object>(
      EC_KEY,
      { kty: "oct", k: "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA" },
      { kty: "oct", k: "" },
      { kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" },
      { kty: "OKP", crv: "Ed25519", x: "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" },
      { kty: "RSA", n: `v${"w".repeat(341)}`, e: "AQAB" },
      { kty: "RSA", n: "AQAB", e: "AQAB" },
      { kty: "RSA", n: `${"_".repeat(3000)}`, e: "Aw" },
      { kty: "EC", crv: "P-256", x: "AA", y: "AA" },
      { kty: "EC", crv: "secp256k1", x: "AA", y: "AA" },
      { kty: "AKP", alg: "ML-DSA-65", pub: "AAAA" },
      { kty: "AKP", alg: "ML-DSA-44", pub: "A".repeat(1750) },
      {},
    ),
    some({
      kid: member(odd),
      alg: member(
        fc.oneof(
          fc.constantFrom("RS256", "PS256", "ES256", "EdDSA", "Ed25519", "ML-DSA-65", "HS256", "none", ""),
          odd,
        ),
      ),
      use: member(fc.oneof(fc.constantFrom("sig", "enc", "jwt-svid", ""), odd)),
      key_ops: fc.constantFrom<unknown>(
        [],
        ["verify"],
        ["sign"],
        [""],
        "verify",
        null,
        [1],
        ["verify", "verify"],
      ),
      x5c: fc.constantFrom<unknown>([], [""], "", null, ["AAAA"]),
      d: fc.constantFrom<unknown>(null, "", "AAAA", 1),
      oth: fc.constantFrom<unknown>([], null, [{}]),
    }),
  )
  .map(([base, more]) => ({ ...base, ...more }));

const jwks = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ keys: [EC_KEY] }).map((set) => JSON.stringify(set)) },
  {
    weight: 8,
    arbitrary: fc
      .array(
        fc.oneof({ weight: 6, arbitrary: jwk as fc.Arbitrary<unknown> }, { weight: 1, arbitrary: otherType }),
        { maxLength: 3 },
      )
      .map((keys) => JSON.stringify({ keys })),
  },
  { weight: 1, arbitrary: jwk.map((one) => JSON.stringify(one)) },
  { weight: 1, arbitrary: jwk.map((one) => JSON.stringify({ keys: Array(101).fill(one) })) },
  // As YAML, not as JSON in a string.
  { weight: 1, arbitrary: jwk.map((one) => ({ keys: [one] }) as unknown) },
  {
    weight: 1,
    arbitrary: value(["{}", "[]", '{"keys":[]}', '{"keys":{}}', '{"keys":[],"keys":[]}', "-----BEGIN "]),
  },
);

const headerName = value(
  ["authorization", "X-Token", "x-a", "cookie", "X~!#$%&'*+.^`|"],
  ["host", ":path", "a b"],
);
const outputName = value(
  ["x-a", "X-B", "x_c"],
  ["host", "connection", "content-length", "transfer_encoding", ":path", "a.b"],
);
const claimName = value([
  ...[
    "sub",
    "a.b",
    "a.b.c",
    ".",
    "a..b",
    ".a",
    "a.",
    "a[b]",
    "http://example.com/is_root",
    "é",
    "a b",
    "__proto__",
  ],
]);

const jwtRule = fc
  .tuple(
    fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          issuer: value(["https://issuer.example", "i", "accounts.example", "https://*", "é"]),
        }),
      },
      { weight: 3, arbitrary: fc.record({ issuer: url as fc.Arbitrary<unknown> }) },
      { weight: 1, arbitrary: fc.constant({}) },
    ),
    fc.oneof(
      { weight: 4, arbitrary: fc.record({ jwks }) },
      { weight: 6, arbitrary: fc.record({ jwksUri: url }) },
      { weight: 1, arbitrary: fc.record({ jwks_uri: url }) },
      { weight: 1, arbitrary: fc.record({ jwks, jwksUri: url }) },
      { weight: 2, arbitrary: fc.constant({}) },
    ),
    perhaps({
      audiences: list(["a", "https://a.example/", "é", " "]),
      fromHeaders: objects(
        fc
          .tuple(
            fc.record({ name: headerName }),
            some({ prefix: value(["Bearer ", "T", "", " ", "a\tb", "é"], ["a\nb"]) }),
          )
          .map((parts) => Object.assign({}, ...parts) as object),
      ),
      fromParams: list(["token", "a b", "a&b", "a=b", "é"]),
      fromCookies: list(["session", "a;b", "a=b", "a b", "é"]),
      outputPayloadToHeader: outputName,
      outputClaimToHeaders: objects(fc.record({ header: outputName, claim: claimName })),
      spaceDelimitedClaims: list(["roles", "scope", "é"], ["iss", "sub"]),
      forwardOriginalToken: fc.constantFrom<unknown>(true, true, false, false, null, "true", 1),
      timeout: value(["5s", "1500ms", "1m30s", "300s", "0.001s"], ["0s", "1h", "1ns", "5", "-1s", "301s"]),
      presence: value(["OPTIONAL", "REQUIRED"], ["required"]),
    }),
  )
  .map((parts) => Object.assign({}, ...parts) as object);

const both = (name: string, right: readonly string[], wrong?: readonly string[]) => ({
  [name]: list(right, wrong),
  [`not${name[0]?.toUpperCase()}${name.slice(1)}`]: list(right, wrong),
});
const IDENTITIES = ["a/ns/b/sa/c", "cluster.local/ns/foo/sa/bar", "*", "a*", "*a", "*/ns/a/*", "**", "/"];
const BLOCKS = [
  ["10.0.0.0/8", "10.0.0.1", "::1", "2001:db8::/32", "0.0.0.0/0", "::ffff:1.2.3.4", "::/0", "10.0.0.1/8"],
  ["10.0.0.1/33", "::/129", "1.2.3", "*", "01.2.3.4", "10.0.0.1/", "fe80::1%eth0", "10.0.0.1/-0"],
] as const;
const PORTS = [
  ["80", "65535", "1"],
  ["0", "65536", "080", "+80", "8e1", "*", " 80"],
] as const;

const source = fc.oneof(
  some({
    ...both("principals", IDENTITIES, ["spiffe://a", "a*b"]),
    ...both("namespaces", ["foo", "*", "f*", "*o"], ["a/b"]),
    ...both("trustDomains", ["td", "*", "td*"], ["a/b"]),
    ...both("requestPrincipals", ["i/s", "*", "i/*", "*/s", "i*", "*s", "/", "a/b/c"]),
  }),
  some(both("serviceAccounts", ["a", "a/b"], ["a/b/c", "/", "*"])),
  some({ ...both("ipBlocks", ...BLOCKS), ...both("remoteIpBlocks", ...BLOCKS) }),
);
const operation = some({
  ...both("hosts", ["a.example", "*.example", "a.*", "*", "A.Example:80", "[::1]", "*a*"]),
  ...both("ports", ...PORTS),
  ...both("methods", ["GET", "get", "*", "G*", "*T", "CONNECT"]),
  ...both(
    "paths",
    [
      "/a",
      "/a/*",
      "*/a",
      "*",
      "/{*}/b",
      "/{**}",
      "/a/{**}/b",
      "/%2f",
      "a",
      "/a?b",
      "/a#b",
      "//a",
      `/${"{*}/".repeat(4)}`,
    ],
    ["/{**}/{*}", "{*}", "/a{*}", "/{a}", "/{*", "/a/{*}*", `/${"{*}/".repeat(40)}`],
  ),
});
const condition = fc
  .tuple(
    value(
      [
        ...[
          "request.auth.claims[a]",
          "request.auth.claims[a][b]",
          "request.auth.claims[iss]",
          "request.headers[a]",
        ],
        ...[
          "request.headers[:path]",
          "request.headers[host]",
          "request.auth.principal",
          "request.auth.audiences",
        ],
        ...[
          "request.auth.presenter",
          "source.namespace",
          "source.principal",
          "source.trustDomain",
          "connection.sni",
        ],
        ...["request.headersx[a]", "request.auth.claims[a[b]]", "request.auth.claims[a]b"],
      ],
      [
        ...[
          "experimental.envoy.filters.a[b]",
          "request.headers",
          "request.auth.claims[]",
          "destination.labels[a]",
        ],
        ...[
          "source.ip",
          "remote.ip",
          "destination.ip",
          "destination.port",
          "source.serviceAccount",
          "request.auth.claims[a][]",
        ],
      ],
    ),
    odd,
    some({ values: list(["a", "*", "a*", "*a", "a/ns/b/sa/c"]), notValues: list(["b"]) }),
  )
  .map(([name, within, values]) => ({
    key: typeof name === "string" && within.length % 3 === 0 ? name.replace("[a]", `[${within}]`) : name,
    ...values,
  }));
const typed = fc.oneof(
  fc.record({ key: fc.constantFrom("source.ip", "remote.ip", "destination.ip"), values: list(...BLOCKS) }),
  fc.record({ key: fc.constant("destination.port"), notValues: list(...PORTS) }),
  fc.record({ key: fc.constant("source.serviceAccount"), values: list(["a", "a/b"], ["/"]) }),
);

const rule = some({
  from: objects(fc.record({ source })),
  to: objects(fc.record({ operation })),
  when: objects(fc.oneof({ weight: 3, arbitrary: condition }, { weight: 1, arbitrary: typed })),
});

const authorization = fc
  .tuple(
    fc.oneof(
      { weight: 2, arbitrary: fc.constant({}) },
      {
        weight: 12,
        arbitrary: fc.record({ action: value(["ALLOW", "DENY", "AUDIT"], ["CUSTOM", "allow"]) }),
      },
      {
        weight: 1,
        arbitrary: fc.record({ provider: fc.constantFrom<unknown>({ name: "x" }, {}, null, "x") }),
      },
    ),
    fc.oneof(
      { weight: 40, arbitrary: fc.array(rule, { maxLength: 2 }) as fc.Arbitrary<unknown> },
      { weight: 1, arbitrary: fc.constantFrom(512, 513).map((count) => Array(count).fill({})) },
      { weight: 1, arbitrary: otherType },
    ),
  )
  .map(([action, rules]) => ({ ...action, rules }));

const label = value(["app", "example.com/app", "a b", "é", "__proto__"]);
const reference = fc.oneof(
  fc.record({
    group: fc.constant("gateway.networking.k8s.io"),
    kind: fc.constant("Gateway"),
    name: value(["gw", "a.b"]),
  }),
  fc.record({ kind: fc.constant("Service"), name: value(["a"]), namespace: value(["foo", ""]) }),
  some({ group: value(["", "core"]), kind: value(["ServiceEntry", "Pod"]), name: value(["a"]) }),
);
const attachment = fc.oneof(
  { weight: 12, arbitrary: fc.constant({}) as fc.Arbitrary<object> },
  {
    weight: 3,
    arbitrary: fc
      .array(fc.tuple(label, value(["httpbin", "", "yes", "1"], ["*", "a".repeat(64)])), { maxLength: 2 })
      .map((labels) => ({ selector: { matchLabels: Object.fromEntries(labels) } })),
  },
  { weight: 3, arbitrary: fc.record({ targetRefs: objects(reference) }) },
  { weight: 1, arbitrary: fc.record({ targetRef: reference, selector: otherType }) },
);

const metadata = fc
  .tuple(
    fc.oneof(
      { weight: 9, arbitrary: fc.constant({ name: "a" }) as fc.Arbitrary<object> },
      {
        weight: 1,
        arbitrary: fc.record({
          name: value(["a", "a.b-c", "a".repeat(253)], ["A", "a_b", "-a", "a".repeat(254)]),
        }),
      },
    ),
    fc.oneof(
      { weight: 2, arbitrary: fc.constant({}) },
      {
        weight: 1,
        arbitrary: some({
          namespace: value(["foo", "istio-system", "a".repeat(63)], ["a.b", "A", "a".repeat(64)]),
          annotations: fc.oneof(
            value(["true", "false", "1"], ["yes"]).map((given) => ({ "istio.io/dry-run": given })),
            fc.tuple(label, odd).map(([name, given]) => ({ [String(name)]: given })),
            otherType,
          ),
          labels: fc.tuple(label, odd).map(([name, given]) => ({ [String(name)]: given })),
          creationTimestamp: value(["2026-01-01T00:00:00Z"], ["yesterday", "2026-13-01T00:00:00Z"]),
        }),
      },
    ),
  )
  .map((parts) => Object.assign({}, ...parts) as object);

function resource(kind: string, spec: fc.Arbitrary<object>): fc.Arbitrary<object> {
  return fc.tuple(metadata, attachment, spec).map(([named, attached, rules]) => ({
    apiVersion: "security.istio.io/v1",
    kind,
    metadata: named,
    spec: { ...attached, ...rules },
  }));
}

/** A policy of either kind. */
const anyPolicy: fc.Arbitrary<object> = fc.oneof(
  {
    weight: 3,
    arbitrary: resource(
      "RequestAuthentication",
      fc.record({
        jwtRules: fc.oneof(
          {
            weight: 30,
            arbitrary: fc.array(jwtRule, { minLength: 1, maxLength: 2 }) as fc.Arbitrary<unknown>,
          },
          { weight: 1, arbitrary: otherType },
        ),
      }),
    ),
  },
  { weight: 2, arbitrary: resource("AuthorizationPolicy", authorization) },
);

/** The documents of a file: mostly one. */
const anyPolicies: fc.Arbitrary<object[]> = fc.oneof(
  { weight: 6, arbitrary: anyPolicy.map((policy) => [policy]) },
  { weight: 1, arbitrary: fc.array(anyPolicy, { minLength: 2, maxLength: 3 }) },
);

/** Ways to write documents down. */
const WRITERS: readonly ((documents: readonly object[]) => string)[] = [
  (documents) => documents.map((document) => JSON.stringify(document)).join("\n---\n"),
  (documents) => documents.map((document) => JSON.stringify(document, null, 1)).join("\n---\n"),
  (documents) =>
    documents
      .map((document) => stringify(document, { version: "1.1", aliasDuplicateObjects: false }))
      .join("---\n"),
];

/** A file of policies, sometimes with a few characters replaced. */
export const anyFile: fc.Arbitrary<string> = fc
  .tuple(
    anyPolicies,
    fc.constantFrom(...WRITERS),
    fc.oneof(
      { weight: 7, arbitrary: fc.constant(undefined) },
      { weight: 1, arbitrary: fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(3), odd) },
    ),
  )
  .map(([documents, write, change]) => {
    const written = write(documents);
    if (change === undefined) return written;
    const [where, length, inserted] = change;
    const start = Math.floor(where * written.length);
    return `${written.slice(0, start)}${inserted}${written.slice(start + length)}`;
  });

/** What they are compiled with. */
export const anyOptions: fc.Arbitrary<CompileOptions> = fc
  .record<CompileOptions, "target">(
    {
      target: fc.constantFrom(...TARGETS.keys()),
      namespace: fc.constant("foo"),
      labels: fc.constantFrom<Record<string, string>>({}, { app: "httpbin" }),
      shadow: fc.boolean(),
      filterState: fc.boolean(),
      removeLookalikes: fc.boolean(),
      waypoint: fc.constantFrom(true, false, false, false),
      jwksHosts: fc.constant(["https://keys.example:8443"]),
    },
    { requiredKeys: ["target"] },
  )
  .map(({ waypoint = false, ...options }) => ({
    ...options,
    waypoint: waypoint && targetOf(options.target).hasWaypoints === true,
    // For Gateways only, and this has no access log.
    ...(options.target === "envoygateway" && { gateway: "edge" }),
    ...(options.target === "google" && { filterState: false }),
  }));
