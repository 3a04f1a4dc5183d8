/**
 * A strict JSON reader (RFC 8259) for tokens, key sets and configurations.
 *
 * It is stricter than the grammar where leniency has broken JWT libraries: it refuses duplicate member names at every
 * level (compared after unescaping), malformed UTF-8 and UTF-16 in text and escapes, numbers that are not finite as a
 * double, anything but white space after the value, and deep nesting. For any text of length n, work is bounded by n
 * log n: nothing recurses and nothing hashes.
 *
 * A document is one object made once. Its nodes are in the arena in text order, so a container's first child is the
 * next node.
 */
import { allocate } from "../memory/arena";
import { EMPTY, Slice, equals, lengthOf, pointerOf, slice } from "../memory/slice";
import { isFiniteDecimal, parseDouble } from "./number";
import { encode, sequenceLength } from "./utf8";

/** A value of the document that was parsed last. */
export type Node = i32;
/** No value. */
export const NONE: Node = -1;

export const enum JsonKind {
  Null,
  False,
  True,
  Number,
  String,
  Array,
  Object,
}

/**
 * One value, in the layout of the arena. `text` is the unescaped text of a string. A container keeps its size in
 * `text`; while it is open, it keeps its parent in `next` and its last child in `last`.
 */
@unmanaged
class NodeRecord {
  raw: Slice;
  text: Slice;
  key: Slice;
  next: Node;
  kind: JsonKind;
  size: i32;
  last: Node;
}

const RECORD_SIZE: i32 = offsetof<NodeRecord>();

/** Up to this many member names are compared pair by pair; more are sorted. */
const PAIRWISE_MEMBERS: i32 = 12;

const BACKSPACE: u8 = 0x08;
const TAB: u8 = 0x09;
const LINE_FEED: u8 = 0x0a;
const FORM_FEED: u8 = 0x0c;
const CARRIAGE_RETURN: u8 = 0x0d;
const SPACE: u8 = 0x20;
const QUOTE: u8 = 0x22;
const PLUS: u8 = 0x2b;
const COMMA: u8 = 0x2c;
const MINUS: u8 = 0x2d;
const POINT: u8 = 0x2e;
const SLASH: u8 = 0x2f;
const ZERO: u8 = 0x30;
const COLON: u8 = 0x3a;
const BRACKET_OPEN: u8 = 0x5b;
const BACKSLASH: u8 = 0x5c;
const BRACKET_CLOSE: u8 = 0x5d;
const BRACE_OPEN: u8 = 0x7b;
const BRACE_CLOSE: u8 = 0x7d;

/** `true`, `null` and `alse` as four little-endian bytes. */
const TRUE_TEXT: u32 = 0x65757274;
const NULL_TEXT: u32 = 0x6c6c756e;
const ALSE_TEXT: u32 = 0x65736c61;

export class JsonDocument {
  /** After `parse` returned false: the position of the fault, in bytes from the start of the text. */
  errorOffset: i32 = 0;
  /** After `parse` returned false: the fault. */
  errorMessage: string = "";

  private nodes: usize = 0;
  private count: i32 = 0;
  private capacity: i32 = 0;
  private start: usize = 0;
  private end: usize = 0;
  /** The address after the last value read. */
  private cursor: usize = 0;

  /**
   * Parses one JSON text. The previous document is discarded.
   *
   * @param text the bytes; they must outlive the nodes
   * @param maxDepth how many arrays and objects may be open at once
   * @returns whether the text is well-formed; if not, `errorOffset` and `errorMessage` are set and the document is
   *   empty (`root` is NONE)
   */
  parse(text: Slice, maxDepth: i32 = 100): bool {
    this.start = pointerOf(text);
    this.end = this.start + <usize>lengthOf(text);
    this.errorMessage = "";
    this.errorOffset = 0;
    this.count = 0;
    // A value takes about ten bytes in tokens and configurations; `addNode` doubles the capacity if that is too little.
    this.capacity = lengthOf(text) / 8 + 8;
    this.nodes = allocate(<usize>this.capacity * <usize>RECORD_SIZE);
    if (this.parseDocument(maxDepth)) return true;
    this.count = 0;
    return false;
  }

