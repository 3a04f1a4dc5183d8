/** Every file of the repository that is generated from sources. */
import { renderCommands } from "./commands.ts";
import { renderConfiguration } from "./configuration.ts";
import { renderSchema } from "./schema.ts";

/** From the path of a generated file to what generates its text. */
export const GENERATED: Readonly<Record<string, () => string>> = {
  "docs/configuration.md": renderConfiguration,
  "docs/reference/commands.md": renderCommands,
  "schema/configuration.schema.json": renderSchema,
};
