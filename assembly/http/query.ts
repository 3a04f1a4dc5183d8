/**
 * Query parameters, found as Envoy finds them (Http::Utility::QueryParamsMulti, decoded): the query is split at `&`;
 * the first `=` ends the name; names and values are percent-decoded; a name without `=` has an empty value.
 *
 * Removal differs from Envoy by design. Envoy rewrites all other parameters, sorted by name and decoded but not encoded
 * again, so `a=%26b` becomes `a=&b`. Here they keep their bytes and their order.
 */
import { ABSENT, Slice, equals, indexOfByte, lengthOf, slice, subslice } from "../memory/slice";
import { ByteBuilder } from "../encoding/byte-builder";
import { percentDecode } from "../encoding/percent";

const builder = new ByteBuilder();

/**
 * @param query without the `?`
 * @param name decoded, case-sensitive
 * @returns the decoded value of the first parameter of that name, which may be empty, or ABSENT
 */
export function findParameter(query: Slice, name: Slice): Slice {
  const length = lengthOf(query);
  let start = 0;
  while (start < length) {
    const end = parameterEnd(query, start);
    const parameter = subslice(query, start, end);
    if (isNamed(parameter, name)) {
      const length = lengthOf(parameter);
      const separator = indexOfByte(parameter, 0x3d /* = */);
      return percentDecode(subslice(parameter, separator < 0 ? length : separator + 1, length));
    }
    start = end + 1;
  }
  return ABSENT;
}

/**
 * @param path without query
 * @param query without the `?`
 * @param name decoded, case-sensitive
 * @returns path and query without any parameter of that name, in the arena; without `?` if no parameter is left
 */
export function withoutParameter(path: Slice, query: Slice, name: Slice): Slice {
  const pathLength = lengthOf(path);
  const length = lengthOf(query);
  builder.begin(pathLength + 1 + length).append(path);
  let separator: u8 = 0x3f; /* ? */
  let start = 0;
  while (start < length) {
    const end = parameterEnd(query, start);
    const parameter = subslice(query, start, end);
    if (!isNamed(parameter, name)) {
      builder.appendByte(separator).append(parameter);
      separator = 0x26; /* & */
    }
    start = end + 1;
  }
  return builder.slice;
}

function parameterEnd(query: Slice, start: i32): i32 {
  const end = indexOfByte(query, 0x26 /* & */, start);
  return end < 0 ? lengthOf(query) : end;
}

function isNamed(parameter: Slice, name: Slice): bool {
  const separator = indexOfByte(parameter, 0x3d /* = */);
  const end = separator < 0 ? lengthOf(parameter) : separator;
  return equals(percentDecode(subslice(parameter, 0, end)), name);
}
