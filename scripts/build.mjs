#!/usr/bin/env node
/**
 * Builds what people run: the filter (assembly/ → build/jwtgate.wasm; with trace events, for tools, build/jwtgate.trace.wasm),
 * the tool (tools/ → dist/jwtgate.mjs), the library (tools/lib.ts → dist/index.mjs, with its types in dist/types) and the
 * console (console/ → dist/console).
 *
 *   node scripts/build.mjs [--filter] [--tool] [--library] [--console] [--debug] [--if-stale] [--quiet]
 *
 *   --filter        only the filter
 *   --tool          only the tool
 *   --library       only the library
 *   --console       only the console, with the filter as it is built
 *   --debug         the filter with names and assertions, as build/jwtgate.debug.wasm (and .wat)
 *   --if-stale      only what is older than its sources
 *   --quiet         prints nothing if nothing had to be built, else one line
 */
import { execFile } from "node:child_process";
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { minify } from "@swc/core";
import { build } from "esbuild";
import { writeDeclarations } from "./declarations.mjs";
import { billOfMaterials, FILTER_PACKAGES, notices, packagesOf } from "./packages.mjs";

const { values: options } = parseArgs({
  options: {
    filter: { type: "boolean", default: false },
    tool: { type: "boolean", default: false },
    library: { type: "boolean", default: false },
    console: { type: "boolean", default: false },
    debug: { type: "boolean", default: false },
    "if-stale": { type: "boolean", default: false },
    quiet: { type: "boolean", default: false },
  },
});

/** The sources of the filter. */
const FILTER_SOURCES = [
  "assembly",
  "asconfig.json",
  "package-lock.json",
  "scripts/build.mjs",
  "scripts/docs/fields.ts",
  "tools/config/schema.ts",
];

/** The filter as Envoy loads it, and the same with trace events (assembly/trace.ts). */
const FILTER = {
  name: "the filter (a minute on a slow machine)",
  outputs: ["build/jwtgate.wasm", "build/jwtgate.trace.wasm"],
  sources: FILTER_SOURCES,
  run: async () => {
    await checkFields();
    await Promise.all([compileFilter("release"), compileFilter("trace")]);
  },
};

/** The filter with names and assertions, for inspection. */
const DEBUG_FILTER = {
  name: "the filter for debugging",
  outputs: ["build/jwtgate.debug.wasm"],
  sources: FILTER_SOURCES,
  run: () => compileFilter("debug"),
};

/** The command-line tool, with everything it imports in one file. */
const TOOL = {
  name: "the tool",
  outputs: ["dist/jwtgate.mjs"],
  sources: ["tools", "package.json", "package-lock.json", "scripts/build.mjs", "scripts/packages.mjs"],
  run: async () => {
    const inputs = await bundle("tools/cli.ts", "dist/jwtgate.mjs", { ...FOR_NODE, sourcemap: "external" });
    // The tests need it, to tell what they run of the tool's sources. Users do not.
    renameSync("dist/jwtgate.mjs.map", "build/jwtgate.mjs.map");
    // The library is made of parts of the tool, so these are its packages too.
    describe("dist", packagesOf(inputs));
  },
};

/** What programs import: the whole library, and the part of it that runs anywhere. */
const LIBRARY = {
  name: "the library",
  outputs: ["dist/core.mjs", "dist/index.mjs"],
  sources: ["tools", "package.json", "package-lock.json", "scripts"],
  run: async () => {
    // The bundle last: its age shows whether all of this is up to date.
    await writeDeclarations("dist/types");
    await bundle("tools/core.ts", "dist/core.mjs", { platform: "browser", target: "es2022" });
    await bundle("tools/lib.ts", "dist/index.mjs", FOR_NODE);
  },
};

/** The page of `jwtgate console`: files that any web server can serve. */
const CONSOLE = {
  name: "the console",
  outputs: ["dist/console/main.js", "dist/console/worker.js", "dist/console/comparer.js"],
  sources: [
    "console",
    "docs/istio-fields.md",
    "envoy/istio",
    "schema",
    "tools",
    "package.json",
    "package-lock.json",
    "scripts",
    ...FILTER.outputs,
  ],
  run: async () => {
    const engine = {
      platform: "browser",
      target: "es2022",
      minify: true,
      // A classic script, which a browser also takes from the text of an exported page.
      format: "iife",
      jsx: "automatic",
      jsxImportSource: "preact",
      loader: { ".md": "text", ".yaml": "text" },
    };
    const inputs = await Promise.all([
      bundle("console/main.tsx", "dist/console/main.js", engine),
      bundle("console/engine/worker.ts", "dist/console/worker.js", engine),
      bundle("console/engine/comparer.ts", "dist/console/comparer.js", engine),
      bundle("console/style.css", "dist/console/style.css", { target: engine.target, minify: true }),
    ]);
    await Promise.all(CONSOLE.outputs.map(shrink));
    for (const file of ["console/index.html", ...FILTER.outputs]) {
      copyFileSync(file, join("dist", "console", basename(file)));
    }
    describe("dist/console", packagesOf(inputs.flat()));
  },
};

