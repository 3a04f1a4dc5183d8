/**
 * The filter's configuration: one source for its TypeScript type and its JSON Schema.
 *
 * The filter (assembly/config) reads exactly this and refuses anything else with a JSON pointer.
 * Names are Envoy's: jwt_authn's JwtProvider for authentication, RBAC's for authorization.
 */
import type { Static } from "@sinclair/typebox";
// Imported by name, so that a bundle contains only the functions that are used.
import * as Type from "@sinclair/typebox";

/** The format's version. Raised whenever an older filter could misread a newer configuration. */
export const CONFIGURATION_VERSION = 1;

const strict = { additionalProperties: false } as const;

const Strings = (description: string) =>
  Type.Array(Type.String({ minLength: 1 }), { minItems: 1, description });

/** How a string is compared. Exactly one member. */
export const StringMatch = Type.Union(
  [
    Type.Object({ exact: Type.String() }, strict),
    Type.Object({ prefix: Type.String({ minLength: 1 }) }, strict),
    Type.Object({ suffix: Type.String({ minLength: 1 }) }, strict),
    Type.Object(
      { nonEmpty: Type.Literal(true) },
      { ...strict, description: "Istio's `*`: the regular expression `.+`, so not empty and no newline." },
    ),
  ],
  { $id: "StringMatch" },
);
export type StringMatch = Static<typeof StringMatch>;

/** A leaf condition: depends on the token alone (claim), or on the request (all others). */
export const Predicate = Type.Union(
  [
    Type.Object(
      {
        claim: Type.Array(Type.String(), {
          minItems: 1,
          description: "Path into the payload, one name a level.",
        }),
        match: StringMatch,
      },
      { ...strict, description: "A string at the path, or any string element of a list there, matches." },
    ),
    Type.Object(
      {
        path: Type.Union([
          StringMatch,
          Type.Object(
            {
              template: Type.String({
                description: "URI template: {*} one segment, {**} the rest (last only).",
              }),
            },
            strict,
          ),
        ]),
      },
      { ...strict, description: "`:path` without query and fragment." },
    ),
    Type.Object({ host: StringMatch }, { ...strict, description: "`:authority`, ASCII case ignored." }),
    Type.Object({ method: StringMatch }, { ...strict, description: "`:method`." }),
    Type.Object(
      {
        header: Type.String({ minLength: 1, description: "Lower-case name." }),
        match: Type.Union([StringMatch, Type.Object({ present: Type.Literal(true) }, strict)]),
      },
      { ...strict, description: "Any value of the header matches, each compared by itself." },
    ),
    Type.Object(
      { destinationPort: Type.Integer({ minimum: 0, maximum: 65535 }) },
      { ...strict, description: "The listener's own port." },
    ),
    Type.Object(
      { destinationIp: Type.String() },
      { ...strict, description: "CIDR, host bits zero, of the listener's own address." },
    ),
    Type.Object(
      { sourceIp: Type.String({ description: "CIDR of the direct peer. Needs `directRemoteAddress`." }) },
      strict,
    ),
    Type.Object(
      { remoteIp: Type.String({ description: "CIDR of the client as the listener trusts it." }) },
      strict,
    ),
    Type.Object(
      { sni: StringMatch },
      { ...strict, description: "TLS server name that the client asked for." },
    ),
    Type.Object(
      { principal: StringMatch },
      {
        ...strict,
        description:
          "Any name of the peer certificate matches: its URI SANs (the `spiffe://` prefix included), its DNS SANs, its subject. The other certificate predicates look at the same names.",
      },
    ),
    Type.Object(
      {
        peer: Type.Array(Type.String(), {
          minItems: 2,
          description: "Literal pieces with `.*` between them.",
        }),
      },
      {
        ...strict,
        description:
          "Any name of the peer certificate is the pieces in order, anything (no newline) between them: the first at the start, the last at the end.",
      },
    ),
    Type.Object(
      {
        trustDomain: Type.Array(Type.String(), {
          minItems: 2,
          maxItems: 2,
          description: "What the trust domain begins and ends with.",
        }),
      },
      { ...strict, description: "Any name of the peer certificate matches spiffe://BEGIN[^/]*END/.*" },
    ),
    Type.Object(
      {
        serviceAccount: Type.Object(
          { namespace: Type.String({ minLength: 1 }), name: Type.String({ minLength: 1 }) },
          strict,
        ),
      },
      {
        ...strict,
        description: "Any name of the peer certificate matches spiffe://.+/ns/NAMESPACE/(.+/|)sa/NAME(/.+)?",
      },
    ),
  ],
  { $id: "Predicate" },
);
export type Predicate = Static<typeof Predicate>;

