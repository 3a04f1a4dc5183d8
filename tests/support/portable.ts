/** Bundles the tools' portable rooms for engines that are not Node, and makes such an engine. */
import { type Context, createContext } from "node:vm";
import { build } from "esbuild";
import { globalsOf } from "../architecture/imports.ts";

/** What Web platforms have besides JavaScript itself, as far as the tools use it. */
const WEB_GLOBALS = [
  "WebAssembly",
  "TextDecoder",
  "TextEncoder",
  "URL",
  "AbortController",
  "crypto",
  "performance",
  "atob",
  "btoa",
];

/**
 * The text of a script that provides the exports of `entry` as `jwtgate`.
 *
 * @param entry TypeScript, with imports relative to the repository's folder
 * @throws if a module that it imports needs Node
 */
export async function bundlePortable(entry: string): Promise<string> {
  const { outputFiles, metafile } = await build({
    stdin: { contents: entry, resolveDir: ".", loader: "ts" },
    bundle: true,
    write: false,
    metafile: true,
    format: "iife",
    globalName: "jwtgate",
    platform: "browser",
    logLevel: "silent",
  });
  const text = outputFiles[0]?.text ?? "";
  const external = Object.values(metafile.inputs).flatMap(({ imports }) =>
    imports.filter((one) => one.external),
  );
  const wanted = [...external.map(({ path }) => path), ...globalsOf(text, ["Buffer", "process", "require"])];
  if (wanted.length > 0) throw new Error(`this needs ${wanted.join(", ")}`);
  return text;
}

/** An engine with only the Web's globals. */
export function webContext(globals: object = {}): Context {
  const web = Object.fromEntries(WEB_GLOBALS.map((name) => [name, Reflect.get(globalThis, name) as unknown]));
  return createContext({ ...web, ...globals });
}
