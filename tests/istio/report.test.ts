/** How much of a wrong file is reported. */
import { expect, test } from "vitest";
import { compile } from "../../tools/targets/compile.ts";
import { faultsAtMark, resource, rule } from "./support.ts";

/** A policy with that many faults, each in a line of its own. */
const wrong = (count: number, name: string) =>
  resource(
    "AuthorizationPolicy",
    `\n  rules:\n${"  - {to: [{operation: {ports: [x]}}]}\n".repeat(count)}`,
    name,
  );

test("of each file the first 51 errors are reported, and none of another file is lost", () => {
  const { diagnostics } = compile(
    [
      { name: "a.yaml", text: wrong(70, "a") },
      { name: "b.yaml", text: wrong(3, "b") },
      { name: "c.yaml", text: wrong(51, "c") },
    ],
    { target: "config" },
  );
  const of = (file: string) => diagnostics.filter((one) => one.file === file);
  expect(of("a.yaml")).toHaveLength(51);
  expect(of("a.yaml").at(-1)).toMatchObject({ severity: "error", line: 56, column: 32 });
  expect(of("b.yaml")).toHaveLength(3);
  expect(of("c.yaml")).toHaveLength(51);
});

test.each([
  ["a".repeat(80), "a".repeat(80)],
  ["a".repeat(81), `${"a".repeat(77)}…`],
  [`${"a".repeat(76)}bcdef`, `${"a".repeat(76)}b…`],
])("a long value is cut in a message: %s", (value, shown) => {
  expect(faultsAtMark(rule(`{to: [{operation: {ports: [▲${value}]}}]}`))).toEqual([
    `"${shown}" is not a port: write a number from 0 to 65535 in quotes`,
  ]);
});
