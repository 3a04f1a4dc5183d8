/** Reads policies from a cluster with the user's own `kubectl` and the user's own permissions. */
import { isAbsolute } from "node:path";
import type { SourceFile } from "../compile.ts";
import { asciiJson, printableLines } from "../diagnostics.ts";
import { findPrograms, isProgram, runProgram } from "../envoy/programs.ts";
import { UserError } from "./output.ts";

export interface ClusterOptions {
  /** A context of the kubeconfig; the current one if absent. */
  context?: string | undefined;
  /** A file; `kubectl`'s own default if absent. */
  kubeconfig?: string | undefined;
}

const RESOURCES = "requestauthentications.security.istio.io,authorizationpolicies.security.istio.io";

/** Our own kind. A cluster without its definition (schema/tokenpolicies.jwtgate.dev.yaml) has no policy of it. */
const TOKEN_POLICIES = "tokenpolicies.jwtgate.dev";
const NO_TOKEN_POLICIES = /the server doesn't have a resource type "tokenpolicies"/;

/** How long `kubectl` waits for an answer. */
const REQUEST_TIMEOUT_S = 30;

/** How long the tool waits for `kubectl`, which may have to log in first. */
const TIMEOUT_MS = 60_000;

/** Some ten thousand policies. */
const MAX_BYTES = 64 * 1024 * 1024;

/** How many lines of `kubectl`'s error output are shown. */
const MAX_LINES = 10;

/**
 * Reads the policies of all namespaces.
 *
 * @returns a file for each, named `<cluster>/NAMESPACE/KIND/NAME`, whose lines are those of `kubectl get KIND NAME -o
 *   json`
 * @throws {UserError} if `kubectl` is missing, fails, or does not end in time
 */
export async function readCluster(options: ClusterOptions): Promise<SourceFile[]> {
  const kubectl = findKubectl(process.env);
  const all = await get(kubectl, `${RESOURCES},${TOKEN_POLICIES}`, options);
  const isDefined = all.code === 0 || !NO_TOKEN_POLICIES.test(all.stderr);
  const { code, failure, stdout, stderr, isCut, timedOut } = isDefined
    ? all
    : await get(kubectl, RESOURCES, options);
  if (timedOut) throw new UserError(`error: kubectl did not end within ${TIMEOUT_MS / 1000} s`);
  if (code !== 0) throw new UserError(`error: kubectl failed: ${failure ?? complaint(stderr, code)}`);
  if (isCut) throw new UserError(`error: kubectl printed more than ${MAX_BYTES / 1024 / 1024} MiB`);
  const files = itemsOf(stdout).map(fileOf);
  return files.length > 0 ? files : [{ name: "<cluster>", text: "", documents: [] }];
}

function get(kubectl: string, resources: string, { context, kubeconfig }: ClusterOptions) {
  const args = ["get", resources, "--all-namespaces", "--output=json"];
  args.push(`--request-timeout=${REQUEST_TIMEOUT_S}s`);
  if (context !== undefined) args.push(`--context=${context}`);
  if (kubeconfig !== undefined) args.push(`--kubeconfig=${kubeconfig}`);
  return runProgram(kubectl, args, { timeoutMs: TIMEOUT_MS, maxOutput: MAX_BYTES });
}

function findKubectl(environment: NodeJS.ProcessEnv): string {
  const { KUBECTL = "" } = environment;
  if (KUBECTL !== "") {
    if (isAbsolute(KUBECTL) && isProgram(KUBECTL)) return KUBECTL;
    throw new UserError("error: KUBECTL is not the absolute path of a program");
  }
  const [found] = findPrograms("kubectl", environment);
  if (found !== undefined) return found;
  throw new UserError(
    `error: kubectl was not found: install it (https://kubernetes.io/docs/tasks/tools/), set KUBECTL to its path, or pipe in what it prints elsewhere: kubectl get ${RESOURCES} -A -o yaml`,
  );
}

/** A line of kubectl's log. It logs a refused connection six times before it prints the error. */
const KLOG_LINE = /^[EIW]\d{4} \d\d:/;

/** The error output of `kubectl`, as lines that cannot control a terminal. */
function complaint(stderr: string, code: number | undefined): string {
  const all = stderr.trim().split("\n");
  const own = all.filter((line) => !KLOG_LINE.test(line));
  const lines = (own.length > 0 ? own : all).slice(-MAX_LINES).map((line) => line.slice(0, 500));
  const said = printableLines(lines.join("\n"));
  if (said === "") return code === undefined ? "a signal ended it" : `it ended with ${code}`;
  return /the server doesn't have a resource type/.test(said)
    ? `${said}\nIs Istio installed in this cluster?`
    : said;
}

interface Item {
  kind: string;
  metadata: { name: string; namespace: string };
}

function itemsOf(json: string): Item[] {
  try {
    const { items } = JSON.parse(json) as { items: unknown };
    if (Array.isArray(items) && items.every(isItem)) return items;
  } catch {
    // Not JSON, or a value without items.
  }
  throw new UserError("error: kubectl printed no list of policies");
}

function isItem(value: unknown): value is Item {
  const { kind, metadata } = (value ?? {}) as Partial<Item>;
  return [kind, metadata?.name, metadata?.namespace].every((text) => typeof text === "string");
}

/** `kubectl` prints JSON with an indentation of four spaces, and its keys in the order in which it received them. */
function fileOf(item: Item): SourceFile {
  const { name, namespace } = item.metadata;
  return { name: `<cluster>/${namespace}/${item.kind}/${name}`, text: asciiJson(item, 4) };
}
