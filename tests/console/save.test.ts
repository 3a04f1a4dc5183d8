/** A request is added to a test file, and the rest of the text stays as it was. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type Addition, addTest } from "../../console/engine/save.ts";

const add = (text: string, more: Partial<Addition> = {}) =>
  addTest({
    tests: { name: "a.test.yaml", text },
    policies: ["a.yaml"],
    setting: {},
    keys: { page: { alg: "ES256", issuer: "me" } },
    tokens: { token: { key: "page", claims: { sub: "no", level: 1 } } },
    test: { name: "new", request: { path: "/", token: "token" }, expect: 200 },
    ...more,
  });

describe("a request is saved", () => {
  test("into a new file", () => {
    expect(add("")).toBe(`policies: [a.yaml]
keys:
  page:
    alg: ES256
    issuer: me
tokens:
  token:
    key: page
    claims:
      sub: "no"
      level: 1
tests:
- name: new
  request:
    path: /
    token: token
  expect: 200
`);
  });

  test("into a new file, with the listener and the workload", () => {
    const setting = { workload: { labels: { app: "shop" } }, listener: { mode: "sidecar" as const } };
    expect(add("", { setting })).toContain(`policies: [a.yaml]
workload:
  labels:
    app: shop
listener:
  mode: sidecar
keys:
`);
  });

  test("into a file with comments, all lines of which are kept", () => {
    const text = readFileSync("envoy/istio/one-principal.test.yaml", "utf8");
    const added = add(text);
    const lines = added.split("\n");
    expect(
      text
        .trimEnd()
        .split("\n")
        .filter((line) => !lines.includes(line)),
    ).toEqual([]);
    expect(added).toContain("  attacker: {}\n  page:\n    alg: ES256\n    issuer: me\n\ntokens:");
    expect(added.endsWith("- name: new\n  request:\n    path: /\n    token: token\n  expect: 200\n")).toBe(
      true,
    );
  });

  test("with any indentation, and before the comments of the next field", () => {
    const added = add(
      "policies: [a.yaml]\ntests:\n    - name: old\n      expect: 200\n\n# Ours.\nkeys:\n    k: {}\n",
    );
    expect(added).toContain("      expect: 200\n    - name: new\n");
    expect(added).toContain(
      "\n# Ours.\nkeys:\n    k: {}\n    page:\n        alg: ES256".replace("        alg", "      alg"),
    );
  });

  test("or is refused, if the file has another form", () => {
    for (const text of [
      "policies: [a.yaml]\ntests: [{name: old, expect: 200}]\n",
      "{policies: [a.yaml], tests: []}",
      "policies: [a.yaml\n",
    ])
      expect(() => add(text), text).toThrow("nothing can be added to a.test.yaml");
  });
});
