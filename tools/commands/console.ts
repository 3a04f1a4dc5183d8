/** `jwtgate console`: the wizard and the playground in a browser, served here or written as one file. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Command, Option } from "commander";
import type { SourceFile } from "../compile.ts";
import { KeyDocuments } from "../console/key-documents.ts";
import { exportedPage, type Policies } from "../console/page.ts";
import { ConsoleServer } from "../console/server.ts";
import { type Diagnostic, formatDiagnostic, printableLines } from "../diagnostics.ts";
import { CONSOLE_FOLDER } from "../package.ts";
import type { Address } from "../render/bootstrap.ts";
import { parseListenAddress } from "../values.ts";
import { print, report, serveUnread, tell, UserError, writeUserFile } from "./output.ts";
import { checkPemFiles } from "./pem-files.ts";
import { addFileOptions } from "./policies.ts";
import { readSources, reasonOf } from "./sources.ts";
import { StopSignal } from "./stop-signal.ts";
import { see, watchFiles } from "./watch.ts";

interface Options {
  file?: string[];
  ignore?: string[];
  listen: Address;
  jwksCa?: string;
  export?: string;
}

/** The number of the RFC that defines JSON Web Tokens. */
const DEFAULT_PORT = 7519;

const EXAMPLES = `
Examples:
  Write a gateway's policies with the wizard, and try requests:
    $ jwtgate console
  Open policies, and read them again when an editor saves them:
    $ jwtgate console -f policies/
  One file that works without a network, opened from disk:
    $ jwtgate console -f policies/ --export console.html

The page decides with the module that Envoy runs, in the browser, and sends no data. For policies of -f that name a
jwksUri, this command fetches the keys; it contacts no other address. Ctrl-C ends it.
Exit code: 0 after Ctrl-C or when the file is written, or 1 if a file cannot be read or the address is in use, or 2 if
the command line is wrong.`;

export function consoleCommand(): Command {
  const command = new Command("console").description(
    "open the wizard and the playground in a browser; policies are read again when they change",
  );
  return addFileOptions(command)
    .addOption(
      new Option("--listen <address>", "IP:PORT to listen on; port 0 is any free one")
        .argParser(parseListenAddress)
        .default({ host: "127.0.0.1", port: DEFAULT_PORT }, `127.0.0.1:${DEFAULT_PORT}`),
    )
    .option("--jwks-ca <file>", "authorities of the servers that keys are fetched from, PEM")
    .option("--export <file>", "write the page with everything in it into this file, and serve nothing")
    .addHelpText("after", EXAMPLES)
    .action(async (_files: string[], options: Options, self: Command) => {
      if (options.export !== undefined) {
        for (const [name, flag] of [
          ["listen", "--listen"],
          ["jwksCa", "--jwks-ca"],
        ] as const) {
          if (self.getOptionValueSource(name) === "cli")
            self.error(`error: --export starts no server: leave ${flag} out`);
        }
        await writePage(options, options.export);
        return;
      }
      if (options.file?.includes("-"))
        self.error(
          "error: console watches files for changes, and cannot watch standard input: name a file or a folder",
        );
      await serve(options);
    });
}

async function writePage(options: Options, file: string): Promise<void> {
  const { policies } = readFirstPolicies(options);
  const files = readConsole();
  const bytes = (name: string) => files.get(name) ?? new Uint8Array();
  const text = (name: string) => new TextDecoder().decode(bytes(name));
  const page = exportedPage(
    {
      html: text("index.html"),
      script: text("main.js"),
      style: text("style.css"),
      worker: text("worker.js"),
      comparer: text("comparer.js"),
      release: bytes("jwtgate.wasm"),
      trace: bytes("jwtgate.trace.wasm"),
    },
    options.file && policies,
  );
  if (file === "-") await print(page);
  else await writeUserFile("the page", file, page);
}

async function serve(options: Options): Promise<void> {
  checkPemFiles(options);
  const { file: paths, ignore, listen, jwksCa } = options;
  const files = readConsole();
  const seen = paths === undefined ? [] : [see({ paths, ignore })];
  const documents = new KeyDocuments({ caFile: jwksCa });
  const first = readFirstPolicies(options);
  documents.load(first.files);
  const stopping = new StopSignal();
  try {
    const server = await start({ listen, files, policies: first.policies, documents });
    const unwatch = seen.length === 0 ? () => {} : watchFiles(seen, () => reload(options, documents, server));
    try {
      serveUnread();
      tell(`http://${listen.host.includes(":") ? `[${listen.host}]` : listen.host}:${server.port}/`);
      if (!isLocal(listen.host)) {
        tell(
          "warning: everyone who can reach this address can read the policies of -f, with secrets in them",
          process.stderr,
        );
      }
      tell("Ctrl-C ends it", process.stderr);
      await stopping.promise;
    } finally {
      unwatch();
      await server.stop();
    }
  } finally {
    stopping.forget();
  }
}

/** Shows the policies as they are now. */
function reload(options: Options, documents: KeyDocuments, server: ConsoleServer): void {
  try {
    const { files, policies } = readPolicies(options);
    server.publish(policies);
    documents.load(files);
  } catch (error) {
    tell(`jwtgate: the policies were not read again: ${printableLines(reasonOf(error))}`, process.stderr);
  }
}

function isLocal(host: string): boolean {
  return host.startsWith("127.") || host === "::1";
}

async function start(options: Parameters<typeof ConsoleServer.start>[0]): Promise<ConsoleServer> {
  const { host, port } = options.listen;
  try {
    return await ConsoleServer.start(options);
  } catch (error) {
    const reason =
      (error as NodeJS.ErrnoException).code === "EADDRINUSE"
        ? "is in use"
        : `cannot be listened on (${reasonOf(error)})`;
    const address = `${host.includes(":") ? `[${host}]` : host}:${port}`;
    throw new UserError(`--listen ${address} ${reason}: choose another with --listen IP:PORT`);
  }
}

/** The files of the built console. @throws {UserError} if it has not been built */
function readConsole(): Map<string, Uint8Array> {
  try {
    return new Map(
      readdirSync(CONSOLE_FOLDER).map((name) => [name, readFileSync(join(CONSOLE_FOLDER, name))]),
    );
  } catch {
    throw new UserError(`${CONSOLE_FOLDER} does not exist yet: run \`npm run build\``);
  }
}

/** Policies as they are on disk. */
interface Loaded {
  files: SourceFile[];
  /** Shown by the page: files that cannot be read are shown there, because they may come back. */
  policies: Policies;
  diagnostics: Diagnostic[];
}

function readPolicies({ file = [], ignore }: Options): Loaded {
  const { files, diagnostics } = readSources(file, { ignore });
  const shown = files.map(({ name, text }) => ({ name, text }));
  return { files, policies: { files: shown, problems: diagnostics.map(formatDiagnostic) }, diagnostics };
}

/** Reads the policies at the start, when a name may be mistyped. @throws {UserError} if a file cannot be read */
function readFirstPolicies(options: Options): Loaded {
  const loaded = readPolicies(options);
  if (report(loaded.diagnostics)) throw new UserError("");
  return loaded;
}
