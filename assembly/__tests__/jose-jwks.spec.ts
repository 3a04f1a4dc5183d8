/** Keys and the choice of a key. Keys and tokens were made for these tests with `jose` and Node's crypto. */
import { reset } from "../memory/arena";
import { JsonDocument } from "../encoding/json";
import { Algorithm } from "../jose/algorithm";
import { Jwk } from "../jose/jwk";
import { JwkSet } from "../jose/jwks";
import { KeyFault } from "../crypto/key-fault";
import { Jwt } from "../jose/jwt";
import { Status, statusText } from "../jose/status";
import { bytes, toText } from "./support";

const RSA_N =
  "wehXCaFptiX3VC7u1MsVN8G1gjZ7Sn3wx93zt6TWhrkg2X_5Hql9IFox_nCiUCWCLpDBxgDy1Kq2oFRY0RJCwgrAuS" +
  "-3kJ_mRAuFZ2d75dZB9WLvhwyKDmdvR-cS4rOVM_BWlXqbH6AGDGsf9MrGkcs0MVDI-zevQ1qivPRPiayDsgSWAAD-" +
  "dgq8n4xUypXftvYRmlsnxvfTvZFEYHum26BJllgj8vjtHeJ5a2WAK9WIb8L1xJ2WDCsUf4tdChwBjGs9AouGHUAdzv" +
  "e_wUuzZLhmVQ9P8nDRkn0PO1iuItcwwpxbug4UX1eEn1yA5F3ZlbvqhCEcDK4LudJ5X6C58Q";
/** Of 1,024 bits. */
const RSA_1024_N =
  "zjunpezTu5CDqRmbNPrdIOqkTdOdIgffcuV9MrgAixS51k6jnmzPcxGMaOgpODTJ5Fvz0-Pl_Yh3DHZY3zIAeiD2kZ" +
  "n-6Ff5r89x1D7f0ucxhLFeHCckebpw5TjnbV3SSqNMdzmhdv6H0l0k44ZA54GzWokKpVcTjpv__z0gxw8";
const RS256_TOKEN =
  "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJpIn0.kBmxWk9AjuSkDlo7fLvyKSoL-ahsqCwzQ83p4TCM9NY5qVunHeRdj" +
  "D6Pk5rfhxm21XzU1mBSCGTOj_Ss8eneb_WhHSgfrFE7K9hGMhWQLzwlGFd6m6Xu8rWcwLYfLoWYlQVYR0-Nd5DjTEZ" +
  "UV127sLV1U7f-gH0gOtQMQ0WaF0-4q4Dma5PxuVLrEA578IU3UGN_J-7HS3vT0c8UVXcUx9HKD6_kBeXCiyrASilLQ" +
  "RSW2KcW10kKtamplyFzJZ94vWLcFYYa9DqbknQDBBM7ifabtAZKP6p7sohpObA110QRkiU5Z6d8r8nLJCqdsovyj3D" +
  "8uEqfaY102F9M4tpbPw";
const PS512_TOKEN =
  "eyJhbGciOiJQUzUxMiJ9.eyJpc3MiOiJpIn0.mB5ZSoG4eAmD9_ZBR3msraeLw_gcVJwG7Y2jizhNUbBz53YhrCibw" +
  "T3YKzTsyao-FXbogCtyLDqRL6GPM948CVDlMtmSzYgugoyASfoCDG3qcjfB42lqIt_dAKsO1iF-3oqB9GQHxuD3ZPU" +
  "6Qmym5L82XlHqJOodf98jF6yYitmgWMFjPxnIBBVsbq5FRV_fEAtmSXj5rCw60MNG7kJOClSM05-5FVrWBLP7W49bG" +
  "YICOt-G47aEbIMS3RrKVG-uDIdwv1dO7uX1hXOnI7BYZqnq7YvhRGc_q43EGEvwQCSLgfSwRHBH4L00uTvWtC3GbNU" +
  "z-TsYsiKwq8LGI34bUQ";
const P256_X = "a3qHD9gmaxKBTFEwbPzWMJre2Hhdz3RgFXqMExqA8jY";
const P256_Y = "p7alev9agFZwoolkP8CiMVJhlpLyP7hHjnIeiAGPynE";
const ES256_TOKEN =
  "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJpIn0.o033b9mmSEu2em5CCA5hw9ZHONtlft4pYk4Qd0io8gtTYpnICL7eB" +
  "XXCNsJ38fX5zbo1ObAHmsGd7U3vkZZURA";
/** With the signature in DER. */
const ES256_DER_TOKEN =
  "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJpIn0.MEYCIQDazT8LApy-3WQ4DdjeLVTMaYv5eBxzuxv2R4i_jj4_rgIhA" +
  "MsT_CkHc4UYzH-j-Bbedx1h2Nfl5vB4ozE42qn0gg2T";
