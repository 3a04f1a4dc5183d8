import { oneLine } from "../abi/log";

describe("a log line", () => {
  it("is the message itself, in any script", () => {
    expect(oneLine("jwtgate: GET /a?ä=€😀\\u000a")).toBe("jwtgate: GET /a?ä=€😀\\u000a");
  });

  it("is one line, for every kind of line end", () => {
    expect(oneLine("a\nb\r\n\u0085\u2028\u2029c")).toBe("a\\u000ab\\u000d\\u000a\\u0085\\u2028\\u2029c");
  });

  it("does nothing to a terminal", () => {
    expect(oneLine("\u0000\u001b[2J\u007f\u009b\u202e\u2066\u200f\u061c\ufeff")).toBe(
      "\\u0000\\u001b[2J\\u007f\\u009b\\u202e\\u2066\\u200f\\u061c\\ufeff",
    );
  });

  it("contains no lone surrogate, which UTF-8 cannot encode", () => {
    const high = String.fromCharCode(0xd83d);
    const low = String.fromCharCode(0xde00);
    expect(oneLine(high + low)).toBe("😀");
    expect(oneLine(low + high)).toBe("\\ude00\\ud83d");
    expect(oneLine(high + "a")).toBe("\\ud83da");
    expect(oneLine("a" + low)).toBe("a\\ude00");
  });
});
