/** Tells when files change, however they are changed: written, replaced, linked elsewhere, added to a folder. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

const INTERVAL_MS = 300;

/**
 * Looks again and again, for what operating systems tell of changes differs and is lost on network drives and in
 * containers. Policies are few files.
 *
 * @param paths files and folders
 * @returns what ends it
 */
export function watchFiles(paths: readonly string[], onChange: () => void): () => void {
  let last = signature(paths);
  const timer = setInterval(() => {
    const now = signature(paths);
    if (now === last) return;
    last = now;
    onChange();
  }, INTERVAL_MS);
  return () => clearInterval(timer);
}

/** Differs where a file's content may. */
function signature(paths: readonly string[]): string {
  return paths
    .flatMap((path) => filesOf(path))
    .map((file) => {
      try {
        const { mtimeMs, size, ino } = statSync(file);
        return `${file} ${mtimeMs} ${size} ${ino}`;
      } catch (error) {
        // Gone, or not to be looked at; whoever reads it says why.
        return `${file} ${(error as NodeJS.ErrnoException).code}`;
      }
    })
    .join("\n");
}

/** The files under a path. Links to folders are not followed, and so lead in no circle. */
function filesOf(path: string): string[] {
  try {
    return readdirSync(path, { recursive: true, withFileTypes: true }).map(({ parentPath, name }) =>
      join(parentPath, name),
    );
  } catch {
    // No folder; or gone between two looks, and the next one sees what is there then.
    return [path];
  }
}
