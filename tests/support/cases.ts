/** The recorded cases (tests/cases/README.md), and how an answer is compared with the recorded one. */
import { readdirSync, readFileSync } from "node:fs";
import { type CompileResult, compile } from "../../tools/compile.ts";
import type { Configuration } from "../../tools/config/schema.ts";
import { formatDiagnostic } from "../../tools/diagnostics.ts";
import type { Host } from "../../tools/host/host.ts";
import type { ListenerOptions, PathNormalization } from "../../tools/host/http-connection-manager.ts";

export interface Expectation {
  status: number;
  body?: string;
  www_authenticate?: string;
  content_type?: string;
  details?: string;
  grpc_status?: string;
  grpc_message?: string;
  upstream?: { method: string; path: string; headers: [string, string][] };
}

export interface CaseRequest {
  name: string;
  method: string;
  path: string;
  authority: string;
  headers: [string, string][];
  body?: string;
  expect: Expectation;
}

export interface Case {
  file: string;
  name: string;
  policies: string;
  mode: "gateway" | "sidecar";
  port: number;
  normalization?: PathNormalization;
  oracle: {
    status: "applied" | "ignored" | "nack";
    ignored?: { kind: string; namespace: string; name: string; message: string }[];
  };
  requests: CaseRequest[];
}

/** The result of a request, wherever it ran. Text is latin-1, header names in lower case. */
export interface Actual {
  status: number;
  headers: readonly (readonly [string, string])[];
  body: string;
  details: string | undefined;
  upstream?: { method: string; path: string; headers: readonly (readonly [string, string])[] } | undefined;
}

const FOLDER = new URL("../cases/", import.meta.url);

/** Every recorded case, in the order of the files' names. */
export function recordedCases(): Case[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith(".json"))
    .sort()
    .map((file) => ({ ...(JSON.parse(readFileSync(new URL(file, FOLDER), "utf8")) as Case), file }));
}

/**
 * What istiod refuses and jwtgate accepts: Envoy accepts a fetched set with such a key, and key sets are read in one
 * way (docs/differences.md).
 */
export const WIDER = new Set(["keyset/crv missing"]);

/** Whether istiod or Envoy refused a resource of the case, so that jwtgate must refuse them all. */
export function isRefused({ name, oracle }: Case): boolean {
  if (WIDER.has(name)) return false;
  return oracle.status !== "applied" || (oracle.ignored ?? []).length > 0;
}

/** The file's name in positions of a case's policies. */
export const POLICIES = "policies.yaml";

export function compileCase({ policies }: Case): CompileResult {
  return compile([{ name: POLICIES, text: policies }]);
}

/** The configuration of a case that jwtgate accepts. */
export function configurationOf(recorded: Case): Configuration {
  const { configuration, diagnostics } = compileCase(recorded);
  if (configuration === undefined) {
    throw new Error(`${recorded.name} does not compile:\n${diagnostics.map(formatDiagnostic).join("\n")}`);
  }
  return configuration;
}

/** The listener on which a case was recorded, for the host in Node. */
export function listenerOf(
  { mode, normalization, port }: Case,
  { directRemoteAddress }: Configuration,
): ListenerOptions {
  return {
    mode,
    pathNormalization: normalization ?? "BASE",
    address: { ip: "127.0.0.1", port },
    ...(directRemoteAddress !== undefined && { directRemoteAddressKey: directRemoteAddress }),
  };
}

/** Envoy's own headers towards the backend. */
const OWN = /^(x-request-id|x-envoy-.*|x-forwarded-.*)$/;

/** The differences from the recorded answer, one on each line. */
export function differences(
  actual: Actual,
  expected: Expectation,
  request: CaseRequest,
  mode: Case["mode"],
): string[] {
  const found: string[] = [];
  const compare = (what: string, is: unknown, should: unknown): void => {
    const [isText, shouldText] = [is, should].map((value) => JSON.stringify(value) ?? "nothing");
    if (isText !== shouldText) found.push(`${what} is ${isText}, and should be ${shouldText}`);
  };
  const header = (name: string): string | undefined => actual.headers.find(([other]) => other === name)?.[1];

  compare("status", actual.upstream === undefined ? actual.status : 200, expected.status);
  if (expected.upstream === undefined) {
    compare("body", actual.body, expected.body);
    compare("www-authenticate", header("www-authenticate"), expected.www_authenticate);
    compare("content-type", header("content-type"), expected.content_type);
    compare("details", actual.details, expected.details);
    compare("grpc-status", header("grpc-status"), expected.grpc_status);
    compare("grpc-message", header("grpc-message"), expected.grpc_message);
    compare("forwarded", actual.upstream !== undefined, false);
  } else if (actual.upstream === undefined) {
    found.push(`not forwarded: ${JSON.stringify({ body: actual.body, details: actual.details })}`);
  } else {
    compare("method at the backend", actual.upstream.method, expected.upstream.method);
    compare("path at the backend", actual.upstream.path, expected.upstream.path);
    const own = new Set(request.headers.map(([name]) => name.toLowerCase()));
    const seen = (headers: readonly (readonly [string, string])[]): string[] =>
      headers
        .map(([name, value]): [string, string] => [name.toLowerCase(), value])
        .filter(([name]) => !OWN.test(name) || own.has(name))
        // The order of different names has no meaning (RFC 9110, 5.3); sorting is stable, so values keep theirs.
        .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
        .map(([name, value]) => `${name}: ${comparable(name, value, mode)}`);
    compare("headers at the backend", seen(actual.upstream.headers), seen(expected.upstream.headers));
  }
  return found;
}

/** A header's value without the parts that differ between machines. */
function comparable(name: string, value: string, mode: Case["mode"]): string {
  // A gateway appends Envoy's own address for a peer on the loopback.
  if (name === "x-forwarded-for" && mode === "gateway") return value.replace(/(^|,)[^,]+$/, "$1ENVOY");
  const object = decodeObject(value);
  return object === undefined ? value : JSON.stringify(sorted(object));
}

/** A claim that is an object is in a header as base64 of JSON whose members have no defined order. */
function decodeObject(value: string): object | undefined {
  if (!/^[A-Za-z0-9+/]{4,}={0,2}$/.test(value)) return undefined;
  try {
    const decoded: unknown = JSON.parse(Buffer.from(value, "base64").toString());
    return typeof decoded === "object" && decoded !== null ? decoded : undefined;
  } catch {
    return undefined;
  }
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, inner]) => [name, sorted(inner)]),
  );
}

/** Sends a recorded request to a module in a host. */
export async function send(host: Host, request: CaseRequest): Promise<Actual> {
  const stream = host.send(request);
  // For a request that waits for keys: a second passes, and its fetches are answered.
  for (let seconds = 0; stream.outcome === undefined && seconds < 60; seconds++) {
    host.advance(1000);
    await host.settle();
  }
  if (stream.outcome === undefined) throw new Error(`${request.name}: the filter holds the request`);
  const { answer = { status: 200, headers: [], body: "", details: undefined }, upstream } = stream.outcome;
  return { ...answer, upstream };
}