/** A condition over predicates: an index into `predicates`, or a combination. `{"and": []}` is always true. */
export const Condition = Type.Recursive(
  (Self) =>
    Type.Union([
      Type.Integer({ minimum: 0, description: "Index into authorization.predicates." }),
      Type.Object({ and: Type.Array(Self) }, strict),
      Type.Object({ or: Type.Array(Self) }, strict),
      Type.Object({ not: Self }, strict),
    ]),
  { $id: "Condition" },
);
export type Condition = number | { and: Condition[] } | { or: Condition[] } | { not: Condition };

export const Rule = Type.Object(
  {
    id: Type.String({ minLength: 1, description: "`ns[NS]-policy[NAME]-rule[I]`, as Istio names it." }),
    condition: Condition,
    guard: Type.Optional(
      Type.Array(Type.Integer({ minimum: 0 }), {
        minItems: 1,
        description:
          "Predicates at least one of which is true whenever the condition is: the filter indexes the rule under them. Predicates are looked up by a request's values, so those that do not hold cost nothing. The filter proves the implication on load.",
      }),
    ),
  },
  strict,
);
export type Rule = Static<typeof Rule>;

/** The policies of one action. Rules are in the byte order of their ids, as in Envoy's RBAC. */
export const RuleSet = Type.Object(
  {
    rules: Type.Optional(
      Type.Array(Rule, {
        description: "Enforced. Absent: nothing is enforced; empty: nothing ever matches.",
      }),
    ),
    shadowRules: Type.Optional(Type.Array(Rule, { description: "Dry-run: counted and logged only." })),
  },
  { ...strict, minProperties: 1 },
);
export type RuleSet = Static<typeof RuleSet>;

export const Authorization = Type.Object(
  {
    predicates: Type.Array(Predicate),
    audit: Type.Optional(RuleSet),
    deny: Type.Optional(RuleSet),
    allow: Type.Optional(RuleSet),
  },
  {
    ...strict,
    minProperties: 2,
    description: "Evaluated in the order AUDIT, DENY, ALLOW. At least one of them is there.",
  },
);
export type Authorization = Static<typeof Authorization>;

/** A JSON Web Key as the filter reads it: public members, or `k`. Unknown members are refused by the compiler, not here. */
export const Jwk = Type.Object(
  {
    kty: Type.Union([Type.Literal("RSA"), Type.Literal("EC"), Type.Literal("oct"), Type.Literal("OKP")]),
    kid: Type.Optional(Type.String()),
    alg: Type.Optional(Type.String()),
    n: Type.Optional(Type.String()),
    e: Type.Optional(Type.String()),
    crv: Type.Optional(Type.String()),
    x: Type.Optional(Type.String()),
    y: Type.Optional(Type.String()),
    k: Type.Optional(Type.String()),
  },
  {
    ...strict,
    description:
      "A key as RFC 7517 and 7518 write it, without private members. Without `alg` it verifies the algorithms of its type and curve.",
  },
);
export type Jwk = Static<typeof Jwk>;

const Milliseconds = (description: string, minimum: number, maximum: number, default_: number) =>
  Type.Optional(Type.Integer({ minimum, maximum, default: default_, description }));

