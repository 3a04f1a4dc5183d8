/**
 * The examples of the standards: RFC 7515 appendix A.1 to A.4, RFC 7520 section 4.1 to 4.4, RFC 8037 appendix A.4 and
 * A.5. Payloads that are not claims sets are verified without being parsed.
 */
import { reset } from "../memory/arena";
import { Slice, indexOfByte, lengthOf, subslice } from "../memory/slice";
import { decodeStrict } from "../encoding/base64url";
import { JsonDocument } from "../encoding/json";
import { Algorithm } from "../jose/algorithm";
import { JwkSet } from "../jose/jwks";
import { KeyFault } from "../crypto/key-fault";
import { Jwt } from "../jose/jwt";
import { Status } from "../jose/status";
import { bytes, toText } from "./support";

const A1_TOKEN =
  "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA" +
  "6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const A1_K = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
const A2_TOKEN =
  "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9" +
  "pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Q" +
  "c_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARN" +
  "PvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6I" +
  "eYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
const A2_N =
  "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4Ql" +
  "L-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUs" +
  "LA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoud" +
  "F8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
const A3_TOKEN =
  "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9" +
  "pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqP" +
  "P3-Kg6NU1Q";
const A4_TOKEN =
  "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZq" +
  "wqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9E" +
  "RBXukOXolLzeO_Jn";
const ED_TOKEN =
  "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AI" +
  "bQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

/** RFC 7520 figure 8. */
const COOKBOOK_PAYLOAD =
  "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0" +
  "aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91" +
  "IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4";
/** RFC 7520 figure 3. */
const COOKBOOK_N =
  "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMa" +
  "JMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6c" +
  "S6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwd" +
  "q_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw";
const RS256_HEADER = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9";
/** Figure 11. */
const RS256_SIGNATURE =
  "MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7P" +
  "NDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9e" +
  "Ro4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4" +
  "uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg";
const PS384_HEADER = "eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9";
/** Figure 18. */
const PS384_SIGNATURE =
  "cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dD" +
  "DItllVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ij" +
  "Q7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAj" +
  "VKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw";
const ES512_HEADER = "eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9";
/** Figure 25. */
const ES512_SIGNATURE =
  "AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQy3mtPB" +
  "u_u_sDDyYjnAMDxXPn7XrT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2";
const HS256_HEADER = "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9";
/** Figure 32. */
const HS256_SIGNATURE = "s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0";

const json = new JsonDocument();
const fault = new KeyFault();
const jwt = new Jwt();
const jws = jwt.jws;

/** A set of one key. */
function setOf(key: string): JwkSet {
  reset();
  expect(json.parse(bytes(`[${key}]`))).toBe(true, key);
  const set = JwkSet.load(json, json.root, 1, fault);
  if (!set) expect(fault.reason).toBe("");
  return set as JwkSet;
}

/** Splits a token without reading header or payload. */
function takeApart(token: Slice, algorithm: Algorithm): void {
  reset();
  const dot = indexOfByte(token, 0x2e, indexOfByte(token, 0x2e) + 1);
  jws.algorithm = algorithm;
  jws.kid = 0;
  jws.signedText = subslice(token, 0, dot);
  jws.signature = decodeStrict(subslice(token, dot + 1, lengthOf(token)));
}

/** The text with another character at `index`. */
function changed(text: string, index: i32): string {
  return text.substring(0, index) + (text.charAt(index) == "A" ? "B" : "A") + text.substring(index + 1);
}

/** Expects that the key verifies the token, and no token that differs from it in one character of any segment. */
function verifies(key: string, algorithm: Algorithm, token: string): void {
  const set = setOf(key);
  takeApart(bytes(token), algorithm);
  expect<i32>(set.verify(jws, 16)).toBe(Status.Ok);
  const lastDot = token.lastIndexOf(".");
  const places: StaticArray<i32> = [
    0,
    token.indexOf(".") - 2,
    token.indexOf(".") + 1,
    lastDot - 2,
    lastDot + 1,
    lastDot + 30,
  ];
  for (let i = 0; i < places.length; i++) {
    takeApart(bytes(changed(token, places[i])), algorithm);
    expect<i32>(set.verify(jws, 16)).toBe(Status.JwtVerificationFail, `changed at ${places[i]}`);
  }
  takeApart(bytes(token.substring(0, token.length - 4)), algorithm);
  expect<i32>(set.verify(jws, 16)).not.toBe(Status.Ok, "shortened");
}

