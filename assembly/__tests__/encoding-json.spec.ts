import { reset } from "../memory/arena";
import { Slice, lengthOf } from "../memory/slice";
import { JsonDocument, JsonKind, NONE, Node } from "../encoding/json";
import { bytes, hex, toText } from "./support";

const json = new JsonDocument();

/** Parses a text at the arena's start, as a callback would. */
function parse(text: Slice, maxDepth: i32 = 100): bool {
  reset();
  return json.parse(text, maxDepth);
}

function accept(text: string): void {
  expect(parse(bytes(text))).toBe(true, `${text} is JSON`);
  expect(toText(json.raw(json.root))).toBe(text.trim(), "the whole value");
}

function refuse(text: string, message: string, offset: i32 = -1): void {
  refuseBytes(bytes(text), text, message, offset);
}

function refuseBytes(text: Slice, name: string, message: string, offset: i32): void {
  expect(parse(text)).toBe(false, `${name} is not JSON`);
  expect(json.errorMessage).toBe(message, name);
  if (offset >= 0) expect(json.errorOffset).toBe(offset, name);
  expect(json.root).toBe(NONE);
}

/** The unescaped text of a document that is one string. */
function unescaped(text: string): string {
  expect(parse(bytes(text))).toBe(true, text);
  return toText(json.text(json.root));
}

function number(text: string): f64 {
  expect(parse(bytes(text))).toBe(true, text);
  return json.number(json.root);
}

/** An object of `count` members and one more. */
function members(count: i32, last: string): string {
  const parts = new Array<string>();
  for (let i = 0; i < count; i++) parts.push(`"m${i}":${i}`);
  parts.push(last);
  return "{" + parts.join(",") + "}";
}

describe("JSON: the values of RFC 8259", () => {
  it("literals", () => {
    accept("null");
    accept("true");
    accept("false");
    accept("[null,true,false]");
    parse(bytes('[null,true,false,0,"",[],{}]'));
    const kinds: StaticArray<JsonKind> = [
      JsonKind.Null,
      JsonKind.True,
      JsonKind.False,
      JsonKind.Number,
      JsonKind.String,
      JsonKind.Array,
      JsonKind.Object,
    ];
    let n = json.firstChild(json.root);
    for (let i = 0; i < kinds.length; i++) {
      expect<i32>(json.kind(n)).toBe(kinds[i]);
      n = json.nextSibling(n);
    }
    expect(n).toBe(NONE);
  });

  it("only the white space of RFC 8259", () => {
    accept(" \t\r\n[ \t\r\n1 \t\r\n, \t\r\n2 \t\r\n] \t\r\n");
    accept(' { "a" : 1 , "b" : [ ] , "c" : { } } ');
    accept("\n0\n");
    refuse("[1\f]", "',' or ']' is missing", 2);
    refuse("\v1", "a value is missing", 0);
    refuse("[\u00a01]", "a value is missing", 1);
    refuse("\u00a01", "a value is missing", 0);
    refuse("\ufeff1", "a value is missing", 0);
    refuse("[\u20601]", "a value is missing", 1);
  });

  it("containers", () => {
    accept("[]");
    accept("{}");
    accept("[[]]");
    accept("[[],[[]],{}]");
    accept('{"a":{"b":{"c":[{"d":1}]}}}');
    accept('{"":0}');
    accept('{"a":[],"A":{}}');
    accept('{"a":1,"\\u0062":2}');
  });

  it("members and elements in order", () => {
    parse(bytes('{"a":1,"b":[10,[20],{"x":30}],"c":"z"}'));
    expect(json.size(json.root)).toBe(3);
    const a = json.firstChild(json.root);
    expect(toText(json.key(a))).toBe("a");
    expect(toText(json.raw(a))).toBe("1");
    const b = json.nextSibling(a);
    expect(toText(json.key(b))).toBe("b");
    expect(json.size(b)).toBe(3);
    expect(toText(json.raw(b))).toBe('[10,[20],{"x":30}]');
    const ten = json.firstChild(b);
    const list = json.nextSibling(ten);
    const object = json.nextSibling(list);
    expect(toText(json.raw(list))).toBe("[20]");
    expect(json.number(json.firstChild(list))).toBe(20);
    expect(json.number(json.member(object, bytes("x")))).toBe(30);
    expect(json.nextSibling(object)).toBe(NONE);
    const c = json.nextSibling(b);
    expect(toText(json.text(c))).toBe("z");
    expect(json.nextSibling(c)).toBe(NONE);
    expect(json.firstChild(a)).toBe(NONE);
    expect(json.nextSibling(json.root)).toBe(NONE);
  });

  it("member looks only into objects", () => {
    parse(bytes('{"a":{"b":1},"n":null,"l":["b"]}'));
    const a = json.member(json.root, bytes("a"));
    expect(json.number(json.member(a, bytes("b")))).toBe(1);
    expect(json.member(a, bytes("c"))).toBe(NONE);
    expect(json.member(json.member(json.root, bytes("n")), bytes("b"))).toBe(NONE);
    expect(json.member(json.member(json.root, bytes("l")), bytes("b"))).toBe(NONE);
    expect(json.member(NONE, bytes("b"))).toBe(NONE);
    expect(lengthOf(json.text(a))).toBe(0);
    expect(json.number(a)).toBe(0);
  });
});