const P384_X = "r0QIFwvKIHoz9Dv2wjneGfIswI5fpV7dpRJtNHxdWVqB38XBOnkQ0OUHJkLvUDWc";
const P384_Y = "-pl1pVsYU0suWOU8I9pn6fY3ASYwavYYLdljVnN2y3PGNdnxWCJn-H2QfOGG5ZAe";
const ES384_TOKEN =
  "eyJhbGciOiJFUzM4NCJ9.eyJpc3MiOiJpIn0.CQVZIGQm8uD3ugsS1ad-j4NfG-uAohFTSuQUMuMsZuOcUFU6Tva5d" +
  "a0fdQRe35ZAYia2WlMi1bXF2wwptsi_rL3wNVM6mjyoXae5TW0WzgrePSBre0nsZ1WTqQZzGww5";
/** ES256's hash on ES384's curve; Envoy accepts it. */
const ES256_BY_P384_TOKEN =
  "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJpIn0.CJseocdEf3V7mRvlHCF1EL1FutgW_0cx_EBzcvk8G58283UcclwXk" +
  "TGqY2zazg_B2mHnHWuMC8Njdk3OeAJSiF7yuzX5PoJG5bj1wUIjjdfp4LTsoy_JQsbbBhPn85S5";
const P521_X = "AGDGwp1eBbma15JJEHtVrW9kfv4bVBDR0CuVCSzDGZuikiHOpQiNR40z5eHzcyGA6dy8Ei1AciJtQFD2ZDb_5X3Q";
const P521_Y = "AE_AIjQIBaRyncI0JFjwIhTGlXnAoOsTxCjXrZArLSISMjX8YX6JpH5T8TNPa7WF-BWI52HEwl9hVDJoVqYXeIGZ";
const ES512_TOKEN =
  "eyJhbGciOiJFUzUxMiJ9.eyJpc3MiOiJpIn0.AFsaov7eiG9Cq9IO_eMyanfKJOtWyIW8PXKwn2sntDzVTGTCCXP8-" +
  "oDCJuKk8ZmnQkesFaa3QNMBhA33dUhhQ0oVAZWxDlBC83_OSu3LSaHvteaQCqQk-7ukRNQPh7wxEjFp2ELc9hVu2j0" +
  "woHmjIwgMBZj8o-TBrH71YtcmAWGMcfmQ";
const ED_X = "SDb9zrU5-IfTktoxp1FoFDeuFaVUOvm9WlskcEoOVfI";
const EDDSA_TOKEN =
  "eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJpIn0.nIBbTu0e-5vrXW9QYKJO1nva2dj32H6PfhyfLEvTgpX8CCLIa11Ne" +
  "413X0tClsJLUM7wJrvhvKgbN5F1CGY3Bw";
const K1 = "f0HAhGBJN37EpkYFjjnjLhEVzZao45d-Lo6gaOpa8iw";
const K2 = "VAgijEzMZ2VmleO6w7XvfjmdLC6OYcdchyQtt2uVmUE";
const K3 = "4cKKEHJei87cLwIlhHKb5IlcBbV3qWXeg5mf6RoHxiI";
/** By K1, without kid. */
const HS256_TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJpIn0.XB13lLx85QQn6VsMpE54DfwISePPkjjmU0tDept6Lfk";
/** By K1, of kid "k1". */
const HS256_KID_TOKEN =
  "eyJhbGciOiJIUzI1NiIsImtpZCI6ImsxIn0.eyJpc3MiOiJpIn0.NmMIF2uJol_TuBciS8qB-Kb9lOi06-UWpR4YFQ" + "lJo_0";
/** By K1, of kid "zz". */
const HS256_OTHER_KID_TOKEN =
  "eyJhbGciOiJIUzI1NiIsImtpZCI6Inp6In0.eyJpc3MiOiJpIn0.LCmjK0eoUW6G_z4fHWtfJEJOqR2fvDBTzhNWhm" + "5Ugdw";
/** By K1, of kid "". */
const HS256_EMPTY_KID_TOKEN =
  "eyJhbGciOiJIUzI1NiIsImtpZCI6IiJ9.eyJpc3MiOiJpIn0.23N0Cruoc_VYFQ6wIk7qllUx01CQXHkzyC8GXI0-R" + "I8";
/** By K1. */
const HS384_TOKEN =
  "eyJhbGciOiJIUzM4NCJ9.eyJpc3MiOiJpIn0.heYa34PeWrmN2FI-Y4yH57PPjxppxvajs_11GdnAJQsHO39R6ZFL6" +
  "MfHjzo-AuQA";
