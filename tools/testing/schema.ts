/**
 * The form of a file of policy tests: one source for its TypeScript type, its JSON Schema (schema/test.schema.json) and the
 * reader that checks files against it (read.ts).
 */
import type { Static } from "@sinclair/typebox";
// Imported by name, so that a bundle contains only the functions that are used.
import * as Type from "@sinclair/typebox";
import { ALGORITHM_NAMES, DEFAULT_ALGORITHM } from "../jwks/algorithms.ts";
import { SPOILS, type Spoil as SpoilName } from "./spoils.ts";

const strict = { additionalProperties: false } as const;

const Names = (description: string) => Type.Array(Type.String({ minLength: 1 }), { description });

export const Algorithm = Type.Union(
  ALGORITHM_NAMES.map((name) => Type.Literal(name)),
  { default: DEFAULT_ALGORITHM, description: "The signature algorithm of a key." },
);

export const Key = Type.Object(
  {
    alg: Type.Optional(Algorithm),
    kid: Type.Optional(
      Type.String({ description: "The `kid` of its JWK and its tokens; the key's name if absent." }),
    ),
    issuer: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          "The `iss` of its tokens. In the policies, rules of this issuer trust this key instead of their own.",
      }),
    ),
    jwksUri: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          "A jwksUri of the policies. A fetch of it returns this key, and the others with the same URI.",
      }),
    ),
    jwk: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), {
        description:
          "The private key, or the HMAC secret, as a JWK. If this and `file` are absent, each run generates a new key.",
      }),
    ),
    file: Type.Optional(
      Type.String({
        minLength: 1,
        description: "The private key in a file: PEM, or a JWK. Relative to the test file.",
      }),
    ),
    jwks: Type.Optional(
      Type.String({
        description: "A complete key set as text, which is trusted or served instead. It cannot sign tokens.",
      }),
    ),
  },
  {
    ...strict,
    description:
      "A key that signs tokens, and where it is trusted. Generated if it has neither `jwk` nor `file`.",
  },
);
export type Key = Static<typeof Key>;

const Claims = (description: string) => Type.Record(Type.String(), Type.Unknown(), { description });
const Without = Type.Optional(Names("Claims and header members to leave out, such as iss, exp or kid."));

const AT = "now+1h, now-30m, 2026-01-31T12:00:00Z or seconds since 1970";

export const Spoil = Type.Union(
  (Object.keys(SPOILS) as SpoilName[]).map((name) => Type.Literal(name, { description: SPOILS[name] })),
  { description: "A way to make a token invalid, as an attacker or an accident would." },
);

export const ChangedToken = Type.Object(
  {
    from: Type.String({ minLength: 1, description: "Name of the token." }),
    spoil: Type.Optional(Spoil),
    claims: Type.Optional(Claims("Claims to add or replace.")),
    header: Type.Optional(Claims("Members of the header to add or replace.")),
    without: Without,
    signature: Type.Optional(
      Type.Union([Type.Literal("keep"), Type.Literal("flip"), Type.Literal("empty")], {
        default: "keep",
        description: "`flip` changes one bit of it.",
      }),
    ),
    append: Type.Optional(Type.String({ description: "Text to add after the token." })),
  },
  { ...strict, description: "Another token, changed after it was signed." },
);
export type ChangedToken = Static<typeof ChangedToken>;

export const MintedToken = Type.Object(
  {
    key: Type.String({ minLength: 1, description: "Name of the key that signs it." }),
    claims: Type.Optional(
      Claims(
        "Claims of the payload. `iss` is the key's issuer unless it is set here; the times are set below.",
      ),
    ),
    header: Type.Optional(
      Claims("Members of the header, in addition to `alg`, `kid` and `typ` or instead of them."),
    ),
    alg: Type.Optional(
      Type.String({
        description:
          "The key's algorithm if absent. `none` leaves the signature empty. An HS… algorithm with a public key uses the key's PEM as the secret, as attackers do.",
      }),
    ),
    kid: Type.Optional(Type.String({ description: "The key's `kid` if absent." })),
    expires: Type.Optional(Type.String({ default: "now+1h", description: `\`exp\`: ${AT}.` })),
    notBefore: Type.Optional(Type.String({ description: "`nbf`, in the same forms as `expires`." })),
    issuedAt: Type.Optional(Type.String({ description: "`iat`, in the same forms as `expires`." })),
    without: Without,
  },
  { ...strict, description: "A token that is made and signed when the tests run." },
);
export type MintedToken = Static<typeof MintedToken>;

export const Token = Type.Union([
  Type.String({ description: "The token itself, good or bad." }),
  ChangedToken,
  MintedToken,
]);
export type Token = Static<typeof Token>;

