/** The generated files of the repository are those that its sources generate today. */
import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import { GENERATED } from "../../scripts/docs/index.ts";
import { configurationSchema } from "../../scripts/docs/schema.ts";

describe("generated files", () => {
  test.each(Object.entries(GENERATED))("%s is up to date (npm run docs)", async (path, render) => {
    expect(readFileSync(new URL(`../../${path}`, import.meta.url), "utf8")).toBe(await render());
  });
});

describe("the JSON Schema of the configuration", () => {
  const validate = new Ajv2020({ allErrors: true }).compile(configurationSchema());
  const rule = (condition: unknown) => ({
    version: 1,
    contents: { providers: 0, rules: 1 },
    authorization: {
      predicates: [{ claim: ["iss"], match: { nonEmpty: true } }, { path: { template: "/a/{*}" } }],
      deny: { rules: [{ id: "ns[foo]-policy[bar]-rule[0]", condition }] },
    },
  });

  const smallest = {
    version: 1,
    authorization: { predicates: [], allow: { rules: [] } },
    contents: { providers: 0, rules: 0 },
  };

  test("takes the smallest configuration", () => expect(validate(smallest)).toBe(true));
  test("takes conditions in conditions", () => {
    expect(validate(rule({ and: [0, { not: { or: [1, { and: [] }] } }] }))).toBe(true);
  });
  test.each([
    ["no version", { ...smallest, version: undefined }],
    ["another version", { ...smallest, version: 2 }],
    ["an unknown member", { ...smallest, extra: true }],
    ["one that does not say what it holds", { ...smallest, contents: undefined }],
    ["nothing to check", { version: 1, contents: { providers: 0, rules: 0 } }],
    ["an empty list of providers", { version: 1, providers: [], contents: { providers: 0, rules: 0 } }],
    ["policies without a rule set", { ...smallest, authorization: { predicates: [] } }],
    ["an empty rule set", { ...smallest, authorization: { predicates: [], deny: {} } }],
    ["an unknown member of a condition", rule({ and: [], or: [] })],
    ["a predicate of no kind", { ...smallest, authorization: { predicates: [{}], allow: { rules: [] } } }],
    ["a limit out of range", { ...smallest, limits: { maxTokens: 0 } }],
  ])("refuses %s", (_, configuration) => expect(validate(configuration)).toBe(false));
});
