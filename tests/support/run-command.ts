/** `jwtgate run` as a user starts it: a process with a folder of policies, its output, and its end. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { TOOL, Workspace } from "./cli.ts";
import { envoyBinary } from "./envoy.ts";
import { until } from "./until.ts";

export interface Running {
  port: number;
  process: ChildProcess;
  stdout: () => string;
  stderr: () => string;
  /** Waits for words on standard error. */
  printed(words: string): Promise<unknown>;
  ended: Promise<number | null>;
}

/** A folder with `policies` in it and a place for temporary files, and what was started there. */
export class RunWorkspace extends Workspace {
  private readonly started: ChildProcess[] = [];

  constructor() {
    super();
    mkdirSync(this.path("policies"));
    mkdirSync(this.path("tmp"));
  }

  /** Starts the tool, and does not wait for it. */
  async spawn(args: readonly string[], environment: Record<string, string> = {}): Promise<Running> {
    const child = spawn(process.execPath, [TOOL, ...args], {
      cwd: this.folder,
      env: { ...process.env, ENVOY_BIN: await envoyBinary(), TMPDIR: this.path("tmp"), ...environment },
    });
    this.started.push(child);
    const output = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (text: string) => {
        output[name] += text;
      });
    }
    return {
      port: 0,
      process: child,
      stdout: () => output.stdout,
      stderr: () => output.stderr,
      printed: (words) => until(words, async () => output.stderr.includes(words)),
      ended: new Promise((resolve) => child.on("close", resolve)),
    };
  }

  /** Starts `run` with the policies before a service, on a free port, and waits until it serves. */
  async serve(
    upstream: number,
    args: readonly string[] = [],
    environment: Record<string, string> = {},
  ): Promise<Running> {
    const running = await this.spawn(
      [
        ...["run", "-f", "policies", "--upstream", `127.0.0.1:${upstream}`, "--listen", "127.0.0.1:0"],
        ...args,
      ],
      environment,
    );
    await until("the gate serves", async () => {
      if (running.process.exitCode !== null) throw new Error(`run ended: ${running.stderr()}`);
      return running.stderr().includes("Ctrl-C ends it");
    });
    const port = Number(/http:\/\/127\.0\.0\.1:(\d+) →/.exec(running.stderr())?.[1]);
    return { ...running, port };
  }

  override remove(): void {
    for (const child of this.started) child.kill("SIGKILL");
    super.remove();
  }
}

/** Asks it to end, and waits. */
export async function stop(running: Running, signal: NodeJS.Signals = "SIGINT"): Promise<number | null> {
  running.process.kill(signal);
  return running.ended;
}
