/** The keys of a test file: made or read, and put where the policies look for keys. */
import type { Configuration, Provider } from "../config/schema.ts";
import { closest } from "../istio/fields.ts";
import { quote } from "../istio/report.ts";
import { DEFAULT_ALGORITHM } from "../jwks/algorithms.ts";
import { normalizeJwks } from "../jwks/normalize.ts";
import type { Context } from "./context.ts";
import { SigningKey } from "./mint.ts";
import type { Key } from "./schema.ts";

export class Keyring {
  private readonly keys = new Map<string, SigningKey>();

  private constructor(
    private readonly described: Readonly<Record<string, Key>>,
    private readonly context: Context,
  ) {}

  /** @param described the test file's `keys` */
  static async open(described: Readonly<Record<string, Key>>, context: Context): Promise<Keyring> {
    const keyring = new Keyring(described, context);
    for (const [name, key] of Object.entries(described)) await keyring.makeKey(name, key);
    return keyring;
  }

  /** The key of that name; none if it is only a key set, or faulty. */
  get(name: string): SigningKey | undefined {
    return this.keys.get(name);
  }

  private async makeKey(name: string, key: Key): Promise<void> {
    const { alg, kid = name, jwk, file, jwks } = key;
    const at = this.context.at("keys", name);
    const sources = [jwk, file, jwks].filter((source) => source !== undefined);
    if (sources.length > 1) {
      this.context.report.error(at, `keys.${name} has several of jwk, file and jwks: keep one`);
    } else if (jwks === undefined) {
      try {
        if (jwk === undefined && file === undefined) {
          const chosen = alg ?? DEFAULT_ALGORITHM;
          const made = await this.context.makeKey(chosen, `keys.${name}`);
          this.keys.set(name, SigningKey.with(made, chosen, kid));
          return;
        }
        const text = file === undefined ? JSON.stringify(jwk) : this.context.text(file, at);
        if (text === undefined) return;
        const id = key.kid ?? kidOf(text) ?? name;
        this.keys.set(name, await SigningKey.from(text, id, alg, this.context.readPem));
      } catch {
        // The library's message may quote the key.
        const where = this.context.at("keys", name, file === undefined ? "jwk" : "file");
        this.context.report.error(
          where,
          `keys.${name} is not a private key: write PEM, or a JWK with its private members`,
        );
      }
    }
  }

  /** Puts the file's keys where the policies look for keys. */
  trust(configuration: Configuration, documents: Map<string, string>): void {
    const providers = configuration.providers ?? [];
    // Providers that fetch from one URL get one document.
    const chosen = new Map<Provider | string, { provider: Provider; keys: object[]; literal?: string }>();
    for (const [name, { issuer, jwksUri, jwks }] of Object.entries(this.described)) {
      for (const [field, wanted] of Object.entries({ issuer, jwksUri })) {
        if (wanted === undefined) continue;
        const found = providers.filter((provider) => namesOf(provider, field).includes(wanted));
        if (found.length === 0)
          this.context.report.error(
            this.context.at("keys", name, field),
            unknownOrigin(field, wanted, providers),
          );
        for (const provider of found) {
          const place = provider.remoteJwks?.uri ?? provider.remoteJwks?.discovery?.uri ?? provider;
          const entry = chosen.get(place) ?? { provider, keys: [] };
          const jwk = this.keys.get(name)?.jwk;
          if (jwk && !entry.keys.some((other) => JSON.stringify(other) === JSON.stringify(jwk)))
            entry.keys.push(jwk);
          chosen.set(place, { ...entry, ...(jwks !== undefined && { literal: jwks }) });
        }
      }
    }
    for (const { provider, keys, literal } of chosen.values()) {
      const text = literal ?? JSON.stringify({ keys });
      if (provider.remoteJwks) serve(provider, text, documents);
      else this.replace(provider, text);
    }
  }

  private replace(provider: Provider, text: string): void {
    const { keys, problems } = normalizeJwks(text);
    if (keys.length > 0) {
      provider.localJwks = { keys };
      return;
    }
    const [index] = Object.entries(this.described).filter(([, key]) => key.jwks === text);
    const at = index ? this.context.at("keys", index[0], "jwks") : this.context.at("keys");
    for (const { message } of problems) this.context.report.error(at, `jwks: ${message}`);
  }
}

function kidOf(text: string): string | undefined {
  if (!text.trimStart().startsWith("{")) return undefined;
  const { kid } = JSON.parse(text) as { kid?: unknown };
  return typeof kid === "string" ? kid : undefined;
}

/** The names by which a key's `issuer` or `jwksUri` can refer to a provider. */
function namesOf({ issuer, remoteJwks }: Provider, field: string): string[] {
  const names = field === "issuer" ? [issuer] : [remoteJwks?.uri, remoteJwks?.discovery?.uri];
  return names.filter((name) => name !== undefined);
}

function unknownOrigin(field: string, wanted: string, providers: readonly Provider[]): string {
  const names = [...new Set(providers.flatMap((provider) => namesOf(provider, field)))];
  const meant = closest(wanted, names);
  const have = meant ? `did you mean ${meant}?` : `there is ${names.join(", ") || "none"}`;
  return `no rule of the policies has the ${field} ${quote(wanted)}: ${have}`;
}

/** Puts a key set where a provider fetches it; with discovery, also the document that leads there. */
function serve({ issuer, remoteJwks }: Provider, text: string, documents: Map<string, string>): void {
  const discovery = remoteJwks?.discovery?.uri;
  // Issuers with the same host, such as Keycloak's realms, have separate key sets.
  const own = `/jwtgate-test/jwks.json?${encodeURIComponent(discovery ?? "")}`;
  const uri = remoteJwks?.uri ?? new URL(own, discovery).href;
  if (discovery !== undefined) documents.set(discovery, JSON.stringify({ issuer, jwks_uri: uri }));
  documents.set(uri, text);
}
