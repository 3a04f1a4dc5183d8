/** Times in one spelling, on the command line and in test files. */
import { parseDuration } from "./istio/duration.ts";

/** The forms that a message suggests. */
export const TIME_FORMS = "now+1h, now-30m, 2026-01-31T12:00:00Z or seconds since 1970";

/** ECMA-262 §21.4.1.1. */
const MAX_MILLISECONDS = 8.64e15;

const DAY_MS = 86_400_000;

/** RFC 3339 §5.6, or the date alone, which is its midnight in UTC. */
const RFC_3339 = /^(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)([Zz]|[+-]\d\d:\d\d))?$/;

/**
 * Reads a time.
 *
 * @param text `now`; `now+1h30m` and `now-2d`, of which `now` may be left out (`1h`, `-2d`), with units `ms`, `s`, `m`, `h` and
 * `d`; a time of RFC 3339, or its date alone; or seconds since 1970
 * @param now milliseconds since 1970
 * @returns milliseconds since 1970; undefined if the text is none of these
 */
export function parseTime(text: string, now: number): number | undefined {
  const time = relative(text, now) ?? absolute(text);
  return time !== undefined && Math.abs(time) <= MAX_MILLISECONDS ? time : undefined;
}

function relative(text: string, now: number): number | undefined {
  if (text === "now") return now;
  const [, sign, days, rest = ""] = /^(?:now(?=[+-]))?([+-]?)(?:(\d+(?:\.\d+)?)d)?(.*)$/s.exec(text) ?? [];
  if (days === undefined && rest === "") return undefined;
  // A duration without a unit, such as 0, is ambiguous.
  if (rest !== "" && !/^\d.*[a-z]$/.test(rest)) return undefined;
  const span = rest === "" ? 0 : parseDuration(rest);
  if (span === undefined) return undefined;
  return now + (sign === "-" ? -1 : 1) * (Number(days ?? 0) * DAY_MS + span);
}

function absolute(text: string): number | undefined {
  if (/^\d{1,15}$/.test(text)) return Number(text) * 1000;
  const [, date, time = "00:00:00", zone = "Z"] = RFC_3339.exec(text) ?? [];
  if (date === undefined) return undefined;
  // Engines read the 30th of February as the 1st or 2nd of March.
  const day = Date.parse(`${date}T00:00:00Z`);
  if (Number.isNaN(day) || !new Date(day).toISOString().startsWith(date)) return undefined;
  const parsed = Date.parse(`${date}T${time}${zone.toUpperCase()}`);
  return Number.isNaN(parsed) ? undefined : parsed;
}
