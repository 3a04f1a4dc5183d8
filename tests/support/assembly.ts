/** Compiles AssemblyScript of tests together with the filter's own files. */
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/**
 * @param entry file relative to the project's folder
 * @param flags of asc; without any, the module has assertions and is compiled soonest
 * @returns the module's bytes
 */
export async function compileAssembly(entry: string, ...flags: string[]): Promise<Uint8Array> {
  const stderr = asc.createMemoryStream();
  let binary: Uint8Array | undefined;
  const options =
    "--config none --lib assembly/lib --runtime minimal --enable simd --exportStart _initialize";
  const { error } = await asc.main(
    [entry, "--baseDir", ROOT, "--outFile", "guest.wasm", "--use", "abort=", ...options.split(" "), ...flags],
    {
      stderr,
      writeFile: (_: string, contents: Uint8Array | string) => {
        if (typeof contents !== "string") binary = contents;
      },
    },
  );
  if (error || binary === undefined) throw new Error(stderr.toString());
  return binary;
}
