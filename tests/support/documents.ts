/** Finds each resource of a YAML file by its lines. */

export interface Document {
  kind: string;
  name: string;
  /** Lines count from 1. */
  first: number;
  last: number;
}

export function parseDocuments(text: string): Document[] {
  const documents: Document[] = [];
  let lines: string[] = [];
  const end = (lineNumber: number): void => {
    const field = (pattern: RegExp): string => pattern.exec(lines.join("\n"))?.[1] ?? "";
    documents.push({
      kind: field(/^kind: (\S+)/m),
      name: field(/^ {2}name: (\S+)/m),
      first: lineNumber - lines.length + 1,
      last: lineNumber,
    });
    lines = [];
  };
  const all = text.split("\n");
  for (const [i, line] of all.entries()) {
    if (line === "---") end(i);
    else lines.push(line);
  }
  end(all.length);
  return documents;
}
