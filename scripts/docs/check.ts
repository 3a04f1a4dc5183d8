/** `docs/check.md`: the findings of `jwtgate check`, by code. */
import {
  type Code,
  KINDS,
  type Kind,
  MAX_COMPARED_RULES,
  MAX_PROVEN_RULES,
} from "../../tools/check/findings.ts";

const INTRODUCTION = `# Linting policies

<!-- Generated from tools/check/findings.ts by \`npm run docs\`. -->

\`jwtgate compile\` reports errors. \`jwtgate check\` reports what is probably a mistake: policies that are open, conditions
that are never true, keys that should not be in a policy. It starts no program and sends no request.

\`\`\`sh
jwtgate check -f policies/
jwtgate check -f policies/ --fail-on warning
\`\`\`

A finding begins with a line: the position, the severity, the code, the fault, and what to write instead. Below it is
the line of the source, with a caret. \`check\` never shows keys and secrets.

The exit code is 1 if a finding is at least as severe as \`--fail-on\` says (default: \`error\`) or the policies do not
compile, 0 if not, and 2 if the command line is wrong. \`--namespace\`, \`--labels\` and \`--gateway\` choose the policies of
one workload, as with \`compile\`.

Up to ${MAX_PROVEN_RULES.toLocaleString("en-US")} rules are compared exactly: \`check\` finds rules that match no request, and rules without effect because
other rules, alone or together, decide first ([how](proof.md)). Above that, \`check\` compares the conditions of two
rules at a time, and above ${MAX_COMPARED_RULES.toLocaleString("en-US")} rules it compares none. Every finding is
certain, but \`check\` does not find every mistake.

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

In GitLab, run \`jwtgate check -f policies/ --fail-on warning\` as a job; its log has the positions.

## Suppressing findings

A comment with a reason suppresses a finding that you accept. It applies to its own line, or to the next line if the
comment is alone on its line:

\`\`\`yaml
spec:
  jwtRules:
    # jwtgate: ignore JG010, JG002 because the old player cannot send headers
    - issuer: https://idp.example.com
      jwksUri: http://idp.internal/jwks # jwtgate: ignore JG009 because the mesh encrypts this
\`\`\`

\`# jwtgate: ignore-file JG205 because …\`, on any line, applies to the whole file. Policies that cannot have
comments, such as those of \`--from-cluster\`, take a file:

\`\`\`yaml
# jwtgate check --from-cluster --suppressions stay.yaml
suppressions:
  - codes: [JG205]
    files: ["policies/legacy/*.yaml"] # globs; default: all
    policies: [shop/deny-admin]       # NAMESPACE/NAME; default: all
    because: the service answers no path with a slash at its end
\`\`\`

The summary counts suppressed findings, and \`json\` and \`sarif\` contain them with the reasons. A suppression
without effect is a finding (JG301), and one without a reason or with an unknown code is a finding too (JG302). Errors
of policies that do not compile cannot be suppressed.
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
