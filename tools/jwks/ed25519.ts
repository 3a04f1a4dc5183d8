/** What can be wrong with an Ed25519 public key of the right length (RFC 8032 §5.1.3; docs/strictness.md, S11). */

/** The field's prime, 2^255 − 19. */
const P = 2n ** 255n - 19n;
/** d of the curve −x² + y² = 1 + dx²y²: −121665/121666 (RFC 8032 §5.1). */
const D = mod(-121665n * inverse(121666n));
/** 2^((p−1)/4), a square root of −1. */
const SQRT_MINUS_1 = power(2n, (P - 1n) / 4n);

interface Point {
  x: bigint;
  y: bigint;
}

/**
 * @param key 32 bytes
 * @returns why no signature can be trusted under this key, or undefined where it is a proper one
 */
export function ed25519Fault(key: Uint8Array): string | undefined {
  const point = decodePoint(key);
  if (point === undefined) return "[x] is no point of the curve";
  let multiple = point;
  for (let doubling = 0; doubling < 3; doubling++) multiple = add(multiple, multiple);
  if (multiple.x === 0n && multiple.y === 1n) {
    return "[x] is a point of small order, under which a signature can be made without a private key";
  }
  return undefined;
}

/** RFC 8032 §5.1.3: the y coordinate in 255 bits, little-endian, and the sign of x. */
function decodePoint(bytes: Uint8Array): Point | undefined {
  const encoded = BigInt("0x" + Buffer.from(bytes).reverse().toString("hex"));
  const sign = encoded >> 255n;
  const y = encoded & (2n ** 255n - 1n);
  if (y >= P) return undefined;
  const square = mod((y * y - 1n) * inverse(D * y * y + 1n));
  let x = power(square, (P + 3n) / 8n);
  if (mod(x * x) !== square) x = mod(x * SQRT_MINUS_1);
  if (mod(x * x) !== square) return undefined;
  if (x === 0n && sign === 1n) return undefined;
  return { x: (x & 1n) === sign ? x : P - x, y };
}

/** The curve's addition law, complete for it (RFC 8032 §5.1.4 in affine coordinates). */
function add(a: Point, b: Point): Point {
  const product = D * a.x * b.x * a.y * b.y;
  return {
    x: mod((a.x * b.y + b.x * a.y) * inverse(1n + product)),
    y: mod((a.y * b.y + a.x * b.x) * inverse(1n - product)),
  };
}

function mod(value: bigint): bigint {
  const rest = value % P;
  return rest < 0n ? rest + P : rest;
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let square = mod(base);
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = mod(result * square);
    square = mod(square * square);
  }
  return result;
}

/** Fermat: a^(p−2). */
function inverse(value: bigint): bigint {
  return power(mod(value), P - 2n);
}
