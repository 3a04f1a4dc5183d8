/**
 * RSA signatures (RFC 8017): RSASSA-PKCS1-v1_5 (`RS256`…), verified by the host if it can, and RSASSA-PSS (`PS256`…),
 * verified here.
 *
 * Not constant time, and need not be: keys, signatures and messages are public.
 */
import { Slice, byteAt, lengthOf, pointerOf, slice } from "../memory/slice";
import { DER_HEADER_SIZE, DerTag, DerWriter, RSA_ENCRYPTION, withoutLeadingZeros } from "../encoding/der";
import { hostVerifies, verifyAtHost } from "./host-verifier";
import { KeyFault } from "./key-fault";
import { MGF1_EXCESS, mgf1 } from "./mgf1";
import { MAX_MODULUS_BITS, Modulus } from "./montgomery";
import { Hash, MAX_DIGEST_LENGTH, digest, digestLength, hashBegin, hashFinish, hashUpdate } from "./sha2";
import { Verification, verified } from "./verification";

/** A shorter modulus is no longer safe (RFC 7518 §3.3); a longer one takes too long to verify with. */
export const MIN_RSA_BITS: i32 = 2048;
export const MAX_RSA_BITS: i32 = MAX_MODULUS_BITS;

const MAX_MODULUS_LENGTH: i32 = MAX_MODULUS_BITS / 8;

/**
 * The DigestInfo before the digest (RFC 8017 §9.2 note 1). The last byte of the hash's object identifier and the three
 * lengths differ; the rest is the same for SHA-256, SHA-384 and SHA-512.
 */
// prettier-ignore
const DIGEST_INFO: usize = memory.data<u8>([
  0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20,
  0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04, 0x30,
  0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40,
]);
const DIGEST_INFO_LENGTH: i32 = 19;

/** The encoded message EM recovered from a signature, and the expected one. */
const ENCODED: usize = memory.data(MAX_MODULUS_LENGTH, 16);
const EXPECTED: usize = memory.data(MAX_MODULUS_LENGTH, 16);
const DIGEST: usize = memory.data(MAX_DIGEST_LENGTH, 16);
/** RFC 8017 §9.1.2 step 5: eight zero bytes before the message's digest. */
const EIGHT_ZEROS: usize = memory.data(8, 8);
/** The output of MGF1. */
const MASK: usize = memory.data(MAX_MODULUS_LENGTH + MGF1_EXCESS, 16);

const writer = new DerWriter();

/** An RSA public key whose numbers have been checked. */
export class RsaPublicKey {
  private constructor(
    private readonly modulus: Modulus,
    private readonly exponent: u32,
    private readonly publicKeyInfo: StaticArray<u8>,
  ) {}

  /**
   * @param n the modulus, big-endian; leading zero bytes are ignored
   * @param e the public exponent, big-endian; leading zero bytes are ignored
   * @param fault set to why the key cannot be used
   * @returns null unless n is odd and of `MIN_RSA_BITS` to `MAX_RSA_BITS` bits and e is 3 or 65537 (what Envoy accepts)
   */
  static create(n: Slice, e: Slice, fault: KeyFault): RsaPublicKey | null {
    const number = withoutLeadingZeros(n);
    const length = lengthOf(number);
    if (length == 0 || (byteAt(number, length - 1) & 1) == 0) return refuse(fault, "the modulus is not odd");
    const bits = 8 * length - clz<i32>(byteAt(number, 0)) + 24;
    if (bits < MIN_RSA_BITS) return refuse(fault, `the modulus has fewer than ${MIN_RSA_BITS} bits`);
    if (bits > MAX_RSA_BITS) return refuse(fault, `the modulus has more than ${MAX_RSA_BITS} bits`);
    const exponent = smallNumber(e);
    if (exponent != 3 && exponent != 65537) return refuse(fault, "the exponent is neither 3 nor 65537");
    return new RsaPublicKey(new Modulus(number), exponent, encodePublicKey(number, withoutLeadingZeros(e)));
  }

  /** The length of the modulus in bits. */
  get bits(): i32 {
    return this.modulus.bits;
  }

  /**
   * RSASSA-PKCS1-v1_5 (RFC 8017 §8.2.2). The expected EM is built and compared as a whole, so nothing is parsed.
   * @param signature must be exactly as long as the modulus, and less than it
   */
  verifyPkcs1(hash: Hash, signature: Slice, text: Slice): Verification {
    if (lengthOf(signature) != this.modulus.byteLength) return Verification.Bad;
    if (hostVerifies()) {
      const key = this.publicKeyInfo;
      return verifyAtHost(hash, slice(changetype<usize>(key), key.length), signature, text);
    }
    if (!this.recover(signature)) return Verification.Bad;
    // RFC 8017 §9.2: 00 01 FF … FF 00 DigestInfo
    const length = this.modulus.byteLength;
    const suffix = DIGEST_INFO_LENGTH + digestLength(hash);
    const info = EXPECTED + <usize>(length - suffix);
    memory.fill(EXPECTED, 0xff, <usize>(length - suffix));
    store<u8>(EXPECTED, 0);
    store<u8>(EXPECTED, 1, 1);
    store<u8>(info - 1, 0);
    memory.copy(info, DIGEST_INFO + <usize>(DIGEST_INFO_LENGTH * hash), DIGEST_INFO_LENGTH);
    digest(hash, text, info + DIGEST_INFO_LENGTH);
    return verified(memory.compare(ENCODED, EXPECTED, <usize>length) == 0);
  }

