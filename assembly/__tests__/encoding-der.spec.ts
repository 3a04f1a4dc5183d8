/** X.690's encodings, as far as keys and signatures need them. */
import { lengthOf, slice, subslice } from "../memory/slice";
import { DerTag, DerWriter, withoutLeadingZeros } from "../encoding/der";
import { hex, toHex } from "./support";

const BUFFER = memory.data(66000, 16);
const writer = new DerWriter();

function integer(magnitude: string): string {
  writer.begin(BUFFER, 66000);
  writer.unsignedInteger(hex(magnitude));
  return toHex(writer.written);
}

/** The header of an element with `length` bytes of content. */
function header(length: i32): string {
  writer.begin(BUFFER, 66000);
  writer.element(DerTag.Sequence, slice(BUFFER, length));
  return toHex(subslice(writer.written, 0, lengthOf(writer.written) - length));
}

describe("DER", () => {
  it("writes integers without superfluous bytes, and positive", () => {
    expect(integer("00")).toBe("020100");
    expect(integer("")).toBe("020100");
    expect(integer("0000")).toBe("020100");
    expect(integer("01")).toBe("020101");
    expect(integer("7f")).toBe("02017f");
    expect(integer("80")).toBe("02020080");
    expect(integer("0080")).toBe("02020080");
    expect(integer("000001")).toBe("020101");
    expect(integer("ff00")).toBe("020300ff00");
    expect(integer("010001")).toBe("0203010001");
  });

  it("writes lengths in the shortest form", () => {
    expect(header(0)).toBe("3000");
    expect(header(127)).toBe("307f");
    expect(header(128)).toBe("308180");
    expect(header(255)).toBe("3081ff");
    expect(header(256)).toBe("30820100");
    expect(header(65535)).toBe("3082ffff");
    expect(header(65536)).toBe("3083010000");
  });

  it("writes elements within elements", () => {
    writer.begin(BUFFER, 64);
    const end = writer.position;
    writer.unsignedInteger(hex("03"));
    const second = writer.position;
    writer.close(DerTag.Null, second);
    writer.byte(0);
    writer.close(DerTag.BitString, second);
    writer.close(DerTag.Sequence, end);
    expect(toHex(writer.written)).toBe("3008" + "0303000500" + "020103");
    const copy = writer.copyWritten();
    expect(toHex(slice(changetype<usize>(copy), copy.length))).toBe("30080303000500020103");
  });

  it("omits leading zeros", () => {
    expect(toHex(withoutLeadingZeros(hex("000100")))).toBe("0100");
    expect(toHex(withoutLeadingZeros(hex("ff")))).toBe("ff");
    expect(toHex(withoutLeadingZeros(hex("0000")))).toBe("");
  });
});
