/**
 * Finds where two formulas differ: values of the variables under which a condition holds, one formula is true and the
 * other false. A variable is split into its values; a branch ends where the two formulas became the same.
 */
import { type Atom, FALSE, type Formula, type Formulas, TRUE, type Value, type Variable } from "./formula.ts";
import { Undecided } from "./undecided.ts";

/** The values of variables. */
export interface Values {
  /** The number of values that a variable can have. */
  count(variable: Variable): number;
  /** The atoms that a value makes true. */
  value(variable: Variable, index: number): Value;
}

/** The chosen value of each variable that mattered. */
export type Assignment = ReadonlyMap<Variable, number>;

/** A place where the formulas differ. */
export interface Difference {
  /** Which of the two is true. */
  first: boolean;
  assignment: Assignment;
}

/** A search has worked for a while; the next call continues. */
export class Paused extends Error {
  override readonly name = "Paused";
}

/** How long a search works between two pauses, in milliseconds. */
const SLICE_MS = 100;
/** How many restrictions of formulas it makes at least, because it repeats some after a pause. */
const MIN_SLICE = 1_024;

export class Search {
  /** How many cases were examined. */
  cases = 0;
  /** How many restrictions of formulas were made. */
  steps = 0;
  private readonly equal = new Set<string>();
  /** When the current slice began: at which step, at which time, and how much was known. */
  private slice = { step: 0, time: performance.now(), known: 0 };
  private minSteps = MIN_SLICE;
  private readonly projections = new Map<string, readonly number[]>();

  /** @param limit how many restrictions of formulas are made before the question counts as undecided */
  constructor(
    private readonly formulas: Formulas,
    private readonly values: Values,
    private readonly limit: number,
  ) {}

  /**
   * The first place at which `condition` holds and the two differ.
   *
   * @returns undefined if there is none
   * @throws {Paused} at intervals: the same call again continues with the results so far
   * @throws {Undecided} if there are too many cases
   */
  difference(condition: Formula, first: Formula, second: Formula): Difference | undefined {
    const assignment = new Map<Variable, number>();
    const visit = (when: Formula, a: Formula, b: Formula): Difference | undefined => {
      this.cases++;
      if (when === FALSE || a === b) return undefined;
      const key = `${when},${a},${b}`;
      if (this.equal.has(key)) return undefined;
      const variable = this.choose(when, a, b);
      if (variable === undefined) return { first: a === TRUE, assignment: new Map(assignment) };
      for (const index of this.projected(variable, [when, a, b])) {
        const value = this.values.value(variable, index);
        this.count();
        const rest = this.formulas.restrict(when, variable, value);
        if (rest === FALSE) continue;
        assignment.set(variable, index);
        const [one, two] = [
          this.formulas.restrict(a, variable, value),
          this.formulas.restrict(b, variable, value),
        ];
        const found = visit(rest, one, two);
        if (found !== undefined) return found;
      }
      assignment.delete(variable);
      this.equal.add(key);
      return undefined;
    };
    try {
      return visit(condition, first, second);
    } catch (error) {
      // Thousands of conditions on one request, each nested in the case before it.
      if (error instanceof RangeError) throw new Undecided("too many conditions are combined");
      throw error;
    }
  }

  private count(): void {
    this.steps++;
    if (this.steps > this.limit || this.formulas.size > MAX_FORMULAS)
      throw new Undecided("the conditions combine in too many ways");
    if (this.steps - this.slice.step < this.minSteps || this.steps % 64 !== 0) return;
    const time = performance.now();
    if (time - this.slice.time < SLICE_MS) return;
    // A slice that found nothing only repeated what the one before had done.
    if (this.equal.size === this.slice.known) this.minSteps *= 2;
    this.slice = { step: this.steps, time, known: this.equal.size };
    throw new Paused();
  }

  /** The variable with most atoms among what makes the two differ; of equal ones, that of the smallest part. */
  private choose(when: Formula, a: Formula, b: Formula): Variable | undefined {
    const isDecided = a <= TRUE && b <= TRUE;
    const parts = isDecided ? [when] : this.formulas.difference(a, b);
    let best: Variable | undefined;
    let most = 0;
    let size = Number.POSITIVE_INFINITY;
    const counts = new Map<Variable, Set<Atom>>();
    for (const part of parts) {
      for (const [variable, atoms] of this.formulas.atomsOf(part)) {
        const set = counts.get(variable) ?? new Set<Atom>();
        for (const atom of atoms) set.add(atom);
        counts.set(variable, set);
      }
    }
    for (const [variable, atoms] of counts) {
      if (atoms.size > most) {
        best = variable;
        most = atoms.size;
      }
    }
    if (most !== 1) return best;
    // One atom each: the variables of the smallest part belong together.
    for (const part of parts) {
      const variables = this.formulas.atomsOf(part);
      if (variables.size >= size) continue;
      size = variables.size;
      best = variables.keys().next().value;
    }
    return best;
  }

  /** One value for each way in which the atoms of the formulas can be true. */
  private projected(variable: Variable, formulas: readonly Formula[]): readonly number[] {
    const atoms = new Set<Atom>();
    for (const formula of formulas)
      for (const atom of this.formulas.atomsOf(formula).get(variable) ?? []) atoms.add(atom);
    const count = this.values.count(variable);
    if (count <= 2) return count === 2 ? [0, 1] : [0];
    const relevant = [...atoms].sort((x, y) => x - y);
    const key = `${variable}:${relevant.join(",")}`;
    const known = this.projections.get(key);
    if (known !== undefined) return known;
    const seen = new Set<string>();
    const made: number[] = [];
    for (let index = 0; index < count; index++) {
      const value = this.values.value(variable, index);
      const hits =
        value.atoms.length < relevant.length
          ? value.atoms.filter((atom) => atoms.has(atom))
          : relevant.filter((atom) => value.set.has(atom));
      const name = hits.join(",");
      if (!seen.has(name)) {
        seen.add(name);
        made.push(index);
      }
    }
    this.projections.set(key, made);
    return made;
  }
}

/** About 1 GiB. */
const MAX_FORMULAS = 1_500_000;
