import { describe, expect, test } from "vitest";
import { claimPath } from "../../tools/istio/attributes.ts";
import { authorizationOf, compileText, faultsAtMark, messages, onlyRule, resource, rule } from "./support.ts";

/** The condition of a rule with one field of a source. */
const source = (text: string) => onlyRule(rule(`{from: [{source: {${text}}}]}`)).condition;
const operation = (text: string) => onlyRule(rule(`{to: [{operation: {${text}}}]}`)).condition;
const when = (text: string) => onlyRule(rule(`{when: [{${text}}]}`)).condition;
const iss = (match: object) => ({ claim: ["iss"], match });
const sub = (match: object) => ({ claim: ["sub"], match });
const any = { nonEmpty: true };

describe("operations", () => {
  test.each([
    ["paths: [/a]", { path: { exact: "/a" } }],
    ["paths: [/a/*]", { path: { prefix: "/a/" } }],
    ["paths: ['*.jpg']", { path: { suffix: ".jpg" } }],
    ["paths: ['*']", { path: any }],
    ["paths: ['*x*']", { path: { suffix: "x*" } }],
    ["paths: ['**']", { path: { suffix: "*" } }],
    ["paths: [/x*y]", { path: { exact: "/x*y" } }],
    ["paths: ['/a/{*}/b']", { path: { template: "/a/{*}/b" } }],
    ["paths: ['/a/{**}/b']", { path: { template: "/a/{**}/b" } }],
    ["methods: [GET]", { method: { exact: "GET" } }],
    ["methods: ['*']", { header: ":method", match: { present: true } }],
    ["hosts: [Example.COM]", { host: { exact: "example.com" } }],
    ["hosts: [Éa.example]", { host: { exact: "Éa.example" } }],
    ["hosts: ['*.Example.com']", { host: { suffix: ".example.com" } }],
    ["hosts: ['example.com:*']", { host: { prefix: "example.com:" } }],
    ["hosts: ['*']", { header: ":authority", match: { present: true } }],
    ['ports: ["8080"]', { destinationPort: 8080 }],
    ['ports: ["0"]', { destinationPort: 0 }],
    ['ports: ["0080"]', { destinationPort: 80 }],
    ['ports: ["65535"]', { destinationPort: 65535 }],
    ["paths: [/a, /b]", { or: [{ path: { exact: "/a" } }, { path: { exact: "/b" } }] }],
    ["paths: [/a, /a]", { path: { exact: "/a" } }],
    ["notPaths: [/a]", { not: { path: { exact: "/a" } } }],
    ["notMethods: [GET, PUT]", { not: { or: [{ method: { exact: "GET" } }, { method: { exact: "PUT" } }] } }],
    [
      "paths: [/a*], notPaths: [/ab], methods: [GET]",
      {
        and: [{ method: { exact: "GET" } }, { path: { prefix: "/a" } }, { not: { path: { exact: "/ab" } } }],
      },
    ],
  ])("%s", (text, expected) => expect(operation(text)).toEqual(expected));
});

