/**
 * Runs prepared tests in a real Envoy: with the bootstrap that `compile` writes, and an upstream that returns what it
 * received.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { Envoy } from "../envoy/process.ts";
import type { Subject } from "../explain/explain.ts";
import type { Documents } from "../explain/gate.ts";
import type { Outcome } from "../host/host.ts";
import { cluster, type Message, renderBootstrap } from "../render/bootstrap.ts";
import {
  type CaseResult,
  judge,
  type SuiteResult,
  skippedCase,
  skippedProperty,
  suiteResult,
} from "./run.ts";
import { Bail } from "./select.ts";
import type { PreparedCase, Suite } from "./suite.ts";

export interface EnvoyChoice {
  /** The executable. */
  binary: string;
  /** The filter's module. */
  module: string;
}

/** The answer's header for Envoy's response-code details. */
const DETAILS = "x-jwtgate-test-details";
/** The answer's header for the rule that decided, from filter state. */
const RULE = "x-jwtgate-test-rule";
/** The answer's header for the request that the upstream received. */
const RECEIVED = "x-jwtgate-test-received";

const TIMEOUT_MS = 10_000;

/**
 * Runs the tests of a suite. Tests that a real Envoy cannot run are skipped, with the reason.
 *
 * @param bail ends the run after some failures; absent: all tests are run
 */
export async function runSuiteInEnvoy(
  suite: Suite,
  choice: EnvoyChoice,
  bail = new Bail(),
): Promise<SuiteResult> {
  const begun = performance.now();
  const cases: CaseResult[] = [];
  const reasons = suite.cases.map((test) => test.skip ?? bail.reason ?? unsuited(suite, test));
  if (reasons.every((reason) => reason !== undefined)) {
    const none = suite.cases.map((test, i) => skippedCase(test, reasons[i] ?? ""));
    return suiteResult(suite, [...none, ...unproven(suite)], performance.now() - begun);
  }
  const upstream = await serve((request, response) => tellReceived(request, response));
  const keys = await serve((request, response) => serveDocument(request, response, suite.subject.documents));
  let envoy: Envoy | undefined;
  try {
    envoy = await Envoy.start({
      binary: choice.binary,
      bootstrap: bootstrapOf(suite, choice, upstream, keys),
    });
    const port = await envoy.portOf(LISTENER);
    for (const [i, test] of suite.cases.entries()) {
      const reason = reasons[i] ?? bail.reason;
      const subject = withPort(suite.subject, port);
      const result = reason === undefined ? await runCase(test, subject, port) : skippedCase(test, reason);
      bail.count(result.failures.length > 0);
      cases.push(result);
    }
  } finally {
    await envoy?.stop();
    for (const server of [upstream, keys]) server.close();
    for (const server of [upstream, keys]) server.closeAllConnections();
  }
  return suiteResult(suite, [...cases, ...unproven(suite)], performance.now() - begun);
}

function unproven({ properties }: Suite): CaseResult[] {
  return properties.map((property) => skippedProperty(property, "properties are proven without --envoy"));
}

/** Why a test cannot be run in a real Envoy. */
function unsuited({ subject, hasClock }: Suite, { request, now }: PreparedCase): string | undefined {
  if (hasClock || now !== subject.now) return "Envoy's clock cannot be set (at:)";
  if (request.tls) return "the client's TLS cannot be simulated with --envoy";
  if (!/^127\./.test(request.peer.ip)) return "only peers in 127.0.0.0/8 can connect with --envoy";
  return undefined;
}

const LISTENER = "gate";

/** As `compile --output envoy` writes it, with a listener on a free port, and details in the answers. */
function bootstrapOf(
  { subject, hasAddress }: Suite,
  { module }: EnvoyChoice,
  upstream: Server,
  keys: Server,
): Message {
  const { configuration, listener } = subject;
  const { ip, port } = listener.address;
  const withState = { ...configuration, filterState: true };
  const bootstrap = renderBootstrap(withState, {
    listen: { host: ip, port: hasAddress ? port : 0 },
    upstream: { host: "127.0.0.1", port: portOf(upstream) },
    mode: listener.mode,
    pathNormalization: listener.pathNormalization,
    module,
    sharesPort: false,
  });
  const { listeners, clusters } = bootstrap["static_resources"] as Record<string, Message[]>;
  const manager = managerOf(listeners?.[0]);
  delete manager["access_log"];
  manager["local_reply_config"] = tellDecisions();
  Object.assign(manager["route_config"] as Message, { response_headers_to_add: [TELL_RULE] });
  const replaced = clusters?.map((message) =>
    message["name"] === "upstream"
      ? message
      : cluster({ name: String(message["name"]), address: { host: "127.0.0.1", port: portOf(keys) } }),
  );
  return { ...bootstrap, static_resources: { listeners, clusters: replaced } };
}

function managerOf(listener: Message | undefined): Message {
  type Chains = { filters: { typed_config: Message }[] }[];
  const [chain] = (listener?.["filter_chains"] ?? []) as Chains;
  const manager = chain?.filters[0]?.typed_config;
  if (manager === undefined) throw new Error("the listener has no connection manager");
  return manager;
}