export const Placement = Type.Union([
  Type.String({ minLength: 1, description: "Name of the token; it goes after `Authorization: Bearer `." }),
  Type.Object(
    {
      name: Type.String({ minLength: 1, description: "The token's name." }),
      header: Type.Optional(Type.String({ minLength: 1, description: "The header's name." })),
      prefix: Type.Optional(Type.String({ description: "The text before the token in the header." })),
      param: Type.Optional(Type.String({ minLength: 1, description: "The query parameter's name." })),
      cookie: Type.Optional(Type.String({ minLength: 1, description: "The cookie's name." })),
    },
    { ...strict, description: "A token at another location." },
  ),
]);
export type Placement = Static<typeof Placement>;

const HeaderValue = Type.Union([Type.String(), Type.Array(Type.String())]);

export const Request = Type.Object(
  {
    method: Type.Optional(Type.String({ minLength: 1, default: "GET", description: "In capital letters." })),
    path: Type.Optional(Type.String({ minLength: 1, default: "/", description: "With its query." })),
    host: Type.Optional(Type.String({ default: "localhost", description: "The Host header." })),
    headers: Type.Optional(
      Type.Record(Type.String(), HeaderValue, { description: "A list sends the header several times." }),
    ),
    token: Type.Optional(Type.Union([Placement, Type.Array(Placement)], { description: "One, or several." })),
    peer: Type.Optional(Type.String({ default: "127.0.0.1", description: "IP address of the client." })),
    tls: Type.Optional(
      Type.Object(
        {
          sni: Type.Optional(Type.String({ description: "The server name that the client asks for." })),
          client: Type.Optional(
            Type.Array(Type.String(), {
              description: "URIs of the client's certificate, such as spiffe://cluster.local/ns/foo/sa/bar.",
            }),
          ),
        },
        { ...strict, description: "The connection is TLS." },
      ),
    ),
    body: Type.Optional(Type.String({ description: "Sent with its length." })),
  },
  { ...strict, description: "What the client sends." },
);
export type Request = Static<typeof Request>;

const ExpectedHeaders = (description: string) =>
  Type.Optional(
    Type.Record(Type.String(), Type.Union([Type.String(), Type.Array(Type.String()), Type.Null()]), {
      description: `${description} null: absent.`,
    }),
  );

export const Expectation = Type.Object(
  {
    status: Type.Optional(
      Type.Integer({
        minimum: 100,
        maximum: 599,
        description: "200 if the request reaches the upstream, 101 if it asks for a WebSocket.",
      }),
    ),
    body: Type.Optional(Type.String({ description: "The exact body of a refusal." })),
    headers: ExpectedHeaders("Headers of the answer if it is a refusal."),
    upstream: Type.Optional(
      Type.Object(
        {
          method: Type.Optional(Type.String({ description: "The exact method." })),
          path: Type.Optional(Type.String({ description: "The exact path, with its query." })),
          headers: ExpectedHeaders("Headers that the upstream receives."),
        },
        {
          ...strict,
          description:
            "The request that the upstream receives. A test with this fails if the request is refused.",
        },
      ),
    ),
    rule: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          "The rule that decided: NAMESPACE/POLICY, NAMESPACE/POLICY[INDEX], the id that the filter uses, or `none`.",
      }),
    ),
    details: Type.Optional(Type.String({ description: "Envoy's exact response-code details." })),
  },
  { ...strict, description: "The expected result. Only the given fields are checked." },
);
export type Expectation = Static<typeof Expectation>;

const At = Type.Optional(
  Type.String({
    description: `The time of the request: ${AT}, relative to the file's time. Absent: the file's time. The times in tokens do not change.`,
  }),
);
const FormerNow = Type.Optional(Type.String({ description: "The former name of `at`." }));
const Skip = Type.Optional(
  Type.Union([Type.Boolean({ description: "Whether to skip it." }), Type.String({ minLength: 1 })], {
    description: "Skips this test: true, or the reason.",
  }),
);
const Only = Type.Optional(
  Type.Boolean({
    description: "Runs only the tests and tables of this file that have this. An error if `CI` is set.",
  }),
);

const Expected = Type.Union([
  Type.Integer({ minimum: 100, maximum: 599, description: "Only the status." }),
  Expectation,
]);

export const Case = Type.Object(
  {
    name: Type.String({ minLength: 1, description: "The expected behaviour, as the test's name." }),
    request: Type.Optional(Request),
    expect: Expected,
    at: At,
    skip: Skip,
    only: Only,
    now: FormerNow,
  },
  { ...strict, description: "One request, and its expected result." },
);
export type Case = Static<typeof Case>;

