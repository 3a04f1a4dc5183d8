/** The target of AssemblyScript's `abort` (`asc --use abort=…`), because Envoy has no `env.abort`. */
import { proxy_log } from "@solo-io/proxy-runtime/assembly/imports";

const CRITICAL: u32 = 5;

/**
 * Logs what failed and where, at level critical, and traps. Only a bug leads here. Envoy then ends the VM and, under
 * `failure_policy: FAIL_RELOAD`, starts another. Until then it answers every request with 503.
 */
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  const place = `${file ? file : "?"}:${line}:${column}: ${message ? message : "abort"}`;
  const text = String.UTF8.encode(place);
  proxy_log(CRITICAL, changetype<usize>(text), text.byteLength);
  unreachable();
}
