/**
 * Patterns that one value is compared with. A pattern has a key, by which it is looked up: text that the value begins
 * with, ends with, equals, or has as a segment. If the key does not decide alone, a check of the whole value follows.
 *
 * The patterns are those that istiod generates (pilot/pkg/security/authz/matcher, model/generator.go). In its regular
 * expressions `.` is RE2's: any character but a newline, in well-formed UTF-8.
 */
import {
  EMPTY,
  Slice,
  Text,
  byteAt,
  endsWith,
  equals,
  indexOfByte,
  lengthOf,
  startsWith,
  subslice,
} from "../memory/slice";
import { PREDICATE_SERVICE_ACCOUNT_FIELDS, STRING_MATCH_FIELDS } from "../config/schema";
import { Reader } from "../document/reader";
import { NONE, Node } from "../encoding/json";
import { isValid } from "../encoding/utf8";

const STAR = new Text("{*}");
const DOUBLE_STAR = new Text("{**}");
const SPIFFE = new Text("spiffe://");
const NAMESPACE_SEGMENT = new Text("/ns/");
const SERVICE_ACCOUNT_SEGMENT = new Text("sa/");

const NEWLINE: u8 = 0x0a;
const ASTERISK: u8 = 0x2a;
const SLASH: u8 = 0x2f;

/** Where in a value a pattern's key is. */
export const enum Anchor {
  /** The key is the whole value. */
  Whole,
  Start,
  End,
  /** The key is one of the value's segments between slashes. */
  Segment,
}

/** Segments after this many are not used as keys, which bounds the lookups for a path. */
export const MAX_SEGMENTS: i32 = 32;

/** A condition on a value besides the pattern's key. */
export abstract class Check {
  /** @param value has the key in its position */
  abstract matches(value: Slice): bool;
}

export class Pattern {
  /**
   * @param check a further condition on a value with that key
   * @param segment if the anchor is Segment: which one, from 0 to `MAX_SEGMENTS - 1`
   * @param alternatives further keys that every matching value has, each equally suitable for the lookup
   */
  constructor(
    readonly anchor: Anchor,
    readonly key: Slice,
    readonly check: Check | null = null,
    readonly segment: i32 = 0,
    readonly alternatives: Array<Pattern> = [],
  ) {}
}

/** The pattern of a faulty configuration; the reader has recorded the fault. */
function noPattern(): Pattern {
  return new Pattern(Anchor.Whole, EMPTY);
}

/** Loads a StringMatch: exact, prefix, suffix or nonEmpty. */
export function loadStringMatch(reader: Reader, node: Node): Pattern {
  if (reader.object(node, STRING_MATCH_FIELDS) && reader.json.size(node) == 1) {
    const exact = reader.get(node, "exact");
    if (exact != NONE) return new Pattern(Anchor.Whole, reader.string(exact));
    const prefix = reader.get(node, "prefix");
    if (prefix != NONE) return new Pattern(Anchor.Start, reader.nonEmptyString(prefix));
    const suffix = reader.get(node, "suffix");
    if (suffix != NONE) return new Pattern(Anchor.End, reader.nonEmptyString(suffix));
    const nonEmpty = reader.get(node, "nonEmpty");
    if (reader.boolean(nonEmpty)) return new Pattern(Anchor.Start, EMPTY, new NonEmptyCheck());
  }
  reader.fail(node, 'must be one of {"exact": …}, {"prefix": …}, {"suffix": …}, {"nonEmpty": true}');
  return noPattern();
}

/** Whether `.*` matches the whole value. */
function isDots(value: Slice): bool {
  return indexOfByte(value, NEWLINE) < 0 && isValid(value);
}

/** `.+` */
class NonEmptyCheck extends Check {
  matches(value: Slice): bool {
    return lengthOf(value) > 0 && isDots(value);
  }
}

/**
 * Loads a URI template as Envoy reads it (source/extensions/path/uri_template_lib/uri_template_internal.cc). Its
 * segments are literals, `{*}` (one segment) and at most one `{**}` after every `{*}` (any characters of a path,
 * slashes included, or none).
 */