  /**
   * RSASSA-PSS (RFC 8017 §8.1.2 and §9.1.2) as RFC 7518 §3.5 requires it: MGF1 with the same hash, a salt as long as
   * the digest.
   * @param signature must be exactly as long as the modulus, and less than it
   */
  verifyPss(hash: Hash, signature: Slice, text: Slice): bool {
    if (lengthOf(signature) != this.modulus.byteLength || !this.recover(signature)) return false;
    // EM has one bit less than the modulus. If EM is therefore a byte shorter, the byte before it must be zero.
    const emBits = this.modulus.bits - 1;
    const emLength = (emBits + 7) >> 3;
    let encoded = ENCODED;
    if (emLength < this.modulus.byteLength && load<u8>(encoded++) != 0) return false;
    const hashLength = digestLength(hash);
    const maskedLength = emLength - hashLength - 1;
    const h = encoded + <usize>maskedLength;
    // Steps 4 to 6: the trailer, and zeros in the bits beyond EM's length.
    if (load<u8>(h + <usize>hashLength) != 0xbc) return false;
    const used: u32 = 0xff >> (8 * emLength - emBits);
    if (load<u8>(encoded) > used) return false;
    // Steps 7 to 9: unmask DB.
    unmask(hash, encoded, maskedLength, h);
    store<u8>(encoded, load<u8>(encoded) & (<u8>used));
    // Step 10: zeros, a one, then the salt to the end.
    const zeros = maskedLength - hashLength - 1;
    for (let i = 0; i < zeros; i++) {
      if (load<u8>(encoded + <usize>i) != 0) return false;
    }
    if (load<u8>(encoded + <usize>zeros) != 1) return false;
    // Steps 11 to 14: H must be the digest of eight zeros, the message's digest and the salt.
    digest(hash, text, DIGEST);
    hashBegin(hash);
    hashUpdate(slice(EIGHT_ZEROS, 8));
    hashUpdate(slice(DIGEST, hashLength));
    hashUpdate(slice(encoded + <usize>zeros + 1, hashLength));
    hashFinish(DIGEST);
    return memory.compare(h, DIGEST, <usize>hashLength) == 0;
  }

  /** RSAVP1 (RFC 8017 §5.2.2): writes signature^e mod n to `ENCODED`. @returns false if signature ≥ n */
  private recover(signature: Slice): bool {
    return this.modulus.power(pointerOf(signature), this.exponent, ENCODED);
  }
}

/** The value of a big-endian number below 2^32; 0 if it is greater. */
function smallNumber(number: Slice): u32 {
  const significant = withoutLeadingZeros(number);
  if (lengthOf(significant) > 4) return 0;
  let value: u32 = 0;
  for (let i = 0; i < lengthOf(significant); i++) value = (value << 8) | byteAt(significant, i);
  return value;
}

/** SubjectPublicKeyInfo (RFC 5280 §4.1.2.7) around RSAPublicKey (RFC 8017 A.1.1). */
function encodePublicKey(n: Slice, e: Slice): StaticArray<u8> {
  const size = lengthOf(n) + lengthOf(e) + lengthOf(RSA_ENCRYPTION) + 8 * DER_HEADER_SIZE;
  const buffer = new StaticArray<u8>(size);
  writer.begin(changetype<usize>(buffer), size);
  const end = writer.position;
  writer.unsignedInteger(e);
  writer.unsignedInteger(n);
  writer.close(DerTag.Sequence, end);
  writer.byte(0);
  writer.close(DerTag.BitString, end);
  const algorithm = writer.position;
  writer.close(DerTag.Null, algorithm);
  writer.element(DerTag.ObjectIdentifier, RSA_ENCRYPTION);
  writer.close(DerTag.Sequence, algorithm);
  writer.close(DerTag.Sequence, end);
  return writer.copyWritten();
}

/** XORs MGF1 of the digest at `h` into the `length` bytes at `masked`. */
function unmask(hash: Hash, masked: usize, length: i32, h: usize): void {
  mgf1(hash, h, MASK, length);
  let i: usize = 0;
  for (; i + 8 <= <usize>length; i += 8) store<u64>(masked + i, load<u64>(masked + i) ^ load<u64>(MASK + i));
  for (; i < <usize>length; i++) store<u8>(masked + i, load<u8>(masked + i) ^ load<u8>(MASK + i));
}

function refuse(fault: KeyFault, reason: string): RsaPublicKey | null {
  fault.reason = reason;
  return null;
}
