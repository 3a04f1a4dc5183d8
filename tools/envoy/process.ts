/** Runs Envoy: starts it, waits until it serves, keeps its log, and makes sure that it ends with this process. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { askAdmin, askAdminForJson } from "./admin.ts";
import { type Program, runProgram, SHELL, startProgram } from "./programs.ts";

/** Envoy refused its configuration or ended; the message contains the lines of its log that explain why. */
export class EnvoyFailure extends Error {
  override readonly name = "EnvoyFailure";
  constructor(
    message: string,
    /** Everything that Envoy wrote. */
    readonly log: string,
  ) {
    super(message);
  }
}

export interface EnvoyOptions {
  /** The executable. */
  binary: string;
  /** An envoy.config.bootstrap.v3.Bootstrap. If it has no admin, one is added that only this user can reach. */
  bootstrap: object;
  /** Worker threads; 1 if absent. */
  concurrency?: number;
  /** Envoy's `--log-level`; `warning` if absent. */
  logLevel?: string;
  /** Envoy's `--component-log-level`, such as `wasm:debug`. */
  componentLogLevel?: string;
  /** How long lines of access logs may wait until they are written, in milliseconds; Envoy's own 10 s if absent. */
  logFlushMs?: number;
  /** How long a replaced listener may finish its requests, in seconds; Envoy's 600 if absent. */
  drainSeconds?: number;
  /** How long it may take until it serves, in milliseconds; 30,000 if absent. */
  timeoutMs?: number;
  /** For its files, and removed when it ends: made by the caller (`makeEnvoyFolder`), or here if absent. */
  folder?: string;
  /**
   * Called with each line that Envoy writes: its log, and access logs that go to stdout. Exceptions are added to the
   * log.
   */
  onLine?: (line: string) => void;
}

/**
 * A shell that becomes Envoy and leaves a watcher behind. The watcher reads our end of its standard input: a line means
 * that Envoy has ended; if it closes without one, we were killed, and the watcher ends Envoy ($$). In both cases it
 * removes Envoy's folder ($0).
 */
const LEASHED =
  'exec 3<&0; (read -r _ <&3 || kill -KILL $$; rm -rf "$0") >/dev/null 2>&1 & exec "$@" </dev/null 3<&-';

/** How much of its log is kept in memory, in characters. */
const MAX_LOG = 8 * 1024 * 1024;

/** Nothing that Envoy writes in one line is longer: headers are limited to 60 KiB, and JSON makes six characters of one. */
const MAX_LINE = 1024 * 1024;

/** How the names of folders for Envoy's files begin. */
export const ENVOY_FOLDER_PREFIX = "jwtgate-envoy-";

/** The admin's socket in such a folder. */
const ADMIN_SOCKET = "admin.sock";

/** The longest path of a socket, in bytes: 104 with a final NUL on macOS, 108 on Linux (unix(4), unix(7)). */
const MAX_SOCKET_PATH = 103;

/**
 * A new folder for an Envoy's files, which may contain secrets: only its owner can look into it. It is among the
 * temporary files, or in /tmp if a socket in it would have too long a path there.
 *
 * @throws {EnvoyFailure} if none can be made
 */
export function makeEnvoyFolder(): string {
  const parent = resolve(tmpdir());
  const longest = Buffer.byteLength(join(parent, `${ENVOY_FOLDER_PREFIX}XXXXXX`, ADMIN_SOCKET));
  const chosen = longest <= MAX_SOCKET_PATH ? parent : "/tmp";
  try {
    return mkdtempSync(join(chosen, ENVOY_FOLDER_PREFIX));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new EnvoyFailure(`no folder for Envoy's files can be made in ${chosen}: ${reason}`, "");
  }
}

/** A running Envoy. */
export class Envoy {
  /** The address of its admin: `HOST:PORT`, or the path of a socket in its own folder. */
  admin = "";
  private text = "";
  private readonly end: Promise<number | null>;
  private running = true;

