/**
 * Strict access to a configuration document. The first fault is recorded with its JSON pointer (RFC 6901). After a
 * fault every accessor returns a harmless value, so loaders read on without checks and ask `failed` at the end.
 *
 * Used at configuration only; messages may allocate.
 */
import { EMPTY, Slice, byteAt, lengthOf, textOf } from "../memory/slice";
import { Region } from "../memory/region";
import { JsonDocument, JsonKind, NONE, Node } from "../encoding/json";

export class Reader {
  /** The first fault as `/pointer: what is wrong`, or "". */
  error: string = "";

  /**
   * What requests read is kept here, side by side, so that it takes few lines of the processor's caches. Lives as long
   * as the loaded object.
   */
  readonly tables: Region = new Region();

  /**
   * @param json a parsed document
   * @param region where strings are kept; lives as long as the loaded object
   */
  constructor(
    readonly json: JsonDocument,
    readonly region: Region,
  ) {}

  get failed(): bool {
    return this.error.length != 0;
  }

  /** Records that `node` is faulty, unless a fault was recorded before. */
  fail(node: Node, message: string): void {
    if (!this.failed) this.error = `${this.pointer(node)}: ${message}`;
  }

  /** Whether `node` is an object with no members other than these. */
  object(node: Node, names: StaticArray<string>): bool {
    if (this.failed) return false;
    if (this.json.kind(node) != JsonKind.Object) {
      this.fail(node, "must be an object");
      return false;
    }
    for (let child = this.json.firstChild(node); child != NONE; child = this.json.nextSibling(child)) {
      const key = this.json.key(child);
      let known = false;
      for (let i = 0; i < names.length; i++) {
        if (equalsAscii(key, unchecked(names[i]))) {
          known = true;
          break;
        }
      }
      if (!known) {
        this.fail(
          child,
          "is not a field of this version; compile with the jwtgate that belongs to this module",
        );
        return false;
      }
    }
    return true;
  }

  /** The member of that name, or NONE. */
  get(object: Node, name: string): Node {
    if (object == NONE || this.json.kind(object) != JsonKind.Object) return NONE;
    for (let child = this.json.firstChild(object); child != NONE; child = this.json.nextSibling(child)) {
      if (equalsAscii(this.json.key(child), name)) return child;
    }
    return NONE;
  }

  /** The member of that name; its absence is a fault. */
  require(object: Node, name: string): Node {
    const member = this.get(object, name);
    if (member == NONE) this.fail(object, `lacks "${name}"`);
    return member;
  }

  /** Whether `node` is an array. */
  array(node: Node): bool {
    if (this.failed) return false;
    if (node == NONE || this.json.kind(node) != JsonKind.Array) {
      this.fail(node, "must be an array");
      return false;
    }
    return true;
  }

  /** The string, kept in the region. */
  string(node: Node): Slice {
    if (this.failed) return EMPTY;
    if (node == NONE || this.json.kind(node) != JsonKind.String) {
      this.fail(node, "must be a string");
      return EMPTY;
    }
    return this.region.keep(this.json.text(node));
  }

  /** Checks that a member, if present, is a string. The filter does not use its value. */
  ignoreString(object: Node, name: string): void {
    const node = this.get(object, name);
    if (node != NONE) this.string(node);
  }

  nonEmptyString(node: Node): Slice {
    const text = this.string(node);
    if (!this.failed && lengthOf(text) == 0) this.fail(node, "must not be empty");
    return text;
  }

  /** The strings of an array; none for NONE. */
  strings(node: Node): StaticArray<Slice> {
    if (node == NONE || !this.array(node)) return new StaticArray<Slice>(0);
    const result = new StaticArray<Slice>(this.json.size(node));
    let i = 0;
    for (let child = this.json.firstChild(node); child != NONE; child = this.json.nextSibling(child)) {
      unchecked((result[i++] = this.string(child)));
    }
    return result;
  }

  /** An integer from `minimum` to `maximum`. Any other value is a fault and returns `minimum`. */
  integer(node: Node, minimum: i64, maximum: i64): i64 {
    if (this.failed) return minimum;
    if (node != NONE && this.json.kind(node) == JsonKind.Number) {
      const value = this.json.number(node);
      if (value == Math.floor(value) && value >= <f64>minimum && value <= <f64>maximum) {
        return <i64>value;
      }
    }
    this.fail(node, `must be an integer from ${minimum.toString()} to ${maximum.toString()}`);
    return minimum;
  }

  /** As `integer`; returns `fallback` if the object has no such member or is NONE. */
  integerOr(object: Node, name: string, minimum: i64, maximum: i64, fallback: i64): i64 {
    const member = this.get(object, name);
    return member == NONE ? fallback : this.integer(member, minimum, maximum);
  }

  boolean(node: Node): bool {
    if (this.failed) return false;
    const kind = node == NONE ? JsonKind.Null : this.json.kind(node);
    if (kind != JsonKind.True && kind != JsonKind.False) {
      this.fail(node, "must be true or false");
      return false;
    }
    return kind == JsonKind.True;
  }

  /** As `boolean`; returns false if the object has no such member. */
  flag(object: Node, name: string): bool {
    const member = this.get(object, name);
    return member != NONE && this.boolean(member);
  }

  /**
   * The RFC 6901 pointer to `node`. Nodes are in document order, so each ancestor is the last child that does not come
   * after `node`.
   */
  private pointer(node: Node): string {
    let result = "";
    let at = this.json.root;
    while (at != node && node != NONE) {
      let step: Node = NONE;
      let stepIndex = 0;
      let index = 0;
      for (
        let child = this.json.firstChild(at);
        child != NONE && child <= node;
        child = this.json.nextSibling(child)
      ) {
        step = child;
        stepIndex = index++;
      }
      if (step == NONE) break;
      result +=
        this.json.kind(at) == JsonKind.Array
          ? `/${stepIndex.toString()}`
          : `/${escapePointer(this.json.key(step))}`;
      at = step;
    }
    return result.length == 0 ? "/" : result;
  }
}

function escapePointer(key: Slice): string {
  return textOf(key).replaceAll("~", "~0").replaceAll("/", "~1");
}

/**
 * Whether the bytes are those of an ASCII text. Allocates nothing, because a configuration has tens of thousands of
 * names.
 */
export function equalsAscii(s: Slice, text: string): bool {
  const length = lengthOf(s);
  if (length != text.length) return false;
  for (let i = 0; i < length; i++) {
    if (<i32>byteAt(s, i) != text.charCodeAt(i)) return false;
  }
  return true;
}
