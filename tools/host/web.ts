/** Envoy's foreign function `verify_signature` without Node, for browsers and other engines. */
import { p256, p384, p521 } from "@noble/curves/nist.js";
import { sha1 } from "@noble/hashes/legacy.js";
import { sha224, sha256, sha384, sha512 } from "@noble/hashes/sha2.js";
import { der, elements, elementsOf, TAG } from "../encoding/der.ts";
import type { WasmResult } from "./abi.ts";
import { concat, hexDecode, hexEncode } from "./bytes.ts";
import { createHost, type Host, type HostOptions } from "./host.ts";
import { type HashName, type PublicKey, verifySignatureWith } from "./verify-signature.ts";

/** Envoy's `verify_signature`, by JavaScript. */
export function verifySignature(args: Uint8Array): Uint8Array | WasmResult {
  return verifySignatureWith(args, importKey);
}

/**
 * Makes a host for a module, with Envoy's foreign functions, in any engine.
 *
 * @param wasm the module's bytes, or the compiled module
 * @param options what the host offers the module
 * @returns a host without a configuration
 * @throws {Error} (CompileError or LinkError, too) if Envoy would not load the module; the promise is rejected
 *
 * @example
 * ```ts
 * import { readFile } from "node:fs/promises";
 * import { createHost } from "jwtgate/core";
 *
 * // A browser fetches it.
 * const wasm = await readFile("node_modules/jwtgate/build/jwtgate.wasm");
 * const host = await createHost(wasm);
 * const { accepted, logs } = host.configure({ version: 1 });
 * console.log(accepted, logs.length > 0); // false true
 * ```
 */
export async function createWebHost(
  wasm: ArrayBuffer | ArrayBufferView | WebAssembly.Module,
  options: HostOptions = {},
): Promise<Host> {
  const foreignFunctions = { verify_signature: verifySignature, ...options.foreignFunctions };
  return createHost(wasm, { ...options, foreignFunctions });
}

/** With their object identifiers, in hexadecimal (RFC 8017 §9.2, note 1). */
const HASHES: Record<HashName, { digest: (text: Uint8Array) => Uint8Array; oid: string }> = {
  sha1: { digest: sha1, oid: "2b0e03021a" },
  sha224: { digest: sha224, oid: "608648016503040204" },
  sha256: { digest: sha256, oid: "608648016503040201" },
  sha384: { digest: sha384, oid: "608648016503040202" },
  sha512: { digest: sha512, oid: "608648016503040203" },
};

/** By their object identifiers, in hexadecimal (RFC 5480 §2.1.1.1). */
const CURVES = new Map([
  ["2a8648ce3d030107", p256],
  ["2b81040022", p384],
  ["2b81040023", p521],
]);
const EC_PUBLIC_KEY = "2a8648ce3d0201";
const RSA_ENCRYPTION = "2a864886f70d010101";

/** Reads a SubjectPublicKeyInfo (RFC 5280 §4.1). */
function importKey(bytes: Uint8Array): PublicKey | undefined {
  const [algorithm, key, ...more] = elementsOf(bytes, TAG.sequence) ?? [];
  // The first byte of a bit string says how many bits of its last byte are unused.
  if (algorithm?.tag !== TAG.sequence || key?.tag !== TAG.bitString || key.content[0] !== 0) return undefined;
  if (more.length > 0) return undefined;
  const [type = "", curve = ""] = (elements(algorithm.content) ?? []).map(({ content }) =>
    hexEncode(content),
  );
  const content = key.content.subarray(1);
  if (type === RSA_ENCRYPTION) return importRsa(content);
  return type === EC_PUBLIC_KEY ? importEc(curve, content) : undefined;
}

function importEc(oid: string, bytes: Uint8Array): PublicKey | undefined {
  const curve = CURVES.get(oid);
  if (curve === undefined || !curve.utils.isValidPublicKey(bytes)) return undefined;
  return (hash, text, signature) => {
    try {
      const options = { prehash: false, lowS: false, format: "der" } as const;
      return curve.verify(signature, HASHES[hash].digest(text), bytes, options);
    } catch {
      return false;
    }
  };
}

/** No key in use has a larger exponent, and BoringSSL refuses one. */
const MAX_EXPONENT = 2n ** 33n;

function importRsa(bytes: Uint8Array): PublicKey | undefined {
  const numbers = elementsOf(bytes, TAG.sequence) ?? [];
  if (numbers.length !== 2 || !numbers.every(({ tag, content }) => tag === TAG.integer && content.length > 0))
    return undefined;
  const [n = 0n, e = 0n] = numbers.map(({ content }) => BigInt(`0x${hexEncode(content)}`));
  if (n === 0n || e === 0n || e >= MAX_EXPONENT) return undefined;
  const size = Math.ceil(n.toString(2).length / 8);
  return (hash, text, signature) => {
    const s = BigInt(`0x0${hexEncode(signature)}`);
    if (signature.length !== size || s >= n) return false;
    const found = power(s, e, n)
      .toString(16)
      .padStart(2 * size, "0");
    return found === hexEncode(encodedMessage(hash, text, size));
  };
}

/** RFC 8017 §9.2: 00 01 FF … FF 00 DigestInfo. */
function encodedMessage(hash: HashName, text: Uint8Array, size: number): Uint8Array {
  const { digest, oid } = HASHES[hash];
  const algorithm = der(TAG.sequence, der(TAG.objectIdentifier, hexDecode(oid)), der(TAG.null));
  const info = der(TAG.sequence, algorithm, der(TAG.octetString, digest(text)));
  const padding = new Uint8Array(Math.max(8, size - info.length - 3)).fill(0xff);
  return concat(Uint8Array.of(0, 1), padding, Uint8Array.of(0), info);
}

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  let square = base % modulus;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}