/** By K1. */
const HS512_TOKEN =
  "eyJhbGciOiJIUzUxMiJ9.eyJpc3MiOiJpIn0.vRlZU8YQ7GMtYsPMyjJBfj4UC6Ik_yye6HeO8EVnyGlQxm37gs7Pu" +
  "9Nlv1D-DUH8IunSd8Ro-kLtNM8PFbKmBA";
/** An HMAC by K1 whose header names RS256; Envoy accepts it. */
const HMAC_AS_RS256_TOKEN =
  "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJpIn0.k8QXiC76tvb_rapg3bx9KbWzmGCIoCia5TVbHroiBt0";
/** An HMAC whose secret is the RSA modulus. */
const HS256_BY_MODULUS_TOKEN =
  "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJpIn0.9Rh90Vwn6Pc7IGFsOb4ntFqiPBZnx8GgT4wvc0DXqWc";
/** A signature of 63 bytes. */
const EDDSA_SHORT_TOKEN =
  "eyJhbGciOiJFZERTQSJ9.e30.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" +
  "AAAAAAAAAAAAAAAAAAA";

const RSA_KEY = `"kty":"RSA","n":"${RSA_N}","e":"AQAB"`;
const P256_KEY = `"kty":"EC","crv":"P-256","x":"${P256_X}","y":"${P256_Y}"`;
const P384_KEY = `"kty":"EC","crv":"P-384","x":"${P384_X}","y":"${P384_Y}"`;
const P521_KEY = `"kty":"EC","crv":"P-521","x":"${P521_X}","y":"${P521_Y}"`;
const ED_KEY = `"kty":"OKP","crv":"Ed25519","x":"${ED_X}"`;
const OCT_KEY = `"kty":"oct","k":"${K1}"`;
const OTHER_OCT_KEY = `"kty":"oct","k":"${K2}"`;

const json = new JsonDocument();
const fault = new KeyFault();
const jwt = new Jwt();
const jws = jwt.jws;

/** Loads a set of keys, each given by its members. */
function load(keys: StaticArray<string>, maxKeys: i32 = 100): JwkSet | null {
  const text = bytes(`[{${keys.join("},{")}}]`);
  reset();
  expect(json.parse(text)).toBe(true, "a list of keys");
  return JwkSet.load(json, json.root, maxKeys, fault);
}

/** The only key of a set, given by its members. */
function loadKey(members: string): Jwk {
  const set = load([members]);
  if (!set) expect(fault.reason).toBe("", members);
  return (set as JwkSet).keys[0];
}

/** Why a key is not used. */
function refusal(members: string): string {
  const prefix = "no key can be used: keys[0]: ";
  if (load([members])) return "none";
  expect(fault.reason.startsWith(prefix)).toBe(true, fault.reason);
  return fault.reason.substring(prefix.length);
}

/** The numbers of the algorithms that a key verifies. */
function verifiable(key: Jwk): string {
  const numbers = new Array<string>();
  for (let algorithm = Algorithm.None; algorithm <= Algorithm.EdDSA; algorithm++) {
    if (key.canVerify(algorithm)) numbers.push(algorithm.toString());
  }
  return numbers.join(" ");
}

/** The result of verifying a token with the keys: "OK", or the text that refuses it. */
function answer(keys: StaticArray<string>, token: string, maxKeysTried: i32 = 16): string {
  const set = load(keys);
  if (!set) return fault.reason;
  const received = bytes(token);
  reset();
  expect<i32>(jwt.parse(received)).toBe(Status.Ok);
  const status = set.verify(jws, maxKeysTried);
  return status == Status.Ok ? "OK" : toText(statusText(status));
}

const FAILS = "Jwt verification fails";
const NO_KEY = "Jwks doesn't have key to match kid or alg from Jwt";

