/** The classes of IP addresses that networks can distinguish. */
import { parseAddress } from "../encoding/address.ts";

/** A block of addresses, with its host bits zero: `10.0.0.0/8`. */
export interface Network {
  network: string;
}

/** A class of addresses. */
export interface AddressClass {
  /** The numbers of the networks that contain them, ascending. */
  patterns: readonly number[];
  example: string;
}

interface Block {
  family: 4 | 6;
  first: bigint;
  last: bigint;
}

/**
 * Between two neighbouring edges of networks, all addresses are in the same networks.
 *
 * @param usual an address that is a better example than the first of its class
 */
export function addressClasses(networks: readonly Network[], usual: string): AddressClass[] {
  const blocks = networks.map(({ network }) => blockOf(network));
  const classes = new Map<string, AddressClass>();
  const add = (family: 4 | 6, address: bigint): void => {
    const patterns = blocks.flatMap((block, number) =>
      block.family === family && block.first <= address && address <= block.last ? [number] : [],
    );
    const key = patterns.join(",");
    if (!classes.has(key)) classes.set(key, { patterns, example: formatAddress(family, address) });
  };
  for (const text of [usual, "192.0.2.1", "2001:db8::1"]) {
    const { family, first } = blockOf(text);
    add(family, first);
  }
  for (const { family, first, last } of blocks) {
    // An address inside is a better example than the address of the network.
    if (last - first > 1n) add(family, first + 1n);
    add(family, first);
    add(family, last);
    if (last < top(family)) add(family, last + 1n);
    if (first > 0n) add(family, first - 1n);
  }
  for (const family of [4, 6] as const) add(family, 0n);
  return [...classes.values()];
}

function top(family: 4 | 6): bigint {
  return (1n << (family === 4 ? 32n : 128n)) - 1n;
}

function blockOf(text: string): Block {
  const [address = "", width] = text.split("/");
  const bytes = parseAddress(address);
  if (bytes === undefined) throw new RangeError(`${text} is not an address`);
  const first = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  const free = BigInt(bytes.length * 8 - Number(width ?? bytes.length * 8));
  return { family: bytes.length === 4 ? 4 : 6, first, last: first | ((1n << free) - 1n) };
}

function formatAddress(family: 4 | 6, address: bigint): string {
  const [bits, count] = family === 4 ? [8n, 4] : [16n, 8];
  const parts = Array.from({ length: count }, (_, i) => {
    const part = (address >> (bits * BigInt(count - 1 - i))) & ((1n << bits) - 1n);
    return part.toString(family === 4 ? 10 : 16);
  });
  if (family === 4) return parts.join(".");
  return parts.join(":").replace(/(^|:)0(:0)+(:|$)/, "::");
}
