/** Words for lines that users paste into a shell. */
import { printable } from "./diagnostics.ts";

/** A word that bash, zsh and other shells with `$'…'` read as itself, on one line and without control characters. */
export function shellWord(text: string): string {
  if (/^[A-Za-z0-9_@%+=:,./-]+$/.test(text)) return text;
  if (printable(text) === text) return `'${text.replaceAll("'", "'\\''")}'`;
  const escaped = text.replace(/[\\']/g, "\\$&");
  return `$'${printable(escaped)}'`;
}
