/**
 * The filter's module as a file that Envoy reads: the option that names it, the same for all outputs with Envoy's own
 * messages.
 */
import { type Files, NotRendered, type TargetOption } from "./target.ts";

export interface ModuleOptions {
  module: string;
}

export const MODULE_OPTION: TargetOption = {
  flags: "--module <path>",
  description: "jwtgate.wasm as Envoy will see it (default: the one of this package)",
};

/**
 * As Envoy will see it.
 *
 * @param chosen the option; the module of this package if absent
 * @throws {NotRendered} if that does not exist
 */
export function moduleFile(chosen: string | undefined, { module, exists, resolve }: Files): string {
  if (chosen !== undefined) return resolve(chosen);
  if (!exists(module)) {
    throw new NotRendered(`${module} does not exist yet: run \`npm run build\``);
  }
  return module;
}