describe("JSON: strings", () => {
  it("every escape", () => {
    expect(unescaped('"\\"\\\\\\/\\b\\f\\n\\r\\t"')).toBe('"\\/\b\f\n\r\t');
    expect(unescaped('"\\u0041\\u00e9\\u6F22\\u6f22"')).toBe("Aé漢漢");
    expect(unescaped('"\\ud83d\\ude00\\uDBFF\\uDFFF\\uD800\\uDC00"')).toBe("😀\u{10ffff}\u{10000}");
    expect(unescaped('"\\ud7ff\\ue000\\uffff"')).toBe("\ud7ff\ue000\uffff");
    expect(unescaped('"\\u2028\\u2029\\u007f"')).toBe("\u2028\u2029\u007f");
  });

  it("NUL", () => {
    parse(bytes('"a\\u0000b"'));
    expect(lengthOf(json.text(json.root))).toBe(3);
    expect(unescaped('"a\\u0000b"')).toBe("a\0b");
  });

  it("text of any length, with special characters at any place", () => {
    for (let length = 0; length < 70; length++) {
      const text = "x".repeat(length);
      expect(unescaped(`"${text}"`)).toBe(text);
      expect(unescaped(`"${text}\\n${text}"`)).toBe(text + "\n" + text);
      expect(unescaped(`"${text}é漢😀${text}"`)).toBe(text + "é漢😀" + text);
      refuse(`"${text}\n"`, "a control character in a string", length + 1);
      refuse(`"${text}`, "a string is not closed", length + 1);
    }
  });

  it("the empty string is a string", () => {
    parse(bytes('""'));
    expect<i32>(json.kind(json.root)).toBe(JsonKind.String);
    expect(lengthOf(json.text(json.root))).toBe(0);
    expect(unescaped('"\\u0061"')).toBe("a");
  });

  it("raw delete and raw U+2028 are allowed", () => {
    expect(unescaped('"\u007f\u2028\u2029"')).toBe("\u007f\u2028\u2029");
  });

  it("no control character", () => {
    for (let c = 0; c < 0x20; c++) {
      const digit = c < 16 ? "0" : "";
      refuseBytes(
        hex(`5b2261${digit}${c.toString(16)}225d`),
        c.toString(),
        "a control character in a string",
        3,
      );
    }
  });

  it("no other escape", () => {
    const names = "acdeghijklmopqsvwxyzABFNRTU0123456789'\" \n\0";
    for (let i = 0; i < names.length; i++) {
      const name = names.charAt(i);
      if (name != '"') refuse(`"\\${name}"`, "an invalid escape", 1);
    }
    refuse('"\\', "an invalid escape", 1);
    refuse('"\\"', "a string is not closed", 3);
    refuse('["\\x00"]', "an invalid escape", 2);
    refuse('"\\é"', "an invalid escape", 1);
    refuse('"\\u"', "an invalid escape", 1);
    refuse('"\\u1"', "an invalid escape", 1);
    refuse('"\\u12"', "an invalid escape", 1);
    refuse('"\\u123"', "an invalid escape", 1);
    refuse('"\\u123', "an invalid escape", 1);
    refuse('"\\u00g0"', "an invalid escape", 1);
    refuse('"\\u00G0"', "an invalid escape", 1);
    refuse('"\\u 123"', "an invalid escape", 1);
    refuse('"\\u+123"', "an invalid escape", 1);
    refuse('"\\U0041"', "an invalid escape", 1);
    refuse('"\\u{41}"', "an invalid escape", 1);
  });

  it("no lone surrogate", () => {
    refuse('"\\ud800"', "an invalid escape", 1);
    refuse('"\\udbff"', "an invalid escape", 1);
    refuse('"\\udc00"', "an invalid escape", 1);
    refuse('"\\udfff"', "an invalid escape", 1);
    refuse('"\\ud800\\ud800"', "an invalid escape", 1);
    refuse('"\\ud800x"', "an invalid escape", 1);
    refuse('"\\ud800\\n"', "an invalid escape", 1);
    refuse('"\\ud800\\u"', "an invalid escape", 1);
    refuse('"\\ud800\\udc0"', "an invalid escape", 1);
    refuse('"\\ud800\\u0041"', "an invalid escape", 1);
    refuse('"\\udc00\\ud800"', "an invalid escape", 1);
    refuse('"\\ud83d\\ude00\\ude00"', "an invalid escape", 13);
  });

  it("no malformed UTF-8", () => {
    refuseBytes(hex("22ff22"), "ff", "invalid UTF-8", 1);
    refuseBytes(hex("22c3"), "c3", "invalid UTF-8", 1);
    refuseBytes(hex("22c322"), "c3", "invalid UTF-8", 1);
    refuseBytes(hex("22eda08022"), "surrogate", "invalid UTF-8", 1);
    refuseBytes(hex("22c0af22"), "overlong", "invalid UTF-8", 1);
    refuseBytes(hex("22f490808022"), "above", "invalid UTF-8", 1);
    refuseBytes(hex("226180"), "80", "invalid UTF-8", 2);
    refuseBytes(hex("5be95d"), "Latin-1", "a value is missing", 1);
    refuseBytes(hex("7b22ff223a317d"), "in a name", "invalid UTF-8", 2);
    refuseBytes(hex("fffe30003000"), "UTF-16", "a value is missing", 0);
    refuseBytes(hex("00300030"), "UTF-16", "a value is missing", 0);
  });
});