export function loadTemplate(reader: Reader, node: Node): Pattern {
  const template = reader.nonEmptyString(node);
  if (reader.failed) return noPattern();
  const length = lengthOf(template);
  if (byteAt(template, 0) != SLASH) {
    reader.fail(node, "must begin with /");
    return noPattern();
  }
  // The keys: everything up to the first operator, and each literal segment in a fixed position.
  const literals: Array<Pattern> = [];
  let keyEnd = -1;
  let anyAt = -1;
  let count = 0;
  for (let start = 1; start <= length;) {
    const slash = indexOfByte(template, SLASH, start);
    const end = slash < 0 ? length : slash;
    const segment = subslice(template, start, end);
    const isAny = equals(segment, DOUBLE_STAR.slice);
    if (isAny || equals(segment, STAR.slice)) {
      if (anyAt >= 0) {
        reader.fail(node, "must not have an operator after {**}");
        return noPattern();
      }
      if (keyEnd < 0) keyEnd = start;
      if (isAny) anyAt = start;
    } else if (start < length && !isLiteral(segment)) {
      reader.fail(node, "must have segments of URI characters, {*} or {**}");
      return noPattern();
    } else if (start < length && anyAt < 0 && count < MAX_SEGMENTS) {
      literals.push(new Pattern(Anchor.Segment, segment, null, count));
    }
    count++;
    start = end + 1;
  }
  if (keyEnd < 0) return new Pattern(Anchor.Whole, template);
  const check = new TemplateCheck(
    subslice(template, 0, anyAt < 0 ? length : anyAt),
    anyAt < 0 ? EMPTY : subslice(template, anyAt + lengthOf(DOUBLE_STAR.slice), length),
    anyAt >= 0,
  );
  return new Pattern(Anchor.Start, subslice(template, 0, keyEnd), check, 0, literals);
}

/** A URI template. */
class TemplateCheck extends Check {
  /**
   * @param segments literals and `{*}` up to `{**}`
   * @param ending the literal text after `{**}`
   * @param hasAny whether there is a `{**}`
   */
  constructor(
    private readonly segments: Slice,
    private readonly ending: Slice,
    private readonly hasAny: bool,
  ) {
    super();
  }

  matches(path: Slice): bool {
    const pathLength = lengthOf(path);
    let at = 0;
    for (let i = 0; i < lengthOf(this.segments); i++) {
      if (byteAt(this.segments, i) != 0x7b /* { */) {
        if (at == pathLength || byteAt(path, at) != byteAt(this.segments, i)) return false;
        at++;
      } else {
        const start = at;
        while (at < pathLength && isSegmentCharacter(byteAt(path, at))) at++;
        if (at == start) return false;
        i += 2;
      }
    }
    if (!this.hasAny) return at == pathLength;
    const rest = subslice(path, at, pathLength);
    if (!endsWith(rest, this.ending)) return false;
    for (let i = 0; i < lengthOf(rest); i++) {
      const byte = byteAt(rest, i);
      if (byte != SLASH && !isSegmentCharacter(byte)) return false;
    }
    return true;
  }
}

/** The characters that a literal segment may have: those of a path except `*`, which Envoy reads as an operator. */
function isLiteral(segment: Slice): bool {
  for (let i = 0; i < lengthOf(segment); i++) {
    const byte = byteAt(segment, i);
    if (byte == ASTERISK || !isSegmentCharacter(byte)) return false;
  }
  return lengthOf(segment) > 0;
}

/** pchar of RFC 3986 section 3.3: the characters that Envoy 1.40 accepts in a segment, tested one by one. */
function isSegmentCharacter(byte: u8): bool {
  if (byte < 0x40) return (PUNCTUATION_AND_DIGITS & ((<u64>1) << (<u64>byte))) != 0;
  return (
    <u8>((byte | 0x20) - 0x61) < 26 || byte == 0x40 /* @ */ || byte == 0x5f /* _ */ || byte == 0x7e /* ~ */
  );
}

/** A bit for each of `!$%&'()*+,-.`, the digits and `:;=`. */
const PUNCTUATION_AND_DIGITS: u64 = 0x2fff_7ff2_0000_0000;

/** Loads a glob: literal pieces with `.*` between them, the first at the start, the last at the end. */
export function loadGlob(reader: Reader, node: Node): Pattern {
  const pieces = reader.strings(node);
  if (!reader.failed && pieces.length < 2) reader.fail(node, "must have at least two pieces");
  for (let i = 0; i < pieces.length; i++) refuseByte(reader, node, pieces[i], NEWLINE);
  if (reader.failed) return noPattern();
  return new Pattern(Anchor.Start, pieces[0], new GlobCheck(pieces));
}

class GlobCheck extends Check {
  constructor(private readonly pieces: StaticArray<Slice>) {
    super();
  }

  matches(value: Slice): bool {
    // The leftmost position is right for every piece: it leaves the most text for the pieces after it.
    const last = this.pieces.length - 1;
    let at = lengthOf(unchecked(this.pieces[0]));
    for (let i = 1; i < last; i++) {
      const piece = unchecked(this.pieces[i]);
      const place = indexOf(value, piece, at);
      if (place < 0) return false;
      at = place + lengthOf(piece);
    }
    return endsWith(subslice(value, at, lengthOf(value)), unchecked(this.pieces[last])) && isDots(value);
  }
}

