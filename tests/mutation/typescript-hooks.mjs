/**
 * Loads the tests and the tool into the process of runner.mjs: TypeScript as it is, and `vitest` as registered-tests.mjs. A
 * query such as `?1` on the first module passes to those that it imports, so that all can be loaded anew.
 */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { transform } from "esbuild";

const TESTS = new URL("registered-tests.mjs", import.meta.url).href;

/** @type {import("node:module").ResolveHook} */
export async function resolve(specifier, context, next) {
  const parent = context.parentURL ?? "";
  if (specifier === "vitest" && parent !== TESTS) return { url: TESTS, shortCircuit: true };
  const resolved = await next(specifier, context);
  const query = URL.canParse(parent) ? new URL(parent).search : "";
  const isOurs = resolved.url.startsWith("file:") && !resolved.url.includes("/node_modules/");
  return isOurs && query !== "" ? { ...resolved, url: `${resolved.url}${query}` } : resolved;
}

/** @type {import("node:module").LoadHook} */
export async function load(url, context, next) {
  if (!new URL(url).pathname.endsWith(".ts")) return next(url, context);
  const source = await readFile(fileURLToPath(url), "utf8");
  const { code } = await transform(source, { loader: "ts", format: "esm", target: "esnext" });
  return { format: "module", source: code, shortCircuit: true };
}
