/** Numbers that the host gives as properties. */
import { propertyInteger } from "../abi/property";
import { EMPTY, slice } from "../memory/slice";

const BYTES: usize = memory.data<u8>([0x01, 0x02, 0, 0, 0, 0, 0, 0, 0x7f]);

describe("propertyInteger", () => {
  it("reads eight bytes, the lowest first", () => {
    expect(propertyInteger(slice(BYTES, 8))).toBe(0x0201);
  });

  it("does not read a value of another length as a number", () => {
    expect(propertyInteger(EMPTY)).toBe(-1);
    expect(propertyInteger(slice(BYTES, 4))).toBe(-1);
    expect(propertyInteger(slice(BYTES, 9))).toBe(-1);
  });
});