/** Adds the details to Envoy's own answers, in a header; nothing else about them changes. */
function tellDecisions(): Message {
  const comparison = { op: "GE", value: { default_value: 0, runtime_key: "jwtgate.test.any_status" } };
  const details = added(DETAILS, "%RESPONSE_CODE_DETAILS%");
  return {
    mappers: [{ filter: { status_code_filter: { comparison } }, headers_to_add: [details, TELL_RULE] }],
  };
}

function added(key: string, value: string): Message {
  return { header: { key, value }, append_action: "OVERWRITE_IF_EXISTS_OR_ADD" };
}

const TELL_RULE = added(RULE, "%FILTER_STATE(wasm.jwtgate.policy:PLAIN)%");

function withPort(subject: Subject, port: number): Subject {
  const { listener } = subject;
  return { ...subject, listener: { ...listener, address: { ...listener.address, port } } };
}

async function runCase(test: PreparedCase, subject: Subject, port: number): Promise<CaseResult> {
  const started = performance.now();
  let outcome: Outcome;
  try {
    outcome = await send(test, subject.listener.address.ip, port);
  } catch (error) {
    return unanswered(test, error, performance.now() - started);
  }
  return judge(test, subject, outcome, performance.now() - started);
}

/** A failed connection, or an answer that cannot be read, is this test's failure; the others still run. */
function unanswered({ name, table, at }: PreparedCase, error: unknown, milliseconds: number): CaseResult {
  const actual = error instanceof Error ? error.message : String(error);
  const failures = [{ what: "answer", at, expected: "an answer of HTTP/1.1", actual }];
  return { name, ...(table !== undefined && { table }), at, failures, answer: "none", milliseconds };
}

/** Sends one request on its own connection, with exactly the bytes of the test. */
async function send({ request }: PreparedCase, host: string, port: number): Promise<Outcome> {
  const { method, path, authority, headers, body, peer } = request;
  const length: [string, string][] = body === "" ? [] : [["content-length", String(body.length)]];
  const lines = [["host", authority], ...headers, ...length, ["connection", "close"]];
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const text = await exchange(`${method} ${path} HTTP/1.1\r\n${head}\r\n${body}`, host, port, peer.ip);
  const [start = "", ...rest] = text.split("\r\n\r\n");
  const [statusLine = "", ...fields] = start.split("\r\n");
  const answer = fields.map((line): [string, string] => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  const header = (name: string) => answer.find(([other]) => other === name)?.[1];
  const rule = header(RULE) ?? "";
  // Envoy writes - for absent values.
  const properties: Outcome["properties"] = rule === "" || rule === "-" ? {} : { "jwtgate.policy": rule };
  const said = { logs: [], properties };
  const received = header(RECEIVED);
  if (received !== undefined) {
    const upstream = JSON.parse(Buffer.from(received, "base64").toString()) as Outcome["upstream"];
    return { ...(upstream && { upstream }), ...said };
  }
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(statusLine)?.[1]);
  if (Number.isNaN(status))
    throw new Error(text === "" ? "the connection was closed" : JSON.stringify(statusLine));
  const own = answer.filter(([name]) => name !== DETAILS && name !== RULE);
  const chunked = header("transfer-encoding") === "chunked";
  const content = rest.join("\r\n\r\n");
  const details = header(DETAILS) ?? "";
  return {
    answer: { status, headers: own, body: chunked ? unchunk(content) : content, details },
    ...said,
  };
}

/** @returns everything that came until the other end closed */
function exchange(message: string, host: string, port: number, from: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect({ host, port, localAddress: from });
    socket.setTimeout(TIMEOUT_MS, () =>
      socket.destroy(new Error(`Envoy did not answer within ${TIMEOUT_MS} ms`)),
    );
    socket.on("connect", () => socket.write(message, "latin1"));
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("error", reject);
    socket.on("close", () => resolve(Buffer.concat(chunks).toString("latin1")));
  });
}

/** RFC 9112 §7.1. */
function unchunk(text: string): string {
  let body = "";
  for (let at = 0; ; ) {
    const end = text.indexOf("\r\n", at);
    const size = end < 0 ? 0 : Number.parseInt(text.slice(at, end), 16);
    if (!(size > 0)) return body;
    body += text.slice(end + 2, end + 2 + size);
    at = end + 4 + size;
  }
}

async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<Server> {
  const server = createServer({ insecureHTTPParser: true, maxHeaderSize: 256 * 1024 }, answer);
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  return server;
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

function tellReceived(request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  request.on("end", () => {
    const { method = "", url = "", rawHeaders } = request;
    const headers = rawHeaders.flatMap((name, i) =>
      i % 2 === 0 ? [[name.toLowerCase(), rawHeaders[i + 1] ?? ""]] : [],
    );
    const received = Buffer.from(JSON.stringify({ method, path: url, headers, body: "" })).toString("base64");
    response.writeHead(200, { [RECEIVED]: received }).end();
  });
}

function serveDocument(request: IncomingMessage, response: ServerResponse, documents: Documents): void {
  for (const [uri, text] of documents) {
    const { host, pathname, search } = new URL(uri);
    const matches =
      request.url === `${pathname}${search}` &&
      (request.headers.host ?? "").split(":")[0] === host.split(":")[0];
    if (matches) return void response.writeHead(200, { "content-type": "application/json" }).end(text);
  }
  response.writeHead(404).end();
}
