/**
 * What every VM with the same `vm_id` in a process shares: a key–value store with compare-and-swap, and queues
 * (proxy-wasm-cpp-host, src/shared_data.cc and src/shared_queue.cc). Pass one object to several hosts to share it, as
 * Envoy's workers do.
 */
import { WasmResult } from "./abi.ts";

export class SharedData {
  private readonly values = new Map<string, { value: string; cas: number }>();
  private nextCas = 1;
  private readonly queues: { name: string; items: string[] }[] = [];

  get(key: string): { value: string; cas: number } | undefined {
    return this.values.get(key);
  }

  /** @param cas what a `get` returned, or 0 to store in any case */
  set(key: string, value: string, cas: number): WasmResult {
    const existing = this.values.get(key);
    if (existing !== undefined && cas !== 0 && cas !== existing.cas) return WasmResult.CasMismatch;
    this.values.set(key, { value, cas: this.nextCas++ });
    return WasmResult.Ok;
  }

  /** The token of the queue of that name, which is made if there is none; tokens start at 1. */
  registerQueue(name: string): number {
    return this.resolveQueue(name) ?? this.queues.push({ name, items: [] });
  }

  resolveQueue(name: string): number | undefined {
    const index = this.queues.findIndex((queue) => queue.name === name);
    return index < 0 ? undefined : index + 1;
  }

  enqueue(token: number, item: string): WasmResult {
    const queue = this.queues[token - 1];
    if (queue === undefined) return WasmResult.NotFound;
    queue.items.push(item);
    return WasmResult.Ok;
  }

  dequeue(token: number): string | WasmResult {
    const queue = this.queues[token - 1];
    if (queue === undefined) return WasmResult.NotFound;
    return queue.items.shift() ?? WasmResult.Empty;
  }
}
