import { expect, test } from "vitest";
import { parseDuration } from "../../tools/istio/duration.ts";

test.each([
  ["5s", 5000],
  ["1500ms", 1500],
  ["1.5s", 1500],
  [".5s", 500],
  ["1m30s", 90_000],
  ["1h", 3_600_000],
  ["250us", 0.25],
  ["250µs", 0.25],
  ["0", 0],
  ["+5s", 5000],
  ["-5s", -5000],
])("%s is %d ms", (text, expected) => expect(parseDuration(text)).toBe(expected));

test.each(["", "5", "s", "5 s", "5S", "1d", ".s", "5s!", "--5s", "+"])("%j is not a duration", (text) =>
  expect(parseDuration(text)).toBeUndefined(),
);
