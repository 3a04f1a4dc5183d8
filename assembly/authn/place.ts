/** Where a token may be: one header with its prefix, one query parameter or one cookie. */
import { Slice, compare, equals } from "../abi/slice";

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

/** Envoy keeps places in maps: by kind, then by name, then by prefix, in byte order. */
export function comparePlaces(a: Place, b: Place): i32 {
  if (a.kind != b.kind) return <i32>a.kind - <i32>b.kind;
  const order = compare(a.name, b.name);
  return order != 0 ? order : compare(a.prefix, b.prefix);
}