  /** The outermost value; NONE before the first parse and after a failed one. */
  get root(): Node {
    return this.count > 0 ? 0 : NONE;
  }

  kind(n: Node): JsonKind {
    return this.record(n).kind;
  }

  /** The unescaped text of a string, as UTF-8; EMPTY for other values. */
  text(n: Node): Slice {
    const record = this.record(n);
    return record.kind == JsonKind.String ? record.text : EMPTY;
  }

  /** A number as the nearest double (ties to even); 0 for other values. */
  number(n: Node): f64 {
    const record = this.record(n);
    return record.kind == JsonKind.Number ? parseDouble(record.raw) : 0;
  }

  /** The text of the value, unchanged. */
  raw(n: Node): Slice {
    return this.record(n).raw;
  }

  /** The unescaped name of an object's member; EMPTY for other values. */
  key(n: Node): Slice {
    return this.record(n).key;
  }

  /** The first element of an array or member of an object, or NONE. */
  firstChild(n: Node): Node {
    return this.size(n) > 0 ? n + 1 : NONE;
  }

  /** The next element or member after `n`, or NONE. */
  nextSibling(n: Node): Node {
    return this.record(n).next;
  }

  /** How many elements or members a container has; 0 for other values. */
  size(n: Node): i32 {
    return this.record(n).size;
  }

  /**
   * @param object any node, or NONE
   * @param name the unescaped name
   * @returns the member's value; NONE if there is none or `object` is not an object
   */
  member(object: Node, name: Slice): Node {
    if (object == NONE || this.kind(object) != JsonKind.Object) return NONE;
    for (let n = this.firstChild(object); n != NONE; n = this.nextSibling(n)) {
      if (equals(this.record(n).key, name)) return n;
    }
    return NONE;
  }

  // @ts-ignore: decorator
  @inline
  private record(n: Node): NodeRecord {
    return changetype<NodeRecord>(this.nodes + <usize>n * <usize>RECORD_SIZE);
  }

  private fail(at: usize, message: string): bool {
    this.errorOffset = <i32>(at - this.start);
    this.errorMessage = message;
    return false;
  }

  /**
   * One loop reads values and containers. `container` is the innermost open one; an open container keeps its parent in
   * `next`.
   */
  private parseDocument(maxDepth: i32): bool {
    let container = NONE;
    let depth = 0;
    let p = this.skipSpace(this.start);
    for (;;) {
      // A value is expected at p. In an object, its name comes first.
      let key = EMPTY;
      if (container != NONE && this.record(container).kind == JsonKind.Object) {
        if (p >= this.end || load<u8>(p) != QUOTE) return this.fail(p, "a member name is missing");
        key = this.readString(p + 1);
        if (key == EMPTY) return false;
        p = this.skipSpace(this.cursor);
        if (p >= this.end || load<u8>(p) != COLON) return this.fail(p, "':' is missing");
        p = this.skipSpace(p + 1);
      }
      if (p >= this.end) return this.fail(p, "a value is missing");
      const first = load<u8>(p);
      const node = this.addNode(container, key, p);
      if (first == BRACE_OPEN || first == BRACKET_OPEN) {
        if (++depth > maxDepth) return this.fail(p, "nested too deeply");
        const close = first == BRACE_OPEN ? BRACE_CLOSE : BRACKET_CLOSE;
        const record = this.record(node);
        record.kind = first == BRACE_OPEN ? JsonKind.Object : JsonKind.Array;
        record.next = container;
        container = node;
        p = this.skipSpace(p + 1);
        if (p >= this.end || load<u8>(p) != close) continue;
      } else {
        if (!this.readScalar(node, first, p)) return false;
        p = this.skipSpace(this.cursor);
        if (container == NONE) break;
      }

      // A value has ended at p. Close the containers that end here, then expect the next value.
      for (;;) {
        if (p >= this.end) return this.fail(p, "an array or object is not closed");
        const c = load<u8>(p);
        const record = this.record(container);
        const isObject = record.kind == JsonKind.Object;
        if (c == COMMA && record.size > 0) {
          p = this.skipSpace(p + 1);
          break;
        }
        if (c != (isObject ? BRACE_CLOSE : BRACKET_CLOSE)) {
          return this.fail(p, isObject ? "',' or '}' is missing" : "',' or ']' is missing");
        }
        if (isObject && !this.checkNames(container)) return false;
        record.raw = slice(pointerOf(record.raw), <i32>(p + 1 - pointerOf(record.raw)));
        const parent = record.next;
        record.next = NONE;
        container = parent;
        depth--;
        p = this.skipSpace(p + 1);
        if (container == NONE) break;
      }
      if (container == NONE) break;
    }
    return p == this.end ? true : this.fail(p, "text follows the value");
  }

