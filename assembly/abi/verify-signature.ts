/** Envoy's foreign function `verify_signature` (source/extensions/common/wasm/foreign.cc), raw. */
import { proxy_call_foreign_function } from "@solo-io/proxy-runtime/assembly/imports";
import { OUT } from "./arena";
import { EMPTY, Slice, Text, lengthOf, pointerOf, slice } from "./slice";

const NAME = new Text("verify_signature");

/** What the latest call answered; in the arena. */
let answer: Slice = EMPTY;

/**
 * Calls the host.
 * @param request a serialized `envoy.source.extensions.common.wasm.VerifySignatureArguments`
 * @returns whether the host's status is OK; then `verifySignatureAnswer` holds a serialized `VerifySignatureResult`
 */
export function callVerifySignature(request: Slice): bool {
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
  answer = slice(load<usize>(OUT), load<i32>(OUT, sizeof<usize>()));
  return status == 0;
}

/** What the host answered to the latest successful call; valid until the arena's next reset. */
export function verifySignatureAnswer(): Slice {
  return answer;
}
