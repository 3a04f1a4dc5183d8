/** Exactly the recorded policies that istiod and Envoy accepted compile. */
import { readdirSync, readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import { configurationSchema } from "../../scripts/docs/schema.ts";
import { compile } from "../../tools/targets/compile.ts";
import { WIDER } from "../support/cases.ts";

interface Case {
  name: string;
  policies: string;
  oracle: { status: string; ignored?: unknown[] };
}

const FOLDER = new URL("../cases/", import.meta.url);
const names = readdirSync(FOLDER).filter((name) => name.endsWith(".json"));
const validate = new Ajv2020().compile(configurationSchema());

function read(name: string): Case {
  return JSON.parse(readFileSync(new URL(name, FOLDER), "utf8"));
}

function isTaken({ name, oracle }: Case): boolean {
  return WIDER.has(name) || (oracle.status === "applied" && (oracle.ignored ?? []).length === 0);
}

describe("recorded policies", () => {
  test("are all here", () => expect(names).toHaveLength(260));

  test.each(names)("%s", (name) => {
    const recorded = read(name);
    const { configuration, diagnostics } = compile([{ name, text: recorded.policies }], {
      target: "envoy",
    });
    const errors = diagnostics.filter(({ severity }) => severity === "error");
    if (isTaken(recorded)) {
      expect(errors).toEqual([]);
      expect(validate(configuration), JSON.stringify(validate.errors)).toBe(true);
    } else {
      expect(configuration).toBeUndefined();
      expect(errors.length).toBeGreaterThan(0);
      for (const { file, line, column } of errors) {
        expect(file).toBe(name);
        expect(line).toBeGreaterThan(0);
        expect(column).toBeGreaterThan(0);
      }
    }
  });
});
