/** An output of `jwtgate compile`: all that the compiler, the command and its help have to know of it. */
import type { CompiledWorkload, CompileTarget } from "../compile.ts";
import type { Configuration } from "../config/schema.ts";
import type { Mode } from "../render/bootstrap.ts";

/** Options that several outputs have. */
export interface SharedOptions {
  /** Of the proxy. Absent if it is a waypoint. */
  mode?: Mode;
  /** Whether it is a waypoint, which only some outputs can be for. */
  waypoint?: boolean;
  jwksCa?: string;
}

/** An option of the command line that some outputs have. */
export interface TargetOption {
  /** As help shows it, `--listen <address>`. */
  flags: string;
  description: string;
  choices?: readonly string[];
  /** Reads the value. @throws {InvalidValue} if it cannot */
  parse?(text: string): unknown;
}

/** What an output has to know of files, which its caller has. */
export interface Files {
  /** The filter that belongs to this tool, absolute. */
  module: string;
  /** Whether there is such a file. */
  exists(path: string): boolean;
  /** Makes a path absolute. */
  resolve(path: string): string;
}

export interface Rendered {
  text: string;
}

/** @typeParam Options its own, by the names that its flags have in camel case */
export interface Target<Options extends object = object> extends CompileTarget {
  /** `--output NAME` */
  name: string;
  /** What it is, in a few words. */
  summary: string;
  /** What becomes of it without `--mode`; absent if it does not look at the mode. */
  withoutMode?: string;
  /** Whether it can be for a waypoint. */
  hasWaypoints?: true;
  /** Of how to use it, for the command's help: a line that says what for, and commands. */
  example: string;
  /** Those that not every output has. Outputs that share one have the same object. */
  options: readonly TargetOption[];
  /** Says what is wrong with options, of which each by itself is right; before anything is read. */
  check?(options: SharedOptions & Partial<Options>): string | undefined;
  /**
   * Writes what was compiled.
   *
   * @param workloads without an error; one, unless `grouping` is by selections
   * @param options that `check` found nothing wrong with
   * @param files where it is rendered
   * @throws {NotRendered} if it cannot be
   */
  render(
    workloads: readonly CompiledWorkload[],
    options: SharedOptions & Partial<Options>,
    files: Files,
  ): Rendered;
}

/** What was compiled cannot be written so; the message says why, for the user. */
export class NotRendered extends Error {
  override readonly name = "NotRendered";
}

/** The only workload. */
export function onlyWorkload([workload]: readonly CompiledWorkload[]): CompiledWorkload {
  if (workload === undefined) throw new Error("a compilation without an error has a configuration");
  return workload;
}

/** Its configuration. */
export function onlyConfiguration(workloads: readonly CompiledWorkload[]): Configuration {
  return onlyWorkload(workloads).configuration;
}
