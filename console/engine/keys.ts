/** The private keys of a page. Each is made when a token first needs it, and lives as long as the page. */
import type { JsonKey } from "../../tools/jwks/thumbprint.ts";
import type { KeyMaker } from "../../tools/testing/mint.ts";
import { PrivateKey } from "../../tools/token/private-key.ts";

/** Private JWKs by `OWNER/ALG`: the owner of the key and its algorithm. */
export type PageKeys = Readonly<Record<string, JsonKey>>;

/** Imported keys by their JSON. They are kept because importing takes longer than signing. */
const imported = new Map<string, Promise<PrivateKey>>();

/** Uses the page's keys, and makes those that are missing. */
export class Keys {
  private readonly made: Record<string, JsonKey> = {};

  constructor(private readonly known: PageKeys) {}

  /** See {@link KeyMaker}. */
  readonly make: KeyMaker = async (alg, owner) => {
    const name = `${owner}/${alg}`;
    const jwk = this.known[name] ?? this.made[name];
    if (jwk !== undefined) return importOnce(jwk);
    const key = await PrivateKey.generate(alg);
    this.made[name] = key.signing;
    imported.set(JSON.stringify(key.signing), Promise.resolve(key));
    return key;
  };

  /** The keys that were made here. The page keeps them. */
  get added(): PageKeys {
    return this.made;
  }
}

function importOnce(jwk: JsonKey): Promise<PrivateKey> {
  const text = JSON.stringify(jwk);
  const known = imported.get(text) ?? PrivateKey.import(jwk);
  imported.set(text, known);
  return known;
}
