/** Where two sets of policies answer a request differently: every class of such requests, each with a witness. */
import type { CompileResult } from "../compile.ts";
import type { Configuration } from "../config/schema.ts";
import type { Position } from "../diagnostics.ts";
import type { PathNormalization } from "../host/http-connection-manager.ts";
import { VERIFIED } from "./authentication.ts";
import { FALSE, type Formula, TRUE } from "./formula.ts";
import { Model } from "./model.ts";
import { type Scenario, type Source, scenariosOf, type View } from "./scenarios.ts";
import { type Assignment, type Difference, Paused, Search } from "./search.ts";
import { Undecided } from "./undecided.ts";
import { type Fill, type Reply, type Witness, WitnessMaker } from "./witness.ts";

/** How the answer to a request changes, the most severe first. */
export const CHANGES = ["opened", "closed", "changed", "forwarded"] as const;
export type Change = (typeof CHANGES)[number];

/** One side's answer, and what decided. */
export interface Decided {
  status: number;
  body: string;
  /** The id of the rule that decided; "" if none did. */
  rule: string;
  /** The line that decided: of the rule, or of the provider that refused a token. */
  position?: Position;
  /** Whether the request reached the upstream. */
  passed: boolean;
}

/** A class of requests whose answer changes. */
export interface DifferenceClass {
  change: Change;
  witness: Witness;
  old: Decided;
  new: Decided;
  /** What differs in the request to the upstream; for "forwarded" alone. */
  upstream?: { old: string[]; new: string[] };
}

/** The result of a comparison. */
export interface Comparison {
  /** Whether there is no difference, and everything was decided. */
  equal: boolean;
  classes: DifferenceClass[];
  /** What could not be decided, each with its reason; empty if everything was. */
  undecided: string[];
  /** Whether more classes may exist than those. */
  isCut: boolean;
  /** How many cases were examined. */
  cases: number;
}

export interface DiffOptions {
  module: WebAssembly.Module;
  pathNormalization?: PathNormalization;
  /** How many restrictions of formulas are made for one scenario. */
  steps?: number;
  /** Called at intervals; throws `Interrupted` to end early. */
  onProgress?: (progress: Progress) => void | Promise<void>;
}

/** The progress of a comparison. */
export interface Progress {
  scenario: number;
  scenarios: number;
  cases: number;
  classes: number;
}

/** The user ended the comparison: the result so far counts. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
}

/** How many restrictions of formulas one question may take. */
const MAX_STEPS = 4_000_000;
/** More are not read. */
const MAX_CLASSES = 200;
/** How many places are tried before a difference that no request shows counts as undecided. */
const MAX_MISSES = 40;

/** What comparisons need of a compilation. */
export type Compiled = Pick<CompileResult, "workloads" | "configuration" | "sourceMap">;

/**
 * Compares two compilations.
 *
 * @param before the old policies, compiled without an error
 * @param after the new ones
 */
export async function compare(before: Compiled, after: Compiled, options: DiffOptions): Promise<Comparison> {
  return new Comparer(before, after, options).run();
}

class Comparer {
  private readonly classes = new Map<string, DifferenceClass>();
  private readonly undecided = new Set<string>();
  private isCut = false;
  private cases = 0;
  private scenario = 0;
  private scenarios = 0;

  constructor(
    private readonly before: Compiled,
    private readonly after: Compiled,
    private readonly options: DiffOptions,
  ) {}

  async run(): Promise<Comparison> {
    try {
      await this.compare();
    } catch (error) {
      if (error instanceof Undecided) this.undecided.add(error.message);
      else if (error instanceof Interrupted) this.undecided.add("the comparison was interrupted");
      else throw error;
    }
    const classes = [...this.classes.values()].sort(
      (a, b) => CHANGES.indexOf(a.change) - CHANGES.indexOf(b.change) || sizeOf(a) - sizeOf(b),
    );
    const undecided = [...this.undecided];
    return {
      equal: classes.length === 0 && undecided.length === 0,
      classes,
      undecided,
      isCut: this.isCut,
      cases: this.cases,
    };
  }

  private get sides(): [Configuration, Configuration] {
    const [old, fresh] = [this.before, this.after].map(({ configuration }) => configuration);
    if (old === undefined || fresh === undefined) throw new RangeError("a compilation has no configuration");
    return [old, fresh];
  }

