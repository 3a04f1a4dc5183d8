import { Slice } from "../memory/slice";
import { JsonDocument } from "../encoding/json";

/** What policies need to know of a token, evaluated once when it is verified and kept with it. */
export abstract class TokenEvaluator {
  /** How many bytes `evaluateToken` writes: whole 64-bit words. */
  abstract get tokenPredicateBytes(): i32;

  /**
   * @param payload of the verified token
   * @param spaceDelimited its provider's `spaceDelimitedClaims`
   * @param bits address of `tokenPredicateBytes` bytes, which are overwritten
   */
  abstract evaluateToken(payload: JsonDocument, spaceDelimited: StaticArray<Slice>, bits: usize): void;
}
