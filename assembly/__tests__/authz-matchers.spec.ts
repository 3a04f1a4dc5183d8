import { reset } from "../memory/arena";
import { Region } from "../memory/region";
import { Slice, endsWith, equals, startsWith, textOf } from "../memory/slice";
import {
  Anchor,
  Pattern,
  loadGlob,
  loadServiceAccount,
  loadStringMatch,
  loadTemplate,
  loadTrustDomain,
} from "../authz/matchers";
import { Reader } from "../document/reader";
import { JsonDocument } from "../encoding/json";
import { bytes, hex } from "./support";

let reader: Reader = new Reader(new JsonDocument(), new Region());

/** Parses a JSON text for a loader. */
function read(json: string): void {
  reset();
  const document = new JsonDocument();
  expect(document.parse(bytes(json))).toBe(true, json);
  reader = new Reader(document, new Region());
}

function matches(pattern: Pattern, value: Slice): bool {
  if (pattern.anchor == Anchor.Whole && !equals(value, pattern.key)) return false;
  if (pattern.anchor == Anchor.Start && !startsWith(value, pattern.key)) return false;
  if (pattern.anchor == Anchor.End && !endsWith(value, pattern.key)) return false;
  const check = pattern.check;
  return check === null || check.matches(value);
}

function stringMatches(json: string, value: string): bool {
  read(json);
  const pattern = loadStringMatch(reader, 0);
  expect(reader.error).toBe("");
  return matches(pattern, bytes(value));
}

function templateMatches(template: string, path: string): bool {
  read(`"${template}"`);
  const pattern = loadTemplate(reader, 0);
  expect(reader.error).toBe("");
  return matches(pattern, bytes(path));
}

/** The segment keys of a template besides its beginning: each segment's number and text. */
function templateAlternatives(template: string): string {
  read(`"${template}"`);
  const alternatives = loadTemplate(reader, 0).alternatives;
  expect(reader.error).toBe("");
  let text = "";
  for (let i = 0; i < alternatives.length; i++) {
    expect(alternatives[i].anchor).toBe(Anchor.Segment);
    text += ` ${alternatives[i].segment.toString()}:${textOf(alternatives[i].key)}`;
  }
  return text;
}

function templateFault(template: string): string {
  read(`"${template}"`);
  loadTemplate(reader, 0);
  return reader.error;
}

function globMatches(pieces: string, name: string): bool {
  read(pieces);
  const pattern = loadGlob(reader, 0);
  expect(reader.error).toBe("");
  return matches(pattern, bytes(name));
}

function isServiceAccount(name: string): bool {
  read('{"namespace": "foo", "name": "bar"}');
  const pattern = loadServiceAccount(reader, 0);
  expect(reader.error).toBe("");
  return matches(pattern, bytes(name));
}

function inTrustDomain(parts: string, name: string): bool {
  read(parts);
  const pattern = loadTrustDomain(reader, 0);
  expect(reader.error).toBe("");
  return matches(pattern, bytes(name));
}

describe("a match of a string", () => {
  it("is exact, of a prefix or of a suffix", () => {
    expect(stringMatches('{"exact": "abc"}', "abc")).toBe(true);
    expect(stringMatches('{"exact": "abc"}', "abcd")).toBe(false);
    expect(stringMatches('{"exact": "abc"}', "ABC")).toBe(false);
    expect(stringMatches('{"exact": ""}', "")).toBe(true);
    expect(stringMatches('{"prefix": "abc"}', "abcd")).toBe(true);
    expect(stringMatches('{"prefix": "abc"}', "abc")).toBe(true);
    expect(stringMatches('{"prefix": "abc"}', "ab")).toBe(false);
    expect(stringMatches('{"suffix": "abc"}', "0abc")).toBe(true);
    expect(stringMatches('{"suffix": "abc"}', "bc")).toBe(false);
  });

  it("of a non-empty value needs UTF-8 without a newline", () => {
    expect(stringMatches('{"nonEmpty": true}', "a")).toBe(true);
    expect(stringMatches('{"nonEmpty": true}', " ")).toBe(true);
    expect(stringMatches('{"nonEmpty": true}', "é\r\t")).toBe(true);
    expect(stringMatches('{"nonEmpty": true}', "")).toBe(false);
    expect(stringMatches('{"nonEmpty": true}', "a\nb")).toBe(false);
    read('{"nonEmpty": true}');
    expect(matches(loadStringMatch(reader, 0), hex("61ff"))).toBe(false);
  });

  it("is one of them", () => {
    const wrong: StaticArray<string> = [
      "{}",
      "1",
      '{"exact": "a", "prefix": "a"}',
      '{"exact": 1}',
      '{"prefix": ""}',
      '{"suffix": ""}',
      '{"nonEmpty": false}',
      '{"nonEmpty": 1}',
      '{"contains": "a"}',
    ];
    for (let i = 0; i < wrong.length; i++) {
      read(wrong[i]);
      loadStringMatch(reader, 0);
      expect(reader.failed).toBe(true, wrong[i]);
    }
  });
});