  private async compare(): Promise<void> {
    const { module, pathNormalization = "BASE" } = this.options;
    const { sides } = this;
    this.refuseUnknown();
    const { all, notCovered } = scenariosOf(sides);
    const model = new Model(sides, all, { normalization: pathNormalization });
    const maker = new WitnessMaker(module, sides, pathNormalization);
    this.scenarios = all.length;
    for (const [number, scenario] of all.entries()) {
      this.scenario = number;
      await this.report();
      await new ScenarioComparer(model, maker, scenario, this, this.options).run();
      if (this.classes.size >= MAX_CLASSES) {
        this.isCut = true;
        break;
      }
    }
    // What is not covered matters only if no difference was found.
    if (this.classes.size === 0) for (const reason of notCovered) this.undecided.add(reason);
  }

  /** Everything in a configuration that is not modelled must be the same on both sides. */
  private refuseUnknown(): void {
    const [old, fresh] = this.sides;
    for (const field of ["shadow", "removeLookalikes", "peerPrincipal", "limits"] as const) {
      if (JSON.stringify(old[field]) !== JSON.stringify(fresh[field]))
        this.undecided.add(`the configurations differ in ${field}`);
      if (field === "peerPrincipal" && old[field] !== undefined)
        this.undecided.add("a waypoint's peers are not modelled");
    }
    const custom = ({ workloads }: Compiled) =>
      JSON.stringify(
        workloads.map((workload) =>
          workload.custom.map(({ name, provider, matches }) => [name.value, provider, matches]),
        ),
      );
    if (custom(this.before) !== custom(this.after))
      this.undecided.add(
        "CUSTOM policies differ, and the answers of their extension providers are not known",
      );
  }

  /** Reports the progress, and lets the caller end it. */
  async report(): Promise<void> {
    const { scenario, scenarios, cases, classes } = this;
    await this.options.onProgress?.({ scenario, scenarios, cases, classes: classes.size });
  }

  addCases(count: number): void {
    this.cases += count;
  }

  addUndecided(reason: string): void {
    this.undecided.add(reason);
  }

  cut(): void {
    this.isCut = true;
  }

  /** Keeps the smallest witness of each class. @returns whether it is a class that was not known */
  add(found: DifferenceClass): boolean {
    const of = ({ status, body, rule }: Decided) => [status, body, rule];
    const key = JSON.stringify([
      found.change,
      of(found.old),
      of(found.new),
      found.upstream ? placesIn(found) : "",
    ]);
    const known = this.classes.get(key);
    if (known === undefined || sizeOf(found) < sizeOf(known)) this.classes.set(key, found);
    return known === undefined;
  }

  decided(side: 0 | 1, reply: Reply): Decided {
    const { sourceMap } = side === 0 ? this.before : this.after;
    const rule = reply.outcome.properties["jwtgate.policy"] ?? "";
    const position = sourceMap?.rules[rule] ?? this.providerPosition(side, reply);
    return {
      status: reply.status,
      body: reply.body,
      rule,
      ...(position && { position }),
      passed: reply.passed === true,
    };
  }

  /** The only provider's line, if a token was refused. */
  private providerPosition(side: 0 | 1, { outcome }: Reply): Position | undefined {
    if (!outcome.answer?.details.startsWith("jwt_authn")) return undefined;
    const { sourceMap, configuration } = side === 0 ? this.before : this.after;
    const [provider, second] = configuration?.providers ?? [];
    return second === undefined && provider ? sourceMap?.providers[provider.name] : undefined;
  }
}

function placesIn({ upstream }: DifferenceClass): string {
  const names = (lines: readonly string[] = []) => lines.map((line) => line.split(":")[0]);
  return JSON.stringify([names(upstream?.old), names(upstream?.new)]);
}

/** A witness is small if a person reads it quickly. */
function sizeOf({ witness: { request, listener, tokens } }: DifferenceClass): number {
  const places = new Set(tokens.map(({ place }) => place.name));
  const headers = request.headers.filter(([name]) => !places.has(name));
  const path = request.path.replace(/\?.*/s, "");
  const text = [request.method, path, request.authority, ...headers.flat()].join("");
  const claims = tokens.map(({ claims: own }) => JSON.stringify(own ?? "")).join("");
  const isUsual = request.protocol === "HTTP/1.1" && listener.mode === "gateway";
  const rare = tokens.filter(({ place }) => place.kind !== "header").length;
  return tokens.length * 1000 + rare * 100 + claims.length + text.length + (isUsual ? 0 : 50);
}

