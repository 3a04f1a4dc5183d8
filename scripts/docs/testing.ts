/** `docs/testing.md`: files of policy tests, with the fields from their schema. */
import * as source from "../../tools/testing/schema.ts";
import { renderSections } from "./configuration.ts";
import { schemaWithParts } from "./schema.ts";

const INTRODUCTION = `# Tests of policies

<!-- Generated from scripts/docs/testing.ts and tools/testing/schema.ts by \`npm run docs\`. -->

A policy decides which requests pass, so it needs tests like other code. \`jwtgate test\` runs them against the same
module that Envoy runs, in milliseconds and without a cluster.

\`\`\`sh test
cat > first.test.yaml <<'EOF'
policies: [envoy/istio/one-principal.yaml]
tests:
- {name: a request without a token is refused, request: {path: /productpage}, expect: 403}
EOF
jwtgate test first.test.yaml
\`\`\`

A file of tests is one YAML document, usually \`NAME.test.yaml\` next to the policies. It names the policies, defines
keys and tokens, and states the expected answer to each request.
[\`envoy/istio/one-principal.test.yaml\`](../envoy/istio/one-principal.test.yaml) is a complete example; [Five
minutes](start.md#test-it) writes another. For completion and checks in an editor, begin the file with a comment that
leads to the [JSON Schema](../schema/test.schema.json) of this form:

\`\`\`yaml
# yaml-language-server: $schema=../node_modules/jwtgate/schema/test.schema.json
\`\`\`

## Keys and tokens

Tests do not have the issuer's private key, so they use their own keys. With \`issuer: X\`, the policies' rules for
issuer X trust the key instead of their own. With \`jwksUri: X\`, the filter receives the key when it fetches that
URL. No policy trusts a key without either. \`jwtgate test\` sends no requests over the network.

A token is described by its \`key\` and its \`claims\`. \`iss\` is the key's issuer and \`exp\` one hour ahead, unless the token says
otherwise; \`without\` leaves one out. \`from\` takes another token and changes it after it was signed, as an attacker would;
\`spoil\` makes it invalid in one of the ways that attackers try ([the list](#spoil)); \`wrong-key\`, for example,
signs it with another key under the right \`kid\`.

Times have the same forms here and with \`--at\` on the command line: \`now+1h\`, \`now-30m\` (or \`1h\`, \`-30m\`),
\`2026-01-31T12:00:00Z\`, or seconds since 1970.

## Tables

A table is many tests in a few lines: a row for each method and path, a column for each token. Each cell is a separate
test, with its own name and position.

\`\`\`sh test
cat > table.test.yaml <<'EOF'
policies: [envoy/istio/one-principal.yaml]
keys: {istio: {issuer: testing@secure.istio.io}}
tokens:
  owner: {key: istio, claims: {sub: testing@secure.istio.io}}
  other: {key: istio, claims: {sub: another}}
  forged: {from: owner, spoil: wrong-key}
tables:
- name: who may do what
  tokens:                  [none, owner, other, forged]
  expect:
    GET,POST /productpage: [ 403,   200,   403,    401]
    GET /admin /health:    [ 403,   200,   403,    401]
EOF
jwtgate test table.test.yaml
\`\`\`

\`none\` is not a token. A row that lacks a cell, or a request that is in two rows, is an error
([why tables have this form](decisions/0022-tables-of-tests.md)).

## Properties

A test is one request. A property is about every request that some rules match, in the syntax of an
\`AuthorizationPolicy\`: all of them are refused, or all are allowed. It is proven, or refuted by a request that the module
has answered ([how](proof.md)).

\`\`\`sh test
cat > property.test.yaml <<'EOF'
policies: [envoy/istio/one-principal.yaml]
properties:
- name: every request without a token is refused
  rules:
  - from: [{source: {notRequestPrincipals: ["*"]}}]
  are: refused
- name: every request of the principal is allowed
  rules:
  - from: [{source: {requestPrincipals: [testing@secure.istio.io/testing@secure.istio.io]}}]
  are: allowed
EOF
jwtgate prove property.test.yaml
\`\`\`

\`tokens: [none, valid, bad]\` limits which tokens the requests may have; without it, the property is about all three.
The filter always refuses a bad token, so a property with \`are: allowed\` usually has \`tokens: [none, valid]\`. A
CORS preflight counts as a request without a token.

A property that fails shows the request that refutes it. A property fails too if no request can match its rules,
because it would prove nothing. \`jwtgate test\` runs properties after tests and tables; \`jwtgate prove\` runs them
alone. With \`--envoy\` they are skipped.

## Which tests are run

| | |
| --- | --- |
| \`jwtgate test\` | all \`*.test.yaml\`, \`.yml\` and \`.json\` in this folder and below. Arguments and \`-f\` name files or folders |
| \`-t PATTERN\` | tests whose full name, \`FILE > TEST\` or \`FILE > TABLE > CELL\`, has this text in it, or matches it as a regular expression of JavaScript. If there is none, it is an error |
| \`--bail\`, \`--bail 3\` | no further test after the first failure, or the third |
| \`skip: true\`, \`skip: why\` | in a test or table: it is not run, and reported as skipped |
| \`only: true\` | in a test or table: the others of this file are not run. If the environment has \`CI\`, or with \`--forbid-only\`, it is an error |

If a file has an error (in its YAML, its fields or its policies), the other files still run. Every report shows the
error as a failure, with its position.

\`\`\`sh test
jwtgate test table.test.yaml --bail -t 'who may do what > GET /admin'
\`\`\`

## What to test

For each rule, test a request that it allows, and a similar one that it must not allow. For each policy that opens a
path, test similar paths that must stay closed. For each issuer, test a request without a token, and tokens that an
unknown key signed, that have expired, and that are for another audience.

## Coverage

\`--coverage\` shows what the tests leave undecided, in the margin of the policies' YAML:

\`\`\`sh test
jwtgate test first.test.yaml --coverage
\`\`\`

Each line of YAML that counts has a mark: \`✓\` if everything on it was shown by a test, \`~\` if only a part was, \`✗\` if nothing was.
Below are the places and the tests that are missing. The numbers count outcomes:

| of | outcomes |
| --- | --- |
| a rule | a test has a request that it matches, and one that it does not match |
| a source, an operation, a condition of \`when\` | the same, with requests for which the rest of the rule holds |
| a value | a test has a request that matches it, and for which the rest of the rule holds |
| a rule of tokens (\`jwtRules\`) | a test has a token that it accepts, and one that it refuses |

So a value under \`notPaths\` counts if a request would match the rule without it. A rule counts only if the filter asks it: not
after an earlier rule has decided. A clause that is alone in its rule is decided with the rule, and a value that is alone
with its clause. What requests matched is the module's own report, as in \`explain\`. Tests that fail count, skipped tests
and properties do not. CUSTOM policies have no part in it, and a policy that applies to the workload of no test file is not
covered.

| option | effect |
| --- | --- |
| \`--coverage-min 80\` | the exit code is 1 if fewer than 80 % of the outcomes were shown |
| \`--coverage-format lcov\` | for \`genhtml\`, editors and services: rules are functions, outcomes are branches |
| \`--coverage-format json\` | for programs: \`{"covered", "total", "percent", "policies": [{"kind", "namespace", "name", "action", "inForce", "file", "line", "column", "covered", "total", "percent", "parts": [{"kind", "name", "matched", "unmatched", "file", "line", "column"}]}], "missing": [{"file", "line", "column", "message"}]}\`. \`matched\` and \`unmatched\` are numbers of tests; one that is absent does not count |
| \`--coverage-output FILE\` | writes the coverage into a file. Without it, the coverage follows the results; lcov and JSON are alone on standard output, and results are on standard error |

Each of these options includes \`--coverage\`. In CI:

\`\`\`sh test
jwtgate test table.test.yaml --coverage-format lcov --coverage-output lcov.info --coverage-min 50
\`\`\`

## Results

| option | for |
| --- | --- |
| none, \`--reporter text\` | people: each difference from the expected result, and the line of YAML that decided |
| \`--reporter github\` | GitHub Actions: an annotation at the line of each failure |
| \`--reporter junit\`, \`tap\`, \`json\` | other CI and programs; with the time that each test took |
| \`--watch\` | while you edit: runs again when a test or a policy changes |
| \`--envoy\` | the same in a real Envoy |

In a CI job, and on GitHub, where several reporters print one after the other:

\`\`\`sh test
jwtgate test table.test.yaml --reporter junit > report.xml
jwtgate test table.test.yaml --reporter text --reporter github
\`\`\`

\`--watch\` and \`jwtgate run\` see files that are written, replaced, added, removed or linked elsewhere, as a ConfigMap is. On a
network drive, whose changes the system does not report, set \`CHOKIDAR_USEPOLLING=1\`: then \`jwtgate\` reads the
files' times every 300 ms.

Results have colours on a terminal. \`--color always\` or \`FORCE_COLOR=1\` colours the log of a CI job too; \`--color never\`,
\`--no-color\` or \`NO_COLOR=1\` never colours anything. Every command takes these options.

The exit code is 0 if all tests pass, 1 if one fails, a file is wrong, no test is selected or the coverage is too low, 2 if
the command line is wrong.
`;

/** The text of `docs/testing.md`. */
export function renderTesting(): string {
  return `${INTRODUCTION}\n${renderSections("The file", schemaWithParts(source, "TestFile"))}`;
}
