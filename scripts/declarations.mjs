/**
 * Writes the library's declarations: those that TypeScript generates from tools/lib.ts and the files that it refers to.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { build } from "esbuild";
import ts from "typescript";

/** Where the types of the configuration are, which are TypeBox's in the source: users have no TypeBox. */
const SCHEMA = "config/schema.d.ts";

/**
 * @param {string} folder where the declarations go; emptied before
 * @throws {Error} if TypeScript reports an error
 */
export async function writeDeclarations(folder) {
  const { config } = ts.readConfigFile("tsconfig.json", ts.sys.readFile);
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, ".");
  const program = ts.createProgram(["tools/lib.ts", "tools/host/webassembly.d.ts"], {
    ...options,
    noEmit: false,
    declaration: true,
    emitDeclarationOnly: true,
    // Members marked @internal are not part of the public interface.
    stripInternal: true,
    rootDir: "tools",
    outDir: folder,
  });
  const files = new Map();
  const { diagnostics } = program.emit(undefined, (path, text) => {
    files.set(relative(folder, path), withoutExtensions(text));
  });
  if (diagnostics.length > 0) {
    throw new Error(ts.formatDiagnostics(diagnostics, ts.createCompilerHost(options)));
  }
  files.set(SCHEMA, await configurationTypes());
  rmSync(folder, { recursive: true, force: true });
  for (const path of reachable(files, "lib.d.ts")) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), files.get(path));
  }
}

/** Imports name the source's `.ts`; a package has `.js` with a declaration next to it. */
function withoutExtensions(text) {
  return text.replace(/((?:from|import\()\s*"\.[^"]*)\.ts"/g, '$1.js"');
}

/** The files that a declaration refers to, itself first. */
function reachable(files, path, found = new Set()) {
  if (found.has(path) || !files.has(path)) return found;
  found.add(path);
  for (const [, specifier] of files.get(path).matchAll(/(?:from|import\()\s*"(\.[^"]*)\.js"/g)) {
    reachable(files, join(dirname(path), `${specifier}.d.ts`), found);
  }
  return found;
}

async function configurationTypes() {
  const { outputFiles } = await build({
    entryPoints: ["scripts/docs/declarations.ts"],
    bundle: true,
    platform: "node",
    format: "esm",
    write: false,
    logLevel: "error",
  });
  const code = Buffer.from(outputFiles[0].contents).toString("base64");
  const { renderDeclarations } = await import(`data:text/javascript;base64,${code}`);
  return renderDeclarations();
}
