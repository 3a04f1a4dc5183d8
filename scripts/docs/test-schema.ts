/** The JSON Schema of files of policy tests, for editors. */
import { TestFile } from "../../tools/testing/schema.ts";

/** The text of `schema/test.schema.json`. */
export function renderTestSchema(): string {
  const schema = { $schema: "https://json-schema.org/draft/2020-12/schema", ...TestFile };
  return `${JSON.stringify(schema, null, 2)}\n`;
}
