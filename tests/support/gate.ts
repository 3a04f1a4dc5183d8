/** A gateway as a user runs it: policies in a file, `jwtgate compile --output envoy`, and Envoy with its output. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { Envoy } from "../../tools/envoy/process.ts";
import type { Message } from "../../tools/render/bootstrap.ts";
import { connectionManager, DETAILS_HEADER, envoyBinary, tellDetails } from "./envoy.ts";
import { type Http1Request, type Http1Response, headerOf, http1, type Target } from "./http1.ts";
import { type Received, receivedOf, startUpstream, type Upstream } from "./upstream.ts";

const TOOL = fileURLToPath(new URL("../../dist/jwtgate.mjs", import.meta.url));

export interface Ran {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** Runs the built tool. */
export function jwtgate(...args: string[]): Ran {
  const { status, stdout, stderr } = spawnSync(process.execPath, [TOOL, ...args], {
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  return { status, stdout, stderr };
}

/** The result of a request. */
export interface GateAnswer extends Http1Response {
  /** Envoy's response-code details, if it answered itself. */
  details: string | undefined;
  /** What the backend received, if the request passed. */
  received: Received | undefined;
}

export class Gate {
  private constructor(
    readonly envoy: Envoy,
    readonly upstream: Upstream,
    /** The listener's port. */
    readonly port: number,
    private readonly host: string,
  ) {}

  /**
   * @param policies Istio's YAML
   * @param flags of `jwtgate compile`, besides files and addresses
   */
  static async start(policies: string, flags: string[] = [], host = "127.0.0.1"): Promise<Gate> {
    const upstream = await startUpstream();
    try {
      const bootstrap = compileBootstrap(policies, [
        "--listen",
        host.includes(":") ? `[${host}]:0` : `${host}:0`,
        "--upstream",
        `127.0.0.1:${upstream.port}`,
        ...flags,
      ]);
      const [listener] = (bootstrap["static_resources"] as { listeners: Message[] }).listeners;
      if (listener === undefined) throw new Error("the bootstrap has no listener");
      delete connectionManager(tellDetails(listener))["access_log"];
      const envoy = await Envoy.start({ binary: await envoyBinary(), bootstrap });
      return new Gate(envoy, upstream, await envoy.portOf(String(listener["name"])), host);
    } catch (error) {
      await upstream.close();
      throw error;
    }
  }

  async request(request: Http1Request, target: Partial<Target> = {}): Promise<GateAnswer> {
    const response = await http1({ host: this.host, port: this.port, ...target }, request);
    return { ...response, details: headerOf(response, DETAILS_HEADER), received: receivedOf(response) };
  }

  async stop(): Promise<void> {
    await this.envoy.stop();
    await this.upstream.close();
  }
}

/** What `jwtgate compile --output envoy` prints for these policies. */
export function compileBootstrap(policies: string, flags: string[]): Message {
  const folder = mkdtempSync(join(tmpdir(), "jwtgate-policies-"));
  try {
    const file = join(folder, "policies.yaml");
    writeFileSync(file, policies);
    const { status, stdout, stderr } = jwtgate("compile", "-f", file, "--output", "envoy", ...flags);
    if (status !== 0) throw new Error(`jwtgate compile ended with ${status}:\n${stderr}`);
    return parse(stdout, { maxAliasCount: -1 }) as Message;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