describe("JSON: numbers", () => {
  it("every form", () => {
    expect(number("0")).toBe(0);
    expect(number("-0")).toBe(-0.0);
    expect(1 / number("-0")).toBe(-Infinity);
    expect(number("1")).toBe(1);
    expect(number("-1")).toBe(-1);
    expect(number("10")).toBe(10);
    expect(number("1234567890")).toBe(1234567890);
    expect(number("0.5")).toBe(0.5);
    expect(number("-0.5")).toBe(-0.5);
    expect(number("1.25e2")).toBe(125);
    expect(number("1E2")).toBe(100);
    expect(number("1e+2")).toBe(100);
    expect(number("1e-2")).toBe(0.01);
    expect(number("0e1")).toBe(0);
    expect(number("0e+999999999999999999999")).toBe(0);
    expect(number("0.0e-1")).toBe(0);
    expect(number("1e00002")).toBe(100);
    expect(number("123.456e-3")).toBe(0.123456);
  });

  it("edges", () => {
    expect(number("1.7976931348623157e308")).toBe(f64.MAX_VALUE);
    expect(number("-1.7976931348623157e308")).toBe(-f64.MAX_VALUE);
    expect(number("1.7976931348623158e308")).toBe(f64.MAX_VALUE);
    expect(number("5e-324")).toBe(5e-324);
    expect(number("1e-400")).toBe(0);
    expect(number("-1e-400")).toBe(0);
    expect(number("1e-999999999999999999999")).toBe(0);
    expect(number("9007199254740993")).toBe(9007199254740992);
    expect(number("18446744073709551615")).toBe(18446744073709551616.0);
    expect(number("1" + "0".repeat(308))).toBe(1e308);
    expect(number("0." + "0".repeat(400) + "1e401")).toBe(1);
    expect(number("1" + "0".repeat(400) + "e-400")).toBe(1);
  });

  it("no number that is too large", () => {
    refuse("1e400", "a number is too large", 0);
    refuse("[-1e400]", "a number is too large", 1);
    refuse("1e309", "a number is too large");
    refuse("1.7976931348623159e308", "a number is too large");
    refuse("1e999999999999999999999", "a number is too large");
    refuse("0.1e310", "a number is too large");
    refuse("1" + "0".repeat(309), "a number is too large");
    refuse("1" + "0".repeat(400) + "e-91", "a number is too large");
    refuse("9".repeat(309), "a number is too large");
  });

  it("no other form", () => {
    refuse("-", "a digit is missing", 1);
    refuse("+1", "a value is missing", 0);
    refuse("--1", "a digit is missing", 1);
    refuse("[-]", "a digit is missing", 2);
    refuse("- 1", "a digit is missing", 1);
    refuse(".5", "a value is missing", 0);
    refuse("-.5", "a digit is missing", 1);
    refuse("1.", "a digit is missing", 2);
    refuse("1.e1", "a digit is missing", 2);
    refuse("1.-1", "a digit is missing", 2);
    refuse("0.", "a digit is missing", 2);
    refuse("01", "a number begins with 0", 0);
    refuse("-01", "a number begins with 0", 1);
    refuse("00", "a number begins with 0", 0);
    refuse("-00", "a number begins with 0", 1);
    refuse("012.5", "a number begins with 0", 0);
    refuse("1e", "a digit is missing", 2);
    refuse("1e+", "a digit is missing", 3);
    refuse("1e-", "a digit is missing", 3);
    refuse("1e+-1", "a digit is missing", 3);
    refuse("1ee1", "a digit is missing", 2);
    refuse("1e1.5", "text follows the value", 3);
    refuse("1.2.3", "text follows the value", 3);
    refuse("1_000", "text follows the value", 1);
    refuse("1,000", "text follows the value", 1);
    refuse("0x1F", "text follows the value", 1);
    refuse("0b1", "text follows the value", 1);
    refuse("1L", "text follows the value", 1);
    refuse("1a", "text follows the value", 1);
    refuse("[1 2]", "',' or ']' is missing", 3);
    refuse("NaN", "a value is missing", 0);
    refuse("nan", "a value is missing", 0);
    refuse("Infinity", "a value is missing", 0);
    refuse("-Infinity", "a digit is missing", 1);
    refuse("inf", "a value is missing", 0);
    refuse("１", "a value is missing", 0);
  });
});

