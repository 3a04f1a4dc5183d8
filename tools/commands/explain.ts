/** `jwtgate explain`: one request against policies, step by step. */
import { isIP } from "node:net";
import { Command, InvalidArgumentError, Option } from "commander";
import type { Configuration } from "../config/schema.ts";
import { printable, printableJson } from "../diagnostics.ts";
import { tlsInfo } from "../explain/certificate.ts";
import { CurlError, parseCurl } from "../explain/curl.ts";
import { type CompleteRequest, DEFAULT_LISTENER, DEFAULT_REQUEST, explain } from "../explain/explain.ts";
import { openGates } from "../explain/explainer.ts";
import { explanationToJson, formatExplanation } from "../explain/format.ts";
import { discoveredUri } from "../explain/gate.ts";
import { subjectOf } from "../explain/subject.ts";
import { wireText } from "../host/bytes.ts";
import { type Address, type Mode, PATH_NORMALIZATIONS, type PathNormalization } from "../render/bootstrap.ts";
import { type Fetched, fetchDocuments } from "../token/documents.ts";
import { parseListenAddress, parseMoment } from "../values.ts";
import { readDocument, readInput, readText } from "./input.ts";
import { loadModules } from "./module.ts";
import { formerOption, outputFileOption, print, resultStream } from "./output.ts";
import { addSourceOptions, addWorkloadOptions, loadPolicies, type PolicyOptions } from "./policies.ts";
import { styleFor } from "./style.ts";

interface Options extends PolicyOptions {
  curl?: string;
  method?: string;
  path?: string;
  host?: string;
  header?: [string, string][];
  token?: string;
  peer?: string;
  sni?: string;
  clientSan?: string[];
  mode: Mode;
  pathNormalization: PathNormalization;
  listen: Address;
  at?: number;
  /** The former name of `at`. */
  now?: number;
  jwksAt?: [string, string][];
  jwks?: [string, string][];
  fetch?: boolean;
  jwksCa?: string;
  json?: boolean;
}

const EXAMPLES = `
Examples:
  Why is this request refused?
    $ jwtgate explain -f envoy/istio/one-principal.yaml --path /productpage
  The same for a curl line, pasted unchanged; $NAME is taken from the environment, and the line is not run:
    $ jwtgate explain -f envoy/istio/one-principal.yaml --curl 'curl -H "Authorization: Bearer invalid" localhost/productpage'
  With a token from a file, at a time, and as JSON:
    $ jwtgate explain -f envoy/istio/one-principal.yaml --token @token.jwt --at 2026-01-31T12:00:00Z --json
  With the keys of a jwksUri, from a file or fetched now:
    $ jwtgate explain -f policies/ --token @token.jwt --jwks-at https://idp.example.com/jwks.json=keys.json
    $ jwtgate explain -f policies/ --token @token.jwt --fetch

The verdict is that of the module that runs in Envoy. Tokens and secrets are not printed. Exit code: 0 if the
request was explained, whatever the answer is; 1 if the policies are wrong; 2 if the command line is.`;

export function explainCommand(): Command {
  const command = new Command("explain").description(
    "one request against policies, step by step: which token, which key, which rule, which line",
  );
  addSourceOptions(command, false)
    .option("--json", "as JSON, for programs")
    .addOption(outputFileOption())
    .optionsGroup("The request:")
    .option("--curl <line>", "a curl line, as pasted; it is not run")
    .option("-X, --method <method>", "its method (default: GET)", parseMethod)
    .option("--path <path>", "its path, perhaps with a query (default: /)", parsePath)
    .option("--host <host>", "its Host header (default: localhost)")
    .option("-H, --header <line>", "a header, NAME: VALUE; may be given several times", parseHeader)
    .option("--token <token>", "after `Authorization: Bearer `; @FILE reads a file, @- standard input")
    .option("--peer <ip>", "address of the client (default: 127.0.0.1)", parseIp)
    .option("--sni <name>", "use TLS, with this server name")
    .option("--client-san <uri>", "use TLS, with a client certificate for this URI (spiffe://…)", parseList)
    .option(
      "--at <time>",
      "when: 2026-01-31T12:00:00Z, now+1h, seconds since 1970 (default: now)",
      parseMoment,
    )
    .addOption(formerOption("--now <time>", "--at", parseMoment))
    .optionsGroup("Keys that are fetched:")
    .option("--jwks-at <uri=file>", "the key set to use for a jwksUri; may be repeated", parseJwksAt)
    .addOption(formerOption("--jwks <uri=file>", "--jwks-at", parseJwksAt))
    .option("--fetch", "fetch key sets now, from their real servers")
    .option("--jwks-ca <file>", "authorities of these servers' certificates, PEM")
    .optionsGroup("The listener:")
    .addOption(
      new Option("--mode <mode>", "gateway: at the edge; sidecar: behind a proxy")
        .choices(["gateway", "sidecar"])
        .default("gateway"),
    )
    .addOption(
      new Option("--path-normalization <how>", "as in Istio's mesh config")
        .choices(PATH_NORMALIZATIONS)
        .default("BASE"),
    )
    .addOption(
      new Option("--listen <address>", "IP:PORT that it listens on")
        .argParser(parseListenAddress)
        .default({ host: "127.0.0.1", port: 8080 }, "127.0.0.1:8080"),
    );
  return addWorkloadOptions(command)
    .optionsGroup("Help:")
    .addHelpText("after", EXAMPLES)
    .action(async (_files: string[], options: Options) => {
      const request = readRequest(options, command);
      await run(options, request);
    });
}