describe("sources", () => {
  test.each([
    ["requestPrincipals: ['*']", { and: [iss(any), sub(any)] }],
    ["requestPrincipals: [i/s]", { and: [iss({ exact: "i" }), sub({ exact: "s" })] }],
    ["requestPrincipals: ['https://i/x/s']", { and: [iss({ exact: "https://i/x" }), sub({ exact: "s" })] }],
    ["requestPrincipals: ['https://i//s']", { and: [iss({ exact: "https://i/" }), sub({ exact: "s" })] }],
    ["requestPrincipals: [i/*]", { and: [iss({ exact: "i" }), sub(any)] }],
    ["requestPrincipals: [i/s*]", { and: [iss({ exact: "i" }), sub({ prefix: "s" })] }],
    ["requestPrincipals: ['*/s']", { and: [iss(any), sub({ exact: "s" })] }],
    ["requestPrincipals: ['*/*']", { and: [iss(any), sub({ exact: "*" })] }],
    ["requestPrincipals: ['*i/s']", { and: [iss({ suffix: "i" }), sub({ exact: "s" })] }],
    ["requestPrincipals: ['*s']", { and: [iss(any), sub({ suffix: "s" })] }],
    ["requestPrincipals: [i*]", { and: [iss({ prefix: "i" }), sub(any)] }],
    ["requestPrincipals: ['https://i*']", { and: [iss({ exact: "https:/" }), sub({ prefix: "i" })] }],
    ["requestPrincipals: [i]", { and: [iss({ exact: "i" }), sub({ exact: "" })] }],
    ["requestPrincipals: [/s]", { and: [iss({ exact: "" }), sub({ exact: "s" })] }],
    ["requestPrincipals: [/s*]", { and: [iss({ exact: "" }), sub({ prefix: "s" })] }],
    ["requestPrincipals: [issuer*]", { and: [iss({ prefix: "issuer" }), sub(any)] }],
    ["requestPrincipals: [i/subject*]", { and: [iss({ exact: "i" }), sub({ prefix: "subject" })] }],
    ["notRequestPrincipals: ['*']", { not: { and: [iss(any), sub(any)] } }],
    ["principals: ['*']", { principal: any }],
    ["principals: [cluster.local/ns/a/sa/b]", { principal: { exact: "spiffe://cluster.local/ns/a/sa/b" } }],
    ["principals: [cluster.local/ns/a/*]", { principal: { prefix: "spiffe://cluster.local/ns/a/" } }],
    ["principals: ['*/sa/b']", { peer: ["spiffe://", "/sa/b"] }],
    ["namespaces: [a]", { peer: ["", "/ns/a/", ""] }],
    ["namespaces: [a*b]", { peer: ["", "/ns/a", "b/", ""] }],
    ["namespaces: ['*']", { peer: ["", "/ns/", "/", ""] }],
    ["serviceAccounts: [b]", { serviceAccount: { namespace: "foo", name: "b" } }],
    ["serviceAccounts: [ns/account]", { serviceAccount: { namespace: "ns", name: "account" } }],
    ["serviceAccounts: [a/b]", { serviceAccount: { namespace: "a", name: "b" } }],
    ["trustDomains: [td]", { principal: { prefix: "spiffe://td/" } }],
    ["trustDomains: ['*']", { principal: { prefix: "spiffe://" } }],
    ["trustDomains: ['td*']", { trustDomain: ["td", ""] }],
    ["trustDomains: ['*.td']", { trustDomain: ["", ".td"] }],
    ["ipBlocks: [10.1.2.3]", { sourceIp: "10.1.2.3/32" }],
    ["notIpBlocks: [10.1.2.3/8]", { not: { sourceIp: "10.0.0.0/8" } }],
    ["remoteIpBlocks: ['2001:db8::1/32']", { remoteIp: "2001:db8::/32" }],
  ])("%s", (text, expected) => expect(source(text)).toEqual(expected));

  test.each([
    [undefined, "cluster.local/ns/a/sa/b", { exact: "spiffe://cluster.local/ns/a/sa/b" }],
    ["td.example", "cluster.local/ns/a/sa/b", { exact: "spiffe://td.example/ns/a/sa/b" }],
    ["td.example", "td*/ns/a/sa/b", { exact: "spiffe://td.example/ns/a/sa/b" }],
    ["td.example", "td.example/ns/a/sa/b", { exact: "spiffe://td.example/ns/a/sa/b" }],
    ["td.example", "*/ns/a/sa/b", undefined],
    ["td.example", "other*/ns/a/sa/b", { exact: "spiffe://other*/ns/a/sa/b" }],
    ["td.example", "td.ex*/ns/a/sa/*", { prefix: "spiffe://td.example/ns/a/sa/" }],
    ["td.example", "other/ns/a/sa/b", { exact: "spiffe://other/ns/a/sa/b" }],
    ["td.example", "cluster.local/ns/a/*", { prefix: "spiffe://cluster.local/ns/a/" }],
  ])("in the trust domain %s, %s is %j", (trustDomain, value, principal) => {
    const text = rule(`{from: [{source: {principals: ['${value}']}}]}`);
    const peer = ["spiffe://", "/ns/a/sa/b"];
    expect(onlyRule(text, { trustDomain }).condition).toEqual(principal ? { principal } : { peer });
  });
  test("in the trust domain td.example, *.example/ns/a/sa/b stays as it is", () => {
    const text = rule("{from: [{source: {principals: ['*.example/ns/a/sa/b']}}]}");
    expect(onlyRule(text, { trustDomain: "td.example" }).condition).toEqual({
      peer: ["spiffe://", ".example/ns/a/sa/b"],
    });
  });
});

