/** Calls Envoy's foreign function `verify_signature` (source/extensions/common/wasm/foreign.cc). */
import { proxy_call_foreign_function } from "@solo-io/proxy-runtime/assembly/imports";
import { OUT } from "./out";
import { FAILED, Slice, Text, lengthOf, pointerOf, slice } from "../memory/slice";

const NAME = new Text("verify_signature");

/**
 * Calls the host.
 * @param request a serialized `envoy.source.extensions.common.wasm.VerifySignatureArguments`
 * @returns a serialized `VerifySignatureResult`, in the arena; FAILED unless the host's status is OK
 */
export function callVerifySignature(request: Slice): Slice {
  store<usize>(OUT, 0);
  store<usize>(OUT, 0, sizeof<usize>());
  const status = proxy_call_foreign_function(
    pointerOf(NAME.slice),
    lengthOf(NAME.slice),
    pointerOf(request),
    lengthOf(request),
    OUT,
    OUT + sizeof<usize>(),
  );
  return status == 0 ? slice(load<usize>(OUT), load<i32>(OUT, sizeof<usize>())) : FAILED;
}
