/** Collects what there is to say about the input. */
import type { Diagnostic, Position } from "../diagnostics.ts";

export class Report {
  readonly diagnostics: Diagnostic[] = [];

  /** @param message what is wrong and what to write instead; one line */
  error(at: Position, message: string): void {
    this.add("error", at, message);
  }

  warning(at: Position, message: string): void {
    this.add("warning", at, message);
  }

  get hasErrors(): boolean {
    return this.diagnostics.some(({ severity }) => severity === "error");
  }

  private add(severity: Diagnostic["severity"], { file, line, column }: Position, message: string): void {
    this.diagnostics.push({ file, line, column, severity, message });
  }
}

/** A value as a message shows it: quoted, and not longer than a line bears. */
export function quote(value: string): string {
  return JSON.stringify(value.length > 80 ? `${value.slice(0, 77)}…` : value);
}
