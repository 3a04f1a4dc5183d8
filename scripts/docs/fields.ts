/** `assembly/config/schema.ts`: the names, ranges and defaults of the configuration that the filter reads. */
import { configurationSchema, type Schema } from "./schema.ts";

const HEADING = `/**
 * The fields of the configuration: the names that each object may have, and a function for each integer that reads it, with
 * its range and default, from an object that may be NONE.
 *
 * Generated from tools/config/schema.ts by \`npm run docs\`.
 */
import { Reader } from "../document/reader";
import { Node } from "../encoding/json";
`;

/** The length of a line of the filter's sources (.prettierrc.json). */
const LINE_WIDTH = 110;

/** The text of `assembly/config/schema.ts`. */
export function renderFields(): string {
  const { $defs: definitions = {}, ...root } = configurationSchema();
  const lines = new Map<string, string>();
  const define = (name: string, line: string) => {
    const before = lines.get(name);
    if (before !== undefined && before !== line) throw new Error(`two fields are named ${name}`);
    lines.set(name, line);
  };
  const visit = (title: string, schema: Schema): void => {
    const objects = [schema, ...(schema.anyOf ?? [])];
    const fields = new Map(objects.flatMap(({ properties = {} }) => Object.entries(properties)));
    if (fields.size === 0) return;
    define(`${title}_FIELDS`, list(`export const ${title}_FIELDS: StaticArray<string>`, [...fields.keys()]));
    for (const [name, field] of fields) {
      const { type, minimum, maximum, default: fallback, items } = field;
      if (type === "integer" && fallback !== undefined) {
        const values = [minimum, maximum, fallback].map((value) => grouped(Number(value)));
        const signature = `${name}(reader: Reader, object: Node): i64`;
        const body = `return reader.integerOr(object, "${name}", ${values.join(", ")});`;
        define(name, `export function ${signature} {\n  ${body}\n}\n`);
      }
      visit(`${title}_${upper(name)}`, items ?? field);
    }
  };
  visit("CONFIGURATION", root);
  for (const [name, schema] of Object.entries(definitions)) visit(upper(name), schema);
  return `${[HEADING, ...lines.values()].join("\n").trimEnd()}\n`;
}

/** As the formatter writes it. */
function list(declaration: string, names: string[]): string {
  const line = `${declaration} = [${names.map((name) => `"${name}"`).join(", ")}];`;
  if (line.length <= LINE_WIDTH) return line;
  return `${declaration} = [\n${names.map((name) => `  "${name}",\n`).join("")}];`;
}

/** maxTokenBytes → MAX_TOKEN_BYTES */
function upper(name: string): string {
  return name.replace(/[a-z](?=[A-Z])/g, "$&_").toUpperCase();
}

/** 65536 → 65_536 */
function grouped(value: number): string {
  return String(value).replace(/(?<=\d)(?=(\d{3})+$)/g, "_");
}
