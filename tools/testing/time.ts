/** Times as tests write them: relative to when the test happens, or absolute. */

const UNITS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * @param text `in 5m`, `2h ago`, `now`, a time in ISO 8601, or seconds since 1970
 * @param now milliseconds since 1970
 * @returns milliseconds since 1970; undefined where the text is none of these
 */
export function parseMoment(text: string, now: number): number | undefined {
  if (text === "now") return now;
  const [, sign, before, unit = ""] = /^(in )?(\d+(?:\.\d+)?)(ms|s|m|h|d)(?: ago)?$/.exec(text) ?? [];
  const isPast = text.endsWith(" ago");
  if (before !== undefined && (sign !== undefined) !== isPast) {
    const span = Number(before) * (UNITS[unit] ?? 0);
    return isPast ? now - span : now + span;
  }
  return parseTime(text);
}

/** @returns milliseconds since 1970 of an absolute time; undefined where the text is none */
export function parseTime(text: string): number | undefined {
  if (/^\d+$/.test(text)) return Number(text) * 1_000;
  const time = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
}
