/** OpenID Connect Discovery 1.0: asks an issuer for the URL of its keys. */
import { readFileSync } from "node:fs";
import { get as getHttp, type IncomingMessage } from "node:http";
import { get as getHttps } from "node:https";
import { MAX_JWKS_BYTES } from "./normalize.ts";
import { isMetadataService, requestUrl } from "./source.ts";

/** The filter's own default (`timeoutMs`). */
const TIMEOUT_MS = 5_000;

export interface FetchOptions {
  /** Authorities of the server's certificate, PEM; the system's if absent. */
  caFile?: string | undefined;
  /** Whether link-local addresses and metadata services may be asked. */
  allowMetadataService?: boolean | undefined;
  /** How long a fetch may take, in milliseconds; 5,000 if absent. */
  timeoutMs?: number | undefined;
  /** The longest body that is read, in bytes; 524,288 if absent. */
  maxBytes?: number | undefined;
}

/** What a server answered. */
export interface FetchedAnswer {
  status: number;
  /** The target of a redirect, as the server wrote it. */
  location?: string;
  body: Buffer;
}

/** The stage at which a fetch failed. */
export type Fault = "address" | "connection" | "closed" | "protocol" | "timeout" | "size";

/** No answer came, or it is too long to read. */
export class NoAnswer extends Error {
  override readonly name = "NoAnswer";
  constructor(
    message: string,
    readonly fault: Fault,
  ) {
    super(message);
  }
}

/**
 * @param uri of the discovery document
 * @param issuer that the document must name (section 4.3)
 * @returns its jwks_uri
 * @throws Error with the reason, as a message
 */
export async function discover(uri: string, issuer: string, options: FetchOptions = {}): Promise<string> {
  const text = await fetchText(uri, options);
  const document = parse(text);
  if (document["issuer"] !== issuer) {
    throw new Error(`the document is of issuer ${JSON.stringify(document["issuer"])}, not of ${issuer}`);
  }
  const jwksUri = document["jwks_uri"];
  if (typeof jwksUri !== "string") throw new Error("the document has no jwks_uri");
  // A URL parser drops control characters, and would ask the server for another document.
  if (!/^https?:\/\/\P{Cc}+$/iu.test(jwksUri) || requestUrl(jwksUri) === undefined) {
    throw new Error(
      `the document's jwks_uri ${JSON.stringify(jwksUri)} is not an http or https URL: write jwksUri in the policy`,
    );
  }
  return jwksUri;
}

function parse(text: string): Record<string, unknown> {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw new Error("the document is not JSON");
  }
  if (typeof document !== "object" || document === null) throw new Error("the document is not an object");
  return document as Record<string, unknown>;
}

/**
 * The body of an answer with status 200. Redirects are not followed: the filter does not follow them either.
 *
 * @throws Error with the reason, as a message
 */
export async function fetchText(uri: string, options: FetchOptions = {}): Promise<string> {
  const { status, location, body } = await fetchAnswer(uri, options);
  if (status === 200) return body.toString("utf8");
  const redirect = location === undefined ? "" : `, a redirect to ${location}, which is not followed`;
  throw new Error(`the server answers ${status}${redirect}`);
}

/**
 * The server's answer, with any status.
 *
 * @throws {NoAnswer} with the reason, as a message
 */
export async function fetchAnswer(uri: string, options: FetchOptions = {}): Promise<FetchedAnswer> {
  const { caFile, allowMetadataService = false, timeoutMs = TIMEOUT_MS, maxBytes = MAX_JWKS_BYTES } = options;
  if (!allowMetadataService && isMetadataService(new URL(uri))) {
    throw new NoAnswer("this is a link-local address or a metadata service, which has no keys", "connection");
  }
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    return await new Promise((resolve, reject) => {
      const receive = (response: IncomingMessage) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on("data", (chunk: Buffer) => {
          size += chunk.length;
          if (size <= maxBytes) chunks.push(chunk);
          else response.destroy(new NoAnswer(`the document is larger than ${maxBytes} bytes`, "size"));
        });
        response.on("end", () => {
          const { statusCode: status = 0, headers } = response;
          const { location } = headers;
          resolve({ status, ...(location !== undefined && { location }), body: Buffer.concat(chunks) });
        });
        response.on("error", reject);
      };
      const request = uri.startsWith("https:")
        ? getHttps(uri, { signal, ...(caFile !== undefined && { ca: readFileSync(caFile) }) }, receive)
        : getHttp(uri, { signal }, receive);
      request.on("error", reject);
    });
  } catch (error) {
    if (signal.aborted) throw new NoAnswer(`the server did not answer within ${timeoutMs} ms`, "timeout");
    if (error instanceof NoAnswer) throw error;
    throw new NoAnswer(error instanceof Error ? error.message : String(error), faultOf(error));
  }
}

/** By the names that Node gives errors of DNS, of sockets and of its HTTP parser. */
function faultOf(error: unknown): Fault {
  const code = String((error as { code?: unknown }).code ?? "");
  if (/^(ENOTFOUND|EAI_\w+)$/.test(code)) return "address";
  if (/^(ECONNRESET|EPIPE)$/.test(code)) return "closed";
  return code.startsWith("HPE_") ? "protocol" : "connection";
}
