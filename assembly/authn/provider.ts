/** One jwtRule, as Envoy's JwtProvider: who issues, with which keys, where tokens are, and what becomes of them. */
import { Slice } from "../memory/slice";
import { JwkSet } from "../jose/jwks";
import { RemoteJwks } from "./remote-jwks";

/** A claim that is passed on as a request header. */
export class ClaimToHeader {
  /**
   * @param headerName lower-case
   * @param claimName dots go down into objects
   */
  constructor(
    readonly headerName: Slice,
    readonly claimName: Slice,
  ) {}
}

export class Provider {
  /** Position in the configuration: the order in which providers are tried. */
  index: i32 = 0;
  /** `origins-N`. */
  name: Slice = 0;
  /** EMPTY: `iss` is not checked. */
  issuer: Slice = 0;
  /** None: `aud` is not checked. */
  audiences: StaticArray<Slice> = [];
  /** Keys of the configuration; null where they are fetched. */
  localKeys: JwkSet | null = null;
  /** Keys that are fetched; null where the configuration has them. */
  remoteKeys: RemoteJwks | null = null;
  /** For each place of the extractor whether this provider looks there. */
  looksAt: StaticArray<bool> = [];
  /** Whether the token stays in the request. */
  forward: bool = false;
  /** Lower-case; EMPTY for none. */
  payloadHeader: Slice = 0;
  claimsToHeaders: StaticArray<ClaimToHeader> = [];
  /** Whether one of its outputs is a header where some provider looks for tokens. */
  writesPlaces: bool = false;
  /** Top-level string claims that policies see as lists. */
  spaceDelimitedClaims: StaticArray<Slice> = [];
  /** Whether a request without a token of this provider is refused. */
  required: bool = false;
  /** How far clocks may differ, in seconds, for `exp` and `nbf`. */
  clockSkew: u64 = 60;

  /** The keys in force, replaced whole; null while keys that are fetched have not come. */
  get keys(): JwkSet | null {
    const remote = this.remoteKeys;
    return remote ? remote.keys : this.localKeys;
  }
}