async function run(options: Options, request: CompleteRequest): Promise<void> {
  const { sources, result } = await loadPolicies(options);
  const given = new Map(
    [...(options.jwksAt ?? []), ...(options.jwks ?? [])].map(([uri, file]) => [uri, readDocument(file)]),
  );
  const { documents, answers } =
    options.fetch && result.configuration
      ? await fetchAll(result.configuration, given, options.jwksCa)
      : { documents: given, answers: new Map() };
  if (result.configuration) warnOfUnused(result.configuration, given);
  const { mode, pathNormalization, listen } = options;
  const address = { ip: listen.host, port: listen.port };
  const subject = subjectOf(result, sources, options.namespace, {
    documents,
    answers,
    listener: { mode, pathNormalization, address, localAddress: DEFAULT_LISTENER.localAddress },
    now: options.at ?? options.now ?? Date.now(),
  });
  const gates = await openGates(await loadModules(), result, subject);
  const explanation = await explain(gates, subject, request);
  const whole = { explanation, subject, request };
  await print(
    options.json
      ? `${printableJson(explanationToJson(whole), 2)}\n`
      : formatExplanation(whole, styleFor(resultStream())),
  );
  if (
    !options.fetch &&
    explanation.authentication?.refusal === NO_KEYS &&
    gates.gate.fetchFailures.size === 0
  )
    process.stderr.write(
      "keys of a URL are not fetched here: fetch them with --fetch, or pass them with --jwks-at URI=FILE\n",
    );
}

/** Warns of a URI that no provider has; one wrong letter would otherwise look like missing keys. */
function warnOfUnused({ providers = [] }: Configuration, given: ReadonlyMap<string, string>): void {
  const asked = new Set(
    providers.flatMap(({ issuer, remoteJwks: { uri, discovery } = {} }) =>
      [uri, discovery?.uri, discoveredUri(discovery?.uri, issuer, given)].filter((one) => one !== undefined),
    ),
  );
  const known =
    asked.size === 0 ? "they contain all their keys" : `they take them from ${[...asked].join(", ")}`;
  for (const uri of given.keys()) {
    if (!asked.has(uri))
      process.stderr.write(
        `warning: ${printable(`--jwks-at ${uri}: no policy takes keys from there: ${known}`)}\n`,
      );
  }
}

/**
 * Fetches the documents that policies name. If no server answers, it prints why, and the filter decides without them.
 */
async function fetchAll(
  configuration: Configuration,
  given: ReadonlyMap<string, string>,
  jwksCa: string | undefined,
): Promise<Fetched> {
  const fetched = await fetchDocuments(configuration, given, jwksCa);
  for (const [uri, reason] of fetched.failures)
    process.stderr.write(`warning: --fetch: ${printable(`${uri}: ${reason}`)}\n`);
  return fetched;
}

/** The most bytes of a curl line's `@FILE`, which becomes a part of the URL, or a body. */
const MAX_DATA_BYTES = 1024 * 1024;

/** The body of a refusal because keys were not fetched (assembly/jose/status.ts). */
const NO_KEYS = "Jwks remote fetch is failed";

