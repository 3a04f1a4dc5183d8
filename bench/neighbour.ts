/**
 * A program that runs next to Envoy, as in production. It walks through more memory than a core's caches
 * hold, on the last processor, while Envoy runs on the first. On a machine whose two processors are one
 * core's threads, it also takes half of that core. Linux only: it needs `taskset` of util-linux.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpus } from "node:os";

/** Whether the neighbour works while something is measured. */
export const CONDITIONS = ["quiet", "busy"] as const;
export type Condition = (typeof CONDITIONS)[number];

/** The conditions under which something is measured: without a neighbour, only the first. */
export function conditionsOf(neighbour: Neighbour | undefined): readonly Condition[] {
  return neighbour === undefined ? CONDITIONS.slice(0, 1) : CONDITIONS;
}

/** How long the caches take to fill, in milliseconds. */
const SETTLE_MS = 5;

/** Runs in the other process: reads and writes 16 MiB in an order that no prefetcher guesses. */
function work(): void {
  const words = new Int32Array(1 << 22);
  let at = 1;
  for (;;) {
    at = (Math.imul(at, 1664525) + 1013904223) & (words.length - 1);
    const next = (at ^ (words[at] ?? 0)) & (words.length - 1);
    words[next] = (words[next] ?? 0) + 1;
  }
}

export class Neighbour {
  private condition: Condition = "quiet";

  private constructor(private readonly child: ChildProcess) {}

  /** Starts the program; it does not work yet. @throws {Error} on a machine with one processor */
  static async start(): Promise<Neighbour> {
    const count = cpus().length;
    if (count < 2) throw new Error("a busy machine needs two processors: leave --busy out");
    const program = `(${work.toString()})()`;
    const child = spawn("taskset", ["-c", `${count - 1}`, process.execPath, "-e", program], {
      stdio: "ignore",
    });
    await once(child, "spawn");
    child.kill("SIGSTOP");
    // A stopped process does not end with its parent.
    process.once("exit", () => child.kill("SIGKILL"));
    return new Neighbour(child);
  }

  /** Lets it work or makes it pause, and waits until that has an effect. */
  async set(condition: Condition): Promise<void> {
    if (condition === this.condition) return;
    this.condition = condition;
    this.child.kill(condition === "busy" ? "SIGCONT" : "SIGSTOP");
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  }

  stop(): void {
    this.child.kill("SIGKILL");
  }
}

/** Keeps all threads of a process off the neighbour's processor. */
export function keepAway(pid: number): void {
  execFileSync("taskset", ["-a", "-p", "-c", `0-${cpus().length - 2}`, `${pid}`], { stdio: "ignore" });
}
