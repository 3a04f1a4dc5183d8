/** `docs/reference/library.md`: everything that the library exports, from the docstrings in its declarations, by TypeDoc. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Application, type TypeDocOptions } from "typedoc";
import type { PluginOptions } from "typedoc-plugin-markdown";

const INTRODUCTION = `# Reference of the library

<!-- Generated from the docstrings of tools/lib.ts by \`npm run docs\`. -->

What \`jwtgate\` exports. [Using jwtgate as a library](../library.md) shows how the parts go together. \`jwtgate/core\`
exports the same without \`loadModules\`, \`moduleFile\` and \`traceModuleFile\`, which need Node; its \`createHost\` verifies signatures
with JavaScript in place of OpenSSL.
`;

const OPTIONS: TypeDocOptions & Partial<PluginOptions> = {
  entryPoints: ["dist/types/lib.d.ts"],
  tsconfig: "scripts/docs/tsconfig.typedoc.json",
  plugin: ["typedoc-plugin-markdown"],
  readme: "none",
  excludeExternals: true,
  excludeInternal: true,
  excludePrivate: true,
  disableSources: true,
  // Every exported name, and every method, has a docstring, and each of its links leads somewhere.
  requiredToBeDocumented: ["Class", "Function", "Interface", "TypeAlias", "Variable", "Method", "Accessor"],
  validation: { notExported: false, invalidLink: true, notDocumented: true },
  treatWarningsAsErrors: true,
  treatValidationWarningsAsErrors: true,
  logLevel: "Warn",
  outputFileStrategy: "modules",
  hidePageHeader: true,
  hidePageTitle: true,
  hideBreadcrumbs: true,
  hideGroupHeadings: false,
  useCodeBlocks: true,
  parametersFormat: "table",
  interfacePropertiesFormat: "table",
  classPropertiesFormat: "table",
  typeDeclarationFormat: "table",
  propertyMembersFormat: "table",
};

/**
 * @returns the page's text
 * @throws {Error} if a docstring is missing or wrong; TypeDoc prints which
 */
export async function renderLibrary(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "jwtgate-typedoc-"));
  try {
    return await render(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function render(folder: string): Promise<string> {
  const outputs = [{ name: "markdown", path: folder }];
  const app = await Application.bootstrapWithPlugins({ ...OPTIONS, outputs });
  const project = await app.convert();
  if (project === undefined) throw new Error("TypeDoc cannot read dist/types: run npm run build");
  app.validate(project);
  if (app.logger.hasErrors() || app.logger.hasWarnings()) throw new Error("a docstring is missing or wrong");
  await app.generateOutputs(project);
  const text = readFileSync(join(folder, "README.md"), "utf8");
  const reference = text.slice(text.indexOf("\n## Classes\n"));
  return `${INTRODUCTION}${reference.replaceAll(/[ \t]+$/gm, "")}`;
}