describe("what a key verifies", () => {
  it("without alg: the algorithms of its type and curve", () => {
    expect(verifiable(loadKey(RSA_KEY))).toBe("1 2 3 4 5 6");
    expect(verifiable(loadKey(P256_KEY))).toBe("7");
    expect(verifiable(loadKey(P384_KEY))).toBe("8");
    expect(verifiable(loadKey(P521_KEY))).toBe("9");
    expect(verifiable(loadKey(OCT_KEY))).toBe("10 11 12");
    expect(verifiable(loadKey(ED_KEY))).toBe("13");
  });

  it("with alg: that one", () => {
    expect(verifiable(loadKey(RSA_KEY + ',"alg":"RS384"'))).toBe("2");
    expect(verifiable(loadKey(RSA_KEY + ',"alg":"PS256"'))).toBe("4");
    expect(verifiable(loadKey(P256_KEY + ',"alg":"ES256"'))).toBe("7");
    expect(verifiable(loadKey(OCT_KEY + ',"alg":"HS512"'))).toBe("12");
    expect(verifiable(loadKey(ED_KEY + ',"alg":"EdDSA"'))).toBe("13");
    expect(verifiable(loadKey(RSA_KEY + ',"alg":""'))).toBe("1 2 3 4 5 6");
    expect(verifiable(loadKey(RSA_KEY + ',"alg":null'))).toBe("1 2 3 4 5 6");
  });

  it("an alg of another type or curve makes it unusable", () => {
    const reason = "[alg] does not go with the key's type or curve";
    expect(refusal(RSA_KEY + ',"alg":"HS256"')).toBe(reason);
    expect(refusal(RSA_KEY + ',"alg":"ES256"')).toBe(reason);
    expect(refusal(P256_KEY + ',"alg":"ES384"')).toBe(reason);
    expect(refusal(P256_KEY + ',"alg":"RS256"')).toBe(reason);
    expect(refusal(OCT_KEY + ',"alg":"RS256"')).toBe(reason);
    expect(refusal(ED_KEY + ',"alg":"ES256"')).toBe(reason);
    expect(refusal(RSA_KEY + ',"alg":"RSA-OAEP"')).toBe("[alg] is not supported");
    expect(refusal(RSA_KEY + ',"alg":"none"')).toBe("[alg] is not supported");
    expect(refusal(RSA_KEY + ',"alg":"rs256"')).toBe("[alg] is not supported");
  });
});

describe("signatures", () => {
  it("each type", () => {
    expect(answer([RSA_KEY], RS256_TOKEN)).toBe("OK");
    expect(answer([RSA_KEY], PS512_TOKEN)).toBe("OK");
    expect(answer([P256_KEY], ES256_TOKEN)).toBe("OK");
    expect(answer([P384_KEY], ES384_TOKEN)).toBe("OK");
    expect(answer([P521_KEY], ES512_TOKEN)).toBe("OK");
    expect(answer([ED_KEY], EDDSA_TOKEN)).toBe("OK");
    expect(answer([OCT_KEY], HS256_TOKEN)).toBe("OK");
    expect(answer([OCT_KEY], HS384_TOKEN)).toBe("OK");
    expect(answer([OCT_KEY], HS512_TOKEN)).toBe("OK");
  });

  it("no other key of the type", () => {
    expect(answer([OTHER_OCT_KEY], HS256_TOKEN)).toBe(FAILS);
  });

  it("no key of another type, for any alg of the token (S5)", () => {
    expect(answer([OCT_KEY], HMAC_AS_RS256_TOKEN)).toBe(FAILS);
    expect(answer([RSA_KEY], HS256_BY_MODULUS_TOKEN)).toBe(FAILS);
    expect(answer([P384_KEY], ES256_BY_P384_TOKEN)).toBe(FAILS);
    expect(answer([P256_KEY], RS256_TOKEN)).toBe(FAILS);
    expect(answer([RSA_KEY], EDDSA_TOKEN)).toBe(FAILS);
    expect(answer([ED_KEY], ES256_TOKEN)).toBe(FAILS);
  });

  it("no DER", () => {
    expect(answer([P256_KEY], ES256_DER_TOKEN)).toBe(FAILS);
  });

  it("an EdDSA signature of wrong length has a text of its own, but only for EdDSA", () => {
    expect(answer([ED_KEY], EDDSA_SHORT_TOKEN)).toBe("Jwt ED25519 signature is wrong length");
    expect(answer([ED_KEY, OCT_KEY], EDDSA_SHORT_TOKEN)).toBe("Jwt ED25519 signature is wrong length");
    expect(answer([RSA_KEY], EDDSA_SHORT_TOKEN)).toBe(FAILS);
    expect(answer([ED_KEY], HS256_TOKEN)).toBe(FAILS);
    expect(answer([ED_KEY], RS256_TOKEN)).toBe(FAILS);
  });

  it("an Ed25519 key ends the search for a token of another length, as in Envoy", () => {
    expect(answer([ED_KEY, OCT_KEY], HS256_TOKEN)).toBe(FAILS);
    expect(answer([OCT_KEY, ED_KEY], HS256_TOKEN)).toBe("OK");
    expect(answer([ED_KEY, P256_KEY], ES256_TOKEN)).toBe("OK");
    expect(answer([ED_KEY + ',"alg":"EdDSA"', OCT_KEY], HS256_TOKEN)).toBe("OK");
    expect(answer([ED_KEY + ',"kid":"e"', OCT_KEY], HS256_KID_TOKEN)).toBe("OK");
  });
});

