/** Where AssemblyScript's `abort` goes (`asc --use abort=…`): Envoy has no `env.abort`. */
import { proxy_log } from "@solo-io/proxy-runtime/assembly/imports";

const CRITICAL: u32 = 5;

/**
 * Ends the callback: logs what failed and where, at level critical, and traps. Reached by a bug only; Envoy then ends
 * the VM and, under `failure_policy: FAIL_RELOAD`, starts another. Until then every request is answered 503.
 */
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  const place = `${file ? file : "?"}:${line}:${column}: ${message ? message : "abort"}`;
  const text = String.UTF8.encode(place);
  proxy_log(CRITICAL, changetype<usize>(text), text.byteLength);
  unreachable();
}
