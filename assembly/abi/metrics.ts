import {
  proxy_define_metric,
  proxy_increment_metric,
  proxy_record_metric,
} from "@solo-io/proxy-runtime/assembly/imports";
import { OUT } from "./out";
import { MetricType, WasmResult } from "./values";

/** A counter or gauge of the host, `wasmcustom.NAME` in Envoy. */
export class Metric {
  private constructor(
    private readonly id: u32,
    private readonly defined: bool,
  ) {}

  static counter(name: string): Metric {
    return define(MetricType.Counter, name);
  }

  static gauge(name: string): Metric {
    return define(MetricType.Gauge, name);
  }

  /** @internal */
  static of(id: u32, defined: bool): Metric {
    return new Metric(id, defined);
  }

  /** Adds `amount`, which may be negative for a gauge. Does nothing if the host refused the metric. */
  add(amount: i64): void {
    if (this.defined) proxy_increment_metric(this.id, amount);
  }

  /** Sets a gauge. */
  record(value: u64): void {
    if (this.defined) proxy_record_metric(this.id, value);
  }
}

/** The host keeps every definition for as long as the VM lives, so each name is defined once. */
const metrics = new Map<string, Metric>();

function define(type: MetricType, name: string): Metric {
  if (metrics.has(name)) return metrics.get(name);
  const bytes = String.UTF8.encode(name);
  const result = proxy_define_metric(type, changetype<usize>(bytes), bytes.byteLength, OUT);
  const metric = Metric.of(load<u32>(OUT), result == WasmResult.Ok);
  metrics.set(name, metric);
  return metric;
}