/** One scenario of a comparison. */
class ScenarioComparer {
  constructor(
    private readonly model: Model,
    private readonly maker: WitnessMaker,
    private readonly scenario: Scenario,
    private readonly results: Comparer,
    private readonly options: DiffOptions,
  ) {}

  async run(): Promise<void> {
    const [old, fresh] = this.scenario.views as [View, View];
    const [oldOk, newOk] = [old.refusal === VERIFIED, fresh.refusal === VERIFIED];
    if (!oldOk && !newOk && old.refusal === fresh.refusal) return;
    const when = this.model.condition(this.scenario);
    if (when === FALSE) return;
    if (!oldOk && !newOk) return this.find(when, TRUE, FALSE, () => "changed");
    if (oldOk && newOk) {
      const [a, b] = [this.model.allowed(0, old), this.model.allowed(1, fresh)];
      await this.find(when, a, b, (oldPasses) => (oldPasses ? "closed" : "opened"));
      return this.findForwarded(when, a, b, old, fresh);
    }
    const allowed = oldOk ? this.model.allowed(0, old) : this.model.allowed(1, fresh);
    await this.find(when, allowed, FALSE, () => (oldOk ? "closed" : "opened"));
    return this.find(when, this.model.space.formulas.not(allowed), FALSE, () => "changed");
  }

  /**
   * Shows each class of places where two formulas differ by a request. After one is found, requests that the same rules
   * decide are left out, until no difference is left.
   */
  private async find(
    when: Formula,
    a: Formula,
    b: Formula,
    changeOf: (first: boolean) => Change,
  ): Promise<void> {
    const { formulas } = this.model.space;
    let rest = when;
    let misses = 0;
    for (let shown = 0; shown < MAX_CLASSES && misses <= MAX_MISSES; ) {
      const found = await this.search(rest, a, b);
      if (found === undefined) return;
      const replies = await this.show(found.assignment, changeOf(found.first), {});
      await this.results.report();
      if (replies === undefined) misses++;
      else shown++;
      const alike = replies ? this.decidedAlike(replies) : this.model.space.formulaOf(found.assignment);
      rest = formulas.and([rest, formulas.not(alike)]);
    }
    this.results.cut();
  }

  /** The requests that the same rules decide. */
  private decidedAlike(replies: readonly Reply[]): Formula {
    return this.model.space.formulas.and(
      replies.map((reply, side) => {
        const view = this.scenario.views[side] as View;
        const rule = reply.outcome.properties["jwtgate.policy"] ?? "";
        return this.model.decidedAlike(side, view, rule, reply.passed === true);
      }),
    );
  }

  private async search(when: Formula, a: Formula, b: Formula): Promise<Difference | undefined> {
    const { steps = MAX_STEPS } = this.options;
    const search = new Search(this.model.space.formulas, this.model.space, steps);
    try {
      for (;;) {
        try {
          return search.difference(when, a, b);
        } catch (error) {
          if (!(error instanceof Paused)) throw error;
          await this.results.report();
        }
      }
    } finally {
      this.results.addCases(search.cases);
    }
  }

  /** @returns the replies to a request that shows the difference; undefined if none does */
  private async show(
    assignment: Assignment,
    change: Change,
    fill: Fill,
  ): Promise<[Reply, Reply] | undefined> {
    const examples = this.model.space.examples(assignment);
    const witnesses = await this.maker.make(this.scenario, examples, fill);
    let seen: [Reply, Reply] | undefined;
    for (const witness of witnesses) {
      const replies: [Reply, Reply] = [await this.maker.send(0, witness), await this.maker.send(1, witness)];
      seen ??= replies;
      if (!isShown(change, replies)) continue;
      const upstream = change === "forwarded" ? forwardedDifference(replies) : undefined;
      this.results.add({
        change,
        witness,
        old: this.results.decided(0, replies[0]),
        new: this.results.decided(1, replies[1]),
        ...(upstream && { upstream }),
      });
      return replies;
    }
    if (change !== "forwarded" && seen) this.results.addUndecided(disagreement(change, witnesses[0], seen));
    return undefined;
  }