describe("conditions", () => {
  test.each([
    ["key: 'request.headers[X-Team]', values: [a]", { header: "x-team", match: { exact: "a" } }],
    ["key: 'request.headers[x]', values: ['*']", { header: "x", match: { present: true } }],
    ["key: 'request.headers[x]', values: ['a*']", { header: "x", match: { prefix: "a" } }],
    ["key: 'request.headers[x]', notValues: ['*a']", { not: { header: "x", match: { suffix: "a" } } }],
    ["key: 'request.headers[Host]', values: [a]", { header: ":authority", match: { exact: "a" } }],
    ["key: 'request.headers[x][y]', values: [a]", { header: "x][y", match: { exact: "a" } }],
    ["key: request.auth.principal, values: [i/s]", { and: [iss({ exact: "i" }), sub({ exact: "s" })] }],
    ["key: request.auth.audiences, values: [a]", { claim: ["aud"], match: { exact: "a" } }],
    ["key: request.auth.presenter, values: [a]", { claim: ["azp"], match: { exact: "a" } }],
    ["key: 'request.auth.claims[a]', values: ['*']", { claim: ["a"], match: any }],
    ['key: "request.auth.claims[a\\nb]", values: [c]', { claim: ["a\nb"], match: { exact: "c" } }],
    ["key: 'request.auth.claims[a][b]', values: [c]", { claim: ["a", "b"], match: { exact: "c" } }],
    [
      "key: 'request.auth.claims[https://a/b]', values: [c]",
      { claim: ["https://a/b"], match: { exact: "c" } },
    ],
    ["key: source.ip, values: [1.2.3.4]", { sourceIp: "1.2.3.4/32" }],
    ["key: remote.ip, values: [1.2.3.4]", { remoteIp: "1.2.3.4/32" }],
    ["key: source.namespace, values: [a]", { peer: ["", "/ns/a/", ""] }],
    ["key: source.principal, values: ['*']", { principal: any }],
    ["key: source.serviceAccount, values: [a]", { serviceAccount: { namespace: "foo", name: "a" } }],
    ["key: source.trustDomain, values: ['*a']", { trustDomain: ["", "a"] }],
    ["key: destination.ip, values: [1.2.3.4/24]", { destinationIp: "1.2.3.0/24" }],
    ['key: destination.port, values: ["80"]', { destinationPort: 80 }],
    ["key: connection.sni, values: ['*.a']", { sni: { suffix: ".a" } }],
    [
      "key: request.auth.audiences, values: [a, b], notValues: [c]",
      {
        and: [
          {
            or: [
              { claim: ["aud"], match: { exact: "a" } },
              { claim: ["aud"], match: { exact: "b" } },
            ],
          },
          { not: { claim: ["aud"], match: { exact: "c" } } },
        ],
      },
    ],
  ])("%s", (text, expected) => expect(when(text)).toEqual(expected));

  test.each([
    ["[a]", ["a"]],
    ["[a][b]", ["a", "b"]],
    ["[a.b]", ["a.b"]],
    ["[a][]", ["a", ""]],
    ["[a[b]]", ["a[b]"]],
    ["[a]b[c]", ["a]b[c"]],
    ["[a]b[c][d]", ["a]b[c][d"]],
    ["[a][b]c[d]", ["a][b]c[d"]],
  ])("claims%s is %j", (brackets, expected) => expect(claimPath(brackets)).toEqual(expected));
});