  /** Appends a node and links it into its container. Its raw text begins at `at` and is empty so far. */
  private addNode(container: Node, key: Slice, at: usize): Node {
    if (this.count == this.capacity) {
      const grown = allocate(<usize>this.capacity * 2 * <usize>RECORD_SIZE);
      memory.copy(grown, this.nodes, <usize>this.capacity * <usize>RECORD_SIZE);
      this.nodes = grown;
      this.capacity *= 2;
    }
    const node = this.count++;
    const record = this.record(node);
    record.raw = slice(at, 0);
    record.text = EMPTY;
    record.key = key;
    record.next = NONE;
    record.kind = JsonKind.Null;
    record.size = 0;
    record.last = NONE;
    if (container != NONE) {
      const parent = this.record(container);
      if (parent.last != NONE) this.record(parent.last).next = node;
      parent.last = node;
      parent.size++;
    }
    return node;
  }

  /** Reads a string, number or literal at `p` into `node` and moves `cursor` after it. */
  private readScalar(node: Node, first: u8, p: usize): bool {
    const record = this.record(node);
    if (first == QUOTE) {
      const text = this.readString(p + 1);
      if (text == EMPTY) return false;
      record.kind = JsonKind.String;
      record.text = text;
    } else if (first == MINUS || isDigit(first)) {
      if (!this.readNumber(p)) return false;
      record.kind = JsonKind.Number;
    } else {
      const left = this.end - p;
      if (left >= 4 && load<u32>(p) == TRUE_TEXT) {
        record.kind = JsonKind.True;
        this.cursor = p + 4;
      } else if (left >= 4 && load<u32>(p) == NULL_TEXT) {
        record.kind = JsonKind.Null;
        this.cursor = p + 4;
      } else if (left >= 5 && first == 0x66 /* f */ && load<u32>(p, 1) == ALSE_TEXT) {
        record.kind = JsonKind.False;
        this.cursor = p + 5;
      } else {
        return this.fail(p, "a value is missing");
      }
    }
    record.raw = slice(p, <i32>(this.cursor - p));
    return true;
  }

  private skipSpace(p: usize): usize {
    const end = this.end;
    while (p < end) {
      const c = load<u8>(p);
      if (c > SPACE || (c != SPACE && c != TAB && c != LINE_FEED && c != CARRIAGE_RETURN)) break;
      p++;
    }
    return p;
  }

  /**
   * Reads a string and moves `cursor` after its closing quote.
   *
   * @param start the address after the opening quote
   * @returns the unescaped text: a part of the document if nothing is escaped, else a copy in the arena. EMPTY after a
   *   fault; the result for an empty string has an address
   */
  private readString(start: usize): Slice {
    const end = this.end;
    let p = start;
    let escaped = false;
    for (;;) {
      // Skips ordinary bytes, 16 at once. As signed bytes, controls and non-ASCII are below 0x20.
      while (p + 16 <= end) {
        const block = v128.load(p);
        const special = v128.or(
          v128.or(i8x16.eq(block, i8x16.splat(QUOTE)), i8x16.eq(block, i8x16.splat(BACKSLASH))),
          i8x16.lt_s(block, i8x16.splat(SPACE)),
        );
        const mask = i8x16.bitmask(special);
        if (mask != 0) {
          p += <usize>ctz(mask);
          break;
        }
        p += 16;
      }
      if (p >= end) {
        this.fail(p, "a string is not closed");
        return EMPTY;
      }
      const c = load<u8>(p);
      if (c == QUOTE) break;
      let length: i32;
      if (c == BACKSLASH) {
        escaped = true;
        length = escapeLength(p, end);
        if (length == 0) {
          this.fail(p, "an invalid escape");
          return EMPTY;
        }
      } else if (c < SPACE) {
        this.fail(p, "a control character in a string");
        return EMPTY;
      } else {
        length = sequenceLength(p, end);
        if (length == 0) {
          this.fail(p, "invalid UTF-8");
          return EMPTY;
        }
      }
      p += <usize>length;
    }
    this.cursor = p + 1;
    return escaped ? unescape(start, p) : slice(start, <i32>(p - start));
  }

