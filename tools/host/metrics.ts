/** Counters, gauges and histograms as Envoy gives them to Wasm (source/extensions/common/wasm/context.cc). */
import { MetricType, WasmResult } from "./abi.ts";

interface Metric {
  type: number;
  name: string;
  value: bigint;
  /** The number of values of a histogram; `value` is their sum. */
  count: number;
}

const UINT64 = (value: bigint): bigint => BigInt.asUintN(64, value);

export class Metrics {
  private readonly metrics: Metric[] = [];

  /** @returns the metric's id, or why there is none; the same name and type share one value */
  define(type: number, name: string): { id: number } | WasmResult {
    if (type > MetricType.Histogram) return WasmResult.BadArgument;
    const same = this.metrics.findIndex((metric) => metric.name === name && metric.type === type);
    if (same >= 0) return { id: same };
    return { id: this.metrics.push({ type, name, value: 0n, count: 0 }) - 1 };
  }

  increment(id: number, offset: bigint): WasmResult {
    const metric = this.metrics[id];
    if (metric === undefined) return WasmResult.NotFound;
    if (metric.type === MetricType.Histogram) return WasmResult.BadArgument;
    if (metric.type === MetricType.Counter && offset <= 0n) return WasmResult.BadArgument;
    metric.value = UINT64(metric.value + offset);
    return WasmResult.Ok;
  }

  /** Adds to a counter, sets a gauge, records in a histogram. */
  record(id: number, value: bigint): WasmResult {
    const metric = this.metrics[id];
    if (metric === undefined) return WasmResult.NotFound;
    metric.value = UINT64(metric.type === MetricType.Gauge ? value : metric.value + value);
    metric.count++;
    return WasmResult.Ok;
  }

  get(id: number): bigint | WasmResult {
    const metric = this.metrics[id];
    if (metric === undefined) return WasmResult.NotFound;
    return metric.type === MetricType.Histogram ? WasmResult.BadArgument : metric.value;
  }

  /** Every counter and gauge by name. */
  values(): Record<string, number> {
    const counted = this.metrics.filter((metric) => metric.type !== MetricType.Histogram);
    return Object.fromEntries(counted.map((metric) => [metric.name, Number(metric.value)]));
  }

  /** How many values each histogram has, and their sum, by name. */
  histograms(): Record<string, { count: number; sum: number }> {
    const histograms = this.metrics.filter((metric) => metric.type === MetricType.Histogram);
    return Object.fromEntries(
      histograms.map((metric) => [metric.name, { count: metric.count, sum: Number(metric.value) }]),
    );
  }
}
