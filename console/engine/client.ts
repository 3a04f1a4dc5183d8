/** The page's side of the worker: queues jobs, and replaces a worker that does not answer. */
import { signal } from "@preact/signals";
import { loadModules, type Script, workerUrl } from "./assets.ts";
import type { comparisons } from "./comparer.ts";
import type { operations } from "./operations.ts";
import type { Answer, InputOf, Job, Operations, OutputOf, Start } from "./protocol.ts";

/** A job that takes longer, in milliseconds, never ends. */
const TIME_LIMIT_MS = 20_000;

/** The worker was stopped in the middle of the job. */
export class Stopped extends Error {
  override readonly name = "Stopped";
}

/** A newer job of the same purpose replaced this one. */
export class Superseded extends Error {
  override readonly name = "Superseded";
}

/** How a job is queued. */
export interface JobOptions {
  /** A newer job of the same purpose replaces this one, if this one has not begun. */
  purpose?: string;
  /** Jobs with a smaller number run first. Default: 0. */
  priority?: number;
}

interface Waiting extends Job, Required<Pick<JobOptions, "priority">> {
  purpose?: string | undefined;
  resolve(output: unknown): void;
  reject(error: Error): void;
}

/** What the page shows of the worker. */
export type Status = "starting" | "ready" | "failed";

/** Runs jobs in a worker. */
export class Engine<All extends Operations> {
  readonly status = signal<Status>("starting");
  /** How often a worker was replaced because it did not answer. */
  readonly restarts = signal(0);
  private readonly queue: Waiting[] = [];
  private running: Waiting | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private worker: Worker | undefined;
  private modules: Start | undefined;
  private nextId = 1;

  /** @param script what the worker runs */
  constructor(
    private readonly script: Script,
    private readonly timeLimit = TIME_LIMIT_MS,
  ) {}

  /** Loads the modules and starts the worker. Jobs wait until then. */
  async start(): Promise<void> {
    try {
      this.modules = await loadModules();
      this.startWorker();
      this.status.value = "ready";
      this.next();
    } catch (error) {
      this.status.value = "failed";
      const reason = error instanceof Error ? error : new Error(String(error));
      for (const job of this.queue.splice(0)) job.reject(reason);
    }
  }

  /**
   * Has a job done.
   *
   * @returns the result; rejected with {@link Superseded}, {@link Stopped}, or an Error with the worker's message
   */
  call<Name extends keyof All & string>(
    name: Name,
    input: InputOf<All, Name>,
    { purpose, priority = 0 }: JobOptions = {},
  ): Promise<OutputOf<All, Name>> {
    return new Promise<OutputOf<All, Name>>((resolve, reject) => {
      const job: Waiting = {
        ...{ id: this.nextId++, name, input, purpose, priority, reject },
        resolve: (output) => resolve(output as OutputOf<All, Name>),
      };
      const older = purpose === undefined ? -1 : this.queue.findIndex((one) => one.purpose === purpose);
      if (older >= 0) this.queue.splice(older, 1)[0]?.reject(new Superseded("a newer job replaces this one"));
      const place = this.queue.findIndex((one) => one.priority > priority);
      this.queue.splice(place < 0 ? this.queue.length : place, 0, job);
      this.next();
    });
  }

  private next(): void {
    if (this.running !== undefined || this.worker === undefined) return;
    const job = this.queue.shift();
    if (job === undefined) return;
    this.running = job;
    this.timer = setTimeout(() => this.stop(), this.timeLimit);
    const { id, name, input } = job;
    this.worker.postMessage({ id, name, input } satisfies Job);
  }

  private startWorker(): void {
    const worker = new Worker(workerUrl(this.script));
    worker.onmessage = ({ data }: MessageEvent<Answer>) => this.finish(data);
    // The worker can die, for example if there is not enough memory.
    worker.onerror = () => this.stop();
    if (this.modules) worker.postMessage(this.modules);
    this.worker = worker;
  }

  private finish(answer: Answer): void {
    const job = this.running;
    if (job === undefined || job.id !== answer.id) return;
    clearTimeout(this.timer);
    this.running = undefined;
    if ("error" in answer) job.reject(new Error(answer.error));
    else job.resolve(answer.output);
    this.next();
  }

  /** Abandons the job, and starts a new worker for the waiting jobs. */
  private stop(): void {
    clearTimeout(this.timer);
    this.worker?.terminate();
    const job = this.running;
    this.running = undefined;
    this.restarts.value++;
    this.startWorker();
    job?.reject(new Stopped(`it took longer than ${this.timeLimit / 1000} s and was stopped`));
    this.next();
  }
}

/** Answers while the user types. */
export const engine = new Engine<typeof operations>("worker");

/** Compares versions of the policies. It starts with the first comparison. */
export const comparer = new Engine<typeof comparisons>("comparer");
