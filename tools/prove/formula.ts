/**
 * Boolean formulas over atoms, each formula stored once: equal formulas are the same number. An atom belongs to one
 * variable; a variable has one of several values, each of which makes some of its atoms true and all others false.
 */

/** A formula, as its number in a `Formulas`. */
export type Formula = number;

export const FALSE: Formula = 0;
export const TRUE: Formula = 1;

/** A variable, as its number. */
export type Variable = number;

/** An atom, as its number: the formula that is true where it is. */
export type Atom = Formula;

type Node =
  | { kind: "constant" }
  | { kind: "atom"; variable: Variable }
  | { kind: "not"; of: Formula }
  | { kind: "and" | "or"; of: readonly Formula[] };

/** What restricting a formula to values of one variable needs. */
interface Restriction {
  /** The atoms of the variable in the formula, ascending. */
  atoms: readonly Atom[];
  atomSet: ReadonlySet<Atom>;
  /** The formula with all of them false. */
  base: Formula;
  /** For and and or: the parts that contain an atom, and the parts that matter with all atoms false. */
  byAtom?: ReadonlyMap<Atom, readonly number[]>;
  rest?: readonly { index: number; formula: Formula }[];
  /** By the true atoms. */
  known: Map<string, Formula>;
}

/** The atoms that one value of a variable makes true. */
export interface Value {
  atoms: readonly Atom[];
  set: ReadonlySet<Atom>;
}

export class Formulas {
  private readonly nodes: Node[] = [{ kind: "constant" }, { kind: "constant" }];
  private readonly ids = new Map<string, Formula>();
  private readonly atoms = new Map<Formula, ReadonlyMap<Variable, readonly Atom[]>>();
  private readonly restrictions: Map<Variable, Restriction>[] = [];

  atom(variable: Variable): Atom {
    return this.nodes.push({ kind: "atom", variable }) - 1;
  }

  not(formula: Formula): Formula {
    if (formula === TRUE) return FALSE;
    if (formula === FALSE) return TRUE;
    const node = this.node(formula);
    return node.kind === "not" ? node.of : this.store(`!${formula}`, { kind: "not", of: formula });
  }

  and(parts: Iterable<Formula>): Formula {
    return this.combine("and", parts, TRUE, FALSE);
  }

  or(parts: Iterable<Formula>): Formula {
    return this.combine("or", parts, FALSE, TRUE);
  }

  private combine(kind: "and" | "or", parts: Iterable<Formula>, neutral: Formula, final: Formula): Formula {
    const set = new Set<Formula>();
    const add = (part: Formula): boolean => {
      if (part === neutral) return true;
      if (part === final) return false;
      const node = this.node(part);
      if (node.kind === kind) return node.of.every(add);
      if (set.has(this.opposite(part))) return false;
      set.add(part);
      return true;
    };
    for (const part of parts) if (!add(part)) return final;
    if (set.size === 0) return neutral;
    const of = [...set].sort((a, b) => a - b);
    const [only] = of;
    if (of.length === 1 && only !== undefined) return only;
    return this.store(`${kind === "and" ? "&" : "|"}${of.join(",")}`, { kind, of });
  }

  /** The negation, if it is stored; else -1. */
  private opposite(formula: Formula): Formula {
    const node = this.node(formula);
    return node.kind === "not" ? node.of : (this.ids.get(`!${formula}`) ?? -1);
  }

  private store(key: string, node: Node): Formula {
    const known = this.ids.get(key);
    if (known !== undefined) return known;
    const id = this.nodes.push(node) - 1;
    this.ids.set(key, id);
    return id;
  }

  private node(formula: Formula): Node {
    return this.nodes[formula] as Node;
  }

  /** How many formulas are stored. */
  get size(): number {
    return this.nodes.length;
  }

  /** The atoms of a formula, by their variable. */
  atomsOf(formula: Formula): ReadonlyMap<Variable, readonly Atom[]> {
    const known = this.atoms.get(formula);
    if (known !== undefined) return known;
    const node = this.node(formula);
    let made: ReadonlyMap<Variable, readonly Atom[]>;
    if (node.kind === "constant") made = new Map();
    else if (node.kind === "atom") made = new Map([[node.variable, [formula]]]);
    else if (node.kind === "not") made = this.atomsOf(node.of);
    else made = this.union(node.of);
    this.atoms.set(formula, made);
    return made;
  }

