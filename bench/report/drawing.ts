/**
 * A report as a picture (SVG) for the README: the cost that a filter adds to a request, and how it grows with rules.
 */
import type { ContenderName } from "../contenders.ts";
import type { Shape } from "../policies.ts";
import type { Report } from "./results.ts";

const WIDTH = 880;
const MARGIN = 24;
/** The width of the part with bars, and where the bars begin in it. */
const BARS_WIDTH = 430;
const LABEL_WIDTH = 150;
const BAR = 13;
const GROUP_GAP = 16;
const TOP = 64;

/** In drawing order, with the class that sets their colour. */
const DRAWN: readonly (readonly [ContenderName, string])[] = [
  ["empty", "empty"],
  ["native", "native"],
  ["native-cache", "cached"],
  ["jwtgate", "own"],
];

/** Works on light and dark pages; the drawing has no background. */
const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #24292f; }
  .title { font-weight: 600; font-size: 13px; }
  .faint { fill: #6e7781; font-size: 11px; }
  .empty { fill: #d0d7de; } .native { fill: #8c959f; } .cached { fill: #d4a72c; } .own { fill: #0969da; }
  .line { fill: none; stroke-width: 2; } .line.cached { stroke: #d4a72c; } .line.own { stroke: #0969da; }
  .dashed { stroke-dasharray: 5 4; }
  .grid { stroke: #d0d7de; stroke-width: 1; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .faint { fill: #8d96a0; }
    .empty { fill: #3d444d; } .native { fill: #8d96a0; } .cached { fill: #bb8009; } .own { fill: #4493f8; }
    .line.cached { stroke: #bb8009; } .line.own { stroke: #4493f8; } .grid { stroke: #3d444d; }
  }`;

interface Group {
  title: string;
  bars: { label: string; value: number; style: string }[];
}

/** The picture; empty if neither tokens nor rules were measured. */
export function drawing(report: Report): string {
  const groups = groupsOf(report);
  const bars = groups.length === 0 ? { text: "", height: 0 } : drawBars(groups);
  const height = Math.max(bars.height, report.rules.length > 0 ? 420 : 0) + MARGIN;
  const curves =
    report.rules.length === 0 ? "" : drawCurves(report.rules, MARGIN + BARS_WIDTH + 40, height - MARGIN);
  const { envoy, cpu, cores } = report.machine;
  const caption = `Envoy ${envoy}, one worker; ${cores} × ${cpu}; medians of ${report.rounds} interleaved rounds; npm run bench`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height + 20}" viewBox="0 0 ${WIDTH} ${height + 20}" role="img">`,
    `<title>CPU that each filter adds to a request</title><style>${STYLE}\n</style>`,
    bars.text,
    curves,
    text(MARGIN, height + 8, caption, "faint"),
    "</svg>\n",
  ].join("\n");
}

function groupsOf(report: Report): Group[] {
  const tokens = report.tokens.filter(({ condition }) => condition === "quiet");
  const hots = tokens.filter(({ mode }) => mode === "hot");
  const hot = hots.find(({ algorithm }) => algorithm === "RS256") ?? hots[0];
  const unique = tokens.filter(({ mode }) => mode === "unique");
  const group = (title: string, { costs }: Report["tokens"][number], names: readonly string[]): Group => ({
    title,
    bars: DRAWN.flatMap(([name, style]) => {
      const cost = names.includes(name) ? costs.find(({ contender }) => contender === name) : undefined;
      return cost?.added === undefined ? [] : [{ label: cost.title, value: cost.added.median, style }];
    }),
  });
  return [
    ...(hot
      ? [
          group(
            `${hot.algorithm}, one token again and again`,
            hot,
            DRAWN.map(([name]) => name),
          ),
        ]
      : []),
    ...unique.map((result) => group(`${result.algorithm}, each token once`, result, ["native", "jwtgate"])),
  ];
}

function drawBars(groups: readonly Group[]): { text: string; height: number } {
  const most = Math.max(...groups.flatMap(({ bars }) => bars.map(({ value }) => value)));
  const scale = (BARS_WIDTH - LABEL_WIDTH - 40) / most;
  const parts = [
    text(MARGIN, 28, "CPU added to a request, µs", "title"),
    text(MARGIN, 46, "less is better", "faint"),
  ];
  let y = TOP;
  for (const { title, bars } of groups) {
    parts.push(text(MARGIN, y + 10, title));
    y += 16;
    for (const { label, value, style } of bars) {
      const width = Math.max(value * scale, 1);
      parts.push(
        text(MARGIN + LABEL_WIDTH - 8, y + 10, label, "faint", "end"),
        `<rect class="${style}" x="${MARGIN + LABEL_WIDTH}" y="${y}" width="${fixed(width)}" height="${BAR - 2}" rx="2"/>`,
        text(MARGIN + LABEL_WIDTH + width + 6, y + 10, value.toFixed(value < 10 ? 1 : 0), "faint"),
      );
      y += BAR;
    }
    y += GROUP_GAP;
  }
  return { text: parts.join("\n"), height: y };
}

/** Paths are drawn solid, the mix dashed: the most informative shapes. */
const CURVES: readonly (readonly [Shape, string])[] = [
  ["exact", ""],
  ["mix", " dashed"],
];

function drawCurves(rules: Report["rules"], left: number, bottom: number): string {
  const top = TOP + 10;
  const right = WIDTH - MARGIN - 70;
  const floor = bottom - 40;
  const numbers = [
    ...new Set(rules.flatMap(({ series }) => series.flatMap(({ points }) => points.map((p) => p.rules)))),
  ];
  const values = rules.flatMap(({ series }) =>
    series.flatMap(({ points }) => points.map(({ added }) => added.median)),
  );
  const low = Math.floor(Math.log10(Math.max(Math.min(...values), 1)));
  const high = Math.ceil(Math.log10(Math.max(...values)));
  const lastDecade = Math.max(Math.log10(Math.max(...numbers)), 1);
  const x = (count: number): number => left + (Math.log10(count) / lastDecade) * (right - left);
  const y = (value: number): number => floor - ((Math.log10(value) - low) / (high - low)) * (floor - top);
  const parts = [
    text(left, 28, "… and how it grows with rules (one token), µs", "title"),
    text(left, 46, "through: rules on paths; dashed: conditions of every kind", "faint"),
  ];
  for (let decade = low; decade <= high; decade++) {
    const at = fixed(y(10 ** decade));
    parts.push(`<line class="grid" x1="${left}" y1="${at}" x2="${right}" y2="${at}"/>`);
    parts.push(text(left - 6, Number(at) + 4, (10 ** decade).toLocaleString("en-US"), "faint", "end"));
  }
  for (const count of numbers)
    parts.push(text(x(count), floor + 18, count.toLocaleString("en-US"), "faint", "middle"));
  parts.push(text((left + right) / 2, floor + 36, "rules", "faint", "middle"));
  for (const [shape, dash] of CURVES) {
    for (const { contender, title, points } of rules.find((entry) => entry.shape === shape)?.series ?? []) {
      const style = DRAWN.find(([name]) => name === contender)?.[1];
      const [last] = points.slice(-1);
      if (style === undefined || last === undefined) continue;
      const path = points.map(
        ({ rules: count, added }) => `${fixed(x(count))},${fixed(y(Math.max(added.median, 10 ** low)))}`,
      );
      parts.push(`<polyline class="line ${style}${dash}" points="${path.join(" ")}"/>`);
      if (dash === "")
        parts.push(text(x(last.rules) + 6, y(last.added.median) + 4, SHORT[title] ?? title, "faint"));
    }
  }
  return parts.join("\n");
}

/** Titles for narrow places. */
const SHORT: Readonly<Record<string, string>> = { "native with its cache": "native, cached" };

function text(x: number, y: number, content: string, style = "", anchor = "start"): string {
  const attributes = `${style && ` class="${style}"`}${anchor === "start" ? "" : ` text-anchor="${anchor}"`}`;
  return `<text x="${fixed(x)}" y="${fixed(y)}"${attributes}>${content.replaceAll("&", "&amp;").replaceAll("<", "&lt;")}</text>`;
}

function fixed(value: number): string {
  return value.toFixed(1);
}
