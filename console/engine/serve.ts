/** A worker's side: holds the two modules, and runs one job after another. */
import type { Modules } from "../../tools/explain/gate.ts";
import type { Answer, Job, Operations, Start } from "./protocol.ts";

/** The worker's side of the channel. TypeScript's types for pages have only the other side. */
interface Scope {
  onmessage: ((event: MessageEvent<Start | Job>) => void) | null;
  postMessage(message: Answer): void;
}

/** Answers the page's jobs. */
export function serve(operations: Operations): void {
  const scope = globalThis as unknown as Scope;
  let modules: Modules | undefined;
  /** The previous job; the next one begins after it. */
  let last: Promise<void> = Promise.resolve();

  const work = async ({ id, name, input }: Job) => {
    try {
      if (modules === undefined) throw new Error("the worker has no module");
      const operation = operations[name] as (input: unknown, modules: Modules) => Promise<unknown>;
      scope.postMessage({ id, output: await operation(input, modules) });
    } catch (error) {
      scope.postMessage({ id, error: error instanceof Error ? error.message : String(error) });
    }
  };

  scope.onmessage = ({ data }) => {
    if ("release" in data) modules = data;
    else last = last.then(() => work(data));
  };
}
