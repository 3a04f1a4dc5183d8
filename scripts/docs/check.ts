/** `docs/check.md`: what a reviewer would say, with every code. */
import { type Code, KINDS, type Kind, MAX_COMPARED_RULES } from "../../tools/check/findings.ts";

const INTRODUCTION = `# What a reviewer would say

<!-- Generated from tools/check/findings.ts by \`npm run docs\`. -->

\`jwtgate compile\` says what is wrong. \`jwtgate check\` says what is probably not meant: policies that are open, conditions
that are never true, keys that should not stand where they stand. It runs nothing and sends nothing.

\`\`\`sh
jwtgate check -f policies/
jwtgate check -f policies/ --fail-on warning
\`\`\`

Each finding is one line: the place, how severe it is, its code, what is wrong there, and what to write instead.
\`--json\` prints the same for programs: \`{"findings": [{"code", "severity", "file", "line", "column", "message", "remedy"}]}\`.

The exit code is 1 where a finding is as severe as \`--fail-on\` says (\`error\`, where nothing is said) or more so, 0 where
none is, and 2 where the command line is wrong. \`--namespace\`, \`--labels\` and \`--gateway\` choose the policies of one
workload, as with \`compile\`.

What is not clear is not said: where one rule is compared with another, \`check\` speaks only if the one matches whatever
the other does, and more than ${MAX_COMPARED_RULES.toLocaleString("en-US")} rules are not compared at all. No finding is no proof.

A finding that is as you want it has no switch to hide it: it stays visible, and \`--fail-on\` decides what stops a
pipeline.
`;

const GROUPS: readonly [prefix: string, heading: string][] = [
  ["JG0", "Tokens and keys"],
  ["JG1", "Conditions"],
  ["JG2", "Rules and policies"],
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
