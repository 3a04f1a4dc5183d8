/**
 * What is known of one request: which predicates hold. An attribute is looked at when a predicate about it is first
 * asked for, and then all its predicates are known at once, for looking up a value finds all that hold of it.
 *
 * One object, begun anew for each request in constant time.
 */
import { Request } from "../http/request";
import { Attributes, Predicates, only } from "./predicates";
import { SparseSet } from "./sparse-set";

export class Facts {
  /** The predicates that hold, of the attributes in `known`. */
  readonly held: SparseSet;
  private known: Attributes = 0;
  private request: Request | null = null;
  private tokenBits: usize = 0;

  constructor(private readonly predicates: Predicates) {
    this.held = new SparseSet(predicates.count);
  }

  /**
   * Forgets the request before.
   *
   * @param tokenBits what `ClaimAttribute.evaluate` wrote, or 0 without a verified token
   */
  begin(request: Request, tokenBits: usize): void {
    this.request = request;
    this.tokenBits = tokenBits;
    this.known = 0;
    this.held.clear();
  }

  /** Whether the predicate holds. */
  // @ts-ignore: decorator
  @inline
  holds(predicate: i32): bool {
    const attribute = this.predicates.attributeOf(predicate);
    if ((this.known & only(attribute)) == 0) this.learn(attribute);
    return this.held.has(predicate);
  }

  /** Makes sure that these attributes are known. */
  learnAll(attributes: Attributes): void {
    for (let missing = attributes & ~this.known; missing != 0; missing &= missing - 1) {
      this.learn(ctz(missing));
    }
  }

  private learn(attribute: i32): void {
    this.known |= only(attribute);
    const request = this.request;
    if (request !== null) this.predicates.match(attribute, request, this.tokenBits, this.held);
  }
}