describe("JSON: malformed texts", () => {
  it("nothing", () => {
    refuse("", "a value is missing", 0);
    refuse(" ", "a value is missing", 1);
    refuseBytes(hex("00"), "NUL", "a value is missing", 0);
  });

  it("misspelled literals", () => {
    refuse("nul", "a value is missing", 0);
    refuse("tru", "a value is missing", 0);
    refuse("fals", "a value is missing", 0);
    refuse("f", "a value is missing", 0);
    refuse("nall", "a value is missing", 0);
    refuse("fblse", "a value is missing", 0);
    refuse("xalse", "a value is missing", 0);
    refuse("True", "a value is missing", 0);
    refuse("NULL", "a value is missing", 0);
    refuse("undefined", "a value is missing", 0);
    refuse("truex", "text follows the value", 4);
    refuse("nullnull", "text follows the value", 4);
    refuse("[falsefalse]", "',' or ']' is missing", 6);
    refuse("a", "a value is missing", 0);
  });

  it("arrays", () => {
    refuse("[", "a value is missing", 1);
    refuse("]", "a value is missing", 0);
    refuse("[1", "an array or object is not closed", 2);
    refuse("[1,", "a value is missing", 3);
    refuse("[1,]", "a value is missing", 3);
    refuse("[,1]", "a value is missing", 1);
    refuse("[,]", "a value is missing", 1);
    refuse("[1,,2]", "a value is missing", 3);
    refuse("[1}", "',' or ']' is missing", 2);
    refuse("[1:2]", "',' or ']' is missing", 2);
    refuse("[1;2]", "',' or ']' is missing", 2);
    refuse("[[1]", "an array or object is not closed", 4);
    refuse("[]]", "text follows the value", 2);
    refuse("[][]", "text follows the value", 2);
    refuse("[],", "text follows the value", 2);
    refuse("[*]", "a value is missing", 1);
    refuse('["a":1]', "',' or ']' is missing", 4);
    refuse('["a" "b"]', "',' or ']' is missing", 5);
    refuse("[...]", "a value is missing", 1);
  });

  it("objects", () => {
    refuse("{", "a member name is missing", 1);
    refuse("}", "a value is missing", 0);
    refuse("{,}", "a member name is missing", 1);
    refuse('{"a"', "':' is missing", 4);
    refuse('{"a"}', "':' is missing", 4);
    refuse('{"a":', "a value is missing", 5);
    refuse('{"a":}', "a value is missing", 5);
    refuse('{"a":1', "an array or object is not closed", 6);
    refuse('{"a":1,', "a member name is missing", 7);
    refuse('{"a":1,}', "a member name is missing", 7);
    refuse('{"a":1,,"b":2}', "a member name is missing", 7);
    refuse('{"a":1 "b":2}', "',' or '}' is missing", 7);
    refuse('{"a":1]', "',' or '}' is missing", 6);
    refuse('{"a"::1}', "a value is missing", 5);
    refuse('{"a" 1}', "':' is missing", 5);
    refuse('{"a","b"}', "':' is missing", 4);
    refuse("{a:1}", "a member name is missing", 1);
    refuse("{'a':1}", "a member name is missing", 1);
    refuse("{1:1}", "a member name is missing", 1);
    refuse("{null:1}", "a member name is missing", 1);
    refuse("{[]:1}", "a member name is missing", 1);
    refuse('{"a":1}}', "text follows the value", 7);
    refuse('{"a":1}{', "text follows the value", 7);
    refuse('{"a":"b"c}', "',' or '}' is missing", 8);
    refuse('{"a":1}#', "text follows the value", 7);
    refuse("{\"a\":'b'}", "a value is missing", 5);
  });

  it("comments and other text", () => {
    refuse("/**/1", "a value is missing", 0);
    refuse("1/**/", "text follows the value", 1);
    refuse("[1/**/]", "',' or ']' is missing", 2);
    refuse("1//", "text follows the value", 1);
    refuse("# 1", "a value is missing", 0);
    refuse("1 2", "text follows the value", 2);
    refuse("1\0", "text follows the value", 1);
    refuse("<null>", "a value is missing", 0);
    refuse("'a'", "a value is missing", 0);
    refuse("`a`", "a value is missing", 0);
    refuse('"a""b"', "text follows the value", 3);
    refuse("(1)", "a value is missing", 0);
  });
});

