/** `docs/library.md`: the library for people, its functions and types from their docstrings. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";

const INTRODUCTION = `# Using jwtgate as a library

<!-- Generated from scripts/docs/library.ts, tools/core.ts and tools/lib.ts by \`npm run docs\`. -->

## The tool, installed

\`npm pack\` makes one file that works alone, without this checkout: the tool, the module, the schemas, the samples and
these pages.

\`\`\`sh
npm pack
mkdir -p ../elsewhere && cd ../elsewhere
npm install ../jwtgate/jwtgate-0.1.0.tgz
npx jwtgate --version
\`\`\`

(\`../jwtgate\` is the folder of the checkout.) Nothing else is installed with it. Shells complete commands and options
after \`source <(jwtgate completion bash)\`; there are \`zsh\` and \`fish\` too.

## The library

What the commands do is there as functions with types: compile policies, review them, explain a request, run policy
tests, sign tokens, and run the module without Envoy. Here in the checkout's folder (elsewhere the samples are in
\`node_modules/jwtgate/envoy\`):

\`\`\`sh test
cat > gate.mjs <<'EOF'
import { readFile } from "node:fs/promises";
import { compile, createHost, formatDiagnostic, moduleFile } from "jwtgate";

const name = "envoy/istio/skip-a-path.yaml";
const text = await readFile(name, "utf8");
const { configuration, diagnostics } = compile([{ name, text }], { target: "envoy" });
for (const diagnostic of diagnostics) console.error(formatDiagnostic(diagnostic));
if (configuration === undefined) process.exit(1);

const host = await createHost(await readFile(moduleFile));
host.configure(configuration);
for (const path of ["/productpage", "/api/v1/products/0"]) {
  const { answer } = await host.request({ path });
  console.log(path, answer ? \`\${answer.status} \${answer.body}\` : "forwarded");
}
EOF
node gate.mjs
\`\`\`

\`\`\`text output
/productpage forwarded
/api/v1/products/0 403 RBAC: access denied
\`\`\`

\`compile\` and \`check\` read no files and ask nobody: they take texts. A compilation with an error among its diagnostics has
no configuration. Functions that return a promise reject it; they throw nothing before.

A token of one's own, why it is refused, and a file of tests:

\`\`\`sh test
cat > explain.mjs <<'EOF'
import { readFile } from "node:fs/promises";
import { check, compile, Explainer, loadModules, loadSuite, PrivateKey, runSuite, Signer } from "jwtgate";

const key = await PrivateKey.generate("ES256");
const jwks = JSON.stringify({ keys: [key.verifying] });
const text = \`
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens}
spec:
  jwtRules: [{issuer: me, jwks: '\${jwks}', audiences: [here]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: only-alice}
spec:
  rules: [{from: [{source: {requestPrincipals: [me/alice]}}]}]\`;
const sources = [{ name: "policies.yaml", text }];
console.log(check(sources).findings.length, "findings");

const modules = await loadModules();
const explainer = await Explainer.open(compile(sources, { target: "envoy" }), sources, { modules });
const signer = await Signer.read(JSON.stringify(key.signing));
for (const sub of ["alice", "bob"]) {
  const token = await signer.sign({ iss: "me", aud: "here", sub });
  const headers = [["authorization", \`Bearer \${token}\`]];
  const { outcome, decidedBy } = await explainer.explain({ headers });
  console.log(sub, outcome.answer?.status ?? "passes", ...(decidedBy ? ["by line", decidedBy.at.line] : []));
}

const name = "envoy/istio/one-principal.test.yaml";
const read = async (path) => ({ name: path, text: await readFile(path, "utf8") });
const policies = await read("envoy/istio/one-principal.yaml");
const files = { policies: () => ({ files: [policies], diagnostics: [] }), text: () => "" };
const { suite } = await loadSuite(await read(name), files, Date.now());
const { cases } = await runSuite(suite, modules.release);
console.log(cases.filter(({ failures }) => failures.length > 0).length, "of the sample's tests fail");
EOF
node explain.mjs
\`\`\`

\`\`\`text output
1 findings
alice passes by line 12
bob 403
0 of the sample's tests fail
\`\`\`

\`jwtgate/core\` is the part of it that needs no Node: a browser runs it, with WebAssembly and WebCrypto. It has no files to
read, so \`fetch\` the modules: \`jwtgate/jwtgate.wasm\` is the one that Envoy runs, and \`jwtgate/jwtgate.trace.wasm\` the same
with trace events. A host that has a foreign function \`jwtgate_trace\` gets an event for each step of a decision. The events
are not part of the library's stable interface: an explanation says what they say in a form that is.
`;

/** One exported declaration. */
interface Entry {
  name: string;
  isType: boolean;
  /** Its docstring, and the text of its declaration. */
  comment: string;
  signature: string;
}

const FOLDER = "tools";

/** The text of `docs/library.md`. */
export function renderLibrary(): string {
  const core = exportsOf("core.ts");
  const node = exportsOf("lib.ts");
  const types = [...core, ...node].filter(({ isType }) => isType);
  return [
    INTRODUCTION,
    "## Functions and classes that run anywhere\n",
    ...core.filter(({ isType }) => !isType).map(section),
    "## Those that need Node\n",
    "In `jwtgate` alone; its `createHost` takes the place of that of `jwtgate/core`.\n",
    ...node.filter(({ isType }) => !isType).map(section),
    "## Types\n",
    "Editors show their members.\n",
    "| type | what it is |\n| --- | --- |",
    ...types
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ name, comment }) => `| \`${name}\` | ${summaryOf(comment).replaceAll("|", "\\|")} |`),
    "",
  ].join("\n");
}

