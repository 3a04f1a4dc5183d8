/**
 * The engine refuses bad configurations with the position of the fault, and no configuration makes it trap.
 */
import { beforeAll, describe, expect, test } from "vitest";
import { type Condition, Predicate } from "../../tools/config/schema.ts";
import { forAll } from "../support/for-all.ts";
import { AuthzGuest } from "./guest.ts";
import { authorization } from "./random.ts";

let guest: AuthzGuest;
beforeAll(async () => {
  guest = AuthzGuest.create(await AuthzGuest.compile());
});

/** Eight predicates and one DENY rule. */
function withRule(rule: object): string {
  const predicates = [
    { path: { exact: "/a" } },
    { path: { prefix: "/b" } },
    { claim: ["sub"], match: { exact: "x" } },
    { header: "x-a", match: { present: true } },
    { host: { exact: "a" } },
    { method: { exact: "GET" } },
    { remoteIp: "10.0.0.0/8" },
    { destinationPort: 80 },
  ];
  return JSON.stringify({ predicates, deny: { rules: [{ id: "r", ...rule }] } });
}

function withPredicate(predicate: unknown): string {
  return JSON.stringify({ predicates: [{ path: { exact: "/" } }, predicate] });
}

function nested(depth: number): Condition {
  return depth === 0 ? 0 : { not: nested(depth - 1) };
}

const MATCH = "/predicates/1";

describe("refused with its position", () => {
  test.each<[what: string, text: string, pointer: string]>([
    ["no object", "[]", "/"],
    ["no predicates", "{}", "/"],
    ["predicates of another kind", '{"predicates": {}}', "/predicates"],
    ["an unknown field", '{"predicates": [], "denies": {}}', "/denies"],
    ["an unknown field of rules", '{"predicates": [], "deny": {"rule": []}}', "/deny/rule"],
    ["rules that are not a list", '{"predicates": [], "deny": {"rules": {}}}', "/deny/rules"],
    ["rules that are null", '{"predicates": [], "allow": {"shadowRules": null}}', "/allow/shadowRules"],

    ["a predicate without a field", withPredicate({}), MATCH],
    ["a value that is not a predicate", withPredicate(1), MATCH],
    ["an unknown predicate", withPredicate({ query: { exact: "a" } }), `${MATCH}/query`],
    ["two predicates in one", withPredicate({ path: { exact: "a" }, host: { exact: "a" } }), MATCH],
    ["a claim without a match", withPredicate({ claim: ["a"] }), MATCH],
    ["a match without a claim or header", withPredicate({ match: { exact: "a" } }), MATCH],
    ["a match with a path", withPredicate({ path: { exact: "a" }, match: { exact: "a" } }), MATCH],
    ["a claim without a name", withPredicate({ claim: [], match: { exact: "a" } }), `${MATCH}/claim`],
    ["a claim that is not a list", withPredicate({ claim: "a", match: { exact: "a" } }), `${MATCH}/claim`],
    [
      "a claim that is present",
      withPredicate({ claim: ["a"], match: { present: true } }),
      `${MATCH}/match/present`,
    ],
    ["a header without a name", withPredicate({ header: "", match: { present: true } }), `${MATCH}/header`],
    ["a header in capitals", withPredicate({ header: "X-A", match: { present: true } }), `${MATCH}/header`],
    [
      "a header that is not present",
      withPredicate({ header: "a", match: { present: false } }),
      `${MATCH}/match`,
    ],
    ["two matches", withPredicate({ header: "a", match: { present: true, exact: "" } }), `${MATCH}/match`],
    ["two matches of a string", withPredicate({ sni: { prefix: "a", exact: "a" } }), `${MATCH}/sni`],
    ["an empty prefix", withPredicate({ host: { prefix: "" } }), `${MATCH}/host/prefix`],
    ["a template and more", withPredicate({ path: { template: "/{*}", exact: "a" } }), `${MATCH}/path`],
    ["a template of a host", withPredicate({ host: { template: "/{*}" } }), `${MATCH}/host/template`],
    ["a wrong template", withPredicate({ path: { template: "/a{*}" } }), `${MATCH}/path/template`],
    ["a port too high", withPredicate({ destinationPort: 65536 }), `${MATCH}/destinationPort`],
    ["half a port", withPredicate({ destinationPort: 1.5 }), `${MATCH}/destinationPort`],
    ["a port as a string", withPredicate({ destinationPort: "80" }), `${MATCH}/destinationPort`],
    ["no block", withPredicate({ remoteIp: "10.0.0.1" }), `${MATCH}/remoteIp`],
    ["host bits", withPredicate({ sourceIp: "10.0.0.1/8" }), `${MATCH}/sourceIp`],
    ["one piece", withPredicate({ peer: ["a"] }), `${MATCH}/peer`],
    ["no service account", withPredicate({ serviceAccount: { name: "a" } }), `${MATCH}/serviceAccount`],

    [
      "a rule without an id",
      '{"predicates":[],"deny":{"rules":[{"condition":{"and":[]}}]}}',
      "/deny/rules/0",
    ],
    ["a rule without a condition", '{"predicates":[],"deny":{"rules":[{"id":"a"}]}}', "/deny/rules/0"],
    ["an empty id", withRule({ id: "", condition: 0 }), "/deny/rules/0/id"],
    ["an unknown field of a rule", withRule({ condition: 0, name: "x" }), "/deny/rules/0/name"],
    ["a predicate that is not there", withRule({ condition: 8 }), "/deny/rules/0/condition"],
    ["a negative predicate", withRule({ condition: { or: [0, -1] } }), "/deny/rules/0/condition/or/1"],
    ["a predicate's number with a fraction", withRule({ condition: 0.5 }), "/deny/rules/0/condition"],
    ["an empty condition", withRule({ condition: {} }), "/deny/rules/0/condition"],
    ["a condition that is a list", withRule({ condition: [0] }), "/deny/rules/0/condition"],
    ["two conditions", withRule({ condition: { and: [], or: [] } }), "/deny/rules/0/condition"],
    ["a negation of a list", withRule({ condition: { not: [0] } }), "/deny/rules/0/condition/not"],
    ["a conjunction that is not a list", withRule({ condition: { and: 0 } }), "/deny/rules/0/condition/and"],
    [
      "too deep a condition",
      withRule({ condition: nested(33) }),
      `/deny/rules/0/condition${"/not".repeat(32)}`,
    ],
    ["a guard that is not a list", withRule({ condition: 0, guard: 0 }), "/deny/rules/0/guard"],
    ["a guard that is not there", withRule({ condition: 0, guard: [0, 8] }), "/deny/rules/0/guard/1"],
  ])("%s", (_, text, pointer) => {
    expect(guest.load(text)?.split(": ")[0]).toBe(pointer);
  });

  test.each([
    ["the same rule twice", ["a", "a"]],
    ["not in order", ["a", "c", "b"]],
    ["not in byte order", ["a", "B"]],
    ["the longer first", ["ab", "a"]],
  ])("ids %s", (_, ids) => {
    const rules = ids.map((id) => ({ id, condition: { and: [] } }));
    expect(guest.load(JSON.stringify({ predicates: [], allow: { rules } }))).toBe(
      `/allow/rules/${ids.length - 1}/id: must be after the rule before it in byte order`,
    );
  });

  test("not a condition of 32 levels", () => {
    expect(guest.load(withRule({ condition: nested(32) }))).toBeUndefined();
  });
});

