/**
 * What a request can be: independent variables, their values, and an example of each. A subject is what predicates
 * compare: a path, a header, a claim. A subject with one value is one variable with a value for each class of texts. A
 * subject with any number of values (a header, a list) is a yes-or-no variable for each class: whether a value of that
 * class is there.
 */
import { addressClasses, type Network } from "./addresses.ts";
import { type Atom, FALSE, type Formula, Formulas, type Value, type Variable } from "./formula.ts";
import type { Pattern } from "./patterns.ts";
import type { Assignment, Values } from "./search.ts";
import { type Domain, textClasses } from "./texts.ts";

/** The kinds of subjects. */
export type SubjectKind =
  /** One text, or none if `mayBeAbsent`. */
  | {
      kind: "one";
      domain: Domain;
      mayBeAbsent?: boolean;
      usual?: readonly string[];
      only?: readonly string[];
    }
  /** Any number of texts. */
  | { kind: "many"; domain: Domain; usual?: readonly string[] }
  | { kind: "port"; usual: number }
  | { kind: "address"; usual: string };

interface Subject {
  kind: SubjectKind;
  /** By its JSON: the number of each pattern. */
  numbers: Map<string, number>;
  patterns: Pattern[];
  ports: number[];
  networks: Network[];
  /** By pattern, once frozen. */
  formulas: Formula[];
  variables: Variable[];
}

interface VariableInfo {
  subject: string;
  values: Value[];
  /** By value. undefined: the subject is absent. */
  examples: (string | undefined)[];
}

export class Space implements Values {
  readonly formulas = new Formulas();
  private readonly subjects = new Map<string, Subject>();
  private readonly variables: VariableInfo[] = [];
  private isFrozen = false;

  /** Declares a subject, once. */
  declare(name: string, kind: SubjectKind): void {
    if (this.subjects.has(name)) return;
    const lists = { numbers: new Map(), patterns: [], ports: [], networks: [], formulas: [], variables: [] };
    this.subjects.set(name, { kind, ...lists });
  }

  has(name: string): boolean {
    return this.subjects.has(name);
  }

  /** The names of all subjects. */
  get names(): string[] {
    return [...this.subjects.keys()];
  }

  private subject(name: string): Subject {
    const subject = this.subjects.get(name);
    if (subject === undefined) throw new RangeError(`no subject ${name}`);
    return subject;
  }

  /** Adds what a subject is compared with. All are added before the first formula is asked for. */
  add(name: string, compared: Pattern | number | Network): void {
    if (this.isFrozen) throw new Error("the space is complete");
    const subject = this.subject(name);
    const key = JSON.stringify(compared);
    if (subject.numbers.has(key)) return;
    subject.numbers.set(key, subject.numbers.size);
    if (typeof compared === "number") subject.ports.push(compared);
    else if ("kind" in compared) subject.patterns.push(compared);
    else subject.networks.push(compared);
  }

  /** Computes the classes of every subject. */
  freeze(): void {
    if (this.isFrozen) return;
    this.isFrozen = true;
    for (const [name, subject] of this.subjects) this.complete(name, subject);
  }

  private complete(name: string, subject: Subject): void {
    if (subject.numbers.size === 0) return;
    const { kind, patterns } = subject;
    if (kind.kind === "port") {
      const others = [kind.usual, 80, 443, 8443, 9000, 9001].filter((port) => !subject.ports.includes(port));
      const rest = others[0] ?? firstFree(subject.ports);
      const classes = subject.ports.map((port, number) => ({ patterns: [number], example: String(port) }));
      this.exclusive(name, subject, [{ patterns: [], example: String(rest) }, ...classes]);
    } else if (kind.kind === "address") {
      this.exclusive(name, subject, addressClasses(subject.networks, kind.usual));
    } else if (kind.kind === "one") {
      const classes: { patterns: readonly number[]; example: string | undefined }[] = kind.mayBeAbsent
        ? [{ patterns: [], example: undefined }]
        : [];
      for (const one of textClasses(patterns, kind.domain, kind.only ?? kind.usual)) {
        if (kind.only && !kind.only.includes(one.example)) continue;
        if (!(kind.mayBeAbsent && one.patterns.length === 0)) classes.push(one);
      }
      this.exclusive(name, subject, classes);
    } else {
      this.independent(name, subject, textClasses(patterns, kind.domain, kind.usual));
    }
  }

