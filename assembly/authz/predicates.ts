/**
 * The leaves of conditions, loaded from `authorization.predicates` of the configuration into the indexes of their
 * attributes. A predicate is identified by its position in that list.
 */
import { PREDICATE_FIELDS } from "../config/schema";
import { Reader, equalsAscii } from "../document/reader";
import { NONE, Node } from "../encoding/json";
import { Request } from "../http/request";
import { Attribute, ClaimAttribute, attributesOf } from "./attribute";
import { SparseSet } from "./sparse-set";
import { ValueIndex } from "./value-index";

/** A set of attributes: bit i is attribute i. */
export type Attributes = u32;

// @ts-ignore: decorator
@inline
export function only(attribute: i32): Attributes {
  return 1 << attribute;
}

export class Predicates {
  /** By predicate: its attribute. */
  private readonly subjects: StaticArray<i32>;

  /** @param claims the attribute of predicates that depend on a token alone */
  private constructor(
    readonly count: i32,
    readonly claims: ClaimAttribute,
    private readonly attributes: Array<Attribute>,
  ) {
    this.subjects = new StaticArray<i32>(count);
  }

  /** Loads the list; the reader has recorded any fault. */
  static load(reader: Reader, list: Node): Predicates {
    const isArray = list != NONE && reader.array(list);
    const count = isArray ? reader.json.size(list) : 0;
    const values = new ValueIndex(count);
    const claims = new ClaimAttribute(values, count);
    const predicates = new Predicates(count, claims, attributesOf(values, claims));
    if (!isArray) return predicates;
    let predicate = 0;
    for (let n = reader.json.firstChild(list); n != NONE; n = reader.json.nextSibling(n)) {
      predicates.loadOne(reader, n, predicate++);
      if (reader.failed) break;
    }
    return predicates;
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
          this.subjects[predicate] = i;
          attribute.load(reader, k, field, match, predicate);
          return;
        }
      }
    }
    reader.fail(node, 'must have one field, and "match" beside "claim" and "header"');
  }

  /** The attribute that a predicate is about. */
  // @ts-ignore: decorator
  @inline
  attributeOf(predicate: i32): i32 {
    return unchecked(this.subjects[predicate]);
  }

  /**
   * Adds to `found` every predicate about that attribute that holds.
   *
   * @param tokenBits what `ClaimAttribute.evaluate` wrote, or 0 without a verified token
   */
  // @ts-ignore: decorator
  @inline
  match(attribute: i32, request: Request, tokenBits: usize, found: SparseSet): void {
    unchecked(this.attributes[attribute]).match(request, tokenBits, found);
  }

  /** The attributes that any predicate is about. */
  get allAttributes(): Attributes {
    let all: Attributes = 0;
    for (let i = 0; i < this.subjects.length; i++) all |= only(this.subjects[i]);
    return all;
  }
}
