/** Reads a YAML value against a schema: reports every fault with its position, and what was probably meant. */
import type { Position } from "../diagnostics.ts";
import { closest } from "../istio/fields.ts";
import { quote, type Report } from "../istio/report.ts";
import { nameOf, type YamlNode } from "../istio/yaml.ts";

/** The parts of JSON Schema that schema.ts uses. */
interface Schema {
  type?: string;
  const?: unknown;
  anyOf?: Schema[];
  items?: Schema;
  minItems?: number;
  minLength?: number;
  minimum?: number;
  maximum?: number;
  properties?: Record<string, Schema>;
  patternProperties?: Record<string, Schema>;
  required?: string[];
}

/**
 * @param schema made with TypeBox
 * @param path of the value, as messages name it; "" for the whole
 * @returns the value; if the report has a fault, it must not be used
 */
export function read(node: YamlNode, schema: object, path: string, report: Report): unknown {
  return readAs(node, schema as Schema, path, report);
}

/** The position of a value inside another; if the path does not exist, of the last part that does. */
export function positionAt(node: YamlNode, ...path: (string | number)[]): Position {
  let current = node;
  for (const part of path) {
    const inner =
      current.kind === "map"
        ? current.entries.get(String(part))?.value
        : current.kind === "list"
          ? current.items[Number(part)]
          : undefined;
    if (inner === undefined) break;
    current = inner;
  }
  return current.at;
}

/** Any YAML value as in JSON. */
export function plain(node: YamlNode): unknown {
  switch (node.kind) {
    case "map":
      return Object.fromEntries([...node.entries].map(([name, { value }]) => [name, plain(value)]));
    case "list":
      return node.items.map(plain);
    case "number":
      return Number(node.source.replaceAll("_", ""));
    case "null":
      return null;
    default:
      return node.value;
  }
}

function readAs(node: YamlNode, schema: Schema, path: string, report: Report): unknown {
  if (schema.anyOf !== undefined) return readAnyOf(node, schema.anyOf, path, report);
  switch (schema.type) {
    case "object":
      return readObject(node, schema, path, report);
    case "array":
      return readList(node, schema, path, report);
    case "string":
    case "integer":
    case "boolean":
    case "null":
      return readScalar(node, schema, path, report);
    default:
      return plain(node);
  }
}

/** The alternative that is most similar to the value: of its kind, with the required members. */
function readAnyOf(node: YamlNode, alternatives: Schema[], path: string, report: Report): unknown {
  const literals = alternatives.flatMap((one) => ("const" in one ? [String(one.const)] : []));
  if (literals.length === alternatives.length) return readChoice(node, literals, path, report);
  const ofKind = alternatives.flatMap(flatten).filter((one) => kindOf(one) === node.kind);
  const fitting =
    node.kind === "map"
      ? ofKind.find(({ required = [] }) => required.every((name) => node.entries.has(name)))
      : undefined;
  const chosen = fitting ?? ofKind.at(-1);
  if (chosen !== undefined) return readAs(node, chosen, path, report);
  const kinds = [...new Set(alternatives.flatMap(flatten).map(kindOf))].map(
    (kind) => KIND_NAMES[kind] ?? kind,
  );
  report.error(node.at, `${path} must be ${kinds.join(" or ")}, not ${nameOf(node)}${hint(node, kinds)}`);
  return undefined;
}

function flatten(schema: Schema): Schema[] {
  return schema.anyOf?.flatMap(flatten) ?? [schema];
}

const KIND_NAMES: Record<string, string> = {
  map: "an object",
  list: "a list",
  string: "a string",
  number: "a number",
  boolean: "true or false",
  null: "null",
};

/** The kind of YAML value that a schema describes. */
function kindOf({ type }: Schema): string {
  const kinds: Record<string, string> = { object: "map", array: "list", integer: "number" };
  return kinds[type ?? ""] ?? type ?? "";
}

/** YAML 1.1 reads `no` as a boolean: quotes help. */
function hint(node: YamlNode, kinds: readonly string[]): string {
  const isScalar = node.kind === "boolean" || node.kind === "number";
  return isScalar && kinds.includes("a string") ? `: put it in quotes, "${node.source}"` : "";
}

function readChoice(node: YamlNode, names: readonly string[], path: string, report: Report): unknown {
  if (node.kind === "string" && names.includes(node.value)) return node.value;
  const given = node.kind === "string" ? quote(node.value) : nameOf(node);
  const meant = node.kind === "string" ? closest(node.value, names) : undefined;
  const advice = meant === undefined ? `write ${names.join(", ")}` : `did you mean ${meant}?`;
  report.error(node.at, `${path} cannot be ${given}: ${advice}`);
  return undefined;
}

function readScalar(node: YamlNode, schema: Schema, path: string, report: Report): unknown {
  if (kindOf(schema) !== node.kind) {
    const kind = KIND_NAMES[kindOf(schema)] ?? schema.type ?? "";
    report.error(node.at, `${path} must be ${kind}, not ${nameOf(node)}${hint(node, [kind])}`);
    return undefined;
  }
  const value = plain(node);
  if (typeof value === "number") {
    const { minimum = Number.NEGATIVE_INFINITY, maximum = Number.POSITIVE_INFINITY } = schema;
    if (!Number.isInteger(value) || value < minimum || value > maximum) {
      report.error(node.at, `${path} must be a whole number from ${minimum} to ${maximum}`);
    }
  } else if (value === "" && schema.minLength === 1) {
    report.error(node.at, `${path} must not be empty`);
  }
  return value;
}

function readList(
  node: YamlNode,
  { items = {}, minItems = 0 }: Schema,
  path: string,
  report: Report,
): unknown {
  if (node.kind !== "list") {
    const advice = node.kind === "string" ? `: write [${quote(node.value)}]` : "";
    report.error(node.at, `${path} must be a list, not ${nameOf(node)}${advice}`);
    return undefined;
  }
  if (node.items.length < minItems) report.error(node.at, `${path} must not be empty`);
  return node.items.map((item, i) => readAs(item, items, `${path}[${i}]`, report));
}

function readObject(node: YamlNode, schema: Schema, path: string, report: Report): unknown {
  const { properties, patternProperties = {}, required = [] } = schema;
  if (node.kind !== "map") {
    report.error(node.at, `${path || "the file"} must be an object with fields, not ${nameOf(node)}`);
    return undefined;
  }
  const inside = (name: string) => (path === "" ? name : `${path}.${name}`);
  const [any] = Object.values(patternProperties);
  const unknown = [...node.entries].filter(([name]) => properties && !Object.hasOwn(properties, name));
  for (const [name, { key }] of unknown) {
    const names = Object.keys(properties ?? {});
    const meant = closest(name, names);
    const advice =
      meant === undefined ? `the fields here are ${names.join(", ")}` : `did you mean \`${meant}\`?`;
    report.error(key.at, `unknown field ${quote(name)} ${path === "" ? "here" : `in ${path}`}: ${advice}`);
  }
  if (unknown.length === 0) {
    for (const name of required) {
      if (!node.entries.has(name)) report.error(node.at, `${inside(name)} is missing`);
    }
  }
  const known = new Map(Object.entries(properties ?? {}));
  const entries = [...node.entries].flatMap(([name, { value }]) => {
    const inner = known.get(name) ?? any;
    return inner === undefined ? [] : [[name, readAs(value, inner, inside(name), report)]];
  });
  return Object.fromEntries(entries);
}
