/**
 * Unit tests of the filter's AssemblyScript: `npx asp`. Each spec is a module of its own, compiled with assertions.
 *
 * Of the host there is `verify_signature`, by Node's crypto, and randomness; any other host call fails the test.
 */
import { randomFillSync, verify } from "node:crypto";

const MODULES = ["env", "wasi_snapshot_preview1"];

/** proxy-wasm's status codes. */
const OK = 0;
const NOT_FOUND = 1;

export default {
  entries: ["assembly/__tests__/**/*.spec.ts"],
  include: [],
  disclude: [/node_modules/],
  outputBinary: false,
  async instantiate(_memory, createImports, instantiate, binary) {
    let instance;
    const host = {
      proxy_call_foreign_function: (name, nameSize, input, inputSize, output, outputSize) => {
        const { memory, __new, __pin } = instance.exports;
        const bytes = (at, size) => Buffer.from(memory.buffer.slice(at, at + size));
        if (bytes(name, nameSize).toString() !== "verify_signature") return NOT_FOUND;
        const answer = __pin(__new(2, 0));
        const result = new DataView(memory.buffer);
        result.setUint8(answer, 0x08);
        result.setUint8(answer + 1, verifySignature(bytes(input, inputSize)) ? 1 : 0);
        result.setUint32(output, answer, true);
        result.setUint32(outputSize, 2, true);
        return OK;
      },
      random_get: (at, size) => {
        randomFillSync(new Uint8Array(instance.exports.memory.buffer, at, size));
        return 0;
      },
    };
    const own = Object.fromEntries(MODULES.map((module) => [module, {}]));
    for (const { module, name } of WebAssembly.Module.imports(new WebAssembly.Module(binary))) {
      // AssemblyScript's own abort and trace are as-pect's affair.
      if (!MODULES.includes(module) || name === "abort" || name === "trace") continue;
      own[module][name] =
        host[name] ??
        (() => {
          throw new Error(`unit tests have no host function ${module}.${name}`);
        });
    }
    instance = await instantiate(binary, createImports(own));
    return instance;
  },
};

/** Envoy's foreign function: takes a serialized VerifySignatureArguments. */
function verifySignature(input) {
  const fields = [];
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = input[at++];
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < input.length) {
    const field = varint() >> 3;
    const length = varint();
    fields[field] = input.subarray(at, at + length);
    at += length;
  }
  const [, hash, key, signature, text] = fields;
  return verify(hash.toString(), text, { key, format: "der", type: "spki" }, signature);
}
