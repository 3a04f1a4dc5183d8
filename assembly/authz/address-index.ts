/**
 * Finds all CIDR predicates that hold of an address, with one lookup for each width among the blocks, however many
 * blocks there are.
 */
import { Region } from "../memory/region";
import { EMPTY } from "../memory/slice";
import { Cidr, IpAddress, maskedHi, maskedLo } from "../http/address";
import { HashTable, NO_ENTRY, beginHash, hashNumber } from "./hash-table";
import { SparseSet } from "../memory/sparse-set";

/** The blocks of one attribute. */
export class AddressIndex {
  private readonly table: HashTable;
  private readonly blocks: Array<Cidr> = [];
  /** By block. */
  private readonly predicates: Array<i32> = [];
  /** The widths of IPv4 and of IPv6 blocks, each once. */
  private readonly widths4: Array<i32> = [];
  private readonly widths6: Array<i32> = [];

  /** @param tables holds what requests read */
  constructor(private readonly tables: Region) {
    this.table = HashTable.create(tables);
  }

  /** Adds a predicate that holds of the addresses in `block`. */
  add(block: Cidr, predicate: i32): void {
    const widths = this.widths(block.base);
    if (!widths.includes(block.width)) widths.push(block.width);
    this.table.add(this.tables, hashOf(block.base, block.width), EMPTY, this.blocks.length);
    this.blocks.push(block);
    this.predicates.push(predicate);
  }

  /** Adds to `found` every predicate that holds of `address`; none if there is no address. */
  match(address: IpAddress, found: SparseSet): void {
    if (address.family == 0) return;
    const widths = this.widths(address);
    for (let i = 0; i < widths.length; i++) {
      const hash = hashOf(address, unchecked(widths[i]));
      for (
        let entry = this.table.find(hash, EMPTY);
        entry != NO_ENTRY;
        entry = this.table.findNext(entry, hash, EMPTY)
      ) {
        const block = this.table.value(entry);
        if (unchecked(this.blocks[block]).contains(address)) found.add(unchecked(this.predicates[block]));
      }
    }
  }

  private widths(address: IpAddress): Array<i32> {
    return address.family == 4 ? this.widths4 : this.widths6;
  }
}

/** The hash of the first `width` bits of the address. */
function hashOf(address: IpAddress, width: i32): u64 {
  return hashNumber(hashNumber(beginHash(width), maskedHi(address, width)), maskedLo(address, width));
}