describe("choice of keys", () => {
  it("a kid of the token: keys of that kid and keys without one", () => {
    expect(answer([OCT_KEY + ',"kid":"k1"'], HS256_KID_TOKEN)).toBe("OK");
    expect(answer([OCT_KEY], HS256_KID_TOKEN)).toBe("OK");
    expect(answer([OCT_KEY + ',"kid":""'], HS256_KID_TOKEN)).toBe("OK");
    expect(answer([OCT_KEY + ',"kid":"k2"'], HS256_KID_TOKEN)).toBe(NO_KEY);
    expect(answer([OCT_KEY + ',"kid":"K1"'], HS256_KID_TOKEN)).toBe(NO_KEY);
    expect(answer([OCT_KEY + ',"kid":"k1"'], HS256_OTHER_KID_TOKEN)).toBe(NO_KEY);
    expect(answer([OTHER_OCT_KEY + ',"kid":"k1"', OCT_KEY], HS256_KID_TOKEN)).toBe("OK");
    expect(answer([OTHER_OCT_KEY + ',"kid":"k1"', OCT_KEY + ',"kid":"k2"'], HS256_KID_TOKEN)).toBe(FAILS);
  });

  it("no kid, or an empty one: all keys", () => {
    const keys: StaticArray<string> = [OTHER_OCT_KEY + ',"kid":"a"', OCT_KEY + ',"kid":"b"'];
    expect(answer(keys, HS256_TOKEN)).toBe("OK");
    expect(answer(keys, HS256_EMPTY_KID_TOKEN)).toBe("OK");
  });

  it("the same kid twice: both", () => {
    const other = OTHER_OCT_KEY + ',"kid":"k1"';
    const right = OCT_KEY + ',"kid":"k1"';
    expect(answer([other, right], HS256_KID_TOKEN)).toBe("OK");
    expect(answer([right, other], HS256_KID_TOKEN)).toBe("OK");
    expect(answer([other, other], HS256_KID_TOKEN)).toBe(FAILS);
  });

  it("a kid that is not a string counts as missing", () => {
    expect(answer([OCT_KEY + ',"kid":1'], HS256_KID_TOKEN)).toBe("OK");
  });

  it("alg must be the token's", () => {
    expect(answer([OCT_KEY + ',"alg":"HS256"'], HS256_TOKEN)).toBe("OK");
    expect(answer([OCT_KEY + ',"alg":"HS384"'], HS256_TOKEN)).toBe(NO_KEY);
    expect(answer([OCT_KEY + ',"alg":"HS384"', OCT_KEY], HS256_TOKEN)).toBe("OK");
    expect(answer([RSA_KEY + ',"alg":"RS384"'], RS256_TOKEN)).toBe(NO_KEY);
  });

  it("a key that fits by kid and not by type counts for the text", () => {
    expect(answer([RSA_KEY + ',"kid":"k1"'], HS256_KID_TOKEN)).toBe(FAILS);
    expect(answer([RSA_KEY + ',"kid":"k1","alg":"RS256"'], HS256_KID_TOKEN)).toBe(NO_KEY);
  });

  it("no more keys than allowed are tried (S12); those of another type cost nothing", () => {
    expect(answer([OTHER_OCT_KEY, OTHER_OCT_KEY, OCT_KEY], HS256_TOKEN, 3)).toBe("OK");
    expect(answer([OTHER_OCT_KEY, OTHER_OCT_KEY, OCT_KEY], HS256_TOKEN, 2)).toBe(FAILS);
    expect(answer([RSA_KEY, P256_KEY, OCT_KEY], HS256_TOKEN, 1)).toBe("OK");
    const keys = new StaticArray<string>(18);
    for (let i = 0; i < 17; i++) keys[i] = OTHER_OCT_KEY;
    keys[17] = OCT_KEY;
    expect(answer(keys, HS256_TOKEN)).toBe(FAILS);
    keys[15] = OCT_KEY;
    expect(answer(keys, HS256_TOKEN)).toBe("OK");
  });
});

