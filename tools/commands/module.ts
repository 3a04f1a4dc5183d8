/** The filter's module, for commands that run it. */
import { existsSync, readFileSync } from "node:fs";
import type { Modules } from "../explain/gate.ts";
import { loadModules as loadPackageModules } from "../modules.ts";
import { MODULE_FILE, TRACE_MODULE_FILE } from "../package.ts";
import { UserError } from "./output.ts";

/** @throws {UserError} if it has not been built */
export function moduleFile(file = MODULE_FILE): string {
  if (existsSync(file)) return file;
  throw new UserError(`${file} does not exist yet: run \`npm run build\``);
}

/** The module, ready to run in this process. */
export async function loadModule(file = MODULE_FILE): Promise<WebAssembly.Module> {
  return WebAssembly.compile(readFileSync(moduleFile(file)));
}

/** The module, and the traced module. */
export async function loadModules(): Promise<Modules> {
  moduleFile();
  moduleFile(TRACE_MODULE_FILE);
  return loadPackageModules();
}
