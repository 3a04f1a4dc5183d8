/** Words for lines that people paste into a shell. */
import { printable } from "./diagnostics.ts";

/**
 * A word as bash, zsh and other shells with `$'…'` take it for itself, on one line and without anything that a terminal
 * obeys.
 */
export function shellWord(text: string): string {
  if (/^[A-Za-z0-9_@%+=:,./-]+$/.test(text)) return text;
  if (printable(text) === text) return `'${text.replaceAll("'", "'\\''")}'`;
  const escaped = text.replace(/[\\']/g, "\\$&");
  return `$'${printable(escaped)}'`;
}
