/**
 * A foreign function of the tools' own host. It takes the events of the traced module (assembly/trace.ts). Envoy has no
 * function of that name.
 */
import { proxy_call_foreign_function } from "@solo-io/proxy-runtime/assembly/imports";
import { OUT } from "./out";
import { Slice, Text, lengthOf, pointerOf } from "../memory/slice";

// @ts-ignore: decorator
@lazy
const NAME = new Text("jwtgate_trace");

/** Sends one event. A host that does not know the function ignores it. */
export function sendTraceEvent(event: Slice): void {
  proxy_call_foreign_function(
    pointerOf(NAME.slice),
    lengthOf(NAME.slice),
    pointerOf(event),
    lengthOf(event),
    OUT,
    OUT + sizeof<usize>(),
  );
}
