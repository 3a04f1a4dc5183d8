/** Compiles the filter that does nothing (empty-filter/index.ts). */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import asc from "assemblyscript/asc";
import { PACKAGE_FOLDER } from "../tools/package.ts";

/** @returns the module's file */
export async function compileEmptyFilter(file: string): Promise<string> {
  const stderr = asc.createMemoryStream();
  const options = [
    "--config",
    "none",
    "--runtime",
    "stub",
    "--use",
    "abort=",
    "-O3",
    "--outFile",
    "empty.wasm",
  ];
  const { error } = await asc.main(["bench/empty-filter/index.ts", "--baseDir", PACKAGE_FOLDER, ...options], {
    stderr,
    writeFile: (_: string, contents: Uint8Array | string) => {
      if (typeof contents === "string") return;
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, contents);
    },
  });
  if (error) throw new Error(stderr.toString());
  return file;
}
