/**
 * What jwt_authn requires of a request (JwtRequirement), and which of Istio's forms requires the same. This is decided
 * by trying every combination of what each provider can find. source/extensions/filters/http/jwt_authn/verifier.cc
 * defines how Envoy combines them.
 */

/** A tree of requirements. Numbers are uses of providers. */
export type Requirement =
  | { use: number }
  | { any: Requirement[]; allowsMissing: boolean; allowsFailed: boolean }
  | { all: Requirement[] }
  /** Nothing is required, and no token is checked. */
  | { nothing: true };

/** What a provider finds: a valid token, no token, or a token that it refuses. */
type Found = "valid" | "missing" | "refused";
const FOUND: readonly Found[] = ["valid", "missing", "refused"];

/** The result of a requirement, and whose tokens others see afterwards. */
interface Outcome {
  found: Found;
  seen: number[];
}

function evaluate(requirement: Requirement, found: ReadonlyMap<number, Found>): Outcome {
  if ("nothing" in requirement) return { found: "valid", seen: [] };
  if ("use" in requirement) {
    const one = found.get(requirement.use) ?? "missing";
    return { found: one, seen: one === "valid" ? [requirement.use] : [] };
  }
  const seen: number[] = [];
  if ("all" in requirement) {
    for (const one of requirement.all) {
      const outcome = evaluate(one, found);
      seen.push(...outcome.seen);
      if (outcome.found !== "valid") return { found: outcome.found, seen };
    }
    return { found: "valid", seen };
  }
  let last: Found = "missing";
  for (const one of requirement.any) {
    const outcome = evaluate(one, found);
    seen.push(...outcome.seen);
    if (outcome.found === "valid") return { found: "valid", seen };
    if (outcome.found === "refused") last = "refused";
  }
  const passes = requirement.allowsFailed || (requirement.allowsMissing && last === "missing");
  return { found: passes ? "valid" : last, seen };
}

/** Istio's forms. */
export type Form =
  /** A token that is present must be valid; one valid token is enough. */
  | { kind: "optional" }
  /** The tokens of these uses must be present, and every token that is present must be valid. */
  | { kind: "required"; uses: number[] }
  /** At least one valid token, which a policy has to require. */
  | { kind: "one" };

export interface FormFound {
  form: Form;
  /** Whether it refuses requests that the requirement lets pass. */
  isStricter: boolean;
}

/** With more providers, only requirements in the form that Istio writes are recognised. */
const MAX_USES = 8;

/** The uses of a requirement, in order, each once. */
export function usesOf(requirement: Requirement): number[] {
  if ("use" in requirement) return [requirement.use];
  if ("nothing" in requirement) return [];
  return [...new Set(("all" in requirement ? requirement.all : requirement.any).flatMap(usesOf))];
}

/** The form that requires the same, or else one that requires more. @returns undefined if every form would let more pass */
export function formOf(requirement: Requirement): FormFound | undefined {
  const uses = usesOf(requirement);
  if (uses.length > MAX_USES) {
    const form = written(requirement, uses);
    return form && { form, isStricter: false };
  }
  const forms: Form[] = [
    { kind: "optional" },
    { kind: "required", uses: neededOf(requirement, uses) },
    { kind: "one" },
  ];
  const compared = forms.flatMap((form) => {
    if (form.kind === "required" && form.uses.length === 0) return [];
    const refusals = compare(requirement, form, uses);
    return refusals === undefined ? [] : [{ form, refusals }];
  });
  const [best] = compared.sort((a, b) => a.refusals - b.refusals);
  return best && { form: best.form, isStricter: best.refusals > 0 };
}

/** Uses without which a request does not pass, even if all others are valid. */
function neededOf(requirement: Requirement, uses: readonly number[]): number[] {
  return uses.filter((use) => {
    const found = new Map(uses.map((one): [number, Found] => [one, one === use ? "missing" : "valid"]));
    return evaluate(requirement, found).found !== "valid";
  });
}

/** How many passing combinations a form refuses; undefined if it lets more pass, or others see other tokens. */
function compare(requirement: Requirement, form: Form, uses: readonly number[]): number | undefined {
  const istio = requirementOf(form, uses);
  let refusals = 0;
  for (const found of combinations(uses)) {
    const [is, would] = [evaluate(requirement, found), evaluate(istio, found)];
    const passes = would.found === "valid" && (form.kind !== "one" || would.seen.length > 0);
    if (!passes) {
      if (is.found === "valid") refusals++;
    } else if (is.found !== "valid" || JSON.stringify(is.seen) !== JSON.stringify(would.seen)) {
      return undefined;
    }
  }
  return refusals;
}

function* combinations(uses: readonly number[]): Generator<ReadonlyMap<number, Found>> {
  for (let number = 0; number < FOUND.length ** uses.length; number++) {
    let rest = number;
    const found = new Map<number, Found>();
    for (const use of uses) {
      found.set(use, FOUND[rest % FOUND.length] ?? "missing");
      rest = Math.floor(rest / FOUND.length);
    }
    yield found;
  }
}

/** The requirement that istiod writes for a form. */
function requirementOf(form: Form, uses: readonly number[]): Requirement {
  const own = (use: number): Requirement => ({ use });
  const optional = (use: number): Requirement => ({
    any: [{ use }],
    allowsMissing: true,
    allowsFailed: false,
  });
  if (form.kind === "required") {
    return { all: uses.map((use) => (form.uses.includes(use) ? own(use) : optional(use))) };
  }
  return {
    any: [...uses.map(own), { all: uses.map(optional) }],
    allowsMissing: false,
    allowsFailed: false,
  };
}

/** Whether a requirement equals, step by step, the one that istiod writes for optional tokens. */
export function isAsIstioWrites(requirement: Requirement): boolean {
  return (
    JSON.stringify(requirementOf({ kind: "optional" }, usesOf(requirement))) === JSON.stringify(requirement)
  );
}

/** The form of a requirement in the form that istiod writes, or a shorter one. */
function written(requirement: Requirement, uses: readonly number[]): Form | undefined {
  const same = (one: Requirement) => JSON.stringify(one) === JSON.stringify(requirement);
  if (same(requirementOf({ kind: "optional" }, uses))) return { kind: "optional" };
  const list = (allowsMissing: boolean): Requirement => ({
    any: uses.map((use) => ({ use })),
    allowsMissing,
    allowsFailed: false,
  });
  if (same(list(true))) return { kind: "optional" };
  if (same(list(false))) return { kind: "one" };
  if (!("all" in requirement)) return undefined;
  const required = requirement.all.flatMap((one) => ("use" in one ? [one.use] : []));
  const form: Form = { kind: "required", uses: required };
  return required.length > 0 && same(requirementOf(form, uses)) ? form : undefined;
}
