/** Drives the primitives of assembly/crypto (tests/support/guest/crypto.ts) and plays their host. */
import { verify } from "node:crypto";
import { compileAssembly } from "../support/assembly.ts";

interface Exports {
  memory: WebAssembly.Memory;
  _initialize(): void;
  begin(): void;
  malloc(size: number): number;
  collect(): void;
  hash(algorithm: number, text: number, size: number, part: number): bigint;
  refusal(): bigint;
  loadHmac(k: number, size: number): number;
  loadRsa(n: number, nSize: number, e: number, eSize: number): number;
  loadEc(curve: number, x: number, xSize: number, y: number, ySize: number): number;
  loadEd25519(x: number, size: number): number;
  rsaBits(): number;
  verifyHmac(algorithm: number, tag: number, tagSize: number, text: number, size: number): number;
  verifyPkcs1(algorithm: number, s: number, sSize: number, text: number, size: number): number;
  verifyPss(algorithm: number, s: number, sSize: number, text: number, size: number): number;
  verifyEc(algorithm: number, s: number, sSize: number, text: number, size: number): number;
  verifyEd25519(s: number, sSize: number, text: number, size: number): number;
  loadMlDsa(set: number, x: number, size: number): number;
  verifyMlDsa(
    s: number,
    sSize: number,
    text: number,
    size: number,
    context: number,
    contextSize: number,
  ): number;
  highBits(set: number, w: number): bigint;
  hinted(set: number, r: number): number;
  hintsAreValid(set: number, hints: number): number;
  ball(challenge: number, size: number, tau: number): bigint;
  product(a: number, b: number, count: number, c: number, d: number): bigint;
  shake256(text: number, size: number, part: number): bigint;
  shake128(seed: number, first: number, second: number): bigint;
  power(n: number, size: number, base: number, exponent: number): bigint;
  reduce(digest: number): bigint;
  hostAvailable(): number;
  hostFault(): number;
  loadKeys(text: number, size: number): number;
  verifyJws(text: number, size: number): number;
  __counters?(): number;
}

export const HASHES = ["sha256", "sha384", "sha512"] as const;
export type HashName = (typeof HASHES)[number];
export const CURVES = ["P-256", "P-384", "P-521"] as const;
export type CurveName = (typeof CURVES)[number];
export const ML_DSA_SETS = ["ML-DSA-44", "ML-DSA-65", "ML-DSA-87"] as const;
export type MlDsaName = (typeof ML_DSA_SETS)[number];

/** What the host answers to a `verify_signature`. */
export type Host = (request: VerifySignatureRequest) => { status: number; result?: Uint8Array };

export interface VerifySignatureRequest {
  hash: string;
  publicKey: Buffer;
  signature: Buffer;
  text: Buffer;
}

const OK = 0;
const NOT_FOUND = 1;

/** Serialized VerifySignatureResult. */
export const GOOD = Uint8Array.of(0x08, 1);
/** `result` is false, and so left out; `error` says why. */
export const BAD = Uint8Array.of(0x12, 2, 0x6e, 0x6f);

/** Envoy, played by Node's crypto. */
export const nodeHost: Host = ({ hash, publicKey, signature, text }) => {
  const good = verify(hash, text, { key: publicKey, format: "der", type: "spki" }, signature);
  return { status: OK, result: good ? GOOD : BAD };
};

/** A host without `verify_signature`. */
export const noHost: Host = () => ({ status: NOT_FOUND });

/** How long compiling the guest may take on a busy machine, in milliseconds. */
export const COMPILING = 120_000;

/** The guest's source. */
export const SOURCE = "tests/support/guest/crypto.ts";

let compiled: Promise<WebAssembly.Module> | undefined;

export class CryptoGuest {
  /** What the host was asked, since the guest was made. */
  readonly asked: VerifySignatureRequest[] = [];

  private constructor(private readonly exports: Exports) {}

  static async create(host: Host): Promise<CryptoGuest> {
    compiled ??= compileAssembly(SOURCE, "-O3", "--noAssert").then((bytes) => WebAssembly.compile(bytes));
    return CryptoGuest.of(await compiled, host);
  }

  /** @param module compiled of `SOURCE` */
  static of(module: WebAssembly.Module, host: Host): CryptoGuest {
    let guest: CryptoGuest | undefined;
    const { exports } = new WebAssembly.Instance(module, {
      env: {
        proxy_call_foreign_function: (
          name: number,
          nameSize: number,
          input: number,
          inputSize: number,
          output: number,
          outputSize: number,
        ) => {
          if (guest === undefined) throw new Error("a call of the host before there is one");
          if (guest.bytes(name, nameSize).toString() !== "verify_signature") return NOT_FOUND;
          const request = parseRequest(guest.bytes(input, inputSize));
          guest.asked.push(request);
          const { status, result = new Uint8Array() } = host(request);
          const [at, size] = guest.put(result);
          const view = new DataView(guest.exports.memory.buffer);
          view.setUint32(output, at, true);
          view.setUint32(outputSize, size, true);
          return status;
        },
      },
      wasi_snapshot_preview1: { random_get: () => OK },
    });
    guest = new CryptoGuest(exports as unknown as Exports);
    guest.exports._initialize();
    return guest;
  }

