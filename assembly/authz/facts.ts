/**
 * The predicates that hold of one request. An attribute is read when a predicate about it is first asked for. One
 * lookup of its value then finds all of its predicates that hold.
 *
 * There is one object; it is reset for each request in constant time.
 */
import { newRecord } from "../memory/records";
import { Region } from "../memory/region";
import { Request } from "../http/request";
import { Attributes, Predicates, only } from "./predicates";
import { SparseSet } from "../memory/sparse-set";


@unmanaged
export class Facts {
  /** The attributes whose predicates are known. */
  private known: Attributes;
  /** The predicates that hold, of the attributes in `known`. */
  held: SparseSet;
  private predicates: Predicates;
  private request: Request;
  private tokenBits: usize;

  /**
   * @param tables holds what requests read
   * @param predicates must outlive the facts
   */
  static create(tables: Region, predicates: Predicates): Facts {
    const facts = newRecord<Facts>(tables);
    facts.held = SparseSet.create(tables, predicates.count);
    facts.predicates = predicates;
    return facts;
  }

  /**
   * Resets for a new request.
   *
   * @param tokenBits what `ClaimAttribute.evaluate` wrote, or 0 without a verified token
   */
  begin(request: Request, tokenBits: usize): void {
    this.request = request;
    this.tokenBits = tokenBits;
    this.known = 0;
    this.held.clear();
  }

  /** Whether the predicate, which is about `attribute`, holds. */
  // @ts-ignore: decorator
  @inline
  holds(predicate: i32, attribute: i32): bool {
    if ((this.known & only(attribute)) == 0) this.learn(attribute);
    return this.held.has(predicate);
  }

  /** Evaluates the predicates about these attributes that are not known yet. */
  learnAll(attributes: Attributes): void {
    for (let missing = attributes & ~this.known; missing != 0; missing &= missing - 1) {
      this.learn(ctz(missing));
    }
  }

  private learn(attribute: i32): void {
    this.known |= only(attribute);
    this.predicates.match(attribute, this.request, this.tokenBits, this.held);
  }
}
