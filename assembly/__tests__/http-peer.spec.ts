import { reset } from "../memory/arena";
import { encode } from "../encoding/base64";
import { DerReader } from "../encoding/der-reader";
import { PeerCertificate } from "../http/peer";
import { bytes, hex, toHex, toText } from "./support";

/** Made with OpenSSL: two URI SANs and one DNS SAN, followed by other extensions. */
const OPENSSL =
  "-----BEGIN CERTIFICATE-----\n" +
  "MIIB6TCCAY+gAwIBAgITBgXFi6eCCUH77E9Kh8pk0guzfjAKBggqhkjOPQQDAjAN\n" +
  "MQswCQYDVQQDDAJjYTAeFw0yNjExMjIwNTMyNDJaFw0zNjExMTkwNTMyNDJaMB8x\n" +
  "DTALBgNVBAMMBHN1YmoxDjAMBgNVBAoMBW11bHRpMFkwEwYHKoZIzj0CAQYIKoZI\n" +
  "zj0DAQcDQgAEvRQVM6o/CUz+hcMZ2HaHe0PFwHrJeTEij2x3JeT1qFm4OGIqcTU+\n" +
  "7lQocjUfc+kt1nzNv1TJ7m+lIUlJllpEcaOBuzCBuDBrBgNVHREEZDBihipzcGlm\n" +
  "ZmU6Ly9jbHVzdGVyLmxvY2FsL25zL2RlZmF1bHQvc2EvZmlyc3SGJ3NwaWZmZTov\n" +
  "L2NsdXN0ZXIubG9jYWwvbnMvZm9vL3NhL3NlY29uZIILZG5zLmV4YW1wbGUwCQYD\n" +
  "VR0TBAIwADAdBgNVHQ4EFgQUJgwZrmxu70B6OGmZot6eWQCr0y0wHwYDVR0jBBgw\n" +
  "FoAUip4j4K5yOY9o5EkADLmBI0p6l+MwCgYIKoZIzj0EAwIDSAAwRQIgThzkuRrR\n" +
  "BsnZ3mPWzxEu2BeIeEpZoNcsI9NIqMBVMIgCIQCVjxVpMxAJT9zfnao6txC4cgNI\n" +
  "UcCGA4OnvxO/ZvduwQ==\n" +
  "-----END CERTIFICATE-----\n";

const peer = new PeerCertificate();

/** The names in a certificate, or "unreadable". */
function names(text: string): string {
  reset();
  if (!peer.parse(bytes(text))) {
    expect(peer.uriSanCount + peer.dnsSanCount).toBe(0);
    return "unreadable";
  }
  let result = "";
  for (let i = 0; i < peer.uriSanCount; i++) result += `URI:${toText(peer.uriSan(i))} `;
  for (let i = 0; i < peer.dnsSanCount; i++) result += `DNS:${toText(peer.dnsSan(i))} `;
  return result;
}

/** One DER element in hexadecimal digits. */
function der(tag: string, content: string): string {
  const length = content.length / 2;
  const digits = length.toString(16);
  const even = digits.length % 2 == 0 ? digits : `0${digits}`;
  return length < 128
    ? `${tag}${even}${content}`
    : `${tag}${(128 + even.length / 2).toString(16)}${even}${content}`;
}

const SAN = "0603551d11";

function extension(start: string, value: string): string {
  return der("30", start + der("04", value));
}

/** A certificate of these extensions. */
function certificate(extensions: string): string {
  return der("30", der("30", `a003020102020101${der("a3", der("30", extensions))}`) + "300003020000");
}

function namesOf(certificateHex: string): string {
  reset();
  const text = toText(encode(hex(certificateHex)));
  return names(`-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----\n`);
}

const URI_A = "860161";
const DNS_B = "820162";

