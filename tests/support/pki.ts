/** A certificate authority for a test: certificates that TLS peers accept, with any names. */
import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { der, extension, type Names, pem, subjectAlternativeName } from "./certificate.ts";

export interface Credentials {
  /** PEM. */
  certificate: string;
  /** PEM, PKCS #8. */
  key: string;
}

const SEQUENCE = 0x30;
const SET = 0x31;
const oid = (hex: string) => der(0x06, Buffer.from(hex, "hex"));
/** RFC 5758 section 3.2: ecdsa-with-SHA256. */
const ECDSA_WITH_SHA256 = der(SEQUENCE, oid("2a8648ce3d040302"));
/** RFC 5280 section 4.2.1.9: cA true. */
const IS_AUTHORITY = extension("551d13", der(SEQUENCE, der(0x01, Buffer.of(0xff))), true);

export class CertificateAuthority {
  private readonly pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
  /** Its own certificate, PEM. */
  readonly certificate = this.make(this.pair.publicKey, "jwtgate tests", [IS_AUTHORITY]);

  /**
   * A key, and a certificate for it that is good for servers and clients.
   *
   * @param key its type, for a new one, or the private key
   */
  issue(names: Names, key: "ec" | "rsa" | KeyObject = "ec"): Credentials {
    const privateKey = typeof key === "string" ? generate(key) : key;
    const publicKey = createPublicKey(privateKey);
    return {
      certificate: this.make(publicKey, "leaf", [subjectAlternativeName(names)]),
      key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    };
  }

  /** RFC 5280 section 4.1. */
  private make(publicKey: KeyObject, subject: string, extensions: Buffer[]): string {
    const body = der(
      SEQUENCE,
      der(0xa0, der(0x02, Buffer.of(2))),
      der(0x02, Buffer.concat([Buffer.of(1), randomBytes(8)])),
      ECDSA_WITH_SHA256,
      commonName("jwtgate tests"),
      der(SEQUENCE, utcTime(-1), utcTime(1)),
      commonName(subject),
      publicKey.export({ type: "spki", format: "der" }),
      der(0xa3, der(SEQUENCE, ...extensions)),
    );
    const signature = sign("sha256", body, this.pair.privateKey);
    return pem(der(SEQUENCE, body, ECDSA_WITH_SHA256, der(0x03, Buffer.of(0), signature)));
  }
}

function generate(type: "ec" | "rsa"): KeyObject {
  return type === "ec"
    ? generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey
    : generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
}

function commonName(name: string): Buffer {
  return der(SEQUENCE, der(SET, der(SEQUENCE, oid("550403"), der(0x0c, Buffer.from(name)))));
}

/** YYMMDDHHMMSSZ, some days from now. */
function utcTime(days: number): Buffer {
  const time = new Date(Date.now() + days * 86_400_000).toISOString();
  return der(0x17, Buffer.from(`${time.slice(2, 19).replace(/[-:T]/g, "")}Z`));
}
