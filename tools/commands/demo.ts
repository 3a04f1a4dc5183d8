/** `jwtgate demo`: shows the filter at work, with an Envoy that is found or installed. */
import { existsSync } from "node:fs";
import { Command } from "commander";
import { Demo } from "../demo/demo.ts";
import { printable } from "../diagnostics.ts";
import { EnvoyFailure } from "../envoy/process.ts";
import { EnvoyUnavailable, findEnvoy } from "../envoy/provision.ts";
import { MODULE_FILE } from "../package.ts";
import { serveUnread, tell, UserError } from "./output.ts";
import { StopSignal } from "./stop-signal.ts";

const EXAMPLES = `
Examples:
  See requests answered, then send your own with curl:
    $ jwtgate demo
  See them answered, and nothing else; exit code 0 only if every answer is as expected:
    $ jwtgate demo --once
  With an Envoy of your own:
    $ ENVOY_BIN=/usr/local/bin/envoy jwtgate demo

Exit code: 0 after Ctrl-C, or with --once if every answer is as expected; 1 if one is not, or Envoy cannot run; 2 if the
command line is wrong.`;

export function demoCommand(): Command {
  return new Command("demo")
    .description("run Envoy with the sample policies, send requests, and serve until Ctrl-C")
    .option("--once", "send the requests and exit")
    .addHelpText("after", EXAMPLES)
    .action(async ({ once = false }: { once?: boolean }) => {
      try {
        await run(once);
      } catch (error) {
        if (error instanceof EnvoyUnavailable || error instanceof EnvoyFailure)
          throw new UserError(error.message);
        throw error;
      }
    });
}

async function run(once: boolean): Promise<void> {
  if (!existsSync(MODULE_FILE))
    throw new UserError(`${MODULE_FILE} does not exist yet: run \`npm run build\``);
  const stopping = new StopSignal();
  const progress = (line: string) => tell(printable(line), process.stderr);
  const envoy = await findEnvoy({ progress });
  progress(`starting ${envoy} …`);
  const demo = await Demo.start({ envoy, say: (line) => tell(printable(line)) });
  try {
    const wrong = await Promise.race([demo.play(), stopping.promise.then(() => 0)]);
    if (once || stopping.received) {
      if (wrong > 0) throw new UserError("");
      return;
    }
    serveUnread();
    demo.serve();
    await Promise.race([stopping.promise, demo.ended]);
    if (!stopping.received) throw new UserError("Envoy ended by itself");
  } finally {
    await demo.stop();
    stopping.forget();
  }
}
