/** Converts conditions to the rules of an AuthorizationPolicy. */
import {
  type Constraint,
  distinct,
  type Expression,
  type Losses,
  product,
  type Term,
  TooManyTerms,
  termsOf,
} from "./expression.ts";
import { intersection } from "./patterns.ts";

/** A rule of an AuthorizationPolicy, as in YAML. */
export interface PolicyRule {
  from?: { source: Lists }[];
  to?: { operation: Lists }[];
  when?: { key: string; values?: readonly string[]; notValues?: readonly string[] }[];
}
type Lists = Record<string, readonly string[]>;

/** Fields of `source`, and the equivalent key of `when`. */
const SOURCE: Record<string, string> = {
  principals: "source.principal",
  requestPrincipals: "request.auth.principal",
  namespaces: "source.namespace",
  serviceAccounts: "source.serviceAccount",
  trustDomains: "source.trustDomain",
  ipBlocks: "source.ip",
  remoteIpBlocks: "remote.ip",
};

/** The same for `operation`; hosts and paths have no key. */
const OPERATION: Record<string, string | undefined> = {
  hosts: undefined,
  ports: "destination.port",
  methods: "request.headers[:method]",
  paths: undefined,
};

/** Fields that cannot be in one source with serviceAccounts. */
const BESIDE_ACCOUNTS = ["principals", "namespaces"];

/** A condition that no rule can express; `at` is the position of the whole policy. */
export class NoRule extends Error {}

/**
 * The rules of which one matches whenever the condition holds.
 *
 * @returns none if the condition never holds
 * @throws {NoRule} with a sentence for the user, if rules cannot express it
 */
export function rulesOf(condition: Expression, losses: Losses): PolicyRule[] {
  try {
    return makeRules(condition, losses);
  } catch (error) {
    if (!(error instanceof TooManyTerms)) throw error;
    throw new NoRule(
      "its conditions would be more than 1000 rules, because alternatives inside of conditions and negations have to be written out: split it into policies",
    );
  }
}

/**
 * Conditions on the source alone and on the operation alone stay separate, as `from` and `to`, so a rule's size is the
 * sum of both and not their product.
 */
function makeRules(condition: Expression, losses: Losses): PolicyRule[] {
  let [sources, operations, mixed]: Term[][] = [[new Map()], [new Map()], [new Map()]];
  for (const factor of "all" in condition ? flatten(condition) : [condition]) {
    const terms = termsOf(factor, losses).flatMap(onePath);
    const asks = (names: Record<string, unknown>) =>
      terms.some((term) => [...term.keys()].some((name) => Object.hasOwn(names, name)));
    if (asks(OPERATION) && asks(SOURCE)) mixed = product(mixed ?? [], terms);
    else if (asks(OPERATION)) operations = product(operations ?? [], terms);
    else sources = product(sources ?? [], terms);
  }
  const rules = (mixed ?? []).flatMap((term) => {
    const isOperation = ([name]: [string, Constraint]) => Object.hasOwn(OPERATION, name);
    const rest = new Map([...term].filter((entry) => !isOperation(entry)));
    const operation = new Map([...term].filter(isOperation));
    return crossed(product(sources ?? [], [rest]), product(operations ?? [], [operation]).flatMap(onePath));
  });
  return rules.some((rule) => Object.keys(rule).length === 0) ? [{}] : distinct(rules);
}

function flatten({ all: parts }: { all: Expression[] }): Expression[] {
  return parts.flatMap((part) => ("all" in part ? flatten(part) : [part]));
}

/** A term, or terms, in which hosts and paths have one list of values each. */
function onePath(term: Term): Term[] {
  const result = new Map(term);
  for (const name of ["hosts", "paths"]) {
    const constraint = term.get(name);
    if (constraint === undefined) continue;
    const [first, ...others] = constraint.values;
    if (first === undefined) continue;
    const values = others.reduce((left, right) => common(name, left, right), first);
    if (values.length === 0) return [];
    const notValues = constraint.notValues.filter((one) =>
      values.some((value) => intersection(value, one)?.length !== 0),
    );
    result.set(name, { values: [values], notValues });
  }
  return [result];
}

function common(name: string, left: readonly string[], right: readonly string[]): readonly string[] {
  return distinct(
    left.flatMap((one) =>
      right.flatMap((other) => {
        const both = intersection(one, other);
        if (both !== undefined) return both;
        throw new NoRule(
          `a rule has one list of ${name}, which cannot express that both ${JSON.stringify(one)} and ${JSON.stringify(other)} match`,
        );
      }),
    ),
  );
}

/** The conditions of a term, by the part of a rule that they go to. */
interface Parts {
  fields: Lists;
  when: NonNullable<PolicyRule["when"]>;
}

/** Sources and operations with equal conditions share a rule. */
function crossed(sources: readonly Term[], operations: readonly Term[]): PolicyRule[] {
  const rules: PolicyRule[] = [];
  for (const from of byConditions(sources, SOURCE)) {
    for (const to of byConditions(operations, OPERATION)) {
      const when = [...from.when, ...to.when];
      rules.push({
        ...(from.lists.length > 0 && { from: from.lists.map((source) => ({ source })) }),
        ...(to.lists.length > 0 && { to: to.lists.map((operation) => ({ operation })) }),
        ...(when.length > 0 && { when }),
      });
    }
  }
  return rules;
}

/** Groups terms by their conditions. A group without lists accepts any source or operation. */
function byConditions(
  terms: readonly Term[],
  names: Record<string, string | undefined>,
): { when: Parts["when"]; lists: Lists[] }[] {
  const groups = new Map<string, { when: Parts["when"]; lists: Lists[] }>();
  for (const { fields, when } of terms.map((term) => partsOf(term, names))) {
    const key = JSON.stringify(when);
    const group = groups.get(key) ?? { when, lists: [] };
    group.lists.push(fields);
    groups.set(key, group);
  }
  return [...groups.values()].map(({ when, lists }) => ({
    when,
    lists: lists.some((fields) => Object.keys(fields).length === 0) ? [] : lists,
  }));
}

function partsOf(term: Term, names: Record<string, string | undefined>): Parts {
  const fields: Record<string, readonly string[]> = {};
  const when: NonNullable<PolicyRule["when"]> = [];
  const inOrder = [
    ...Object.keys(names),
    ...[...term.keys()].filter((name) => !Object.hasOwn(names, name)).sort(),
  ];
  for (const name of inOrder) {
    const { values: [first, ...others] = [], notValues = [] } = term.get(name) ?? {};
    const isField =
      Object.hasOwn(names, name) && !(term.has("serviceAccounts") && BESIDE_ACCOUNTS.includes(name));
    const key = names[name] ?? name;
    if (isField) {
      if (first !== undefined) fields[name] = first;
      if (notValues.length > 0) fields[negated(name)] = notValues;
    } else if (first !== undefined || notValues.length > 0) {
      when.push({
        key,
        ...(first !== undefined && { values: first }),
        ...(notValues.length > 0 && { notValues }),
      });
    }
    for (const values of others) when.push({ key, values });
  }
  return { fields, when };
}

function negated(name: string): string {
  return `not${name[0]?.toUpperCase()}${name.slice(1)}`;
}