  private union(formulas: readonly Formula[]): ReadonlyMap<Variable, readonly Atom[]> {
    const sets = new Map<Variable, Set<Atom>>();
    for (const formula of formulas) {
      for (const [variable, atoms] of this.atomsOf(formula)) {
        const set = sets.get(variable) ?? new Set();
        for (const atom of atoms) set.add(atom);
        sets.set(variable, set);
      }
    }
    return new Map([...sets].map(([variable, set]) => [variable, [...set].sort((a, b) => a - b)]));
  }

  /** The formula after a variable is replaced by a value. */
  restrict(formula: Formula, variable: Variable, value: Value): Formula {
    const restriction = this.restriction(formula, variable);
    if (restriction === undefined) return formula;
    const { atoms, atomSet, base, byAtom, rest, known } = restriction;
    const hits =
      atoms.length < value.atoms.length
        ? atoms.filter((atom) => value.set.has(atom))
        : value.atoms.filter((atom) => atomSet.has(atom));
    if (hits.length === 0) return base;
    const key = hits.join(",");
    const before = known.get(key);
    if (before !== undefined) return before;
    const node = this.node(formula);
    let made: Formula;
    if (node.kind === "atom") made = TRUE;
    else if (node.kind === "not") made = this.not(this.restrict(node.of, variable, value));
    else if (node.kind === "constant" || byAtom === undefined || rest === undefined) made = formula;
    else {
      const touched = new Set<number>();
      for (const hit of hits) for (const index of byAtom.get(hit) ?? []) touched.add(index);
      const parts = [...touched].map((index) => this.restrict(node.of[index] as Formula, variable, value));
      for (const { index, formula: part } of rest) if (!touched.has(index)) parts.push(part);
      made = node.kind === "and" ? this.and(parts) : this.or(parts);
    }
    known.set(key, made);
    return made;
  }

  private restriction(formula: Formula, variable: Variable): Restriction | undefined {
    const own = this.restrictions[formula];
    const known = own?.get(variable);
    if (known !== undefined) return known;
    const atoms = this.atomsOf(formula).get(variable);
    if (atoms === undefined) return undefined;
    const made = this.makeRestriction(formula, variable, atoms);
    if (own === undefined) this.restrictions[formula] = new Map([[variable, made]]);
    else own.set(variable, made);
    return made;
  }

  private makeRestriction(formula: Formula, variable: Variable, atoms: readonly Atom[]): Restriction {
    const node = this.node(formula);
    const common = { atoms, atomSet: new Set(atoms), known: new Map<string, Formula>() };
    if (node.kind === "not") {
      return { ...common, base: this.not(this.baseOf(node.of, variable)) };
    }
    if (node.kind !== "and" && node.kind !== "or") return { ...common, base: FALSE };
    const byAtom = new Map<Atom, number[]>();
    const rest: { index: number; formula: Formula }[] = [];
    const neutral = node.kind === "and" ? TRUE : FALSE;
    for (const [index, part] of node.of.entries()) {
      for (const atom of this.atomsOf(part).get(variable) ?? []) {
        const list = byAtom.get(atom);
        if (list === undefined) byAtom.set(atom, [index]);
        else list.push(index);
      }
      const base = this.baseOf(part, variable);
      if (base !== neutral) rest.push({ index, formula: base });
    }
    const parts = rest.map(({ formula: part }) => part);
    return { ...common, base: node.kind === "and" ? this.and(parts) : this.or(parts), byAtom, rest };
  }

  private baseOf(formula: Formula, variable: Variable): Formula {
    return this.restriction(formula, variable)?.base ?? formula;
  }

  /**
   * Formulas on which it depends whether two formulas are equal: where they are built alike, only the parts in which they
   * differ.
   */
  difference(a: Formula, b: Formula): Formula[] {
    if (a === b) return [];
    const [one, two] = [this.node(a), this.node(b)];
    if (one.kind === "not" && two.kind === "not") return this.difference(one.of, two.of);
    const isList = (one.kind === "and" || one.kind === "or") && one.kind === two.kind;
    const [left, right] = [this.parts(one, isList, a), this.parts(two, isList, b)];
    const [inLeft, inRight] = [new Set(left), new Set(right)];
    const onlyLeft = left.filter((part) => !inRight.has(part));
    const onlyRight = right.filter((part) => !inLeft.has(part));
    const [first, second] = [onlyLeft[0], onlyRight[0]];
    if (
      isList &&
      onlyLeft.length === 1 &&
      onlyRight.length === 1 &&
      first !== undefined &&
      second !== undefined
    )
      return this.difference(first, second);
    return [...onlyLeft, ...onlyRight].filter((part) => part !== TRUE && part !== FALSE);
  }

  private parts(node: Node, isList: boolean, formula: Formula): readonly Formula[] {
    return isList && (node.kind === "and" || node.kind === "or") ? node.of : [formula];
  }
}
