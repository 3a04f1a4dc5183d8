/**
 * Parses IP addresses and CIDR blocks strictly: exactly what POSIX `inet_pton` accepts.
 *
 * As in Envoy (source/common/network/cidr_range.cc), an IPv4 block never contains an IPv6 address, nor the other way
 * round. The host already reports IPv4-mapped peers as IPv4.
 */
import { Slice, byteAt, indexOfByte, lengthOf, subslice } from "../memory/slice";

const PERCENT: u8 = 0x25;
const DOT: u8 = 0x2e;
const SLASH: u8 = 0x2f;
const ZERO: u8 = 0x30;
const COLON: u8 = 0x3a;
const OPENING_BRACKET: u8 = 0x5b;
const CLOSING_BRACKET: u8 = 0x5d;

/** Groups of 16 bits in an IPv6 address. */
const GROUPS: i32 = 8;

/** An IPv4 or IPv6 address, or none. */
export class IpAddress {
  /** 4, 6, or 0 if there is no address. */
  family: i32 = 0;
  /** IPv6: the first eight bytes. */
  hi: u64 = 0;
  /** IPv6: the last eight bytes. IPv4: the address in the low 32 bits. */
  lo: u64 = 0;
  /** The port that `parseWithPort` found, else -1. */
  port: i32 = -1;

  clear(): void {
    this.family = 0;
    this.hi = 0;
    this.lo = 0;
    this.port = -1;
  }

  /**
   * @param text an address without port: `192.0.2.1`, `2001:db8::1`, `::ffff:192.0.2.1` (RFC 4291 section 2.2)
   * @returns false if it is anything else; the address is then cleared
   */
  parse(text: Slice): bool {
    this.clear();
    if (indexOfByte(text, COLON) < 0 ? this.parseV4(text) : this.parseV6(text)) return true;
    this.clear();
    return false;
  }

  /**
   * @param text an address with port as Envoy prints it: `192.0.2.1:80`, `[2001:db8::1]:80`, `[fe80::1%2]:80` (the zone
   *   is ignored, as Envoy's CIDR ranges ignore it)
   * @returns false if it is anything else (a pipe, an internal listener); the address is then cleared
   */
  parseWithPort(text: Slice): bool {
    const length = lengthOf(text);
    const bracketed = length > 0 && byteAt(text, 0) == OPENING_BRACKET;
    const end = indexOfByte(text, bracketed ? CLOSING_BRACKET : COLON);
    this.clear();
    if (end < 0) return false;
    const parsed = bracketed
      ? this.parseV6(withoutZone(subslice(text, 1, end)))
      : this.parseV4(subslice(text, 0, end));
    const colon = bracketed ? end + 1 : end;
    const port =
      parsed && colon < length && byteAt(text, colon) == COLON
        ? parseDecimal(subslice(text, colon + 1, length), 65535)
        : -1;
    if (port < 0) this.clear();
    this.port = port;
    return port >= 0;
  }

  private parseV4(text: Slice): bool {
    const value = parseV4(text);
    this.family = 4;
    this.lo = <u64>value;
    return value >= 0;
  }

  /** Parses eight groups, or fewer with one `::` for the missing ones. */
  private parseV6(text: Slice): bool {
    this.family = 6;
    const gap = indexOfGap(text);
    if (gap < 0) return countGroups(text) == GROUPS && this.parseGroups(text, 0);
    const front = subslice(text, 0, gap);
    const back = subslice(text, gap + 2, lengthOf(text));
    const frontGroups = countGroups(front);
    const backGroups = countGroups(back);
    return (
      frontGroups + backGroups < GROUPS &&
      indexOfByte(front, DOT) < 0 &&
      this.parseGroups(front, 0) &&
      this.parseGroups(back, GROUPS - backGroups)
    );
  }

  /** Parses groups separated by colons, starting at group `place`; `countGroups` has checked that they fit. */
  private parseGroups(text: Slice, place: i32): bool {
    const length = lengthOf(text);
    if (length == 0) return true;
    for (let start = 0; start <= length;) {
      const colon = indexOfByte(text, COLON, start);
      const end = colon < 0 ? length : colon;
      const group = subslice(text, start, end);
      if (indexOfByte(group, DOT) >= 0) {
        const value = colon < 0 ? parseV4(group) : -1;
        this.lo |= <u64>value;
        return value >= 0;
      }
      const value = parseGroup(group);
      if (value < 0) return false;
      // Groups 0 to 3 fill the high half from the top down, groups 4 to 7 the low half.
      const shift: u64 = 48 - 16 * (place % 4);
      if (place < 4) this.hi |= (<u64>value) << shift;
      else this.lo |= (<u64>value) << shift;
      place++;
      start = end + 1;
    }
    return true;
  }
}

