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
          description: "The path into the payload, one name for each level.",
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
      { ...strict, description: "Compares `:path` without query and fragment." },
    ),
    Type.Object(
      { host: StringMatch },
      { ...strict, description: "Compares `:authority`, without regard to ASCII case." },
    ),
    Type.Object({ method: StringMatch }, { ...strict, description: "Compares `:method`." }),
    Type.Object(
      {
        header: Type.String({ minLength: 1, description: "The name in lower case." }),
        match: Type.Union([StringMatch, Type.Object({ present: Type.Literal(true) }, strict)]),
      },
      { ...strict, description: "Any value of the header matches. Each value is compared separately." },
    ),
    Type.Object(
      { destinationPort: Type.Integer({ minimum: 0, maximum: 65535 }) },
      { ...strict, description: "The port of the listener." },
    ),
    Type.Object(
      { destinationIp: Type.String() },
      {
        ...strict,
        description: "A CIDR block that contains the listener's address. Host bits must be zero.",
      },
    ),
    Type.Object(
      {
        sourceIp: Type.String({
          description: "A CIDR block that contains the direct peer's address. Needs `directRemoteAddress`.",
        }),
      },
      strict,
    ),
    Type.Object(
      {
        remoteIp: Type.String({
          description: "A CIDR block that contains the client's address, as the listener determines it.",
        }),
      },
      strict,
    ),
    Type.Object(
      { sni: StringMatch },
      { ...strict, description: "Compares the TLS server name that the client asked for." },
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
          "Any name of the peer certificate consists of the pieces in order, with any text (without a newline) between them. The first piece is at the start, the last at the end.",
      },
    ),
    Type.Object(
      {
        trustDomain: Type.Array(Type.String(), {
          minItems: 2,
          maxItems: 2,
          description: "The beginning and the end of the trust domain.",
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
          "Predicates of which at least one is true whenever the condition is true. The filter indexes the rule by them. It looks predicates up by a request's values, so predicates that do not hold cost nothing. The filter proves the implication on load.",
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
        description: "The enforced rules. Absent: no rule is enforced. Empty: no request matches.",
      }),
    ),
    shadowRules: Type.Optional(
      Type.Array(Rule, { description: "The dry-run rules: matches are counted and logged only." }),
    ),
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
    description: "The rule sets, evaluated in the order AUDIT, DENY, ALLOW. At least one is required.",
  },
);
export type Authorization = Static<typeof Authorization>;

/** A JSON Web Key as the filter reads it: public members, or `k`. Unknown members are refused by the compiler, not here. */
export const Jwk = Type.Object(
  {
    kty: Type.Union([
      Type.Literal("RSA"),
      Type.Literal("EC"),
      Type.Literal("oct"),
      Type.Literal("OKP"),
      Type.Literal("AKP"),
    ]),
    kid: Type.Optional(Type.String()),
    alg: Type.Optional(Type.String()),
    n: Type.Optional(Type.String()),
    e: Type.Optional(Type.String()),
    crv: Type.Optional(Type.String()),
    x: Type.Optional(Type.String()),
    y: Type.Optional(Type.String()),
    k: Type.Optional(Type.String()),
    pub: Type.Optional(Type.String()),
  },
  {
    ...strict,
    description:
      "A key as in RFC 7517, 7518, 8037 and 9964, without private members. Without `alg` it verifies the algorithms of its type and curve; AKP needs one.",
  },
);
export type Jwk = Static<typeof Jwk>;

const Milliseconds = (description: string, minimum: number, maximum: number, default_: number) =>
  Type.Optional(Type.Integer({ minimum, maximum, default: default_, description }));

