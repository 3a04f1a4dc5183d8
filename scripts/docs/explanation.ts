/** `docs/explain.svg`: the output of `explain` on a terminal, for the policy of the README. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const COMMAND = ["explain", "-f", "policy.yaml", "--path", "/api/v1/products/1"];
/** Options that make the output the same each time; the picture does not show them. */
const HIDDEN = ["--at", "2026-11-26T12:00:00Z", "--color", "always"];

const MARGIN = 16;
const LINE_HEIGHT = 18;
/** The width of a character of 12 px in a monospace font. */
const ADVANCE = 7.23;

const STYLE = `
  text { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #24292f; white-space: pre; }
  .ground { fill: #f6f8fa; stroke: #d0d7de; } .bold { font-weight: 600; } .faint { fill: #6e7781; }
  .red { fill: #cf222e; } .green { fill: #1a7f37; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .ground { fill: #161b22; stroke: #3d444d; } .faint { fill: #8d96a0; }
    .red { fill: #f85149; } .green { fill: #3fb950; }
  }`;

/** The classes of the escape sequences that `explain` prints; the others end them. */
const CLASSES: Readonly<Record<string, string>> = { 1: "bold", 2: "faint", 31: "red", 32: "green" };

/** The text of `docs/explain.svg`. */
export function renderExplanation(): string {
  const lines = [`$ jwtgate ${COMMAND.join(" ")}`, ...run().trimEnd().split("\n")];
  const longest = Math.max(...lines.map((line) => line.replace(/\x1b\[\d+m/g, "").length));
  const width = Math.ceil(longest * ADVANCE) + 2 * MARGIN;
  const height = lines.length * LINE_HEIGHT + 2 * MARGIN;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>jwtgate explain: a request without a token is refused, and which rule of which line refuses it</title><style>${STYLE}\n</style>`,
    `<rect class="ground" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="6"/>`,
    ...lines.flatMap((line, i) => drawLine(line, MARGIN + (i + 1) * LINE_HEIGHT - 5)),
    "</svg>\n",
  ].join("\n");
}

/** @throws if the tool does not print an explanation */
function run(): string {
  const [, policy] = /```yaml\n(.*?)```/s.exec(readFileSync("README.md", "utf8")) ?? [];
  if (policy === undefined) throw new Error("README.md has no policy");
  const folder = mkdtempSync(join(tmpdir(), "jwtgate-docs-"));
  try {
    writeFileSync(join(folder, "policy.yaml"), policy);
    const args = [resolve("dist/jwtgate.mjs"), ...COMMAND, ...HIDDEN];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: "utf8" });
    if (status !== 0) throw new Error(stderr);
    return stdout;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A line as a text element, with a span for each part that has a style. */
function drawLine(line: string, y: number): string[] {
  if (line === "") return [];
  const [first = "", ...parts] = line.split("\x1b[");
  const spans = parts.map((part) => {
    const [, code = "", text = ""] = /^(\d+)m(.*)$/s.exec(part) ?? [];
    const style = CLASSES[code];
    return style === undefined ? xml(text) : `<tspan class="${style}">${xml(text)}</tspan>`;
  });
  return [`<text x="${MARGIN}" y="${y}" xml:space="preserve">${xml(first)}${spans.join("")}</text>`];
}

function xml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
