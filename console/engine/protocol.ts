/** The messages between the page and its worker. */
import type { Operations } from "./operations.ts";

export type OperationName = keyof Operations;
export type InputOf<Name extends OperationName> = Parameters<Operations[Name]>[0];
export type OutputOf<Name extends OperationName> = Awaited<ReturnType<Operations[Name]>>;

/** The first message: the two builds of the filter, compiled. */
export interface Start {
  release: WebAssembly.Module;
  trace: WebAssembly.Module;
}

/** Every later message to the worker. */
export interface Job {
  id: number;
  name: OperationName;
  input: unknown;
}

/** The answer to a job: the result, or the message of what was thrown. */
export type Answer = { id: number; output: unknown } | { id: number; error: string };
