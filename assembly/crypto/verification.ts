/** What checking a signature came to. */
export const enum Verification {
  Bad,
  Good,
  /** The host that verifies signatures failed: nothing is known. */
  Unavailable,
}

/** @returns Good or Bad */
export function verified(isGood: bool): Verification {
  return isGood ? Verification.Good : Verification.Bad;
}
