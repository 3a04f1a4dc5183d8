/** Finds the fields around a place in YAML by indentation, so that it works while a line is being typed. */

/** A place in a text. */
export interface Context {
  /** The names of the fields around the place, without lists. */
  path: string[];
  /** The field whose value is being written; undefined if it is a name. */
  field: string | undefined;
  /** The `kind` of the document. */
  kind: string | undefined;
}

/**
 * @param lines of the text, from the first to that of the place
 * @param before the last of them, up to the place
 */
export function contextAt(lines: readonly string[], before: string): Context {
  const begin = lines.findLastIndex((line) => /^---/.test(line)) + 1;
  const document = lines.slice(begin);
  const kind = document.map((line) => /^kind:\s*(\w+)/.exec(line)?.[1]).find((one) => one !== undefined);
  const value = /^([\s-]*)["']?([\w.-]+)["']?:\s+\S*$/.exec(before);
  let depth = (value ? (value[1] ?? "") : (/^[\s-]*/.exec(before)?.[0] ?? "")).length;
  const path: string[] = [];
  for (const line of document.slice(0, -1).reverse()) {
    const [, indent, name] = /^([\s-]*)["']?([\w.[\]-]+)["']?:(?:\s|$)/.exec(line) ?? [];
    if (indent === undefined || name === undefined) continue;
    // A list may be indented no more than the name that it belongs to.
    const isParent = indent.length < depth;
    if (!isParent) continue;
    path.unshift(name);
    depth = /^\s*/.exec(indent)?.[0].length ?? 0;
    if (indent.includes("-")) depth = indent.length;
    if (depth === 0) break;
  }
  return { path, field: value?.[2], kind };
}
