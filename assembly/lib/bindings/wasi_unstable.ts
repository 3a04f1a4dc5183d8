/**
 * What @solo-io/proxy-runtime 0.1.8 imports from AssemblyScript's own WASI bindings, which later compilers no longer
 * include. Envoy provides the snapshot that superseded `wasi_unstable`, with the same function.
 */

/** Ends the instance with an exit code. */
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "proc_exit")
export declare function proc_exit(code: u32): void;
