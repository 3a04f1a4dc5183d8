/** Where a token may be: one header with its prefix, one query parameter or one cookie. */
import { Slice, byteAt, compare, equals, lengthOf } from "../memory/slice";

/** The order in which Envoy looks: headers, then parameters, then cookies. */
export const enum PlaceKind {
  Header,
  Parameter,
  Cookie,
}

export class Place {
  /**
   * @param kind what it is
   * @param name lower-case for a header
   * @param prefix what stands before the token in a header's value, EMPTY for the whole value
   */
  constructor(
    readonly kind: PlaceKind,
    readonly name: Slice,
    readonly prefix: Slice,
  ) {}

  /** Whether both are the same place. */
  same(other: Place): bool {
    return this.kind == other.kind && equals(this.name, other.name) && equals(this.prefix, other.prefix);
  }
}

/**
 * Envoy keeps places in maps: by kind, then by name in byte order, where a header's name and its prefix make one key, so
 * that `x-t-2` comes before `x-t` with the prefix `JWT`.
 */
export function comparePlaces(a: Place, b: Place): i32 {
  if (a.kind != b.kind) return <i32>a.kind - <i32>b.kind;
  const order = compareKeys(a, b);
  return order != 0 ? order : compare(a.name, b.name);
}

function compareKeys(a: Place, b: Place): i32 {
  const length = min(keyLength(a), keyLength(b));
  for (let i = 0; i < length; i++) {
    const order = <i32>keyByte(a, i) - <i32>keyByte(b, i);
    if (order != 0) return order;
  }
  return keyLength(a) - keyLength(b);
}

function keyLength(place: Place): i32 {
  return lengthOf(place.name) + lengthOf(place.prefix);
}

/** Byte `i` of a place's key, 0 ≤ i < keyLength. */
function keyByte(place: Place, i: i32): u8 {
  const nameLength = lengthOf(place.name);
  return i < nameLength ? byteAt(place.name, i) : byteAt(place.prefix, i - nameLength);
}
