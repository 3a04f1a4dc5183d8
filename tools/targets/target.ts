/** An output of `jwtgate compile`: everything that the compiler, the command and its help need to know about it. */
import type { CompiledWorkload, CompileTarget } from "../compile.ts";
import type { Configuration } from "../config/schema.ts";
import type { Mode } from "../render/bootstrap.ts";

/** Options that several outputs have. */
export interface SharedOptions {
  /** The proxy's mode. Absent if it is a waypoint. */
  mode?: Mode;
  /** Whether it is a waypoint, which only some outputs support. */
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

/** What an output needs to know about files, from its caller. */
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
  /** A short description. */
  summary: string;
  /** The effect of omitting `--mode`; absent if it ignores the mode. */
  withoutMode?: string;
  /** Whether it supports waypoints. */
  hasWaypoints?: true;
  /** An example for the command's help: a line with its purpose, and commands. */
  example: string;
  /** Options that not every output has. Outputs that share one have the same object. */
  options: readonly TargetOption[];
  /** Reports contradictions between options, before anything is read. */
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

/** The compiled policies cannot be written in this form; the message explains why. */
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
