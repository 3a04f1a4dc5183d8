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

/** The options of a host in Node. */
export interface NodeHostOptions extends HostOptions {
  /** Whether the host has `verify_signature`. Default: true, as Envoy. */
  verifySignature?: boolean;
}

/**
 * Makes a host for a module, with Envoy's foreign functions by Node's own cryptography.
 *
 * @param wasm the module's bytes, or the compiled module
 * @param options what the host offers the module
 * @returns a host without a configuration
 * @throws {Error} (CompileError or LinkError, too) if Envoy would not load the module; the promise is rejected
 *
 * @example
 * ```ts
 * import { readFile } from "node:fs/promises";
 * import { compile, createHost, moduleFile } from "jwtgate";
 *
 * const text = `apiVersion: security.istio.io/v1
 * kind: AuthorizationPolicy
 * metadata: {name: no-admin}
 * spec: {action: DENY, rules: [{to: [{operation: {paths: [/admin]}}]}]}`;
 * const { configuration } = compile([{ name: "policy.yaml", text }], { target: "envoy" });
 * const host = await createHost(await readFile(moduleFile));
 * host.configure(configuration);
 * const { answer } = await host.request({ path: "/admin" });
 * console.log(answer?.status, answer?.body); // 403 RBAC: access denied
 * ```
 */
export async function createNodeHost(
  wasm: ArrayBuffer | ArrayBufferView | WebAssembly.Module,
  { verifySignature: has = true, ...options }: NodeHostOptions = {},
): Promise<Host> {
  const foreignFunctions = { ...(has && { verify_signature: verifySignature }), ...options.foreignFunctions };
  return createHost(wasm, { ...options, foreignFunctions });
}
