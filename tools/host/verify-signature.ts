/**
 * Envoy's foreign function `verify_signature` (source/extensions/common/wasm/foreign.cc, source/common/crypto):
 * RSASSA-PKCS1-v1_5, or ECDSA with a DER signature, depending on the key's type. The caller provides the cryptography.
 */
import { WasmResult } from "./abi.ts";
import { latin1Decode, utf8Encode } from "./bytes.ts";
import { readFields, writeField } from "./protobuf.ts";

export const HASHES = ["sha1", "sha224", "sha256", "sha384", "sha512"] as const;
export type HashName = (typeof HASHES)[number];

/** A parsed public key: returns whether a signature of a text is valid. */
export type PublicKey = (hash: HashName, text: Uint8Array, signature: Uint8Array) => boolean;

/** `VerifySignatureResult { result: true }`. */
const VERIFIED = Uint8Array.of(8, 1);
/** `VerifySignatureResult { error }`. */
const failed = (error: string): Uint8Array => writeField(2, utf8Encode(error));

/**
 * @param args protobuf {1: hash name, 2: DER SubjectPublicKeyInfo, 3: signature, 4: text}
 * @param importKey returns undefined if the bytes are not an RSA or EC key
 */
export function verifySignatureWith(
  args: Uint8Array,
  importKey: (der: Uint8Array) => PublicKey | undefined,
): Uint8Array | WasmResult {
  const fields = readFields(args);
  if (fields === undefined) return WasmResult.BadArgument;
  const field = (number: number): Uint8Array => fields.get(number) ?? new Uint8Array();
  const key = importKey(field(2));
  if (key === undefined) return WasmResult.BadArgument;
  const name = latin1Decode(field(1)).toLowerCase();
  const hash = HASHES.find((known) => known === name);
  if (hash === undefined) return failed(`${name} is not supported.`);
  return key(hash, field(4), field(3)) ? VERIFIED : failed("Failed to verify digest.");
}