/** The request of the flags, or of the curl line with the flags applied to it. */
function readRequest(options: Options, command: Command): CompleteRequest {
  const { curl, header = [], token, peer = "127.0.0.1", sni, clientSan } = options;
  const pasted = curl === undefined ? undefined : readCurl(curl, command);
  const authorization: [string, string][] =
    token === undefined ? [] : [["authorization", `Bearer ${readToken(token)}`]];
  const hasTls = pasted?.isTls === true || sni !== undefined || clientSan !== undefined;
  const serverName = sni ?? (pasted?.isTls && isIP(pasted.hostname) === 0 ? pasted.hostname : undefined);
  const flags = [...header, ...authorization];
  const named = new Set(flags.map(([name]) => name.toLowerCase()));
  const kept = (pasted?.headers ?? []).filter(([name]) => !named.has(name.toLowerCase()));
  const headers = [...kept, ...flags];
  const host = headers.find(([name]) => name.toLowerCase() === "host")?.[1];
  const method = options.method ?? pasted?.method ?? "GET";
  const authority = options.host ?? host ?? pasted?.authority ?? "localhost";
  return {
    method,
    // The target of CONNECT is the host (RFC 9112, 3.2.3).
    path: options.path ?? pasted?.path ?? (method === "CONNECT" ? wireText(authority) : "/"),
    authority: wireText(authority),
    headers: headers
      .filter(([name]) => name.toLowerCase() !== "host")
      .map(([name, value]) => [wireText(name), wireText(value)]),
    body: wireText(pasted?.body ?? ""),
    peer: { ip: peer, port: DEFAULT_REQUEST.peer.port },
    protocol: "HTTP/1.1",
    ...(hasTls && {
      tls: tlsInfo({
        ...(serverName !== undefined && { serverName }),
        ...(clientSan && { uriSans: clientSan }),
      }),
    }),
  };
}

/** The headers that curl adds for ws:// and wss:// if they are missing (RFC 6455, 4.1); the key is arbitrary. */
function withWebSocketHeaders(headers: readonly [string, string][]): [string, string][] {
  const given = new Set(headers.map(([name]) => name.toLowerCase()));
  return [...WEBSOCKET_HEADERS.filter(([name]) => !given.has(name.toLowerCase())), ...headers];
}

const WEBSOCKET_HEADERS: [string, string][] = [
  ["Upgrade", "websocket"],
  ["Sec-WebSocket-Version", "13"],
  ["Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="],
  ["Connection", "Upgrade"],
];

function readCurl(line: string, command: Command) {
  try {
    const {
      method,
      url: text,
      headers,
      body,
    } = parseCurl(line, {
      variables: process.env,
      readFile: (path) => readInput(path, MAX_DATA_BYTES),
    });
    const isWebSocket = /^wss?:/i.test(text);
    const url = /^[a-z]+:\/\//i.test(text) ? text.replace(/^ws/i, "http") : `http://${text}`;
    if (!URL.canParse(url) || !/^https?:/i.test(url))
      throw new CurlError(`${text} is not a URL of http, https, ws or wss`);
    const { host, hostname, protocol } = new URL(url);
    // Unchanged: Envoy normalises paths, not this tool.
    const path = url.replace(/^[a-z]+:\/\/[^/?#]*/i, "").replace(/#.*/s, "");
    return {
      method,
      headers: isWebSocket ? withWebSocketHeaders(headers) : headers,
      body,
      authority: host,
      hostname,
      path: path.startsWith("/") ? path : `/${path}`,
      isTls: protocol === "https:",
    };
  } catch (error) {
    if (!(error instanceof CurlError)) throw error;
    return command.error(`error: --curl: ${error.message}`);
  }
}

function readToken(token: string): string {
  return token.startsWith("@") ? readText(token.slice(1)).trim() : token;
}

function parseMethod(text: string): string {
  if (/^[A-Z]+$/.test(text)) return text;
  throw new InvalidArgumentError("Write a method in capital letters, such as GET.");
}

function parsePath(text: string): string {
  if (/^\/[\x21-\x7e]*$/.test(text)) return text;
  throw new InvalidArgumentError("A path begins with / and has no spaces: write them as %20.");
}

function parseHeader(text: string, previous: [string, string][] = []): [string, string][] {
  const [, name, value] = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\0\r\n]*)$/.exec(text) ?? [];
  if (name === undefined || value === undefined) throw new InvalidArgumentError("Write NAME: VALUE.");
  return [...previous, [name, value]];
}

function parseIp(text: string): string {
  if (isIP(text) !== 0) return text;
  throw new InvalidArgumentError("Write an IP address, such as 10.1.2.3.");
}

function parseList(text: string, previous: string[] = []): string[] {
  return [...previous, text];
}

function parseJwksAt(text: string, previous: [string, string][] = []): [string, string][] {
  const [, uri, file] = /^(https?:\/\/.*)=([^=]+)$/.exec(text) ?? [];
  if (uri === undefined || file === undefined || !URL.canParse(uri)) {
    throw new InvalidArgumentError("Write URI=FILE, such as https://idp.example.com/jwks.json=keys.json.");
  }
  return [...previous, [uri, file]];
}
