import { reset } from "../memory/arena";
import { encode } from "../encoding/base64";
import { decodeLenient, decodeStrict } from "../encoding/base64url";
import { percentDecode } from "../encoding/percent";
import { subslice } from "../memory/slice";
import { bytes, hex, toHex, toText } from "./support";

/** RFC 4648 section 10, and further cases for its alphabet. */
const PLAIN: StaticArray<string> = ["", "f", "fo", "foo", "foob", "fooba", "foobar", "~~~???", "ÿÿÿ"];
const STANDARD: StaticArray<string> = [
  "",
  "Zg==",
  "Zm8=",
  "Zm9v",
  "Zm9vYg==",
  "Zm9vYmE=",
  "Zm9vYmFy",
  "fn5+Pz8/",
  "w7/Dv8O/",
];

function strict(text: string): string {
  reset();
  return toHex(decodeStrict(bytes(text)));
}

function lenient(text: string): string {
  reset();
  return toHex(decodeLenient(bytes(text)));
}

describe("base64", () => {
  it("encodes with padding", () => {
    for (let i = 0; i < PLAIN.length; i++) {
      reset();
      expect(toText(encode(bytes(PLAIN[i])))).toBe(STANDARD[i]);
    }
    reset();
    expect(toText(encode(hex("00")))).toBe("AA==");
    expect(toText(encode(hex("ffffff")))).toBe("////");
    expect(toText(encode(hex("fbefbe")))).toBe("++++");
  });
});

describe("base64url, strict (RFC 7515 section 2)", () => {
  it("decodes text without padding", () => {
    for (let i = 0; i < PLAIN.length; i++) {
      const text = STANDARD[i].replaceAll("=", "").replaceAll("+", "-").replaceAll("/", "_");
      reset();
      expect(toText(decodeStrict(bytes(text)))).toBe(PLAIN[i]);
    }
    expect(strict("-_-_")).toBe("fbffbf");
    expect(strict("AAAA")).toBe("000000");
    expect(strict("____")).toBe("ffffff");
  });

  it("decodes any length, in blocks of sixteen and the rest", () => {
    const all = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    expect(strict(all)).toBe(
      "00108310518720928b30d38f41149351559761969b71d79f8218a39259a7a29aabb2dbafc31cb3d35db7e39ebbf3dfbf",
    );
    for (let length = 0; length <= 64; length++) {
      const text = all.substring(0, length);
      const expected = lenient(text);
      // A part of the alphabet may end in bits beyond the last byte.
      const bits = (length * 6) % 8;
      const last = length == 0 ? 0 : length - 1;
      if ((last & ((1 << bits) - 1)) == 0) expect(strict(text)).toBe(expected, text);
      else expect(strict(text)).toBe("absent", text);
    }
  });

  it("refuses every other byte at any position", () => {
    for (let length = 2; length <= 36; length++) {
      if ((length & 3) == 1) continue;
      for (let at = 0; at < length; at++) {
        const before = "A".repeat(at);
        const after = "A".repeat(length - at - 1);
        const others: StaticArray<string> = [
          "+",
          "/",
          "=",
          " ",
          "\n",
          ".",
          ",",
          "@",
          "[",
          "`",
          "{",
          ":",
          "^",
          "\0",
          "\x7f",
        ];
        for (let i = 0; i < others.length; i++) {
          if (strict(before + others[i] + after) != "absent") {
            expect(before + others[i] + after).toBe("refused");
          }
        }
      }
    }
    for (let c = 0x80; c < 0x100; c++) {
      reset();
      expect(toHex(decodeStrict(hex("41414141414141414141414141414141" + c.toString(16) + "414141")))).toBe(
        "absent",
      );
      expect(toHex(decodeStrict(hex(c.toString(16) + "414141414141414141414141414141")))).toBe("absent");
    }
  });

  it("refuses padding, white space, a surplus character and surplus bits", () => {
    expect(strict("Zg==")).toBe("absent");
    expect(strict("Zm8=")).toBe("absent");
    expect(strict("Zm9v=")).toBe("absent");
    expect(strict("Zm9v====")).toBe("absent");
    expect(strict(" Zm9v")).toBe("absent");
    expect(strict("Zm9v\n")).toBe("absent");
    expect(strict("Z")).toBe("absent");
    expect(strict("Zm9vY")).toBe("absent");
    // The byte after the end would complete it.
    expect(toHex(decodeStrict(subslice(bytes("Zm9vYg"), 0, 5)))).toBe("absent");
    expect(strict("Zh")).toBe("absent");
    expect(strict("Zv")).toBe("absent");
    expect(strict("Zm9")).toBe("absent");
    expect(strict("Zm-")).toBe("absent");
    expect(strict("A".repeat(64) + "AB")).toBe("absent");
  });
});

describe("base64url, lenient, for keys", () => {
  it("accepts padding, either alphabet, white space and surplus bits", () => {
    expect(lenient("Zm9vYg")).toBe("666f6f62");
    expect(lenient("Zm9vYg==")).toBe("666f6f62");
    expect(lenient("Zm9vYmE=")).toBe("666f6f6261");
    expect(lenient("-_-_")).toBe("fbffbf");
    expect(lenient("+/+/")).toBe("fbffbf");
    expect(lenient("+_-/")).toBe("fbffbf");
    expect(lenient(" Zm9\r\n\tvYg= = ")).toBe("666f6f62");
    expect(lenient("Zh")).toBe("66");
    expect(lenient("")).toBe("");
  });

  it("refuses other characters, half a padding and text after it", () => {
    expect(lenient("Zm9v!")).toBe("absent");
    expect(lenient("Zm.v")).toBe("absent");
    expect(lenient("Z")).toBe("absent");
    expect(lenient("Zm9vY")).toBe("absent");
    expect(lenient("Zg=")).toBe("absent");
    expect(lenient("Zg===")).toBe("absent");
    expect(lenient("Zm9v=")).toBe("absent");
    expect(lenient("Zg==Zg==")).toBe("absent");
    expect(lenient("=")).toBe("absent");
  });
});

describe("percent-decoding", () => {
  it("decodes every %XX and leaves everything else", () => {
    reset();
    expect(toText(percentDecode(bytes("")))).toBe("");
    expect(toText(percentDecode(bytes("plain")))).toBe("plain");
    expect(toText(percentDecode(bytes("%61%62%63")))).toBe("abc");
    expect(toText(percentDecode(bytes("a%2Eb%2ec")))).toBe("a.b.c");
    expect(toText(percentDecode(bytes("%c3%A9")))).toBe("é");
    expect(toText(percentDecode(bytes("%2525")))).toBe("%25");
    expect(toHex(percentDecode(bytes("%00%ff%20")))).toBe("00ff20");
    expect(toText(percentDecode(bytes("a+b")))).toBe("a+b");
  });

  it("keeps a % that does not begin an escape", () => {
    reset();
    expect(toText(percentDecode(bytes("%")))).toBe("%");
    expect(toText(percentDecode(bytes("%4")))).toBe("%4");
    expect(toText(percentDecode(bytes("a%zzb")))).toBe("a%zzb");
    expect(toText(percentDecode(bytes("%4g")))).toBe("%4g");
    expect(toText(percentDecode(bytes("%%41")))).toBe("%A");
    expect(toText(percentDecode(bytes("%41%")))).toBe("A%");
  });

  it("reads no digit after the end", () => {
    reset();
    expect(toText(percentDecode(subslice(bytes("%41"), 0, 1)))).toBe("%");
    expect(toText(percentDecode(subslice(bytes("%41"), 0, 2)))).toBe("%4");
  });
});
