/** Regular expressions as Istio's patterns: they match what the regular expression matches. */
import { describe, expect, test } from "vitest";
import { intersection, patternsOf } from "../../tools/import/patterns.ts";
import type { Random } from "../fuzz/random.ts";
import { forAll } from "../support/for-all.ts";

/** Whether one of Istio's patterns matches a text. */
function matches(pattern: string, text: string): boolean {
  if (pattern === "*") return text !== "";
  if (pattern.startsWith("*")) return text.endsWith(pattern.slice(1));
  if (pattern.endsWith("*")) return text.startsWith(pattern.slice(0, -1));
  return text === pattern;
}

function randomRegex(random: Random, depth = 0): string {
  const part = (): string => {
    switch (random.below(depth > 1 ? 5 : 7)) {
      case 0:
        return ".*";
      case 1:
        return ".+";
      case 5:
        return `(${random.pick(["", "?:"])}${randomRegex(random, depth + 1)}|${randomRegex(random, depth + 1)})${random.pick(["", "?"])}`;
      default:
        return random.pick(["a", "b", "/", "\\.", "[.]", "a?", "ab"]);
    }
  };
  return random.list(1, 3, part).join("");
}

test("random regular expressions and texts", () => {
  let understood = 0;
  forAll(3000, (random) => {
    const regex = randomRegex(random);
    const patterns = patternsOf({ regex }, "text");
    if ("fault" in patterns) return;
    understood++;
    const real = new RegExp(`^(?:${regex})$`, "s");
    for (let j = 0; j < 50; j++) {
      const text = random.list(0, 5, () => random.pick(["a", "b", "/", "."])).join("");
      const found =
        patterns.always ||
        (patterns.nonEmpty && text !== "") ||
        patterns.alternatives.some(({ pattern, except }) => matches(pattern, text) && text !== except);
      expect(found, `${regex} and ${JSON.stringify(text)}`).toBe(real.test(text));
    }
  });
  expect(understood).toBeGreaterThan(500);
});

test.each([
  "[a-z]+",
  "a{2}",
  "\\d",
  "(?i)a",
  "a**",
  "(a",
  "a)",
  "a|",
  ".a.b.",
  "x*",
  "(a|b)+",
  "\\",
  "$a",
  "a^",
])("not understood: %s", (regex) => {
  expect(patternsOf({ regex }, "text")).toHaveProperty("fault");
});

describe("what two patterns have in common", () => {
  test("random patterns", () => {
    forAll(3000, (random) => {
      const word = () => random.list(1, 3, () => random.pick(["a", "b"])).join("");
      const pattern = () => random.pick([word(), `${word()}*`, `*${word()}`, "*"]);
      const [a, b] = [pattern(), pattern()];
      const both = intersection(a, b);
      if (both === undefined) return;
      for (let j = 0; j < 20; j++) {
        const text = random.list(0, 4, () => random.pick(["a", "b"])).join("");
        const found = both.some((one) => matches(one, text));
        expect(found, `${a}, ${b}, ${text}`).toBe(matches(a, text) && matches(b, text));
      }
    });
  });
});
