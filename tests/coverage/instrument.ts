/** Adds a counter to every statement of AssemblyScript sources, which TypeScript's parser reads. Lines stay where they are. */
import ts from "typescript";

/** A statement that is counted. */
export interface Site {
  /** Relative to the project. */
  file: string;
  /** Where it begins, from 1. */
  line: number;
}

/** What is inserted. */
interface Insertion {
  at: number;
  text: string;
}

/**
 * Inserts `__count(SITE);` before each statement of a function. A statement that is the whole of a branch or of a loop gets
 * braces for that.
 *
 * @param file relative to the project
 * @param text of the file
 * @param sites gets a site for each statement; its index there is its number
 * @returns the text with the counters
 */
export function instrument(file: string, text: string, sites: Site[]): string {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const insertions: Insertion[] = [];

  const count = (statement: ts.Statement): string => {
    const { line } = source.getLineAndCharacterOfPosition(statement.getStart(source));
    return `__count(${sites.push({ file, line: line + 1 }) - 1}); `;
  };
  const visit = (node: ts.Node): void => {
    if (ts.isStatement(node) && isCounted(node)) {
      if (isListed(node)) {
        insertions.push({ at: node.getStart(source), text: count(node) });
      } else {
        insertions.push({ at: node.getStart(source), text: `{ ${count(node)}` });
        node.forEachChild(visit);
        insertions.push({ at: node.end, text: " }" });
        return;
      }
    }
    node.forEachChild(visit);
  };
  visit(source);

  let result = "";
  let from = 0;
  for (const { at, text: inserted } of insertions) {
    result += text.slice(from, at) + inserted;
    from = at;
  }
  return result + text.slice(from);
}

/**
 * The counters, for the beginning of a module's entry, because files that it imports may run when they are imported:
 * `__count`, which every file finds, and the export `__counters`, which returns the address of the counters. Each counter
 * has 32 bits.
 *
 * @param count of the counters
 */
export function countersOf(count: number): string {
  return `// @ts-ignore: decorator
@global
const __COUNTERS: usize = memory.data(${4 * count}, 16);
// @ts-ignore: decorator
@global @inline
function __count(site: usize): void {
  // Not load and store: a spec may have functions of these names.
  i32.store(__COUNTERS + (site << 2), i32.load(__COUNTERS + (site << 2)) + 1);
}
export function __counters(): usize {
  return __COUNTERS;
}
`;
}

/** Statements of functions that do something themselves. The call of `super` has to be a constructor's first statement. */
function isCounted(node: ts.Statement): boolean {
  if (ts.isSourceFile(node.parent) || ts.isModuleBlock(node.parent)) return false;
  if (ts.isBlock(node) || ts.isEmptyStatement(node) || ts.isFunctionDeclaration(node)) return false;
  return !(
    ts.isExpressionStatement(node) &&
    ts.isCallExpression(node.expression) &&
    node.expression.expression.kind === ts.SyntaxKind.SuperKeyword
  );
}

/** Whether a statement is in a list of statements, so that another one fits before it. */
function isListed(node: ts.Statement): boolean {
  return ts.isBlock(node.parent) || ts.isCaseOrDefaultClause(node.parent);
}