/** Keys that are fetched. */
export const RemoteJwks = Type.Object(
  {
    uri: Type.Optional(
      Type.String({ description: "Of the key set. Exactly one of uri and discovery is there." }),
    ),
    discovery: Type.Optional(
      Type.Object(
        {
          uri: Type.String({ description: "Of the OpenID Provider's configuration document." }),
          jwksHosts: Type.Optional(
            Type.Array(
              Type.Object(
                {
                  origin: Type.String({ description: "scheme://host:port" }),
                  cluster: Type.String({ description: "Envoy cluster that serves it." }),
                },
                strict,
              ),
              {
                description: "Origins that its jwks_uri may name beside the issuer's own.",
              },
            ),
          ),
        },
        { ...strict, description: "The document that names the key set." },
      ),
    ),
    cluster: Type.String({ minLength: 1, description: "Envoy cluster that serves it." }),
    timeoutMs: Milliseconds("How long one fetch may take.", 1, 300_000, 5_000),
    refreshMs: Milliseconds(
      "From one successful fetch to the next, if there is no max-age.",
      20,
      86_400_000,
      300_000,
    ),
    minRefreshMs: Milliseconds("Lower limit of max-age.", 20, 86_400_000, 30_000),
    maxRefreshMs: Milliseconds("Upper limit of max-age.", 20, 86_400_000, 3_600_000),
    staleMs: Milliseconds(
      "How long the last good keys stay in use without a good fetch.",
      0,
      2_592_000_000,
      86_400_000,
    ),
    backoffMs: Milliseconds("After the first failure; doubled after each further one.", 10, 3_600_000, 1_000),
    maxBackoffMs: Milliseconds("Upper limit of the back-off.", 10, 3_600_000, 60_000),
    kidMissMs: Milliseconds("The least time between two refetches for an unknown kid.", 10, 3_600_000, 2_000),
  },
  strict,
);
export type RemoteJwks = Static<typeof RemoteJwks>;

export const Provider = Type.Object(
  {
    name: Type.String({ minLength: 1, description: "`origins-N`, as istiod names it." }),
    policy: Type.Optional(Type.String({ description: "NAMESPACE/NAME of the RequestAuthentication." })),
    issuer: Type.Optional(Type.String({ minLength: 1, description: "Absent: `iss` is not checked." })),
    audiences: Type.Optional(Strings("Any of them; absent: `aud` is not checked.")),
    localJwks: Type.Optional(
      Type.Object(
        { keys: Type.Array(Jwk, { minItems: 1 }) },
        { ...strict, description: "Keys in the configuration." },
      ),
    ),
    remoteJwks: Type.Optional(RemoteJwks),
    fromHeaders: Type.Optional(
      Type.Array(
        Type.Object(
          {
            name: Type.String({ minLength: 1, description: "Lower-case." }),
            valuePrefix: Type.Optional(
              Type.String({
                minLength: 1,
                description: "Searched anywhere in the value; the token follows it.",
              }),
            ),
          },
          strict,
        ),
      ),
    ),
    fromParams: Type.Optional(
      Type.Array(Type.String({ minLength: 1 }), { description: "Query parameters." }),
    ),
    fromCookies: Type.Optional(Type.Array(Type.String({ minLength: 1 }), { description: "Cookies." })),
    forward: Type.Optional(Type.Boolean({ default: false, description: "Leave the token in the request." })),
    forwardPayloadHeader: Type.Optional(
      Type.String({ minLength: 1, description: "Lower-case. Gets the payload, base64url as received." }),
    ),
    claimToHeaders: Type.Optional(
      Type.Array(
        Type.Object(
          {
            headerName: Type.String({ minLength: 1, description: "Lower-case." }),
            claimName: Type.String({ minLength: 1, description: "Dots go down into objects." }),
          },
          strict,
        ),
      ),
    ),
    spaceDelimitedClaims: Type.Optional(
      Type.Array(Type.String(), {
        description:
          "Top-level string claims that policies see as a list. `scope` and `permission` always are.",
      }),
    ),
    presence: Type.Optional(
      Type.Union([Type.Literal("OPTIONAL"), Type.Literal("REQUIRED")], {
        default: "OPTIONAL",
        description: "REQUIRED: a request without a token of this provider is answered 401 `Jwt is missing`.",
      }),
    ),
    clockSkewSeconds: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 3600, default: 60, description: "Allowed on exp and nbf." }),
    ),
  },
  {
    ...strict,
    description:
      "One jwtRule. Exactly one of localJwks and remoteJwks. Places are explicit: the compiler writes the defaults (authorization with `Bearer `, parameter access_token).",
  },
);
export type Provider = Static<typeof Provider>;

const Limit = (description: string, minimum: number, maximum: number, default_: number) =>
  Type.Optional(Type.Integer({ minimum, maximum, default: default_, description }));

