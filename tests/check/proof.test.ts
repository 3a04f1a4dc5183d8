/** What the prover finds about rules: how it is worded, and that the module agrees. */
import { expect, test } from "vitest";
import { check } from "../../tools/check/exact.ts";
import { compileSources, INSPECTED } from "../../tools/compile.ts";
import { Explainer } from "../../tools/explain/explainer.ts";
import { loadModules } from "../../tools/modules.ts";

const FILE = "p.yaml";

/** The messages of findings of some codes. */
function messages(text: string, ...codes: string[]): string[] {
  const { findings, diagnostics } = check([{ name: FILE, text }]);
  expect(diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
  return findings
    .filter(({ code }) => codes.includes(code))
    .map(({ code, line, column, message }) => `${code} ${line}:${column} ${message}`);
}

const policy = (name: string, action: string, ...rules: string[]) => `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ${name}}
spec:
  action: ${action}
  rules:
${rules.map((rule) => `  - ${rule}\n`).join("")}`;
const paths = (...list: string[]) => `to: [{operation: {paths: ${JSON.stringify(list)}}}]`;
const methods = (field: string, ...list: string[]) =>
  `to: [{operation: {${field}: ${JSON.stringify(list)}}}]`;

test("all rules that cover another together are named, without those that need not be there", () => {
  const text = policy(
    "p",
    "ALLOW",
    methods("methods", "GET"),
    paths("/b"),
    methods("notMethods", "GET"),
    paths("/a/*"),
  );
  expect(messages(text, "JG207")).toEqual([
    "JG207 8:5 the rules at p.yaml:7:5 and p.yaml:9:5 together match all that this one does",
    "JG207 10:5 the rules at p.yaml:7:5 and p.yaml:9:5 together match all that this one does",
  ]);
});

test("DENY rules that make an ALLOW rule unreachable together are named, too", () => {
  const text = `${policy("d", "DENY", methods("methods", "GET"), methods("notMethods", "GET"))}---
${policy("a", "ALLOW", paths("/a"), paths("/b"))}`;
  expect(messages(text, "JG206")[0]).toBe(
    "JG206 16:5 this rule allows nothing: the DENY rules at p.yaml:7:5 and p.yaml:8:5 together match all of it",
  );
});

test("of more than five rules, five are named", () => {
  const ports = [1, 2, 3, 4, 5, 6].map((port) => `to: [{operation: {ports: ["${port}"]}}]`);
  const rest = 'to: [{operation: {notPorts: ["1", "2", "3", "4", "5", "6"]}}]';
  const [found] = messages(policy("p", "ALLOW", ...ports, rest, paths("/a")), "JG207");
  expect(found).toMatch(/p\.yaml:7:5, .*p\.yaml:11:5 and 2 more together match all that this one does$/);
});

const IDP = `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: idp}
spec: {jwtRules: [{issuer: "https://idp.example.com", jwksUri: "https://idp.example.com/keys"}]}
---
`;
const TOKEN = 'from: [{source: {requestPrincipals: ["*"]}}]';

test.each([
  [
    "a prefix without a slash",
    `${IDP}${policy("p", "ALLOW", `{${TOKEN}, ${paths("/api/publications")}}`, paths("/api/pub*"))}`,
    'JG216 13:31 GET /api/publications passes without a token, and "/api/publications" at p.yaml:12:78 is to need one',
  ],
  [
    "an exemption of a DENY rule",
    `${IDP}${policy("d", "DENY", '{from: [{source: {notRequestPrincipals: ["*"]}}], to: [{operation: {notPaths: ["/public*"]}}]}')}---
${policy("a", "ALLOW", `{${TOKEN}, ${paths("/publications")}}`, paths("/*"))}`,
    'JG216 12:84 GET /publications passes without a token, and "/publications" at p.yaml:20:78 is to need one',
  ],
])("%s is reported with a request that passes in the module", async (_, text, message) => {
  const found = messages(text, "JG216");
  expect(found).toEqual([message]);
  const [, method = "", path = ""] = /(\S+) (\S+) passes/.exec(found[0] ?? "") ?? [];
  const sources = [{ name: FILE, text }];
  const { result } = compileSources(sources, { target: INSPECTED });
  const explainer = await Explainer.open(result, sources, { modules: await loadModules() });
  expect((await explainer.explain({ method, path })).outcome.answer?.status).toBeUndefined();
});

test("an extension provider may refuse what policies let through", () => {
  const text = `${IDP}${policy("p", "ALLOW", `{${TOKEN}, ${paths("/a")}}`, paths("/*"))}`;
  const asked = policy("c", "CUSTOM", paths("/a")).replace("action:", "provider: {name: x}\n  action:");
  expect(messages(text, "JG216")).toHaveLength(1);
  expect(messages(`${text}---\n${asked}`, "JG216")).toEqual([]);
});

test("a token that a RequestAuthentication requires is not about rules", () => {
  const required = IDP.replace('keys"', 'keys", presence: REQUIRED');
  const text = `${policy("p", "ALLOW", `{${TOKEN}, ${paths("/a")}}`, paths("/*"))}`;
  expect(messages(`${required}${text}`, "JG216")).toEqual([]);
});