describe("unusable keys", () => {
  it("for another purpose (S6)", () => {
    expect(refusal(OCT_KEY + ',"use":"enc"')).toBe('[use] is not "sig" or "jwt-svid"');
    expect(refusal(OCT_KEY + ',"use":""')).toBe("none");
    expect(refusal(OCT_KEY + ',"use":"jwt-svid"')).toBe("none");
    expect(refusal(OCT_KEY + ',"use":"x509-svid"')).toBe('[use] is not "sig" or "jwt-svid"');
    expect(refusal(OCT_KEY + ',"use":1')).toBe('[use] is not "sig" or "jwt-svid"');
    expect(refusal(OCT_KEY + ',"key_ops":["sign"]')).toBe('[key_ops] has no "verify"');
    expect(refusal(OCT_KEY + ',"key_ops":[]')).toBe("none");
    expect(refusal(OCT_KEY + ',"key_ops":"verify"')).toBe('[key_ops] has no "verify"');
    expect(refusal(OCT_KEY + ',"use":"sig","key_ops":["sign","verify"]')).toBe("none");
    expect(refusal(OCT_KEY + ',"use":null,"key_ops":null')).toBe("none");
    expect(answer([OCT_KEY + ',"use":"enc"', OTHER_OCT_KEY + ',"alg":"HS512"'], HS256_TOKEN)).toBe(NO_KEY);
  });

  it("of no known type", () => {
    expect(refusal('"k":"AA"')).toBe("[kty] is missing");
    expect(refusal('"kty":null,"k":"AA"')).toBe("[kty] is not RSA, EC, oct, OKP or AKP");
    expect(refusal('"kty":"OCT","k":"AA"')).toBe("[kty] is not RSA, EC, oct, OKP or AKP");
    expect(refusal('"kty":"rsa"')).toBe("[kty] is not RSA, EC, oct, OKP or AKP");
  });

  it("AKP", () => {
    expect(refusal('"kty":"AKP","pub":"AA"')).toBe("[alg] is missing");
    expect(refusal('"kty":"AKP","alg":"ML-DSA-45","pub":"AA"')).toBe("[alg] is not supported");
    expect(refusal('"kty":"AKP","alg":"EdDSA","pub":"AA"')).toBe(
      "[alg] does not go with the key's type or curve",
    );
    expect(refusal('"kty":"OKP","crv":"Ed25519","alg":"ML-DSA-44","x":"AA"')).toBe(
      "[alg] does not go with the key's type or curve",
    );
    expect(refusal('"kty":"AKP","alg":"ML-DSA-44"')).toBe("[pub] is missing or not base64url");
    expect(refusal('"kty":"AKP","alg":"ML-DSA-44","pub":"AA"')).toBe(
      "the public key does not have 1312 bytes",
    );
    expect(refusal('"kty":"AKP","alg":"ML-DSA-65","pub":"AA"')).toBe(
      "the public key does not have 1952 bytes",
    );
    expect(refusal('"kty":"AKP","alg":"ML-DSA-87","pub":"AA"')).toBe(
      "the public key does not have 2592 bytes",
    );
  });

  it("RSA", () => {
    expect(refusal('"kty":"RSA","e":"AQAB"')).toBe("[n] is missing or not base64url");
    expect(refusal('"kty":"RSA","n":1,"e":"AQAB"')).toBe("[n] is missing or not base64url");
    expect(refusal('"kty":"RSA","n":"!","e":"AQAB"')).toBe("[n] is missing or not base64url");
    expect(refusal(`"kty":"RSA","n":"${RSA_N}"`)).toBe("[e] is missing or not base64url");
    expect(refusal('"kty":"RSA","n":"","e":"AQAB"')).toBe("the modulus is not odd");
    expect(refusal(`"kty":"RSA","n":"${RSA_N.substring(0, RSA_N.length - 1)}A","e":"AQAB"`)).toBe(
      "the modulus is not odd",
    );
    // S7.
    expect(refusal(`"kty":"RSA","n":"${RSA_1024_N}","e":"AQAB"`)).toBe(
      "the modulus has fewer than 2048 bits",
    );
    expect(refusal(`"kty":"RSA","n":"${RSA_N}","e":"EQ"`)).toBe("the exponent is neither 3 nor 65537");
    expect(refusal(`"kty":"RSA","n":"${RSA_N}","e":"AQ"`)).toBe("the exponent is neither 3 nor 65537");
    expect(refusal(`"kty":"RSA","n":"${RSA_N}","e":"AQABAQAB"`)).toBe("the exponent is neither 3 nor 65537");
    expect(refusal(`"kty":"RSA","n":"${RSA_N}","e":"Aw"`)).toBe("none");
    expect(refusal(`"kty":"RSA","n":"${RSA_N}","e":"AAEAAQ=="`)).toBe("none");
  });

  it("EC", () => {
    const off = "the point is not on the curve";
    expect(refusal(`"kty":"EC","crv":"P-256","y":"${P256_Y}"`)).toBe("[x] is missing or not base64url");
    expect(refusal(`"kty":"EC","crv":"P-256","x":"${P256_X}"`)).toBe("[y] is missing or not base64url");
    expect(refusal(`"kty":"EC","crv":"P-256","x":"${P256_Y}","y":"${P256_X}"`)).toBe(off);
    expect(refusal(`"kty":"EC","crv":"P-256","x":"","y":""`)).toBe(off);
    expect(refusal(`"kty":"EC","crv":"P-256","x":"AA","y":"AA"`)).toBe(off);
    expect(refusal(`"kty":"EC","crv":"P-256","x":"${"_".repeat(42)}8","y":"${P256_Y}"`)).toBe(off);
    expect(refusal(`"kty":"EC","crv":"P-256","x":"${P384_X}","y":"${P384_Y}"`)).toBe(off);
    expect(refusal(`"kty":"EC","crv":"P-384","x":"${P256_X}","y":"${P256_Y}"`)).toBe(off);
    expect(refusal(`"kty":"EC","crv":"secp256k1","x":"${P256_X}","y":"${P256_Y}"`)).toBe(
      "[crv] is not P-256, P-384 or P-521",
    );
    expect(refusal(`"kty":"EC","crv":256,"x":"${P256_X}","y":"${P256_Y}"`)).toBe("[crv] is not a string");
  });

  it("EC without crv is of the curve of alg, or P-256, as in Envoy", () => {
    expect(verifiable(loadKey(`"kty":"EC","x":"${P256_X}","y":"${P256_Y}"`))).toBe("7");
    expect(verifiable(loadKey(`"kty":"EC","crv":"","x":"${P256_X}","y":"${P256_Y}"`))).toBe("7");
    expect(verifiable(loadKey(`"kty":"EC","alg":"ES384","x":"${P384_X}","y":"${P384_Y}"`))).toBe("8");
    expect(refusal(`"kty":"EC","alg":"RS256","x":"${P256_X}","y":"${P256_Y}"`)).toBe(
      "[alg] does not go with the key's type or curve",
    );
  });

  it("OKP", () => {
    expect(refusal(`"kty":"OKP","x":"${ED_X}"`)).toBe("[crv] is not Ed25519");
    expect(refusal(`"kty":"OKP","crv":"X25519","x":"${ED_X}"`)).toBe("[crv] is not Ed25519");
    expect(refusal(`"kty":"OKP","crv":"Ed448","x":"${ED_X}"`)).toBe("[crv] is not Ed25519");
    expect(refusal('"kty":"OKP","crv":"Ed25519"')).toBe("[x] is missing or not base64url");
    expect(refusal('"kty":"OKP","crv":"Ed25519","x":"AAAA"')).toBe("the public key does not have 32 bytes");
    expect(refusal(`"kty":"OKP","crv":"Ed25519","x":"7v${"_".repeat(39)}38"`)).toBe(
      "the public key is not the canonical encoding of a point",
    );
  });

  it("OKP of small order (S11)", () => {
    const points: StaticArray<string> = [
      "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIA",
      "7P_______________________________________38",
      "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o",
      "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU",
    ];
    for (let i = 0; i < points.length; i++) {
      expect(refusal(`"kty":"OKP","crv":"Ed25519","x":"${points[i]}"`)).toBe(
        "the public key is a point of small order",
      );
    }
  });

  it("oct", () => {
    expect(refusal('"kty":"oct"')).toBe("[k] is missing or not base64url");
    expect(refusal('"kty":"oct","k":""')).toBe("[k] is empty");
    expect(refusal('"kty":"oct","k":"AA"')).toBe("none");
  });
});

