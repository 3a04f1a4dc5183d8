/** Envoys for tests: the project's own parts of a bootstrap, and what only tests need. */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Envoy, type EnvoyOptions } from "../../tools/envoy/process.ts";
import { findEnvoy } from "../../tools/envoy/provision.ts";
import { bootstrap, type Message } from "../../tools/render/bootstrap.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** The built filter. */
export const MODULE = `${ROOT}build/jwtgate.wasm`;
/** The traced filter. */
export const TRACE_MODULE = `${ROOT}build/jwtgate.trace.wasm`;

let found: Promise<string> | undefined;

/** The Envoy that tests run: ENVOY_BIN, the PATH's, or the pinned one in the user's cache folder. */
export function envoyBinary(): Promise<string> {
  found ??= findEnvoy({ progress: (line) => process.stderr.write(`${line}\n`) });
  return found;
}

/** That Envoy's version, as `1.40.0`. */
export async function envoyVersion(): Promise<string> {
  const text = execFileSync(await envoyBinary(), ["--version"], { encoding: "utf8" });
  const version = /\/(1\.\d+\.\d+)\//.exec(text)?.[1];
  if (version === undefined) throw new Error(`this is not a version of Envoy: ${text}`);
  return version;
}

/** The second number of that Envoy's version: 40 for 1.40.0. */
export async function envoyMinorVersion(): Promise<number> {
  return Number((await envoyVersion()).split(".")[1]);
}

/** Starts an Envoy and waits until it serves. */
export async function startEnvoy(
  parts: { listeners: Message[]; clusters: Message[] },
  options: Partial<EnvoyOptions> = {},
): Promise<Envoy> {
  return Envoy.start({ binary: await envoyBinary(), bootstrap: bootstrap(parts), ...options });
}

/** The header with Envoy's response-code details, for tests, on answers that Envoy makes itself. */
export const DETAILS_HEADER = "x-response-code-details";

/** The connection manager's configuration inside a listener. */
export function connectionManager(listener: Message): Message {
  type Filters = { typed_config: Message }[];
  const [chain] = listener["filter_chains"] as { filters: Filters }[];
  const manager = chain?.filters[0]?.typed_config;
  if (manager === undefined) throw new Error("the listener has no connection manager");
  return manager;
}

/** The configuration of the Wasm plugin inside a listener. */
export function wasmPlugin(listener: Message): Message {
  const filters = connectionManager(listener)["http_filters"] as { name: string; typed_config: Message }[];
  const plugin = filters.find(({ name }) => name === "jwtgate")?.typed_config["config"];
  if (plugin === undefined) throw new Error("the listener has no Wasm plugin");
  return plugin as Message;
}

/** Adds the details to a listener's own answers, in a header; nothing else about them changes. */
export function tellDetails(listener: Message): Message {
  connectionManager(listener)["local_reply_config"] = {
    mappers: [
      {
        filter: {
          status_code_filter: {
            comparison: { op: "GE", value: { default_value: 0, runtime_key: "jwtgate.tests.any_status" } },
          },
        },
        headers_to_add: [
          {
            header: { key: DETAILS_HEADER, value: "%RESPONSE_CODE_DETAILS%" },
            append_action: "OVERWRITE_IF_EXISTS_OR_ADD",
          },
        ],
      },
    ],
  };
  return listener;
}
