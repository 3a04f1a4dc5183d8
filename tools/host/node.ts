/** The host with Node's own cryptography in Envoy's foreign function `verify_signature`. */
import { createPublicKey, type KeyObject, verify } from "node:crypto";
import type { WasmResult } from "./abi.ts";
import { createHost, type Host, type HostOptions } from "./host.ts";
import { type PublicKey, verifySignatureWith } from "./verify-signature.ts";

/** Envoy's `verify_signature`, by OpenSSL. */
export function verifySignature(args: Uint8Array): Uint8Array | WasmResult {
  return verifySignatureWith(args, importKey);
}

function importKey(der: Uint8Array): PublicKey | undefined {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: Buffer.from(der), format: "der", type: "spki" });
  } catch {
    return undefined;
  }
  if (key.asymmetricKeyType !== "rsa" && key.asymmetricKeyType !== "ec") return undefined;
  return (hash, text, signature) => verify(hash, text, key, signature);
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