  private constructor(
    private readonly child: Program,
    folder: string,
    onLine: ((line: string) => void) | undefined,
  ) {
    const keep = (chunk: string) => {
      this.text = (this.text + chunk).slice(-MAX_LOG);
    };
    // Whatever happens to a line, Envoy and this process continue.
    const tell = (line: string) => {
      try {
        onLine?.(line);
      } catch (error) {
        keep(`${line}\nThis line was not read: ${error}\n`);
      }
    };
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", keep).on("data", byLine(tell));
    }
    this.end = new Promise((resolve) => {
      child.on("error", (error) => keep(`${error.message}\n`));
      child.on("exit", () => {
        this.running = false;
        child.stdin?.end("ended\n");
      });
      child.on("close", (code) => {
        try {
          rmSync(folder, { recursive: true, force: true });
        } catch {
          // The watcher removes it too.
        }
        resolve(code);
      });
    });
  }

  /**
   * Starts Envoy and waits until its admin reports that it is ready.
   *
   * @throws {EnvoyFailure} if it ends before, or is not ready in time
   */
  static async start(options: EnvoyOptions): Promise<Envoy> {
    const { bootstrap, concurrency = 1, logLevel = "warning", componentLogLevel } = options;
    const { logFlushMs, drainSeconds } = options;
    const { folder = makeEnvoyFolder() } = options;
    const configFile = join(folder, "envoy.json");
    const addressFile = join(folder, "admin");
    const admin = { address: { pipe: { path: join(folder, ADMIN_SOCKET), mode: 0o600 } } };
    // It may contain HMAC secrets.
    writeFileSync(configFile, JSON.stringify({ admin, ...bootstrap }), { mode: 0o600 });
    const args = ["--config-path", configFile, "--admin-address-path", addressFile, "--disable-hot-restart"];
    args.push("--concurrency", String(concurrency), "--log-level", logLevel);
    if (componentLogLevel !== undefined) args.push("--component-log-level", componentLogLevel);
    if (logFlushMs !== undefined) args.push("--file-flush-interval-msec", String(logFlushMs));
    if (drainSeconds !== undefined) args.push("--drain-time-s", String(drainSeconds));
    const child = startProgram(SHELL, ["-c", LEASHED, folder, options.binary, ...args], { input: true });
    const envoy = new Envoy(child, folder, options.onLine);
    try {
      await envoy.waitUntilReady(addressFile, options.timeoutMs ?? 30_000);
    } catch (error) {
      await envoy.stop();
      throw error;
    }
    return envoy;
  }

  /** Its process id. */
  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** What it has written. */
  get log(): string {
    return this.text;
  }

  /** Its exit code, after it has ended; null after a signal. */
  get ended(): Promise<number | null> {
    return this.end;
  }

  /** The port of a listener whose configured port is 0. */
  async portOf(listener: string): Promise<number> {
    const { listener_statuses: statuses } = (await this.ask("/listeners?format=json")) as Partial<Listeners>;
    const port = statuses?.find(({ name }) => name === listener)?.local_address?.socket_address?.port_value;
    if (port === undefined) throw new Error(`Envoy has no listener ${listener}`);
    return port;
  }

  /** Its counters and gauges whose name contains `filter`. */
  async stats(filter: string): Promise<Map<string, number>> {
    const query = new URLSearchParams({ format: "json", filter });
    const { stats = [] } = (await this.ask(`/stats?${query}`)) as Partial<Stats>;
    return new Map(
      stats.flatMap(({ name, value }) => (name !== undefined && value !== undefined ? [[name, value]] : [])),
    );
  }

  /** Ends it and waits until it is gone. */
  async stop(): Promise<void> {
    if (this.running) this.child.kill("SIGTERM");
    const timer = setTimeout(() => this.child.kill("SIGKILL"), 5_000);
    await this.end;
    clearTimeout(timer);
  }

  private async ask(path: string): Promise<object> {
    const answer = await askAdminForJson(this.admin, path);
    if (typeof answer !== "object" || answer === null)
      throw new Error(`Envoy's admin answered ${path} with no object`);
    return answer;
  }

  private async waitUntilReady(addressFile: string, timeoutMs: number): Promise<void> {
    // Not the time of day, which may be set in between.
    const deadline = performance.now() + timeoutMs;
    while (this.running) {
      if (await this.isReady(addressFile)) return;
      if (performance.now() > deadline)
        throw new EnvoyFailure(`Envoy was not ready after ${timeoutMs} ms`, this.text);
      await sleep(20);
    }
    throw new EnvoyFailure(`Envoy refused to start:\n${complaint(this.text)}`, this.text);
  }

  private async isReady(addressFile: string): Promise<boolean> {
    try {
      this.admin ||= await readFile(addressFile, "utf8");
      return this.admin !== "" && (await askAdmin(this.admin, "/ready")).status === 200;
    } catch {
      // It is not ready for that yet.
      return false;
    }
  }
}

/**
 * Runs `envoy --mode validate` on a bootstrap. It loads the Wasm module and the filter's configuration too.
 *
 * @returns undefined if it is valid, else Envoy's complaint
 */
export async function validateBootstrap(binary: string, configFile: string): Promise<string | undefined> {
  const args = ["--mode", "validate", "--config-path", configFile, "--log-level", "warning"];
  const { code, failure, stdout, stderr } = await runProgram(binary, args);
  if (failure !== undefined) throw new Error(failure);
  return code === 0 ? undefined : complaint(stdout + stderr);
}

/** Joins chunks and splits them into lines. */
function byLine(onLine: (line: string) => void): (chunk: string) => void {
  let rest = "";
  return (chunk) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > MAX_LINE) {
      lines.push(rest);
      rest = "";
    }
    lines.forEach(onLine);
  };
}

/** The message of an Envoy without WebAssembly (source/extensions/common/wasm/wasm_vm.cc). */
const WITHOUT_WASM = /runtime\. Envoy was compiled without support for it/;

/** The lines of a log that explain a failure: errors and critical ones, else the last few. */
function complaint(log: string): string {
  if (WITHOUT_WASM.test(log)) {
    return "this Envoy was built without V8, so it runs no WebAssembly module: set ENVOY_BIN to an Envoy with V8, such as the one of the image envoyproxy/envoy";
  }
  const lines = log.trim().split("\n");
  const errors = lines.filter((line) => /\]\[(error|critical)\]/.test(line) || !line.startsWith("["));
  return (errors.length > 0 ? errors : lines).slice(-12).join("\n");
}

interface Listeners {
  listener_statuses: { name: string; local_address?: { socket_address?: { port_value: number } } }[];
}

interface Stats {
  stats: { name?: string; value?: number }[];
}
