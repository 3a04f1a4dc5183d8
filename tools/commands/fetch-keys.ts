/** Fetches the key sets of a configuration from their real servers, as the filter would. */
import type { Configuration } from "../config/schema.ts";
import { UserError } from "./output.ts";

const TIMEOUT_MS = 10_000;
/** Limit of a key set (docs/strictness.md, S12). */
const MAX_BYTES = 256 * 1024;

/**
 * @param documents get what was fetched, by URL; what is there already is not fetched
 * @throws {UserError} where a server does not give a document
 */
export async function fetchKeys(configuration: Configuration, documents: Map<string, string>): Promise<void> {
  for (const { remoteJwks } of configuration.providers ?? []) {
    if (remoteJwks === undefined) continue;
    const discovery = remoteJwks.discovery?.uri;
    if (discovery !== undefined) await fetchInto(discovery, documents);
    const uri = remoteJwks.uri ?? jwksUriOf(documents.get(discovery ?? "") ?? "{}", discovery ?? "");
    await fetchInto(uri, documents);
  }
}

function jwksUriOf(text: string, discovery: string): string {
  try {
    const { jwks_uri: uri } = JSON.parse(text) as { jwks_uri?: unknown };
    if (typeof uri === "string" && URL.canParse(uri)) return uri;
  } catch {
    // Said below.
  }
  throw new UserError(`error: --fetch: ${discovery}: the document names no jwks_uri`);
}

async function fetchInto(uri: string, documents: Map<string, string>): Promise<void> {
  if (documents.has(uri)) return;
  try {
    const response = await fetch(uri, { signal: AbortSignal.timeout(TIMEOUT_MS), redirect: "error" });
    if (response.status !== 200) throw new Error(`the server answered ${response.status}`);
    const text = await response.text();
    if (text.length > MAX_BYTES) throw new Error(`the answer is larger than ${MAX_BYTES / 1024} KiB`);
    documents.set(uri, text);
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    throw new UserError(`error: --fetch: ${uri}: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}
