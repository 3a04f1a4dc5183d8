/** A copy of the project that a test may change. */
import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What tests do not need. */
const NOT_COPIED = new Set(["node_modules", ".git", ".cache", "coverage"]);

/** How long compiling the filter may take on a busy machine, in milliseconds. */
const COMPILE_LIMIT = 300_000;

/** The result of a script. */
export interface Ended {
  /** The exit code; null if the script was ended because its time was over. */
  status: number | null;
  /** What it wrote to standard output and standard error. */
  output: string;
}

export class ProjectCopy {
  private constructor(
    /** The copy's folder. */
    readonly folder: string,
  ) {}

  /**
   * Copies the project with what is built; `node_modules` is a link.
   *
   * @param root the project's folder
   */
  static make(root: string): ProjectCopy {
    const folder = mkdtempSync(join(tmpdir(), "jwtgate-copy-"));
    for (const name of readdirSync(root)) {
      if (!NOT_COPIED.has(name)) cpSync(join(root, name), join(folder, name), { recursive: true });
    }
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
    return new ProjectCopy(folder);
  }

  path(...parts: string[]): string {
    return join(this.folder, ...parts);
  }

  /** Changes the configuration of the compiler to optimize little, so that the filter compiles in seconds. */
  compileSoon(): void {
    const file = this.path("asconfig.json");
    const config = JSON.parse(readFileSync(file, "utf8")) as { targets: Record<string, object> };
    for (const target of Object.values(config.targets)) {
      Object.assign(target, { optimizeLevel: 1, converge: false });
    }
    writeFileSync(file, JSON.stringify(config));
  }

  /**
   * Runs a script of Node's in the copy. At its time limit it is ended with every process that it started.
   *
   * @param command the script, relative to the copy, and its arguments
   * @param limit in milliseconds
   */
  run(command: readonly string[], limit: number, environment: Record<string, string> = {}): Promise<Ended> {
    return new Promise((resolve, reject) => {
      const child = spawn(process.execPath, command, {
        cwd: this.folder,
        env: { ...process.env, ...environment },
        stdio: ["ignore", "pipe", "pipe"],
        detached: true,
      });
      const { pid } = child;
      const timer = setTimeout(() => pid !== undefined && process.kill(-pid, "SIGKILL"), limit);
      let output = "";
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding("utf8").on("data", (text: string) => {
          output += text;
        });
      }
      child.on("error", reject);
      child.on("close", (status) => {
        clearTimeout(timer);
        resolve({ status, output });
      });
    });
  }

  /** Compiles the copy's filter. @throws Error if it does not compile */
  async compile(target: "release" | "trace"): Promise<void> {
    const { status, output } = await this.run(
      ["node_modules/assemblyscript/bin/asc.js", "--config", "asconfig.json", "--target", target],
      COMPILE_LIMIT,
    );
    if (status !== 0) throw new Error(`the filter does not compile:\n${output}`);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
