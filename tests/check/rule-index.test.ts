/**
 * The index of rules finds every rule that covers another: compared with a check of each pair of random
 * rules.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { RuleIndex } from "../../tools/check/rule-index.ts";
import { ruleCovers } from "../../tools/check/rules.ts";
import { Report } from "../../tools/istio/report.ts";
import { readResources } from "../../tools/istio/resource.ts";
import { parseYaml } from "../../tools/istio/yaml.ts";

const paths = fc.constantFrom("*", "/a", "/a*", "/a/b", "/a/*", "*/b", "*b", "/{*}", "/a\nb*", "İ*", "/");
const hosts = fc.constantFrom("A.example", "a.example", "*.example", "*.EXAMPLE", "İ*", "i̇x", "*");
const numbers = fc.constantFrom("80", "443");
const list = (value: fc.Arbitrary<string>) => fc.uniqueArray(value, { minLength: 1, maxLength: 3 });
const operation = fc
  .record(
    {
      paths: list(paths),
      notPaths: list(paths),
      hosts: list(hosts),
      notHosts: list(hosts),
      ports: list(numbers),
    },
    { requiredKeys: [] },
  )
  .filter((fields) => Object.keys(fields).length > 0);
const source = fc
  .record(
    { requestPrincipals: list(paths), notRequestPrincipals: list(paths), namespaces: list(hosts) },
    { requiredKeys: [] },
  )
  .filter((fields) => Object.keys(fields).length > 0);
const condition = fc
  .record(
    {
      key: fc.constantFrom("request.headers[a]", "request.auth.claims[b]", "request.headersx[c]"),
      values: list(paths),
      notValues: list(paths),
    },
    { requiredKeys: ["key"] },
  )
  .filter((fields) => Object.keys(fields).length > 1);
const rule = fc.record(
  {
    from: fc.array(fc.record({ source }), { minLength: 1, maxLength: 2 }),
    to: fc.array(fc.record({ operation }), { minLength: 1, maxLength: 2 }),
    when: fc.array(condition, { minLength: 1, maxLength: 2 }),
  },
  { requiredKeys: [] },
);

test("no rule that covers another is missed, and the order is kept", () => {
  let covering = 0;
  fc.assert(
    fc.property(fc.array(rule, { minLength: 2, maxLength: 12 }), (written) => {
      const metadata = { name: "p" };
      const kind = "AuthorizationPolicy";
      const policy = { apiVersion: "security.istio.io/v1", kind, metadata, spec: { rules: written } };
      const { documents } = parseYaml("p.yaml", JSON.stringify(policy));
      const rules = readResources(documents, "default", new Report()).flatMap((resource) =>
        resource.kind === "AuthorizationPolicy" ? resource.spec.rules : [],
      );
      const index = new RuleIndex(rules, (place) => `${place % 2}`);
      for (const narrow of rules) {
        const found = [...index.candidates(narrow, ["0", "1"])];
        expect(found).toEqual([...new Set(found)].sort((a, b) => a - b));
        for (const [place, wide] of rules.entries()) {
          if (!ruleCovers(wide, narrow)) continue;
          covering++;
          expect(found).toContain(place);
        }
        expect([...index.candidates(narrow, ["1"])].every((place) => place % 2 === 1)).toBe(true);
      }
    }),
    { numRuns: 1000 },
  );
  expect(covering).toBeGreaterThan(2_000);
});
