/** The messages between the page and its workers. */
import type { Modules } from "../../tools/explain/gate.ts";

/** What a worker can do, by name. Structured clone can copy each input and output. */
export type Operations = Readonly<Record<string, (input: never, modules: Modules) => Promise<unknown>>>;

export type InputOf<All extends Operations, Name extends keyof All> = Parameters<All[Name]>[0];
export type OutputOf<All extends Operations, Name extends keyof All> = Awaited<ReturnType<All[Name]>>;

/** The first message: the two builds of the filter, compiled. */
export interface Start {
  release: WebAssembly.Module;
  trace: WebAssembly.Module;
}

/** Every later message to the worker. */
export interface Job {
  id: number;
  name: string;
  input: unknown;
}

/** The answer to a job: the result, or the message of what was thrown. */
export type Answer = { id: number; output: unknown } | { id: number; error: string };