export const Table = Type.Object(
  {
    name: Type.String({ minLength: 1, description: "What the table shows." }),
    tokens: Type.Optional(
      Type.Array(Placement, {
        minItems: 1,
        description:
          "The columns: names of tokens, or tokens at other locations; `none` is not a token. Absent: one column without a token.",
      }),
    ),
    request: Type.Optional(
      Type.Omit(Request, ["method", "path", "token"], {
        description: "The fields that all requests of the table share, except method, path and token.",
      }),
    ),
    expect: Type.Record(Type.String(), Type.Array(Expected), {
      description:
        "The rows. A name is `PATH`, `METHOD PATH`, or several of both, `GET,POST /a /b`; without a method, it is GET. A value is a list with the expected result for each column: a status, or an object.",
    }),
    at: At,
    skip: Skip,
    only: Only,
  },
  {
    ...strict,
    description: "Many requests in a few lines: a row for each method and path, a column for each token.",
  },
);
export type Table = Static<typeof Table>;

export const Property = Type.Object(
  {
    name: Type.String({ minLength: 1, description: "The property, in words." }),
    rules: Type.Array(Type.Record(Type.String(), Type.Unknown()), {
      minItems: 1,
      description:
        "The requests that the property is about: rules as in an AuthorizationPolicy, with `from`, `to` and `when`. At least one of them must match.",
    }),
    are: Type.Union([Type.Literal("refused"), Type.Literal("allowed")], {
      description: "The expected decision about every such request.",
    }),
    tokens: Type.Optional(
      Type.Array(
        Type.Union([
          Type.Literal("none", { description: "No token, or a CORS preflight." }),
          Type.Literal("valid", { description: "A token that a provider accepts." }),
          Type.Literal("bad", { description: "A token that the filter refuses." }),
        ]),
        { minItems: 1, description: "The tokens that such a request may have. Absent: any of them." },
      ),
    ),
    skip: Skip,
  },
  { ...strict, description: "A statement about all requests that its rules match. It is proven or refuted." },
);
export type Property = Static<typeof Property>;

export const TestFile = Type.Object(
  {
    policies: Type.Array(
      Type.Union([
        Type.String({ minLength: 1, description: "A file or folder, relative to the test file." }),
        Type.Record(Type.String(), Type.Unknown(), { description: "A resource, written out here." }),
      ]),
      {
        minItems: 1,
        description:
          "Files and folders, relative to the test file, and resources written out here. All apply together.",
      },
    ),
    workload: Type.Optional(
      Type.Object(
        {
          namespace: Type.Optional(
            Type.String({
              minLength: 1,
              description: "Its namespace. Resources without a namespace are in it too.",
            }),
          ),
          labels: Type.Optional(
            Type.Record(Type.String(), Type.String(), { description: "All its labels." }),
          ),
          gateway: Type.Optional(
            Type.String({ minLength: 1, description: "The Gateway that it belongs to." }),
          ),
          rootNamespace: Type.Optional(
            Type.String({
              minLength: 1,
              default: "istio-system",
              description: "Where policies for all namespaces are.",
            }),
          ),
        },
        {
          ...strict,
          description: "The workload whose policies apply, as with `compile`. Absent: all policies apply.",
        },
      ),
    ),
    listener: Type.Optional(
      Type.Object(
        {
          mode: Type.Optional(
            Type.Union([Type.Literal("gateway"), Type.Literal("sidecar")], {
              default: "gateway",
              description: "At the edge, or behind a proxy whose X-Forwarded-For is trusted.",
            }),
          ),
          pathNormalization: Type.Optional(
            Type.Union(
              [
                Type.Literal("BASE"),
                Type.Literal("NONE"),
                Type.Literal("MERGE_SLASHES"),
                Type.Literal("DECODE_AND_MERGE_SLASHES"),
              ],
              { default: "BASE", description: "As in Istio's mesh config." },
            ),
          ),
          address: Type.Optional(Type.String({ default: "127.0.0.1:8080", description: "IP:PORT." })),
        },
        { ...strict, description: "Where the requests arrive." },
      ),
    ),
    at: Type.Optional(Type.String({ description: `The time of the tests: ${AT}. Absent: now.` })),
    now: FormerNow,
    keys: Type.Optional(
      Type.Record(Type.String(), Key, { description: "Keys by name. Tokens refer to the names." }),
    ),
    tokens: Type.Optional(
      Type.Record(Type.String(), Token, { description: "Tokens by name. Requests refer to the names." }),
    ),
    tests: Type.Optional(
      Type.Array(Case, { description: "The tests, run in this order and independent of each other." }),
    ),
    tables: Type.Optional(Type.Array(Table, { description: "The tables, run after the tests." })),
    properties: Type.Optional(
      Type.Array(Property, {
        description: "The properties, proven after the tables. `jwtgate prove` runs only these.",
      }),
    ),
  },
  { ...strict, $id: "urn:jwtgate:test:1", title: "jwtgate policy tests" },
);
export type TestFile = Static<typeof TestFile>;
