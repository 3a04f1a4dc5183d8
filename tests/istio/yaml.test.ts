import { describe, expect, test } from "vitest";
import type { Diagnostic } from "../../tools/diagnostics.ts";
import { decodeText, nodeAt, parseYaml, readYaml, type YamlNode } from "../../tools/istio/yaml.ts";

/** Plain values; for a scalar that is not a string, the value that YAML gives it. */
function plain(node: YamlNode): unknown {
  switch (node.kind) {
    case "map":
      return Object.fromEntries([...node.entries].map(([name, { value }]) => [name, plain(value)]));
    case "list":
      return node.items.map(plain);
    case "string":
      return node.value;
    case "boolean":
      return node.value;
    default:
      return { [node.kind]: node.source };
  }
}

function read(text: string): unknown[] {
  const { documents, diagnostics } = parseYaml("f", text);
  expect(diagnostics).toEqual([]);
  return documents.map(plain);
}

function faults(text: string): string[] {
  const { documents, diagnostics } = parseYaml("f", text);
  expect(documents).toEqual([]);
  return diagnostics.map(({ line, column, message }) => `${line}:${column}: ${message}`);
}

test("a position in a file is also right after text that is not YAML", () => {
  expect(faults('y{\n "a": "b",\n "c": {\n  "d": "e"\n }\n}\n---\nb: *c\n').at(-1)).toMatch(/^8:4: /);
});

describe("scalars are those of go-yaml v2", () => {
  test.each(["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"])("%s is true", (text) =>
    expect(read(`a: ${text}`)).toEqual([{ a: true }]),
  );
  test.each(["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"])(
    "%s is false",
    (text) => expect(read(`a: ${text}`)).toEqual([{ a: false }]),
  );
  test.each(["", "~", "null", "Null", "NULL"])("%j is null", (text) =>
    expect(read(`a: ${text}`)).toEqual([{ a: { null: text } }]),
  );
  const numbers = [
    "0",
    "80",
    "-1",
    "+1",
    "0x1F",
    "0o17",
    "0b11",
    "017",
    "08",
    "1_000",
    "1e3",
    ".5",
    "1.",
    "-.5",
    "1.25",
    ".55",
    "1e-10",
    "-0x1F",
    ".inf",
  ];
  test.each([...numbers, "-.INF", ".NaN"])("%s is a number", (text) =>
    expect(read(`a: ${text}`)).toEqual([{ a: { number: text } }]),
  );
  const strings = [
    "yEs",
    "oN",
    "nULL",
    "0x",
    "_1",
    "12:30",
    "2020-01-01",
    "1.2.3",
    "x.inf",
    ".infx",
    "1.nan",
    "10x1F",
    "0x1Fg",
    "-x1",
    "1.x",
    "1ex2",
    "y1",
    "nullx",
    "10.0.0.0/8",
    "-",
    "--",
    "e3",
    "/x/{*}",
  ];
  test.each(strings.filter((text) => text !== "-"))("%s is a string", (text) =>
    expect(read(`a: ${text}`)).toEqual([{ a: text }]),
  );
  test("quotes, block style and !!str make strings", () => {
    const text = "a: 'no'\nb: \"8\\u0030\"\nc: |\n  yes\nd: >-\n  1\n  2\ne: !!str 80\n";
    expect(read("a: |-\nb: |2\n? c\n: d\n")).toEqual([{ a: "", b: "", c: "d" }]);
    expect(read(text)).toEqual([{ a: "no", b: "80", c: "yes\n", d: "1 2", e: "80" }]);
  });
});

