/** `docs/configuration.md`: the filter's configuration, from its schema. */
import { configurationSchema, definitionOf, type Schema } from "./schema.ts";

const INTRODUCTION = `# The filter's configuration

<!-- Generated from tools/config/schema.ts by \`npm run docs\`. -->

This is what \`jwtgate compile\` writes and what the filter reads. You rarely write it by hand: the Istio resources
are the source, and \`compile\` checks them with file, line and column. Read this page to understand what runs, to
change a limit, or to write your own compiler. Its JSON Schema is
[\`schema/configuration.schema.json\`](../schema/configuration.schema.json).

The filter takes the configuration as JSON text. It is strict: an unknown member, a wrong type or a value out of
range is refused, with the JSON pointer of the first fault in Envoy's log, and Envoy then refuses the listener.
So no filter runs with half a configuration. \`version\` is the version of the format: a filter refuses a version that
it does not know, and logs which \`jwtgate\` to compile with. \`contents\` is the last member, and has the number of
providers and rules.

Limits and intervals have defaults; there is no way to turn a limit off by leaving it out. Header names are in lower
case. A configuration with \`oct\` keys holds secrets: Envoy's \`/config_dump\` and the \`WasmPlugin\` resource show
them.
`;

/** The text of `docs/configuration.md`. */
export function renderConfiguration(): string {
  return `${INTRODUCTION}\n${renderSections("Configuration", configurationSchema())}`;
}

/**
 * Renders a section for a schema, and one for each of its parts in the order of first use.
 *
 * @param title of the first
 */
export function renderSections(title: string, { $defs: definitions = {}, ...root }: Schema): string {
  const parts = referenced(root, definitions).map((name) => section(name, definitions[name] ?? {}));
  return `${[section(title, root), ...parts].join("\n").trimEnd()}\n`;
}

/** Names of the definitions in the order of first use. */
function referenced(node: unknown, definitions: Record<string, Schema>, found: string[] = []): string[] {
  if (typeof node !== "object" || node === null) return found;
  const reference = (node as Schema).$ref;
  if (reference !== undefined) {
    const name = definitionOf(reference);
    if (!found.includes(name)) {
      found.push(name);
      referenced(definitions[name], definitions, found);
    }
    return found;
  }
  for (const value of Object.values(node)) referenced(value, definitions, found);
  return found;
}

function section(name: string, schema: Schema): string {
  const body = schema.anyOf && !schema.type ? alternatives(schema.anyOf) : fields(schema);
  return [`## ${name}`, "", ...(schema.description ? [schema.description, ""] : []), body, ""].join("\n");
}

/** Renders a type that is one of several forms: a row for each. */
function alternatives(forms: Schema[]): string {
  const rows = forms.map((form) => {
    const members = Object.entries(form.properties ?? {});
    const code = members.map(([name, value]) => `\`${name}\`: ${typeOf(value)}`).join("<br>");
    const notes = [
      form.description,
      ...members.map(
        ([name, { description }]) => description && members.length > 1 && `\`${name}\`: ${description}`,
      ),
      members.length === 1 ? members[0]?.[1].description : undefined,
    ];
    return [code || typeOf(form), notes.filter(Boolean).join(" ")];
  });
  return table(["one of", "meaning"], rows);
}

/** Renders an object: a row for each field, including those of unnamed objects inside it. */
function fields(schema: Schema): string {
  const rows: string[][] = [];
  const visit = (object: Schema, prefix: string): void => {
    for (const [name, field] of Object.entries(object.properties ?? {})) {
      const path = prefix + name;
      const required = object.required?.includes(name) ? "required" : defaultOf(field);
      rows.push([`\`${path}\``, typeOf(field, true), required, rangeOf(field), field.description ?? ""]);
      if (field.properties) visit(field, `${path}.`);
      if (field.items?.properties) visit(field.items, `${path}[].`);
    }
  };
  visit(schema, "");
  return table(["field", "type", "default", "range", "meaning"], rows);
}

/** @param detailed whether the members of an object have their own rows */
function typeOf(schema: Schema, detailed = false): string {
  if (schema.$ref !== undefined) {
    const name = definitionOf(schema.$ref);
    return `[${name}](#${name.toLowerCase()})`;
  }
  if ("const" in schema) return `\`${JSON.stringify(schema.const)}\``;
  if (schema.anyOf) return schema.anyOf.map((form) => typeOf(form)).join(" or ");
  const [values] = Object.values(schema.patternProperties ?? {});
  if (values) return typeOf(values) === "any" ? "object" : `names to ${plural(typeOf(values))}`;
  if (schema.type === "array") return `list of ${plural(typeOf(schema.items ?? {}, detailed))}`;
  if (schema.type === "object" && schema.properties && !detailed) {
    const members = Object.entries(schema.properties).map(([name, value]) => `\`${name}\`: ${typeOf(value)}`);
    return `{${members.join(", ")}}`;
  }
  return schema.type ?? "any";
}

function plural(type: string): string {
  return /^(string|object|integer)$/.test(type) ? `${type}s` : type;
}

function defaultOf(schema: Schema): string {
  return schema.default === undefined ? "" : `\`${JSON.stringify(schema.default)}\``;
}

function rangeOf({ minimum, maximum }: Schema): string {
  return minimum !== undefined && maximum !== undefined ? `${minimum} … ${maximum}` : "";
}

/** Leaves out columns that are empty in every row. */
function table(head: string[], rows: string[][]): string {
  const used = head.map((_, column) => rows.some((row) => row[column]));
  const line = (row: string[]): string =>
    `| ${row
      .filter((_, column) => used[column])
      .map((text) => text.replaceAll("|", "\\|"))
      .join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}
