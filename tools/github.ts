/**
 * Workflow commands of GitHub Actions, which show a message at a position in a file
 * (https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands).
 */
import { type Position, printableLines } from "./diagnostics.ts";

/** GitHub's names for the severities of annotations. */
export type AnnotationLevel = "error" | "warning" | "notice";

/**
 * @param pathOf how GitHub names a file: relative to the repository's folder
 * @returns a line, with its line end
 */
export function annotation(
  level: AnnotationLevel,
  { file, line, column }: Position,
  title: string,
  message: string,
  pathOf: (file: string) => string,
): string {
  const places = [`file=${property(pathOf(file))}`];
  if (line > 0) places.push(`line=${line}`);
  if (line > 0 && column > 0) places.push(`col=${column}`);
  return `::${level} ${[...places, `title=${property(title)}`].join(",")}::${data(message)}\n`;
}

/** The text of a workflow command, as GitHub's runner reads it (`escapeData` of actions/toolkit). */
function data(text: string): string {
  return printableLines(text).replaceAll("%", "%25").replaceAll("\n", "%0A");
}

/** A property of a workflow command (`escapeProperty` of actions/toolkit). */
function property(text: string): string {
  return data(text).replaceAll(":", "%3A").replaceAll(",", "%2C");
}