  /** Reads a number at `p` (RFC 8259 section 6) and moves `cursor` after it. */
  private readNumber(start: usize): bool {
    const end = this.end;
    let p = start;
    if (load<u8>(p) == MINUS) p++;
    const integer = p;
    p = skipDigits(p, end);
    if (p == integer) return this.fail(p, "a digit is missing");
    if (load<u8>(integer) == ZERO && p > integer + 1) return this.fail(integer, "a number begins with 0");
    let isPlain = true;
    if (p < end && load<u8>(p) == POINT) {
      const fraction = ++p;
      p = skipDigits(p, end);
      if (p == fraction) return this.fail(p, "a digit is missing");
    }
    if (p < end && (load<u8>(p) | 0x20) == 0x65 /* e */) {
      isPlain = false;
      p++;
      if (p < end && (load<u8>(p) == PLUS || load<u8>(p) == MINUS)) p++;
      const exponent = p;
      p = skipDigits(p, end);
      if (p == exponent) return this.fail(p, "a digit is missing");
    }
    this.cursor = p;
    // Up to 300 digits without an exponent are below 10^300.
    if ((!isPlain || p - start > 300) && !isFiniteDecimal(slice(start, <i32>(p - start)))) {
      return this.fail(start, "a number is too large");
    }
    return true;
  }

  /** Refuses two members with the same name. */
  private checkNames(object: Node): bool {
    const size = this.size(object);
    if (size > PAIRWISE_MEMBERS) return this.checkNamesSorted(object, size);
    for (let a = this.firstChild(object); a != NONE; a = this.nextSibling(a)) {
      const name = this.record(a).key;
      for (let b = this.record(a).next; b != NONE; b = this.record(b).next) {
        if (equals(name, this.record(b).key)) return this.failDuplicate(b);
      }
    }
    return true;
  }

  /**
   * Merge sort, bottom up: at most log2(size) passes over all names. Unlike with a hash, no choice of names makes it
   * slower. Equal names meet in some merge.
   */
  private checkNamesSorted(object: Node, size: i32): bool {
    let from = allocate(<usize>size * sizeof<Node>());
    let to = allocate(<usize>size * sizeof<Node>());
    let n = this.firstChild(object);
    for (let i = 0; i < size; i++) {
      store<Node>(from + <usize>i * sizeof<Node>(), n);
      n = this.nextSibling(n);
    }
    for (let width = 1; width < size; width *= 2) {
      for (let low = 0; low < size; low += 2 * width) {
        const middle = min(low + width, size);
        const high = min(low + 2 * width, size);
        let left = low;
        let right = middle;
        for (let i = low; i < high; i++) {
          let takeLeft = right >= high;
          if (!takeLeft && left < middle) {
            const order = compareNames(
              this.record(load<Node>(from + <usize>left * sizeof<Node>())).key,
              this.record(load<Node>(from + <usize>right * sizeof<Node>())).key,
            );
            if (order == 0) return this.failDuplicate(load<Node>(from + <usize>right * sizeof<Node>()));
            takeLeft = order < 0;
          }
          const source = takeLeft ? left++ : right++;
          store<Node>(to + <usize>i * sizeof<Node>(), load<Node>(from + <usize>source * sizeof<Node>()));
        }
      }
      const swap = from;
      from = to;
      to = swap;
    }
    return true;
  }

