/** Prepares the test files and policies of the page's editors for a run. */
import type { CompileTarget, SourceFile } from "../../tools/compile.ts";
import type { Diagnostic } from "../../tools/diagnostics.ts";
import { type Files, type LoadedSuite, loadSuite } from "../../tools/testing/suite.ts";
import { Keys, type PageKeys } from "./keys.ts";

/** A file in an editor. */
export interface TextFile {
  name: string;
  text: string;
}

/**
 * Compiles policies and makes keys and tokens, for the requests of a test file.
 *
 * @param now milliseconds since 1970, if the file does not say
 * @param target see {@link loadSuite}
 */
export async function openSuite(
  policies: readonly TextFile[],
  tests: TextFile,
  keys: PageKeys,
  now: number,
  target?: CompileTarget,
): Promise<LoadedSuite & { keys: PageKeys }> {
  const maker = new Keys(keys);
  const loaded = await loadSuite(tests, new OpenFiles(policies, maker), now, target);
  return { ...loaded, keys: maker.added };
}

/** What a test file names, among the files that are open in the page. */
class OpenFiles implements Files {
  readonly makeKey: Files["makeKey"];

  constructor(
    private readonly open: readonly TextFile[],
    keys: Keys,
  ) {
    this.makeKey = keys.make;
  }

  policies(paths: readonly string[]): { files: SourceFile[]; diagnostics: Diagnostic[] } {
    const files: SourceFile[] = [];
    const diagnostics: Diagnostic[] = [];
    for (const path of paths) {
      const found = this.find(path);
      files.push(...found);
      if (found.length > 0) continue;
      const message = "it is not open in this page: open it together with the tests, or name an open file";
      diagnostics.push({ severity: "error", file: path, line: 0, column: 0, message });
    }
    return { files, diagnostics };
  }

  text(path: string): string {
    const [file] = this.find(path);
    if (file === undefined) throw new Error(`${path} is not open in this page`);
    return file.text;
  }

  /** The file of that path, the files of that folder, or the file of that name in another folder. */
  private find(path: string): TextFile[] {
    const wanted = simplified(path);
    const exact = this.open.filter(({ name }) => {
      const own = simplified(name);
      return own === wanted || wanted === "" || own.startsWith(`${wanted}/`);
    });
    if (exact.length > 0) return exact;
    const named = this.open.filter(({ name }) => lastPart(name) === lastPart(wanted));
    return named.length === 1 ? named : [];
  }
}

/** Without `.` and `..`. */
function simplified(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "." && part !== "") parts.push(part);
  }
  return parts.join("/");
}

function lastPart(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
