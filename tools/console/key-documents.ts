/** Fetches key sets for the console's page: only those that policies name. */
import { compile, INSPECTED, type SourceFile } from "../compile.ts";
import type { Provider } from "../config/schema.ts";
import { discoveredUri } from "../explain/gate.ts";
import { type FetchOptions, fetchAnswer, NoAnswer } from "../jwks/discovery.ts";
import { isAllowedJwksUri } from "../token/documents.ts";

/** A server's answer, or why there is none. */
export type FetchedDocument = { status: number; body: string } | { error: string };

/** The documents of policies. */
export class KeyDocuments {
  private providers: readonly Provider[] = [];
  /** The URLs of keys in discovery documents. */
  private readonly discovered = new Set<string>();

  constructor(private readonly options: FetchOptions = {}) {}

  /** Loads other policies. While they have errors, the documents are those of the previous policies. */
  load(files: readonly SourceFile[]): void {
    const { workloads, diagnostics } = compile(files, { target: INSPECTED });
    if (diagnostics.some(({ severity }) => severity === "error")) return;
    this.providers = workloads.flatMap(({ configuration }) => configuration.providers ?? []);
    this.discovered.clear();
  }

  /** @returns undefined if no policy names the URI */
  async fetch(uri: string): Promise<FetchedDocument | undefined> {
    const naming = this.providers.filter(
      ({ remoteJwks }) => remoteJwks?.uri === uri || remoteJwks?.discovery?.uri === uri,
    );
    if (naming.length === 0 && !this.discovered.has(uri)) return undefined;
    try {
      const timeoutMs = naming[0]?.remoteJwks?.timeoutMs;
      const { status, body } = await fetchAnswer(uri, { timeoutMs, ...this.options });
      const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body);
      if (status === 200) this.discover(uri, text, naming);
      return { status, body: text };
    } catch (error) {
      if (error instanceof NoAnswer) return { error: error.message };
      if (error instanceof TypeError) return { error: "the document is not UTF-8" };
      throw error;
    }
  }

  /** Remembers the key set that a discovery document leads to, if the filter would fetch it. */
  private discover(uri: string, text: string, naming: readonly Provider[]): void {
    for (const { issuer, remoteJwks } of naming) {
      if (remoteJwks === undefined || remoteJwks.uri === uri) continue;
      const found = discoveredUri(uri, issuer, new Map([[uri, text]]));
      if (found !== undefined && isAllowedJwksUri(found, remoteJwks)) this.discovered.add(found);
    }
  }
}
