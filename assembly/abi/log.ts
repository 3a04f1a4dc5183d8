/** Log lines. They allocate: never on the way of an ordinary request. */
import { proxy_log } from "@solo-io/proxy-runtime/assembly/imports";
import { LogLevelValues } from "@solo-io/proxy-runtime/assembly/runtime";

/** Lines that were written since `forgetLines`: each has left garbage behind. */
export let linesLogged: i32 = 0;

/** The garbage is collected. */
export function forgetLines(): void {
  linesLogged = 0;
}

function log(level: LogLevelValues, message: string): void {
  const bytes = String.UTF8.encode(message);
  linesLogged++;
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
