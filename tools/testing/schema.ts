/**
 * The form of a file of policy tests: one source for its TypeScript type, its JSON Schema (schema/test.schema.json) and the
 * reader that checks files against it (read.ts).
 */
import type { Static } from "@sinclair/typebox";
// By name, so that a bundle has only the functions that are used.
import * as Type from "@sinclair/typebox";
import { ALGORITHM_NAMES, DEFAULT_ALGORITHM } from "../jwks/algorithms.ts";
import { SPOILS, type Spoil as SpoilName } from "./spoils.ts";

const strict = { additionalProperties: false } as const;

const Names = (description: string) => Type.Array(Type.String({ minLength: 1 }), { description });

export const Algorithm = Type.Union(
  ALGORITHM_NAMES.map((name) => Type.Literal(name)),
  { default: DEFAULT_ALGORITHM, description: "Of a key and the signatures that it makes." },
);

export const Key = Type.Object(
  {
    alg: Type.Optional(Algorithm),
    kid: Type.Optional(Type.String({ description: "Of its JWK and its tokens; its name if absent." })),
    issuer: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          "The `iss` of its tokens. In the policies, rules of this issuer trust this key in the place of their own.",
      }),
    ),
    jwksUri: Type.Optional(
      Type.String({
        minLength: 1,
        description: "A jwksUri of the policies: there the key is served, with others of the same URI.",
      }),
    ),
    jwk: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), {
        description:
          "The private key, or the HMAC secret, as a JWK. Absent, with `file`: it is made anew each time.",
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
        description: "A whole key set, as text, that is trusted or served instead. It signs no token.",
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
const Without = Type.Optional(
  Names("Claims and header members that are left out, such as iss, exp or kid, though they would be there."),
);

const AT = "now+1h, now-30m, 2026-01-31T12:00:00Z or seconds since 1970";

export const Spoil = Type.Union(
  (Object.keys(SPOILS) as SpoilName[]).map((name) => Type.Literal(name, { description: SPOILS[name] })),
  { description: "A way to spoil a token, as an attacker or an accident would." },
);

export const ChangedToken = Type.Object(
  {
    from: Type.String({ minLength: 1, description: "Name of the token." }),
    spoil: Type.Optional(Spoil),
    claims: Type.Optional(Claims("Claims that are put in, or changed.")),
    header: Type.Optional(Claims("Members of the header that are put in, or changed.")),
    without: Without,
    signature: Type.Optional(
      Type.Union([Type.Literal("keep"), Type.Literal("flip"), Type.Literal("empty")], {
        default: "keep",
        description: "`flip` changes one bit of it.",
      }),
    ),
    append: Type.Optional(Type.String({ description: "Text put after the token." })),
  },
  { ...strict, description: "Another token, changed after it was signed." },
);
export type ChangedToken = Static<typeof ChangedToken>;

export const MintedToken = Type.Object(
  {
    key: Type.String({ minLength: 1, description: "Name of the key that signs it." }),
    claims: Type.Optional(
      Claims("The payload, beside `iss`, which is the key's issuer, and the times below."),
    ),
    header: Type.Optional(Claims("Members of the header beside `alg`, `kid` and `typ`, or in their place.")),
    alg: Type.Optional(
      Type.String({
        description:
          "That of the key if absent. `none` leaves the signature empty; an HS… with a public key takes its PEM for the secret, as attackers do.",
      }),
    ),
    kid: Type.Optional(Type.String({ description: "That of the key if absent." })),
    expires: Type.Optional(Type.String({ default: "now+1h", description: `\`exp\`: ${AT}.` })),
    notBefore: Type.Optional(Type.String({ description: "`nbf`, in the same forms." })),
    issuedAt: Type.Optional(Type.String({ description: "`iat`, in the same forms." })),
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
      name: Type.String({ minLength: 1, description: "Of the token." }),
      header: Type.Optional(Type.String({ minLength: 1, description: "The header's name." })),
      prefix: Type.Optional(Type.String({ description: "Before the token in the header." })),
      param: Type.Optional(Type.String({ minLength: 1, description: "The query parameter's name." })),
      cookie: Type.Optional(Type.String({ minLength: 1, description: "The cookie's name." })),
    },
    { ...strict, description: "A token at a place of its own." },
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
    peer: Type.Optional(Type.String({ default: "127.0.0.1", description: "IP address of who connects." })),
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
    body: Type.Optional(Type.String({ description: "Of a refusal, exactly." })),
    headers: ExpectedHeaders("Of the answer, where it is a refusal."),
    upstream: Type.Optional(
      Type.Object(
        {
          method: Type.Optional(Type.String({ description: "Exactly." })),
          path: Type.Optional(Type.String({ description: "With its query, exactly." })),
          headers: ExpectedHeaders("That the upstream gets."),
        },
        {
          ...strict,
          description: "What the upstream gets; a test with this fails if the request is refused.",
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
    details: Type.Optional(Type.String({ description: "Envoy's response-code details, exactly." })),
  },
  { ...strict, description: "The expected result. Anything not named is not checked." },
);
export type Expectation = Static<typeof Expectation>;

const At = Type.Optional(
  Type.String({
    description: `When this happens: ${AT}, relative to the file's time. Absent: the file's time. Tokens do not change.`,
  }),
);
const FormerNow = Type.Optional(Type.String({ description: "The former name of `at`." }));
const Skip = Type.Optional(
  Type.Union([Type.Boolean({ description: "Whether it is left out." }), Type.String({ minLength: 1 })], {
    description: "It is not run: true, or the reason.",
  }),
);
const Only = Type.Optional(
  Type.Boolean({
    description: "Of this file, only tests and tables with this are run. Refused if `CI` is set.",
  }),
);

const Expected = Type.Union([
  Type.Integer({ minimum: 100, maximum: 599, description: "Only the status." }),
  Expectation,
]);

export const Case = Type.Object(
  {
    name: Type.String({ minLength: 1, description: "What must be so." }),
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
          "The columns: names of tokens, or tokens at a place of their own; `none` is not a token. Absent: one column without a token.",
      }),
    ),
    request: Type.Optional(
      Type.Omit(Request, ["method", "path", "token"], {
        description: "What all requests of the table have beside method, path and token.",
      }),
    ),
    expect: Type.Record(Type.String(), Type.Array(Expected), {
      description:
        "The rows. A name is `PATH`, `METHOD PATH`, or several of both, `GET,POST /a /b`; absent, the method is GET. A value is a list with what is expected for each column: a status, or more.",
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
    name: Type.String({ minLength: 1, description: "What must be so." }),
    rules: Type.Array(Type.Record(Type.String(), Type.Unknown()), {
      minItems: 1,
      description:
        "The requests that it is about: rules as in an AuthorizationPolicy, with `from`, `to` and `when`. A request that one of them matches counts.",
    }),
    are: Type.Union([Type.Literal("refused"), Type.Literal("allowed")], {
      description: "What must happen to every such request.",
    }),
    tokens: Type.Optional(
      Type.Array(
        Type.Union([
          Type.Literal("none", { description: "No token, or a CORS preflight." }),
          Type.Literal("valid", { description: "A token that a provider accepts." }),
          Type.Literal("bad", { description: "A token that is refused, which is an answer of its own." }),
        ]),
        { minItems: 1, description: "What may come along with a request. Absent: any of them." },
      ),
    ),
    skip: Skip,
  },
  { ...strict, description: "Something that is true of every request, which is proven or refuted." },
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
              description: "Its namespace; also that of resources that name none.",
            }),
          ),
          labels: Type.Optional(
            Type.Record(Type.String(), Type.String(), { description: "All its labels." }),
          ),
          gateway: Type.Optional(
            Type.String({ minLength: 1, description: "The Gateway that it is an instance of." }),
          ),
          rootNamespace: Type.Optional(
            Type.String({
              minLength: 1,
              default: "istio-system",
              description: "Where policies for all namespaces are.",
            }),
          ),
        },
        { ...strict, description: "Whose policies apply, as with `compile`; absent: all." },
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
    at: Type.Optional(Type.String({ description: `When the tests happen: ${AT}. Absent: now.` })),
    now: FormerNow,
    keys: Type.Optional(Type.Record(Type.String(), Key, { description: "By names that tokens use." })),
    tokens: Type.Optional(Type.Record(Type.String(), Token, { description: "By names that requests use." })),
    tests: Type.Optional(Type.Array(Case, { description: "In their order, each for itself." })),
    tables: Type.Optional(Type.Array(Table, { description: "After the tests." })),
    properties: Type.Optional(
      Type.Array(Property, { description: "After the tables; alone with `jwtgate prove`." }),
    ),
  },
  { ...strict, $id: "urn:jwtgate:test:1", title: "jwtgate policy tests" },
);
export type TestFile = Static<typeof TestFile>;
