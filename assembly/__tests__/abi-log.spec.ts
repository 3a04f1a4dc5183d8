import { oneLine } from "../abi/log";

describe("a log line", () => {
  it("is the message itself, whatever its letters", () => {
    expect(oneLine("jwtgate: GET /a?ä=€😀\\u000a")).toBe("jwtgate: GET /a?ä=€😀\\u000a");
  });

  it("is one line, whatever ends a line", () => {
    expect(oneLine("a\nb\r\n\u0085\u2028\u2029c")).toBe("a\\u000ab\\u000d\\u000a\\u0085\\u2028\\u2029c");
  });

  it("does nothing to a terminal", () => {
    expect(oneLine("\u0000\u001b[2J\u007f\u009b\u202e\u2066\u200f\u061c\ufeff")).toBe(
      "\\u0000\\u001b[2J\\u007f\\u009b\\u202e\\u2066\\u200f\\u061c\\ufeff",
    );
  });

  it("holds no half of a character, which is no UTF-8", () => {
    const high = String.fromCharCode(0xd83d);
    const low = String.fromCharCode(0xde00);
    expect(oneLine(high + low)).toBe("😀");
    expect(oneLine(low + high)).toBe("\\ude00\\ud83d");
    expect(oneLine(high + "a")).toBe("\\ud83da");
    expect(oneLine("a" + low)).toBe("a\\ude00");
  });
});
