import { proxy_get_buffer_bytes } from "@solo-io/proxy-runtime/assembly/imports";
import { OUT } from "./out";
import { EMPTY, Slice, slice } from "../memory/slice";
import { BufferType, WasmResult } from "./values";

/** @returns the plugin configuration's `size` bytes, in the arena; EMPTY if there are none or the host failed */
export function readPluginConfiguration(size: u32): Slice {
  return read(BufferType.PluginConfiguration, size);
}

/**
 * @returns the first `size` bytes of an HTTP call's response body, in the arena; EMPTY if there are none or the host
 *   failed
 */
export function readHttpCallBody(size: u32): Slice {
  return read(BufferType.HttpCallResponseBody, size);
}

function read(type: BufferType, size: u32): Slice {
  if (size == 0) return EMPTY;
  store<u32>(OUT, 0);
  store<u32>(OUT, 0, 4);
  if (proxy_get_buffer_bytes(type, 0, size, OUT, OUT + 4) != WasmResult.Ok) return EMPTY;
  return slice(load<u32>(OUT), load<i32>(OUT, 4));
}
