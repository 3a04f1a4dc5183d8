/** The private keys of a page: each is made once, when a token needs it first, and lives as long as the page. */
import type { JsonKey } from "../../tools/jwks/thumbprint.ts";
import type { KeyMaker } from "../../tools/testing/mint.ts";
import { PrivateKey } from "../../tools/token/private-key.ts";

/** Private JWKs by `OWNER/ALG`: whom a key is for, and its algorithm. */
export type PageKeys = Readonly<Record<string, JsonKey>>;

/** Keys that are imported, by their JSON: importing takes longer than signing. */
const imported = new Map<string, Promise<PrivateKey>>();

/** Takes keys from those of the page, and makes those that are missing. */
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

  /** Those that were made here, for the page to keep. */
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