describe("a template", () => {
  it("can be looked up by every literal segment in a fixed position", () => {
    expect(templateAlternatives("/x/{*}/y/{**}/z")).toBe(" 0:x 2:y");
    expect(templateAlternatives("/{*}/{*}")).toBe("");
    expect(templateAlternatives("/{*}/y/")).toBe(" 1:y");
  });

  it("has only literal segments and operators", () => {
    expect(templateMatches("/x/{*}", "/x/a")).toBe(true);
    expect(templateMatches("/x/{*}", "/x/")).toBe(false);
    expect(templateMatches("/x/{*}", "/x")).toBe(false);
    expect(templateMatches("/x/{*}", "/x/a/")).toBe(false);
    expect(templateMatches("/x/{*}", "/x/a/b")).toBe(false);
    expect(templateMatches("/x/{*}/y", "/x/a/y")).toBe(true);
    expect(templateMatches("/x/{*}/y", "/x/a/yy")).toBe(false);
    expect(templateMatches("/x/{*}/y", "/x//y")).toBe(false);
    expect(templateMatches("/x/{*}/", "/x/a/")).toBe(true);
    expect(templateMatches("/x/{*}/", "/x/a")).toBe(false);
    expect(templateMatches("/{*}", "/x")).toBe(true);
    expect(templateMatches("/{*}/{*}", "/x/y")).toBe(true);
    expect(templateMatches("/{*}/{*}", "/x/")).toBe(false);
  });

  it("matches any text of {**}, followed by the literal text", () => {
    expect(templateMatches("/x/{**}", "/x/")).toBe(true);
    expect(templateMatches("/x/{**}", "/x//y/")).toBe(true);
    expect(templateMatches("/x/{**}", "/x")).toBe(false);
    expect(templateMatches("/{**}", "/")).toBe(true);
    expect(templateMatches("/x/{**}/y", "/x/a/b/y")).toBe(true);
    expect(templateMatches("/x/{**}/y", "/x//y")).toBe(true);
    expect(templateMatches("/x/{**}/y", "/x/y")).toBe(false);
    expect(templateMatches("/x/{**}/", "/x/a/")).toBe(true);
    expect(templateMatches("/x/{**}/", "/x/a")).toBe(false);
    expect(templateMatches("/{*}/b/{**}", "/a/b/")).toBe(true);
    expect(templateMatches("/{*}/b/{**}", "/a/c/")).toBe(false);
  });

  it("knows the characters that Envoy 1.40 knows", () => {
    const known = "!$%&'()*+,-.0123456789:;=@ABCXYZ_abcxyz~";
    for (let i = 0; i < known.length; i++) {
      expect(templateMatches("/{*}", "/" + known.charAt(i))).toBe(true, known.charAt(i));
      expect(templateMatches("/{**}", "/" + known.charAt(i))).toBe(true, known.charAt(i));
    }
    const unknown = '"<>[\\]^`{|}\x7f \t';
    for (let i = 0; i < unknown.length; i++) {
      expect(templateMatches("/{*}", "/" + unknown.charAt(i))).toBe(false, unknown.charAt(i));
      expect(templateMatches("/{**}", "/" + unknown.charAt(i))).toBe(false, unknown.charAt(i));
    }
    expect(templateMatches("/{*}", "/é")).toBe(false);
  });

  it("reads every other character literally", () => {
    expect(templateMatches("/a.b+(c)$/{*}", "/a.b+(c)$/x")).toBe(true);
    expect(templateMatches("/a.b/{*}", "/axb/x")).toBe(false);
    expect(templateMatches("/a=b/%7B/{*}", "/a=b/%7B/x")).toBe(true);
    expect(templateMatches("/x/y", "/x/y")).toBe(true);
    expect(templateMatches("/x/y", "/x/yz")).toBe(false);
  });

  it("is refused if Envoy or Istio refuses it", () => {
    const wrong: StaticArray<string> = [
      "",
      "x/{*}",
      "{*}",
      "//x/{*}",
      "/x//{*}",
      "/x/{*}//",
      "/x/{**}/{*}",
      "/x/{**}/{**}",
      "/x/{*}.js",
      "/x/a{*}",
      "/x/{}/{*}",
      "/x/{a}",
      "/x/*/{*}",
      "/x/a*b/{*}",
      "/x/[/{*}",
      "/x/é/{*}",
      "/x/ /{*}",
      "/x?q/{*}",
    ];
    for (let i = 0; i < wrong.length; i++) expect(templateFault(wrong[i])).not.toBe("", wrong[i]);
  });
});

