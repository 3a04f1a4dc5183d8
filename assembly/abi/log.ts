/** Log lines. They allocate: never on the way of an ordinary request. */
import { proxy_log } from "@solo-io/proxy-runtime/assembly/imports";
import { LogLevelValues } from "@solo-io/proxy-runtime/assembly/runtime";

let lines: i32 = 0;

/** How many lines were written since `resetLineCount`: each left garbage. */
export function lineCount(): i32 {
  return lines;
}

/** Begins to count anew, after a collection. */
export function resetLineCount(): void {
  lines = 0;
}

function log(level: LogLevelValues, message: string): void {
  const bytes = String.UTF8.encode(message);
  lines++;
  proxy_log(level, changetype<usize>(bytes), bytes.byteLength);
}

export function logInfo(message: string): void {
  log(LogLevelValues.info, message);
}

export function logWarning(message: string): void {
  log(LogLevelValues.warn, message);
}

export function logError(message: string): void {
  log(LogLevelValues.error, message);
}