describe("structure", () => {
  test("documents, comments and empty documents", () => {
    expect(read("# c\n---\na: b\n---\n---\n- c\n...\n")).toEqual([{ a: "b" }, ["c"]]);
  });
  test.each([
    ["a: b\n---", [{ a: "b" }]],
    ["a: b\n--- c\n--- [d]\n", [{ a: "b" }, "c", ["d"]]],
    ["a: b\n...", [{ a: "b" }]],
    ["a: b\n...\nc: d\n", [{ a: "b" }, { c: "d" }]],
    ["a: b\n... # c\n...\nc: d\n", [{ a: "b" }, { c: "d" }]],
    ["---x: b\n", [{ "---x": "b" }]],
    ["a: |\n x\n---\nb: c", [{ a: "x\n" }, { b: "c" }]],
    // Directives belong to the document after them, with blank lines and comments between.
    ["%YAML 1.1\n---\na: b\n", [{ a: "b" }]],
    ["\n%YAML 1.1\n---\na: b\n", [{ a: "b" }]],
    [" \t # c\n# d\n%YAML 1.1\n \n---\na: b\n", [{ a: "b" }]],
    ["# c\r\n%YAML 1.1\r\n---\r\na: b\r\n", [{ a: "b" }]],
    ["a: b\n...\n# c\n%YAML 1.1\n---\nc: d\n", [{ a: "b" }, { c: "d" }]],
  ])("the documents of %j", (text, documents) => expect(read(text)).toEqual(documents));
  test("a document with a fault is left out, and the others are read", () => {
    const diagnostics: Diagnostic[] = [];
    const text = "a: 1\na: 2\n---\nb: c\n---\nd: [\n---\n- e\n";
    expect([...readYaml("f", text, diagnostics)].map(plain)).toEqual([{ b: "c" }, ["e"]]);
    expect(diagnostics.map(({ line }) => line)).toEqual([2, 7]);
  });
  test("empty items", () =>
    expect(read("- \n-\n- # c\n")).toEqual([[{ null: "" }, { null: "" }, { null: "" }]]));
  test("names without values", () => {
    expect(read("? a\n? b\n")).toEqual([{ a: { null: "" }, b: { null: "" } }]);
    expect(read("- ? a\n- b\n- c:\n- d\n")).toEqual([[{ a: { null: "" } }, "b", { c: { null: "" } }, "d"]]);
  });
  test("an empty file has no documents", () => expect(read("")).toEqual([]));
  test("JSON is YAML", () =>
    expect(read('{"a": ["b", true, null]}')).toEqual([{ a: ["b", true, { null: "null" }] }]));
  test.each([
    ["a: {\n}\nb: c", { a: {}, b: "c" }],
    [
      "s:\n  rules: [\n    {a: [\n      x\n    ]},  # one\n    # two\n  ]\n  b: c",
      { s: { rules: [{ a: ["x"] }], b: "c" } },
    ],
    ["- rules: [\n    'a # b', # c\n]\n- d: {\n  e: f\n}\n", [{ rules: ["a # b"] }, { d: { e: "f" } }]],
    ["a: [\tb,\n\t\tc\t]", { a: ["b", "c"] }],
    ["s:\n  rules: [\n  {a: b},\n c, 'd\n   e'\n]", { s: { rules: [{ a: "b" }, "c", "d e"] } }],
    ["a:\n  - 'b\n c'\n", undefined],
    // A line of a block that looks so is text.
    ["a: [\n]\nb: |\n  x\n  # y\n\n}\n", undefined],
    ["a:\n  b: [\n  ]\n  c: |\n   x # y\n   z\n  d: [\n  ]\n", { a: { b: [], c: "x # y\nz\n", d: [] } }],
    ["a:\n  b: [\n  ]\n  c: |\n  ]\n", undefined],
    ["a:\n- b: [\n  ]\n  c:\n    - |\n     x\n  d: 'x\n   y'\n", { a: [{ b: [], c: ["x\n"], d: "x y" }] }],
    [`a:\n${"- b: [\n  ]\n".repeat(500)}`, { a: Array(500).fill({ b: [] }) }],
  ])("a closing bracket may be as little indented as its line: %j", (text, value) => {
    if (value === undefined) expect(faults(text)).not.toEqual([]);
    else expect(read(text)).toEqual([value]);
  });
  test("a bracket in a block that is indented as one outside is text", () => {
    const text =
      "a:\n  b: [\n    ]\n  c: |\n    {\n    }\n  d: [\n    ]\n  e: [\n  ]\n  f: >\n  \n  g: |\n    # x\n    ]\n";
    expect(read(text)).toEqual([{ a: { b: [], c: "{\n}\n", d: [], e: [], f: "", g: "# x\n]\n" } }]);
    const same = "a:\n- b: {\n  }\n- c:\n   - |\n  }\n";
    expect(faults(same)).not.toEqual([]);
    const inBlock = "- a: [\n ]\n- |\n x\n ]\n- b: [\n ]\n";
    expect(read(inBlock)).toEqual([[{ a: [] }, "x\n]\n", { b: [] }]]);
  });
  test("a byte order mark is not part of the text", () => expect(read("\ufeffa: b")).toEqual([{ a: "b" }]));
  test("anchors, aliases and anchors that are used again", () => {
    expect(read("a: &x [p, &y q]\nb: *x\nc: &y r\nd: *x\ne: *y")).toEqual([
      { a: ["p", "q"], b: ["p", "q"], c: "r", d: ["p", "q"], e: "r" },
    ]);
  });
  test("aliases of lists and maps in lines", () => {
    expect(read("a: &x\n- b\n- c\nd: *x\ne:\n- *x\n- f\n")).toEqual([
      { a: ["b", "c"], d: ["b", "c"], e: [["b", "c"], "f"] },
    ]);
    expect(read("a: &x\n  b: c\n  d:\n  - e\n  - f: g\nh: *x\ni:\n  <<: *x\n  j: k\n")).toEqual([
      {
        a: { b: "c", d: ["e", { f: "g" }] },
        h: { b: "c", d: ["e", { f: "g" }] },
        i: { b: "c", d: ["e", { f: "g" }], j: "k" },
      },
    ]);
  });
  test("merged fields never replace written ones, and the first merged wins", () => {
    const text = "base: &a {p: a, q: a}\nother: &b {q: b, r: b}\nc:\n  p: c\n  <<: [*a, *b]\n";
    expect((read(text)[0] as { c: unknown }).c).toEqual({ p: "c", q: "a", r: "b" });
  });
  test("a name in quotes merges nothing", () =>
    expect(read("'<<': {a: b}\n\"c\": d\n")).toEqual([{ "<<": { a: "b" }, c: "d" }]));
  test("the names of anchors have letters, digits, - and _", () =>
    expect(read("a: &long-name_1 b\nc: *long-name_1\nd: [*long-name_1]\n")).toEqual([
      { a: "b", c: "b", d: ["b"] },
    ]));
  test("tags of strings, lists and maps change nothing else", () => {
    expect(read("!!str 80")).toEqual(["80"]);
    expect(read("!!map {a: !!seq [! 1, !<tag:yaml.org,2002:str> 2]}")).toEqual([{ a: ["1", "2"] }]);
  });
  test.each<[string, string]>([
    ["a: b", "1:4"],
    ["a: 'b'", "1:4"],
    ['a: "b"', "1:4"],
    ["a: [b]", "1:4"],
    ["a: &x b", "1:7"],
    ["a: !!str 'b'", "1:10"],
    ["a:\n  - b", "2:3"],
    ["a: |\n  b\n", "1:4"],
    ["a: >-\n  b\n", "1:4"],
    ["a:   |2- # c\n    b\n", "1:6"],
    ["a: |\r\n  b\r\n", "1:4"],
    ["a: &x |+ \n  b\n\n", "1:7"],
    ["a: !!str >\n  b\n", "1:10"],
    ["a: |", "1:4"],
    ["a: ''", "1:4"],
    // A value that is absent has the position of its name.
    ["a:", "1:1"],
    ["a: # c\nb: d", "1:1"],
    ["a: &x\nb: d", "1:1"],
  ])("the value in %j is at %s", (text, place) => {
    const at = nodeAt(parseYaml("f", text).documents[0], "a")?.at;
    expect(`${at?.line}:${at?.column}`).toBe(place);
  });
  test.each([
    ["- \n-\n- c", ["1:1", "2:1", "3:3"]],
    ["- # b\n\n# c\n- d\n", ["1:1", "4:3"]],
    ["-\n  # b\n-\n", ["1:1", "3:1"]],
    ["- &x\n- !!str\n-\n- b", ["1:5", "2:8", "3:1", "4:3"]],
    ["-\n- - \n  -\n-", ["1:1", "2:3", "4:1"]],
  ])("the items of %j are at %j", (text, places) => {
    const [list] = parseYaml("f", text).documents;
    const items = list?.kind === "list" ? list.items : [];
    expect(items.map(({ at }) => `${at.line}:${at.column}`)).toEqual(places);
  });
  test("the value of an alias is where it is written, and what follows is not", () => {
    const [document] = parseYaml("f", "a: &x\n  - b\n  - c: d\ne:\n  f: *x\n  g: h\n").documents;
    expect(nodeAt(document, "e", "f", 1, "c")?.at).toEqual({ file: "f", line: 3, column: 8 });
    expect(nodeAt(document, "e", "g")?.at).toEqual({ file: "f", line: 6, column: 6 });
  });
  test("what is at a path of names and indices", () => {
    const [document] = parseYaml("f", "a: [b, {c: d}]\n'1': e\n").documents;
    const at = (...path: (string | number)[]) => {
      const node = nodeAt(document, ...path);
      return node && plain(node);
    };
    expect(at("a", 0)).toBe("b");
    expect(at("a", 1, "c")).toBe("d");
    expect(at(1)).toBe("e");
    expect([at("a", 2), at("a", "0"), at("a", 0, 0), at("a", 0, "b"), at("x", "y")]).toEqual(
      Array(5).fill(undefined),
    );
  });
  test("positions count lines from 1 and columns in UTF-16 units, and \\r\\n is one line end", () => {
    const [document] = parseYaml("f", "a: 😀\r\n😀b: [c, d]\r\n").documents;
    const entries = document?.kind === "map" ? [...document.entries.values()] : [];
    expect(entries[1]?.key.at).toEqual({ file: "f", line: 2, column: 1 });
    expect(entries[1]?.value.at).toEqual({ file: "f", line: 2, column: 6 });
  });
});

