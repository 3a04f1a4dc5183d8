/** `docs/testing.md`: files of policy tests for people, the fields from their schema. */
import * as source from "../../tools/testing/schema.ts";
import { renderSections } from "./configuration.ts";
import { schemaWithParts } from "./schema.ts";

const INTRODUCTION = `# Tests of policies

<!-- Generated from scripts/docs/testing.ts and tools/testing/schema.ts by \`npm run docs\`. -->

A policy decides who gets in, so it has tests like other code. \`jwtgate test\` runs them against the very module that
Envoy runs, in milliseconds and without a cluster.

\`\`\`sh test
jwtgate test envoy/istio/one-principal.test.yaml
\`\`\`

A file of tests is one YAML document, by custom \`NAME.test.yaml\` beside the policies. It says which policies apply, which
keys and tokens there are, and what each request must get.
[\`envoy/istio/one-principal.test.yaml\`](../envoy/istio/one-principal.test.yaml) is a whole one;
[Five minutes](start.md#test-it) writes another. For completion and checks in an editor, begin the file with a comment that
leads to the [JSON Schema](../schema/test.schema.json) of this form:

\`\`\`yaml
# yaml-language-server: $schema=../node_modules/jwtgate/schema/test.schema.json
\`\`\`

## Keys and tokens

Nobody has the issuer's private key, so tests bring their own. A key with \`issuer: X\` is trusted by the policies' rules of
issuer X in the place of their own keys; one with \`jwksUri: X\` is what the filter fetches from there. A key without either
is a stranger's. Nothing is sent anywhere.

A token is described by its \`key\` and its \`claims\`. \`iss\` is the key's issuer and \`exp\` one hour ahead, unless the token says
otherwise; \`without\` leaves one out. \`from\` takes another token and changes it after it was signed, as an attacker would.

## What to test

Of each rule: a request that it lets in, and the nearest one that it must not. Of each policy that opens a path: what
lies beside that path. And for each issuer once: no token, one of a strange key, an expired one, one for another audience.

## Results

| option | for |
| --- | --- |
| none | people: what differs from what was expected, and the line of YAML that decided |
| \`--reporter tap\`, \`junit\`, \`json\` | CI and other programs |
| \`--watch\` | while writing: again whenever a test or a policy changes |
| \`--envoy\` | the same in a real Envoy |

In a CI job:

\`\`\`sh
jwtgate test policies/*.test.yaml --reporter junit > report.xml
\`\`\`

The exit code is 0 where all tests pass, 1 where one fails or a file is wrong, 2 where the command line is wrong.
`;

/** The text of `docs/testing.md`. */
export function renderTesting(): string {
  return `${INTRODUCTION}\n${renderSections("The file", schemaWithParts(source, "TestFile"))}`;
}
