/** What cannot be decided is reported, never left out. */

/** A question that the procedure does not decide; the message says why. */
export class Undecided extends Error {
  override readonly name = "Undecided";
}
