/**
 * The predicates that hold of one request. An attribute is read when a predicate about it is first asked for. One
 * lookup of its value then finds all of its predicates that hold.
 *
 * There is one object; it is reset for each request in constant time.
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

  /** Whether the predicate holds. */
  // @ts-ignore: decorator
  @inline
  holds(predicate: i32): bool {
    const attribute = this.predicates.attributeOf(predicate);
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
    const request = this.request;
    if (request !== null) this.predicates.match(attribute, request, this.tokenBits, this.held);
  }
}
