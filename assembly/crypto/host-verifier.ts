/**
 * Verifies RSASSA-PKCS1-v1_5, and ECDSA on P-256, with the host's `verify_signature`, which is native code. Some hosts
 * lack it, and Envoy's `capability_restriction_config` can remove it, so it is tested once, before the first key is
 * loaded.
 */
import { allocate } from "../memory/arena";
import { FAILED, Slice, lengthOf, slice } from "../memory/slice";
import { callVerifySignature } from "../abi/verify-signature";
import { BYTES_FIELD_OVERHEAD, putBytes, varintField } from "../encoding/protobuf";
import { Hash } from "./sha2";
import { Verification, verified } from "./verification";

/** The fields of `envoy.source.extensions.common.wasm.VerifySignatureArguments`. */
const enum Argument {
  HashFunction = 1,
  PublicKey = 2,
  Signature = 3,
  Text = 4,
}

/** The field `result` (bool) of `VerifySignatureResult`. */
const RESULT: u32 = 1;

/** RFC 6979 A.2.5: a P-256 key as SubjectPublicKeyInfo, and its signature of "sample" with SHA-256, in DER. */
// prettier-ignore
const KNOWN_KEY: Slice = slice(memory.data<u8>([
  0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
  0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04, 0x60, 0xfe, 0xd4, 0xba, 0x25,
  0x5a, 0x9d, 0x31, 0xc9, 0x61, 0xeb, 0x74, 0xc6, 0x35, 0x6d, 0x68, 0xc0, 0x49, 0xb8, 0x92, 0x3b,
  0x61, 0xfa, 0x6c, 0xe6, 0x69, 0x62, 0x2e, 0x60, 0xf2, 0x9f, 0xb6, 0x79, 0x03, 0xfe, 0x10, 0x08,
  0xb8, 0xbc, 0x99, 0xa4, 0x1a, 0xe9, 0xe9, 0x56, 0x28, 0xbc, 0x64, 0xf2, 0xf1, 0xb2, 0x0c, 0x2d,
  0x7e, 0x9f, 0x51, 0x77, 0xa3, 0xc2, 0x94, 0xd4, 0x46, 0x22, 0x99,
]), 91);
// prettier-ignore
const KNOWN_SIGNATURE: Slice = slice(memory.data<u8>([
  0x30, 0x46, 0x02, 0x21, 0x00, 0xef, 0xd4, 0x8b, 0x2a, 0xac, 0xb6, 0xa8, 0xfd, 0x11, 0x40, 0xdd,
  0x9c, 0xd4, 0x5e, 0x81, 0xd6, 0x9d, 0x2c, 0x87, 0x7b, 0x56, 0xaa, 0xf9, 0x91, 0xc3, 0x4d, 0x0e,
  0xa8, 0x4e, 0xaf, 0x37, 0x16, 0x02, 0x21, 0x00, 0xf7, 0xcb, 0x1c, 0x94, 0x2d, 0x65, 0x7c, 0x41,
  0xd4, 0x36, 0xc7, 0xa1, 0xb6, 0xe2, 0x9f, 0x65, 0xf3, 0xe9, 0x00, 0xdb, 0xb9, 0xaf, 0xf4, 0x06,
  0x4d, 0xc4, 0xab, 0x2f, 0x84, 0x3a, 0xcd, 0xa8,
]), 72);
/** "sample", and a text that the signature is not for. */
const KNOWN_TEXT: Slice = slice(memory.data<u8>([0x73, 0x61, 0x6d, 0x70, 0x6c, 0x65]), 6);
const OTHER_TEXT: Slice = slice(memory.data<u8>([0x74, 0x65, 0x73, 0x74]), 4);

/** Envoy's names of hash functions (source/common/crypto/utility_impl.cc). */
const SHA256: Slice = slice(memory.data<u8>([0x73, 0x68, 0x61, 0x32, 0x35, 0x36]), 6);
const SHA384: Slice = slice(memory.data<u8>([0x73, 0x68, 0x61, 0x33, 0x38, 0x34]), 6);
const SHA512: Slice = slice(memory.data<u8>([0x73, 0x68, 0x61, 0x35, 0x31, 0x32]), 6);

const enum Availability {
  Unknown,
  Available,
  Unavailable,
}

let availability: Availability = Availability.Unknown;

/**
 * Whether this host verifies signatures: its status is OK, it accepts a known signature, and it rejects the same one
 * for another text. Tested at the first call, while a configuration is loaded. The result depends only on the host, so
 * it is kept for the life of the VM.
 */
export function hostVerifies(): bool {
  if (availability == Availability.Unknown) {
    const works =
      verifyAtHost(Hash.Sha256, KNOWN_KEY, KNOWN_SIGNATURE, KNOWN_TEXT) == Verification.Good &&
      verifyAtHost(Hash.Sha256, KNOWN_KEY, KNOWN_SIGNATURE, OTHER_TEXT) == Verification.Bad;
    availability = works ? Availability.Available : Availability.Unavailable;
  }
  return availability == Availability.Available;
}

/**
 * Calls the host. The key determines the algorithm.
 * @param publicKey a DER SubjectPublicKeyInfo
 * @param signature as long as the modulus for RSA; DER (RFC 3279 §2.2.3) for ECDSA
 * @returns Unavailable if the call failed: the host could verify before and no longer does
 */
export function verifyAtHost(hash: Hash, publicKey: Slice, signature: Slice, text: Slice): Verification {
  const name = hash == Hash.Sha256 ? SHA256 : hash == Hash.Sha384 ? SHA384 : SHA512;
  const size =
    lengthOf(name) + lengthOf(publicKey) + lengthOf(signature) + lengthOf(text) + 4 * BYTES_FIELD_OVERHEAD;
  const request = allocate(<usize>size);
  let end = putBytes(request, Argument.HashFunction, name);
  end = putBytes(end, Argument.PublicKey, publicKey);
  end = putBytes(end, Argument.Signature, signature);
  end = putBytes(end, Argument.Text, text);
  const answer = callVerifySignature(slice(request, <i32>(end - request)));
  return answer == FAILED ? Verification.Unavailable : verified(varintField(answer, RESULT) == 1);
}
