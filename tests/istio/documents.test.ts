/** Documents of a folder that may be policies, templates or other programs' files, and comments in them. */
import { describe, expect, test } from "vitest";
import { sawClaim } from "../../tools/istio/attributes.ts";
import { findTemplate, leaveOut, mayBeResource } from "../../tools/istio/resource.ts";
import { parseYaml, readComments, type YamlNode } from "../../tools/istio/yaml.ts";

function documentOf(text: string): YamlNode {
  const [document] = parseYaml("f", text).documents;
  if (document === undefined) throw new Error(`not YAML: ${text}`);
  return document;
}

describe("a document of a folder", () => {
  test.each([
    "{apiVersion: v1, kind: Service}",
    "{ApiVersion: v1, KIND: Service}",
    "{metadata: {name: a}}",
    "{spec: {}}",
    "{a: AuthorizationPolicy}",
    "{a: security.istio.io/v1beta1}",
    "[{a: 1}, {kind: b, apiVersion: c}]",
    "{items: [{metadata: {}}]}",
  ])("%s may be a resource", (text) => expect(mayBeResource(documentOf(text))).toBe(true));

  test.each([
    "replicas: 2",
    "{apiVersion: v2, name: chart}",
    "{kind: Kustomization}",
    "{a: security.istio.io}",
    "{a: [AuthorizationPolicy]}",
    "{items: [1, a]}",
    "{items: {spec: 1, b: 2}}".replace("spec: 1, ", ""),
    "[]",
    "text",
    "7",
  ])("%s is not one", (text) => expect(mayBeResource(documentOf(text))).toBe(false));
});

describe("a file that is not YAML", () => {
  const fault = (file: string) => ({
    file,
    severity: "error" as const,
    message: "not YAML",
    line: 1,
    column: 1,
  });

  test.each([
    ["a.yaml", "{{ .Values.x }}"],
    ["tsconfig.json", "// a comment"],
    ["a/b/jsconfig.base.json", "//"],
    ["a\\tsconfig.json", "//"],
  ])("%s is left out: %s", (file, text) => {
    expect(leaveOut(fault(file), text)).toEqual({
      ...fault(file),
      severity: "warning",
      message: "this file is left out: it names no policy, and it is not YAML (not YAML)",
    });
  });

  test.each([
    ["a.yaml", "a: b: c"],
    ["a.yaml", "{{ x }} kind: AuthorizationPolicy"],
    ["a.yaml", "{{ x }} apiVersion: security.istio.io/v1"],
    ["mytsconfig.json", "//"],
    ["tsconfig.yaml", "//"],
    ["tsconfig.json/a.yaml", "//"],
  ])("%s is an error: %s", (file, text) => expect(leaveOut(fault(file), text)).toEqual(fault(file)));
});

describe("a template", () => {
  const policy = (spec: string) => documentOf(`apiVersion: security.istio.io/v1\nspec: ${spec}\n`);

  test.each<[string, YamlNode, object | undefined]>([
    ["a value", policy('"{{ .Values.a }}"'), { line: 2, column: 7 }],
    ["in lists and maps", policy('{a: [b, {c: "x{{y}}z"}]}'), { line: 2, column: 19 }],
    ["over lines", policy('"{{\\n}}"'), { line: 2, column: 7 }],
    [
      "in an item",
      documentOf('items:\n- a: 1\n- {apiVersion: security.istio.io/v1, spec: "{{a}}"}\n'),
      { line: 3 },
    ],
    ["braces that do not close", policy('"{{ a"'), undefined],
    ["outside of the spec", documentOf('{apiVersion: security.istio.io/v1, metadata: "{{a}}"}'), undefined],
    ["of another group", documentOf('{apiVersion: apps/v1, spec: "{{a}}"}'), undefined],
    ["a list", documentOf('["{{a}}"]'), undefined],
    ["items that are not a list", documentOf('{items: "{{a}}"}'), undefined],
    ["numbers and no spec", documentOf("{apiVersion: security.istio.io/v1, a: 1}"), undefined],
  ])("%s", (_, document, place) => {
    if (place === undefined) expect(findTemplate(document)).toBeUndefined();
    else expect(findTemplate(document)).toMatchObject({ file: "f", ...place });
  });
});

test("comments begin after a blank or at the beginning of a line, and not in values", () => {
  const text = `# one
a: b # two
c: "# no" #three
d: x#no
e: &name !!str 'f' # four
g: |
  # no
h: [i, # five
  j]
---
# six\r
k: l
--- # seven
m`;
  expect([...readComments("f", text)].map(({ at, text: comment }) => [at.line, at.column, comment])).toEqual([
    [1, 1, "# one"],
    [2, 6, "# two"],
    [3, 11, "#three"],
    [5, 20, "# four"],
    [8, 8, "# five"],
    [11, 1, "# six"],
    [13, 5, "# seven"],
  ]);
  expect([...readComments("f", "a: [ # lost\n---\n# found\nb: c\n")].map((one) => one.text)).toEqual([
    "# found",
  ]);
});

describe("a token's value at the path of a claim", () => {
  const claims = {
    sub: "a",
    list: [1, 2],
    inner: { deep: true },
    "a.b": 1,
    nothing: null,
    a: { c: 2 },
    long: "x".repeat(200),
  };
  test.each<[string[], string]>([
    [["sub"], 'sub is "a"'],
    [["list"], "list is [1,2]"],
    [["inner", "deep"], "[inner][deep] is true"],
    [["a.b"], "a.b is 1"],
    [["a.c"], "the token has no a.c, but [a][c] is there: write request.auth.claims[a][c]"],
    [["a.d"], "the token has no a.d"],
    [["missing"], "the token has no missing"],
    [["list", "0"], "the token has no [list][0]"],
    [["sub", "length"], "the token has no [sub][length]"],
    [["toString"], "the token has no toString"],
    [["nothing", "x"], "the token has no [nothing][x]"],
    [["a.c", "d"], "the token has no [a.c][d]"],
    [["long"], `long is "${"x".repeat(96)}…`],
  ])("%j", (path, text) => expect(sawClaim(path, claims)).toBe(text));

  test("without a token", () => expect(sawClaim(["sub"], undefined)).toBe("there is no verified token"));
});