  /** One variable whose values are the classes. */
  private exclusive(
    name: string,
    subject: Subject,
    classes: readonly { patterns: readonly number[]; example: string | undefined }[],
  ): void {
    const variable = this.variables.length;
    const used = new Set(classes.flatMap(({ patterns }) => patterns));
    for (let number = 0; number < subject.numbers.size; number++)
      subject.formulas.push(used.has(number) ? this.formulas.atom(variable) : FALSE);
    subject.variables.push(variable);
    this.variables.push({
      subject: name,
      values: classes.map(({ patterns }) =>
        makeValue(patterns.map((number) => subject.formulas[number] as Atom)),
      ),
      examples: classes.map(({ example }) => example),
    });
  }

  /** A variable for each class. */
  private independent(
    name: string,
    subject: Subject,
    classes: readonly { patterns: readonly number[]; example: string }[],
  ): void {
    const parts: Formula[][] = Array.from({ length: subject.numbers.size }, () => []);
    for (const { patterns, example } of classes) {
      if (patterns.length === 0) continue;
      const variable = this.variables.length;
      const atom = this.formulas.atom(variable);
      for (const number of patterns) parts[number]?.push(atom);
      subject.variables.push(variable);
      this.variables.push({
        subject: name,
        values: [makeValue([]), makeValue([atom])],
        examples: [undefined, example],
      });
    }
    for (const list of parts) subject.formulas.push(this.formulas.or(list));
  }

  /** The formula that holds where the subject matches. */
  formula(name: string, compared: Pattern | number | Network): Formula {
    this.freeze();
    const subject = this.subject(name);
    const number = subject.numbers.get(JSON.stringify(compared));
    if (number === undefined)
      throw new RangeError(`${name} is not compared with ${JSON.stringify(compared)}`);
    return subject.formulas[number] as Formula;
  }

  /** The formula that holds where a subject of any number of values has one that some pattern matches. */
  anyOf(name: string): Formula {
    this.freeze();
    return this.formulas.or(this.subject(name).formulas);
  }

  /** The formula that holds where every value of a subject that matters matches. */
  only(name: string, compared: Pattern): Formula {
    this.freeze();
    const subject = this.subject(name);
    const matching = this.formula(name, compared);
    if (subject.kind.kind !== "many") return matching;
    const { formulas } = this;
    const allowed = new Set([...formulas.atomsOf(matching).keys()]);
    const others = subject.variables.filter((variable) => !allowed.has(variable));
    return formulas.and(others.map((variable) => formulas.not(this.value(variable, 1).atoms[0] as Atom)));
  }

  count(variable: Variable): number {
    return this.variables[variable]?.values.length ?? 0;
  }

  value(variable: Variable, index: number): Value {
    return this.variables[variable]?.values[index] as Value;
  }

  /** The formula that holds for the same values of the variables of an assignment, and of no others. */
  formulaOf(assignment: Assignment): Formula {
    const { formulas } = this;
    const parts = [...assignment].flatMap(([variable, index]) => {
      const own = this.value(variable, index);
      const others = this.variables[variable]?.values.flatMap(({ atoms }) => atoms) ?? [];
      return [...own.atoms, ...others.filter((atom) => !own.set.has(atom)).map((atom) => formulas.not(atom))];
    });
    return formulas.and(parts);
  }

  /**
   * The example texts of an assignment, by subject: one text, none ("absent"), or those of a subject with any number of
   * values. A subject that did not matter is missing.
   */
  examples(assignment: Assignment): Map<string, string[]> {
    const found = new Map<string, string[]>();
    for (const [variable, index] of assignment) {
      const info = this.variables[variable] as VariableInfo;
      const texts = found.get(info.subject) ?? [];
      const example = info.examples[index];
      found.set(info.subject, example === undefined ? texts : [...texts, example]);
    }
    return found;
  }
}

function makeValue(atoms: readonly Atom[]): Value {
  const real = atoms.filter((atom) => atom !== FALSE);
  return { atoms: real, set: new Set(real) };
}

function firstFree(ports: readonly number[]): number {
  const taken = new Set(ports);
  for (let port = 1024; port <= 65_535; port++) if (!taken.has(port)) return port;
  return 1;
}