/** A block of addresses: those whose first `width` bits are the same. */
export class Cidr {
  readonly base: IpAddress = new IpAddress();
  /** How many leading bits count: 0 to 32, or 0 to 128. */
  width: i32 = 0;

  /**
   * @param text `ADDRESS/WIDTH` with host bits zero
   * @returns false if it is anything else
   */
  parse(text: Slice): bool {
    const slash = indexOfByte(text, SLASH);
    if (slash < 0 || !this.base.parse(subslice(text, 0, slash))) return false;
    this.width = parseDecimal(subslice(text, slash + 1, lengthOf(text)), bitsOf(this.base.family));
    return (
      this.width >= 0 &&
      maskedHi(this.base, this.width) == this.base.hi &&
      maskedLo(this.base, this.width) == this.base.lo
    );
  }

  contains(address: IpAddress): bool {
    return (
      address.family == this.base.family &&
      maskedHi(address, this.width) == this.base.hi &&
      maskedLo(address, this.width) == this.base.lo
    );
  }
}

/** The bits of an address of that family. */
function bitsOf(family: i32): i32 {
  return family == 4 ? 32 : 128;
}

/** `hi` of the address, with all but the first `width` bits of the address cleared. */
export function maskedHi(address: IpAddress, width: i32): u64 {
  return address.family == 4 ? 0 : address.hi & leadingBits(width);
}

/** `lo` of the address, with all but the first `width` bits of the address cleared. */
export function maskedLo(address: IpAddress, width: i32): u64 {
  return address.lo & leadingBits(address.family == 4 ? width + 32 : width - 64);
}

/** A mask of the first `count` of 64 bits; a count outside 0 to 64 is clamped. */
function leadingBits(count: i32): u64 {
  if (count <= 0) return 0;
  return count >= 64 ? u64.MAX_VALUE : ~(u64.MAX_VALUE >>> (<u64>count));
}

/** Where `::` begins, or -1. */
function indexOfGap(text: Slice): i32 {
  const last = lengthOf(text) - 1;
  for (let i = indexOfByte(text, COLON); i >= 0 && i < last; i = indexOfByte(text, COLON, i + 1)) {
    if (byteAt(text, i + 1) == COLON) return i;
  }
  return -1;
}

/** How many 16-bit groups the text before or after `::` has; an embedded IPv4 address counts as two. */
function countGroups(text: Slice): i32 {
  if (lengthOf(text) == 0) return 0;
  let count = indexOfByte(text, DOT) < 0 ? 1 : 2;
  for (let i = indexOfByte(text, COLON); i >= 0; i = indexOfByte(text, COLON, i + 1)) count++;
  return count;
}

/** One to four hexadecimal digits, or -1. */
function parseGroup(text: Slice): i32 {
  const length = lengthOf(text);
  if (length < 1 || length > 4) return -1;
  let value = 0;
  for (let i = 0; i < length; i++) {
    const byte = byteAt(text, i);
    const digit = <u8>(byte - ZERO);
    const letter = <u8>((byte | 0x20) - 0x61);
    if (digit < 10) value = (value << 4) | (<i32>digit);
    else if (letter < 6) value = (value << 4) | (<i32>letter + 10);
    else return -1;
  }
  return value;
}

/** Four decimal numbers without leading zeros, or -1. */
function parseV4(text: Slice): i64 {
  const length = lengthOf(text);
  let value: i64 = 0;
  let start = 0;
  for (let part = 0; part < 4; part++) {
    const dot = indexOfByte(text, DOT, start);
    const end = part < 3 ? dot : length;
    if (end < start) return -1;
    const octet = parseDecimal(subslice(text, start, end), 255);
    if (octet < 0) return -1;
    value = (value << 8) | (<i64>octet);
    start = end + 1;
  }
  return value;
}

/** A decimal number up to `maximum` without leading zeros, or -1. */
function parseDecimal(text: Slice, maximum: i32): i32 {
  const length = lengthOf(text);
  if (length == 0 || length > 5 || (length > 1 && byteAt(text, 0) == ZERO)) return -1;
  let value = 0;
  for (let i = 0; i < length; i++) {
    const digit = <u8>(byteAt(text, i) - ZERO);
    if (digit > 9) return -1;
    value = value * 10 + <i32>digit;
  }
  return value > maximum ? -1 : value;
}

/** `fe80::1%eth0` without `%eth0`. */
function withoutZone(text: Slice): Slice {
  const percent = indexOfByte(text, PERCENT);
  return percent < 0 ? text : subslice(text, 0, percent);
}
