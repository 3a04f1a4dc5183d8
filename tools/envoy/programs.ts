/**
 * Every program that the tool starts, and what each gets of our surroundings. No other file in tools/ starts
 * one.
 *
 * | program | what for | where it is found |
 * | --- | --- | --- |
 * | Envoy | `run`, `demo`, `test --envoy`: `--version`, `--mode validate`, and to serve | `ENVOY_BIN`, `PATH`, or the user's cache folder |
 * | `sh` | starts Envoy, and ends it when we are killed | `/bin/sh` |
 * | `rm` | run by that shell: removes Envoy's own folder | `PATH` |
 * | `git rev-parse`, `ls-tree`, `cat-file` | `diff`: the policies of a revision | `PATH` |
 * | `kubectl get` | `--from-cluster`: the policies of a cluster | `KUBECTL` or `PATH` |
 * | `python3 -I -m pip` | installs Envoy; it runs in the folder that it installs into | `PATH` |
 *
 * None of them is searched for in the current folder, and none searches that folder for what it runs or
 * loads: of `PATH`, and of the lists of folders that loaders read, only absolute entries count. An empty
 * entry means the current folder, so an empty `PATH` is replaced by the system's. Variables that make Node.js
 * or a shell run or load something are removed; no program of the list needs them. Everything else is passed
 * on: `PIP_*` and proxies belong to pip, and an `ENVOY_BIN` may be a script with its own needs.
 */
import { type ChildProcessByStdio, type SpawnOptions, spawn } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";
import type { Readable, Writable } from "node:stream";

/** POSIX systems have it here. */
export const SHELL = "/bin/sh";

/** Where POSIX systems keep their programs, if `PATH` is empty. */
const SYSTEM_PATH = ["/usr/local/bin", "/usr/bin", "/bin"].join(delimiter);

/** Lists of folders that the loader of libraries or Python's own searches. */
const FOLDER_LISTS = [
  "LD_LIBRARY_PATH",
  "DYLD_LIBRARY_PATH",
  "DYLD_FALLBACK_LIBRARY_PATH",
  "PYTHONPATH",
] as const;

/** What Node.js (options, modules, certificates) and shells (files that they read first) take from their environment. */
const REMOVED = /^(NODE_.*|BASH_ENV|ENV|SHELLOPTS|BASHOPTS|BASH_FUNC_.*)$/;

/** What a program that we start gets as its environment. */
export function environmentFor(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const passed = Object.fromEntries(Object.entries(environment).filter(([name]) => !REMOVED.test(name)));
  for (const name of FOLDER_LISTS) {
    const list = absoluteEntries(passed[name]).join(delimiter);
    if (list === "") delete passed[name];
    else passed[name] = list;
  }
  passed["PATH"] = absoluteEntries(environment["PATH"]).join(delimiter) || SYSTEM_PATH;
  return passed;
}

function absoluteEntries(list: string | undefined): string[] {
  return (list ?? "").split(delimiter).filter((entry) => isAbsolute(entry));
}

/** The programs of this name in the `PATH`, the first one first; absolute paths. */
export function findPrograms(name: string, environment: NodeJS.ProcessEnv): string[] {
  const { PATH } = environmentFor(environment);
  return absoluteEntries(PATH)
    .map((folder) => join(folder, name))
    .filter((path) => isProgram(path));
}

/** Whether a path is an executable file. */
export function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** How a program is started: its output is read, and its input is written if it has one. */
export interface ProgramOptions {
  environment?: NodeJS.ProcessEnv;
  /** The folder that it runs in; the current one if absent. */
  folder?: string;
  /** Whether it reads what we write. */
  input?: boolean;
}

/** A program that runs. */
export type Program = ChildProcessByStdio<Writable | null, Readable, Readable>;

/** Starts a program. @param file its absolute path */
export function startProgram(file: string, args: readonly string[], options: ProgramOptions = {}): Program {
  const { environment = process.env, folder, input = false } = options;
  if (!isAbsolute(file)) throw new Error(`${file} is not an absolute path`);
  const spawnOptions: SpawnOptions = {
    env: environmentFor(environment),
    ...(folder !== undefined && { cwd: folder }),
    stdio: [input ? "pipe" : "ignore", "pipe", "pipe"],
  };
  const child = spawn(file, args, spawnOptions) as Program;
  // A pipe breaks when the program ends; its output has arrived before.
  for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.on("error", () => {});
  return child;
}

/** What a program writes until it ends. */
export interface Finished {
  /** undefined if it could not be started or was ended by a signal. */
  code: number | undefined;
  /** Why it could not be started. */
  failure?: string;
  /** Whether it was killed because it took too long. */
  timedOut: boolean;
  /** The end of each, if there was more than requested. */
  stdout: string;
  stderr: string;
  /** Whether it was cut. */
  isCut: boolean;
}

/** How much of a program's output is read, in characters; few programs write more. */
const MAX_OUTPUT = 1024 * 1024;

/**
 * Runs a program to its end.
 *
 * @param timeoutMs after which it is killed; never if absent
 * @param maxOutput how many characters of its output are kept
 */
export function runProgram(
  file: string,
  args: readonly string[],
  {
    timeoutMs,
    maxOutput = MAX_OUTPUT,
    ...options
  }: Omit<ProgramOptions, "input"> & { timeoutMs?: number; maxOutput?: number } = {},
): Promise<Finished> {
  return new Promise((resolve) => {
    const finished: Finished = { code: undefined, timedOut: false, stdout: "", stderr: "", isCut: false };
    const fail = (error: unknown) => {
      finished.failure = error instanceof Error ? error.message : String(error);
    };
    let child: Program;
    try {
      child = startProgram(file, args, options);
    } catch (error) {
      fail(error);
      return resolve(finished);
    }
    const kill = () => {
      finished.timedOut = true;
      child.kill("SIGKILL");
      // A child of its own may hold them open.
      child.stdout.destroy();
      child.stderr.destroy();
    };
    const timer = timeoutMs === undefined ? undefined : setTimeout(kill, timeoutMs);
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (chunk: string) => {
        finished[name] += chunk;
        if (finished[name].length <= maxOutput) return;
        finished[name] = finished[name].slice(-maxOutput);
        finished.isCut = true;
      });
    }
    child.on("error", fail);
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ ...finished, code: finished.failure === undefined ? (code ?? undefined) : undefined });
    });
  });
}
