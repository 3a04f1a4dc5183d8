import { reset } from "../memory/arena";
import { EMPTY, Slice } from "../memory/slice";
import { JsonKind, NONE } from "../encoding/json";
import { Algorithm } from "../jose/algorithm";
import { Jwt } from "../jose/jwt";
import { Status, statusText } from "../jose/status";
import { bytes, section, toHex, toText, token } from "./support";

const HEADER = '{"alg":"RS256","kid":"k"}';
const PAYLOAD = '{"iss":"i","sub":"s"}';

const jwt = new Jwt();
const jws = jwt.jws;

function parse(text: string): Status {
  const received = bytes(text);
  reset();
  return jwt.parse(received);
}

/** The text that refuses a token; "OK" if it is not refused. */
function answer(text: string): string {
  const status = parse(text);
  return status == Status.Ok ? "OK" : toText(statusText(status));
}

function header(text: string): string {
  return answer(token(text, PAYLOAD));
}

function payload(text: string): string {
  return answer(token(HEADER, text));
}

function audiences(values: StaticArray<string>): StaticArray<Slice> {
  const result = new StaticArray<Slice>(values.length);
  for (let i = 0; i < values.length; i++) result[i] = bytes(values[i]);
  return result;
}

describe("form", () => {
  it("three segments, none of them empty", () => {
    expect(answer(token(HEADER, PAYLOAD))).toBe("OK");
    const faulty: StaticArray<string> = [
      "",
      ".",
      "..",
      "...",
      "a",
      "a.b",
      "a.b.",
      ".a.b",
      "a..b",
      "a.b.c.d",
      ".a.b.c",
      "a.b.c.",
      "a.b..c",
      ".a.b.c.",
      "a.b.c.d.e",
    ];
    for (let i = 0; i < faulty.length; i++) {
      expect(answer(faulty[i])).toBe(
        "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
        faulty[i],
      );
    }
  });

  it("stray dots around a good token", () => {
    const good = token(HEADER, PAYLOAD);
    expect<i32>(parse("." + good)).toBe(Status.JwtBadFormat);
    expect<i32>(parse(good + ".")).toBe(Status.JwtBadFormat);
    expect<i32>(parse(good.replace(".", ".."))).toBe(Status.JwtBadFormat);
  });
});

