import { proxy_send_local_response } from "@solo-io/proxy-runtime/assembly/imports";
import { WasmResultValues } from "@solo-io/proxy-runtime/assembly/runtime";
import { allocate } from "./arena";
import { EMPTY, Slice, lengthOf, pointerOf, slice } from "./slice";

/** Lets the host derive `grpc-status` from the HTTP status; 0 would read as success. */
const GRPC_STATUS_FROM_HTTP: i32 = -1;

/**
 * Answers the request in the upstream's stead.
 *
 * @param status HTTP status code
 * @param details Envoy's response-code details
 * @param body text/plain
 * @param headerName name of one further response header, or EMPTY for none
 * @param headerValue its value
 * @returns whether the host took it
 */
export function sendLocalResponse(
  status: u32,
  details: Slice,
  body: Slice,
  headerName: Slice,
  headerValue: Slice,
): bool {
  const headers = headerName == EMPTY ? EMPTY : packPair(headerName, headerValue);
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
    ) == WasmResultValues.Ok
  );
}

/** One header in the layout of `readPairs` (header-map.ts). */
function packPair(name: Slice, value: Slice): Slice {
  const nameLength = lengthOf(name);
  const valueLength = lengthOf(value);
  const size = 12 + nameLength + 1 + valueLength + 1;
  const start = allocate(<usize>size);
  store<i32>(start, 1);
  store<i32>(start, nameLength, 4);
  store<i32>(start, valueLength, 8);
  let at = start + 12;
  memory.copy(at, pointerOf(name), <usize>nameLength);
  at += <usize>nameLength;
  store<u8>(at++, 0);
  memory.copy(at, pointerOf(value), <usize>valueLength);
  store<u8>(at + <usize>valueLength, 0);
  return slice(start, size);
}
