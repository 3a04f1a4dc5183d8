import { describe, expect, test } from "vitest";
import type { Provider } from "../../tools/config/schema.ts";
import { requestUrl } from "../../tools/jwks/source.ts";
import { compileText, faultsAtMark, JWKS, jwtRule, messages, resource } from "./support.ts";

/** The only provider of a policy that compiles, without its keys. */
function provider(text: string): Omit<Provider, "localJwks"> {
  const { configuration, diagnostics } = compileText(text);
  expect(diagnostics).toEqual([]);
  const [{ localJwks, ...others }, ...more] = configuration!.providers as [Provider, ...Provider[]];
  expect(localJwks!.keys).toHaveLength(1);
  expect(more).toEqual([]);
  return others;
}

/** The fields of a rule besides those of every rule. */
function fields(text: string): object {
  const { name, policy, issuer, fromHeaders, fromParams, ...others } = provider(
    jwtRule(`issuer: i, ${text}`),
  );
  expect([name, policy, issuer]).toEqual(["origins-0", "foo/p", "i"]);
  expect(fromHeaders).toEqual([{ name: "authorization", valuePrefix: "Bearer " }]);
  expect(fromParams).toEqual(["access_token"]);
  return others;
}

describe("a jwtRule becomes a provider", () => {
  test("with only an issuer and keys, tokens are found at Envoy's default locations", () => {
    expect(provider(jwtRule("issuer: testing@secure.istio.io"))).toEqual({
      name: "origins-0",
      policy: "foo/p",
      issuer: "testing@secure.istio.io",
      fromHeaders: [{ name: "authorization", valuePrefix: "Bearer " }],
      fromParams: ["access_token"],
    });
  });
  test.each([
    ["audiences: [a, b]", { audiences: ["a", "b"] }],
    ["audiences: []", {}],
    ["forwardOriginalToken: true", { forward: true }],
    ["forwardOriginalToken: off", {}],
    ["outputPayloadToHeader: X-Payload", { forwardPayloadHeader: "x-payload" }],
    ["outputPayloadToHeader: ''", {}],
    [
      "outputClaimToHeaders: [{header: X-Foo, claim: foo.bar}, {header: x-foo, claim: b}]",
      {
        claimToHeaders: [
          { headerName: "x-foo", claimName: "foo.bar" },
          { headerName: "x-foo", claimName: "b" },
        ],
      },
    ],
    ["spaceDelimitedClaims: [scope, roles, groups, roles]", { spaceDelimitedClaims: ["groups", "roles"] }],
    ["spaceDelimitedClaims: [permission]", {}],
    ["presence: REQUIRED", { presence: "REQUIRED" }],
    ["presence: OPTIONAL", {}],
    ["timeout: 5s", {}],
    ["audiences: null, fromHeaders: []", {}],
  ])("%s", (text, expected) => expect(fields(text)).toEqual(expected));

  test("any place that is named takes the defaults' place", () => {
    const places = (text: string) => {
      const { fromHeaders, fromParams, fromCookies } = provider(jwtRule(`issuer: i, ${text}`));
      return { fromHeaders, fromParams, fromCookies };
    };
    expect(
      places("fromHeaders: [{name: X-Jwt}, {name: x-auth, prefix: 'Token '}, {name: z, prefix: ''}]"),
    ).toEqual({
      fromHeaders: [{ name: "x-jwt" }, { name: "x-auth", valuePrefix: "Token " }, { name: "z" }],
    });
    expect(places("fromParams: [token, jwt]")).toEqual({ fromParams: ["token", "jwt"] });
    expect(places("fromHeaders: [{name: a}], fromParams: [b]")).toEqual({
      fromHeaders: [{ name: "a" }],
      fromParams: ["b"],
    });
    expect(places("fromParams: [b], fromCookies: [c]")).toEqual({ fromParams: ["b"], fromCookies: ["c"] });
    expect(places("fromHeaders: [{name: a}], fromCookies: [c]")).toEqual({
      fromHeaders: [{ name: "a" }],
      fromCookies: ["c"],
    });
    expect(places("fromCookies: [session]")).toEqual({ fromCookies: ["session"] });
  });

  test("without jwtRules no token is verified, but the configuration is not empty, because the filter refuses an empty one", () => {
    const { configuration } = compileText(resource("RequestAuthentication", "{}"));
    expect(configuration).toEqual({
      version: 1,
      authorization: { predicates: [], deny: { rules: [] } },
      contents: { providers: 0, rules: 0 },
    });
  });

  test("without jwtRules there is no provider, and the other policy stays", () => {
    const policy = resource("AuthorizationPolicy", "{}");
    const { configuration } = compileText(`${resource("RequestAuthentication", "{}")}---\n${policy}`);
    expect(configuration).toMatchObject({ contents: { providers: 0, rules: 1 } });
  });
});

