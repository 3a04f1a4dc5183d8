/** `docs/check.md`: the findings of `jwtgate check`, by code. */
import { type Code, KINDS, type Kind, MAX_COMPARED_RULES } from "../../tools/check/findings.ts";

const INTRODUCTION = `# Linting policies

<!-- Generated from tools/check/findings.ts by \`npm run docs\`. -->

\`jwtgate compile\` reports errors. \`jwtgate check\` reports what is probably a mistake: policies that are open, conditions
that are never true, keys that should not be in a policy. It runs nothing and sends nothing.

\`\`\`sh
jwtgate check -f policies/
jwtgate check -f policies/ --fail-on warning
\`\`\`

A finding begins with a line: the place, the severity, the code, what is wrong there, and what to write instead. Under it is
the line of the source, with a caret. Keys and secrets are never shown.

The exit code is 1 if a finding is at least as severe as \`--fail-on\` says (default: \`error\`) or the policies do not
compile, 0 if not, and 2 if the command line is wrong. \`--namespace\`, \`--labels\` and \`--gateway\` choose the policies of
one workload, as with \`compile\`.

Up to 100 rules are compared exactly: which match no request, and about which other rules, several together included, have
decided already ([how](proof.md)). More are compared by their conditions, one rule with another, and more than ${MAX_COMPARED_RULES.toLocaleString("en-US")} not at
all.
What is reported is certain. No finding is not proof.

## Formats

| \`--format\` | for |
| --- | --- |
| \`text\` | people; in colour on a terminal |
| \`json\` (or \`--json\`) | programs: \`{"findings": [{"code", "severity", "file", "line", "column", "at", "message", "remedy"}], "suppressed": [{…, "because"}], "diagnostics": [{"severity", "file", "line", "column", "at", "message"}]}\`; \`at\` is FILE:LINE:COLUMN; the errors of policies that do not compile are in \`diagnostics\` |
| \`sarif\` | SARIF 2.1.0, for code scanning and editors; errors and suppressed findings are results too |
| \`github\` | annotations of a GitHub Actions workflow |

\`-o FILE\` writes any of them into a file. In a workflow of GitHub Actions:

\`\`\`yaml
- run: jwtgate check -f policies/ --format github --fail-on warning
- run: jwtgate check -f policies/ --format sarif -o check.sarif
  if: always()
- uses: github/codeql-action/upload-sarif@v3
  if: always()
  with: {sarif_file: check.sarif}
\`\`\`

In GitLab, \`jwtgate check -f policies/ --fail-on warning\` is a job by itself; its log has the places.

## Suppressing findings

A comment suppresses a finding that is to stay, with the reason. It is about its own line, or about the next line if
it is alone on its own:

\`\`\`yaml
spec:
  jwtRules:
    # jwtgate: ignore JG010, JG002 because the old player cannot send headers
    - issuer: https://idp.example.com
      jwksUri: http://idp.internal/jwks # jwtgate: ignore JG009 because the mesh encrypts this
\`\`\`

\`# jwtgate: ignore-file JG205 because …\`, on any line, is for the whole file. Policies that cannot have comments, such as
those of \`--from-cluster\`, take a file:

\`\`\`yaml
# jwtgate check --from-cluster --suppressions stay.yaml
suppressions:
  - codes: [JG205]
    files: ["policies/legacy/*.yaml"] # globs; default: all
    policies: [shop/deny-admin]       # NAMESPACE/NAME; default: all
    because: the service answers no path with a slash at its end
\`\`\`

The summary counts what is suppressed, and \`json\` and \`sarif\` have it with the reasons. A suppression that suppresses nothing
is a finding (JG301), and so is one without a reason or with an unknown code (JG302). Errors of policies that do not
compile cannot be suppressed.
`;

const GROUPS: readonly [prefix: string, heading: string][] = [
  ["JG0", "Tokens and keys"],
  ["JG1", "Conditions"],
  ["JG2", "Rules and policies"],
  ["JG3", "Suppressions"],
];

/** The text of `docs/check.md`. */
export function renderFindings(): string {
  const kinds = Object.entries(KINDS) as [Code, Kind][];
  const sections = GROUPS.map(([prefix, heading]) => {
    const rows = kinds.filter(([code]) => code.startsWith(prefix)).map(([code, kind]) => row(code, kind));
    return [
      `## ${heading}`,
      "",
      "| code | severity | finding | why | what to do |",
      "| --- | --- | --- | --- | --- |",
      ...rows,
    ].join("\n");
  });
  return `${INTRODUCTION}\n${sections.join("\n\n")}\n`;
}

function row(code: Code, { severity, title, reason, remedy }: Kind): string {
  const cells = [code, severity, title, reason, remedy].map((text) =>
    text.replaceAll("|", "\\|").replaceAll("*", "\\*"),
  );
  return `| ${cells.join(" | ")} |`;
}
