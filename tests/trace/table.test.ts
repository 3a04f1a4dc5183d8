/** assembly/trace.ts writes the events of the table that tools read them with, and the same numbers of enumerations. */
import { readFileSync } from "node:fs";
import ts from "typescript";
import { describe, expect, test } from "vitest";
import {
  decodeEvent,
  EVENTS,
  KEY_OUTCOMES,
  KEY_TYPES,
  LOCATION_KINDS,
  RULE_SETS,
  STATUS,
} from "../../tools/explain/events.ts";

function parse(path: string): ts.SourceFile {
  const text = readFileSync(new URL(`../../assembly/${path}`, import.meta.url), "utf8");
  return ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
}

/** The members of an enumeration, by name. */
function enumeration(path: string, name: string): Record<string, number> {
  const found = parse(path).statements.find(
    (statement): statement is ts.EnumDeclaration =>
      ts.isEnumDeclaration(statement) && statement.name.text === name,
  );
  if (found === undefined) throw new Error(`${path} has no enumeration ${name}`);
  let next = 0;
  return Object.fromEntries(
    found.members.map((member) => {
      const value = member.initializer ? Number(member.initializer.getText()) : next;
      next = value + 1;
      return [member.name.getText(), value];
    }),
  );
}

const numbered = (names: readonly string[]) =>
  Object.fromEntries(names.map((name, number) => [name, number]));

/** What each exported function writes: `writer.begin(Event.NAME …).number(…).text(…).ascii(…).send()`. */
function written(): Record<string, string[][]> {
  const found: Record<string, string[][]> = {};
  for (const statement of parse("trace.ts").statements) {
    if (!ts.isFunctionDeclaration(statement)) continue;
    const [only, second] = statement.body?.statements ?? [];
    if (only === undefined || second !== undefined || !ts.isExpressionStatement(only)) {
      throw new Error(`${statement.name?.text} does something else than write an event`);
    }
    const calls: { method: string; argument: string }[] = [];
    let expression: ts.Expression = only.expression;
    while (ts.isCallExpression(expression) && ts.isPropertyAccessExpression(expression.expression)) {
      const argument = expression.arguments[0]?.getText().replace("<i32>", "") ?? "";
      const method = expression.expression.name.text.replace("ascii", "text");
      calls.unshift({ method, argument });
      expression = expression.expression.expression;
    }
    const [begin, ...fields] = calls;
    expect([begin?.method, calls.at(-1)?.method]).toEqual(["begin", "send"]);
    found[(begin?.argument ?? "").replace("Event.", "")] = fields
      .slice(0, -1)
      .map(({ method, argument }) => [method, argument]);
  }
  return found;
}

describe("assembly/trace.ts and tools/explain/events.ts", () => {
  test("number the events in the same way", () => {
    const kinds = Object.fromEntries(Object.entries(EVENTS).map(([name, { kind }]) => [name, kind]));
    expect(enumeration("trace.ts", "Event")).toEqual(kinds);
  });

  test("have the same fields in the same order", () => {
    const types = Object.entries(EVENTS).map(([name, { fields }]) => [name, Object.values(fields)]);
    const methods = Object.entries(written()).map(([name, fields]) => [
      name,
      fields.map(([method]) => method),
    ]);
    expect(Object.fromEntries(methods)).toEqual(Object.fromEntries(types));
    for (const [name, { fields }] of Object.entries(EVENTS)) {
      const names = written()[name]?.map(([, argument]) => argument);
      expect(names, name).toEqual(Object.keys(fields));
    }
  });
});

describe("numbers of enumerations", () => {
  test.each<[string, string, readonly string[]]>([
    ["authn/location.ts", "LocationKind", LOCATION_KINDS],
    ["jose/algorithm.ts", "KeyType", KEY_TYPES],
    ["trace.ts", "KeyOutcome", KEY_OUTCOMES],
    ["authz/decision.ts", "RuleSet", RULE_SETS],
  ])("%s: %s", (path, name, names) => {
    expect(enumeration(path, name)).toEqual(numbered(names));
  });

  test("jose/status.ts: Status", () => expect(enumeration("jose/status.ts", "Status")).toMatchObject(STATUS));
});

describe("an invalid event", () => {
  test.each<[string, number[], string]>([
    ["an unknown kind", [99], "unknown kind 99"],
    ["nothing", [], "unknown kind undefined"],
    ["too much", [1, 0], "Begin event of another length"],
    ["a text that is too short", [17, 9, 0, 0, 0, 65], "List event of another length"],
  ])("is refused: %s", (_, bytes, words) => {
    expect(() => decodeEvent(Uint8Array.from(bytes))).toThrow(words);
  });
});
