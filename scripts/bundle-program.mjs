/** Bundles a TypeScript program of the project, so that Node can import it. */
import { basename, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));

/**
 * The bundle is one folder below the project's own, as the tool's is: it finds the project's files from there, and the
 * packages that it imports.
 *
 * @param {string} program its path in the project
 * @param {string} [name] of the bundle in build/, without an ending; default: the program's
 * @returns {Promise<string>} the path of the bundle
 * @throws {Error} if the program does not compile
 */
export async function bundleProgram(program, name = basename(program, ".ts")) {
  const file = join(root, "build", `${name}.mjs`);
  await build({
    entryPoints: [join(root, program)],
    outfile: file,
    bundle: true,
    packages: "external",
    platform: "node",
    format: "esm",
    target: "node20",
    sourcemap: "inline",
    logLevel: "error",
  });
  return file;
}

/** As `bundleProgram`, and imports the bundle. @returns what it exports */
export async function importProgram(program, name) {
  return import(pathToFileURL(await bundleProgram(program, name)).href);
}