  /** @param part the bytes given to the hash at a time */
  hash(name: HashName, text: Uint8Array, part = Math.max(text.length, 1)): Buffer {
    this.exports.begin();
    return this.slice(this.exports.hash(HASHES.indexOf(name), ...this.put(text), part));
  }

  /** Loads a key. @returns why it was refused, or undefined */
  loadHmac(k: Uint8Array): string | undefined {
    this.exports.begin();
    return this.refusal(this.exports.loadHmac(...this.put(k)));
  }

  loadRsa(n: Uint8Array, e: Uint8Array): string | undefined {
    this.exports.begin();
    return this.refusal(this.exports.loadRsa(...this.put(n), ...this.put(e)));
  }

  loadEc(curve: CurveName, x: Uint8Array, y: Uint8Array): string | undefined {
    this.exports.begin();
    return this.refusal(this.exports.loadEc(CURVES.indexOf(curve), ...this.put(x), ...this.put(y)));
  }

  loadEd25519(x: Uint8Array): string | undefined {
    this.exports.begin();
    return this.refusal(this.exports.loadEd25519(...this.put(x)));
  }

  loadMlDsa(set: MlDsaName, x: Uint8Array): string | undefined {
    this.exports.begin();
    return this.refusal(this.exports.loadMlDsa(ML_DSA_SETS.indexOf(set), ...this.put(x)));
  }

  get rsaBits(): number {
    return this.exports.rsaBits();
  }

  verifyHmac(hash: HashName, tag: Uint8Array, text: Uint8Array): boolean {
    return this.verify(this.exports.verifyHmac, hash, tag, text);
  }

  /** As `verifyHmac`, of a tag that is in the guest's memory, or begins there. @throws RuntimeError if it is read beyond it */
  verifyHmacAt(hash: HashName, address: number, size: number, text: Uint8Array): boolean {
    this.exports.begin();
    return this.exports.verifyHmac(HASHES.indexOf(hash), address, size, ...this.put(text)) === 1;
  }

  get memory(): WebAssembly.Memory {
    return this.exports.memory;
  }

  verifyPkcs1(hash: HashName, signature: Uint8Array, text: Uint8Array): boolean {
    return this.verify(this.exports.verifyPkcs1, hash, signature, text);
  }

  verifyPss(hash: HashName, signature: Uint8Array, text: Uint8Array): boolean {
    return this.verify(this.exports.verifyPss, hash, signature, text);
  }

  verifyEc(hash: HashName, signature: Uint8Array, text: Uint8Array): boolean {
    return this.verify(this.exports.verifyEc, hash, signature, text);
  }

  verifyEd25519(signature: Uint8Array, text: Uint8Array): boolean {
    this.exports.begin();
    return this.exports.verifyEd25519(...this.put(signature), ...this.put(text)) === 1;
  }

  verifyMlDsa(signature: Uint8Array, text: Uint8Array, context: Uint8Array = new Uint8Array()): boolean {
    this.exports.begin();
    return this.exports.verifyMlDsa(...this.put(signature), ...this.put(text), ...this.put(context)) === 1;
  }

  /** w1Encode of the high bits of 256 coefficients. */
  highBits(set: MlDsaName, w: Int32Array): Buffer {
    this.exports.begin();
    return this.slice(this.exports.highBits(ML_DSA_SETS.indexOf(set), this.putNumbers(w)));
  }

  /** Whether bytes are an encoding of hints. @param hints as many as the set's signatures end with */
  hintsAreValid(set: MlDsaName, hints: Uint8Array): boolean {
    this.exports.begin();
    return this.exports.hintsAreValid(ML_DSA_SETS.indexOf(set), this.put(hints)[0]) === 1;
  }

  /** A coefficient with a hint, moved to where its high bits are the right ones. */
  hinted(set: MlDsaName, r: number): number {
    this.exports.begin();
    return this.exports.hinted(ML_DSA_SETS.indexOf(set), r);
  }

  /** @returns undefined if the digest of the challenge is too short for `tau` positions */
  ball(challenge: Uint8Array, tau: number): Int32Array | undefined {
    this.exports.begin();
    const result = this.slice(this.exports.ball(...this.put(challenge), tau));
    return result.length === 0 ? undefined : toNumbers(result);
  }

  /** The sum of products of polynomials, minus c · d · 2^13. @param a transformed, unlike the others */
  product(a: Int32Array[], b: Int32Array[], c: Int32Array, d: Int32Array): Int32Array {
    this.exports.begin();
    const [a0, b0] = [a, b].map((list) => this.putNumbers(Int32Array.from(list.flatMap((p) => [...p]))));
    const result = this.exports.product(a0 ?? 0, b0 ?? 0, a.length, this.putNumbers(c), this.putNumbers(d));
    return toNumbers(this.slice(result));
  }