/** Keys that are fetched. */
export const RemoteJwks = Type.Object(
  {
    uri: Type.Optional(
      Type.String({ description: "URI of the key set. Exactly one of uri and discovery is required." }),
    ),
    discovery: Type.Optional(
      Type.Object(
        {
          uri: Type.String({ description: "URI of the OpenID Provider's configuration document." }),
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
                description: "Origins that its jwks_uri may have, in addition to the issuer's own.",
              },
            ),
          ),
        },
        { ...strict, description: "The document that names the key set." },
      ),
    ),
    cluster: Type.String({ minLength: 1, description: "Envoy cluster that serves it." }),
    timeoutMs: Milliseconds("The time limit of one fetch.", 1, 300_000, 5_000),
    refreshMs: Milliseconds(
      "The time from one successful fetch to the next, if there is no max-age.",
      20,
      86_400_000,
      300_000,
    ),
    minRefreshMs: Milliseconds("The lower limit of max-age.", 20, 86_400_000, 30_000),
    maxRefreshMs: Milliseconds("The upper limit of max-age.", 20, 86_400_000, 3_600_000),
    staleMs: Milliseconds(
      "How long the last good keys stay in use without a successful fetch.",
      0,
      2_592_000_000,
      86_400_000,
    ),
    backoffMs: Milliseconds(
      "The wait after the first failure. It doubles after each further one.",
      10,
      3_600_000,
      1_000,
    ),
    maxBackoffMs: Milliseconds("The upper limit of that wait.", 10, 3_600_000, 60_000),
    kidMissMs: Milliseconds(
      "The minimum time between two refetches for an unknown kid.",
      10,
      3_600_000,
      2_000,
    ),
  },
  strict,
);
export type RemoteJwks = Static<typeof RemoteJwks>;

