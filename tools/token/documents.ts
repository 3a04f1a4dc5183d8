/** Fetches the key sets that policies name, as the filter would, for the filter to judge. */
import { type Configuration, Limits, type RemoteJwks } from "../config/schema.ts";
import { discoveredUri } from "../explain/gate.ts";
import { latin1Decode } from "../host/bytes.ts";
import type { HttpResponse } from "../host/context.ts";
import { type Fault, fetchAnswer, NoAnswer } from "../jwks/discovery.ts";

export interface Fetched {
  /** The text of documents with status 200, by URL; bodies that are not UTF-8 are among the answers. */
  documents: Map<string, string>;
  /** The other answers, as Envoy would pass them to the filter. */
  answers: Map<string, HttpResponse>;
  /** Why no server answered for some URLs, as messages. */
  failures: Map<string, string>;
}

/**
 * Fetches every document that the configuration's providers need, once. The filter judges them.
 *
 * @param known documents that are already available, by URL: not fetched
 * @param caFile authorities of the servers' certificates, PEM; the system's if absent
 */
export async function fetchDocuments(
  { providers = [] }: Configuration,
  known: ReadonlyMap<string, string>,
  caFile?: string,
): Promise<Fetched> {
  const documents = new Map(known);
  const answers = new Map<string, HttpResponse>();
  const failures = new Map<string, string>();
  const get = async (uri: string, timeoutMs: number | undefined): Promise<void> => {
    if (documents.has(uri) || answers.has(uri)) return;
    try {
      const { status, location, body } = await fetchAnswer(uri, { caFile, timeoutMs, maxBytes: MAX_BYTES });
      const headers: [string, string][] = [SERVICE_TIME];
      if (location !== undefined) headers.push(["location", location]);
      const text = status === 200 ? textOf(body) : undefined;
      if (text === undefined) answers.set(uri, { status, headers, body: latin1Decode(body) });
      else documents.set(uri, text);
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      answers.set(uri, LOCAL_REPLIES[error.fault]);
      failures.set(uri, error.message);
    }
  };
  for (const { issuer = "", remoteJwks } of providers) {
    if (remoteJwks === undefined) continue;
    const { uri, discovery, timeoutMs } = remoteJwks;
    await get(uri ?? discovery?.uri ?? "", timeoutMs);
    const found = discoveredUri(discovery?.uri, issuer, documents);
    // The filter asks only servers that the policy's author named.
    if (found !== undefined && isAllowedJwksUri(found, remoteJwks)) await get(found, timeoutMs);
  }
  return { documents, answers, failures };
}

/** The text of UTF-8, with its byte order mark if it has one; undefined for other bytes. */
function textOf(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** Whether a discovered URL has the issuer's origin, or another that the policy allows. */
export function isAllowedJwksUri(found: string, { discovery }: RemoteJwks): boolean {
  if (!/^https?:/i.test(found) || !URL.canParse(found)) return false;
  const allowed = [discovery?.uri ?? "", ...(discovery?.jwksHosts ?? []).map(({ origin }) => origin)];
  return allowed.some((one) => URL.canParse(one) && new URL(one).origin === new URL(found).origin);
}

const reset = (reason: string) => ({
  body: `upstream connect error or disconnect/reset before headers. reset reason: ${reason}`,
});

/** Envoy's router adds it to answers of servers. */
const SERVICE_TIME: [string, string] = ["x-envoy-upstream-service-time", "0"];

/** The largest answer that a configuration can allow the filter to read, in bytes. */
const MAX_BYTES = Limits.properties.maxJwksBytes.maximum as number;

/**
 * Envoy's own answers if no server answers (source/common/router/router.cc). An answer that is too long to read is
 * passed over in a shorter form that is too long for every configuration.
 */
const LOCAL_REPLIES: Record<Fault, HttpResponse> = {
  address: { status: 503, body: "no healthy upstream" },
  connection: { status: 503, ...reset("remote connection failure") },
  closed: { status: 503, ...reset("connection termination") },
  protocol: { status: 502, ...reset("protocol error") },
  timeout: { status: 504, body: "upstream request timeout" },
  size: { status: 200, headers: [SERVICE_TIME], body: " ".repeat(MAX_BYTES + 1) },
};
