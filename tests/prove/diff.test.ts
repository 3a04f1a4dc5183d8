/** Differences that were planted, from easy to devious, and policies that only look different. */
import { describe, expect, test } from "vitest";
import { authentication, difference, issuer, lines, policy, tokenPolicy } from "./policies.ts";

const allow = (rules: string, metadata = "") => policy("ALLOW", rules, "policy", metadata);
const deny = (rules: string) => policy("DENY", rules);
const to = (operation: string) => `[{to: [{operation: ${operation}}]}]`;
const paths = (...list: string[]) => to(`{paths: ${JSON.stringify(list)}}`);
const from = (source: string) => `[{from: [{source: ${source}}]}]`;
const when = (...conditions: string[]) => `[{when: [${conditions.join(", ")}]}]`;
const claim = (name: string, rest: string) => `{key: "request.auth.claims[${name}]", ${rest}}`;
const header = (name: string, rest: string) => `{key: "request.headers[${name}]", ${rest}}`;
const ANYONE = "[{}]";
const TOKENS = authentication(`[${issuer()}]`);
const with_ = (more: string) => authentication(`[${issuer(more)}]`);
const SIGNED_IN = from('{requestPrincipals: ["*"]}');
const BOTH = authentication(`[${issuer()}, ${issuer("", "b")}]`);
const ISS = '"iss":"https://a.example"';