describe("header", () => {
  it("base64url", () => {
    const rest = `.${section(PAYLOAD)}.AA`;
    const refusal = "Jwt header is an invalid Base64url encoded";
    expect(answer("a" + rest)).toBe(refusal);
    expect(answer(section(HEADER) + "=" + rest)).toBe(refusal);
    expect(answer(section(HEADER) + " " + rest)).toBe(refusal);
    expect(answer(" " + section(HEADER) + rest)).toBe(refusal);
    expect(answer("e+30" + rest)).toBe(refusal);
    expect(answer(section(HEADER) + "AAA" + rest)).toBe(refusal);
    expect(answer("é" + section(HEADER) + rest)).toBe(refusal);
  });

  it("JSON, and an object", () => {
    const refusal = "Jwt header is an invalid JSON";
    expect(header("")).toBe(
      "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
    );
    expect(header(" ")).toBe(refusal);
    expect(header("{")).toBe(refusal);
    expect(header("[]")).toBe(refusal);
    expect(header("true")).toBe(refusal);
    expect(header("1")).toBe(refusal);
    expect(header('"alg"')).toBe(refusal);
    expect(header('{"alg":"RS256"} x')).toBe(refusal);
    expect(header('{"alg":"RS256","alg":"RS256"}')).toBe(refusal);
    expect(header('{"alg":"RS256","x":{"a":1,"a":2}}')).toBe(refusal);
    expect(header("{'alg':'RS256'}")).toBe(refusal);
    expect(header('{"alg":"RS256",}')).toBe(refusal);
    expect(header('{"alg":"RS256","x":"\n"}')).toBe(refusal);
    expect(header('{"alg":"RS256","x":1e400}')).toBe(refusal);
    expect(header('{"alg":"RS256","x":' + "[".repeat(100) + "]".repeat(100) + "}")).toBe(refusal);
    expect(header('{"alg":"RS256","x":' + "[".repeat(99) + "]".repeat(99) + "}")).toBe("OK");
    expect(header('\n { "alg" : "RS256" } \n')).toBe("OK");
    // Invalid UTF-8: {"alg":"RS256","x":"\xff"}
    expect(answer(`eyJhbGciOiJSUzI1NiIsIngiOiL_In0.${section(PAYLOAD)}.AA`)).toBe(refusal);
  });

  it("alg", () => {
    const required = "Jwt header [alg] field is required and must be a string";
    expect(header("{}")).toBe(required);
    expect(header("null")).toBe(required);
    expect(header('{"Alg":"RS256"}')).toBe(required);
    expect(header('{"alg":null}')).toBe(required);
    expect(header('{"alg":256}')).toBe(required);
    expect(header('{"alg":["RS256"]}')).toBe(required);
    const unsupported = "Jwt header [alg] is not supported";
    const names: StaticArray<string> = [
      "",
      "none",
      "None",
      "NONE",
      "rs256",
      "RS256 ",
      " RS256",
      "RS257",
      "RS25",
      "RS2566",
      "RS1",
      "Ed448",
      "Ed448",
      "EDDSA",
      "EdDSa",
      "ES256K",
      "XS256",
      "dir",
      "A128KW",
      "RSA-OAEP",
      "RS256\\u0000",
    ];
    for (let i = 0; i < names.length; i++) {
      expect(header(`{"alg":"${names[i]}"}`)).toBe(unsupported, names[i]);
    }
  });

  it("every algorithm", () => {
    const names: StaticArray<string> = [
      "RS256",
      "RS384",
      "RS512",
      "PS256",
      "PS384",
      "PS512",
      "ES256",
      "ES384",
      "ES512",
      "HS256",
      "HS384",
      "HS512",
      "EdDSA",
    ];
    for (let i = 0; i < names.length; i++) {
      expect(header(`{"alg":"${names[i]}"}`)).toBe("OK", names[i]);
      expect<i32>(jws.algorithm).toBe(Algorithm.RS256 + i);
    }
    expect(header('{"alg":"\\u0052S256"}')).toBe("OK");
  });

  it("kid", () => {
    const refusal = "Jwt header [kid] field is not a string";
    expect(header('{"alg":"RS256","kid":1}')).toBe(refusal);
    expect(header('{"alg":"RS256","kid":null}')).toBe(refusal);
    expect(header('{"alg":"RS256","kid":{}}')).toBe(refusal);
    expect(header('{"alg":"RS256","kid":"\\u0061"}')).toBe("OK");
    expect(toText(jws.kid)).toBe("a");
    expect(header('{"alg":"RS256","kid":""}')).toBe("OK");
    expect(toText(jws.kid)).toBe("");
    expect(header('{"alg":"RS256"}')).toBe("OK");
    expect(jws.kid).toBe(EMPTY);
  });

  it("crit and b64 (S1), after alg and kid", () => {
    const refusal = "Jwt header [crit] is not supported";
    expect(header('{"alg":"RS256","crit":["exp"]}')).toBe(refusal);
    expect(header('{"alg":"RS256","crit":[]}')).toBe(refusal);
    expect(header('{"alg":"RS256","crit":null}')).toBe(refusal);
    expect(header('{"alg":"RS256","b64":false}')).toBe(refusal);
    expect(header('{"alg":"RS256","b64":"true"}')).toBe(refusal);
    expect(header('{"alg":"RS256","b64":null}')).toBe(refusal);
    expect(header('{"alg":"RS256","b64":true}')).toBe("OK");
    expect(header('{"alg":"none","crit":[]}')).toBe("Jwt header [alg] is not supported");
    expect(header('{"alg":"RS256","kid":1,"crit":[]}')).toBe("Jwt header [kid] field is not a string");
    expect(answer(section('{"alg":"RS256","crit":[]}') + ".a.a")).toBe(refusal);
  });

  it("members that point to keys, and types, are ignored", () => {
    expect(
      header(
        '{"alg":"RS256","typ":1,"cty":[],"jku":"x","x5u":"x","jwk":{},"x5c":["x"],"x5t":"x","zip":"DEF"}',
      ),
    ).toBe("OK");
  });
});

