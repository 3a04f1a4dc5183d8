/**
 * The leaves of conditions, loaded from `authorization.predicates` of the configuration into the indexes of their
 * attributes. A predicate is identified by its position in that list.
 */
import { PREDICATE_FIELDS } from "../config/schema";
import { Reader, equalsAscii } from "../document/reader";
import { NONE, Node } from "../encoding/json";
import { Request } from "../http/request";
import { IntList, Records, intAt, newInts, newRecords, recordAt, setInt } from "../memory/records";
import { Region } from "../memory/region";
import { EMPTY } from "../memory/slice";
import { TRACING, traceSeen } from "../trace";
import { Attribute, ClaimAttribute, TextSource, attributesOf, textOf } from "./attribute";
import { SparseSet } from "../memory/sparse-set";
import { ValueIndex } from "./value-index";

/** A set of attributes: bit i is attribute i. */
export type Attributes = u32;

// @ts-ignore: decorator
@inline
export function only(attribute: i32): Attributes {
  return 1 << attribute;
}

/** The number of the attribute of claims. */
const CLAIMS: i32 = 0;
/** How an attribute is matched: its `source` and its subject. */
@unmanaged
class Entry {
  source: TextSource;
  subject: i32;
}

export class Predicates {
  /** By predicate: its attribute. */
  private readonly subjects: IntList;
  /** By attribute, its `Entry`. */
  private entries: Records = 0;

  /**
   * @param tables holds what requests read
   * @param claims the attribute of predicates that depend on a token alone
   * @param scratch a set of predicates that loading and `evaluateToken` overwrite
   */
  private constructor(
    tables: Region,
    readonly count: i32,
    readonly claims: ClaimAttribute,
    private readonly values: ValueIndex,
    private readonly attributes: StaticArray<Attribute>,
    readonly scratch: SparseSet,
  ) {
    this.subjects = newInts(tables, count);
  }

  /**
   * Loads the list; the reader has recorded any fault.
   *
   * @param tables holds what requests read
   */
  static load(reader: Reader, list: Node, tables: Region): Predicates {
    const isArray = list != NONE && reader.array(list);
    const count = isArray ? reader.json.size(list) : 0;
    const values = new ValueIndex(tables, count);
    const scratch = SparseSet.create(reader.region, count);
    const claims = new ClaimAttribute(reader.region, tables, values, count, scratch);
    const attributes = attributesOf(tables, values, claims);
    const predicates = new Predicates(tables, count, claims, values, attributes, scratch);
    if (!isArray) return predicates;
    let predicate = 0;
    for (let n = reader.json.firstChild(list); n != NONE; n = reader.json.nextSibling(n)) {
      predicates.loadOne(reader, n, predicate++);
      if (reader.failed) break;
    }
    predicates.seal(tables);
    return predicates;
  }

  private seal(tables: Region): void {
    const attributes = this.attributes;
    this.values.seal();
    this.entries = newRecords<Entry>(tables, attributes.length);
    for (let i = 0; i < attributes.length; i++) {
      const entry = recordAt<Entry>(this.entries, i);
      entry.source = attributes[i].source;
      entry.subject = attributes[i].subject;
    }
  }

  private loadOne(reader: Reader, node: Node, predicate: i32): void {
    if (!reader.object(node, PREDICATE_FIELDS)) return;
    const json = reader.json;
    const match = reader.get(node, "match");
    const first = json.firstChild(node);
    const field = match != NONE && match == first ? json.nextSibling(first) : first;
    if (field != NONE && json.size(node) == (match != NONE ? 2 : 1)) {
      const name = json.key(field);
      for (let i = 0; i < this.attributes.length; i++) {
        const attribute = this.attributes[i];
        if (attribute.hasMatch != (match != NONE)) continue;
        for (let k = 0; k < attribute.fields.length; k++) {
          if (!equalsAscii(name, attribute.fields[k])) continue;
          setInt(this.subjects, predicate, i);
          attribute.load(reader, k, field, match, predicate);
          return;
        }
      }
    }
    reader.fail(node, 'must have one field, and "match" with "claim" and "header"');
  }

  /** The attribute that a predicate is about. */
  // @ts-ignore: decorator
  @inline
  attributeOf(predicate: i32): i32 {
    return intAt(this.subjects, predicate);
  }

  /**
   * Adds to `found` every predicate about that attribute that holds.
   *
   * @param tokenBits what `ClaimAttribute.evaluate` wrote, or 0 without a verified token
   */
  // @ts-ignore: decorator
  @inline
  match(attribute: i32, request: Request, tokenBits: usize, found: SparseSet): void {
    const entry = recordAt<Entry>(this.entries, attribute);
    const source = entry.source;
    if (source != TextSource.None) {
      const value = textOf(request, source);
      if (TRACING) traceSeen(this.attributes[attribute].fields[0], EMPTY, value);
      this.values.match(entry.subject, value, found);
    } else if (attribute == CLAIMS) {
      this.claims.matchBits(tokenBits, found);
    } else {
      unchecked(this.attributes[attribute]).match(request, found);
    }
  }

  /** The attributes that any predicate is about. */
  get allAttributes(): Attributes {
    let all: Attributes = 0;
    for (let i = 0; i < this.count; i++) all |= only(this.attributeOf(i));
    return all;
  }
}