describe("what is refused, and its position", () => {
  test.each([
    ["a: 1\nb: 2\na: 3\n", "3:1: this field is written twice"],
    ["a:\n  b: 1\n  b: 1\n", "3:3: this field is written twice"],
    ["a:\n\tb: 1\n", "2:1: a tab cannot indent YAML"],
    ["a: [*]", "1:5: a lone * is an alias in YAML: put a value that begins with * in quotes"],
    ["a:\n- *.example.com\n", "2:3: *.example.com is an alias in YAML"],
    ["a: *b\nb: &b c\n", "1:4: *b is an alias in YAML, and there is no &b before it"],
    ["a: *b\n---\nb: &b c\n", "1:4: *b is an alias"],
    ["y: b", "1:1: YAML reads the name y as the boolean true: put it in quotes"],
    ["8080: b", "1:1: YAML reads the name 8080 as a number: put it in quotes"],
    ["? [a]\n: b", "1:3: a field's name must be a string"],
    ["{{ x }}: b", "1:2: a field's name must be a string: a name that begins with [ or { needs quotes"],
    ["? {a: b}\n: c", "1:3: a field's name must be a string"],
    [": b", "1:1: YAML reads the name here as nothing (null): put it in quotes"],
    ["a: &x {p: 1, p: 2}\nb: *x", "1:14: this field is written twice"],
    ["!custom b", "1:9: the tag !custom is not supported: write the value without it"],
    ["a: !!strx b", "1:11: the tag !!strx is not supported"],
    ["a: b:", "1:5: this is not YAML: a line has one name and one value"],
    ["a: `b", "1:4: this is not YAML: put a value that begins with ` in quotes"],
    ["a: %b", "1:4: this is not YAML: put a value that begins with % in quotes"],
    ["a:\n  b: 'c\n\td'", "3:2: a tab cannot come before this in YAML: use spaces"],
    ["a: !!int '5'", "1:10: the tag !!int is not supported"],
    ["a: !custom b", "1:12: the tag !custom is not supported"],
    ["a: b\u0000c", "1:5: the character U+0000 is not allowed in YAML"],
    ["a:\n  b: c\u007fd", "2:7: the character U+007F"],
    ["a: \ufeffb", "1:4: the character U+FEFF"],
    ["a: b\nc: d\re: f", "2:5: the character U+000D"],
    ["a: b\u2028c: d", "1:5: the character U+2028"],
    ["a: b\u0085c: d", "1:5: the character U+0085"],
    ["a: &b c\nc: d\n*b : e\n", "3:1: this field is written twice"],
    ['a: "\\ud83d"', "1:4: an escape in this value is half of a character"],
    ["a:\n  <<: b\n", "2:7: `<<` takes a map, or a list of maps"],
    ["a: 'b", "1:6: this is not YAML: "],
    ["a: @b", "1:4: this is not YAML: put a value that begins with @ in quotes"],
    ["a: b: c", "1:5: this is not YAML: a line has one name and one value"],
    ["a: b\n  c\nd", "3:2: this is not YAML: "],
    ["a: 'b' c", "1:8: the indentation does not fit, or quotes are missing or too many"],
    ["a: &x b: c", "1:4: this is not YAML: a line has one name and one value"],
    ["a: !!map b: c", "1:4: this is not YAML: a line has one name and one value"],
    ["  --- a: b", "1:8: this is not YAML: "],
    ["  ---\na: b", "1:3: this is not YAML: write --- at the beginning of the line"],
    ["x:\n- ''a: b", "2:5: this is not YAML: a value ends before this, on the same line"],
    ["x:\n- 'a'\n- 'b'c: d", "3:6: this is not YAML: a value ends before this, on the same line"],
    ["a: &x[b]", "1:4: the name of an anchor or alias has letters"],
    ["a: &x:y b", "1:4: the name of an anchor or alias has letters"],
    ["a: &x b\nc: *x.y", "2:4: *x.y is an alias in YAML, and there is no &x.y before it"],
    ["%TAG ! tag:x,2000:\n---\na: b", "1:1: tags of one's own are not supported"],
  ])("%j", (text, expected) => {
    const [first, ...others] = faults(text);
    expect(first?.startsWith(expected), first).toBe(true);
    expect(others).toEqual([]);
  });
  test("lists and maps are nested in at most 98 others", () => {
    const nested = (levels: number) => `${"[".repeat(levels)}${"]".repeat(levels)}`;
    expect(read(nested(99))).toHaveLength(1);
    expect(faults(nested(100))).toEqual(["1:100: lists and maps are nested too deeply"]);
    expect(faults("[".repeat(1000))).toEqual([
      expect.stringContaining("lists and maps are nested too deeply"),
    ]);
    expect(faults("a: &a\n- *a\n")).toEqual([
      expect.stringContaining("lists and maps are nested too deeply"),
    ]);
  });
  test("the faults of a file are reported up to 51", () => {
    expect(faults("---\n}\n".repeat(60))).toHaveLength(51);
    expect(faults("a: b\n".repeat(60))).toHaveLength(51);
    expect(faults("---\n}\n".repeat(51))).toHaveLength(51);
  });
  test("every duplicate is named", () => {
    expect(faults("a: 1\na: 2\nb: 1\nb: 2\n").map((fault) => fault.slice(0, 3))).toEqual(["2:1", "4:1"]);
  });
});

