import { proxy_set_tick_period_milliseconds } from "@solo-io/proxy-runtime/assembly/imports";

/** Asks for `proxy_on_tick` of the effective root context every so many milliseconds; 0 for no more of them. */
export function setTickPeriod(milliseconds: u32): void {
  proxy_set_tick_period_milliseconds(milliseconds);
}
