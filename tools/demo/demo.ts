/** The demo: Envoy with the samples' policies before a simulated upstream, and the requests of Istio's documents. */
import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { compile, type SourceMap } from "../compile.ts";
import { formatDiagnostic, printable } from "../diagnostics.ts";
import { Envoy } from "../envoy/process.ts";
import { MODULE_FILE, PACKAGE_FOLDER } from "../package.ts";
import { ABSENT, type AccessLogEntry, parseAccessLog } from "../render/access-log.ts";
import { bootstrap, cluster, listener, type Message } from "../render/bootstrap.ts";
import { differences, send } from "./client.ts";
import { whoDecided } from "./decision.ts";
import { type Exchange, type Scene, scenes } from "./scenes.ts";
import { ISTIO_TOKEN, SigningKey } from "./tokens.ts";
import { startUpstream } from "./upstream.ts";

export interface DemoOptions {
  /** Envoy's executable. */
  envoy: string;
  /** Called with each line of output. */
  say: (line: string) => void;
}

/** A scene whose policies are compiled and served on a port. */
interface Stage {
  scene: Scene;
  /** The sample's file, as messages name it. */
  file: string;
  sourceMap: SourceMap;
  listener: Message;
  /** The listener's port; known once Envoy runs. */
  port: number;
}

/** A demo that serves until it is stopped. */
export class Demo {
  private envoy: Envoy | undefined;
  /** Entries of the access log that were not read yet. */
  private entries: AccessLogEntry[] = [];
  private onEntry: (() => void) | undefined;
  private serving = false;

  private constructor(
    private readonly options: DemoOptions,
    private readonly upstream: { port: number; stop: () => Promise<void> },
    private readonly stages: Stage[],
  ) {}

  /** Starts the upstream, and Envoy with a listener for each scene. */
  static async start(options: DemoOptions): Promise<Demo> {
    const prepared = (await scenes(await SigningKey.generate())).map(prepare);
    const upstream = await startUpstream();
    const demo = new Demo(options, upstream, prepared);
    try {
      await demo.startEnvoy();
    } catch (error) {
      await demo.stop();
      throw error;
    }
    return demo;
  }

  /** Sends all requests and prints the answers. @returns how many answers were not as expected */
  async play(): Promise<number> {
    const { say } = this.options;
    let requests = 0;
    let wrong = 0;
    for (const stage of this.stages) {
      say("");
      say(`${stage.scene.name}  ${stage.scene.title}: ${stage.file}`);
      for (const exchange of stage.scene.exchanges) {
        requests++;
        if (!(await this.ask(stage, exchange))) wrong++;
      }
    }
    say("");
    say(
      wrong === 0
        ? `All ${requests} answers were as expected.`
        : `${wrong} of ${requests} answers were not as expected.`,
    );
    return wrong;
  }

  /** Prints how to continue by hand; from now on each request is printed when it comes. */
  serve(): void {
    const { say } = this.options;
    say("");
    say("Envoy serves until Ctrl-C. Try, in another terminal:");
    say("");
    say(`  TOKEN=${ISTIO_TOKEN}`);
    for (const { scene, port } of this.stages.filter(({ scene: { jwks } }) => jwks === undefined)) {
      say("");
      say(`  # ${scene.name}  ${scene.title}`);
      for (const line of lines(scene, port)) say(`  ${line}`);
    }
    say("");
    this.serving = true;
  }

  /** Resolves when Envoy ends, for any reason. */
  get ended(): Promise<number | null> {
    return this.envoy?.ended ?? Promise.resolve(null);
  }

  /** Ends Envoy and the upstream. */
  async stop(): Promise<void> {
    await this.envoy?.stop();
    await this.upstream.stop();
  }

  private async startEnvoy(): Promise<void> {
    this.envoy = await Envoy.start({
      binary: this.options.envoy,
      bootstrap: bootstrap({
        listeners: this.stages.map((stage) => stage.listener),
        clusters: [cluster({ name: "upstream", address: { host: "127.0.0.1", port: this.upstream.port } })],
      }),
      logLevel: "error",
      logFlushMs: 10,
      onLine: (line) => this.read(line),
    });
    for (const stage of this.stages) stage.port = await this.envoy.portOf(stage.scene.name);
  }

