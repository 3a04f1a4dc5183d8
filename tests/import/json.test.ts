/**
 * The reader of JSON against JSON.parse: the same values, the right positions, and the same texts refused.
 */
import { describe, expect, test } from "vitest";
import { parseJson } from "../../tools/import/json.ts";
import type { YamlNode } from "../../tools/istio/yaml.ts";
import { plain } from "../../tools/testing/read.ts";
import type { Random } from "../fuzz/random.ts";
import { forAll } from "../support/for-all.ts";

function randomValue(random: Random, depth = 0): unknown {
  switch (random.below(depth > 4 ? 5 : 7)) {
    case 0:
      return random.pick([0, -1, 1.5, 1e21, 123456789]);
    case 1:
      return random.pick([true, false, null]);
    case 5:
      return random.list(0, 4, () => randomValue(random, depth + 1));
    case 6:
      return Object.fromEntries(
        random.list(0, 4, (index) => [`k${index}${random.bytes(3)}`, randomValue(random, depth + 1)]),
      );
    default:
      return random.bytes(random.below(20)) + random.pick(["", "\u2028", "😀", '"\\', "\ud800"]);
  }
}

test("random values", () => {
  forAll(2000, (random) => {
    const value = randomValue(random);
    const text = JSON.stringify(value, null, random.pick([0, 1, "\t"]));
    const node = parseJson("f", text);
    expect(node && plain(node)).toEqual(value);
  });
});

test("random damage: the reader refuses what JSON.parse refuses, and repeated names", () => {
  forAll(5000, (random) => {
    const whole = JSON.stringify(randomValue(random));
    const at = random.below(whole.length + 1);
    const text =
      whole.slice(0, at) +
      random.pick(["", "x", '"', ",", "]", "}", "\\", "\n", "1", ":"]) +
      whole.slice(at + random.below(2));
    let expected: unknown;
    try {
      expected = { value: JSON.parse(text) };
    } catch {
      expected = undefined;
    }
    const node = parseJson("f", text);
    const found = node && { value: plain(node) };
    if (found !== undefined || !/"[^"]*"\s*:/.test(text)) expect(found, text).toEqual(expected);
  });
});

test("places", () => {
  const node = parseJson("f", '{\n  "a": [1,\r\n\t"😀", {"b": null}]\n}');
  const places: [string, number, number][] = [];
  const walk = (one: YamlNode): void => {
    places.push([one.kind, one.at.line, one.at.column]);
    if (one.kind === "list") for (const item of one.items) walk(item);
    if (one.kind === "map") for (const { value } of one.entries.values()) walk(value);
  };
  if (node) walk(node);
  expect(places).toEqual([
    ["map", 1, 1],
    ["list", 2, 8],
    ["number", 2, 9],
    ["string", 3, 2],
    ["map", 3, 8],
    ["null", 3, 14],
  ]);
});

describe("refused", () => {
  test.each([
    "",
    "{",
    '{"a":1,"a":2}',
    "[1,]",
    "{a:1}",
    "'a'",
    "01",
    "nul",
    '"\n"',
    "[1] x",
    `${"[".repeat(100_000)}`,
    `${'{"a":'.repeat(300)}1${"}".repeat(300)}`,
  ])("%j", (text) => {
    expect(parseJson("f", text)).toBeUndefined();
  });
});
