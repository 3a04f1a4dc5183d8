/** The result of checking a signature. */
export const enum Verification {
  Bad,
  Good,
  /** The host that verifies signatures failed, so the result is unknown. */
  Unavailable,
}

/** @returns Good or Bad */
export function verified(isGood: bool): Verification {
  return isGood ? Verification.Good : Verification.Bad;
}
