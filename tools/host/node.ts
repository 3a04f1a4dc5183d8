/** The host with what only Node has: Envoy's foreign function `verify_signature`. */
import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { WasmResult } from "./abi.ts";
import { latin1Decode, utf8Encode } from "./bytes.ts";
import { createHost, type Host, type HostOptions } from "./host.ts";
import { readFields, writeField } from "./protobuf.ts";

const HASHES = new Set(["sha1", "sha224", "sha256", "sha384", "sha512"]);

/** `VerifySignatureResult { result: true }`. */
const VERIFIED = Uint8Array.of(8, 1);
/** `VerifySignatureResult { error }`. */
const failed = (error: string): Uint8Array => writeField(2, utf8Encode(error));

/**
 * Envoy's `verify_signature` (source/extensions/common/wasm/foreign.cc, source/common/crypto): RSASSA-PKCS1-v1_5, or
 * ECDSA with a DER signature, by the key's type.
 * @param args protobuf {1: hash name, 2: DER SubjectPublicKeyInfo, 3: signature, 4: text}
 */
export function verifySignature(args: Uint8Array): Uint8Array | WasmResult {
  const fields = readFields(args);
  if (fields === undefined) return WasmResult.BadArgument;
  const [hash, key, signature, text] = [1, 2, 3, 4].map((number) => fields.get(number) ?? new Uint8Array());
  const publicKey = importKey(key as Uint8Array);
  if (publicKey === undefined) return WasmResult.BadArgument;
  const hashName = latin1Decode(hash as Uint8Array).toLowerCase();
  if (!HASHES.has(hashName)) return failed(`${hashName} is not supported.`);
  return verify(hashName, text as Uint8Array, publicKey, signature as Uint8Array)
    ? VERIFIED
    : failed("Failed to verify digest.");
}

/** @returns undefined where the bytes are no RSA or EC key */
function importKey(der: Uint8Array): KeyObject | undefined {
  try {
    const key = createPublicKey({ key: Buffer.from(der), format: "der", type: "spki" });
    return key.asymmetricKeyType === "rsa" || key.asymmetricKeyType === "ec" ? key : undefined;
  } catch {
    return undefined;
  }
}

export interface NodeHostOptions extends HostOptions {
  /** Whether the host has `verify_signature`. Default: true, as Envoy. */
  verifySignature?: boolean;
}

/** `createHost` with Envoy's foreign functions. */
export function createNodeHost(
  wasm: ArrayBuffer | ArrayBufferView | WebAssembly.Module,
  { verifySignature: has = true, ...options }: NodeHostOptions = {},
): Promise<Host> {
  const foreignFunctions = { ...(has && { verify_signature: verifySignature }), ...options.foreignFunctions };
  return createHost(wasm, { ...options, foreignFunctions });
}