  /** Sends one request; prints the request, the answer and what decided. */
  private async ask(stage: Stage, exchange: Exchange): Promise<boolean> {
    const { say } = this.options;
    const answer = await send(stage.port, exchange);
    const wrong = differences(answer, exchange.expect, stage.port);
    const asked = `${exchange.method ?? "GET"} ${exchange.path.split("?")[0]}`;
    // A request that passed shows the upstream's answer, which is not part of the decision.
    const came = answer.status === 200 ? "200" : `${answer.status} ${answer.body}`.trim();
    const { details } = await this.nextEntry();
    const decided = whoDecided(details, stage.sourceMap);
    const line = `   ${wrong.length === 0 ? "ok" : "NO"}  ${asked.padEnd(24)} ${exchange.token.padEnd(40)} ${came}`;
    say(line);
    if (decided !== "") say(`       ${decided}`);
    if (exchange.expect.upstream !== undefined) say(`       upstream: ${received(exchange.expect.upstream)}`);
    for (const difference of wrong) say(`       ${difference}`);
    return wrong.length === 0;
  }

  /** The next access log entry. Requests are sent one after the other, so it is the last request's. */
  private nextEntry(): Promise<AccessLogEntry> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("Envoy logged no access within 20 s")), 20_000);
      this.onEntry = () => {
        const entry = this.entries.shift();
        if (entry === undefined) return;
        clearTimeout(timer);
        this.onEntry = undefined;
        resolve(entry);
      };
      this.onEntry();
    });
  }

  private read(line: string): void {
    const entry = parseAccessLog(line);
    if (entry === undefined) {
      if (line !== "") this.options.say(printable(line));
      return;
    }
    if (this.serving) {
      this.tell(entry);
      return;
    }
    this.entries.push(entry);
    this.onEntry?.();
  }

  /** One line for a request that a user sent. */
  private tell({ method, path, status, details, authority }: AccessLogEntry): void {
    const stage = this.stages.find(({ port }) => authority.endsWith(`:${port}`));
    const decided = stage === undefined ? details : whoDecided(details, stage.sourceMap);
    const words = [stage?.scene.name ?? ABSENT, method, path, "→", status || ABSENT, decided];
    this.options.say(printable(`  ${words.join(" ")}`.trimEnd()));
  }
}

/** Compiles a scene's sample. */
function prepare(scene: Scene): Stage {
  const path = join(PACKAGE_FOLDER, "envoy", "istio", scene.sample);
  const file = relative(process.cwd(), path);
  const sample = readFileSync(path, "utf8");
  // On its own line, so that positions stay those of the file.
  const text =
    scene.jwks === undefined ? sample : sample.replace(/jwks: '.*'/, () => `jwks: '${scene.jwks}'`);
  const { configuration, sourceMap, diagnostics } = compile([{ name: file, text }]);
  if (configuration === undefined || sourceMap === undefined) {
    throw new Error(diagnostics.map(formatDiagnostic).join("\n"));
  }
  const message = listener({
    name: scene.name,
    address: { host: "127.0.0.1", port: 0 },
    module: MODULE_FILE,
    configuration,
    cluster: "upstream",
    sharesPort: false,
  });
  return { scene, file, sourceMap, listener: message, port: 0 };
}

/** What the upstream received, in a few words. */
function received({ url, headers = {} }: NonNullable<Exchange["expect"]["upstream"]>): string {
  const words = url === undefined ? [] : [url];
  for (const [name, value] of Object.entries(headers)) {
    const short = value?.replace(ISTIO_TOKEN, "TOKEN").replace(/^(.{12}).{20,}$/, "$1…");
    words.push(short === undefined ? `no ${name}` : `${name}: ${short}`);
  }
  return words.join(", ");
}

/** The requests of a scene as command lines, without those whose token is not available. */
function lines({ exchanges }: Scene, port: number): Set<string> {
  return new Set(exchanges.map((exchange) => curl(port, exchange)).filter((line) => !line.includes("eyJ")));
}

/** A command line that sends the request; Istio's token is in $TOKEN. */
function curl(port: number, { method, path, headers = {} }: Exchange): string {
  const parts = [method === "HEAD" ? "curl -I" : "curl -i"];
  for (const [name, value] of Object.entries(headers)) parts.push(`-H "${name}: ${value}"`);
  parts.push(/[?&]/.test(path) ? `"http://127.0.0.1:${port}${path}"` : `http://127.0.0.1:${port}${path}`);
  return parts.join(" ").replaceAll(ISTIO_TOKEN, "$TOKEN");
}
