/** Configurations written by hand. */
import { withContents } from "../../tools/config/contents.ts";
import { CONFIGURATION_VERSION, type Configuration } from "../../tools/config/schema.ts";

/** A whole configuration of these parts. The filter checks their types. */
export function whole(parts: object): Configuration {
  return withContents({ version: CONFIGURATION_VERSION, ...parts } as Omit<Configuration, "contents">);
}

/** Lets everything through. */
export const OPEN = whole({ authorization: { predicates: [], audit: { rules: [] } } });