describe("JSON: duplicate names", () => {
  it("at every level", () => {
    const message = "a second member of the same name";
    refuse('{"a":1,"a":1}', message, 11);
    refuse('{"a":1,"b":2,"a":3}', message, 17);
    refuse('{"x":{"a":1,"a":2}}', message);
    refuse('[{"a":1,"a":2}]', message);
    refuse('{"x":[{"y":{"a":1,"a":2}}]}', message);
    refuse('{"":1,"":2}', message);
    accept('{"a":{"a":{"a":1}}}');
    accept('[{"a":1},{"a":1}]');
  });

  it("after unescaping", () => {
    const message = "a second member of the same name";
    refuse('{"a":1,"\\u0061":2}', message);
    refuse('{"é":1,"\\u00e9":2}', message);
    refuse('{"😀":1,"\\ud83d\\ude00":2}', message);
    refuse('{"\\/":1,"/":2}', message);
    accept('{"a":1,"A":2,"a ":3,"\\u0000a":4,"a\\u0000":5}');
    accept('{"é":1,"e\\u0301":2}');
  });

  it("among any number of members, at any place", () => {
    for (let count = 1; count < 28; count++) {
      expect(parse(bytes(members(count, '"x":0')))).toBe(true, count.toString());
      expect(json.size(json.root)).toBe(count + 1);
      for (let i = 0; i < count; i++) {
        expect(parse(bytes(members(count, `"m${i}":0`)))).toBe(false, `${count}, ${i}`);
        expect(json.errorMessage).toBe("a second member of the same name");
      }
    }
  });

  it("among thousands", () => {
    expect(parse(bytes(members(5000, '"x":0')))).toBe(true);
    expect(json.number(json.member(json.root, bytes("m4999")))).toBe(4999);
    refuse(members(5000, '"m0":0'), "a second member of the same name");
    refuse(members(5000, '"m2500":0'), "a second member of the same name");
    refuse(members(5000, '"m4999":0'), "a second member of the same name");
  });
});

