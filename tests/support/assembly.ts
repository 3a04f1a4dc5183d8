/** Compiles AssemblyScript of tests together with the filter's own files. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";
import { countersOf, instrument, type Site } from "../coverage/instrument.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/**
 * @param entry file relative to the project's folder
 * @param flags of asc; without any, the module has assertions and compiles fastest
 * @returns the module's bytes
 */
export async function compileAssembly(entry: string, ...flags: string[]): Promise<Uint8Array> {
  return compile(entry, flags, readSource);
}

/** A module that counts how often each statement of some files runs. */
export interface Counted {
  bytes: Uint8Array;
  /** What is counted; the export `__counters` gives the address of as many numbers of 32 bits. */
  sites: Site[];
}

/**
 * As `compileAssembly`, with counters.
 *
 * @param files whose statements are counted, relative to the project's folder
 */
export async function compileCounted(
  entry: string,
  files: readonly string[],
  ...flags: string[]
): Promise<Counted> {
  const sites: Site[] = [];
  const counted = new Map(files.map((file) => [file, instrument(file, readText(file), sites)]));
  const bytes = await compile(entry, flags, (name) =>
    name === entry ? countersOf(sites.length) + readText(entry) : (counted.get(name) ?? readSource(name)),
  );
  return { bytes, sites };
}

function readText(file: string): string {
  return readFileSync(join(ROOT, file), "utf8");
}

/** A source's text; null if there is no such file: the compiler tries several. */
function readSource(name: string): string | null {
  try {
    return readText(name);
  } catch {
    return null;
  }
}

async function compile(
  entry: string,
  flags: readonly string[],
  readFile: (name: string) => string | null,
): Promise<Uint8Array> {
  const stderr = asc.createMemoryStream();
  let binary: Uint8Array | undefined;
  const options =
    "--config none --lib assembly/lib --runtime minimal --enable simd --exportStart _initialize";
  const { error } = await asc.main(
    [entry, "--baseDir", ROOT, "--outFile", "guest.wasm", "--use", "abort=", ...options.split(" "), ...flags],
    {
      stderr,
      // The compiler names files of `--lib` by that folder and their place in it.
      readFile: (name: string, folder: string) =>
        readFile(/(?:^|\/)assembly\/lib\/?$/.test(folder) ? `assembly/lib/${name}` : name),
      writeFile: (_: string, contents: Uint8Array | string) => {
        if (typeof contents !== "string") binary = contents;
      },
    },
  );
  if (error || binary === undefined) throw new Error(stderr.toString());
  return binary;
}