/** Expects that the key verifies the whole token as it was received. */
function accepts(key: string, token: string): void {
  const set = setOf(key);
  reset();
  expect<i32>(jwt.parse(bytes(token))).toBe(Status.Ok);
  expect<i32>(set.verify(jws, 16)).toBe(Status.Ok);
  expect(set.has(set.verifiedBy)).toBe(true);
  expect(toText(jwt.issuer)).toBe("joe");
  expect(jwt.expiresAt).toBe(1300819380);
}

describe("RFC 7515 appendix A", () => {
  it("A.1: HS256", () => {
    const key = `{"kty":"oct","k":"${A1_K}"}`;
    verifies(key, Algorithm.HS256, A1_TOKEN);
    accepts(key, A1_TOKEN);
  });

  it("A.2: RS256", () => {
    const key = `{"kty":"RSA","n":"${A2_N}","e":"AQAB"}`;
    verifies(key, Algorithm.RS256, A2_TOKEN);
    accepts(key, A2_TOKEN);
  });

  it("A.3: ES256", () => {
    const key = `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`;
    verifies(key, Algorithm.ES256, A3_TOKEN);
    accepts(key, A3_TOKEN);
  });

  it("A.4: ES512", () => {
    verifies(
      '{"kty":"EC","crv":"P-521","x":"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk","y":"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"}',
      Algorithm.ES512,
      A4_TOKEN,
    );
  });

  it("A.5: an unsecured JWS is refused, with or without a signature", () => {
    const unsecured = "eyJhbGciOiJub25lIn0." + A1_TOKEN.split(".")[1] + ".";
    reset();
    expect<i32>(jwt.parse(bytes(unsecured))).toBe(Status.JwtBadFormat);
    expect<i32>(jwt.parse(bytes(unsecured + "AAAA"))).toBe(Status.JwtHeaderNotImplementedAlg);
  });
});

/** RFC 7520 figure 3. */
const COOKBOOK_RSA = `{"kty":"RSA","kid":"bilbo.baggins@hobbiton.example","use":"sig","n":"${COOKBOOK_N}","e":"AQAB"}`;

describe("RFC 7520 section 4", () => {
  it("4.1: RSA v1.5 signature", () => {
    verifies(COOKBOOK_RSA, Algorithm.RS256, `${RS256_HEADER}.${COOKBOOK_PAYLOAD}.${RS256_SIGNATURE}`);
  });

  it("4.2: RSA-PSS signature", () => {
    verifies(COOKBOOK_RSA, Algorithm.PS384, `${PS384_HEADER}.${COOKBOOK_PAYLOAD}.${PS384_SIGNATURE}`);
  });

  it("4.3: ECDSA signature", () => {
    verifies(
      '{"kty":"EC","kid":"bilbo.baggins@hobbiton.example","use":"sig","crv":"P-521","x":"AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt","y":"AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1"}',
      Algorithm.ES512,
      `${ES512_HEADER}.${COOKBOOK_PAYLOAD}.${ES512_SIGNATURE}`,
    );
  });

  it("4.4: HMAC-SHA2 integrity protection", () => {
    verifies(
      '{"kty":"oct","kid":"018c0ae5-4d9b-471b-bfd6-eef314bc7037","use":"sig","alg":"HS256","k":"hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg"}',
      Algorithm.HS256,
      `${HS256_HEADER}.${COOKBOOK_PAYLOAD}.${HS256_SIGNATURE}`,
    );
  });
});

describe("RFC 8037 appendix A", () => {
  it("A.4, A.5: Ed25519", () => {
    verifies(
      '{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}',
      Algorithm.EdDSA,
      ED_TOKEN,
    );
  });
});