describe("rules", () => {
  const a = { path: { exact: "/a" } };
  const b = { path: { exact: "/b" } };
  const c = { method: { exact: "GET" } };
  test.each([
    ["{}", { and: [] }],
    ["{from: [], to: [], when: []}", { and: [] }],
    ["{to: [{operation: {paths: [/a]}}, {operation: {paths: [/b]}}]}", { or: [a, b] }],
    [
      "{to: [{operation: {paths: [/a], methods: [GET]}}, {operation: {paths: [/b]}}]}",
      { or: [{ and: [c, a] }, b] },
    ],
    [
      "{from: [{source: {remoteIpBlocks: [1.2.3.4]}}], to: [{operation: {paths: [/a]}}], when: [{key: connection.sni, values: [x]}]}",
      { and: [a, { remoteIp: "1.2.3.4/32" }, { sni: { exact: "x" } }] },
    ],
  ])("%s", (text, expected) => expect(onlyRule(rule(text)).condition).toEqual(expected));
});

describe("actions", () => {
  const policy = (name: string, spec: string, annotations = "") =>
    `${resource("AuthorizationPolicy", spec, name).replace("foo}", `foo${annotations}}`)}---\n`;
  const dryRun = ', annotations: {istio.io/dry-run: "true"}';

  test("each has its own rules, in the order of their ids' bytes", () => {
    const rules = Array(11).fill("{}").join(",");
    const { allow, deny, audit } = authorizationOf(
      policy("b", `{rules: [${rules}]}`) +
        policy("a", "{action: ALLOW, rules: [{}]}") +
        policy("c", "{action: DENY, rules: [{}]}") +
        policy("d", "{action: AUDIT, rules: [{}]}"),
    );
    expect(allow!.rules!.map(({ id }) => id)).toEqual([
      "ns[foo]-policy[a]-rule[0]",
      "ns[foo]-policy[b]-rule[0]",
      "ns[foo]-policy[b]-rule[10]",
      ...[1, 2, 3, 4, 5, 6, 7, 8, 9].map((i) => `ns[foo]-policy[b]-rule[${i}]`),
    ]);
    expect(deny!.rules!.map(({ id }) => id)).toEqual(["ns[foo]-policy[c]-rule[0]"]);
    expect(audit!.rules!.map(({ id }) => id)).toEqual(["ns[foo]-policy[d]-rule[0]"]);
  });
  test.each(["{}", "{rules: []}", "{action: ALLOW, rules: null}"])("%s allows nothing", (spec) => {
    expect(authorizationOf(policy("a", spec)).allow).toEqual({
      rules: [{ id: "ns[foo]-policy[a]-rule[0]", condition: { or: [] } }],
    });
  });
  test("a policy without a spec allows nothing", () => {
    const text = "apiVersion: security.istio.io/v1beta1\nkind: AuthorizationPolicy\nmetadata: {name: a}\n";
    expect(authorizationOf(text).allow).toEqual({
      rules: [{ id: "ns[default]-policy[a]-rule[0]", condition: { or: [] } }],
    });
  });
  test("dry-run policies enforce nothing; their action is enforced only by other policies", () => {
    const trial = policy("a", "{action: DENY, rules: [{}]}", dryRun);
    const id = "ns[foo]-policy[a]-rule[0]";
    expect(authorizationOf(trial).deny).toEqual({ shadowRules: [{ id, condition: { and: [] } }] });
    const both = authorizationOf(trial + policy("b", "{action: DENY, rules: [{}]}"));
    expect(both.deny!.rules).toHaveLength(1);
    expect(both.deny!.shadowRules).toHaveLength(1);
  });
  test.each(["false", "F", "0"])("the dry-run annotation is switched off by %s", (value) => {
    const text = policy("a", "{rules: [{}]}", `, annotations: {istio.io/dry-run: "${value}"}`);
    expect(authorizationOf(text).allow).toHaveProperty("rules");
  });
  test("a key without a matcher allows fewer requests, as in Istio", () => {
    const rules = "[{when: [{key: 'request.headersx[a]', notValues: [b]}]}]";
    const allow = policy("a", `{rules: ${rules}}`);
    expect(authorizationOf(allow).allow).toEqual({ rules: [] });
    expect(messages(allow)).toEqual([
      "4:30: warning: request.headersx[a] is not an attribute, and Istio leaves this rule out, so it allows nothing: correct the key",
    ]);
    const deny = policy("a", `{action: DENY, rules: ${rules}}`);
    expect(authorizationOf(deny).deny!.rules![0]!.condition).toEqual({ and: [] });
    expect(messages(deny)[0]).toMatch(/Istio leaves this condition out, so the rule is wider/);
  });
});

