/** Cookies of a request, read as Envoy reads them (source/common/http/utility.cc, parseCookies). */
import { ABSENT, Slice, Text, byteAt, equals, indexOfByte, lengthOf, subslice } from "../memory/slice";
import { Request } from "./request";

const COOKIE = new Text("cookie");

/**
 * Finds the first cookie of that name in all cookie headers. Names are case-sensitive; double quotes around a value are
 * removed.
 *
 * @returns the value, which may be empty, or ABSENT
 */
export function findCookie(request: Request, name: Slice): Slice {
  for (
    let header = request.findHeader(COOKIE.slice, 0);
    header >= 0;
    header = request.findHeader(COOKIE.slice, header + 1)
  ) {
    const value = request.headerValue(header);
    const length = lengthOf(value);
    let start = 0;
    while (start < length) {
      const semicolon = indexOfByte(value, 0x3b /* ; */, start);
      const end = semicolon < 0 ? length : semicolon;
      while (start < end && byteAt(value, start) == 0x20) start++;
      const cookie = subslice(value, start, end);
      const separator = indexOfByte(cookie, 0x3d /* = */);
      if (separator >= 0 && equals(subslice(cookie, 0, separator), name)) {
        return unquote(subslice(cookie, separator + 1, lengthOf(cookie)));
      }
      start = end + 1;
    }
  }
  return ABSENT;
}

function unquote(value: Slice): Slice {
  const length = lengthOf(value);
  const quoted = length >= 2 && byteAt(value, 0) == 0x22 /* " */ && byteAt(value, length - 1) == 0x22;
  return quoted ? subslice(value, 1, length - 1) : value;
}