describe("the URL of keys is the one that the filter fetches", () => {
  const uri = (jwksUri: string) =>
    compileText(resource("RequestAuthentication", `{jwtRules: [{jwksUri: ${JSON.stringify(jwksUri)}}]}`))
      .configuration?.providers?.[0]?.remoteJwks?.uri;

  test.each([
    ["https://a.example/b?c=1#d", "https://a.example/b?c=1#d"],
    ["https://A.example:443", "https://A.example:443"],
    ["HTTPS://a.example/x y", "https://a.example/x%20y"],
    ["https://b\u00fccher.example/\u00e9", "https://xn--bcher-kva.example/%C3%A9"],
    ["https://a.example?b", "https://a.example/?b"],
    ["https://a.example:/b", "https://a.example/b"],
    ["https://[::1]:8443/b", "https://[::1]:8443/b"],
  ])("%s", (written, asked) => expect(uri(written)).toBe(asked));

  test.each([
    "https:/a.example/b",
    "https:a.example",
    "https:\\\\a.example",
    "https://a.example/\\b",
    "https://a.example:0/",
  ])("readers of URLs disagree on %s, which is an error", (written) => expect(uri(written)).toBeUndefined());
});

describe("providers are in istiod's order", () => {
  const authentication = (name: string, namespace: string, issuers: string[], extra = "") => `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: ${name}, namespace: ${namespace}${extra}}
spec:
  jwtRules:
${issuers.map((issuer) => `  - {issuer: "${issuer}", jwks: '${JWKS}'}`).join("\n")}
---`;
  const order = (...texts: string[]) =>
    compileText(texts.join("")).configuration!.providers!.map(
      ({ name, issuer, policy }) => `${name} ${issuer} ${policy}`,
    );

  test("by issuer, in the order of bytes", () => {
    expect(order(authentication("p", "foo", ["b", "\u{1f600}", "a", "B", "\uff5e"]))).toEqual([
      "origins-0 B foo/p",
      "origins-1 a foo/p",
      "origins-2 b foo/p",
      "origins-3 \uff5e foo/p",
      "origins-4 \u{1f600} foo/p",
    ]);
  });
  test("those without an issuer first", () => {
    const text = (name: string) =>
      `\n${resource("RequestAuthentication", `{jwtRules: [{jwksUri: "https://${name}.example/k"}]}`, name)}---`;
    expect(order(authentication("p", "foo", ["i"]), text("b"), text("a"))).toEqual([
      "origins-0 undefined foo/a",
      "origins-1 undefined foo/b",
      "origins-2 i foo/p",
    ]);
  });
  test("the root's are last in whatever order they are given", () => {
    const texts = [
      authentication("a", "istio-system", ["i"]),
      authentication("b", "foo", ["i"]),
      authentication("c", "istio-system", ["i"]),
      authentication("d", "foo", ["i"]),
    ];
    const expected = ["foo/b", "foo/d", "istio-system/a", "istio-system/c"].map(
      (one, i) => `origins-${i} i ${one}`,
    );
    expect(order(...texts)).toEqual(expected);
    expect(order(...texts.toReversed())).toEqual(expected);
  });
  test("equal issuers by namespace, the root's last, then by age, then by name", () => {
    expect(
      order(
        authentication("a", "istio-system", ["i"]),
        authentication("z", "foo", ["i"]),
        authentication("w", "foo", ["i"], ", creationTimestamp: 2024-01-02T00:00:00Z"),
        authentication("b", "foo", ["i"]),
        authentication("x", "foo", ["i"], ', creationTimestamp: "2024-01-01T00:00:00Z"'),
      ),
    ).toEqual([
      "origins-0 i foo/b",
      "origins-1 i foo/z",
      "origins-2 i foo/x",
      "origins-3 i foo/w",
      "origins-4 i istio-system/a",
    ]);
  });
});

