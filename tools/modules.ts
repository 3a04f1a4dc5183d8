/** The two builds of the filter that belong to this package, ready to run in Node. */
import { readFile } from "node:fs/promises";
import type { Modules } from "./explain/gate.ts";
import { verifySignature } from "./host/node.ts";
import { MODULE_FILE, TRACE_MODULE_FILE } from "./package.ts";

/**
 * Reads and compiles the package's two modules, with OpenSSL for Envoy's `verify_signature`.
 *
 * @returns what `Explainer.open` and `runSuite` need
 * @throws {Error} if the package lacks a file; the promise is rejected
 *
 * @example
 * ```ts
 * import { loadModules } from "jwtgate";
 *
 * const { release, trace } = await loadModules();
 * console.log(release instanceof WebAssembly.Module, release === trace); // true false
 * ```
 */
export async function loadModules(): Promise<Modules> {
  const [release, trace] = [MODULE_FILE, TRACE_MODULE_FILE].map(async (file) =>
    WebAssembly.compile(await readFile(file)),
  ) as [Promise<WebAssembly.Module>, Promise<WebAssembly.Module>];
  return { release: await release, trace: await trace, verifySignature };
}
