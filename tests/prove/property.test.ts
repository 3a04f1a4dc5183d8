/** Properties of policies: proven, or refuted by a request that was run. */
import { describe, expect, test } from "vitest";
import { requestLines } from "../../tools/prove/format.ts";
import { type Property, prove } from "../../tools/prove/property.ts";
import { authentication, compiledYaml, issuer, policy } from "./policies.ts";
import { MODULE } from "./random.ts";

const TOKENS = authentication(`[${issuer()}]`);
const SIGNED_IN = '[{from: [{source: {requestPrincipals: ["*"]}}]}]';
const ADMIN = 'to: [{operation: {paths: ["/admin", "/admin/*"]}}]';
const NOT_IN_GROUP = 'when: [{key: "request.auth.claims[groups]", notValues: ["admin"]}]';

async function proof(
  policies: string,
  rules: string,
  are: Property["are"],
  tokens: Property["tokens"] = ["none", "valid", "bad"],
): Promise<string> {
  const { configuration } = compiledYaml(policies);
  const about = compiledYaml(policy("DENY", rules)).configuration;
  if (configuration === undefined || about === undefined) throw new Error("nothing was compiled");
  const { holds, counterexample, undecided, cases } = await prove(
    configuration,
    { about, are, tokens },
    { module: MODULE },
  );
  if (holds) return cases > 0 ? "proven" : "proven without a case";
  if (undecided !== undefined) return `undecided: ${undecided}`;
  if (counterexample === undefined) throw new Error("there is no counterexample");
  const { status } = counterexample.reply;
  return `${status}: ${requestLines(counterexample.witness).join(", ")}`;
}

describe("properties", () => {
  const GUARDED = `${TOKENS}${policy("DENY", `[{${ADMIN}, ${NOT_IN_GROUP}}]`)}`;
  const TOO_NARROW = `${TOKENS}${policy("DENY", `[{to: [{operation: {paths: ["/admin"]}}], ${NOT_IN_GROUP}}]`)}`;

  test.each<[string, string, string, Property["are"], string]>([
    ["what a policy refuses", GUARDED, `[{${ADMIN}, ${NOT_IN_GROUP}}]`, "refused", "proven"],
    [
      "what another path leaves open",
      TOO_NARROW,
      `[{${ADMIN}, ${NOT_IN_GROUP}}]`,
      "refused",
      "200: GET /admin/ of localhost, without a token",
    ],
    [
      "what needs more than a token",
      `${TOKENS}${policy("ALLOW", SIGNED_IN)}`,
      `[{${ADMIN}, ${NOT_IN_GROUP}}]`,
      "refused",
      '200: GET /admin of localhost, with a token in the header authorization after "Bearer ": {"iss":"https://a.example","sub":"a"}',
    ],
    [
      "what is open to everyone, with a bad token",
      GUARDED,
      '[{to: [{operation: {paths: ["/health"]}}]}]',
      "allowed",
      '401: GET /health of localhost, with a text that is not a token in the header authorization after "Bearer "',
    ],
    [
      "rules that nothing matches",
      GUARDED,
      '[{to: [{operation: {paths: ["/x?y"]}}]}]',
      "refused",
      "undecided: no request that can arrive matches these rules, so they prove nothing: correct them",
    ],
  ])("%s", async (_, policies, rules, are, expected) => {
    expect(await proof(policies, rules, are)).toBe(expected);
  });

  test.each<[string, Property["tokens"], string]>([
    ["without tokens", ["none"], "proven"],
    ["with good tokens", ["valid"], "proven"],
    [
      "with bad tokens",
      ["bad"],
      '401: GET /health of localhost, with a text that is not a token in the header authorization after "Bearer "',
    ],
  ])("the tokens of a request: %s", async (_, tokens, expected) => {
    expect(await proof(GUARDED, '[{to: [{operation: {paths: ["/health"]}}]}]', "allowed", tokens)).toBe(
      expected,
    );
  });

  test("a required token", async () => {
    const required = `${authentication(`[${issuer(", presence: REQUIRED")}]`)}${policy("ALLOW", "[{}]")}`;
    expect(await proof(required, "[{}]", "allowed", ["none"])).toBe(
      "401: GET / of localhost, without a token",
    );
    expect(await proof(required, "[{to: [{operation: {methods: [GET]}}]}]", "refused", ["none"])).toBe(
      "proven",
    );
  });
});
