/** The result of authentication. One object, overwritten for each request. */
import { EMPTY, Slice } from "../memory/slice";
import { Status } from "../jose/status";
import { RemoteJwks } from "./remote-jwks";
import { VerifiedToken } from "./verified-token";
import { FIRST_KEYS } from "./waiting-list";

export class Authentication {
  /** Ok, or why the request is refused. Has no meaning while `waitsFor` is set. */
  status: Status = Status.Ok;
  /** The token whose payload policies see, or null. Valid while the request is handled, until the next `insert`. */
  verified: VerifiedToken | null = null;
  /** The claim that a refusal names (`namesClaim`). */
  refusedClaim: Slice = EMPTY;
  /** The keys that the request waits for, or null if it does not wait. */
  waitsFor: RemoteJwks | null = null;
  /** The hash of the kid that it waits for, or FIRST_KEYS. */
  waitsForKid: u64 = FIRST_KEYS;
  /** How many tokens were in the cache, and how many were verified again. */
  hits: i32 = 0;
  misses: i32 = 0;

  /** Clears the result: the request has no identity and is not refused. */
  reset(): void {
    this.status = Status.Ok;
    this.verified = null;
    this.refusedClaim = EMPTY;
    this.waitsFor = null;
    this.waitsForKid = FIRST_KEYS;
    this.hits = 0;
    this.misses = 0;
  }
}
