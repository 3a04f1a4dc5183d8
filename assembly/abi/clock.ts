import { proxy_get_current_time_nanoseconds } from "@solo-io/proxy-runtime/assembly/imports";
import { OUT } from "./out";
import { WasmResult } from "./values";

/** @returns nanoseconds since 1970 UTC, or 0 if the host has no clock (no token is valid then) */
export function nowNanoseconds(): u64 {
  return proxy_get_current_time_nanoseconds(OUT) == WasmResult.Ok ? load<u64>(OUT) : 0;
}

/** As `nowNanoseconds`, in milliseconds. */
export function nowMilliseconds(): u64 {
  return nowNanoseconds() / 1_000_000;
}
