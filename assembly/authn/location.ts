/** A location of a token: a header with its prefix, a query parameter or a cookie (Envoy jwt_authn, JwtLocation). */
import { newRecord } from "../memory/records";
import { Region } from "../memory/region";
import { Slice, byteAt, compare, equals, lengthOf } from "../memory/slice";

/** In the order in which Envoy looks: headers, then parameters, then cookies. */
export const enum LocationKind {
  Header,
  Parameter,
  Cookie,
}


@unmanaged
export class Location {
  kind: LocationKind;
  reserved: i32;
  /** Lower-case for a header. */
  name: Slice;
  /** The text before the token in a header's value; EMPTY if the token is the whole value. */
  prefix: Slice;

  /**
   * @param region holds the location
   * @param prefix EMPTY for none
   */
  static create(region: Region, kind: LocationKind, name: Slice, prefix: Slice): Location {
    const location = newRecord<Location>(region);
    location.kind = kind;
    location.name = name;
    location.prefix = prefix;
    return location;
  }

  /** Whether both are the same location. */
  same(other: Location): bool {
    return this.kind == other.kind && equals(this.name, other.name) && equals(this.prefix, other.prefix);
  }
}

/**
 * Compares in the order of Envoy's maps: by kind, then by name in byte order. A header's name and its prefix form one
 * key, so `x-t-2` comes before `x-t` with the prefix `JWT`.
 */
export function compareLocations(a: Location, b: Location): i32 {
  if (a.kind != b.kind) return <i32>a.kind - <i32>b.kind;
  const order = compareKeys(a, b);
  return order != 0 ? order : compare(a.name, b.name);
}

function compareKeys(a: Location, b: Location): i32 {
  const length = min(keyLength(a), keyLength(b));
  for (let i = 0; i < length; i++) {
    const order = <i32>keyByte(a, i) - <i32>keyByte(b, i);
    if (order != 0) return order;
  }
  return keyLength(a) - keyLength(b);
}

function keyLength(location: Location): i32 {
  return lengthOf(location.name) + lengthOf(location.prefix);
}

/** Byte `i` of a location's key, 0 ≤ i < keyLength. */
function keyByte(location: Location, i: i32): u8 {
  const nameLength = lengthOf(location.name);
  return i < nameLength ? byteAt(location.name, i) : byteAt(location.prefix, i - nameLength);
}