/** A media type (RFC 6838 section 4.2) as the filter compares it: in lower case, without `application/`. */
export const TOKEN_TYPE = /^(?!application\/)[a-z0-9!#$&^_.+-]+(\/[a-z0-9!#$&^_.+-]+)?$/;

/** The largest limit of a token's lifetime: about 136 years. */
export const MAX_LIFETIME_SECONDS = 4_294_967_295;

/** The longest clock skew that can be allowed, and the one that is if none is set. */
export const MAX_CLOCK_SKEW_SECONDS = 3_600;
export const DEFAULT_CLOCK_SKEW_SECONDS = 60;

export const Provider = Type.Object(
  {
    name: Type.String({ minLength: 1, description: "`origins-N`, as istiod names it." }),
    policy: Type.Optional(Type.String({ description: "NAMESPACE/NAME of the RequestAuthentication." })),
    issuer: Type.Optional(
      Type.String({ minLength: 1, description: "The required `iss`. Absent: `iss` is not checked." }),
    ),
    audiences: Type.Optional(Strings("The accepted audiences. Absent: `aud` is not checked.")),
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
            name: Type.String({ minLength: 1, description: "The name in lower case." }),
            valuePrefix: Type.Optional(
              Type.String({
                minLength: 1,
                description: "The text before the token, anywhere in the value.",
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
    forward: Type.Optional(
      Type.Boolean({ default: false, description: "Whether the token stays in the request." }),
    ),
    forwardPayloadHeader: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          "The header that receives the payload, base64url as in the token. The name is in lower case.",
      }),
    ),
    claimToHeaders: Type.Optional(
      Type.Array(
        Type.Object(
          {
            headerName: Type.String({ minLength: 1, description: "The name in lower case." }),
            claimName: Type.String({
              minLength: 1,
              description: "The claim's name. A dot selects a member of an object.",
            }),
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
      Type.Integer({
        minimum: 0,
        maximum: MAX_CLOCK_SKEW_SECONDS,
        default: DEFAULT_CLOCK_SKEW_SECONDS,
        description: "The clock skew that is allowed for exp, nbf and iat.",
      }),
    ),
    tokenTypes: Type.Optional(
      Type.Array(Type.String({ pattern: TOKEN_TYPE.source }), {
        minItems: 1,
        description:
          "The accepted values of the header's `typ`, as media types in lower case without `application/`. Absent: `typ` is not checked.",
      }),
    ),
    requireTokenType: Type.Optional(
      Type.Boolean({
        default: false,
        description: "Whether a token without `typ` is refused. Needs `tokenTypes`.",
      }),
    ),
    requiredClaims: Type.Optional(
      Strings("Claims that every token must have at the top level, with a value other than null."),
    ),
    maxLifetimeSeconds: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: MAX_LIFETIME_SECONDS,
        default: 0,
        description:
          "The longest time from iat to exp. Both claims are then required. An iat in the future counts as now. 0: any.",
      }),
    ),
  },
  {
    ...strict,
    description:
      "One jwtRule. Exactly one of localJwks and remoteJwks is required. Locations are explicit: the compiler writes the defaults (authorization with `Bearer `, parameter access_token).",
  },
);
export type Provider = Static<typeof Provider>;

const Limit = (description: string, minimum: number, maximum: number, default_: number) =>
  Type.Optional(Type.Integer({ minimum, maximum, default: default_, description }));

export const Limits = Type.Object(
  {
    maxTokenBytes: Limit("A longer token is answered 401 `Jwt is too large`.", 256, 65_536, 16_384),
    maxTokens: Limit("More tokens in one request are answered 401 `Too many Jwts in the request`.", 1, 64, 8),
    maxKeysTried: Limit("The number of keys that are tried for one token.", 1, 100, 16),
    maxJwksBytes: Limit("A larger fetched key set is refused.", 1_024, 4_194_304, 524_288),
    maxJwksKeys: Limit("A fetched key set with more keys is refused.", 1, 1_000, 100),
    maxWaitingRequests: Limit(
      "The number of requests that can wait for keys at one time, in one VM.",
      0,
      100_000,
      2_000,
    ),
    maxWaitingKids: Limit(
      "The number of unknown kids of one key set that requests can wait for at one time, in one VM.",
      1,
      1_000,
      64,
    ),
    maxResumedPerCallback: Limit(
      "The number of waiting requests that one callback resumes. The others follow every 10 ms, the oldest first.",
      1,
      64,
      16,
    ),
    maxWaitMs: Limit("The time limit for one request that waits for keys.", 1, 60_000, 5_000),
    maxDecisionLogsPerSecond: Limit(
      "The number of log lines for AUDIT, dry-run and shadow decisions.",
      0,
      1_000,
      10,
    ),
  },
  strict,
);
export type Limits = Static<typeof Limits>;

export const TokenCache = Type.Object(
  {
    maxEntries: Limit(
      "The number of verified tokens that one VM remembers. 0 turns the cache off.",
      0,
      1_000_000,
      4_096,
    ),
    maxBytes: Limit(
      "The memory for these tokens, in bytes. A token that takes more than an eighth of it is not remembered.",
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
    providers: Type.Integer({ minimum: 0, description: "The number of `providers`." }),
    rules: Type.Integer({
      minimum: 0,
      description: "The number of rules in all rule sets of `authorization`, dry-run ones included.",
    }),
  },
  {
    ...strict,
    description:
      "How many providers and rules the compiler wrote. This member is the last one, so a configuration that was cut off lacks it. The filter refuses a configuration that lacks it or has other numbers, because a configuration that lost a rule could let through requests that the complete one refuses.",
  },
);
export type Contents = Static<typeof Contents>;

export const Configuration = Type.Object(
  {
    version: Type.Literal(CONFIGURATION_VERSION, {
      description: "The version of the format. A filter refuses any other.",
    }),
    compiler: Type.Optional(
      Type.String({ description: "The program that wrote the configuration, for people." }),
    ),
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
          "Remove from every request not only the headers that the filter writes, but also those that a backend may confuse with them: names that differ only in characters that are neither letters nor digits. For example, CGI, WSGI and PHP make one variable of `X_User` and `x-user`.",
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
          "Filter state key that holds the peer's principal, such as `io.istio.peer_principal` in a waypoint, where another listener has verified the peer. It is the only name of the peer that policies see; the filter does not read the certificate. If the value is missing or `-`, a request to which a policy about peers applies is answered 500.",
      }),
    ),
    providers: Type.Optional(
      Type.Array(Provider, {
        description: "The providers in istiod's order. The first that succeeds decides.",
      }),
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
