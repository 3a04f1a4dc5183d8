import { proxy_set_tick_period_milliseconds } from "@solo-io/proxy-runtime/assembly/imports";

/** Sets how often the host calls `proxy_on_tick` of the effective root context, in milliseconds; 0 stops it. */
export function setTickPeriod(milliseconds: u32): void {
  proxy_set_tick_period_milliseconds(milliseconds);
}
