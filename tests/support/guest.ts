/** Compiles the test modules of tests/support/guest. */
import { readFileSync } from "node:fs";
import asc from "assemblyscript/asc";

/** @returns the module's bytes */
export async function compileGuest(name: "probe"): Promise<Uint8Array> {
  const source = readFileSync(new URL(`guest/${name}.ts`, import.meta.url), "utf8");
  const stderr = asc.createMemoryStream();
  let binary: Uint8Array | undefined;
  const { error } = await asc.main(
    ["guest.ts", "--outFile", "guest.wasm", "--runtime", "stub", "--use", "abort=", "-O"],
    {
      stderr,
      readFile: (file: string) => (file === "guest.ts" ? source : null),
      writeFile: (file: string, contents: Uint8Array | string) => {
        if (file === "guest.wasm" && typeof contents !== "string") binary = contents;
      },
      listFiles: () => [],
    },
  );
  if (error || binary === undefined) throw new Error(stderr.toString());
  return binary;
}