/** Loads a trust domain with a wildcard: `spiffe://BEGIN[^/]*END/.*`. */
export function loadTrustDomain(reader: Reader, node: Node): Pattern {
  const parts = reader.strings(node);
  if (!reader.failed && parts.length != 2) reader.fail(node, "must be a beginning and an end");
  for (let i = 0; i < parts.length; i++) refuseByte(reader, node, parts[i], SLASH);
  if (reader.failed) return noPattern();
  return new Pattern(Anchor.Start, SPIFFE.slice, new TrustDomainCheck(parts[0], parts[1]));
}

class TrustDomainCheck extends Check {
  constructor(
    private readonly beginning: Slice,
    private readonly ending: Slice,
  ) {
    super();
  }

  matches(name: Slice): bool {
    const start = lengthOf(SPIFFE.slice);
    const slash = indexOfByte(name, SLASH, start);
    if (slash < 0) return false;
    const domain = subslice(name, start, slash);
    return (
      lengthOf(domain) >= lengthOf(this.beginning) + lengthOf(this.ending) &&
      startsWith(domain, this.beginning) &&
      endsWith(domain, this.ending) &&
      indexOfByte(name, NEWLINE, slash) < 0 &&
      isValid(name)
    );
  }
}

/** Loads a service account: `spiffe://.+/ns/NAMESPACE/(.+/|)sa/NAME(/.+)?`. */
export function loadServiceAccount(reader: Reader, node: Node): Pattern {
  if (!reader.object(node, PREDICATE_SERVICE_ACCOUNT_FIELDS)) return noPattern();
  const namespace = reader.nonEmptyString(reader.require(node, "namespace"));
  const name = reader.nonEmptyString(reader.require(node, "name"));
  refuseByte(reader, node, namespace, NEWLINE);
  refuseByte(reader, node, name, NEWLINE);
  return new Pattern(Anchor.Start, SPIFFE.slice, new ServiceAccountCheck(namespace, name));
}

class ServiceAccountCheck extends Check {
  constructor(
    private readonly namespace: Slice,
    private readonly name: Slice,
  ) {
    super();
  }

  matches(name: Slice): bool {
    // The leftmost namespace leaves the most text for what follows, and the trust domain before it needs at least one
    // byte.
    for (
      let ns = indexOf(name, NAMESPACE_SEGMENT.slice, lengthOf(SPIFFE.slice) + 1);
      ns >= 0;
      ns = indexOf(name, NAMESPACE_SEGMENT.slice, ns + 1)
    ) {
      const end = segmentEnd(name, ns + lengthOf(NAMESPACE_SEGMENT.slice), this.namespace);
      if (end >= 0 && end < lengthOf(name)) return this.matchesAccount(name, end + 1) && isDots(name);
    }
    return false;
  }

  /** Whether `(.+/|)sa/NAME(/.+)?` matches the text from `start` on. */
  private matchesAccount(name: Slice, start: i32): bool {
    const length = lengthOf(name);
    for (
      let sa = indexOf(name, SERVICE_ACCOUNT_SEGMENT.slice, start);
      sa >= 0;
      sa = indexOf(name, SERVICE_ACCOUNT_SEGMENT.slice, sa + 1)
    ) {
      if (sa != start && (sa < start + 2 || byteAt(name, sa - 1) != SLASH)) continue;
      const end = segmentEnd(name, sa + lengthOf(SERVICE_ACCOUNT_SEGMENT.slice), this.name);
      if (end == length || (end >= 0 && end + 1 < length)) return true;
    }
    return false;
  }
}

/** Refuses a literal with that byte. It would make the shortcuts above wrong, and no policy has one. */
function refuseByte(reader: Reader, node: Node, literal: Slice, byte: u8): void {
  if (indexOfByte(literal, byte) >= 0)
    reader.fail(node, "must not contain a newline, nor a trust domain a slash");
}

/** The end of `segment` at `start`, if a slash or the end of the text follows it; else -1. */
function segmentEnd(text: Slice, start: i32, segment: Slice): i32 {
  const end = start + lengthOf(segment);
  if (!startsWith(subslice(text, start, lengthOf(text)), segment)) return -1;
  return end == lengthOf(text) || byteAt(text, end) == SLASH ? end : -1;
}

/** The first index of `piece` at or after `from`, or -1. */
function indexOf(text: Slice, piece: Slice, from: i32): i32 {
  const length = lengthOf(text);
  for (let i = from; i + lengthOf(piece) <= length; i++) {
    if (startsWith(subslice(text, i, length), piece)) return i;
  }
  return -1;
}
