/** Every file of the repository that is generated from sources. */
import { renderFindings } from "./check.ts";
import { renderCommands } from "./commands.ts";
import { renderConfiguration } from "./configuration.ts";
import { renderExplanation } from "./explanation.ts";
import { renderFields } from "./fields.ts";
import { renderLibrary } from "./library.ts";
import { renderSchema } from "./schema.ts";
import { renderTestSchema } from "./test-schema.ts";
import { renderTesting } from "./testing.ts";

/** From the path of a generated file to what generates its text. */
export const GENERATED: Readonly<Record<string, () => string | Promise<string>>> = {
  "assembly/config/schema.ts": renderFields,
  "docs/check.md": renderFindings,
  "docs/configuration.md": renderConfiguration,
  "docs/explain.svg": renderExplanation,
  "docs/reference/commands.md": renderCommands,
  "docs/reference/library.md": renderLibrary,
  "docs/testing.md": renderTesting,
  "schema/configuration.schema.json": renderSchema,
  "schema/test.schema.json": renderTestSchema,
};