describe("lenient reading", () => {
  it("padding, the standard alphabet, white space", () => {
    const standard = K1.replaceAll("-", "+").replaceAll("_", "/") + "=";
    expect(answer([`"kty":"oct","k":"${standard}"`], HS256_TOKEN)).toBe("OK");
    expect(answer([`"kty":"oct","k":" ${K1}\\n"`], HS256_TOKEN)).toBe("OK");
    expect(answer([`"kty":"OKP","crv":"Ed25519","x":"${ED_X}="`], EDDSA_TOKEN)).toBe("OK");
  });

  it("leading zeros", () => {
    expect(answer([`"kty":"RSA","n":"AAAA${RSA_N}","e":"AAEAAQ"`], RS256_TOKEN)).toBe("OK");
  });

  it("private and unknown members are ignored", () => {
    expect(
      answer([RSA_KEY + ',"d":1,"p":null,"oth":[],"x5c":"x","x5t":1,"ext":true,"more":{}'], RS256_TOKEN),
    ).toBe("OK");
    expect(answer([OCT_KEY + ',"n":"x","crv":1'], HS256_TOKEN)).toBe("OK");
  });
});

describe("sets", () => {
  it("usable keys in order, reasons for the others", () => {
    const set = load([
      '"kty":"x"',
      OCT_KEY + ',"kid":"a"',
      RSA_KEY + ',"use":"enc"',
      ED_KEY + ',"kid":"b"',
    ]) as JwkSet;
    expect(set.keys.length).toBe(2);
    expect(toText(set.keys[0].kid)).toBe("a");
    expect(toText(set.keys[1].kid)).toBe("b");
    expect(set.skipped.join("; ")).toBe(
      'keys[0]: [kty] is not RSA, EC, oct, OKP or AKP; keys[2]: [use] is not "sig" or "jwt-svid"',
    );
    expect(set.hasKid(bytes("b"))).toBe(true);
    expect(set.hasKid(bytes("c"))).toBe(false);
  });

  it("refused: no list, no key, no usable key, too many", () => {
    reset();
    json.parse(bytes('{"keys":{}}'));
    expect(JwkSet.load(json, json.member(json.root, bytes("keys")), 100, fault) == null).toBe(true);
    expect(fault.reason).toBe("[keys] is not a list");
    expect(JwkSet.load(json, json.member(json.root, bytes("none")), 100, fault) == null).toBe(true);
    expect(fault.reason).toBe("[keys] is not a list");
    json.parse(bytes("[]"));
    expect(JwkSet.load(json, json.root, 100, fault) == null).toBe(true);
    expect(fault.reason).toBe("there are no keys");
    json.parse(bytes("[1,null]"));
    expect(JwkSet.load(json, json.root, 100, fault) == null).toBe(true);
    expect(fault.reason).toBe(
      "no key can be used: keys[0]: it is not an object; keys[1]: it is not an object",
    );
    json.parse(bytes("[1,2,3,4,5,6,7]"));
    expect(JwkSet.load(json, json.root, 100, fault) == null).toBe(true);
    expect(fault.reason.endsWith("; and 2 more")).toBe(true);
    expect(load([OCT_KEY, OCT_KEY, OCT_KEY], 2) == null).toBe(true);
    expect(fault.reason).toBe("3 keys are more than 2");
  });

  it("outlives the document it was read from", () => {
    const set = load([OCT_KEY + ',"kid":"k1"']) as JwkSet;
    reset();
    json.parse(bytes("[" + '"xxxxxxxxxxxxxxxxxxxxxxxx",'.repeat(500) + "0]"));
    const token = bytes(HS256_KID_TOKEN);
    reset();
    expect<i32>(jwt.parse(token)).toBe(Status.Ok);
    expect<i32>(set.verify(jws, 16)).toBe(Status.Ok);
  });

  it("every set has its own generation", () => {
    const first = load([OCT_KEY]) as JwkSet;
    const second = load([OCT_KEY]) as JwkSet;
    expect(first.generation).not.toBe(second.generation);
  });

  it("the same key is recognised in another set", () => {
    const set = load([OTHER_OCT_KEY, OCT_KEY + ',"kid":"k1"']) as JwkSet;
    const token = bytes(HS256_KID_TOKEN);
    reset();
    jwt.parse(token);
    expect<i32>(set.verify(jws, 16)).toBe(Status.Ok);
    expect(set.verifiedBy).toBe(set.keys[1].fingerprint);
    const fingerprint = set.verifiedBy;
    expect(set.has(fingerprint)).toBe(true);
    expect((load([RSA_KEY, OCT_KEY + ',"kid":"k1","use":"sig"']) as JwkSet).has(fingerprint)).toBe(true);
    expect((load([OCT_KEY + ',"kid":"k2"']) as JwkSet).has(fingerprint)).toBe(false);
    expect((load([OCT_KEY]) as JwkSet).has(fingerprint)).toBe(false);
    expect((load([OTHER_OCT_KEY + ',"kid":"k1"']) as JwkSet).has(fingerprint)).toBe(false);
    expect((load([OCT_KEY + ',"kid":"k1","alg":"HS256"']) as JwkSet).has(fingerprint)).toBe(false);
  });

  it("keys of different types or parameters never share a fingerprint", () => {
    const keys: StaticArray<string> = [
      RSA_KEY,
      `"kty":"RSA","n":"${RSA_N}","e":"Aw"`,
      P256_KEY,
      P384_KEY,
      P521_KEY,
      ED_KEY,
      OCT_KEY,
      OTHER_OCT_KEY,
      `"kty":"oct","k":"${K3}"`,
      `"kty":"oct","k":"${ED_X}"`,
      OCT_KEY + ',"kid":"a"',
    ];
    for (let i = 0; i < keys.length; i++) {
      for (let j = i + 1; j < keys.length; j++) {
        expect(loadKey(keys[i]).fingerprint).not.toBe(loadKey(keys[j]).fingerprint);
      }
    }
  });
});
