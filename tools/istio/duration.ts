/** Durations as Go writes them (`time.ParseDuration`), and therefore Kubernetes in a JWTRule's timeout. */

/** Milliseconds in a unit; `µs` has two spellings. */
const UNITS: Record<string, number> = {
  h: 3_600_000,
  m: 60_000,
  s: 1_000,
  ms: 1,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ns: 1e-6,
};

const PART = /(\d+\.?\d*|\.\d+)(h|ms|m|s|us|µs|μs|ns)/y;

/** @returns milliseconds, possibly with a fraction; undefined if the text is not a duration */
export function parseDuration(text: string): number | undefined {
  const unsigned = /^[-+]/.test(text) ? text.slice(1) : text;
  const sign = text.startsWith("-") ? -1 : 1;
  if (unsigned === "0") return 0;
  let total = 0;
  PART.lastIndex = 0;
  while (PART.lastIndex < unsigned.length) {
    const part = PART.exec(unsigned);
    if (part === null) return undefined;
    total += Number(part[1]) * (UNITS[part[2] ?? ""] ?? 0);
  }
  return unsigned === "" ? undefined : sign * total;
}
