/** The worker: holds the two modules, and runs one job after another. */
import type { Modules } from "../../tools/explain/gate.ts";
import { type Operation, operations } from "./operations.ts";
import type { Answer, Job, Start } from "./protocol.ts";

/** The worker's side of the channel. TypeScript's types for pages have only the other side. */
interface Scope {
  onmessage: ((event: MessageEvent<Start | Job>) => void) | null;
  postMessage(message: Answer): void;
}
const scope = globalThis as unknown as Scope;

let modules: Modules | undefined;
/** The previous job; the next one begins after it. */
let last: Promise<void> = Promise.resolve();

scope.onmessage = ({ data }) => {
  if ("release" in data) modules = data;
  else last = last.then(() => work(data));
};

async function work({ id, name, input }: Job): Promise<void> {
  try {
    if (modules === undefined) throw new Error("the worker has no module");
    const operation = operations[name] as Operation;
    scope.postMessage({ id, output: await operation(input, modules) });
  } catch (error) {
    scope.postMessage({ id, error: error instanceof Error ? error.message : String(error) });
  }
}
