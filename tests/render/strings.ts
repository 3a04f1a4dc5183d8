/** Strings that some YAML reader takes for another type, and what the tool renders for them. */
import fc from "fast-check";
import type { Configuration, Predicate, Provider, StringMatch } from "../../tools/config/schema.ts";
import type { Selection } from "../../tools/istio/selection.ts";
import { bootstrapCluster } from "../../tools/jwks/source.ts";
import { type BootstrapOptions, printBootstrap, renderBootstrap } from "../../tools/render/bootstrap.ts";
import { printEcds, renderEcds } from "../../tools/render/ecds.ts";
import {
  gatewayReasons,
  renderEnvoyExtensionPolicy,
  renderGatewayKeyServers,
} from "../../tools/render/envoygateway.ts";
import { higressReasons, renderHigressPlugin } from "../../tools/render/higress.ts";
import { renderKeyServers } from "../../tools/render/key-servers.ts";
import { printResources } from "../../tools/render/resources.ts";
import { reasonsFor, renderTrafficExtension, renderWasmPlugin } from "../../tools/render/wasmplugin.ts";
import { type Answers, makeResources, renderResources } from "../../tools/wizard/resources.ts";
import { whole } from "../support/configuration.ts";

/** What YAML 1.1, YAML 1.2, a reader's own rules or a program that uses it take for something else than a string, or for the end of one. */
export const TRICKY_WORDS: readonly string[] = [
  // Booleans and null.
  ..."y Y yes Yes YES yEs n N no No NO nO on On ON off Off OFF true True TRUE tRue false False FALSE".split(
    " ",
  ),
  ..."~ null Null NULL nil none undefined".split(" "),
  // Numbers, with base 60, and times.
  ..."0 -0 +1 007 0o17 0O17 0x1f 0X1F 0b1 1_0 1,000 1:30 190:20:30 1:30.5 .5 5. 1e3 1E+3 1e 0x 0x1p3 1_ _1".split(
    " ",
  ),
  ..."685_230.15 .inf -.inf +.INF .nan .NaN inf Infinity -inf nan NaN".split(" "),
  ..."2026-01-01 2026-1-1 2026-01-01T00:00:00Z 12:30:45 00:00".split(" "),
  "2001-12-14 21:59:43.10 -5",
  // Marks.
  ..."= << - -- --- ... ? : , [ ] { } # & * ! | > ' \" % @ ` \\ <".split(" "),
  ...[
    "? ",
    ": ",
    "- ",
    "# ",
    "a: b",
    "a:",
    ":a",
    "a #b",
    "a# b",
    "-a",
    "?a",
    "!!str x",
    "!a",
    "&a b",
    "*a",
    "%YAML 1.1",
  ],
  ...[
    "a, b",
    "[a]",
    "{a: b}",
    "{{ .Values.x }}",
    "${HOME}",
    "$(id)",
    "%START_TIME%",
    "'a'",
    '"a"',
    "a'b",
    'a"b',
  ],
  ...["|", "|-", ">+", "a\\", "\\n", "\\u2028", "\\", '\\"', "\\x85", "\\N", "\\/"],
  // Blanks and line ends.
  ...[
    "",
    " ",
    "  ",
    "\t",
    "a ",
    " a",
    "a\t",
    "\ta",
    "a\tb",
    "a  b",
    "\n",
    "\r",
    "\r\n",
    "a\n",
    "\na",
    "a\n\n",
    "\n\n",
  ],
  ...[
    "a\nb",
    "a\r\nb",
    "a\rb",
    "a \nb",
    " a\nb",
    "a\n b",
    "a\n\tb",
    "a\n\nb",
    "a\nb\n",
    "a\nb\n\n",
    "a\n#b",
    "a\n---\nb",
  ],
  ...[
    "x\u2028---\u2028y",
    "x\u0085---\u0085y",
    "x\u2029...\u2029y",
    "x\u000by",
    "x\u000cy",
    "x\u0085  url: z",
  ],
  ...["x\u2028    url: oci://evil\u2028    failStrategy: FAIL_OPEN\u2028", "a\n  failStrategy: FAIL_OPEN\n"],
  // Control characters, and invisible ones.
  ...[
    "\0",
    "a\0b",
    "\u0007",
    "\u001b[2J",
    "\u007f",
    "\u0080",
    "\u009f",
    "\u00a0",
    "\u00ad",
    "\u200b",
    "\u200d",
    "\u202e",
  ],
  ...[
    "\u2066",
    "\ufeff",
    "\ufffe",
    "\uffff",
    "\ufffd",
    "\ue000",
    "\ud7ff",
    "é",
    "e\u0301",
    "😀",
    "a😀b",
    "\u{10ffff}",
    "\u{1fffe}",
  ],
  // Names that objects have already.
  ..."__proto__ constructor toString hasOwnProperty valueOf length".split(" "),
  // Long, plain and not.
  ...[
    "a".repeat(1023),
    "a".repeat(1024),
    "a".repeat(1025),
    "é".repeat(400),
    "- ".repeat(700),
    "ab c".repeat(3000),
  ],
];

