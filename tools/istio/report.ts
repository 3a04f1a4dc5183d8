/** Collects diagnostics about the input. */
import { type Diagnostic, MAX_ERRORS, type Position } from "../diagnostics.ts";
import type { YamlNode } from "./yaml.ts";

/** A resource that is not a policy. */
export interface OtherResource {
  at: Position;
  kind: string;
  /** `KIND NAME`, for messages. */
  name: string;
  apiVersion: string;
  node: YamlNode;
}

export class Report {
  readonly diagnostics: Diagnostic[] = [];
  /** Resources that are not policies. */
  readonly others: OtherResource[] = [];
  private readonly errors = new Map<string, number>();

  /** @param message what is wrong and what to write instead; one line */
  error(at: Position, message: string): void {
    this.add("error", at, message);
  }

  warning(at: Position, message: string): void {
    this.add("warning", at, message);
  }

  get hasErrors(): boolean {
    return this.errors.size > 0;
  }

  /** Whether there are more errors than are reported. */
  isFull(file: string): boolean {
    return (this.errors.get(file) ?? 0) > MAX_ERRORS;
  }

  /** Adds other diagnostics. */
  addAll(diagnostics: readonly Diagnostic[]): void {
    for (const { severity, message, ...at } of diagnostics) this.add(severity, at, message);
  }

  private add(severity: Diagnostic["severity"], { file, line, column }: Position, message: string): void {
    if (severity === "error") {
      if (this.isFull(file)) return;
      this.errors.set(file, (this.errors.get(file) ?? 0) + 1);
    }
    this.diagnostics.push({ file, line, column, severity, message });
  }
}

/** A value as a message shows it: quoted, and cut to a readable length. */
export function quote(value: string): string {
  return JSON.stringify(value.length > 80 ? `${value.slice(0, 77)}…` : value);
}