describe("JSON: depth", () => {
  it("counts open arrays and objects", () => {
    expect(parse(bytes("[".repeat(100) + "]".repeat(100)))).toBe(true);
    refuse("[".repeat(101) + "]".repeat(101), "nested too deeply", 100);
    expect(parse(bytes('{"a":'.repeat(100) + "1" + "}".repeat(100)))).toBe(true);
    refuse('{"a":'.repeat(101) + "1" + "}".repeat(101), "nested too deeply");
    expect(parse(bytes("[" + "[[]],".repeat(1000) + "[]]"))).toBe(true);
    expect(parse(bytes("[[1]]"), 1)).toBe(false);
    expect(parse(bytes("[1]"), 1)).toBe(true);
    expect(parse(bytes("1"), 0)).toBe(true);
  });

  it("does not recurse", () => {
    refuse("[".repeat(100000), "nested too deeply", 100);
    const deep = 50000;
    expect(parse(bytes("[".repeat(deep) + "]".repeat(deep)), deep)).toBe(true);
    let depth = 0;
    for (let n = json.root; n != NONE; n = json.firstChild(n)) depth++;
    expect(depth).toBe(deep);
  });
});

describe("JSON: one document, many texts", () => {
  it("discards the previous one", () => {
    expect(parse(bytes('{"a":1}'))).toBe(true);
    expect(parse(bytes("["))).toBe(false);
    expect(json.root).toBe(NONE);
    expect(json.member(json.root, bytes("a"))).toBe(NONE);
    expect(parse(bytes("[2]"))).toBe(true);
    expect(json.errorMessage).toBe("");
    expect(json.number(json.firstChild(json.root))).toBe(2);
  });

  it("grows if it has more values than expected", () => {
    const count = 20000;
    expect(parse(bytes("[" + "1,".repeat(count) + "2]"))).toBe(true);
    expect(json.size(json.root)).toBe(count + 1);
    let sum = 0.0;
    for (let n: Node = json.firstChild(json.root); n != NONE; n = json.nextSibling(n)) sum += json.number(n);
    expect(sum).toBe(<f64>count + 2);
  });

  it("keeps unescaped strings when it grows", () => {
    expect(parse(bytes('["' + "\\u0041".repeat(40) + '"' + ",1".repeat(500) + "]"))).toBe(true);
    expect(toText(json.text(json.firstChild(json.root)))).toBe("A".repeat(40));
  });
});