describe("planted differences", () => {
  test.each<[string, string, string, string[]]>([
    [
      "a trailing slash",
      deny(paths("/admin")),
      deny(paths("/admin", "/admin/")),
      ["closed 200>403 GET localhost/admin/"],
    ],
    [
      "a slash before the star",
      allow(paths("/api/*")),
      allow(paths("/api*")),
      ["opened 403>200 GET localhost/api"],
    ],
    [
      "an empty segment",
      allow(paths("/orders/{*}")),
      allow(paths("/orders/*")),
      ["opened 403>200 GET localhost/orders/"],
    ],
    [
      "a character that no segment of a template has",
      allow(paths("/orders/{**}")),
      allow(paths("/orders/*")),
      ["opened 403>200 GET localhost/orders/["],
    ],
    [
      "one segment and any number of them",
      allow(paths("/v1/{*}/items")),
      allow(paths("/v1/{**}/items")),
      ["opened 403>200 GET localhost/v1//items"],
    ],
    [
      "the case of an escape",
      deny(paths("/a%2Fb")),
      deny(paths("/a%2fb")),
      ["opened 403>200 GET localhost/a%2Fb", "closed 200>403 GET localhost/a%2fb"],
    ],
    [
      "a port of Host",
      allow(to("{hosts: [a.example]}")),
      allow(to('{hosts: [a.example, "a.example:*"]}')),
      ["opened 403>200 GET a.example:/"],
    ],
    [
      "a port",
      allow(to('{ports: ["80"]}')),
      allow(to('{ports: ["80", "8443"]}')),
      ["opened 403>200 GET localhost/ port=8443"],
    ],
    [
      "notValues and an absent claim",
      TOKENS + deny(when(claim("groups", "notValues: [admin]"))),
      TOKENS +
        deny(
          `[{from: [{source: {requestPrincipals: ["*"]}}], when: [${claim("groups", "notValues: [admin]")}]}]`,
        ),
      ["opened 403>200 GET localhost/"],
    ],
    [
      "both of two values, or one of them",
      TOKENS + allow(when(claim("g", "values: [a]"), claim("g", "values: [b]"))),
      TOKENS + allow(when(claim("g", "values: [a, b]"))),
      [`opened 403>200 GET localhost/ authorization:{${ISS},"g":"b"}`],
    ],
    [
      "a list that has one value more",
      TOKENS + allow(when(claim("g", "values: [a], notValues: [b]"))),
      TOKENS + allow(when(claim("g", "values: [a]"))),
      [`opened 403>200 GET localhost/ authorization:{${ISS},"g":["a","b"]}`],
    ],
    [
      "a claim inside another, and one with a dot",
      TOKENS + allow(when(claim("a][b", "values: [x]"))),
      TOKENS + allow(when(claim("a.b", "values: [x]"))),
      [
        `opened 403>200 GET localhost/ authorization:{${ISS},"a.b":"x"}`,
        `closed 200>403 GET localhost/ authorization:{${ISS},"a":{"b":"x"}}`,
      ],
    ],
    [
      "a string that is a list for one of them",
      TOKENS + allow(when(claim("perms", "values: [read]"))),
      with_(", spaceDelimitedClaims: [perms]") + allow(when(claim("perms", "values: [read]"))),
      [`opened 403>200 GET localhost/ authorization:{${ISS},"perms":"read "}`],
    ],
    [
      "one of two issuers",
      BOTH + allow(from('{requestPrincipals: ["https://a.example/*"]}')),
      BOTH + allow(SIGNED_IN),
      ['opened 403>200 GET localhost/ authorization:{"iss":"https://b.example","sub":"a"}'],
    ],
    [
      "an exemption that is a prefix",
      TOKENS +
        deny(
          '[{from: [{source: {notRequestPrincipals: ["*"]}}], to: [{operation: {notPaths: ["/health"]}}]}]',
        ),
      TOKENS +
        deny(
          '[{from: [{source: {notRequestPrincipals: ["*"]}}], to: [{operation: {notPaths: ["/health*"]}}]}]',
        ),
      ["opened 403>200 GET localhost/healtha"],
    ],
    [
      "the last address of a block",
      allow(from("{remoteIpBlocks: [10.0.0.0/24]}")),
      allow(
        from(
          "{remoteIpBlocks: [10.0.0.0/25, 10.0.0.128/26, 10.0.0.192/27, 10.0.0.224/28, 10.0.0.240/29, 10.0.0.248/30, 10.0.0.252/31, 10.0.0.254]}",
        ),
      ),
      ["closed 200>403 GET localhost/ peer=10.0.0.255"],
    ],
    [
      "the direct peer and the client",
      allow(from("{ipBlocks: [10.0.0.0/24]}")),
      allow(from("{remoteIpBlocks: [10.0.0.0/24]}")),
      [
        "opened 403>200 GET localhost/ x-forwarded-for=10.0.0.1",
        "closed 200>403 GET localhost/ x-forwarded-for=127.0.0.1 peer=10.0.0.1",
      ],
    ],
    [
      "the presence of a header",
      allow(when(header("x-a", 'values: ["*"]'))),
      allow(when(header("x-a", "notValues: [a]"))),
      ["opened 403>200 GET localhost/", "closed 200>403 GET localhost/ x-a=a"],
    ],
    [
      "a header that was removed with its token",
      TOKENS + allow(when(header("authorization", 'values: ["*"]'))),
      with_(", forwardOriginalToken: true") + allow(when(header("authorization", 'values: ["*"]'))),
      [
        `opened 403>200 GET localhost/ authorization:{${ISS}}`,
        `forwarded 200>200 GET localhost/ authorization= access_token:{${ISS}}`,
      ],
    ],
    [
      "an audience, which policies compare as it is written",
      with_(", audiences: [shop]") + allow(when('{key: "request.auth.audiences", values: [shop]}')),
      with_(", audiences: [shop]") + allow(SIGNED_IN),
      [
        `opened 403>200 GET localhost/ authorization:{${ISS},"aud":"shop/","sub":"a"}`,
        `closed 200>403 GET localhost/ authorization:{${ISS},"aud":"shop"}`,
      ],
    ],
    [
      "a dry run",
      deny(paths("/a")),
      policy("DENY", paths("/a"), "policy", ", annotations: {istio.io/dry-run: 'true'}"),
      ["opened 403>200 GET localhost/a"],
    ],
    ["an ALLOW policy without rules", allow(ANYONE), allow("[]"), ["closed 200>403 GET localhost/"]],
    [
      "a preflight",
      TOKENS + allow(SIGNED_IN),
      TOKENS +
        allow(`[{from: [{source: {requestPrincipals: ["*"]}}]}, {to: [{operation: {methods: [OPTIONS]}}]}]`),
      ["opened 403>200 OPTIONS localhost/"],
    ],
    [
      "a token that must be there",
      TOKENS + allow(ANYONE),
      with_(", presence: REQUIRED") + allow(ANYONE),
      ["closed 200>401 GET localhost/"],
    ],
  ])("%s", async (_, old, fresh, expected) => {
    expect(await lines(old, fresh)).toEqual(expected);
  });

  test("an audience closes, and changes the refusal of other tokens", async () => {
    const [first = "", second = ""] = await lines(
      TOKENS + allow(ANYONE),
      with_(", audiences: [shop]") + allow(ANYONE),
    );
    expect(first).toBe(`closed 200>403 GET localhost/ authorization:{${ISS}}`);
    // Signed by another key: the audience is checked before the signature.
    expect(second).toBe(`changed 401>403 GET localhost/ authorization:{${ISS}}`);
  });

  test("a header that only a token may set", async () => {
    const condition = allow(when(header("x-user", "values: [alice]")));
    const [first, , third] = await lines(
      with_(", outputClaimToHeaders: [{header: x-user, claim: sub}]") + condition,
      TOKENS + condition,
    );
    expect(first).toBe("opened 403>200 GET localhost/ x-user=alice");
    expect(third).toBe(`closed 200>403 GET localhost/ authorization:{${ISS},"sub":"alice"}`);
  });

  test("keys that are fetched from elsewhere", async () => {
    const elsewhere = authentication(`[${issuer().replace("/jwks", "/other")}]`);
    const found = await lines(TOKENS + allow(SIGNED_IN), elsewhere + allow(SIGNED_IN));
    expect(found.slice(0, 2)).toEqual([
      `opened 401>200 GET localhost/ authorization:{${ISS},"sub":"a"}`,
      `closed 200>401 GET localhost/ authorization:{${ISS},"sub":"a"}`,
    ]);
  });

  test("the lines that decided", async () => {
    const { classes } = await difference(deny(paths("/a")), allow(paths("/a")));
    expect(
      classes.map(({ change, old, new: fresh }) => [
        change,
        old.rule,
        old.position?.line,
        fresh.rule,
        fresh.position?.line,
      ]),
    ).toEqual([
      ["opened", "ns[shop]-policy[policy]-rule[0]", 5, "ns[shop]-policy[policy]-rule[0]", 5],
      ["closed", "", undefined, "", undefined],
    ]);
  });
});

