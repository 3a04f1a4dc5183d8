/** The definition of TokenPolicy for clusters takes what the compiler takes. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv } from "ajv";
import { describe, expect, test } from "vitest";
import { parseAllDocuments, parse as parseYaml } from "yaml";
import { PLACES } from "../../tools/istio/places.ts";
import { JWKS, messages } from "./support.ts";

const ROOT = join(import.meta.dirname, "../..");
const read = (file: string) => readFileSync(join(ROOT, file), "utf8");

const definition = parseYaml(read("schema/tokenpolicies.jwtgate.dev.yaml")) as {
  spec: { versions: { name: string; schema: { openAPIV3Schema: Record<string, unknown> } }[] };
};
const [version] = definition.spec.versions;
const schema = version?.schema.openAPIV3Schema as {
  properties: { spec: { properties: Record<string, unknown> } };
};
const validate = new Ajv({ strict: false }).compile(schema);

test("has the fields of the kind", () => {
  const fields = Object.entries(PLACES).flatMap(([name, place]) =>
    place === "spec of a TokenPolicy" ? [name] : [],
  );
  expect(Object.keys(schema.properties.spec.properties).sort()).toEqual(["targetRefs", ...fields].sort());
});

test("takes the sample", () => {
  const resources = parseAllDocuments(read("envoy/token-policy/policy.yaml")).map((one) => one.toJS());
  const policies = resources.filter(({ kind }) => kind === "TokenPolicy");
  expect(policies).toHaveLength(1);
  for (const policy of policies) expect(validate(policy), JSON.stringify(validate.errors)).toBe(true);
});

describe("agrees with the compiler about", () => {
  const target = { kind: "RequestAuthentication", name: "jwt" };
  test.each<[object, boolean]>([
    [{ tokenTypes: ["at+jwt", "Application/AT+JWT"] }, true],
    [{ tokenTypes: ["at+jwt;v=1"] }, false],
    [{ tokenTypes: ["a/b/c"] }, false],
    [{ tokenTypes: [] }, false],
    [{ requiredClaims: [""] }, false],
    [{ maxLifetime: "1h30m" }, true],
    [{ maxLifetime: "3600" }, false],
    [{ maxLifetime: "-1h" }, false],
    [{ clockSkew: "0" }, true],
    [{ clockSkew: "30s" }, true],
    [{ clockSkew: 30 }, false],
    [{ clockSkew: "1s", issuers: [] }, false],
    [{ clockSkew: "1s", targetRefs: [] }, false],
    [{ clockSkew: "1s", targetRefs: [{ ...target, kind: "Service" }] }, false],
    [{ clockSkew: "1s", targetRefs: [{ ...target, group: "security.istio.io" }] }, true],
  ])("%j", (fields, isGood) => {
    const policy = {
      apiVersion: "jwtgate.dev/v1alpha1",
      kind: "TokenPolicy",
      metadata: { name: "t", namespace: "shop" },
      spec: { targetRefs: [target], ...fields },
    };
    const authentication = {
      apiVersion: "security.istio.io/v1",
      kind: "RequestAuthentication",
      metadata: { name: "jwt", namespace: "shop" },
      spec: { jwtRules: [{ issuer: "i", jwks: JWKS }] },
    };
    const text = [authentication, policy].map((one) => JSON.stringify(one)).join("\n---\n");
    expect({ cluster: validate(policy), compiler: messages(text).length === 0 }).toEqual({
      cluster: isGood,
      compiler: isGood,
    });
  });
});
