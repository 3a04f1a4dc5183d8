/** The part of WASI preview 1 that Envoy gives a module (proxy-wasm-cpp-host, src/exports.cc): no files, no network. */
import { Errno, RANDOM_MAX_BYTES } from "./abi.ts";
import { utf8Encode } from "./bytes.ts";
import type { Vm } from "./vm.ts";

/** What the functions need from the host. */
export interface WasiHost {
  /** Nanoseconds since 1970. */
  now(): bigint;
  /** Nanoseconds that never decrease. */
  monotonicNow(): bigint;
  /** Fills with random bytes; throws if there are none. */
  random(bytes: Uint8Array): void;
  /** @param level number of a log level */
  log(level: number, message: string): void;
  environment: Readonly<Record<string, string>>;
}

const LOG_INFO = 2;
const LOG_ERROR = 4;

/** The functions, for both names that modules import them under. */
export function wasiImports(vm: Vm, host: WasiHost): WebAssembly.ModuleImports {
  const environment = Object.entries(host.environment).map(([name, value]) =>
    utf8Encode(`${name}=${value}\0`),
  );
  const done = (written: boolean): number => (written ? Errno.Success : Errno.Fault);
  const isOutput = (fd: number): boolean => fd === 1 || fd === 2;

  /** Text written to the standard output or error goes to the log, without its last line break. */
  const fdWrite = (fd: number, vectors: number, count: number, writtenResult: number): number => {
    if (!isOutput(fd)) return Errno.BadFileDescriptor;
    let text = "";
    for (let i = 0; i < count; i++) {
      const vector = vm.memory.read((vectors >>> 0) + 8 * i, 8);
      if (vector === undefined) return Errno.Fault;
      const view = new DataView(vector.buffer);
      const piece = vm.memory.readText(view.getUint32(0, true), view.getUint32(4, true));
      if (piece === undefined) return Errno.Fault;
      text += piece;
    }
    if (text !== "") host.log(fd === 1 ? LOG_INFO : LOG_ERROR, text.replace(/\n$/, ""));
    return done(vm.memory.writeUint32(writtenResult >>> 0, text.length));
  };

  return {
    fd_write: fdWrite,
    fd_read: () => Errno.NoSystem,
    fd_seek: () => Errno.Success,
    fd_close: () => Errno.Success,
    fd_prestat_get: () => Errno.BadFileDescriptor,
    fd_prestat_dir_name: () => Errno.NoSystem,
    fd_filestat_get: () => Errno.BadFileDescriptor,
    fd_fdstat_set_flags: () => Errno.NoSystem,
    fd_fdstat_get(fd: number, result: number): number {
      if (!isOutput(fd)) return Errno.BadFileDescriptor;
      const stat = new Uint8Array(24);
      stat[8] = 64; // fs_rights_base: may be written
      return done(vm.memory.write(result >>> 0, stat));
    },
    path_open: () => Errno.NoEntry,
    path_filestat_get: () => Errno.NotSupported,
    environ_sizes_get(countResult: number, sizeResult: number): number {
      const size = environment.reduce((sum, entry) => sum + entry.length, 0);
      return done(
        vm.memory.writeUint32(countResult >>> 0, environment.length) &&
          vm.memory.writeUint32(sizeResult >>> 0, size),
      );
    },
    environ_get(addresses: number, texts: number): number {
      let at = texts >>> 0;
      for (const [i, entry] of environment.entries()) {
        if (!vm.memory.writeUint32((addresses >>> 0) + 4 * i, at) || !vm.memory.write(at, entry))
          return Errno.Fault;
        at += entry.length;
      }
      return Errno.Success;
    },
    args_sizes_get: (countResult: number, sizeResult: number) =>
      done(vm.memory.writeUint32(countResult >>> 0, 0) && vm.memory.writeUint32(sizeResult >>> 0, 0)),
    args_get: () => Errno.Success,
    clock_time_get(clock: number, _precision: bigint, result: number): number {
      if (clock !== 0 && clock !== 1) return Errno.NotSupported;
      return done(vm.memory.writeUint64(result >>> 0, clock === 0 ? host.now() : host.monotonicNow()));
    },
    clock_res_get: (clock: number, result: number) =>
      clock === 0 || clock === 1 ? done(vm.memory.writeUint64(result >>> 0, 1n)) : Errno.NotSupported,
    random_get(address: number, size: number): number {
      if (size >>> 0 > RANDOM_MAX_BYTES) return Errno.Invalid;
      const bytes = new Uint8Array(size >>> 0);
      try {
        host.random(bytes);
      } catch {
        return Errno.NoSystem;
      }
      return done(vm.memory.write(address >>> 0, bytes));
    },
    sched_yield: () => Errno.Success,
    poll_oneoff: (_in: number, _out: number, _count: number, result: number) =>
      done(vm.memory.writeUint32(result >>> 0, 0)),
    // Envoy only traces the call and returns; the module decides what follows (AssemblyScript: unreachable).
    proc_exit: () => {},
  };
}