/** Any text: no half of a character, which no YAML can hold. */
export const anyText: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(...TRICKY_WORDS),
  fc.string({ unit: "binary", maxLength: 12 }),
  fc.string({ unit: "grapheme", maxLength: 20 }),
  fc.tuple(fc.constantFrom(...TRICKY_WORDS), fc.constantFrom(...TRICKY_WORDS)).map((words) => words.join("")),
  fc
    .tuple(fc.constantFrom(...TRICKY_WORDS), fc.constantFrom(...TRICKY_WORDS))
    .map((words) => words.join("\n")),
);

const texts = fc.array(anyText, { minLength: 1, maxLength: 4 });
const sometimes = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });

/** Without the members that are undefined. */
const present = <T extends object>(value: T): T =>
  Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T;

const match: fc.Arbitrary<StringMatch> = fc.oneof(
  fc.record({ exact: anyText }),
  fc.record({ prefix: anyText }),
  fc.record({ suffix: anyText }),
  fc.constant({ nonEmpty: true as const }),
);

const predicate: fc.Arbitrary<Predicate> = fc.oneof(
  fc.record({ claim: texts, match }),
  fc.record({ path: fc.oneof(match, fc.record({ template: anyText })) }),
  fc.record({ host: match }),
  fc.record({ method: match }),
  fc.record({ header: anyText, match: fc.oneof(match, fc.constant({ present: true as const })) }),
  fc.record({ destinationPort: fc.nat(65_535) }),
  fc.record({ remoteIp: anyText }),
  fc.record({ sni: match }),
  fc.record({ principal: match }),
  fc.record({ peer: texts }),
  fc.record({ serviceAccount: fc.record({ namespace: anyText, name: anyText }) }),
);

const jwksHost = fc.constantFrom(
  "idp.example.com",
  "keys",
  "10.0.0.1",
  "[2001:db8::1]",
  "xn--bcher-kva.example:8443",
);
const jwksPath = fc.webPath();

const remoteJwks = fc
  .tuple(fc.constantFrom("http", "https"), jwksHost, jwksPath)
  .map(([scheme, host, path]) => new URL(`${scheme}://${host}${path}`))
  .map((url) => ({ uri: url.href, cluster: bootstrapCluster(url), timeoutMs: 5_000 }));

const provider: fc.Arbitrary<Provider> = fc
  .record({
    name: anyText,
    policy: sometimes(anyText),
    issuer: sometimes(anyText),
    audiences: sometimes(texts),
    localJwks: sometimes(
      fc.record({
        keys: fc.array(
          fc.record({ kty: fc.constant("RSA" as const), kid: anyText, n: anyText, e: anyText }),
          {
            minLength: 1,
            maxLength: 2,
          },
        ),
      }),
    ),
    remoteJwks: sometimes(remoteJwks),
    fromHeaders: sometimes(fc.array(fc.record({ name: anyText, valuePrefix: anyText }), { maxLength: 2 })),
    fromParams: sometimes(texts),
    fromCookies: sometimes(texts),
    forward: sometimes(fc.boolean()),
    claimToHeaders: sometimes(
      fc.array(fc.record({ headerName: anyText, claimName: anyText }), { maxLength: 2 }),
    ),
    spaceDelimitedClaims: sometimes(texts),
  })
  .map(present);

const rule = fc.record({
  id: anyText,
  condition: fc.oneof(
    fc.nat(9),
    fc.record({ and: fc.array(fc.nat(9), { maxLength: 3 }) }),
    fc.record({ not: fc.record({ or: fc.array(fc.nat(9), { maxLength: 3 }) }) }),
  ),
});

/** A configuration of any strings: the filter would refuse most of them, a renderer must not care. */
export const anyConfiguration: fc.Arbitrary<Configuration> = fc
  .record({
    compiler: sometimes(anyText),
    shadow: sometimes(fc.boolean()),
    providers: sometimes(fc.array(provider, { maxLength: 2 })),
    authorization: sometimes(
      fc.record({
        predicates: fc.array(predicate, { maxLength: 5 }),
        deny: fc.record({ rules: fc.array(rule, { maxLength: 3 }) }),
      }),
    ),
  })
  .map((parts) => whole(present(parts)));

const selection: fc.Arbitrary<Selection> = fc
  .record({
    namespace: anyText,
    matchLabels: sometimes(fc.array(fc.tuple(anyText, anyText), { maxLength: 3 }).map(Object.fromEntries)),
    targetRefs: sometimes(
      fc.array(fc.record({ group: anyText, kind: fc.constant("Gateway" as const), name: anyText }), {
        maxLength: 2,
      }),
    ),
  })
  .map(present);

