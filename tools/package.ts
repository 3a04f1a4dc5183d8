/** Where this package lies. The same for tools/ run from source and for dist/jwtgate.mjs. */
import { fileURLToPath } from "node:url";

/** The package's folder, absolute: this file's parent's parent, and so is the bundle's. */
export const PACKAGE_FOLDER = fileURLToPath(new URL("..", import.meta.url));

/** The filter that belongs to this tool, absolute. */
export const MODULE_FILE = fileURLToPath(new URL("../build/jwtgate.wasm", import.meta.url));

/** The same filter, which also says what it does; absolute. No Envoy runs it. */
export const TRACE_MODULE_FILE = fileURLToPath(new URL("../build/jwtgate.trace.wasm", import.meta.url));

/** The built console, a folder of static files; absolute. */
export const CONSOLE_FOLDER = fileURLToPath(new URL("../dist/console", import.meta.url));