describe("keys", () => {
  const fetched = (fields: string) => compileText(jwtRule(fields, "")).configuration!.providers![0]!;

  test("jwksUri, with its timeout", () => {
    expect(
      fetched("issuer: i, jwksUri: https://keys.example/jwks, timeout: 1m500ms").remoteJwks,
    ).toMatchObject({
      uri: "https://keys.example/jwks",
      timeoutMs: 60_500,
    });
  });
  test("with jwksUri, any issuer is accepted", () => {
    expect(fetched("jwks_uri: http://keys.example/jwks")).not.toHaveProperty("issuer");
  });
  test.each(["https://idp.example", "https://idp.example/"])(
    "the keys of issuer %s are discovered",
    (issuer) => {
      expect(fetched(`issuer: ${issuer}`).remoteJwks).toMatchObject({
        discovery: { uri: "https://idp.example/.well-known/openid-configuration" },
      });
    },
  );
  test("discovery trusts other origins only if they are named", () => {
    const discovery = (jwksHosts: string[]) =>
      compileText(jwtRule("issuer: https://idp.example", ""), { jwksHosts }).configuration!.providers![0]!
        .remoteJwks!.discovery;
    expect(discovery([])).not.toHaveProperty("jwksHosts");
    expect(discovery(["https://keys.example", "http://keys.example:8080"])).toMatchObject({
      jwksHosts: [
        { origin: "https://keys.example", cluster: expect.stringContaining("keys.example") },
        { origin: "http://keys.example:8080", cluster: expect.stringContaining("keys.example") },
      ],
    });
  });
  test("origins that discovery may use do not matter to a rule with jwksUri", () => {
    expect(
      messages(jwtRule("issuer: i, jwksUri: 'https://keys.example/k'", ""), {
        jwksHosts: ["https://169.254.169.254"],
      }),
    ).toEqual([]);
  });
  test.each(["user@", "user:secret@", ":secret@"])(
    "%s in the URL of keys is not sent, and an error",
    (login) => {
      const uri = `https://${login}keys.example/k`;
      expect(faultsAtMark(jwtRule(`issuer: i, jwksUri: ▲'${uri}'`, ""))).toEqual([
        `"${uri}" has a user name or password, which is not sent: leave it out`,
      ]);
    },
  );
  test.each(["https://idp.example/?a=b", "https://idp.example/#a"])(
    "the keys of issuer %s are not discovered",
    (issuer) => {
      expect(faultsAtMark(jwtRule(`issuer: ▲'${issuer}'`, ""))).toEqual([
        `the issuer "${issuer}" has a query or a fragment, which no issuer that is discovered has (OpenID Connect Discovery 1.0 §3): write jwksUri, the URL of its keys`,
      ]);
      expect(messages(jwtRule(`issuer: '${issuer}', jwksUri: 'https://keys.example/k?a#b'`, ""))).toEqual([]);
    },
  );
  test.each([
    ["http://keys.example:10443/k", "https://keys.example/k"],
    ["https://keys.example/k", "http://keys.example:10443/k"],
  ])("%s and %s would be fetched through one cluster of the mesh", (first, second) => {
    const rules = `{jwtRules: [{issuer: i, jwksUri: '${first}'}, {issuer: j, jwksUri: '${second}'}]}`;
    const [one, other] = [new URL(second).origin, new URL(first).origin];
    expect(messages(resource("RequestAuthentication", rules), { target: "wasmplugin" })).toEqual([
      expect.stringContaining(`keys of "${one}" and of "${other}" would be fetched from one of the two`),
    ]);
    const same = rules.replace(second, first.replace("/k", "/l"));
    expect(messages(resource("RequestAuthentication", same), { target: "wasmplugin" })).toEqual([]);
  });
  test("jwks goes before jwksUri", () => {
    const text = jwtRule("issuer: i, jwksUri: https://k.example/jwks");
    expect(compileText(text).configuration!.providers![0]!.localJwks).toBeDefined();
    expect(messages(text)).toEqual([
      "4:40: warning: jwksUri is not used, because jwks has the keys; newer Kubernetes APIs refuse both together",
    ]);
  });
  test("faults of keys are reported at the position of the key set", () => {
    const warned = messages(
      jwtRule("issuer: i", `, jwks: '{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"s"}]}'`),
    );
    expect(warned[0]).toMatch(/^4:37: warning: jwks: keys\[0\] \(kid "s"\): this is a shared secret/);
    expect(messages(jwtRule("issuer: i", ", jwks: '{}'"))[0]).toMatch(/^4:37: jwks: \[keys\] is missing/);
    const advice = (jwks: string) => messages(jwtRule("issuer: i", `, jwks: '${jwks}'`))[0];
    expect(advice("https://idp/keys")).toBe(
      "4:37: jwks: this is a URL, not a JSON Web Key Set: write it as jwksUri",
    );
    expect(advice("keys/jwks.json")).toBe(
      "4:37: jwks: this is a file's name, not a JSON Web Key Set: write what the file holds, as `jwtgate jwk FILE` prints it",
    );
    expect(advice("keys")).toMatch(/^4:37: jwks: the key set cannot be read: not JSON/);
  });
});

