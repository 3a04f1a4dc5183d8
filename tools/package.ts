/** Where this package is. The same for tools/ run from source and for dist/jwtgate.mjs. */
import { fileURLToPath } from "node:url";

/** The package's folder, absolute: this file's parent's parent, and so is the bundle's. */
export const PACKAGE_FOLDER = fileURLToPath(new URL("..", import.meta.url));

/**
 * The file of the filter that belongs to this package, absolute.
 *
 * @example
 * ```ts
 * import { readFile } from "node:fs/promises";
 * import { moduleFile } from "jwtgate";
 *
 * console.log(WebAssembly.validate(await readFile(moduleFile))); // true
 * ```
 */
export const MODULE_FILE = fileURLToPath(new URL("../build/jwtgate.wasm", import.meta.url));

/**
 * The file of the same filter with trace events, absolute. Envoy does not run it.
 *
 * @example
 * ```ts
 * import { readFile } from "node:fs/promises";
 * import { traceModuleFile } from "jwtgate";
 *
 * console.log(WebAssembly.validate(await readFile(traceModuleFile))); // true
 * ```
 */
export const TRACE_MODULE_FILE = fileURLToPath(new URL("../build/jwtgate.trace.wasm", import.meta.url));

/** The built console, a folder of static files; absolute. */
export const CONSOLE_FOLDER = fileURLToPath(new URL("../dist/console", import.meta.url));
