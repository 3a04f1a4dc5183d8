/** Runs the built tool as a user does. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
export const TOOL = join(ROOT, "dist/jwtgate.mjs");

export interface ToolResult {
  status: number | null;
  stdout: string;
  stderr: string;
}

export interface ToolOptions {
  /** What it reads on standard input; nothing if absent. */
  input?: string | Uint8Array;
  env?: Record<string, string>;
  /** A folder in the workspace to run it in; the workspace itself if absent. */
  folder?: string;
}

/** A folder that the tool is run in. */
export class Workspace {
  readonly folder = mkdtempSync(join(tmpdir(), "jwtgate-cli-"));

  path(...names: string[]): string {
    return join(this.folder, ...names);
  }

  run(args: readonly string[], { input = "", env = {}, folder = "" }: ToolOptions = {}): ToolResult {
    const { status, stdout, stderr } = spawnSync(process.execPath, [TOOL, ...args], {
      cwd: this.path(folder),
      input,
      encoding: "utf8",
      maxBuffer: 64 * 1024 * 1024,
      timeout: 240_000,
      // The runner of the tests asks for colours in its own output.
      env: { ...process.env, FORCE_COLOR: undefined, NO_COLOR: "", ...env },
    });
    return { status, stdout, stderr };
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
