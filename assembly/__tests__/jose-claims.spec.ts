import { reset } from "../memory/arena";
import { EMPTY } from "../memory/slice";
import { decodeLenient } from "../encoding/base64url";
import { JsonDocument } from "../encoding/json";
import { ClaimValue, claimHeaderValue } from "../jose/claims";
import { bytes, toText } from "./support";

const payload = new JsonDocument();

/** The header value of a claim in a payload; "none" for no header, "invalid" for a value that no header can carry. */
function value(text: string, name: string): string {
  const document = bytes(text);
  const path = bytes(name);
  reset();
  expect(payload.parse(document)).toBe(true, text);
  const result = claimHeaderValue(payload, path);
  if (result == EMPTY) return "none";
  return result == ClaimValue.INVALID ? "invalid" : toText(result);
}

/** The header value of a claim `c`. */
function claim(json: string): string {
  return value(`{"c":${json}}`, "c");
}

/** The JSON whose base64 is the header value of a claim `c`. */
function decoded(json: string): string {
  const base64 = claim(json);
  expect(base64.length % 4).toBe(0);
  return toText(decodeLenient(bytes(base64)));
}

describe("claims as header values", () => {
  it("strings as they are", () => {
    expect(claim('"ember"')).toBe("ember");
    expect(claim('" a b "')).toBe(" a b ");
    expect(claim('"é漢😀"')).toBe("é漢😀");
    expect(claim('"\\u00e9\\/\\""')).toBe('é/"');
    expect(claim('"a\\tb"')).toBe("a\tb");
    expect(claim('"\\u0080\\u009f"')).toBe("\u0080\u009f");
  });

  it("no control character (S9)", () => {
    expect(claim('"a\\nb"')).toBe("invalid");
    expect(claim('"a\\rb"')).toBe("invalid");
    expect(claim('"\\u0000"')).toBe("invalid");
    expect(claim('"\\u001f"')).toBe("invalid");
    expect(claim('"a\\u007f"')).toBe("invalid");
    expect(claim('"\\b"')).toBe("invalid");
    expect(claim('"\\n"')).toBe("invalid");
  });

  it("no header for an empty, null or missing claim", () => {
    expect(claim('""')).toBe("none");
    expect(claim("null")).toBe("none");
    expect(value("{}", "c")).toBe("none");
    expect(value('{"C":"x"}', "c")).toBe("none");
  });

  it("booleans", () => {
    expect(claim("true")).toBe("true");
    expect(claim("false")).toBe("false");
  });

  it("integers from 0 to 2^64, through a double", () => {
    expect(claim("0")).toBe("0");
    expect(claim("-0")).toBe("0");
    expect(claim("-0.0")).toBe("0");
    expect(claim("7")).toBe("7");
    expect(claim("1.0")).toBe("1");
    expect(claim("1E3")).toBe("1000");
    expect(claim("9007199254740993")).toBe("9007199254740992");
    expect(claim("12345678901234567890")).toBe("12345678901234567168");
    expect(claim("18446744073709549568")).toBe("18446744073709549568");
    expect(claim("1e19")).toBe("10000000000000000000");
    expect(claim("1e-400")).toBe("0");
  });

  it("other numbers with six decimals", () => {
    expect(claim("-3")).toBe("-3.000000");
    expect(claim("1.5")).toBe("1.500000");
    expect(claim("18446744073709551615")).toBe("18446744073709551616.000000");
    expect(claim("1e22")).toBe("10000000000000000000000.000000");
    expect(claim("0.0000005")).toBe("0.000000");
    expect(claim("0.0000015")).toBe("0.000002");
    expect(claim("-1e-9")).toBe("-0.000000");
    expect(claim("123456789.123456789")).toBe("123456789.123457");
  });

  it("lists and objects as base64 of compact JSON", () => {
    expect(claim("[]")).toBe("W10=");
    expect(claim("{}")).toBe("e30=");
    expect(claim('["a","b"]')).toBe("WyJhIiwiYiJd");
    expect(decoded('[ null , true , false , "a" , [ ] , { } , [ [ ] ] , { "k" : null } ]')).toBe(
      '[null,true,false,"a",[],{},[[]],{"k":null}]',
    );
    expect(decoded('{"k":"v","in":{"deep":"z"},"list":["p","q"]}')).toBe(
      '{"k":"v","in":{"deep":"z"},"list":["p","q"]}',
    );
    expect(decoded('{"":1}')).toBe('{"":1}');
  });

  it("numbers in them as protobuf prints them", () => {
    expect(decoded("[0,-0,-0.0,1,-1,1.5,0.1,3.0,1E3,100]")).toBe("[0,-0,-0,1,-1,1.5,0.1,3,1000,100]");
    expect(decoded("[1e15,999999999999999,9007199254740993,1e16,123456789012345678]")).toBe(
      "[1e+15,999999999999999,9007199254740992,1e+16,1.2345678901234568e+17]",
    );
    expect(decoded("[1e-4,1e-5,0.30000000000000004,5e-324,1.7976931348623157e308]")).toBe(
      "[0.0001,1e-05,0.30000000000000004,4.94065645841247e-324,1.7976931348623157e+308]",
    );
  });

  it("escapes in them as protobuf writes them", () => {
    expect(decoded('["\\"\\\\\\/\\b\\f\\n\\r\\t"]')).toBe('["\\"\\\\/\\b\\f\\n\\r\\t"]');
    expect(decoded('["\\u0000\\u0001\\u001f\\u007f\\u0080\\u009f\\u00a0"]')).toBe(
      '["\\u0000\\u0001\\u001f\\u007f\\u0080\\u009f\u00a0"]',
    );
    expect(decoded('["<&>\'"]')).toBe('["\\u003c&\\u003e\'"]');
    expect(decoded('{"<k>\\n":"v"}')).toBe('{"\\u003ck\\u003e\\n":"v"}');
    expect(decoded('["\\u00ad\\u0600\\u0604\\u06dd\\u070f\\u17b4\\u17b5\\u200b\\u200f\\u2010"]')).toBe(
      '["\\u00ad\\u0600\u0604\\u06dd\\u070f\\u17b4\\u17b5\\u200b\\u200f\u2010"]',
    );
    expect(decoded('["\\u2028\\u202e\\u2060\\u2064\\u2065\\u206a\\u206f\\ufeff\\ufff9\\ufffb\\ufffc"]')).toBe(
      '["\\u2028\\u202e\\u2060\\u2064\u2065\\u206a\\u206f\\ufeff\\ufff9\\ufffb\ufffc"]',
    );
    expect(decoded('["\u{1d173}\u{1d17b}\u{e0001}\u{e0020}\u{e007f}\u{e0080}é漢😀"]')).toBe(
      '["\\ud834\\udd73\u{1d17b}\\udb40\\udc01\\udb40\\udc20\\udb40\\udc7f\u{e0080}é漢😀"]',
    );
  });

  it("a list of the characters that grow most", () => {
    expect(decoded('["' + "<".repeat(2000) + '"]')).toBe('["' + "\\u003c".repeat(2000) + '"]');
    expect(decoded("[" + "1e14,".repeat(2000) + "0]")).toBe("[" + "100000000000000,".repeat(2000) + "0]");
    expect(decoded("[".repeat(99) + "]".repeat(99))).toBe("[".repeat(99) + "]".repeat(99));
  });
});

describe("names of claims", () => {
  it("dots select members of objects", () => {
    const text = '{"a":{"b":{"c":"deep"},"l":[{"x":"y"}]},"a.b":"dotted","":{"x":"empty"},"s":"t"}';
    expect(value(text, "a.b.c")).toBe("deep");
    expect(value(text, "a.b")).toBe("eyJjIjoiZGVlcCJ9");
    expect(value(text, ".x")).toBe("empty");
    expect(value(text, "a.b.c.d")).toBe("none");
    expect(value(text, "a.x")).toBe("none");
    expect(value(text, "a.l.x")).toBe("none");
    expect(value(text, "a.l.0")).toBe("none");
    expect(value(text, "s.t")).toBe("none");
    expect(value(text, "a.")).toBe("none");
    expect(value(text, "a..b")).toBe("none");
    expect(value(text, ".")).toBe("none");
  });
});