describe("payload", () => {
  it("base64url", () => {
    const refusal = "Jwt payload is an invalid Base64url encoded";
    expect(answer(section(HEADER) + ".a.AA")).toBe(refusal);
    expect(answer(section(HEADER) + "." + section(PAYLOAD) + "==.AA")).toBe(refusal);
    expect(answer(section(HEADER) + ". " + section(PAYLOAD) + ".AA")).toBe(refusal);
    expect(answer(section(HEADER) + ".e31.AA")).toBe(refusal);
  });

  it("JSON, and an object", () => {
    const refusal = "Jwt payload is an invalid JSON";
    expect(payload("x")).toBe(refusal);
    expect(payload("[]")).toBe(refusal);
    expect(payload('{"iss":"a","iss":"a"}')).toBe(refusal);
    expect(payload('{"x":{"y":[{"a":1,"a":1}]}}')).toBe(refusal);
    expect(payload('{"iss":"\\ud800"}')).toBe(refusal);
    expect(payload('{"exp":NaN}')).toBe(refusal);
    expect(payload('{"exp":01}')).toBe(refusal);
    expect(payload('{"x":1e400}')).toBe(refusal);
    expect(payload("{} /* */")).toBe(refusal);
    expect(payload("{}{}")).toBe(refusal);
    expect(payload("{}")).toBe("OK");
    expect(payload("null")).toBe("OK");
    expect(jwt.issuer).toBe(EMPTY);
  });

  it("strings", () => {
    const names: StaticArray<string> = ["iss", "sub", "jti"];
    const values: StaticArray<string> = ["1", "null", "true", "[]", '["a"]', "{}"];
    for (let i = 0; i < names.length; i++) {
      for (let j = 0; j < values.length; j++) {
        expect(payload(`{"${names[i]}":${values[j]}}`)).toBe(
          `Jwt payload [${names[i]}] field is not a string`,
        );
      }
      expect(payload(`{"${names[i]}":""}`)).toBe("OK");
    }
    expect(payload('{"iss":"i\\u0000","sub":"é"}')).toBe("OK");
    expect(toHex(jwt.issuer)).toBe("6900");
    expect(toText(jwt.subject)).toBe("é");
    expect(payload("{}")).toBe("OK");
    expect(jwt.issuer).toBe(EMPTY);
    expect(jwt.subject).toBe(EMPTY);
  });

  it("times", () => {
    const names: StaticArray<string> = ["iat", "nbf", "exp"];
    const wrong: StaticArray<string> = ['"1"', "null", "true", "[]", "[1]", "{}"];
    const outside: StaticArray<string> = [
      "-1",
      "-0.5",
      "18446744073709551616",
      "18446744073709551615",
      "1e30",
    ];
    for (let i = 0; i < names.length; i++) {
      for (let j = 0; j < wrong.length; j++) {
        expect(payload(`{"${names[i]}":${wrong[j]}}`)).toBe(
          `Jwt payload [${names[i]}] field is not an integer`,
        );
      }
      for (let j = 0; j < outside.length; j++) {
        expect(payload(`{"${names[i]}":${outside[j]}}`)).toBe(
          `Jwt payload [${names[i]}] field is not a positive 64 bit integer`,
        );
      }
    }
  });

  it("times in seconds, without their fraction", () => {
    expect(payload('{"exp":1300819380,"nbf":1300819379}')).toBe("OK");
    expect(jwt.expiresAt).toBe(1300819380);
    expect(jwt.notBefore).toBe(1300819379);
    expect(payload('{"exp":1300819380.9,"nbf":1.3e9}')).toBe("OK");
    expect(jwt.expiresAt).toBe(1300819380);
    expect(jwt.notBefore).toBe(1300000000);
    expect(payload('{"exp":9223372036854775808}')).toBe("OK");
    expect(jwt.expiresAt).toBe(9223372036854775808);
    expect(jwt.notBefore).toBe(0);
    expect(payload('{"nbf":0}')).toBe("OK");
    expect(jwt.expiresAt).toBe(u64.MAX_VALUE);
    expect(jwt.notBefore).toBe(0);
  });

  it("an exp that truncates to 0 is one (S8)", () => {
    const values: StaticArray<string> = ["0", "-0", "0.0", "0.5", "1e-400"];
    for (let i = 0; i < values.length; i++) {
      expect(payload(`{"exp":${values[i]}}`)).toBe("OK");
      expect(jwt.expiresAt).toBe(0, values[i]);
    }
  });

  it("aud", () => {
    const refusal = "Jwt payload [aud] field is not a string or string list";
    expect(payload('{"aud":1}')).toBe(refusal);
    expect(payload('{"aud":null}')).toBe(refusal);
    expect(payload('{"aud":true}')).toBe(refusal);
    expect(payload('{"aud":{}}')).toBe(refusal);
    expect(payload('{"aud":["a",1]}')).toBe(refusal);
    expect(payload('{"aud":[["a"]]}')).toBe(refusal);
    expect(payload('{"aud":[null]}')).toBe(refusal);
    expect(payload('{"aud":"a"}')).toBe("OK");
    expect(payload('{"aud":[]}')).toBe("OK");
    expect(payload('{"aud":["a","b"]}')).toBe("OK");
  });

  it("other claims may be anything", () => {
    expect(payload('{"azp":1,"scope":[],"x":{"iss":1},"":null}')).toBe("OK");
    expect<i32>(jwt.payload.kind(jwt.payload.root)).toBe(JsonKind.Object);
    expect(jwt.payload.member(jwt.payload.root, bytes("azp"))).not.toBe(NONE);
  });
});

