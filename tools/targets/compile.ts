/** The compiler for callers that select an output by its name. */
import type * as compiler from "../compile.ts";
import { type CompileResult, compile as compileFor, type SourceFile } from "../compile.ts";
import { type TargetName, targetOf } from "./index.ts";

/** The options of `compile`. */
export interface CompileOptions extends Omit<compiler.CompileOptions, "target"> {
  /** The destination of the configuration: decides what the filter can know about a request. */
  target: TargetName;
}

/**
 * Compiles policies.
 *
 * @param sources YAML files, each with any number of documents
 * @param options the output that it is for, and which workload's policies are taken
 * @returns the configuration, if `diagnostics` has no error
 * @throws {RangeError} if there is no such target
 *
 * @example
 * ```ts
 * import { compile } from "jwtgate";
 *
 * const text = `apiVersion: security.istio.io/v1
 * kind: AuthorizationPolicy
 * metadata: {name: no-admin}
 * spec: {action: DENY, rules: [{to: [{operation: {paths: [/admin]}}]}]}`;
 * const { configuration, diagnostics } = compile([{ name: "policy.yaml", text }], { target: "envoy" });
 * console.log(configuration?.authorization?.deny?.rules?.length, diagnostics.length); // 1 0
 * ```
 */
export function compile(sources: SourceFile[], { target, ...options }: CompileOptions): CompileResult {
  return compileFor(sources, { ...options, target: targetOf(target) });
}
