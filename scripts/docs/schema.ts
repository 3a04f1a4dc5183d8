/** The JSON Schema of the filter's configuration, as a file for editors and other programs; and of other TypeBox sources. */
import * as source from "../../tools/config/schema.ts";

/** The parts of JSON Schema that `tools/config/schema.ts` uses. */
export interface Schema {
  $schema?: string;
  $id?: string;
  $ref?: string;
  $defs?: Record<string, Schema>;
  title?: string;
  description?: string;
  type?: "object" | "array" | "string" | "integer" | "boolean";
  const?: unknown;
  default?: unknown;
  /** If the schema has no type: its forms. If it has one: an additional condition. */
  anyOf?: Schema[];
  items?: Schema;
  minItems?: number;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  properties?: Record<string, Schema>;
  patternProperties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean;
}

const DEFINITIONS = "#/$defs/";

/** The name in `$defs` that a reference leads to. */
export function definitionOf(reference: string): string {
  return reference.slice(DEFINITIONS.length);
}

/** @returns the schema of a whole configuration, with each exported part once, under `$defs` */
export function configurationSchema(): Schema {
  return schemaWithParts(source, "Configuration");
}

/**
 * @param parts a module's exports, the TypeBox schemas among them
 * @param whole name of the one that holds the others
 * @returns its schema, with each exported part once, under `$defs`
 */
export function schemaWithParts(parts: Readonly<Record<string, unknown>>, whole: string): Schema {
  const names = new Map<string, string>();
  for (const [name, value] of Object.entries(parts)) {
    if (typeof value === "object" && name !== whole) names.set(JSON.stringify(value), name);
  }
  const definitions: Record<string, Schema> = {};
  const rewrite = (node: unknown, isRoot = false): unknown => {
    if (Array.isArray(node)) return node.map((item) => rewrite(item));
    if (typeof node !== "object" || node === null) return node;
    const name = names.get(JSON.stringify(node));
    if (name !== undefined) {
      if (!(name in definitions)) {
        definitions[name] = {}; // Holds the place, for a part that refers to itself.
        definitions[name] = members(node);
      }
      return { $ref: DEFINITIONS + name };
    }
    return isRoot ? { $id: (node as Schema).$id, ...members(node) } : members(node);
  };
  const members = (node: object): Schema =>
    Object.fromEntries(
      Object.entries(node)
        .filter(([name]) => name !== "$id")
        .map(([name, value]) => [name, name === "$ref" ? DEFINITIONS + value : rewrite(value)]),
    );
  const root = rewrite(JSON.parse(JSON.stringify(parts[whole])), true) as Schema;
  return { $schema: "https://json-schema.org/draft/2020-12/schema", ...root, $defs: definitions };
}

/** The text of `schema/configuration.schema.json`. */
export function renderSchema(): string {
  return `${JSON.stringify(configurationSchema(), null, 2)}\n`;
}