describe("guards", () => {
  const guard = (text: string) => onlyRule(rule(text)).guard;
  test.each([
    ["{to: [{operation: {paths: [/a], methods: [GET]}}]}", [{ path: { exact: "/a" } }]],
    ["{to: [{operation: {paths: [/a/*, /b]}}]}", [{ path: { prefix: "/a/" } }, { path: { exact: "/b" } }]],
    [
      "{to: [{operation: {paths: [/a]}}, {operation: {methods: [GET]}}]}",
      [{ path: { exact: "/a" } }, { method: { exact: "GET" } }],
    ],
    [
      "{from: [{source: {requestPrincipals: [i/s]}}], to: [{operation: {methods: [GET]}}]}",
      [sub({ exact: "s" })],
    ],
    ["{from: [{source: {requestPrincipals: ['*']}}]}", []],
    [
      "{when: [{key: 'request.headers[x]', values: [a, b]}]}",
      ["a", "b"].map((exact) => ({ header: "x", match: { exact } })),
    ],
    ["{when: [{key: 'request.headers[x]', values: ['*']}]}", []],
    ["{to: [{operation: {notPaths: [/a]}}]}", []],
    ["{to: [{operation: {paths: ['*.jpg']}}]}", [{ path: { suffix: ".jpg" } }]],
    [
      "{to: [{operation: {paths: [/a, '*.jpg'], hosts: [h]}}]}",
      [{ path: { exact: "/a" } }, { path: { suffix: ".jpg" } }],
    ],
    [
      "{to: [{operation: {paths: ['/a/{*}'], methods: [GET], hosts: ['*.b']}}]}",
      [{ path: { template: "/a/{*}" } }],
    ],
    ["{to: [{operation: {paths: ['*'], hosts: ['*.b']}}]}", [{ host: { suffix: ".b" } }]],
    ["{to: [{operation: {paths: [/a]}}, {operation: {notPaths: [/b]}}]}", []],
    // The rarest first: a subject, a path, another claim, an issuer.
    [
      "{from: [{source: {requestPrincipals: [i/s]}}], to: [{operation: {paths: ['/a/{*}']}}]}",
      [sub({ exact: "s" })],
    ],
    [
      "{from: [{source: {requestPrincipals: [i/s]}}], to: [{operation: {paths: [/a]}}]}",
      [{ path: { exact: "/a" } }],
    ],
    [
      "{when: [{key: 'request.auth.claims[groups]', values: [g]}], to: [{operation: {hosts: ['*.b']}}]}",
      [{ claim: ["groups"], match: { exact: "g" } }],
    ],
    [
      "{when: [{key: 'request.auth.claims[iss]', values: [i]}], to: [{operation: {hosts: ['*.b']}}]}",
      [{ host: { suffix: ".b" } }],
    ],
    [
      "{when: [{key: 'request.auth.claims[iss]', values: [i]}], to: [{operation: {methods: [GET]}}]}",
      [iss({ exact: "i" })],
    ],
    // Several of one are as common as their sum.
    [
      "{to: [{operation: {hosts: [h], paths: [/a, /b, /c]}}]}",
      ["/a", "/b", "/c"].map((exact) => ({ path: { exact } })),
    ],
    [
      "{to: [{operation: {hosts: [a, b, c], methods: [GET]}}], when: [{key: 'request.headers[x]', values: [v]}]}",
      [{ header: "x", match: { exact: "v" } }],
    ],
    ["{}", []],
  ])("%s", (text, expected) => expect(guard(text)).toEqual(expected));
});