describe("bytes", () => {
  const bytes = (...values: number[]) => decodeText("f", Uint8Array.from(values));
  test("a byte order mark is dropped", () => expect(bytes(0xef, 0xbb, 0xbf, 0x61)).toEqual({ text: "a" }));
  test.each([
    ["a byte that begins nothing", [0x61, 0x0a, 0xc3, 0xa9, 0xff, 0x61], 2, 2],
    ["a truncated character", [0x61, 0xe2, 0x82], 1, 2],
    ["the first byte of a mark of UTF-16 alone", [0xff, 0x61], 1, 1],
    ["the other first byte", [0xfe, 0x61], 1, 1],
    ["the second byte of a mark of UTF-16", [0x61, 0xfe], 1, 2],
    ["the other second byte", [0x61, 0xff], 1, 2],
    ["an overlong form", [0xc0, 0xaf], 1, 1],
    ["a surrogate", [0x0d, 0x0a, 0xed, 0xa0, 0x80], 2, 1],
  ])("%s is named with its place", (_, values, line, column) => {
    const message = "this is not valid UTF-8: save the file as UTF-8";
    expect(bytes(...values)).toEqual({ diagnostic: { file: "f", line, column, severity: "error", message } });
  });
  test.each([[[0xff, 0xfe, 0x61, 0x00]], [[0xfe, 0xff, 0x00, 0x61]]])("UTF-16 is named", (values) => {
    const decoded = bytes(...values);
    expect("diagnostic" in decoded && decoded.diagnostic.message).toBe(
      "the file is UTF-16: save it as UTF-8",
    );
  });
});