describe("policies that only look different", () => {
  test.each<[string, string, string]>([
    [
      "rules in another order",
      allow(paths("/a", "/b")),
      allow("[{to: [{operation: {paths: [/b]}}]}, {to: [{operation: {paths: [/a]}}]}]"),
    ],
    ["a path that a prefix has", allow(paths("/a/*")), allow(paths("/a/*", "/a/b", "/a/b/*"))],
    [
      "ALLOW and DENY of the rest",
      allow(to("{methods: [GET, POST]}")),
      deny(to("{notMethods: [GET, POST]}")),
    ],
    [
      "templates that one template has",
      allow(paths("/a/{**}")),
      allow(paths("/a/{*}", "/a/{*}/{**}", "/a/{**}")),
    ],
    [
      "two halves of a block",
      allow(from("{remoteIpBlocks: [10.0.0.0/24]}")),
      allow(from("{remoteIpBlocks: [10.0.0.0/25, 10.0.0.128/25]}")),
    ],
    ["the case of a host", allow(to("{hosts: [Shop.example]}")), allow(to("{hosts: [shop.EXAMPLE]}"))],
    [
      "the only issuer",
      TOKENS + allow(from('{requestPrincipals: ["https://a.example/*"]}')),
      TOKENS + allow(SIGNED_IN),
    ],
    [
      "a principal and its subject",
      TOKENS + allow(SIGNED_IN),
      TOKENS + allow(when(claim("sub", 'values: ["*"]'))),
    ],
    [
      "an issuer that no provider verifies",
      TOKENS + allow(from('{requestPrincipals: ["https://c.example/*"]}')),
      TOKENS + allow("[]"),
    ],
    [
      "paths that normalization never leaves",
      deny(paths("/a/../b", "/x?y", "/a\\\\b", "/c")),
      deny(paths("/c")),
    ],
    ["a claim that is a number", TOKENS + allow(when(claim("exp", 'values: ["*"]'))), TOKENS + allow("[]")],
    [
      "spellings of audiences",
      with_(", audiences: [a, b]") + allow(ANYONE),
      with_(', audiences: ["https://b/", a]') + allow(ANYONE),
    ],
    [
      "issuers in another order",
      BOTH + allow(ANYONE),
      authentication(`[${issuer("", "b")}, ${issuer()}]`) + allow(ANYONE),
    ],
    ["an AUDIT policy", allow(ANYONE), allow(ANYONE) + policy("AUDIT", paths("/a"), "audit")],
    ["any path, and any request but CONNECT", allow(paths("*")), allow(to("{notMethods: [CONNECT]}"))],
    [
      "a value next to any value",
      TOKENS + deny(when(claim("g", 'notValues: ["*"]'))),
      TOKENS + deny(when(claim("g", 'notValues: ["*", x]'))),
    ],
    ["a method without its spelling", allow(to('{methods: ["*"]}')), allow(ANYONE)],
  ])("%s", async (_, old, fresh) => {
    const { equal, classes, undecided } = await difference(old, fresh);
    expect({ equal, classes, undecided }).toEqual({ equal: true, classes: [], undecided: [] });
  });
});

