/** Users may choose names that every JavaScript object has. They are names like any other. */
import { writeFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { thumbprint } from "../../tools/jwks/thumbprint.ts";
import { compile } from "../../tools/targets/compile.ts";
import { parseLabels } from "../../tools/values.ts";
import { Workspace } from "../support/cli.ts";
import { TestKey } from "../support/tokens.ts";

const workspace = new Workspace();
afterAll(() => workspace.remove());

const NAMES = ["constructor", "toString", "hasOwnProperty", "__proto__"];
const key = TestKey.generate("HS256", "k");
const ISSUER = "https://idp.example.com";

/** Runs a command, which has no bug. */
function run(...args: string[]) {
  const ran = workspace.run(args, { env: { NO_COLOR: "1" } });
  expect(ran.stdout + ran.stderr).not.toMatch(/has a bug|native code|\[object/);
  return ran;
}

const resource = (kind: string, name: string, spec: string): string =>
  `apiVersion: security.istio.io/v1\nkind: ${kind}\nmetadata: {name: ${name}, namespace: foo}\nspec: ${spec}\n---\n`;

describe.each(NAMES)("%s", (name) => {
  test("as a label of new", () => {
    const { status, stdout } = run("new", "--issuer", ISSUER, "--namespace", "foo", "--labels", `${name}=x`);
    expect(status).toBe(0);
    const [first] = parseAllDocuments(stdout, { schema: "yaml-1.1" });
    expect(first?.getIn(["spec", "selector", "matchLabels", name])).toBe("x");
  });

  test("as a label of a workload", () => {
    expect(Object.entries(parseLabels(`${name}=x,app=y`))).toEqual([
      [name, "x"],
      ["app", "y"],
    ]);
    expect(() => parseLabels(`${name}=x,${name}=y`)).toThrow("one value");
  });

  test("as a label that one of two selections has: they can meet", () => {
    const selections = ["{app: a}", `{${name}: x}`];
    for (const order of [selections, selections.toReversed()]) {
      const text = order
        .map((labels, i) =>
          resource("AuthorizationPolicy", `p${i}`, `{selector: {matchLabels: ${labels}}, rules: [{}]}`),
        )
        .join("");
      const { diagnostics } = compile([{ name: "p.yaml", text }], { target: "wasmplugin" });
      expect(diagnostics.map(({ message }) => message)).toContainEqual(
        expect.stringContaining("can be for the same workload"),
      );
    }
  });

  test("as the type of a key", () => {
    writeFileSync(workspace.path("key.json"), JSON.stringify({ kty: name }));
    expect(run("jwk", "key.json")).toMatchObject({ status: 1, stdout: "" });
    expect(thumbprint({ kty: name })).toMatch(/^[\w-]{43}$/);
  });

  test("as the algorithm of a secret, which is too short for any", () => {
    const jwks = JSON.stringify({ keys: [{ kty: "oct", k: "c2VjcmV0", alg: name }, key.jwk] });
    writeFileSync(
      workspace.path("p.yaml"),
      resource("RequestAuthentication", "idp", `{jwtRules: [{issuer: i, jwks: '${jwks}'}]}`),
    );
    const { stdout } = run("check", "-f", "p.yaml");
    expect(stdout).toContain("keys[0] has a secret of 6 bytes, and HS256 needs at least 32");
  });

  test("as a claim that is a list and one that is forwarded: explain prints what the filter does", () => {
    const rule = `{issuer: '${ISSUER}', jwks: '${key.jwks}', spaceDelimitedClaims: [${name}], outputClaimToHeaders: [{header: x-c, claim: ${name}}]}`;
    writeFileSync(
      workspace.path("p.yaml"),
      resource("RequestAuthentication", "idp", `{jwtRules: [${rule}]}`) +
        resource(
          "AuthorizationPolicy",
          "allow",
          `{rules: [{when: [{key: 'request.auth.claims[${name}]', values: [b]}]}]}`,
        ),
    );
    const explain = (payload: string) =>
      run("explain", "-f", "p.yaml", "--token", key.tokenOf(payload), "--header", `${name}: x`);
    expect(explain(`{"iss":"${ISSUER}"}`)).toMatchObject({ status: 0 });
    const { status, stdout } = explain(`{"iss":"${ISSUER}","${name}":"a b"}`);
    expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringMatching(/\n {2}forwarded\n/) });
  });

  test("in a file of tests: a token, a key, a test, a header and a field", () => {
    writeFileSync(
      workspace.path("p.yaml"),
      resource("RequestAuthentication", "idp", `{jwtRules: [{issuer: '${ISSUER}'}]}`) +
        resource("AuthorizationPolicy", "allow", "{rules: [{from: [{source: {requestPrincipals: ['*']}}]}]}"),
    );
    const file = (more: string) => `policies: [p.yaml]
keys: {${name}: {alg: ES256, issuer: ${ISSUER}}}
tokens: {${name}: {key: ${name}, claims: {sub: s, ${name}: c}, header: {${name}: h}}}
tests:
- name: ${name}
  request: {token: ${name}, headers: {${name}: x}}
  expect: {status: 200}
${more}`;
    writeFileSync(workspace.path("x.test.yaml"), file(""));
    expect(run("test", "x.test.yaml")).toMatchObject({ status: 0 });
    writeFileSync(workspace.path("x.test.yaml"), file(`${name}: {}\n`));
    expect(run("test", "x.test.yaml").stdout).toContain(`unknown field "${name}" here`);
    writeFileSync(
      workspace.path("x.test.yaml"),
      file("").replace(`{token: ${name}`, "{token: valueOf").replace(`{key: ${name}`, "{key: valueOf"),
    );
    const { stdout } = run("test", "x.test.yaml");
    expect(stdout).toContain('there is no key "valueOf"');
    expect(stdout).toContain('there is no token "valueOf"');
  });

  test("as a field and a key of when, which do not exist", () => {
    const messages = (spec: string) =>
      compile([{ name: "p.yaml", text: resource("AuthorizationPolicy", "p", spec) }], { target: "envoy" })
        .diagnostics.map(({ message }) => message)
        .join();
    expect(messages(`{rules: [{}], ${name}: {}}`)).toContain(`unknown field "${name}"`);
    expect(messages(`{action: ${name}, rules: [{}]}`)).toContain(`"${name}"`);
    expect(messages(`{rules: [{when: [{key: ${name}, values: [a]}]}]}`)).toContain(`unknown key "${name}"`);
  });
});
