/** Each finding: policies that have it, at the exact position, and almost equal policies without it. */
import { generateKeyPairSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { check as review } from "../../tools/check/exact.ts";
import {
  type Code,
  type Finding,
  KINDS,
  MAX_COMPARED_RULES,
  MAX_PROVEN_RULES,
} from "../../tools/check/findings.ts";
import { compile } from "../../tools/targets/compile.ts";
import { TARGETS, type TargetName } from "../../tools/targets/index.ts";

const FILE = "p.yaml";
const ISSUER = "https://idp.example.com";

function findingsOf(text: string): Finding[] {
  const { findings, diagnostics } = review([{ name: FILE, text }]);
  expect(diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
  return findings;
}

const rsa = (modulusLength: number) => generateKeyPairSync("rsa", { modulusLength });
const publicJwk = (bits: number) => rsa(bits).publicKey.export({ format: "jwk" });
const EC = generateKeyPairSync("ec", { namedCurve: "P-256" });
const GOOD = { ...EC.publicKey.export({ format: "jwk" }), kid: "a" };
const jwks = (...keys: object[]) => JSON.stringify({ keys });
const secret = (bytes: number, alg?: string) => ({
  kty: "oct",
  k: Buffer.alloc(bytes, 7).toString("base64url"),
  alg,
});

const resource = (kind: string, name: string, spec: object, metadata: object = {}) =>
  JSON.stringify({ apiVersion: "security.istio.io/v1", kind, metadata: { name, ...metadata }, spec });
const authentication = (rule: object, name = "idp") =>
  resource("RequestAuthentication", name, { jwtRules: [rule] });
const BEARER = [{ name: "Authorization", prefix: "Bearer " }];
const rule = (members: object = {}) => ({
  issuer: ISSUER,
  audiences: ["me"],
  jwks: jwks(GOOD),
  fromHeaders: BEARER,
  ...members,
});
const policy = (name: string, action: string, rules: object[], metadata: object = {}) =>
  resource("AuthorizationPolicy", name, { action, rules }, metadata);
const all = (...documents: string[]) => documents.join("\n---\n");
const IDP = authentication(rule());
const from = (source: object) => ({ from: [{ source }] });
const to = (operation: object) => ({ to: [{ operation }] });
const when = (key: string, values: string[], name = "values") => ({ when: [{ key, [name]: values }] });
const TOKEN = policy("token", "ALLOW", [from({ requestPrincipals: ["*"] })]);
const allow = (...rules: object[]) => all(IDP, policy("p", "ALLOW", rules));
const deny = (...rules: object[]) => all(IDP, TOKEN, policy("p", "DENY", rules));
/** Policies that ask extension providers of these names. */
const ask = (rule: object, ...providers: string[]) =>
  all(
    IDP,
    TOKEN,
    ...providers.map((name) =>
      resource("AuthorizationPolicy", `ask-${name}`, { action: "CUSTOM", provider: { name }, rules: [rule] }),
    ),
  );

const CLEAN = deny(to({ paths: ["/a/*"] }));
/** This many rules, which are unrelated. */
const rules = (count: number) => {
  const all = Array.from({ length: count }, (_, i) => to({ paths: [`/a${i}/*`] }));
  const policies = Array.from({ length: Math.ceil(count / 500) }, (_, i) =>
    policy(`p${i}`, "DENY", all.slice(i * 500, (i + 1) * 500)),
  );
  return policies.join("\n---\n");
};

/** By code: policies with the finding, and policies without it. */
const CASES: Record<Code, { found: string[]; not: string[] }> = {
  JG000: {
    found: [
      all(policy("p", "DENY", [{ ...to({ paths: ["/a/*"] }), ...when("request.headersx[a]", ["b"]) }])),
    ],
    not: [all(IDP, TOKEN)],
  },
  JG001: {
    found: [
      IDP,
      all(IDP, policy("p", "ALLOW", [to({ paths: ["/a"] })])),
      all(IDP, policy("p", "DENY", [from({ requestPrincipals: ["*"] })])),
      // For another namespace; a dry run.
      all(IDP, policy("p", "ALLOW", [from({ requestPrincipals: ["*"] })], { namespace: "other" })),
      all(
        IDP,
        policy("p", "ALLOW", [from({ requestPrincipals: ["*"] })], {
          annotations: { "istio.io/dry-run": "true" },
        }),
      ),
    ],
    not: [
      all(IDP, TOKEN),
      all(IDP, policy("p", "DENY", [from({ notRequestPrincipals: ["*"] })])),
      all(IDP, policy("p", "ALLOW", [when("request.auth.claims[role]", ["a"])])),
      all(IDP, resource("AuthorizationPolicy", "nothing", {})),
      all(IDP, policy("p", "ALLOW", [from({ requestPrincipals: ["*"] })], { namespace: "istio-system" })),
      authentication(rule({ presence: "REQUIRED" })),
    ],
  },
  JG002: { found: [all(authentication(rule({ audiences: [] })), TOKEN)], not: [all(IDP, TOKEN)] },
  JG003: { found: [all(authentication(rule({ jwks: jwks(secret(32)) })), TOKEN)], not: [all(IDP, TOKEN)] },
  JG004: {
    found: [all(authentication(rule({ jwks: jwks(EC.privateKey.export({ format: "jwk" })) })), TOKEN)],
    not: [all(IDP, TOKEN)],
  },
  JG005: {
    found: [secret(31), secret(31, "HS256"), secret(47, "HS384"), secret(63, "HS512")].map((key) =>
      all(authentication(rule({ jwks: jwks(key) })), TOKEN),
    ),
    not: [secret(32), secret(48, "HS384"), secret(64, "HS512")].map((key) =>
      all(authentication(rule({ jwks: jwks(key) })), TOKEN),
    ),
  },
  JG006: {
    found: [all(authentication(rule({ jwks: jwks(publicJwk(1024), GOOD) })), TOKEN)],
    not: [all(authentication(rule({ jwks: jwks(publicJwk(2048)) })), TOKEN)],
  },
  JG007: {
    found: [all(authentication(rule({ jwks: jwks(publicJwk(2048)) })), TOKEN)],
    not: [all(authentication(rule({ jwks: jwks(publicJwk(3072)) })), TOKEN)],
  },
  JG008: {
    found: [all(authentication({ audiences: ["me"], jwksUri: "https://idp.example.com/keys" }), TOKEN)],
    not: [all(IDP, TOKEN)],
  },
  JG009: {
    found: [all(authentication({ issuer: ISSUER, jwksUri: "http://idp.example.com/keys" }), TOKEN)],
    not: [all(authentication({ issuer: ISSUER, jwksUri: "https://idp.example.com/keys" }), TOKEN)],
  },
  JG010: {
    found: [
      all(authentication(rule({ fromParams: ["t"] })), TOKEN),
      all(authentication(rule({ fromHeaders: [] })), TOKEN),
    ],
    not: [all(IDP, TOKEN), all(authentication(rule({ fromHeaders: [], fromCookies: ["t"] })), TOKEN)],
  },
  JG011: {
    found: [all(authentication(rule({ jwks: jwks(GOOD, { ...GOOD, use: "enc" }) })), TOKEN)],
    not: [all(IDP, TOKEN)],
  },
  JG012: {
    found: ["http://127.0.0.1:15000/keys", "https://localhost./keys", "http://[::1]/keys"].map((jwksUri) =>
      all(authentication({ issuer: ISSUER, audiences: ["me"], jwksUri }), TOKEN),
    ),
    not: [
      all(
        authentication({ issuer: ISSUER, audiences: ["me"], jwksUri: "https://idp.example.com/keys" }),
        TOKEN,
      ),
      all(authentication(rule({ issuer: "https://localhost" })), TOKEN),
    ],
  },
  JG013: {
    found: [all(authentication(rule({ issuer: "https://sts.test/*" })), TOKEN)],
    not: [all(IDP, TOKEN)],
  },
  JG014: {
    found: ["kubernetes.io.namespace", "http://example.com/is_root"].map((claim) =>
      all(authentication(rule({ outputClaimToHeaders: [{ header: "x-a", claim }] })), TOKEN),
    ),
    not: ["realm_access.roles", "http://localhost/is_root", "sub", "a.iota"].map((claim) =>
      all(authentication(rule({ outputClaimToHeaders: [{ header: "x-a", claim }] })), TOKEN),
    ),
  },
  JG101: {
    found: [allow(from({ requestPrincipals: ["alice"] })), allow(when("request.auth.principal", ["alice"]))],
    not: [
      allow(from({ requestPrincipals: [`${ISSUER}/alice`] })),
      allow(from({ requestPrincipals: ["*alice"] })),
    ],
  },
  JG102: {
    found: [allow(from({ requestPrincipals: ["*/*"] }))],
    not: [allow(from({ requestPrincipals: ["*", "*/alice"] }))],
  },
  JG103: {
    found: [
      allow(from({ requestPrincipals: ["https://idp*"] })),
      allow(from({ requestPrincipals: ["https://idp.example.com"] })),
    ],
    not: [allow(from({ requestPrincipals: [`${ISSUER}/*`] }))],
  },
  JG104: {
    found: [
      allow(from({ requestPrincipals: ["https://other.example.com/*"] })),
      all(
        authentication(rule({ issuer: `${ISSUER}/` })),
        policy("p", "ALLOW", [from({ requestPrincipals: [`${ISSUER}/a`] })]),
      ),
    ],
    not: [
      all(
        authentication(rule({ issuer: `${ISSUER}/` })),
        policy("p", "ALLOW", [from({ requestPrincipals: [`${ISSUER}//a`] })]),
      ),
      allow(from({ requestPrincipals: ["*.example.com/a"] })),
      // Any issuer is trusted, because no rule names one.
      all(
        authentication({ jwksUri: "https://a.example/keys" }),
        policy("p", "ALLOW", [from({ requestPrincipals: ["https://b/a"] })]),
      ),
      policy("p", "ALLOW", [from({ requestPrincipals: ["https://b/a"] })]),
    ],
  },
  JG105: {
    found: [
      allow(to({ paths: ["/a/*/b"] })),
      allow(to({ hosts: ["*.a.*"] })),
      allow(when("request.headers[x]", ["*a*"])),
    ],
    not: [allow(to({ paths: ["/a/{*}/b", "/a/*", "*.html", "*"] })), allow(from({ namespaces: ["a*b"] }))],
  },
  JG106: {
    found: [
      allow(when("request.auth.claims[exp]", ["1"])),
      allow(when("request.auth.claims[realm_access]", ["a"])),
    ],
    not: [
      allow(when("request.auth.claims[realm_access][roles]", ["a"])),
      allow(when("request.auth.claims[sub]", ["1a"])),
    ],
  },
  JG107: {
    found: [
      allow(when("request.auth.claims[email_verified]", ["yes"])),
      allow(when("request.auth.claims[admin]", ["true"])),
    ],
    not: [allow(when("request.auth.claims[admin]", ["truer"]))],
  },
  JG108: {
    found: [
      allow(when("request.auth.claims[scope]", ["read write"])),
      all(
        authentication(rule({ spaceDelimitedClaims: ["roles"] })),
        policy("p", "ALLOW", [when("request.auth.claims[roles]", ["a b"])]),
      ),
    ],
    not: [
      allow(when("request.auth.claims[scope]", ["read", "write"])),
      allow(when("request.auth.claims[roles]", ["a b"])),
    ],
  },
  JG109: { found: [allow(to({ methods: ["get"] }))], not: [allow(to({ methods: ["GET", "*"] }))] },
  JG110: {
    found: ["a", "/a?b", "/a#b", "/a/../b", "/a/.", "/%41", "/%7euser"].map((path) =>
      allow(to({ paths: [path] })),
    ),
    not: [allow(to({ paths: ["/a", "/a%2Fb", "*.js", "/a.b/..c", "/%20", "/%5B"] }))],
  },
  JG111: {
    found: [
      allow(to({ paths: ["/a", "/b"], notPaths: ["/*"] })),
      allow(to({ hosts: ["A.example"], notHosts: ["a.example"] })),
    ],
    not: [
      allow(to({ paths: ["/*"], notPaths: ["/a"] })),
      allow(to({ paths: ["/a", "/b"], notPaths: ["/a"] })),
    ],
  },
  JG112: {
    found: [allow(when("request.auth.claims[realm_access.roles]", ["a"]))],
    not: [
      allow(when("request.auth.claims[realm_access][roles]", ["a"])),
      allow(when("request.auth.claims[https://example.com/roles]", ["a"])),
      allow(when("request.auth.claims[kubernetes.io/sa]", ["a"])),
      allow(when("request.auth.claims[a.][b.c]", ["a"])),
    ],
  },
  JG201: {
    found: [deny(from({ principals: ["cluster.local/ns/a/sa/b"] })), deny(when("source.namespace", ["a"]))],
    not: [deny(from({ notPrincipals: ["*"] })), allow(from({ principals: ["*"] }))],
  },
  JG202: { found: [allow(from({ notNamespaces: ["a"] }))], not: [allow(from({ namespaces: ["a"] }))] },
  JG203: {
    found: [all(IDP, policy("p", "DENY", [when("request.auth.claims[role]", ["guest"])]))],
    not: [
      deny(when("request.auth.claims[role]", ["guest"])),
      deny(when("request.auth.claims[role]", ["a"], "notValues")),
    ],
  },
  JG204: {
    found: [
      all(
        TOKEN,
        policy("a", "DENY", [to({ paths: ["/a", "/a/*"] })]),
        policy("b", "ALLOW", [to({ paths: ["/A"] })]),
      ),
      allow(to({ paths: ["/a"] }), to({ paths: ["/a/"] })),
    ],
    not: [
      allow(to({ paths: ["/a", "/a/"] }), to({ paths: ["/b"] })),
      allow(to({ paths: ["/a", "/a/"] }), to({ paths: ["/a/"] })),
    ],
  },
  JG205: {
    found: [deny(to({ paths: ["/admin"] })), ask(to({ paths: ["/admin"] }), "a")],
    not: [
      deny(to({ paths: ["/admin", "/admin/*"] })),
      ask(to({ paths: ["/admin", "/admin/*"] }), "a"),
      deny(to({ paths: ["/admin*"] })),
      allow(to({ paths: ["/admin"] })),
    ],
  },
  JG206: {
    found: [
      all(
        IDP,
        policy("a", "DENY", [to({ paths: ["/a*"] })]),
        policy("b", "ALLOW", [{ ...from({ requestPrincipals: ["*"] }), ...to({ paths: ["/a/b"] }) }]),
      ),
    ],
    not: [
      all(
        IDP,
        policy("a", "DENY", [to({ paths: ["/a/b"] })]),
        policy("b", "ALLOW", [to({ paths: ["/a*"] })]),
      ),
      all(
        IDP,
        policy("a", "DENY", [to({ paths: ["/a*"] })], { namespace: "other" }),
        policy("b", "ALLOW", [to({ paths: ["/a/b"] })]),
      ),
      all(
        policy("a", "DENY", [to({ paths: ["/a*"], methods: ["GET"] })]),
        policy("b", "ALLOW", [to({ paths: ["/a/b"] })]),
      ),
      all(
        policy("a", "DENY", [to({ paths: ["/a*"], notMethods: ["GET"] })]),
        policy("b", "ALLOW", [to({ paths: ["/a/b"] })]),
      ),
    ],
  },
  JG207: {
    found: [
      allow(to({ paths: ["/a/*"] }), to({ paths: ["/a/b"], methods: ["GET"] })),
      allow(to({ paths: ["/a"] }), to({ paths: ["/a"] })),
      allow(to({ paths: ["/a"], notMethods: ["GET"] }), to({ paths: ["/a"], notMethods: ["GET", "PUT"] })),
      // Several rules together, and a block whose halves are allowed.
      allow(to({ methods: ["GET"] }), to({ notMethods: ["GET"] }), to({ paths: ["/a"] })),
      allow(
        from({ remoteIpBlocks: ["10.0.0.0/9"] }),
        from({ remoteIpBlocks: ["10.128.0.0/9"] }),
        from({ remoteIpBlocks: ["10.0.0.0/8"] }),
      ),
    ],
    not: [
      allow(to({ paths: ["/a"], methods: ["GET"] }), to({ paths: ["/a"], methods: ["PUT"] })),
      allow(to({ paths: ["/a"] }), to({ notPaths: ["/a"] })),
      // Another extension provider may answer differently.
      ask(to({ paths: ["/a/*"] }), "a", "b"),
    ],
  },
  JG208: { found: [allow({})], not: [all(IDP, TOKEN, policy("p", "DENY", [{}]))] },
  JG209: {
    found: [policy("p", "ALLOW", [to({ paths: ["/a"] })], { annotations: { "istio.io/dry-run": "true" } })],
    not: [policy("p", "ALLOW", [to({ paths: ["/a"] })], { annotations: { "istio.io/dry-run": "false" } })],
  },
  JG210: {
    found: [
      allow(to({ hosts: ["a.example"] })),
      allow(to({ hosts: ["*.example.int"] })),
      // The second never matches: an asterisk at the end is literal after one at the beginning.
      allow(to({ hosts: ["*.example.int", "*.example.int:*"] })),
      deny(to({ hosts: ["a.example", "b.example:*"] })),
    ],
    not: [
      allow(to({ hosts: ["a.example", "a.example:*"] })),
      allow(to({ hosts: ["*.example.int", "*.example.int:443"] })),
      allow(to({ hosts: ["a.example*", "b.example:80", "*"] })),
    ],
  },
  JG213: {
    found: [
      deny(to({ hosts: ["a.example", "a.example:*"] })),
      deny(to({ hosts: ["*.a.example"] })),
      deny(to({ hosts: ["a.example:8080"] })),
      ask(to({ hosts: ["a.example", "a.example:*"] }), "a"),
      allow(to({ notHosts: ["a.example", "a.example:*"] })),
    ],
    not: [
      deny(to({ hosts: ["a.example", "a.example:*", "A.example.", "a.example.:*"] })),
      deny(to({ hosts: ["*.a.example", "*.a.example."] })),
      deny(to({ hosts: ["*.a.example", "*.a.example.", "*.a.example:*"] })),
      deny(to({ hosts: ["a.example*", "*", "a.example.", "[::1]", "[::1]:80"] })),
      // Requests that are not named are refused.
      deny(to({ notHosts: ["a.example"] })),
      allow(to({ hosts: ["a.example"] })),
    ],
  },
  JG211: {
    found: [allow(to({ notPaths: ["/admin*"] }))],
    not: [allow(to({ paths: ["/*"], notPaths: ["/admin*"] })), deny(to({ notPaths: ["/open*"] }))],
  },
  JG212: {
    found: [allow({ ...to({ paths: ["/a"] }), ...when("request.headers[x-internal]", ["true"]) })],
    not: [
      allow({ ...from({ requestPrincipals: ["*"] }), ...when("request.headers[x-internal]", ["true"]) }),
      allow(to({ paths: ["/a"] })),
      all(
        authentication(rule({ outputClaimToHeaders: [{ header: "x-role", claim: "role" }] })),
        policy("p", "ALLOW", [when("request.headers[X-Role]", ["a"])]),
      ),
    ],
  },
  JG214: {
    found: [rules(MAX_COMPARED_RULES + 1), rules(MAX_PROVEN_RULES + 1)],
    not: [rules(MAX_PROVEN_RULES)],
  },
  JG215: {
    found: [
      allow(to({ paths: ["/a"], notPaths: ["/a*"] }), to({ paths: ["/b"] })),
      allow(from({ requestPrincipals: ["https://stranger.example/*"] }), to({ paths: ["/b"] })),
      allow({ ...when("request.auth.claims[sub]", ["a"]), ...from({ notRequestPrincipals: ["*"] }) }),
    ],
    not: [
      allow(to({ paths: ["/a"], notPaths: ["/a/*"] })),
      // A policy without rules allows nothing, on purpose.
      all(IDP, policy("p", "ALLOW", [])),
    ],
  },
  JG216: {
    found: [
      allow(
        { ...from({ requestPrincipals: ["*"] }), ...to({ paths: ["/orders", "/publish"] }) },
        to({ paths: ["/pub*"] }),
      ),
      // Two rules together, and a rule of another policy.
      all(
        IDP,
        policy("p", "ALLOW", [{ ...from({ requestPrincipals: ["*"] }), ...to({ paths: ["/api/admin"] }) }]),
        policy("q", "ALLOW", [
          to({ methods: ["GET"], paths: ["/api/*"] }),
          to({ notMethods: ["GET"], paths: ["/api/{*}"] }),
        ]),
      ),
      // An exemption of a DENY rule, before an ALLOW rule for all who are not denied.
      all(
        IDP,
        policy("p", "DENY", [
          { ...from({ notRequestPrincipals: ["*"] }), ...to({ notPaths: ["/public*"] }) },
        ]),
        policy("q", "ALLOW", [
          { ...from({ requestPrincipals: [`${ISSUER}/editor`] }), ...to({ paths: ["/publications"] }) },
          to({ paths: ["/*"] }),
        ]),
      ),
    ],
    not: [
      // The exemption is a part of what is protected, and meant.
      allow(
        { ...from({ requestPrincipals: ["*"] }), ...to({ paths: ["/api/*"] }) },
        to({ paths: ["/api/public/*"] }),
      ),
      // The exemption names the very path.
      allow(
        { ...from({ requestPrincipals: ["*"] }), ...to({ paths: ["/api/*", "/health"] }) },
        to({ paths: ["/health"] }),
      ),
      // Some requests for it are refused without a token.
      allow(
        { ...from({ requestPrincipals: ["*"] }), ...to({ paths: ["/api/admin"] }) },
        to({ methods: ["GET"], paths: ["/api/*"] }),
      ),
      allow(
        { ...from({ requestPrincipals: ["*"] }), ...to({ paths: ["/api/admin"] }) },
        { ...from({ remoteIpBlocks: ["10.0.0.0/8"] }), ...to({ paths: ["/api/*"] }) },
      ),
      // A DENY rule asks for the token.
      all(
        IDP,
        policy("p", "DENY", [
          { ...from({ notRequestPrincipals: ["*"] }), ...to({ notPaths: ["/public/*"] }) },
        ]),
        policy("q", "ALLOW", [
          { ...from({ requestPrincipals: [`${ISSUER}/editor`] }), ...to({ paths: ["/publications"] }) },
          to({ paths: ["/*"] }),
        ]),
      ),
      // Another token does not make an exemption.
      allow(
        { ...from({ requestPrincipals: [`${ISSUER}/editor`] }), ...to({ paths: ["/publish"] }) },
        { ...from({ requestPrincipals: ["*"] }), ...to({ paths: ["/*"] }) },
      ),
    ],
  },
  JG301: {
    found: [`${CLEAN} # jwtgate: ignore JG002 because x`],
    not: [
      `${deny(to({ paths: ["/admin"] }))} # jwtgate: ignore JG205 because x`,
      `${CLEAN} # jwtgate: ignore JG002`,
    ],
  },
  JG302: {
    found: [
      `${CLEAN} # jwtgate: ignore JG002`,
      `${CLEAN} # jwtgate: ingore JG002 because x`,
      `${CLEAN} # jwtgate: ignore JG999 because x`,
      `${CLEAN} # jwtgate: ignore JG301 because x`,
    ],
    not: [
      `${CLEAN} # jwtgate is what reads this`,
      authentication(rule({ spaceDelimitedClaims: ["# jwtgate: ignore"] })),
    ],
  },
};

describe.each(Object.entries(CASES))("%s", (code, { found, not }) => {
  const count = (text: string) => findingsOf(text).filter((finding) => finding.code === code).length;
  test.each(found.map((text, i) => ({ i, text })))("is found ($i)", ({ text }) =>
    expect(count(text)).toBe(1),
  );
  test.each(not.map((text, i) => ({ i, text })))("is not found ($i)", ({ text }) =>
    expect(count(text)).toBe(0),
  );
});

test("every code has cases", () => expect(Object.keys(CASES).sort()).toEqual(Object.keys(KINDS).sort()));

/** The values that a remedy suggests: those in quotes after "write". */
const quoted = (remedy: string): string[] =>
  [...remedy.replace(/^.*?write /, "").matchAll(/"(?:[^"\\]|\\.)*"/g)].map(([text]) => JSON.parse(text));
const principals = (...values: string[]) => allow(from({ requestPrincipals: values }));
const hosts = (...values: string[]) => allow(to({ hosts: values }));
const withKeys = (...keys: object[]) => all(authentication(rule({ jwks: jwks(...keys) })), TOKEN);
const withRule = (members: object) => all(authentication(rule(members)), TOKEN);

/**
 * For each finding: a policy that has it, and the policy after its remedy, with the remedy's values if it has
 * some.
 */
const REMEDIES: Record<Code, [before: string, after: (remedy: string) => string][]> = {
  JG000: [
    [
      policy("p", "DENY", [{ ...to({ paths: ["/a/*"] }), ...when("request.headersx[a]", ["b"]) }]),
      () => policy("p", "DENY", [to({ paths: ["/a/*"] })]),
    ],
  ],
  JG001: [[IDP, () => all(IDP, TOKEN)]],
  JG002: [[withRule({ audiences: [] }), (remedy) => withRule({ audiences: quoted(remedy) })]],
  JG003: [[withKeys(secret(32)), () => withKeys(GOOD)]],
  JG004: [[withKeys({ ...EC.privateKey.export({ format: "jwk" }) }), () => withKeys(GOOD)]],
  JG005: [
    [withKeys(secret(31)), () => withKeys(secret(32))],
    [withKeys(secret(47, "HS384")), () => withKeys(secret(48, "HS384"))],
    [withKeys(secret(63, "HS512")), () => withKeys(secret(64, "HS512"))],
  ],
  JG006: [[withKeys(publicJwk(1024), GOOD), () => withKeys(publicJwk(3072), GOOD)]],
  JG007: [[withKeys(publicJwk(2048)), () => withKeys(publicJwk(3072))]],
  JG008: [
    [
      all(
        authentication({ audiences: ["me"], fromHeaders: BEARER, jwksUri: "https://idp.example.com/k" }),
        TOKEN,
      ),
      () => withRule({ jwks: undefined, jwksUri: "https://idp.example.com/k" }),
    ],
  ],
  JG009: [
    [
      withRule({ jwks: undefined, jwksUri: "http://idp.example.com/k" }),
      (remedy) => {
        const [scheme] = /https:\/\//.exec(remedy) ?? [];
        return withRule({ jwks: undefined, jwksUri: `${scheme}idp.example.com/k` });
      },
    ],
  ],
  JG010: [
    [withRule({ fromParams: ["t"] }), () => withRule({ fromHeaders: [{ name: "x-token" }] })],
    [
      withRule({ fromHeaders: [] }),
      // The remedy is YAML, and is inserted unchanged.
      (remedy) =>
        all(
          authentication(rule({ fromHeaders: "@" })).replace('"@"', remedy.split("fromHeaders: ")[1] ?? ""),
          TOKEN,
        ),
    ],
  ],
  JG011: [[withKeys(GOOD, { ...GOOD, use: "enc" }), () => withKeys(GOOD)]],
  JG012: [
    [
      withRule({ jwks: undefined, jwksUri: "https://localhost/keys" }),
      () => withRule({ jwks: undefined, jwksUri: "https://idp.example.com/keys" }),
    ],
    [withRule({ jwks: undefined, jwksUri: "https://localhost/keys" }), () => all(IDP, TOKEN)],
  ],
  JG013: [
    [
      withRule({ issuer: "https://sts.test/*" }),
      () =>
        all(
          resource("RequestAuthentication", "idp", {
            jwtRules: [rule({ issuer: "https://sts.test/a" }), rule({ issuer: "https://sts.test/b" })],
          }),
          TOKEN,
        ),
    ],
  ],
  JG014: [
    [
      withRule({ outputClaimToHeaders: [{ header: "x-a", claim: "kubernetes.io.namespace" }] }),
      () => withRule({ outputClaimToHeaders: [{ header: "x-a", claim: "namespace" }] }),
    ],
    [
      withRule({ outputClaimToHeaders: [{ header: "x-a", claim: "http://example.com/a" }] }),
      () => withRule({ outputPayloadToHeader: "x-payload" }),
    ],
  ],
  JG101: [
    [principals("alice"), (remedy) => principals(...quoted(remedy))],
    [
      all(
        authentication(rule({ issuer: "accounts.example.com" })),
        policy("p", "ALLOW", [from({ requestPrincipals: ["accounts.example.com"] })]),
      ),
      (remedy) =>
        all(
          authentication(rule({ issuer: "accounts.example.com" })),
          policy("p", "ALLOW", [from({ requestPrincipals: quoted(remedy) })]),
        ),
    ],
  ],
  JG102: [[principals("*/*"), (remedy) => principals(...quoted(remedy))]],
  JG103: [
    [principals("https://idp*"), (remedy) => principals(...quoted(remedy))],
    [principals("https://idp.example.com"), (remedy) => principals(...quoted(remedy))],
  ],
  JG104: [
    [principals("https://other.example.com/a"), (remedy) => principals(...quoted(remedy).slice(0, 1))],
    [
      all(
        authentication(rule({ issuer: `${ISSUER}/` })),
        policy("p", "ALLOW", [from({ requestPrincipals: [`${ISSUER}/a`] })]),
      ),
      (remedy) =>
        all(
          authentication(rule({ issuer: `${ISSUER}/` })),
          policy("p", "ALLOW", [from({ requestPrincipals: quoted(remedy) })]),
        ),
    ],
  ],
  JG105: [
    [allow(to({ paths: ["/a/*/b"] })), () => allow(to({ paths: ["/a/{*}/b"] }))],
    [
      allow(when("request.auth.claims[x]", ["*a*"])),
      () => allow(when("request.auth.claims[x]", ["a*", "*a"])),
    ],
  ],
  JG106: [
    [
      allow(when("request.auth.claims[realm_access]", ["a"])),
      (remedy) => allow(when(remedy.replace(/^.*: /, "").replace("NAME", "roles"), ["a"])),
    ],
    [allow(when("request.auth.claims[exp]", ["1"])), () => allow(when("request.auth.claims[sub]", ["a"]))],
  ],
  JG107: [
    [
      allow(when("request.auth.claims[admin]", ["true"])),
      () => allow(when("request.auth.claims[admin]", ["yes"])),
    ],
  ],
  JG108: [
    [
      allow(when("request.auth.claims[scope]", ["read write"])),
      (remedy) => allow(when("request.auth.claims[scope]", quoted(remedy))),
    ],
  ],
  JG109: [[allow(to({ methods: ["get"] })), (remedy) => allow(to({ methods: quoted(remedy) }))]],
  JG110: [
    ...["a", "/a?b", "/a#b", "a?b", "#a"].map((path): [string, (remedy: string) => string] => [
      allow(to({ paths: [path] })),
      (remedy) => allow(to({ paths: quoted(remedy) })),
    ]),
    [allow(to({ paths: ["/a/../b"] })), () => allow(to({ paths: ["/b"] }))],
  ],
  JG111: [[allow(to({ paths: ["/a"], notPaths: ["/a"] })), () => allow(to({ paths: ["/a"] }))]],
  JG112: [
    [
      allow(when("request.auth.claims[realm_access.roles]", ["a"])),
      (remedy) => allow(when(remedy.replace("write ", ""), ["a"])),
    ],
  ],
  JG201: [
    [
      deny(from({ principals: ["cluster.local/ns/a/sa/b"] })),
      () => deny(from({ notPrincipals: ["cluster.local/ns/a/sa/c"] })),
    ],
  ],
  JG202: [[allow(from({ notNamespaces: ["a"] })), () => allow(from({ namespaces: ["b"] }))]],
  JG203: [
    [
      all(IDP, policy("p", "DENY", [when("request.auth.claims[role]", ["guest"])])),
      () => deny(when("request.auth.claims[role]", ["guest"])),
    ],
    [
      all(IDP, policy("p", "DENY", [when("request.auth.claims[role]", ["guest"])])),
      () => all(IDP, policy("p", "DENY", [when("request.auth.claims[role]", ["admin"], "notValues")])),
    ],
  ],
  JG204: [
    [
      allow(to({ paths: ["/a"], methods: ["GET"] }), to({ paths: ["/a/"], methods: ["PUT"] })),
      () => {
        const paths = ["/a", "/a/"];
        return allow(to({ paths, methods: ["GET"] }), to({ paths, methods: ["PUT"] }));
      },
    ],
  ],
  JG205: [[deny(to({ paths: ["/admin"] })), (remedy) => deny(to({ paths: quoted(remedy) }))]],
  JG206: [
    [
      all(
        IDP,
        policy("a", "DENY", [to({ paths: ["/a*"] })]),
        policy("b", "ALLOW", [from({ requestPrincipals: ["*"] }), to({ paths: ["/a/b"] })]),
      ),
      () => all(IDP, policy("a", "DENY", [to({ paths: ["/a*"] })]), TOKEN),
    ],
  ],
  JG207: [
    [
      allow(to({ paths: ["/a/*"] }), to({ paths: ["/a/b"], methods: ["GET"] })),
      () => allow(to({ paths: ["/a/*"] })),
    ],
  ],
  JG208: [[allow({}), () => all(IDP, TOKEN)]],
  JG209: [
    [
      policy("p", "ALLOW", [to({ paths: ["/a"] })], { annotations: { "istio.io/dry-run": "true" } }),
      () => policy("p", "ALLOW", [to({ paths: ["/a"] })]),
    ],
  ],
  JG210: [
    [hosts("a.example"), (remedy) => hosts(...quoted(remedy))],
    [hosts("*.example.int"), (remedy) => hosts(...quoted(remedy))],
    [hosts("*.example.int"), () => hosts("a.example.int", "a.example.int:*")],
    [
      deny(to({ hosts: ["*.example.int", "*.example.int."] })),
      (remedy) => {
        const ports = quoted(remedy).flatMap((host) => [host, host.replace(/(?=:|$)/, ".")]);
        return deny(to({ hosts: ports }));
      },
    ],
  ],
  JG211: [[allow(to({ notPaths: ["/admin*"] })), () => allow(to({ paths: ["/shop*"] }))]],
  JG212: [
    [
      allow({ ...to({ paths: ["/a"] }), ...when("request.headers[x-internal]", ["true"]) }),
      () =>
        allow({
          ...from({ requestPrincipals: ["*"] }),
          ...to({ paths: ["/a"] }),
          ...when("request.headers[x-internal]", ["true"]),
        }),
    ],
  ],
  JG213: [
    ["a.example", "a.example:8080", "*.a.example"].map((host): [string, (remedy: string) => string] => [
      deny(to({ hosts: [host, ...(host.includes(":") ? [] : [`${host}:*`])] })),
      (remedy) =>
        deny(to({ hosts: [host, ...(host.includes(":") ? [] : [`${host}:*`]), ...quoted(remedy)] })),
    ]),
  ].flat(),
  JG214: [[rules(MAX_COMPARED_RULES + 1), () => rules(500)]],
  JG215: [
    [
      allow(to({ paths: ["/a"], notPaths: ["/a*"] }), to({ paths: ["/b"] })),
      () => allow(to({ paths: ["/a"] }), to({ paths: ["/b"] })),
    ],
  ],
  JG216: [
    [
      allow(
        { ...from({ requestPrincipals: ["*"] }), ...to({ paths: ["/orders", "/public-keys"] }) },
        to({ paths: ["/public*"] }),
      ),
      (remedy) =>
        allow(
          { ...from({ requestPrincipals: ["*"] }), ...to({ paths: ["/orders", "/public-keys"] }) },
          to({ paths: quoted(remedy) }),
        ),
    ],
  ],
  JG301: [[`${CLEAN} # jwtgate: ignore JG002 because x`, () => CLEAN]],
  JG302: [
    [
      `${deny(to({ paths: ["/admin"] }))} # jwtgate: ignore JG205`,
      (remedy) => {
        const comment = remedy
          .replace(/^Write /, "")
          .replace("CODE", "JG205")
          .split(",")[0];
        return `${deny(to({ paths: ["/admin"] }))} ${comment?.replace("JG010", "JG205")}`;
      },
    ],
  ],
};

describe("following a remedy removes the finding, causes no other one, and compiles", () => {
  const tried = Object.entries(REMEDIES).flatMap(([code, cases]) =>
    cases.map(([before, after], i) => ({ code, i, before, after })),
  );
  test.each(tried)("$code ($i)", ({ code, before, after }) => {
    const found = findingsOf(before);
    const finding = found.find((one) => one.code === code);
    const corrected = after(finding?.remedy ?? "");
    expect(finding).toBeDefined();
    const kinds = new Set(found.map((one) => one.code));
    const left = findingsOf(corrected).map((one) => one.code);
    expect(left).not.toContain(code);
    expect(left.filter((one) => !kinds.has(one))).toEqual([]);
    const errorsOf = (text: string, target: TargetName) =>
      compile([{ name: FILE, text }], { target }).diagnostics.filter(({ severity }) => severity === "error");
    expect(errorsOf(corrected, "envoy")).toEqual([]);
    // Some outputs cannot do all of Istio's policies; a remedy is not the reason.
    for (const target of TARGETS.keys()) {
      if (errorsOf(before, target).length === 0) expect(errorsOf(corrected, target)).toEqual([]);
    }
  });
  test("every code has a remedy that is tested", () =>
    expect(Object.keys(REMEDIES).sort()).toEqual(Object.keys(KINDS).sort()));
});

test("every finding is one line, with a position in the file, and shows no key", () => {
  const texts = Object.values(CASES).flatMap(({ found }) => found);
  const private_ = EC.privateKey.export({ format: "jwk" }).d ?? "";
  for (const finding of texts.flatMap(findingsOf)) {
    expect(finding).toMatchObject({ file: FILE, line: expect.any(Number), column: expect.any(Number) });
    expect(finding.line).toBeGreaterThan(0);
    const words = `${finding.message} ${finding.remedy}`;
    expect(words).not.toMatch(/[\n\r]/);
    expect(words).not.toContain(private_);
    expect(words).not.toContain(Buffer.alloc(31, 7).toString("base64url").slice(0, 20));
  }
});

test("policies that a reviewer would let pass have no finding", () => {
  const clean = all(
    authentication(rule()),
    policy("read", "ALLOW", [
      {
        ...from({ requestPrincipals: [`${ISSUER}/*`] }),
        ...to({ paths: ["/products", "/products/*"], methods: ["GET"] }),
      },
    ]),
    policy("admin", "DENY", [
      {
        ...to({ paths: ["/admin", "/admin/*"] }),
        ...when("request.auth.claims[role]", ["admin"], "notValues"),
      },
    ]),
  );
  expect(findingsOf(clean)).toEqual([]);
});

describe("long lists", () => {
  /** Patterns, and many unrelated ones: long lists are compared in another way. */
  const padded = (values: string[]) => [...values, ...Array.from({ length: 40 }, (_, i) => `/other/${i}`)];
  const PAIRS: [wide: string, narrow: string][] = [
    "*",
    "/a",
    "/a/*",
    "/a/b",
    "/a/b*",
    "*/b",
    "*b",
    "/{*}",
  ].flatMap((wide) =>
    ["*", "/a", "/a/*", "/a/b", "/a/b/*", "*/b", "/{*}", "/a/{*}"].map((narrow): [string, string] => [
      wide,
      narrow,
    ]),
  );

  test.each(PAIRS)("%s and %s are compared as in short lists", (wide, narrow) => {
    const codes = (paths: string[]) =>
      findingsOf(deny(to({ paths }), to({ paths: [narrow], methods: ["GET"] }))).some(
        ({ code }) => code === "JG207",
      );
    expect(codes(padded([wide]))).toBe(codes([wide]));
  });

  test("a hundred thousand denied paths, and as many hosts", () => {
    const names = Array.from({ length: 100_000 }, (_, i) => `${i}`);
    const paths = names.map((name) => `/${name}`);
    const hosts = names.map((name) => `a${name}.example.com`);
    const findings = findingsOf(deny(to({ paths, hosts })));
    expect(findings.filter(({ code }) => code === "JG205")).toHaveLength(100_000);
    expect(findings.filter(({ code }) => code === "JG210")).toHaveLength(100_000);
  });
});

test("each host without a dot is reported once, with all missing spellings", () => {
  const hosts = ["a.example", "b.example:80", "a.example:*", "c.example", "c.example."];
  const found = findingsOf(deny(to({ hosts }))).filter(({ code }) => code === "JG213");
  expect(found.map(({ message, remedy }) => [message, remedy])).toEqual([
    ['"a.example" is denied and "a.example." is not', 'write "a.example." and "a.example.:*" too'],
    ['"b.example:80" is denied and "b.example.:80" is not', 'write "b.example.:80" too'],
  ]);
  const [left] = findingsOf(allow(to({ notHosts: ["a.example"] }))).filter(({ code }) => code === "JG213");
  expect(left?.message).toBe('"a.example" is left out and "a.example." is allowed');
});