/** The options of bundles for Node. */
const FOR_NODE = {
  platform: "node",
  target: "node20",
  // Bundled CommonJS packages call require for Node's own modules; an ES module has none.
  banner: {
    js: 'import { createRequire as createNodeRequire } from "node:module";\nconst require = createNodeRequire(import.meta.url);',
  },
};

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const everything = !options.filter && !options.tool && !options.library && !options.console;
if (everything || options.filter) await step(options.debug ? DEBUG_FILTER : FILTER);
if (everything || options.tool) await step(TOOL);
if (everything || options.library) await step(LIBRARY);
if (everything || options.console) await step(CONSOLE);

/** Runs one step of the build unless its outputs are newer than its sources and --if-stale was given. */
async function step({ name, outputs, sources, run }) {
  const oldest = Math.min(...outputs.map((output) => newest([output])));
  if (options["if-stale"] && oldest > newest(sources)) return;
  const started = performance.now();
  process.stderr.write(`building ${name} … `);
  await run();
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  process.stderr.write(`${seconds} s\n`);
  if (options.quiet) return;
  for (const output of outputs) {
    const bytes = readFileSync(output);
    const packed = gzipSync(bytes, { level: 9 }).length;
    console.log(`${output}: ${grouped(bytes.length)} bytes (${grouped(packed)} gzipped)`);
  }
}

/** Compiles in a separate process, so that two targets take the time of one. */
async function compileFilter(target) {
  const compiler = join("node_modules", "assemblyscript", "bin", "asc.js");
  const { error, stderr } = await new Promise((resolve) => {
    const command = [compiler, "--config", "asconfig.json", "--target", target];
    execFile(process.execPath, command, (error, _, stderr) => resolve({ error, stderr }));
  });
  // Converging always ends with a round that no longer improves, so this message is dropped.
  const words = stderr.replace("Last converge was suboptimal.\n", "");
  if (words !== "") process.stderr.write(`\n${words}`);
  if (error) process.exit(1);
}

/** Checks that the filter's copy of the configuration's fields equals that of the schema. */
async function checkFields() {
  const { outputFiles } = await build({
    entryPoints: ["scripts/docs/fields.ts"],
    bundle: true,
    platform: "node",
    format: "esm",
    write: false,
    logLevel: "error",
  });
  const source = Buffer.from(outputFiles[0].contents).toString("base64");
  const { renderFields } = await import(`data:text/javascript;base64,${source}`);
  if (readFileSync("assembly/config/schema.ts", "utf8") === renderFields()) return;
  process.stderr.write(
    "\nassembly/config/schema.ts is older than tools/config/schema.ts: run npm run docs\n",
  );
  process.exit(1);
}

/**
 * Bundles everything that a program imports into one file, so that it needs no other package.
 *
 * @returns {Promise<string[]>} the paths of the bundled files
 */
async function bundle(entryPoint, outfile, engine) {
  mkdirSync(dirname(outfile), { recursive: true });
  try {
    const { metafile } = await build({
      entryPoints: [entryPoint],
      outfile,
      bundle: true,
      format: "esm",
      metafile: true,
      logLevel: "error",
      ...engine,
    });
    return Object.keys(metafile.inputs);
  } catch {
    // esbuild has already printed the fault, with its position.
    process.exit(1);
  }
}

/** Compresses a script further, because browsers load it: esbuild's output is 4 % larger, compressed. */
async function shrink(file) {
  const options = { compress: { passes: 2 }, mangle: true, ecma: 2022, module: false };
  const { code } = await minify(readFileSync(file, "utf8"), { ...options, format: { comments: "some" } });
  writeFileSync(file, code);
}

/** Writes which packages a folder contains: their licences, and a bill of materials, which names those of the filter too. */
function describe(folder, packages) {
  writeFileSync(join(folder, "THIRD-PARTY-NOTICES.txt"), notices(packages));
  const filter = packagesOf(FILTER_PACKAGES.map((name) => `node_modules/${name}/`));
  const root = JSON.parse(readFileSync("package.json", "utf8"));
  writeFileSync(join(folder, "sbom.cdx.json"), billOfMaterials(root, [...packages, ...filter]));
}

/** The latest change of these files and folders, in milliseconds; never for a missing one. */
function newest(paths) {
  let time = Number.NEGATIVE_INFINITY;
  for (const path of paths) {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (!stat) continue;
    time = Math.max(
      time,
      stat.isDirectory() ? newest(readdirSync(path).map((name) => join(path, name))) : stat.mtimeMs,
    );
  }
  return time;
}

/** 123456 → 123,456 */
function grouped(number) {
  return number.toLocaleString("en-US");
}