describe("a glob", () => {
  it("has its pieces in order", () => {
    expect(globMatches('["", "/ns/foo/", ""]', "spiffe://td/ns/foo/sa/x")).toBe(true);
    expect(globMatches('["", "/ns/foo/", ""]', "/ns/foo/")).toBe(true);
    expect(globMatches('["", "/ns/foo/", ""]', "spiffe://td/ns/foot/sa/x")).toBe(false);
    expect(globMatches('["a", "b"]', "ab")).toBe(true);
    expect(globMatches('["a", "b"]', "a…b")).toBe(true);
    expect(globMatches('["a", "b"]', "ba")).toBe(false);
    expect(globMatches('["ab", "bc"]', "abc")).toBe(false);
    expect(globMatches('["a", "b", "b", "c"]', "abbc")).toBe(true);
    expect(globMatches('["a", "b", "b", "c"]', "abc")).toBe(false);
    expect(globMatches('["a", "bb", "b"]', "abb")).toBe(false);
    expect(globMatches('["", ""]', "")).toBe(true);
  });

  it("has no newline and is UTF-8", () => {
    expect(globMatches('["a", "b"]', "a\nb")).toBe(false);
    read('["a", "b"]');
    expect(matches(loadGlob(reader, 0), hex("61ff62"))).toBe(false);
  });

  it("has at least two pieces", () => {
    const wrong: StaticArray<string> = ["[]", '["a"]', '"a"', '["a", 1]', '["a\\n", "b"]'];
    for (let i = 0; i < wrong.length; i++) {
      read(wrong[i]);
      loadGlob(reader, 0);
      expect(reader.failed).toBe(true, wrong[i]);
    }
  });
});

describe("a service account", () => {
  it("matches its namespace, with any text in between", () => {
    expect(isServiceAccount("spiffe://td/ns/foo/sa/bar")).toBe(true);
    expect(isServiceAccount("spiffe://td/a/b/ns/foo/sa/bar")).toBe(true);
    expect(isServiceAccount("spiffe://td/ns/foo/x/sa/bar")).toBe(true);
    expect(isServiceAccount("spiffe://td/ns/foo/sa/bar/x")).toBe(true);
    expect(isServiceAccount("spiffe://td/ns/foo/ns/foo/sa/sa/bar")).toBe(true);
    expect(isServiceAccount("spiffe://td/ns/x/ns/foo/sa/bar")).toBe(true);
    expect(isServiceAccount("spiffe://td/ns/foo/sa/x/sa/bar")).toBe(true);
  });

  it("differs from another account", () => {
    expect(isServiceAccount("spiffe:///ns/foo/sa/bar")).toBe(false);
    expect(isServiceAccount("spiffe://td/ns/foo/sa/barn")).toBe(false);
    expect(isServiceAccount("spiffe://td/ns/foo/sa/bar/")).toBe(false);
    expect(isServiceAccount("spiffe://td/ns/food/sa/bar")).toBe(false);
    expect(isServiceAccount("spiffe://td/ns/foo/xsa/bar")).toBe(false);
    expect(isServiceAccount("spiffe://td/ns/foo//sa/bar")).toBe(false);
    expect(isServiceAccount("spiffe://td/xns/foo/sa/bar")).toBe(false);
    expect(isServiceAccount("spiffe://td/sa/bar/ns/foo")).toBe(false);
    expect(isServiceAccount("spiffe://td/ns/foo/sa/")).toBe(false);
    expect(isServiceAccount("spiffe://td/ns/foo/sa")).toBe(false);
    expect(isServiceAccount("spiffe://td/ns/foo")).toBe(false);
    expect(isServiceAccount("spiffe://t\nd/ns/foo/sa/bar")).toBe(false);
    expect(isServiceAccount("https://td/ns/foo/sa/bar")).toBe(false);
  });
});

describe("a trust domain", () => {
  it("matches the beginning and the end, before the path", () => {
    expect(inTrustDomain('["", ".local"]', "spiffe://cluster.local/ns/foo")).toBe(true);
    expect(inTrustDomain('["", ".local"]', "spiffe://.local/")).toBe(true);
    expect(inTrustDomain('["", ".local"]', "spiffe://cluster.local")).toBe(false);
    expect(inTrustDomain('["", ".local"]', "spiffe://x/cluster.local/")).toBe(false);
    expect(inTrustDomain('["td-", ""]', "spiffe://td-1/")).toBe(true);
    expect(inTrustDomain('["td-", ""]', "spiffe://atd-1/")).toBe(false);
    expect(inTrustDomain('["ab", "bc"]', "spiffe://abc/")).toBe(false);
    expect(inTrustDomain('["ab", "bc"]', "spiffe://abbc/")).toBe(true);
    expect(inTrustDomain('["a", ""]', "spiffe://a\nb/")).toBe(true);
    expect(inTrustDomain('["a", ""]', "spiffe://a/\nb")).toBe(false);
  });

  it("has two parts without a slash", () => {
    const wrong: StaticArray<string> = ["[]", '["a"]', '["a", "b", "c"]', '["a/", "b"]'];
    for (let i = 0; i < wrong.length; i++) {
      read(wrong[i]);
      loadTrustDomain(reader, 0);
      expect(reader.failed).toBe(true, wrong[i]);
    }
  });
});
