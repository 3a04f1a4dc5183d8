/** The reference of policies and test files for the editor: the fields of each object, and what each does. */
import reference from "../../docs/istio-fields.md";
import tokenPolicy from "../../docs/token-policy.md";
import testSchema from "../../schema/test.schema.json" with { type: "json" };
import { PLACES } from "../../tools/istio/places.ts";

/** A field or a value that can be written at a place. */
export interface Entry {
  name: string;
  /** What it does; absent if the reference does not say. */
  text?: string;
}

/** The rows of the reference's tables by the names in their first column. */
const TEXTS: ReadonlyMap<string, string> = new Map([...readTables(tokenPolicy), ...readTables(reference)]);

/** The keys of `when`, as an author writes them. */
const WHEN_KEYS = [...TEXTS.keys()].filter((name) => name.includes("."));

const VALUES: Readonly<Record<string, readonly string[]>> = {
  apiVersion: ["security.istio.io/v1", "jwtgate.dev/v1alpha1"],
  kind: ["RequestAuthentication", "AuthorizationPolicy", "TokenPolicy"],
  action: ["ALLOW", "DENY", "AUDIT", "CUSTOM"],
  presence: ["OPTIONAL", "REQUIRED"],
  forwardOriginalToken: ["true", "false"],
  requireType: ["true", "false"],
  key: WHEN_KEYS,
};

/** Fields of every resource, and of its metadata, which the compiler's table does not name. */
const COMMON: Readonly<Record<string, readonly string[]>> = {
  "": ["apiVersion", "kind", "metadata", "spec"],
  metadata: ["name", "namespace", "labels", "annotations"],
  "spec.jwtRules.fromHeaders": ["name", "prefix"],
  "spec.jwtRules.outputClaimToHeaders": ["header", "claim"],
  "spec.targetRefs": ["group", "kind", "name"],
  "spec.provider": ["name"],
};

const FIELDS: ReadonlyMap<string, readonly string[]> = readPlaces();

/**
 * Fields that can be written in an object of a policy.
 *
 * @param path the names of the fields around it, without lists
 * @param kind of the resource
 */
export function fieldsAt(path: readonly string[], kind: string | undefined): Entry[] {
  const place = path.join(".");
  const ofKind = place === "spec" ? (FIELDS.get(`spec of ${kind}`) ?? []) : [];
  return [...(FIELDS.get(place) ?? []), ...ofKind].map(entry);
}

/** Values that can be written for a field of a policy. */
export function valuesOf(field: string): Entry[] {
  return (VALUES[field] ?? []).map(entry);
}

/** What a field, or a key of `when`, does. */
export function textOf(name: string): string | undefined {
  return TEXTS.get(name) ?? TEXTS.get(name.replace(/\[.*$/, "[NAME]"));
}

/** Fields that can be written in an object of a test file. */
export function testFieldsAt(path: readonly string[]): Entry[] {
  return Object.entries(schemaAt(path)).map(([name, { description }]) => ({
    name,
    ...(description !== undefined && { text: description }),
  }));
}

/** Values that can be written for a field of a test file. */
export function testValuesAt(path: readonly string[]): Entry[] {
  const field = path.at(-1) ?? "";
  const schema = schemaAt(path.slice(0, -1))[field];
  return alternatives(schema ?? {}).flatMap(({ const: value, description }) =>
    typeof value === "string"
      ? [{ name: value, ...(description !== undefined && { text: description }) }]
      : [],
  );
}

function entry(name: string): Entry {
  const text = textOf(name);
  return { name, ...(text !== undefined && { text }) };
}

/** The part of JSON Schema that the schema of test files uses. */
interface Schema {
  description?: string;
  const?: unknown;
  anyOf?: Schema[];
  items?: Schema;
  properties?: Record<string, Schema>;
  patternProperties?: Record<string, Schema>;
}

/** The properties of the objects at a path of a test file, of all alternatives. */
function schemaAt(path: readonly string[]): Record<string, Schema> {
  let schemas: Schema[] = alternatives(testSchema as Schema);
  for (const name of path) {
    schemas = schemas.flatMap(({ properties, patternProperties }) => {
      const inner = properties?.[name] ?? Object.values(patternProperties ?? {})[0];
      return inner === undefined ? [] : alternatives(inner);
    });
  }
  return Object.assign({}, ...schemas.map(({ properties }) => properties ?? {})) as Record<string, Schema>;
}

/** The alternatives of a schema and of its items. */
function alternatives(schema: Schema): Schema[] {
  if (schema.anyOf !== undefined) return schema.anyOf.flatMap(alternatives);
  return schema.items === undefined ? [schema] : alternatives(schema.items);
}

/** The inverse of the compiler's table of places. */
function readPlaces(): Map<string, readonly string[]> {
  const fields = new Map<string, string[]>(
    Object.entries(COMMON).map(([place, names]) => [place, [...names]]),
  );
  for (const [name, place] of Object.entries(PLACES)) {
    const path = place.replaceAll("[]", "").replace(/^spec of an? /, "spec of ");
    fields.set(path, [...(fields.get(path) ?? []), name]);
  }
  return fields;
}

function readTables(markdown: string): Map<string, string> {
  const texts = new Map<string, string>();
  for (const [, names = "", text = ""] of markdown.matchAll(/^\| (`.*?`) \| (.*?) \|$/gm)) {
    for (const [, name = ""] of names.matchAll(/`([^`]+)`/g)) texts.set(name, plain(text));
  }
  return texts;
}

/** Markdown's links and code as plain text. */
function plain(text: string): string {
  return text.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").replaceAll("`", "");
}