describe("what istiod or the API server refuse, is refused", () => {
  test.each([
    ["{from: [▲{}]}", "spec.rules[0].from[0].source is missing: remove the entry to match all"],
    [
      "{from: [{source: ▲{}}]}",
      "spec.rules[0].from[0].source must not be empty: name a field, or remove the entry to match all",
    ],
    ["{to: [▲{}]}", "spec.rules[0].to[0].operation is missing: remove the entry to match all"],
    [
      "{to: [{operation: ▲{paths: []}}]}",
      "spec.rules[0].to[0].operation must not be empty: name a field, or remove the entry to match all",
    ],
    [
      "{to: [{operation: {▲path: [/a]}}]}",
      'unknown field "path" in spec.rules[0].to[0].operation: did you mean `paths`?',
    ],
    [
      "{to: [{operation: {▲principals: [a]}}]}",
      'unknown field "principals" in spec.rules[0].to[0].operation: `principals` belongs in spec.rules[].from[].source',
    ],
    [
      "{to: [{▲paths: [/a]}]}",
      'unknown field "paths" in spec.rules[0].to[0]: `paths` belongs in spec.rules[].to[].operation',
    ],
    [
      "{to: [{operation: {methods: [▲'']}}]}",
      "spec.rules[0].to[0].operation.methods must not contain an empty value: remove it",
    ],
    [
      "{to: [{operation: {ports: [▲80]}}]}",
      'spec.rules[0].to[0].operation.ports[0] must be a string, and YAML reads 80 as a number: put it in quotes, "80"',
    ],
    [
      '{to: [{operation: {ports: [▲"65536"]}}]}',
      '"65536" is not a port: write a number from 0 to 65535 in quotes',
    ],
    [
      '{to: [{operation: {ports: [▲"+80"]}}]}',
      '"+80" is not a port: write a number from 0 to 65535 in quotes',
    ],
    [
      "{to: [{operation: {paths: [▲'/x/{**}/y/{**}']}}]}",
      'the path "/x/{**}/y/{**}" has {**} after {**}, which can only be the last wildcard',
    ],
    [
      "{to: [{operation: {paths: [▲'/x/{id}']}}]}",
      'the path "/x/{id}" has a brace that is not a wildcard: only a whole segment can be {*} or {**}',
    ],
    [
      "{to: [{operation: {paths: [▲'/x{*}']}}]}",
      'the path "/x{*}" has a brace that is not a wildcard: only a whole segment can be {*} or {**}',
    ],
    [
      "{to: [{operation: {paths: [▲'/{*}/x*']}}]}",
      'the path "/{*}/x*" mixes {*} with *: use {*} and {**} for whole segments, or one * at the beginning or the end',
    ],
    [
      "{to: [{operation: {paths: [▲'/{*}//x']}}]}",
      'the path "/{*}//x" has an empty segment (//), which a template cannot have',
    ],
    [
      "{to: [{operation: {paths: [▲'/{*}//']}}]}",
      'the path "/{*}//" has an empty segment (//), which a template cannot have',
    ],
    ["{to: [{operation: {paths: [▲'x/{*}']}}]}", 'the path "x/{*}" must begin with /: write "/x/{*}"'],
    [
      "{to: [{operation: {paths: [▲'/é/{*}']}}]}",
      'the path "/é/{*}" has the segment "é", with a character that no path has: percent-encode it',
    ],
    [
      "{from: [{source: {ipBlocks: [▲a]}}]}",
      '"a" is not an IP address or CIDR range: write it like 10.0.0.1, 10.0.0.0/8 or 2001:db8::/32',
    ],
    [
      "{from: [{source: {▲serviceAccounts: [a], namespaces: [b]}}]}",
      "serviceAccounts and namespaces cannot be in one source: write NAMESPACE/NAME, or use a source of its own",
    ],
    [
      "{from: [{source: {serviceAccounts: [▲a/b/c]}}]}",
      '"a/b/c" is not a service account: write NAME or NAMESPACE/NAME',
    ],
    ["{to: [{operation: {ports: [▲80a]}}]}", '"80a" is not a port: write a number from 0 to 65535 in quotes'],
    [
      "{from: [{source: {trustDomains: [▲'*a*']}}]}",
      'the trust domain "*a*" can have one *, at its beginning or its end',
    ],
    [
      `{from: [{source: {serviceAccounts: [▲n/${"a".repeat(319)}]}}]}`,
      "a service account is at most 320 characters long",
    ],
    [
      "{from: [{source: {serviceAccounts: [▲'a*']}}]}",
      'serviceAccounts take no wildcard: write out "a*", or use principals or namespaces',
    ],
    [
      "{from: [{source: {trustDomains: [▲'a*b']}}]}",
      'the trust domain "a*b" can have one *, at its beginning or its end',
    ],
    ["{from: [{source: {trustDomains: [▲a/b]}}]}", 'the trust domain "a/b" must not contain /'],
    [
      "{when: [{key: source.trustDomain, values: [▲'*a/b']}]}",
      'the trust domain "*a/b" has a slash, which no trust domain has: remove it',
    ],
    ...["principals", "namespaces", "serviceAccounts", "trustDomains"].map((field): [string, string] => [
      `{from: [{source: {${field}: [▲"a\\nb"]}}]}`,
      '"a\\nb" has a line break, which no name has: remove it',
    ]),
    ["{when: [▲{values: [a]}]}", "spec.rules[0].when[0].key is missing"],
    ["{when: [▲{key: '', values: [a]}]}", "spec.rules[0].when[0].key is missing"],
    [
      "{when: [{key: ▲source.ip}]}",
      "spec.rules[0].when[0] needs values or notValues: a condition without them has no effect",
    ],
    [
      "{when: [{key: ▲request.headers, values: [a]}]}",
      'the key "request.headers" needs a name in brackets: write request.headers[NAME]',
    ],
    ...["request.headersx]", "request.headers[a", "request.headers[]"].map((key): [string, string] => [
      `{when: [{key: ▲'${key}', values: [a]}]}`,
      `the key "${key}" needs a name in brackets: write request.headers[NAME]`,
    ]),
    [
      "{when: [{key: ▲zzzzzzzzzzzzzzz, values: [a]}]}",
      'unknown key "zzzzzzzzzzzzzzz": the keys are source.ip, remote.ip, source.namespace, source.principal, source.serviceAccount, source.trustDomain, request.auth.principal, request.auth.audiences, request.auth.presenter, destination.ip, destination.port, connection.sni, request.headers[NAME], request.auth.claims[NAME]',
    ],
    [
      "{when: [{key: ▲'request.auth.claims[]', values: [a]}]}",
      'the key "request.auth.claims[]" needs a name in brackets: write request.auth.claims[NAME]',
    ],
    [
      "{when: [{key: ▲'request.auth.claims[a][]', values: [a]}]}",
      'the key "request.auth.claims[a][]" has brackets without a name in them',
    ],
    [
      "{when: [{key: ▲'request.auth.claims[][a]', notValues: [a]}]}",
      'the key "request.auth.claims[][a]" has brackets without a name in them',
    ],
    [
      "{when: [{key: 'request.auth.claims[a]', values: [▲1]}]}",
      'spec.rules[0].when[0].values[0] must be a string, and YAML reads 1 as a number: put it in quotes, "1"',
    ],
    ["{when: [{key: ▲source.ips, values: [a]}]}", 'unknown key "source.ips": did you mean source.ip?'],
    [
      "{when: [{key: ▲destination.namespace, values: [a]}]}",
      'Istio has no key "destination.namespace" any more: put the policy into that namespace',
    ],
    [
      "{when: [{key: ▲'destination.labels[a]', values: [a]}]}",
      'Istio has no key "destination.labels[a]" any more: use spec.selector.matchLabels',
    ],
    [
      "{when: [{key: source.ip, values: [▲'']}]}",
      "spec.rules[0].when[0].values must not contain an empty value: remove it",
    ],
    [
      "{when: [{key: source.ip, ▲value: b}]}",
      'unknown field "value" in spec.rules[0].when[0]: did you mean `values`?',
    ],
    ["▲null", "spec.rules[0] must be an object with fields, not nothing (null)"],
  ])("%s", (text, expected) => expect(faultsAtMark(rule(text))).toEqual([expected]));

  test.each([
    ["{action: ▲deny}", 'unknown action "deny": did you mean DENY?'],
    ["{action: ▲REFUSE}", 'unknown action "REFUSE": write ALLOW, DENY, AUDIT or CUSTOM'],
    [
      "▲{action: DENY}",
      "a DENY policy without rules would deny nothing: write a rule, or `- {}` to deny everything",
    ],
    [
      "{action: DENY, ▲rules: []}",
      "a DENY policy without rules would deny nothing: write a rule, or `- {}` to deny everything",
    ],
    ["{▲provider: {name: a}}", "provider goes with action: CUSTOM: remove it"],
    ["{rules: ▲{}}", "spec.rules must be a list, not a map"],
    [
      "{▲jwtRules: []}",
      'unknown field "jwtRules" in spec: `jwtRules` belongs in spec of a RequestAuthentication',
    ],
  ])("%s", (spec, expected) =>
    expect(faultsAtMark(resource("AuthorizationPolicy", spec))).toEqual([expected]),
  );

  test("metadata of other filters cannot be seen", () => {
    const key = "experimental.envoy.filters.http.other[a]";
    expect(messages(rule(`{when: [{key: '${key}', values: [b]}]}`))[0]).toMatch(
      /^4:45: experimental\.envoy\.filters\.http\.other\[a\] is written by another filter/,
    );
  });
  test("a header name that would make Envoy refuse everything", () => {
    expect(faultsAtMark(rule('{when: [{key: ▲"request.headers[a\\n]", values: [b]}]}'))).toEqual([
      '"request.headers[a\\n]" is not a header\'s name',
    ]);
  });
  test("the dry-run annotation on AUDIT, and one that is neither true nor false", () => {
    const annotated = (action: string, value: string) =>
      messages(rule("{}", action).replace("foo}", `foo, annotations: {istio.io/dry-run: "${value}"}}`));
    expect(annotated("AUDIT", "true")).toEqual([
      "3:51: istio.io/dry-run is for ALLOW and DENY: an AUDIT policy never refuses, so remove it",
    ]);
    for (const value of ["xtrue", "truex", "0x"]) {
      expect(annotated("ALLOW", value)).toEqual([
        `3:51: istio.io/dry-run "${value}" must be "true" or "false"`,
      ]);
    }
    expect(annotated("ALLOW", "yes")).toEqual(['3:51: istio.io/dry-run "yes" must be "true" or "false"']);
  });
  test("limits", () => {
    const rules = Array(513).fill("{}").join(",");
    expect(messages(rule(rules))).toEqual(["4:23: spec.rules has more than 512 entries: split the policy"]);
    expect(messages(rule(Array(512).fill("{}").join(",")))).toEqual([]);
    const sources = Array(513).fill("{source: {namespaces: [a]}}").join(",");
    expect(messages(rule(`{from: [${sources}]}`))).toEqual([
      "4:32: spec.rules[0].from has more than 512 entries: split the rule",
    ]);
    const fewer = Array(512).fill("{source: {namespaces: [a]}}").join(",");
    expect(messages(rule(`{from: [${fewer}]}`))).toEqual([]);
    const accounts = Array.from({ length: 17 }, (_, i) => `a${i}`).join(",");
    expect(
      compileText(rule(`{from: [{source: {serviceAccounts: [${accounts}]}}]}`)).diagnostics[0]!.message,
    ).toBe("spec.rules[0].from[0].source.serviceAccounts has more than 16 values");
    const most = Array.from({ length: 16 }, (_, i) => `a${i}`).join(",");
    expect(messages(rule(`{from: [{source: {serviceAccounts: [${most}]}}]}`))).toEqual([]);
    const longest = `n/${"a".repeat(318)}`;
    expect(messages(rule(`{from: [{source: {serviceAccounts: [${longest}]}}]}`))).toEqual([]);
    const path = `/${"a".repeat(254)}/{*}`;
    expect(messages(rule(`{to: [{operation: {paths: ['${path}']}}]}`))[0]).toMatch(
      /is longer than the 256 characters/,
    );
    expect(messages(rule(`{to: [{operation: {paths: ['${path.replace("a", "")}']}}]}`))).toEqual([]);
  });
});
