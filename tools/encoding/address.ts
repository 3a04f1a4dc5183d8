/** IP addresses as Go's net/netip reads them, and therefore istiod and Envoy. */

/**
 * @returns the 4 or 16 bytes of an IP address; undefined if the text is anything else (IPv6 zones included, which Envoy
 *   refuses)
 */
export function parseAddress(text: string): number[] | undefined {
  return text.includes(":") ? parseIPv6(text) : parseIPv4(text);
}

/** Four decimal numbers without leading zeros. */
function parseIPv4(text: string): number[] | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  const bytes = parts.map((part) => (/^(0|[1-9]\d{0,2})$/.test(part) ? Number(part) : 256));
  return bytes.every((byte) => byte <= 255) ? bytes : undefined;
}

/** RFC 4291 §2.2, an IPv4 address in the last 32 bits included. */
function parseIPv6(text: string): number[] | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head = "", tail] = halves;
  const before = parseGroups(head, tail === undefined);
  const after = tail === undefined ? [] : parseGroups(tail, true);
  if (before === undefined || after === undefined) return undefined;
  const missing = 16 - before.length - after.length;
  // `::` represents at least one group.
  if (tail === undefined ? missing !== 0 : missing < 2) return undefined;
  return [...before, ...new Array<number>(missing).fill(0), ...after];
}

/** The bytes of colon-separated groups; none for an empty text. */
function parseGroups(text: string, mayEndInIPv4: boolean): number[] | undefined {
  if (text === "") return [];
  const groups = text.split(":");
  const bytes: number[] = [];
  for (const [i, group] of groups.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(group)) {
      const value = Number.parseInt(group, 16);
      bytes.push(value >>> 8, value & 0xff);
      continue;
    }
    const ipv4 = mayEndInIPv4 && i === groups.length - 1 ? parseIPv4(group) : undefined;
    if (ipv4 === undefined) return undefined;
    bytes.push(...ipv4);
  }
  return bytes.length <= 16 ? bytes : undefined;
}

/** Whether the text is an IP address. */
export function isAddress(text: string): boolean {
  return parseAddress(text) !== undefined;
}

/**
 * @param network an address of the network
 * @param bits how many of its first bits all addresses of the network have
 */
export function isInNetwork(address: readonly number[], network: readonly number[], bits: number): boolean {
  return (
    address.length === network.length &&
    network.every(
      (byte, i) => (byte ^ (address[i] ?? 0)) >> Math.max(0, Math.min(8, 8 * (i + 1) - bits)) === 0,
    )
  );
}
