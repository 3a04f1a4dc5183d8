/** OpenID Connect Discovery 1.0: asks an issuer where its keys are. */
import { readFileSync } from "node:fs";
import { get as getHttp, type IncomingMessage } from "node:http";
import { get as getHttps } from "node:https";
import { isMetadataService } from "./source.ts";

const TIMEOUT_MS = 10_000;
const MAX_BYTES = 262_144;

export interface FetchOptions {
  /** Authorities of the server's certificate, PEM; the system's where absent. */
  caFile?: string | undefined;
  /** Whether link-local addresses and metadata services are fetched from. */
  allowMetadataService?: boolean | undefined;
}

/**
 * @param uri of the discovery document
 * @param issuer that the document must name (section 4.3)
 * @returns its jwks_uri
 * @throws Error with the reason, for people
 */
export async function discover(uri: string, issuer: string, options: FetchOptions = {}): Promise<string> {
  const text = await fetchText(uri, options);
  const document = parse(text);
  if (document["issuer"] !== issuer) {
    throw new Error(`the document is of issuer ${JSON.stringify(document["issuer"])}, not of ${issuer}`);
  }
  const jwksUri = document["jwks_uri"];
  if (typeof jwksUri !== "string" || !/^https?:\/\//.test(jwksUri) || !URL.canParse(jwksUri)) {
    throw new Error("the document has no jwks_uri that is an http or https URL");
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
 * The body of an answer of 200. Redirects are not followed: the filter does not either.
 *
 * @throws Error with the reason, for people
 */
export async function fetchText(
  uri: string,
  { caFile, allowMetadataService = false }: FetchOptions = {},
): Promise<string> {
  if (!allowMetadataService && isMetadataService(new URL(uri))) {
    throw new Error("this is a link-local address or a metadata service, which has no keys");
  }
  return new Promise((resolve, reject) => {
    const receive = (response: IncomingMessage) => {
      if (response.statusCode !== 200) {
        response.resume();
        reject(new Error(`the server answers ${response.statusCode}`));
        return;
      }
      const chunks: Buffer[] = [];
      let size = 0;
      response.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > MAX_BYTES) response.destroy(new Error(`the document is larger than ${MAX_BYTES} bytes`));
        else chunks.push(chunk);
      });
      response.on("end", () => resolve(Buffer.concat(chunks).toString("utf8")));
      response.on("error", reject);
    };
    const options = { timeout: TIMEOUT_MS, signal: AbortSignal.timeout(TIMEOUT_MS) };
    const request = uri.startsWith("https:")
      ? getHttps(uri, { ...options, ...(caFile !== undefined && { ca: readFileSync(caFile) }) }, receive)
      : getHttp(uri, options, receive);
    request.on("error", reject);
  });
}