  private failDuplicate(node: Node): bool {
    return this.fail(pointerOf(this.raw(node)), "a second member of the same name");
  }
}

/** Compares lengths first, so names of different lengths, the common case, differ without a comparison of bytes. */
function compareNames(a: Slice, b: Slice): i32 {
  const difference = lengthOf(a) - lengthOf(b);
  return difference != 0 ? difference : memory.compare(pointerOf(a), pointerOf(b), <usize>lengthOf(a));
}

// @ts-ignore: decorator
@inline
function isDigit(c: u8): bool {
  return <u8>(c - ZERO) < 10;
}

function skipDigits(p: usize, end: usize): usize {
  while (p < end && isDigit(load<u8>(p))) p++;
  return p;
}

/**
 * @param p the address of a backslash
 * @returns the length of the escape (a pair of surrogates is one escape); 0 if RFC 8259 section 7 does not have it or a
 *   surrogate is unpaired
 */
function escapeLength(p: usize, end: usize): i32 {
  if (p + 1 >= end) return 0;
  const c = load<u8>(p, 1);
  if (c != 0x75 /* u */) return simpleEscape(c) != 0 ? 2 : 0;
  const unit = hexUnit(p + 2, end);
  if (unit < 0 || isLowSurrogate(unit)) return 0;
  if (!isHighSurrogate(unit)) return 6;
  if (p + 8 > end || load<u16>(p, 6) != 0x755c /* \u */) return 0;
  return isLowSurrogate(hexUnit(p + 8, end)) ? 12 : 0;
}

// @ts-ignore: decorator
@inline
function isHighSurrogate(unit: i32): bool {
  return (unit & ~0x3ff) == 0xd800;
}

// @ts-ignore: decorator
@inline
function isLowSurrogate(unit: i32): bool {
  return (unit & ~0x3ff) == 0xdc00;
}

/** The character that a backslash and `c` represent; 0 if there is no such escape. */
function simpleEscape(c: u8): u8 {
  switch (c) {
    case QUOTE:
    case BACKSLASH:
    case SLASH:
      return c;
    case 0x62 /* b */:
      return BACKSPACE;
    case 0x66 /* f */:
      return FORM_FEED;
    case 0x6e /* n */:
      return LINE_FEED;
    case 0x72 /* r */:
      return CARRIAGE_RETURN;
    case 0x74 /* t */:
      return TAB;
    default:
      return 0;
  }
}

/** The value of four hexadecimal digits at `p`, or -1. */
function hexUnit(p: usize, end: usize): i32 {
  if (p + 4 > end) return -1;
  let unit = 0;
  for (let i: usize = 0; i < 4; i++) {
    const c = load<u8>(p + i);
    const letter: u8 = (c | 0x20) - 0x61;
    let digit: i32;
    if (isDigit(c)) digit = <i32>c - ZERO;
    else if (letter < 6) digit = <i32>letter + 10;
    else return -1;
    unit = (unit << 4) | digit;
  }
  return unit;
}

/** A copy in the arena of a string's content with its escapes replaced. They are known to be valid. */
function unescape(start: usize, end: usize): Slice {
  // An escape is at least as long as the character that it represents.
  const target = allocate(end - start);
  let p = start;
  let q = target;
  while (p < end) {
    const c = load<u8>(p);
    if (c != BACKSLASH) {
      store<u8>(q++, c);
      p++;
      continue;
    }
    const escape = load<u8>(p, 1);
    if (escape != 0x75 /* u */) {
      store<u8>(q++, simpleEscape(escape));
      p += 2;
      continue;
    }
    const unit = hexUnit(p + 2, end);
    p += 6;
    if (isHighSurrogate(unit)) {
      const low = hexUnit(p + 2, end);
      p += 6;
      q = encode(0x10000 + ((unit & 0x3ff) << 10) + (low & 0x3ff), q);
    } else {
      q = encode(unit, q);
    }
  }
  return slice(target, <i32>(q - target));
}