test("a header that could hold another token of the same provider does not", async () => {
  const tokens = with_(', fromHeaders: [{name: x-t}, {name: authorization, prefix: "Bearer "}]');
  const condition = (value: string) =>
    tokens + deny(when(header("authorization", `notValues: ["${value}"]`)));
  expect(await lines(condition("Bearer *"), condition("a*"))).toEqual([
    "opened 403>200 GET localhost/ authorization=a",
    // A preflight's token is not verified.
    "closed 200>403 OPTIONS localhost/ authorization=Bearer a access-control-request-method=a origin=a",
  ]);
});

test("a claim that no header can carry does not meet a condition on its text", async () => {
  const condition = allow(when(claim("g", "values: [admin]")));
  const { classes, undecided } = await difference(
    TOKENS + condition,
    with_(", outputClaimToHeaders: [{header: x-g, claim: g}]") + condition,
  );
  expect(undecided).toEqual([]);
  // A second token may be the spoilt one.
  const closed = classes.filter(({ change }) => change === "closed");
  expect(closed.every(({ witness }) => witness.tokens.length === 2)).toBe(true);
  expect(classes.map(({ change }) => change)).toContain("forwarded");
});

describe("undecided cases", () => {
  test.each<[string, string, string, RegExp]>([
    [
      "path and query together",
      allow(ANYONE),
      allow(when(header(":path", 'values: ["/a*"]'))),
      /compares path and query together/,
    ],
    [
      "a header that one token writes and that holds another",
      TOKENS + allow(ANYONE),
      with_(", fromHeaders: [{name: x-t}], outputPayloadToHeader: x-t") + allow(ANYONE),
      /a verified token writes the header x-t/,
    ],
    [
      "a key with another kid",
      authentication(
        `[{issuer: a, jwks: '{"keys":[{"kty":"oct","kid":"1","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQ"}]}'}]`,
      ) + allow("[]"),
      authentication(
        `[{issuer: a, jwks: '{"keys":[{"kty":"oct","kid":"2","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQ"}]}'}]`,
      ) + allow("[]"),
      /another kid or alg/,
    ],
    [
      "another extension provider",
      allow(ANYONE) + resourceOfCustom("one"),
      allow(ANYONE) + resourceOfCustom("two"),
      /CUSTOM policies differ/,
    ],
  ])("%s", async (_, old, fresh, reason) => {
    const { equal, undecided } = await difference(old, fresh);
    expect(equal).toBe(false);
    expect(undecided.join()).toMatch(reason);
  });
});

function resourceOfCustom(provider: string): string {
  return `---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: custom, namespace: shop}\nspec: {action: CUSTOM, provider: {name: ${provider}}, rules: [{}]}\n`;
}

describe("what TokenPolicies ask of tokens", () => {
  const asked = tokenPolicy(
    "tokenTypes: [x/y, at+jwt], requireType: true, requiredClaims: [jti, aud, nbf, org], maxLifetime: 5m, clockSkew: 1h",
  );
  const members = allow(when(claim("org", "values: [a]")));

  test("is satisfied by the tokens of examples, if both sides ask the same", async () => {
    expect(await difference(TOKENS + asked + members, TOKENS + asked + members)).toMatchObject({
      equal: true,
    });
    const everyone = allow(when(claim("org", 'values: ["*"]')));
    const [opened, ...more] = await lines(TOKENS + asked + members, TOKENS + asked + everyone);
    expect(opened).toMatch(/^opened 403>200 GET localhost\/ authorization:\{/);
    expect(more).toEqual([]);
  });

  test("also if the rules differ otherwise", async () => {
    const forApi = with_(", audiences: [api]");
    const found = await lines(TOKENS + asked + members, forApi + asked + members);
    expect(found.filter((line) => !/^(closed 200>403|changed) /.test(line))).toEqual([]);
    expect(found.length).toBeGreaterThan(0);
  });

  test.each([
    "tokenTypes: [at+jwt]",
    "tokenTypes: [at+jwt], requireType: true",
    "requiredClaims: [jti]",
    "maxLifetime: 1h",
    "clockSkew: 1s",
  ])("is not compared if one side does not ask for %s", async (spec) => {
    const undecided = [
      "undecided providers of the issuer https://a.example differ in what TokenPolicies ask of tokens",
    ];
    expect(await lines(TOKENS + members, TOKENS + tokenPolicy(spec) + members)).toEqual(undecided);
    expect(await lines(TOKENS + tokenPolicy(spec) + members, TOKENS + members)).toEqual(undecided);
  });
});