  /** Requests that both sides allow, and that the upstream receives differently. */
  private async findForwarded(when: Formula, a: Formula, b: Formula, old: View, fresh: View): Promise<void> {
    const differing = forwardedParts(old, fresh);
    if (differing.length === 0) return;
    const both = this.model.space.formulas.and([when, a, b]);
    if (both === FALSE) return;
    const { space } = this.model;
    for (const fill of differing) {
      let rest = both;
      let found = await this.search(rest, TRUE, FALSE);
      let isShown = found === undefined;
      for (let misses = 0; found !== undefined && misses < MAX_MISSES; misses++) {
        isShown = (await this.show(found.assignment, "forwarded", fill)) !== undefined;
        if (isShown) break;
        rest = space.formulas.and([rest, space.formulas.not(space.formulaOf(found.assignment))]);
        found = await this.search(rest, TRUE, FALSE);
      }
      if (!isShown)
        this.results.addUndecided(
          "whether the upstream receives the same headers of every request that passes",
        );
    }
  }
}

function isShown(change: Change, [old, fresh]: readonly [Reply, Reply]): boolean {
  switch (change) {
    case "opened":
      return old.passed === false && fresh.passed === true;
    case "closed":
      return old.passed === true && fresh.passed === false;
    case "changed":
      return (
        old.passed === false &&
        fresh.passed === false &&
        (old.status !== fresh.status || old.body !== fresh.body)
      );
    case "forwarded":
      return old.passed === true && fresh.passed === true && forwardedDifference([old, fresh]) !== undefined;
  }
}

/** The lines of the request to the upstream that only one side has. */
function forwardedDifference([old, fresh]: readonly [Reply, Reply]):
  | { old: string[]; new: string[] }
  | undefined {
  const lines = ({ outcome: { upstream } }: Reply) =>
    upstream
      ? [`:path: ${upstream.path}`, ...upstream.headers.map(([name, value]) => `${name}: ${value}`)]
      : [];
  const [one, two] = [lines(old), lines(fresh)];
  if (one.join("\n") === two.join("\n")) return undefined;
  return {
    old: one.filter((line) => !two.includes(line)),
    new: two.filter((line) => !one.includes(line)),
  };
}

/** In which ways two views differ for the upstream, with what a request needs to show each. */
function forwardedParts(old: View, fresh: View): Fill[] {
  const found: Fill[] = [];
  const differ = (a: ReadonlySet<string>, b: ReadonlySet<string>) =>
    [...a].filter((name) => !b.has(name)).concat([...b].filter((name) => !a.has(name)));
  const params = differ(old.removedParams, fresh.removedParams);
  if (params.length > 0) found.push({});
  for (const header of differ(removedHeaders(old), removedHeaders(fresh))) found.push({ headers: [header] });
  const names = new Set([...old.written.keys(), ...fresh.written.keys()]);
  for (const name of names) {
    const sources = [old, fresh].map((view) => view.written.get(name) ?? []);
    const [one = [], two = []] = sources;
    if (JSON.stringify(one) === JSON.stringify(two)) continue;
    const only = [...without(one, two), ...without(two, one)];
    const claims = only.flatMap(({ slot, claim }) => (claim === undefined ? [] : [{ slot, claim }]));
    found.push({ claims });
  }
  return found;
}

function removedHeaders({ absent, written }: View): Set<string> {
  return new Set([...absent, ...written.keys()]);
}

function without(sources: readonly Source[], others: readonly Source[]): Source[] {
  const known = new Set(others.map((source) => JSON.stringify(source)));
  return sources.filter((source) => !known.has(JSON.stringify(source)));
}

function disagreement(
  change: Change,
  witness: Witness | undefined,
  [old, fresh]: readonly [Reply, Reply],
): string {
  const { method = "", path = "" } = witness?.request ?? {};
  const say = ({ status, body }: Reply) => `${status}${body === "" ? "" : ` ${body}`}`;
  return `whether ${method} ${path.replace(/\?.*/s, "")} with these conditions is ${change}: the module answered ${say(old)} and ${say(fresh)} to the request that was made for it`;
}