describe("the peer's certificate", () => {
  it("gives its URI and DNS names", () => {
    const expected =
      "URI:spiffe://cluster.local/ns/default/sa/first URI:spiffe://cluster.local/ns/foo/sa/second DNS:dns.example ";
    expect(names(OPENSSL)).toBe(expected);
    const encoded = OPENSSL.replaceAll("\n", "%0A")
      .replaceAll(" ", "%20")
      .replaceAll("+", "%2B")
      .replaceAll("/", "%2F")
      .replaceAll("=", "%3D");
    expect(names(encoded)).toBe(expected);
  });

  it("may have no names", () => {
    expect(namesOf(der("30", der("30", "a003020102020101") + "300003020000"))).toBe("");
    expect(namesOf(certificate(extension("0603551d0e", "0400")))).toBe("");
    expect(namesOf(certificate(extension(SAN, "3000")))).toBe("");
  });

  it("may have other kinds of names and a critical extension", () => {
    const value = der("30", `810178${DNS_B}${URI_A}87047f000001a0030c0161`);
    expect(namesOf(certificate(extension(SAN, value)))).toBe("URI:a DNS:b ");
    expect(namesOf(certificate(extension(`${SAN}0101ff`, value)))).toBe("URI:a DNS:b ");
  });

  it("is unreadable if it is not a certificate", () => {
    expect(names("")).toBe("unreadable");
    expect(names("x")).toBe("unreadable");
    expect(names(OPENSSL.replace("BEGIN CERTIFICATE", "BEGIN PUBLIC KEY"))).toBe("unreadable");
    expect(names(OPENSSL.substring(0, OPENSSL.length - 1))).toBe("unreadable");
    expect(names("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")).toBe("unreadable");
    expect(names("-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n")).toBe("unreadable");
    expect(names(OPENSSL + OPENSSL)).toBe("unreadable");
  });

  it("is unreadable if its extensions are incomplete", () => {
    const value = der("30", URI_A);
    const good = extension(SAN, value);
    expect(namesOf(certificate(good))).toBe("URI:a ");
    expect(namesOf(certificate(good + good))).toBe("unreadable", "two of them");
    expect(namesOf(`${certificate(good)}00`)).toBe("unreadable", "bytes after it");
    expect(namesOf(certificate(extension(SAN, `${value}00`)))).toBe("unreadable", "bytes after the names");
    expect(namesOf(certificate(extension(SAN, der("31", URI_A))))).toBe("unreadable", "no sequence");
    expect(namesOf(certificate(extension(SAN, "300386026100")))).toBe("unreadable", "a name too long");
    expect(namesOf(certificate(der("30", SAN + value)))).toBe("unreadable", "no octet string");
    expect(namesOf(certificate(`${good}05`))).toBe("unreadable", "half an extension");
    expect(namesOf(certificate(der("31", SAN + der("04", value))))).toBe("unreadable", "no extension");
    const behind = der("a3", der("30", good)) + "0500";
    expect(namesOf(der("30", der("30", behind)))).toBe("unreadable", "something after the extensions");
  });

  it("never reads outside if any byte is wrong or missing", () => {
    const good = certificate(extension(SAN, der("30", URI_A + DNS_B)));
    for (let end = 0; end < good.length; end += 2) {
      expect(namesOf(good.substring(0, end))).toBe("unreadable");
      for (let k = 0; k < 4; k++) {
        const other = ["00", "1f", "7f", "ff"][k];
        namesOf(good.substring(0, end) + other + good.substring(end + 2));
      }
    }
  });

  it("is forgotten", () => {
    expect(names(OPENSSL)).not.toBe("");
    peer.subject = bytes("CN=x");
    peer.clear();
    expect(peer.uriSanCount).toBe(0);
    expect(peer.dnsSanCount).toBe(0);
    expect(toText(peer.subject)).toBe("absent");
  });
});

/** The elements that a reader finds, "!" for a fault. */
function elements(text: string): string {
  const reader = new DerReader();
  reader.begin(hex(text));
  let result = "";
  while (reader.hasMore)
    result += reader.next() ? `${reader.tag.toString(16)}:${toHex(reader.content)} ` : "!";
  return result;
}

describe("DER", () => {
  it("is read element by element", () => {
    expect(elements("")).toBe("");
    expect(elements("0500")).toBe("5: ");
    expect(elements("020101040200ff")).toBe("2:01 4:00ff ");
    expect(elements(der("04", "ab".repeat(128)))).toBe(`4:${"ab".repeat(128)} `);
    expect(elements(der("04", "ab".repeat(256)))).toBe(`4:${"ab".repeat(256)} `);
  });

  it("has each length in one form only", () => {
    expect(elements("0480")).toBe("!", "indefinite");
    expect(elements(`048101ab`)).toBe("!", "short length in the long form");
    expect(elements(`04820080${"ab".repeat(128)}`)).toBe("!", "a leading zero");
    expect(elements("0484000000010a")).toBe("!", "four bytes of length");
    expect(elements("04ff")).toBe("!", "reserved");
  });

  it("is complete", () => {
    expect(elements("05")).toBe("!");
    expect(elements("0401")).toBe("!");
    expect(elements("0481")).toBe("!");
    expect(elements("048180")).toBe("!");
    expect(elements("0483ffffff00")).toBe("!");
    expect(elements("050004")).toBe("5: !");
  });

  it("has no tag numbers of several bytes", () => {
    expect(elements("1f2000")).toBe("!");
    expect(elements("bf2000")).toBe("!");
  });

  it("has no elements after a fault", () => {
    const reader = new DerReader();
    reader.begin(hex("05000402ff"));
    expect(reader.expect(0x05)).toBe(true);
    expect(reader.isNext(0x04)).toBe(true);
    expect(reader.next()).toBe(false);
    expect(reader.failed).toBe(true);
    expect(reader.hasMore).toBe(false);
    expect(reader.isNext(0x04)).toBe(false);
    expect(reader.expect(0x04)).toBe(false);
  });
});
