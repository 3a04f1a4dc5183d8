/** Reads the RSA key of a certificate (RFC 5280 section 4.1), for key sets that are maps of certificates. */
import { EMPTY, Slice, byteAt, equals, lengthOf, subslice } from "../memory/slice";
import { DerTag, RSA_ENCRYPTION } from "./der";
import { DerReader } from "./der-reader";

/** The identifier octet of a TBSCertificate's version. */
const VERSION: i32 = 0xa0;
/** Fields of a TBSCertificate between its version and its key: serial number, algorithm, issuer, validity, subject. */
const FIELDS_BEFORE_KEY: i32 = 5;

export class RsaCertificate {
  /** The modulus and the exponent, big-endian, possibly with a leading zero byte. */
  modulus: Slice = EMPTY;
  exponent: Slice = EMPTY;

  /**
   * Reads the key. The signature and the validity are not checked: the server of the key set is trusted for
   * its keys.
   *
   * @param der a certificate
   * @returns false if it is not a certificate or its key is of another type
   */
  parse(der: Slice): bool {
    const reader = new DerReader();
    reader.begin(der);
    if (!reader.expect(DerTag.Sequence) || reader.hasMore) return false;
    if (!begin(reader, reader.content) || !enter(reader)) return false;
    if (reader.isNext(VERSION)) reader.next();
    for (let i = 0; i < FIELDS_BEFORE_KEY; i++) {
      if (!reader.next()) return false;
    }
    // SubjectPublicKeyInfo
    if (!enter(reader) || !reader.expect(DerTag.Sequence)) return false;
    const algorithm = reader.content;
    if (!reader.expect(DerTag.BitString) || reader.hasMore) return false;
    const bits = reader.content;
    reader.begin(algorithm);
    if (!reader.expect(DerTag.ObjectIdentifier) || !equals(reader.content, RSA_ENCRYPTION)) return false;
    if (!reader.expect(DerTag.Null) || reader.hasMore) return false;
    // The length in bits must be whole bytes: the first byte is the number of unused bits in the last.
    if (lengthOf(bits) < 1 || byteAt(bits, 0) != 0) return false;
    reader.begin(subslice(bits, 1, lengthOf(bits)));
    if (!reader.expect(DerTag.Sequence) || reader.hasMore) return false;
    reader.begin(reader.content);
    if (!reader.expect(DerTag.Integer)) return false;
    this.modulus = reader.content;
    if (!reader.expect(DerTag.Integer) || reader.hasMore) return false;
    this.exponent = reader.content;
    // Numbers are positive.
    return isPositive(this.modulus) && isPositive(this.exponent);
  }
}

/** Moves the reader into the next element, a sequence. */
function enter(reader: DerReader): bool {
  return reader.expect(DerTag.Sequence) && begin(reader, reader.content);
}

/** Moves the reader to the first element of `bytes`, which must consist of elements up to the end. */
function begin(reader: DerReader, bytes: Slice): bool {
  reader.begin(bytes);
  while (reader.hasMore) reader.next();
  if (reader.failed) return false;
  reader.begin(bytes);
  return true;
}

function isPositive(integer: Slice): bool {
  return lengthOf(integer) > 0 && byteAt(integer, 0) < 0x80;
}
