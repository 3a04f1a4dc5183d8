/** Filters that do a part of jwtgate's work for a known token, each one step more than the one before (filters/). */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import asc from "assemblyscript/asc";
import { PACKAGE_FOLDER } from "../tools/package.ts";

export const STEPS = ["empty", "streams", "headers", "clock", "removal"] as const;
export type Step = (typeof STEPS)[number];

/** Compiles them all into a folder. @returns the modules' files */
export async function compileFilters(folder: string): Promise<Record<Step, string>> {
  mkdirSync(folder, { recursive: true });
  const files = STEPS.map((step) => [step, join(folder, `${step}.wasm`)] as const);
  for (const [step, file] of files) {
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
      "filter.wasm",
    ];
    const { error } = await asc.main([`bench/filters/${step}.ts`, "--baseDir", PACKAGE_FOLDER, ...options], {
      stderr,
      writeFile: (_: string, contents: Uint8Array | string) => {
        if (typeof contents !== "string") writeFileSync(file, contents);
      },
    });
    if (error) throw new Error(stderr.toString());
  }
  return Object.fromEntries(files) as Record<Step, string>;
}