export const Limits = Type.Object(
  {
    maxTokenBytes: Limit("A longer token is answered 401 `Jwt is too large`.", 256, 65_536, 16_384),
    maxTokens: Limit("More tokens in one request are answered 401 `Too many Jwts in the request`.", 1, 64, 8),
    maxKeysTried: Limit("Keys tried for one token.", 1, 100, 16),
    maxJwksBytes: Limit("A larger fetched key set is refused.", 1_024, 4_194_304, 262_144),
    maxJwksKeys: Limit("A fetched key set with more keys is refused.", 1, 1_000, 100),
    maxWaitingRequests: Limit("Requests that wait for keys at one time, in one VM.", 0, 100_000, 2_000),
    maxWaitingKids: Limit(
      "Unknown kids of one key set that requests wait for at one time, in one VM.",
      1,
      1_000,
      64,
    ),
    maxResumedPerCallback: Limit(
      "Waiting requests that one callback resumes. The others follow, the oldest first, every 10 ms.",
      1,
      64,
      16,
    ),
    maxWaitMs: Limit("How long one request waits for keys.", 1, 60_000, 5_000),
    maxDecisionLogsPerSecond: Limit("Log lines for AUDIT, dry-run and shadow decisions.", 0, 1_000, 10),
  },
  strict,
);
export type Limits = Static<typeof Limits>;

export const TokenCache = Type.Object(
  {
    maxEntries: Limit("Verified tokens remembered in one VM; 0 turns the cache off.", 0, 1_000_000, 4_096),
    maxBytes: Limit(
      "Bytes of memory they may take. One that takes more than an eighth is not remembered.",
      0,
      268_435_456,
      4_194_304,
    ),
  },
  strict,
);
export type TokenCache = Static<typeof TokenCache>;

export const Contents = Type.Object(
  {
    providers: Type.Integer({ minimum: 0, description: "Number of `providers`." }),
    rules: Type.Integer({
      minimum: 0,
      description: "Number of rules in all rule sets of `authorization`, dry-run ones included.",
    }),
  },
  {
    ...strict,
    description:
      "How much the compiler wrote. It comes last, so that a configuration that was cut off lacks it, and the filter refuses one that lacks it, or that has other numbers of providers and rules: without one of its rules, it would let through what the whole refuses.",
  },
);
export type Contents = Static<typeof Contents>;

export const Configuration = Type.Object(
  {
    version: Type.Literal(CONFIGURATION_VERSION, {
      description: "Of the format. A filter refuses any other.",
    }),
    compiler: Type.Optional(Type.String({ description: "What wrote this, for people." })),
    shadow: Type.Optional(
      Type.Boolean({
        default: false,
        description: "Decide, count and log, but never answer or change a request.",
      }),
    ),
    filterState: Type.Optional(
      Type.Boolean({
        default: false,
        description:
          "Write filter state for access logs: wasm.jwtgate.principal (ISSUER/SUBJECT), wasm.jwtgate.policy (the rule that decided) and wasm.jwtgate.reason (`allowed`, or the refusal's body).",
      }),
    ),
    removeLookalikes: Type.Optional(
      Type.Boolean({
        default: false,
        description:
          "Remove from every request not only the headers that the filter writes, but also those that a backend may take for them: names that differ only in characters that are neither letters nor digits, as `X_User` from `x-user`, of which CGI, WSGI and PHP make one variable.",
      }),
    ),
    directRemoteAddress: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          "Filter state key that holds the direct peer's IP address, which is not an attribute in Wasm.",
      }),
    ),
    peerPrincipal: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          "Filter state key that holds the peer's principal, such as `io.istio.peer_principal` in a waypoint, where another listener has verified the peer. It is the only name that policies see of the peer; the certificate is not looked at. Without it, and with `-`, a request that a policy asks for its peer is answered 500.",
      }),
    ),
    providers: Type.Optional(
      Type.Array(Provider, { description: "In istiod's order; the first that succeeds wins." }),
    ),
    authorization: Type.Optional(Authorization),
    limits: Type.Optional(Limits),
    tokenCache: Type.Optional(TokenCache),
    contents: Contents,
  },
  {
    ...strict,
    // A configuration with neither has probably lost them.
    anyOf: [
      { required: ["providers"], properties: { providers: { minItems: 1 } } },
      { required: ["authorization"] },
    ],
    $id: "urn:jwtgate:configuration:1",
    title: "jwtgate filter configuration",
  },
);
/** The filter's configuration. */
export type Configuration = Static<typeof Configuration>;
