/** The demo's tokens: the one of Istio's samples, and ones signed with a key made for the occasion. */
import { generateKeyPairSync, sign } from "node:crypto";

/**
 * Of Istio's own samples (security/tools/jwt/samples/demo.jwt): issuer and subject testing@secure.istio.io, foo = bar,
 * good until 2118. Its private key is public: never trust it beyond a demo.
 */
export const ISTIO_TOKEN =
  "eyJhbGciOiJSUzI1NiIsImtpZCI6IkRIRmJwb0lVcXJZOHQyenBBMnFYZkNtcjVWTzVaRXI0UnpIVV8tZW52dlEiLCJ0eXAiOiJKV1QifQ.eyJleHAiOjQ2ODU5ODk3MDAsImZvbyI6ImJhciIsImlhdCI6MTUzMjM4OTcwMCwiaXNzIjoidGVzdGluZ0BzZWN1cmUuaXN0aW8uaW8iLCJzdWIiOiJ0ZXN0aW5nQHNlY3VyZS5pc3Rpby5pbyJ9.CfNnxWP2tcnR9q0vxyxweaF3ovQYHYZl82hAUsn21bwQd9zP7c-LS9qd_vpdLG4Tn1A15NxfCjp5f7QNBUo-KC9PJqYpgGbaXhaGx7bEdFWjcwv3nZzvc7M__ZpaCERdwU7igUmJqYGBYQ51vr2njU9ZimyKkfDe3axcyiBZde7G6dabliUosJvvKOPcKIWPccCgefSj_GNfwIip3-SsFdlR7BtbVUcqR-yv-XOxJ3Uc1MI0tz3uMiiZcyPV7sNCU4KRnemRIMHVOfuvHsU60_GhGbiSFzgPTAa9WTltbnarTbxudb_YEOx12JiwYToeX0DCPb43W1tzIBxgm8NxUg";

/** An RSA key made now: as `openssl genrsa 2048` makes one. */
export class SigningKey {
  private readonly pair = generateKeyPairSync("rsa", { modulusLength: 2048 });

  /** The public key as a key set. */
  get jwks(): string {
    const { n, e } = this.pair.publicKey.export({ format: "jwk" });
    return JSON.stringify({ keys: [{ kty: "RSA", kid: "demo", alg: "RS256", n, e }] });
  }

  /** A token with these claims, signed with RS256 (RFC 7515 §3.1). */
  sign(claims: object): string {
    const text = [{ alg: "RS256", kid: "demo", typ: "JWT" }, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
      .join(".");
    return `${text}.${sign("sha256", Buffer.from(text), this.pair.privateKey).toString("base64url")}`;
  }
}
