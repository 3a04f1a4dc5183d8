/** Fetches the key sets that policies name, as the filter would. */
import type { Configuration } from "../config/schema.ts";
import { discover, fetchText } from "../jwks/discovery.ts";

export interface Fetched {
  /** Their text, by URL. */
  documents: Map<string, string>;
  /** Why others could not be fetched, by their URLs. */
  failures: Map<string, unknown>;
}

/**
 * Every document that the configuration's providers need, once.
 *
 * @param known what is at hand already, by URL: not fetched
 * @param caFile authorities of the servers' certificates, PEM; the system's where absent
 */
export async function fetchDocuments(
  { providers = [] }: Configuration,
  known: ReadonlyMap<string, string>,
  caFile?: string,
): Promise<Fetched> {
  const fetched: Fetched = { documents: new Map(known), failures: new Map() };
  const { documents, failures } = fetched;
  const get = async (uri: string): Promise<void> => {
    if (documents.has(uri) || failures.has(uri)) return;
    try {
      documents.set(uri, await fetchText(uri, { caFile }));
    } catch (error) {
      failures.set(uri, error);
    }
  };
  for (const { issuer = "", remoteJwks } of providers) {
    if (remoteJwks?.uri !== undefined) await get(remoteJwks.uri);
    const uri = remoteJwks?.discovery?.uri;
    if (uri === undefined) continue;
    await get(uri);
    if (!documents.has(uri)) continue;
    try {
      await get(await discover(uri, issuer, { caFile }));
    } catch (error) {
      failures.set(uri, error);
    }
  }
  return fetched;
}
