/** TypeScript's types of the filter's configuration, for users of the library: the schema, without TypeBox. */
import { configurationSchema, definitionOf, type Schema } from "./schema.ts";

/** The text of a `.d.ts` file that replaces `tools/config/schema.ts` and exports the same names of types. */
export function renderDeclarations(): string {
  const { $defs = {}, ...root } = configurationSchema();
  const description = "The filter's configuration (docs/configuration.md has every field).";
  const types = [...Object.entries($defs), ["Configuration", { ...root, description }] as const];
  const texts = types.map(
    ([name, schema]) => `${comment(schema, "")}export type ${name} = ${typeOf(schema, "")};\n`,
  );
  return `/** The filter's configuration (schema/configuration.schema.json). */\n\n${texts.join("\n")}`;
}

function typeOf(schema: Schema, indent: string): string {
  const { $ref, const: constant, anyOf, items, type, properties = {} } = schema;
  if ($ref !== undefined) return definitionOf($ref);
  if (constant !== undefined) return JSON.stringify(constant);
  if (anyOf !== undefined && type === undefined) return anyOf.map((one) => typeOf(one, indent)).join(" | ");
  if (type === "array") return `Array<${items ? typeOf(items, indent) : "unknown"}>`;
  if (type === "integer") return "number";
  if (type !== "object") return type ?? "unknown";
  const deeper = `${indent}  `;
  const members = Object.entries(properties).map(([name, member]) => {
    const mark = schema.required?.includes(name) ? "" : "?";
    return `${comment(member, deeper)}${deeper}${name}${mark}: ${typeOf(member, deeper)};\n`;
  });
  return `{\n${members.join("")}${indent}}`;
}

/** The schema's description of a part, with its limits and its default. */
function comment({ description, default: fallback, minimum, maximum }: Schema, indent: string): string {
  const parts = [
    ...(description === undefined ? [] : [description]),
    ...(minimum === undefined || maximum === undefined ? [] : [`From ${minimum} to ${maximum}.`]),
    ...(fallback === undefined ? [] : [`Default: ${JSON.stringify(fallback)}.`]),
  ];
  return parts.length === 0 ? "" : `${indent}/** ${parts.join(" ").replaceAll("*/", "*\\/")} */\n`;
}