describe("a predicate", () => {
  const forms = Predicate.anyOf.map(({ properties }) => Object.keys(properties));

  test.each(forms)("of every form in the schema belongs to an attribute of the filter: %s", (...names) => {
    const faulty = withPredicate(Object.fromEntries(names.map((name) => [name, {}])));
    expect(guest.load(faulty)).toMatch(new RegExp(`^/predicates/1/(${names.join("|")})\\b`));
  });

  test("can have its fields in any order", () => {
    const match = { exact: "a" };
    const predicates = [{ claim: ["sub"] }, { header: "a" }].flatMap((about) => [
      { match, ...about },
      { ...about, match },
    ]);
    expect(guest.load(JSON.stringify({ predicates, deny: { rules: [] } }))).toBeUndefined();
  });

  test("needs its match with a claim or a header, and only there", () => {
    const fault = '/predicates/1: must have one field, and "match" with "claim" and "header"';
    for (const names of forms) {
      const about = names.find((name) => name !== "match") ?? "";
      const wrong = { [about]: {}, ...(!names.includes("match") && { match: { exact: "a" } }) };
      expect(guest.load(withPredicate(wrong)), about).toBe(fault);
    }
  });
});

describe("a guard", () => {
  const proven: [Condition, number[]][] = [
    [0, [0]],
    [0, [1, 0]],
    [{ and: [0, 1] }, [0]],
    [{ and: [0, 1] }, [1]],
    [{ or: [0, 1] }, [0, 1]],
    [{ and: [{ or: [0, 1] }, { or: [2, 3] }] }, [2, 3]],
    [{ or: [{ and: [0, 4] }, { and: [4, 1] }] }, [4]],
    [{ or: [{ and: [0, 4] }, { and: [5, 1] }] }, [0, 1]],
    [{ and: [{ not: 0 }, 2] }, [2]],
    [{ not: { not: 0 } }, [0]],
    [{ not: { or: [{ not: 0 }, 1] } }, [0]],
    [{ and: [{ and: [] }, 6] }, [6]],
    [{ or: [{ or: [] }, 7] }, [7]],
    [{ or: [] }, [0]],
    [{ and: [3, { or: [] }] }, [0]],
  ];
  test.each(proven)("of %j may be %j", (condition, guard) => {
    expect(guest.load(withRule({ condition, guard }))).toBeUndefined();
  });

  const wrong: [Condition, number[]][] = [
    [0, [1]],
    [0, []],
    [{ and: [] }, [0]],
    [{ not: 0 }, [0]],
    [{ or: [0, 1] }, [0]],
    [{ or: [0, 1] }, [1]],
    [{ or: [0, { and: [] }] }, [0]],
    [{ and: [{ or: [0, 1] }, { or: [2, 3] }] }, [0, 2]],
    [{ or: [{ and: [0, 4] }, { and: [4, 1] }] }, [0]],
    [{ not: { and: [{ not: 0 }, { not: 1 }] } }, [0]],
    [{ not: { or: [] } }, [0]],
  ];
  test.each(wrong)("of %j may not be %j", (condition, guard) => {
    expect(guest.load(withRule({ condition, guard }))).toBe(
      "/deny/rules/0/guard: must be predicates of which one holds whenever the condition does",
    );
  });
});

test("a configuration with any change loads or is refused", () => {
  const seen = { loaded: 0, refused: 0 };
  const pieces = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"',
    "0",
    "9",
    "-",
    "null",
    "true",
    '""',
    "{}",
    "[]",
    '"and"',
    "1e9",
  ];
  forAll(200, (random) => {
    const text = JSON.stringify(authorization(random, true));
    for (let k = 0; k < 20; k++) {
      const at = random.below(text.length);
      const changed = text.slice(0, at) + random.pick(pieces) + text.slice(at + random.below(3));
      seen[guest.load(changed) === undefined ? "loaded" : "refused"]++;
    }
  });
  expect(seen.refused).toBeGreaterThan(1000);
  expect(seen.loaded).toBeGreaterThan(10);
});
