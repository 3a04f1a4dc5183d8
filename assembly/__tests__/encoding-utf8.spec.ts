import { decode, encode, isValid, sequenceLength } from "../encoding/utf8";
import { lengthOf, subslice } from "../memory/slice";
import { bytes, hex } from "./support";

function valid(text: string): void {
  expect(isValid(hex(text))).toBe(true, `${text} is UTF-8`);
}

function invalid(text: string): void {
  expect(isValid(hex(text))).toBe(false, `${text} is not UTF-8`);
}

describe("UTF-8 (RFC 3629)", () => {
  it("accepts sequences of every length, at the limits of each", () => {
    valid("");
    valid("00");
    valid("7f");
    valid("c280");
    valid("dfbf");
    valid("e0a080");
    valid("ed9fbf");
    valid("ee8080");
    valid("efbfbf");
    valid("f0908080");
    valid("f48fbfbf");
    expect(isValid(bytes("aé漢😀"))).toBe(true);
  });

  it("refuses overlong forms", () => {
    invalid("c080");
    invalid("c1bf");
    invalid("e08080");
    invalid("e09fbf");
    invalid("f0808080");
    invalid("f08fbfbf");
  });

  it("refuses surrogates and code points above U+10FFFF", () => {
    invalid("eda080");
    invalid("edbfbf");
    invalid("f4908080");
    invalid("f5808080");
    invalid("ff");
    invalid("fe");
  });

  it("refuses truncated sequences and stray continuation bytes", () => {
    invalid("80");
    invalid("bf");
    invalid("c2");
    invalid("c241");
    invalid("e0a0");
    invalid("e0a041");
    invalid("e1");
    invalid("f09080");
    invalid("f0908041");
    invalid("f09041");
    invalid("41c3");
  });

  it("reads no byte after the end", () => {
    const sequences: StaticArray<string> = ["c3a9", "e6bca2", "f09f9880"];
    for (let i = 0; i < sequences.length; i++) {
      const whole = hex(sequences[i]);
      for (let length = 1; length < lengthOf(whole); length++) {
        expect(isValid(subslice(whole, 0, length))).toBe(false, `${length} bytes of ${sequences[i]}`);
      }
    }
  });

  it("writes what it reads", () => {
    const codePoints: StaticArray<u32> = [
      0, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xffff, 0x10000, 0x10ffff,
    ];
    const buffer = new StaticArray<u8>(8);
    const start = changetype<usize>(buffer);
    for (let i = 0; i < codePoints.length; i++) {
      const end = encode(codePoints[i], start);
      const length = sequenceLength(start, end);
      expect(start + <usize>length).toBe(end);
      expect(decode(start, length)).toBe(codePoints[i]);
    }
  });
});
