/** Reads which file imports which, and finds what breaks a table of allowed directions. */
import { readdirSync, readFileSync } from "node:fs";
import { join, posix, relative, sep } from "node:path";
import ts from "typescript";

/** One source tree. */
export interface Tree {
  /** Paths relative to the tree's root, with `/`. */
  files: string[];
  /** From file to the files of the tree that it imports. */
  internal: Map<string, string[]>;
  /** From file to the packages (bare specifiers) that it imports. */
  external: Map<string, string[]>;
  /** Imports that lead to no file, as `FILE: SPECIFIER`. */
  unresolved: string[];
}

/**
 * From room to the rooms that it may import. A room is a folder of the tree or a file, named without `.ts`; a file that
 * the table names is not of its folder's room. Rooms are listed from the bottom up: each names only rooms before it,
 * so there is no cycle.
 */
export type Rooms = Readonly<Record<string, readonly string[]>>;

/** @param skip folders (names, at any depth) that are not part of the tree */
export function readTree(root: string, skip: readonly string[] = []): Tree {
  return treeOf(readSources(root, skip));
}

/** The texts of a folder's sources by their paths, relative to it, with `/`. */
export function readSources(root: string, skip: readonly string[] = []): Map<string, string> {
  const sources = new Map<string, string>();
  const visit = (folder: string): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        if (!skip.includes(entry.name)) visit(path);
      } else if (/\.tsx?$/.test(entry.name) && !entry.name.endsWith(".d.ts")) {
        sources.set(relative(root, path).split(sep).join("/"), readFileSync(path, "utf8"));
      }
    }
  };
  visit(root);
  return sources;
}

/** @param sources from path (relative, with `/`) to text */
export function treeOf(sources: ReadonlyMap<string, string>): Tree {
  const tree: Tree = {
    files: [...sources.keys()].sort(),
    internal: new Map(),
    external: new Map(),
    unresolved: [],
  };
  for (const file of tree.files) {
    const internal: string[] = [];
    const external: string[] = [];
    for (const { fileName: specifier } of ts.preProcessFile(sources.get(file) ?? "").importedFiles) {
      if (!specifier.startsWith(".")) {
        external.push(specifier);
        continue;
      }
      const path = posix.join(posix.dirname(file), specifier);
      const target = [path, `${path}.ts`, `${path}/index.ts`, path.replace(/\.js$/, ".ts")].find(
        (candidate) => sources.has(candidate),
      );
      if (target !== undefined) internal.push(target);
      else if (!/\.(json|mjs|md|yaml)$/.test(path)) tree.unresolved.push(`${file}: ${specifier}`);
    }
    tree.internal.set(file, internal);
    tree.external.set(file, external);
  }
  return tree;
}

/**
 * The room of a file: `abi/slice.ts` is in `abi`, `stream.ts` is `stream`. A folder inside another is a room if the table
 * names it.
 */
export function roomOf(file: string, rooms: Rooms): string {
  const parts = file.replace(/\.tsx?$/, "").split("/");
  const prefixes = parts.map((_, i) => parts.slice(0, parts.length - i).join("/"));
  return prefixes.find((prefix) => prefix in rooms) ?? parts[0] ?? "";
}

/** What contradicts the table, one line each: files in no room, imports that the table does not allow. */
export function violations(tree: Tree, rooms: Rooms): string[] {
  const found: string[] = [];
  for (const file of tree.files) {
    const room = roomOf(file, rooms);
    const allowed = rooms[room];
    if (allowed === undefined) {
      found.push(`${file}: is in no room of the table`);
      continue;
    }
    for (const target of tree.internal.get(file) ?? []) {
      const other = roomOf(target, rooms);
      if (other !== room && !allowed.includes(other)) found.push(`${file}: must not import ${target}`);
    }
  }
  return found;
}

/** Permissions of the table that no import uses, as `ROOM -> ROOM`. */
export function unused(tree: Tree, rooms: Rooms): string[] {
  const used = new Set<string>();
  for (const [file, targets] of tree.internal) {
    for (const target of targets) used.add(`${roomOf(file, rooms)} -> ${roomOf(target, rooms)}`);
  }
  return Object.entries(rooms)
    .flatMap(([room, allowed]) => allowed.map((name) => `${room} -> ${name}`))
    .filter((permission) => !used.has(permission));
}

/** Entries of the table that point upwards or nowhere: with none, the table has no cycle. */
export function upward(rooms: Rooms): string[] {
  const below = new Set<string>();
  const found: string[] = [];
  for (const [room, allowed] of Object.entries(rooms)) {
    found.push(...allowed.filter((name) => !below.has(name)).map((name) => `${room} -> ${name}`));
    below.add(room);
  }
  return found;
}

/** A cycle of imports, with the first file again at the end; undefined if there is none. */
export function findCycle(tree: Tree): string[] | undefined {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return undefined;
    path.push(file);
    for (const target of tree.internal.get(file) ?? []) {
      const cycle = visit(target);
      if (cycle !== undefined) return cycle;
    }
    path.pop();
    done.add(file);
    return undefined;
  };
  for (const file of tree.files) {
    const cycle = visit(file);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}

/** The names that a text imports from a module, sorted; `*` for the whole of it. */
export function importedNames(text: string, module: string): string[] {
  const file = ts.createSourceFile("file.ts", text, ts.ScriptTarget.Latest);
  const names: string[] = [];
  for (const statement of file.statements) {
    if (!ts.isImportDeclaration(statement) || !ts.isStringLiteral(statement.moduleSpecifier)) continue;
    if (statement.moduleSpecifier.text !== module) continue;
    const { name, namedBindings } = statement.importClause ?? {};
    if (name) names.push("default");
    if (namedBindings === undefined) continue;
    if (ts.isNamespaceImport(namedBindings)) names.push("*");
    else names.push(...namedBindings.elements.map((element) => (element.propertyName ?? element.name).text));
  }
  return names.sort();
}

/** Those of the names that the text uses as variables, each once; types count, names of members do not. */
export function globalsOf(text: string, names: readonly string[]): string[] {
  const found = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node) && names.includes(node.text) && !isMemberName(node)) found.add(node.text);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile("a.ts", text, ts.ScriptTarget.Latest, true));
  return [...found];
}

function isMemberName(node: ts.Identifier): boolean {
  const { parent } = node;
  const isMember =
    ts.isPropertyAccessExpression(parent) ||
    ts.isPropertyAssignment(parent) ||
    ts.isPropertyDeclaration(parent) ||
    ts.isPropertySignature(parent) ||
    ts.isMethodDeclaration(parent) ||
    ts.isMethodSignature(parent);
  return isMember && parent.name === node;
}