describe("signature", () => {
  it("base64url, after everything else", () => {
    const refusal = "Jwt signature is an invalid Base64url encoded";
    const start = `${section(HEADER)}.${section(PAYLOAD)}.`;
    expect(answer(start + "A")).toBe(refusal);
    expect(answer(start + "AB")).toBe(refusal);
    expect(answer(start + "AA==")).toBe(refusal);
    expect(answer(start + "AA ")).toBe(refusal);
    expect(answer(start + "AA,BB")).toBe(refusal);
    expect(answer(start + "AAAAA")).toBe(refusal);
    expect(answer(`${section(HEADER)}.${section('{"aud":1}')}.A`)).toBe(
      "Jwt payload [aud] field is not a string or string list",
    );
    expect(answer(start + "AQID")).toBe("OK");
    expect(toHex(jws.signature)).toBe("010203");
  });
});

describe("order of checks", () => {
  it("each fault hides those after it", () => {
    const bad = '{"iss":1,"sub":1,"iat":"","nbf":"","exp":"","jti":1,"aud":1}';
    expect(payload(bad)).toBe("Jwt payload [iss] field is not a string");
    expect(payload(bad.replace('"iss":1,', ""))).toBe("Jwt payload [sub] field is not a string");
    expect(payload('{"iat":"","nbf":"","exp":"","jti":1,"aud":1}')).toBe(
      "Jwt payload [iat] field is not an integer",
    );
    expect(payload('{"nbf":"","exp":"","jti":1,"aud":1}')).toBe("Jwt payload [nbf] field is not an integer");
    expect(payload('{"exp":"","jti":1,"aud":1}')).toBe("Jwt payload [exp] field is not an integer");
    expect(payload('{"jti":1,"aud":1}')).toBe("Jwt payload [jti] field is not a string");
    expect(answer(`a.a.a`)).toBe("Jwt header is an invalid Base64url encoded");
    expect(answer(section("{}") + ".a.a")).toBe("Jwt header [alg] field is required and must be a string");
    expect(answer(section(HEADER) + ".a.a")).toBe("Jwt payload is an invalid Base64url encoded");
  });
});

