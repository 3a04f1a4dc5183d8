/** What a process has used, as the kernel counts it (proc_pid_schedstat(5), proc_pid_smaps(5)). Linux only. */
import { readdirSync, readFileSync } from "node:fs";

/**
 * CPU time of all threads of a process, in nanoseconds: the first number of each thread's schedstat. Exact to a
 * microsecond if the threads sleep, as Envoy's do without a request in progress.
 */
export function cpuNanoseconds(pid: number): bigint {
  let total = 0n;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const [running = "0"] = readFileSync(`/proc/${pid}/task/${task}/schedstat`, "latin1").split(" ");
    total += BigInt(running);
  }
  return total;
}

export interface Memory {
  /** Resident set, in bytes: all pages, the executable's own included. */
  resident: number;
  /** The part that no other process could share: heaps, stacks, compiled code. */
  anonymous: number;
}

export function memoryOf(pid: number): Memory {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "latin1");
  const kilobytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(rollup)?.[1] ?? Number.NaN);
  return { resident: kilobytes("Rss") * 1024, anonymous: kilobytes("Anonymous") * 1024 };
}