describe("without keys", () => {
  const METADATA = [
    ...["169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "168.63.129.16"],
    // The same in other spellings.
    ...["0xa9fea9fe", "2852039166", "0251.0376.0251.0376", "169.254.43518", "169.254.169.254.", "0xa83f8110"],
    ...["[::ffff:169.254.169.254]", "[::169.254.169.254]", "[::ffff:0:169.254.169.254]", "[::a83f:8110]"],
    // Through NAT64 and 6to4.
    ...["[64:ff9b::169.254.169.254]", "[64:ff9b::a83f:8110]", "[64:ff9b::6464:64c8]", "[64:ff9b::c000:c0]"],
    ...["[64:ff9b:1::a9fe:a9fe]", "[64:ff9b:1:fffe:1:2:a9fe:a9fe]", "[2002:a9fe:a9fe::1]"],
    ...["[fe80::1]", "[fd00:ec2::254]", "[fd00:ec2::23]", "[fd20:ce::254]", "[fd20:ce:0:0:0:0:0:254]"],
    ...["metadata.google.internal", "metadata.google.internal.", "metadata.goog", "METADATA.GOOG."],
    ...["metadata", "instance-data", "metadata.azure.internal", "metadata。goog"],
  ];

  test.each(METADATA)("keys are not fetched from %s", (host) => {
    const jwksUri = `https://${host}/keys`;
    const message = `${JSON.stringify(jwksUri)} names a link-local address or a metadata service, which has no keys: correct it, or pass --allow-jwks-metadata-service`;
    expect(faultsAtMark(jwtRule(`issuer: i, jwksUri: ▲'${jwksUri}'`, ""))).toEqual([message]);
    const allowed = compileText(jwtRule(`issuer: i, jwksUri: '${jwksUri}'`, ""), {
      allowMetadataService: true,
    });
    expect(allowed.configuration?.providers?.[0]?.remoteJwks?.uri).toBe(requestUrl(jwksUri));
    // The same is true of its discovery document, of a jwks_uri in it, and of the trusted origins.
    const document = `https://${host}/.well-known/openid-configuration`;
    expect(messages(jwtRule(`issuer: 'https://${host}'`, ""))).toEqual([
      expect.stringContaining(`${JSON.stringify(document)} names a link-local address`),
    ]);
    const discovered = { "https://idp.example/.well-known/openid-configuration": jwksUri };
    const idp = jwtRule("issuer: 'https://idp.example'", "");
    expect(messages(idp, { discovered })).toEqual([expect.stringContaining(message)]);
    expect(messages(idp, { jwksHosts: [`https://${host}`] })).toEqual([
      expect.stringContaining(`"https://${host}" names a link-local address`),
    ]);
  });

  test.each([
    ...[
      "169.253.255.255",
      "168.63.129.17",
      "[64:ff9b::a9fd:a9fe]",
      "[64:ff9b:2::a9fe:a9fe]",
      "[fd20:ce::253]",
    ],
    ...["metadata.goog.example", "xmetadata.goog", "[2001:a9fe:a9fe::1]", "[2001:db8::a9fe:a9fe]"],
  ])("they are from %s, which is near", (host) => {
    expect(messages(jwtRule(`issuer: i, jwksUri: 'https://${host}/keys'`, ""))).toEqual([]);
  });

  const LOOPBACK = [
    ...["127.0.0.1", "127.1.2.3", "127.1", "0x7f000001", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]"],
    ...["[64:ff9b::7f00:1]", "localhost", "LOCALHOST.", "a.localhost", "ip6-localhost"],
  ];

  test.each(LOOPBACK)("in a mesh %s is the proxy's own pod, and that is reported", (host) => {
    const text = jwtRule(`issuer: i, jwksUri: 'http://${host}:15000/config_dump'`, "");
    const warning = `4:40: warning: "http://${host}:15000/config_dump" is the proxy's own pod, where its admin port answers: name the host of the key server`;
    expect(messages(text, { target: "wasmplugin" })).toEqual([warning]);
    expect(messages(text)).toEqual([]);
  });

  test.each(["128.0.0.1", "localhost.example", "[::2]", "local"])("%s is not", (host) => {
    const text = jwtRule(`issuer: i, jwksUri: 'http://${host}/keys'`, "");
    expect(messages(text, { target: "wasmplugin" })).toEqual([]);
  });
});

test.each(["spec: {}", "spec: {jwtRules: []}", "spec:"])(
  "one without rules, as %j, checks nothing, and that is reported",
  (spec) => {
    const head =
      "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: a, namespace: foo}\n";
    expect(messages(`${head}${spec}`)).toEqual([expect.stringContaining("without jwtRules checks no token")]);
  },
);

describe("what istiod, the API server or Envoy refuse, is refused", () => {
  test.each([
    ["issuer: ▲''", "spec.jwtRules[0].issuer must not be empty: leave it out if any issuer is acceptable"],
    ["issuer: i, audiences: [▲'']", "spec.jwtRules[0].audiences must not contain an empty value: remove it"],
    ["issuer: i, audiences: ▲a", 'spec.jwtRules[0].audiences must be a list, not a string: write ["a"]'],
    [
      "issuer: ▲5",
      'spec.jwtRules[0].issuer must be a string, and YAML reads 5 as a number: put it in quotes, "5"',
    ],
    [
      "issuer: ▲[i]",
      "spec.jwtRules[0].issuer must be a string, not a list: write one value, without - or brackets in front of it",
    ],
    [
      "issuer: i, jwksUri: ▲{url: https://k}",
      "spec.jwtRules[0].jwksUri must be a string, not a map: write one value, without - or brackets in front of it",
    ],
    ["issuer: i, jwksUri: ▲''", "spec.jwtRules[0].jwksUri must not be empty: leave it out if there is none"],
    ["issuer: i, jwksUri: ▲ftp://k", 'jwksUri "ftp://k" must be a URL with http:// or https://'],
    ["issuer: i, jwksUri: ▲/jwks", 'jwksUri "/jwks" must be a URL with http:// or https://'],
    [
      "issuer: i, jwksUri: ▲' https://k'",
      'jwksUri " https://k" has white space that no URL can have: remove it',
    ],
    [
      'issuer: i, jwksUri: ▲"https://k/\\n"',
      'jwksUri "https://k/\\n" has white space that no URL can have: remove it',
    ],
    [
      "issuer: i, jwksUri: ▲'https://k/%zz?%zz'",
      'jwksUri "https://k/%zz?%zz" has a % that escapes nothing: write it as %25',
    ],
    [
      "issuer: i, jwksUri: https://k, ▲jwks_uri: https://k",
      "jwks_uri is jwksUri in an old spelling: keep one",
    ],
    [
      "issuer: i, fromHeaders: [{name: ▲''}]",
      "spec.jwtRules[0].fromHeaders[0].name must not be empty: name it",
    ],
    ["issuer: i, fromHeaders: [▲{prefix: a}]", "spec.jwtRules[0].fromHeaders[0].name is missing"],
    [
      "issuer: i, fromHeaders: [▲a]",
      "spec.jwtRules[0].fromHeaders[0] must be an object with fields, not a string",
    ],
    ["issuer: i, fromHeaders: [{name: ▲'a b'}]", '"a b" is not a header that can hold a token'],
    ["issuer: i, fromHeaders: [{name: ▲':path'}]", '":path" is not a header that can hold a token'],
    ["issuer: i, fromHeaders: [{name: ▲Host}]", '"Host" is not a header that can hold a token'],
    [
      'issuer: i, fromHeaders: [{name: a, prefix: ▲"b\\r\\n"}]',
      "the prefix must not contain line breaks, because no header's value does",
    ],
    [
      "issuer: i, fromParams: [▲'']",
      "spec.jwtRules[0].fromParams must not contain an empty value: remove it",
    ],
    [
      "issuer: i, fromCookies: [▲'']",
      "spec.jwtRules[0].fromCookies must not contain an empty value: remove it",
    ],
    [
      "issuer: i, outputPayloadToHeader: ▲'a b'",
      "\"a b\" cannot be a header's name: use a header's name, such as x-jwt-claim",
    ],
    [
      "issuer: i, outputPayloadToHeader: ▲host",
      "the Host header cannot be removed from requests: use another header, such as x-jwt-claim",
    ],
    [
      "issuer: i, outputClaimToHeaders: [{header: ▲Content-Length, claim: c}]",
      '"Content-Length" defines where a request ends, which a claim must not: use another header, such as x-jwt-claim',
    ],
    [
      "issuer: i, outputClaimToHeaders: [{header: ▲a.b, claim: c}]",
      '"a.b" cannot be a header\'s name: use letters, digits, - and _, such as x-jwt-claim',
    ],
    [
      "issuer: i, outputClaimToHeaders: [▲{header: a}]",
      "spec.jwtRules[0].outputClaimToHeaders[0].claim is missing",
    ],
    [
      "issuer: i, forwardOriginalToken: ▲'true'",
      "spec.jwtRules[0].forwardOriginalToken must be true or false, without quotes, not a string",
    ],
    [
      "issuer: i, timeout: ▲5",
      'spec.jwtRules[0].timeout must be a string, and YAML reads 5 as a number: put it in quotes, "5"',
    ],
    [
      "issuer: i, timeout: ▲'5'",
      'spec.jwtRules[0].timeout "5" is not a duration: write a number with its unit, such as 5s or 1500ms',
    ],
    ["issuer: i, timeout: ▲100us", 'spec.jwtRules[0].timeout "100us" is too short: at least 1ms'],
    ["issuer: i, timeout: ▲-5s", 'spec.jwtRules[0].timeout "-5s" is too short: at least 1ms'],
    ["issuer: i, timeout: ▲1500us", 'spec.jwtRules[0].timeout "1500us" is too fine: whole milliseconds only'],
    ["issuer: i, timeout: ▲1h", 'spec.jwtRules[0].timeout "1h" is too long: at most 5m'],
    ["issuer: i, presence: ▲required", 'presence "required" must be OPTIONAL or REQUIRED'],
    [
      "issuer: i, ▲spaceDelimitedClaims: [sub]",
      "with sub as a list no token of this rule has a principal: leave it out of spaceDelimitedClaims",
    ],
    ["issuer: i, ▲audience: [a]", 'unknown field "audience" in spec.jwtRules[0]: did you mean `audiences`?'],
    [
      "issuer: i, ▲from_headers: []",
      'unknown field "from_headers" in spec.jwtRules[0]: did you mean `fromHeaders`?',
    ],
    [
      "issuer: i, ▲rules: []",
      'unknown field "rules" in spec.jwtRules[0]: `rules` belongs in spec of an AuthorizationPolicy',
    ],
  ])("%s", (text, expected) => expect(faultsAtMark(jwtRule(text))).toEqual([expected]));

  test("an issuer that is not a URL, without keys", () => {
    expect(messages(jwtRule("issuer: testing@secure.istio.io", ""))).toEqual([
      '4:28: the keys of "testing@secure.istio.io" cannot be discovered, because it is not an https:// URL: give jwks or jwksUri',
    ]);
    expect(messages(jwtRule("issuer: https://i", ", jwks: ''"))).toEqual([
      "4:39: jwks is empty: give the keys, or leave it out to have them discovered from the issuer",
    ]);
  });
  test("a policy with too many rules", () => {
    const rules = Array(4097).fill("{issuer: 'https://i'}").join(",");
    const text = resource("RequestAuthentication", `{jwtRules: [${rules}]}`);
    expect(compileText(text).diagnostics.map(({ message }) => message)).toEqual([
      "spec.jwtRules has more than 4096 entries",
    ]);
  });
  test("a dry-run policy", () => {
    const text = jwtRule("issuer: i").replace("name: p", "name: p, annotations: {istio.io/dry-run: 'true'}");
    expect(messages(text)).toEqual([
      "3:35: istio.io/dry-run is for AuthorizationPolicy only: remove it, or compile with --shadow",
    ]);
  });
  test.each([
    ["a mapping in JSON's form", ' jwks: {"keys": []}\n', "7:13"],
    ["a mapping whose names YAML reads as booleans", " jwks: {keys: [{n: AQAB}]}\n", "7:13"],
    ["the same in lines", " jwks:\n        keys:\n        - kty: RSA\n          n: AQAB\n", "8:9"],
    ["a list", " jwks:\n      - kty: RSA\n", "8:7"],
  ])("keys that are written as YAML: %s", (_name, written, place) => {
    const text = resource("RequestAuthentication", `\n  jwtRules:\n    - issuer: i\n     ${written}`);
    expect(messages(text)).toEqual([
      `${place}: jwks is JSON text in a string: write it in quotes or after |`,
    ]);
  });
  test("all faults are reported at once", () => {
    expect(messages(jwtRule("issuer: '', timeout: x, presence: y, foo: z"))).toHaveLength(4);
  });
});
