/** CIDR ranges as Go's net/netip, and therefore istiod, reads ipBlocks. */
import { parseAddress } from "../encoding/address.ts";

/**
 * @param text an address, or an address with a prefix length
 * @returns the range with its host bits zero, such as `10.1.0.0/16` or `2001:db8::/32`; a single address is a range of
 *   one; undefined if the text is neither (IPv6 zones included, which Envoy refuses)
 */
export function parseCidr(text: string): string | undefined {
  const slash = text.lastIndexOf("/");
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (address === undefined) return undefined;
  const bits = address.length * 8;
  const prefix = slash < 0 ? bits : parsePrefixLength(text.slice(slash + 1), bits);
  if (prefix === undefined) return undefined;
  const masked = address.map((byte, i) => byte & mask(prefix - 8 * i));
  return `${formatAddress(masked)}/${prefix}`;
}

/** The first `bits` bits of a byte. */
function mask(bits: number): number {
  return bits >= 8 ? 0xff : bits <= 0 ? 0 : (0xff << (8 - bits)) & 0xff;
}

function parsePrefixLength(text: string, maximum: number): number | undefined {
  if (!/^(0|[1-9]\d{0,2})$/.test(text)) return undefined;
  return Number(text) <= maximum ? Number(text) : undefined;
}

/** RFC 5952 §4: the longest run of zero groups, the first of equals, becomes `::`. */
function formatAddress(bytes: number[]): string {
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0));
  let start = 0;
  let length = 1;
  for (let from = 0; from < 8; from++) {
    let to = from;
    while (to < 8 && groups[to] === 0) to++;
    if (to - from > length) [start, length] = [from, to - from];
  }
  const hex = groups.map((group) => group.toString(16));
  if (length === 1) return hex.join(":");
  return `${hex.slice(0, start).join(":")}::${hex.slice(start + length).join(":")}`;
}