describe("parts", () => {
  it("as received", () => {
    const text = `${section(HEADER)}.${section(PAYLOAD)}.AQID`;
    expect(answer(text)).toBe("OK");
    expect(toText(jws.signedText)).toBe(`${section(HEADER)}.${section(PAYLOAD)}`);
    expect(toText(jws.payloadSegment)).toBe(section(PAYLOAD));
    expect(toText(jwt.issuer)).toBe("i");
    expect(toText(jwt.subject)).toBe("s");
    expect(toText(jws.kid)).toBe("k");
  });

  it("no field of the previous token remains", () => {
    expect(payload('{"iss":"i","sub":"s","exp":1,"nbf":1,"aud":"a"}')).toBe("OK");
    expect(answer(token('{"alg":"HS256"}', "{}"))).toBe("OK");
    expect(jws.kid).toBe(EMPTY);
    expect(jwt.issuer).toBe(EMPTY);
    expect(jwt.subject).toBe(EMPTY);
    expect(jwt.expiresAt).toBe(u64.MAX_VALUE);
    expect(jwt.notBefore).toBe(0);
    expect(jwt.audienceAllowed(audiences(["a"]))).toBe(false);
  });
});

describe("audiences", () => {
  it("any of the token's is any of the provider's", () => {
    payload('{"aud":["x","b"]}');
    expect(jwt.audienceAllowed(audiences(["a", "b"]))).toBe(true);
    expect(jwt.audienceAllowed(audiences(["a", "c"]))).toBe(false);
    expect(jwt.audienceAllowed(audiences(["B"]))).toBe(false);
    payload('{"aud":"a"}');
    expect(jwt.audienceAllowed(audiences(["a"]))).toBe(true);
    expect(jwt.audienceAllowed(audiences(["aa", ""]))).toBe(false);
    payload('{"aud":[]}');
    expect(jwt.audienceAllowed(audiences(["a"]))).toBe(false);
    payload('{"aud":""}');
    expect(jwt.audienceAllowed(audiences(["a"]))).toBe(false);
    payload("{}");
    expect(jwt.audienceAllowed(audiences(["a"]))).toBe(false);
  });

  it("without scheme in front and one slash at the end", () => {
    const same: StaticArray<string> = [
      "h.io",
      "http://h.io",
      "https://h.io",
      "h.io/",
      "http://h.io/",
      "https://h.io/",
    ];
    for (let i = 0; i < same.length; i++) {
      payload(`{"aud":"${same[i]}"}`);
      for (let j = 0; j < same.length; j++) {
        expect(jwt.audienceAllowed(audiences([same[j]]))).toBe(true, `${same[i]} ${same[j]}`);
      }
      expect(jwt.audienceAllowed(audiences(["H.io"]))).toBe(false);
      expect(jwt.audienceAllowed(audiences(["h.io//"]))).toBe(false);
      expect(jwt.audienceAllowed(audiences(["HTTP://h.io"]))).toBe(false);
      expect(jwt.audienceAllowed(audiences(["ftp://h.io"]))).toBe(false);
    }
    payload('{"aud":"https://"}');
    expect(jwt.audienceAllowed(audiences(["/"]))).toBe(true);
    payload('{"aud":"http:///"}');
    expect(jwt.audienceAllowed(audiences(["http://"]))).toBe(true);
  });
});

describe("answers", () => {
  it("the texts of statuses that parsing does not return", () => {
    expect(toText(statusText(Status.JwtMissed))).toBe("Jwt is missing");
    expect(toText(statusText(Status.JwtNotYetValid))).toBe("Jwt not yet valid");
    expect(toText(statusText(Status.JwtExpired))).toBe("Jwt is expired");
    expect(toText(statusText(Status.JwtUnknownIssuer))).toBe("Jwt issuer is not configured");
    expect(toText(statusText(Status.JwtAudienceNotAllowed))).toBe("Audiences in Jwt are not allowed");
    expect(toText(statusText(Status.JwtVerificationFail))).toBe("Jwt verification fails");
    expect(toText(statusText(Status.JwtEd25519SignatureWrongLength))).toBe(
      "Jwt ED25519 signature is wrong length",
    );
    expect(toText(statusText(Status.JwksKidAlgMismatch))).toBe(
      "Jwks doesn't have key to match kid or alg from Jwt",
    );
    expect(toText(statusText(Status.JwksFetchFail))).toBe("Jwks remote fetch is failed");
    expect(toText(statusText(Status.JwtTooLarge))).toBe("Jwt is too large");
    expect(toText(statusText(Status.TooManyJwts))).toBe("Too many Jwts in the request");
    expect(statusText(Status.Ok)).toBe(EMPTY);
    expect(statusText(Status.HostFailed)).toBe(EMPTY);
  });
});