const answers: fc.Arbitrary<Answers> = fc
  .record({
    name: anyText,
    namespace: sometimes(anyText),
    labels: sometimes(fc.array(fc.tuple(anyText, anyText), { maxLength: 3 }).map(Object.fromEntries)),
    gateway: sometimes(anyText),
    issuers: fc.array(
      fc.record({
        issuer: anyText,
        audiences: fc.array(anyText, { maxLength: 3 }),
        keys: fc.record({ jwks: sometimes(anyText), jwksUri: sometimes(anyText) }).map(present),
        locations: fc.array(
          fc.record({
            kind: fc.constantFrom("header", "parameter", "cookie"),
            name: anyText,
            prefix: anyText,
          }),
          { maxLength: 3 },
        ),
      }),
      { minLength: 1, maxLength: 2 },
    ),
    scopes: fc.array(anyText, { maxLength: 2 }),
    claims: fc.array(fc.record({ name: anyText, value: anyText }), { maxLength: 2 }),
    forward: fc.boolean(),
    payloadHeader: sometimes(anyText),
    claimHeaders: fc.array(fc.record({ header: anyText, claim: anyText }), { maxLength: 2 }),
    scope: fc.constantFrom("all", "matched", "unmatched"),
    match: fc.record({
      paths: fc.array(anyText, { maxLength: 3 }),
      hosts: fc.array(anyText, { maxLength: 3 }),
      methods: fc.array(anyText, { maxLength: 3 }),
    }),
  })
  .map((parts) => present(parts) as Answers);

const bootstrapOptions: fc.Arbitrary<BootstrapOptions> = fc
  .record({
    listen: fc.record({ host: anyText, port: fc.nat(65_535) }),
    upstream: fc.record({ host: anyText, port: fc.nat(65_535) }),
    admin: sometimes(fc.record({ host: anyText, port: fc.nat(65_535) })),
    mode: fc.constantFrom("gateway", "sidecar"),
    pathNormalization: fc.constantFrom("BASE", "NONE"),
    tls: sometimes(fc.record({ certificate: anyText, key: anyText, clientCa: anyText })),
    module: anyText,
    jwksCa: sometimes(anyText),
    ecds: sometimes(fc.record({ path: anyText, directRemoteAddress: anyText })),
  })
  .map((parts) => present(parts) as BootstrapOptions);

/** What was rendered, and the text. */
export interface Rendered {
  documents: object[];
  text: string;
}

/** The documents that `compile` and `new` make, of any strings. */
export const anyRendered: fc.Arbitrary<Rendered> = fc.oneof(
  fc
    .tuple(
      selection,
      anyConfiguration,
      fc.record({ image: anyText, mode: fc.constant("sidecar" as const) }),
      anyText,
      fc.constantFrom(renderWasmPlugin, renderTrafficExtension),
    )
    .map(([of, configuration, options, caFile, renderExtension]) => {
      const documents = [
        renderExtension(of, configuration, options),
        ...renderKeyServers(configuration, { namespace: of.namespace, caFile }),
      ];
      return {
        documents,
        text: printResources(documents, {
          version: "1.0.0",
          output: "wasmplugin",
          reasons: reasonsFor({ isShadow: false }),
        }),
      };
    }),
  fc
    .tuple(selection, anyConfiguration, anyText, sometimes(anyText))
    .map(([{ namespace, targetRefs = [] }, configuration, image, caConfigMap]) => {
      const gateways = { namespace, targetRefs };
      const documents = [
        renderEnvoyExtensionPolicy(gateways, configuration, { image }),
        ...renderGatewayKeyServers(configuration, gateways, present({ caConfigMap })),
      ];
      const reasons = gatewayReasons({ isShadow: false });
      return {
        documents,
        text: printResources(documents, { version: "1.0.0", output: "envoygateway", reasons }),
      };
    }),
  fc.tuple(anyConfiguration, anyText, anyText).map(([configuration, image, namespace]) => {
    const documents = [renderHigressPlugin(configuration, { image, namespace })];
    const reasons = higressReasons({ isShadow: false });
    return { documents, text: printResources(documents, { version: "1.0.0", output: "higress", reasons }) };
  }),
  fc.tuple(anyConfiguration, bootstrapOptions).map(([configuration, options]) => {
    const message = renderBootstrap(configuration, options);
    return { documents: [message], text: printBootstrap(message, "1.0.0") };
  }),
  fc.tuple(anyConfiguration, anyText).map(([configuration, file]) => {
    const message = renderEcds(configuration, file);
    return { documents: [message], text: printEcds(message, "1.0.0") };
  }),
  answers.map((given) => ({ documents: makeResources(given), text: renderResources(given) })),
);
