/** The demo's tokens: the one of Istio's samples, and tokens that are signed with a new key. */
import { type CryptoKey, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import { DEFAULT_ALGORITHM } from "../jwks/algorithms.ts";

/**
 * Of Istio's own samples (security/tools/jwt/samples/demo.jwt): issuer and subject testing@secure.istio.io, foo = bar,
 * good until 2118. Its private key is public: never trust it beyond a demo.
 */
export const ISTIO_TOKEN =
  "eyJhbGciOiJSUzI1NiIsImtpZCI6IkRIRmJwb0lVcXJZOHQyenBBMnFYZkNtcjVWTzVaRXI0UnpIVV8tZW52dlEiLCJ0eXAiOiJKV1QifQ.eyJleHAiOjQ2ODU5ODk3MDAsImZvbyI6ImJhciIsImlhdCI6MTUzMjM4OTcwMCwiaXNzIjoidGVzdGluZ0BzZWN1cmUuaXN0aW8uaW8iLCJzdWIiOiJ0ZXN0aW5nQHNlY3VyZS5pc3Rpby5pbyJ9.CfNnxWP2tcnR9q0vxyxweaF3ovQYHYZl82hAUsn21bwQd9zP7c-LS9qd_vpdLG4Tn1A15NxfCjp5f7QNBUo-KC9PJqYpgGbaXhaGx7bEdFWjcwv3nZzvc7M__ZpaCERdwU7igUmJqYGBYQ51vr2njU9ZimyKkfDe3axcyiBZde7G6dabliUosJvvKOPcKIWPccCgefSj_GNfwIip3-SsFdlR7BtbVUcqR-yv-XOxJ3Uc1MI0tz3uMiiZcyPV7sNCU4KRnemRIMHVOfuvHsU60_GhGbiSFzgPTAa9WTltbnarTbxudb_YEOx12JiwYToeX0DCPb43W1tzIBxgm8NxUg";

const KID = "demo";

/** An RSA key made now: as `openssl genrsa 2048` makes one. */
export class SigningKey {
  private constructor(
    private readonly privateKey: CryptoKey,
    /** The public key as a key set. */
    readonly jwks: string,
  ) {}

  static async generate(): Promise<SigningKey> {
    const { privateKey, publicKey } = await generateKeyPair(DEFAULT_ALGORITHM);
    const key = { kid: KID, alg: DEFAULT_ALGORITHM, ...(await exportJWK(publicKey)) };
    return new SigningKey(privateKey, JSON.stringify({ keys: [key] }));
  }

  /** A token with these claims. */
  sign(claims: JWTPayload): Promise<string> {
    const header = { alg: DEFAULT_ALGORITHM, kid: KID, typ: "JWT" };
    return new SignJWT(claims).setProtectedHeader(header).sign(this.privateKey);
  }
}