function section({ name, comment, signature }: Entry): string {
  return `### \`${name}\`\n\n${comment}\n\n\`\`\`ts\n${signature}\n\`\`\`\n`;
}

/** The first paragraph, in one line. */
function summaryOf(comment: string): string {
  return (comment.split("\n\n")[0] ?? "").replaceAll("\n", " ");
}

/** What a file exports from others, in its order. */
function exportsOf(file: string): Entry[] {
  return parse(file)
    .statements.filter(ts.isExportDeclaration)
    .flatMap((statement) => {
      const { exportClause, moduleSpecifier } = statement;
      if (!exportClause || !ts.isNamedExports(exportClause) || !moduleSpecifier) return [];
      const source = parse(join(file, "..", (moduleSpecifier as ts.StringLiteral).text));
      return exportClause.elements.map((element) =>
        entryOf(source, (element.propertyName ?? element.name).text, element.name.text),
      );
    });
}

function parse(file: string): ts.SourceFile {
  const path = join(FOLDER, file);
  return ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.Latest, true);
}

/** @throws if the file has no such declaration, or it has no docstring */
function entryOf(source: ts.SourceFile, own: string, name: string): Entry {
  // The last one: a type may follow the schema that it is made of.
  const declaration = source.statements.findLast(
    (statement) =>
      (isNamed(statement) && statement.name?.text === own) ||
      (ts.isVariableStatement(statement) &&
        statement.declarationList.declarations.some((one) => one.name.getText(source) === own)),
  );
  if (declaration === undefined) throw new Error(`${source.fileName} declares no ${own}`);
  const isType = ts.isInterfaceDeclaration(declaration) || ts.isTypeAliasDeclaration(declaration);
  const comment = commentOf(declaration, source);
  if (comment === "")
    throw new Error(`${source.fileName}: ${own} needs a docstring: docs/library.md shows it`);
  return {
    name,
    isType,
    comment,
    signature: isType ? "" : signatureOf(declaration, source).replace(own, name),
  };
}

function isNamed(
  statement: ts.Statement,
): statement is
  | ts.FunctionDeclaration
  | ts.ClassDeclaration
  | ts.InterfaceDeclaration
  | ts.TypeAliasDeclaration {
  return (
    ts.isFunctionDeclaration(statement) ||
    ts.isClassDeclaration(statement) ||
    ts.isInterfaceDeclaration(statement) ||
    ts.isTypeAliasDeclaration(statement)
  );
}

/** A docstring as Markdown: its text, then its tags as a list. */
function commentOf(node: ts.Node, source: ts.SourceFile): string {
  const docs = ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc);
  const text = docs.map(({ comment }) => ts.getTextOfJSDocComment(comment) ?? "").join("\n");
  const tags = docs
    .flatMap(({ tags = [] }) => [...tags])
    .map((tag) => {
      const said = (ts.getTextOfJSDocComment(tag.comment) ?? "").replaceAll("\n", " ");
      if (ts.isJSDocParameterTag(tag)) return `- \`${tag.name.getText(source)}\`: ${said}`;
      if (ts.isJSDocThrowsTag(tag)) {
        const type = tag.typeExpression?.type.getText(source);
        return `- throws ${[type && `\`${type}\``, said].filter(Boolean).join(": ")}`;
      }
      return `- ${tag.tagName.text} ${said}`;
    });
  return [text.trim(), tags.join("\n")].filter((part) => part !== "").join("\n\n");
}

function signatureOf(node: ts.Statement, source: ts.SourceFile): string {
  if (ts.isFunctionDeclaration(node)) return headOf(node, source);
  if (!ts.isClassDeclaration(node)) {
    const [declaration] = (node as ts.VariableStatement).declarationList.declarations;
    return `const ${declaration?.name.getText(source)}: ${declaration?.type?.getText(source) ?? "string"};`;
  }
  const heritage = node.heritageClauses?.map((clause) => ` ${clause.getText(source)}`).join("") ?? "";
  const members = node.members.filter(isPublic).map((member) => {
    const comment = commentOf(member, source).split("\n").filter(Boolean);
    const lines = [...comment.map((line) => `  // ${line}`), `  ${headOf(member, source)}`];
    return lines.join("\n");
  });
  return `class ${node.name?.text}${heritage} {\n${members.join("\n\n")}\n}`;
}

function isPublic(member: ts.ClassElement): boolean {
  const hidden = [ts.SyntaxKind.PrivateKeyword, ts.SyntaxKind.ProtectedKeyword];
  const modifiers = ts.canHaveModifiers(member) ? (ts.getModifiers(member) ?? []) : [];
  const isInternal = ts.getJSDocTags(member).some(({ tagName }) => tagName.text === "internal");
  return (
    !isInternal &&
    !ts.isConstructorDeclaration(member) &&
    !modifiers.some(({ kind }) => hidden.includes(kind))
  );
}

/** A declaration without `export`, `async` and its body. */
function headOf(node: ts.FunctionDeclaration | ts.ClassElement, source: ts.SourceFile): string {
  const body = "body" in node ? (node.body as ts.Node | undefined) : undefined;
  const text = source.text.slice(node.getStart(source), body?.getStart(source) ?? node.getEnd());
  return `${text
    .replace(/\b(export|async) /g, "")
    .trim()
    .replace(/;$/, "")};`;
}
