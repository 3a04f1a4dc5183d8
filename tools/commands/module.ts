/** The filter's module, for commands that run it. */
import { existsSync, readFileSync } from "node:fs";
import { MODULE_FILE } from "../package.ts";
import { UserError } from "./output.ts";

/** @throws {UserError} where it has not been built */
export function moduleFile(): string {
  if (existsSync(MODULE_FILE)) return MODULE_FILE;
  throw new UserError(`${MODULE_FILE} is not there yet: run \`npm run build\``);
}

/** The module, ready to run in this process. */
export async function loadModule(): Promise<WebAssembly.Module> {
  return WebAssembly.compile(readFileSync(moduleFile()));
}
