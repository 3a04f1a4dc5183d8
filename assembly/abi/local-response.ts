import { proxy_send_local_response } from "@solo-io/proxy-runtime/assembly/imports";
import { packPairs } from "./pairs";
import { EMPTY, Slice, lengthOf, pointerOf } from "../memory/slice";
import { WasmResult } from "./values";

/** Name and value of the one header. Made once, because answering a request allocates nothing. */
const header = new StaticArray<Slice>(2);

/** Makes the host derive `grpc-status` from the HTTP status; 0 would mean success. */
const GRPC_STATUS_FROM_HTTP: i32 = -1;

/**
 * Answers the request in place of the upstream.
 *
 * @param status HTTP status code
 * @param details Envoy's response-code details
 * @param body text/plain
 * @param headerName name of one further response header, or EMPTY for none
 * @param headerValue its value
 * @returns false if the host failed
 */
export function sendLocalResponse(
  status: u32,
  details: Slice,
  body: Slice,
  headerName: Slice,
  headerValue: Slice,
): bool {
  unchecked((header[0] = headerName));
  unchecked((header[1] = headerValue));
  const headers = headerName == EMPTY ? EMPTY : packPairs(header, 1);
  return (
    proxy_send_local_response(
      status,
      pointerOf(details),
      lengthOf(details),
      pointerOf(body),
      lengthOf(body),
      pointerOf(headers),
      lengthOf(headers),
      GRPC_STATUS_FROM_HTTP,
    ) == WasmResult.Ok
  );
}