  /** The first 272 bytes. @param part the bytes given to the hash at a time */
  shake256(text: Uint8Array, part = Math.max(text.length, 1)): Buffer {
    this.exports.begin();
    return this.slice(this.exports.shake256(...this.put(text), part));
  }

  /** The first 336 bytes of SHAKE128 of a seed and two bytes, twice. @param seed 32 bytes */
  shake128(seed: Uint8Array, first: number, second: number): [Buffer, Buffer] {
    this.exports.begin();
    const both = this.slice(this.exports.shake128(this.put(seed)[0], first, second));
    return [both.subarray(0, 336), both.subarray(336)];
  }

  /** base^exponent modulo n; undefined if the base is refused. */
  power(n: bigint, base: bigint, exponent: number): bigint | undefined {
    this.exports.begin();
    const [at, size] = this.put(toBytes(n));
    const [baseAt] = this.put(toBytes(base, size));
    const result = this.slice(this.exports.power(at, size, baseAt, exponent));
    return result.length === 0 ? undefined : toNumber(result);
  }

  /** A number below 2^512 modulo the order of Ed25519's base point. */
  reduce(number: bigint): bigint {
    this.exports.begin();
    const [at] = this.put(toBytes(number, 64).reverse());
    return toNumber(Buffer.from(this.slice(this.exports.reduce(at))).reverse());
  }

  get hostAvailable(): boolean {
    return this.exports.hostAvailable() === 1;
  }

  /** Whether the host failed in the latest verification. */
  get hostFailed(): boolean {
    return this.exports.hostFault() === 1;
  }

  /** @param jwks the keys */
  loadKeys(jwks: object[]): boolean {
    this.exports.begin();
    return this.exports.loadKeys(...this.put(Buffer.from(JSON.stringify(jwks)))) === 1;
  }

  /** @returns the status: 0 if the token is good */
  verifyJws(token: string): number {
    this.exports.begin();
    return this.exports.verifyJws(...this.put(Buffer.from(token)));
  }

  /** How often each statement ran since the last call. @param count as many as the module counts (`compileCounted`) */
  takeCounts(count: number): number[] {
    if (this.exports.__counters === undefined) throw new Error("the module has no counters");
    const counters = new Uint32Array(this.exports.memory.buffer, this.exports.__counters(), count);
    const counts = [...counters];
    counters.fill(0);
    return counts;
  }

  /** Collects garbage. @returns the size of the memory */
  collect(): number {
    this.exports.collect();
    return this.exports.memory.buffer.byteLength;
  }

  private verify(
    entry: (hash: number, s: number, sSize: number, text: number, size: number) => number,
    hash: HashName,
    signature: Uint8Array,
    text: Uint8Array,
  ): boolean {
    this.exports.begin();
    return entry(HASHES.indexOf(hash), ...this.put(signature), ...this.put(text)) === 1;
  }

  private refusal(loaded: number): string | undefined {
    return loaded === 1 ? undefined : this.slice(this.exports.refusal()).toString();
  }

  private put(bytes: Uint8Array): [number, number] {
    const at = this.exports.malloc(bytes.length);
    new Uint8Array(this.exports.memory.buffer).set(bytes, at);
    return [at, bytes.length];
  }

  private putNumbers(numbers: Int32Array): number {
    return this.put(new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength))[0];
  }

  private bytes(at: number, size: number): Buffer {
    return Buffer.from(this.exports.memory.buffer.slice(at, at + size));
  }

  private slice(value: bigint): Buffer {
    const unsigned = BigInt.asUintN(64, value);
    return this.bytes(Number(unsigned >> 32n), Number(unsigned & 0xffffffffn));
  }
}

/** Big-endian; as long as need be, or padded to `length`. */
export function toBytes(number: bigint, length = 0): Buffer {
  const digits = number.toString(16);
  const padded = digits.padStart(Math.max(2 * length, digits.length + (digits.length % 2)), "0");
  return Buffer.from(padded, "hex");
}

export function toNumber(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString("hex") || "0"}`);
}

function toNumbers(bytes: Buffer): Int32Array {
  return new Int32Array(Uint8Array.from(bytes).buffer);
}

export function fromBase64url(text = ""): Buffer {
  return Buffer.from(text, "base64url");
}

/** Reads a serialized VerifySignatureArguments. */
function parseRequest(message: Buffer): VerifySignatureRequest {
  const fields: Buffer[] = [];
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = message.readUInt8(at++);
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    if ((tag & 7) !== 2) throw new Error("a field that is not bytes");
    const length = varint();
    fields[tag >> 3] = message.subarray(at, at + length);
    at += length;
  }
  const empty = Buffer.alloc(0);
  const [, hash = empty, publicKey = empty, signature = empty, text = empty] = fields;
  return { hash: hash.toString(), publicKey, signature, text };
}
