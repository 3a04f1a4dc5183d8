/** HTTP calls that the filter makes to a cluster of the host. */
import { proxy_get_header_map_value, proxy_http_call } from "@solo-io/proxy-runtime/assembly/imports";
import { OUT } from "./out";
import { packPairs } from "./pairs";
import { EMPTY, Slice, Text, lengthOf, pointerOf, slice } from "../memory/slice";
import { HeaderMapType, WasmResult } from "./values";

const METHOD = new Text(":method");
const GET = new Text("GET");
const SCHEME = new Text(":scheme");
const AUTHORITY = new Text(":authority");
const PATH = new Text(":path");
const ACCEPT = new Text("accept");
const JSON_TYPE = new Text("application/json");

/** The headers of a call, names and values in turn. Made once, because calls that fail do not trigger a collection. */
const headers = new StaticArray<Slice>(10);

/** No call was made, so no answer will come. */
export const NO_CALL: i64 = -1;

/**
 * Starts a GET. The answer arrives in `proxy_on_http_call_response` with the call's token.
 *
 * @param cluster the host's name of the upstream cluster
 * @param timeout in milliseconds
 * @returns the token; NO_CALL if the host refuses, for example because it does not know the cluster
 */
export function get(cluster: Slice, scheme: Slice, authority: Slice, path: Slice, timeout: u32): i64 {
  unchecked((headers[0] = METHOD.slice));
  unchecked((headers[1] = GET.slice));
  unchecked((headers[2] = SCHEME.slice));
  unchecked((headers[3] = scheme));
  unchecked((headers[4] = AUTHORITY.slice));
  unchecked((headers[5] = authority));
  unchecked((headers[6] = PATH.slice));
  unchecked((headers[7] = path));
  unchecked((headers[8] = ACCEPT.slice));
  unchecked((headers[9] = JSON_TYPE.slice));
  const pairs = packPairs(headers, 5);
  const result = proxy_http_call(
    pointerOf(cluster),
    lengthOf(cluster),
    pointerOf(pairs),
    lengthOf(pairs),
    0,
    0,
    0,
    0,
    timeout,
    OUT,
  );
  return result == WasmResult.Ok ? <i64>load<u32>(OUT) : NO_CALL;
}

/** @returns the first value of a header of the current answer, in the arena; EMPTY if there is none */
export function responseHeader(name: Slice): Slice {
  store<u32>(OUT, 0);
  store<u32>(OUT, 0, 4);
  const result = proxy_get_header_map_value(
    HeaderMapType.HttpCallResponseHeaders,
    pointerOf(name),
    lengthOf(name),
    OUT,
    OUT + 4,
  );
  return result == WasmResult.Ok ? slice(load<u32>(OUT), load<i32>(OUT, 4)) : EMPTY;
}
