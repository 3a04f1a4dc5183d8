/**
 * A verified token with everything that a request needs of it. It is one block of memory, so that the cache copies it
 * as bytes and the filter reads it in place.
 *
 *     head (this class) · token · issuer · subject · predicate bits · outputs
 *
 * An output is a claim that goes into a header: u32 index into the provider's claimsToHeaders, u32 length, the value.
 */
import { allocate } from "../memory/arena";
import { Slice, lengthOf, pointerOf, slice } from "../memory/slice";


@unmanaged
export class VerifiedToken {
  /** Seeded hash of the token's bytes. */
  hash: u64;
  /** Seconds since 1970; u64.MAX_VALUE if the token never expires. */
  expiresAt: u64;
  /** Seconds since 1970. */
  notBefore: u64;
  /** The key that verified it (JwkSet's fingerprint). */
  keyFingerprint: u64;
  /** Generation of the key set under which it was last valid. */
  keyGeneration: u32;
  /** Index of the provider that verified it. */
  provider: i32;
  /** Bytes of the whole block, a multiple of 16. */
  size: u32;
  tokenLength: i32;
  /** Offset of the payload's segment in the token. */
  payloadStart: i32;
  payloadEnd: i32;
  issuerLength: i32;
  subjectLength: i32;
  bitsLength: i32;
  outputCount: i32;
  /** Hits since it was last moved, up to 3; the cache evicts by this. */
  hits: u32;
  reserved: u32;

  /**
   * Makes a block in the arena and copies its texts. The caller sets the other fields and writes bits and outputs.
   *
   * @param payloadSegment points into `token`
   * @param bitsLength bytes of the predicate bits
   * @param outputBytes bytes of all outputs
   */
  static create(
    token: Slice,
    payloadSegment: Slice,
    issuer: Slice,
    subject: Slice,
    bitsLength: i32,
    outputBytes: i32,
  ): VerifiedToken {
    const bodySize = lengthOf(token) + lengthOf(issuer) + lengthOf(subject) + bitsLength + outputBytes;
    const size = (<u32>offsetof<VerifiedToken>() + <u32>bodySize + 15) & ~15;
    const block = changetype<VerifiedToken>(allocate(size));
    block.size = size;
    block.tokenLength = lengthOf(token);
    block.payloadStart = <i32>(pointerOf(payloadSegment) - pointerOf(token));
    block.payloadEnd = block.payloadStart + lengthOf(payloadSegment);
    block.issuerLength = lengthOf(issuer);
    block.subjectLength = lengthOf(subject);
    block.bitsLength = bitsLength;
    block.outputCount = 0;
    block.hits = 0;
    copyInto(block.token, token);
    copyInto(block.issuer, issuer);
    copyInto(block.subject, subject);
    return block;
  }

  /** A copy of the block in the arena. */
  copy(): VerifiedToken {
    const copy = allocate(this.size);
    memory.copy(copy, changetype<usize>(this), this.size);
    return changetype<VerifiedToken>(copy);
  }

  // @ts-ignore: decorator
  @inline
  private get body(): usize {
    return changetype<usize>(this) + offsetof<VerifiedToken>();
  }

  get token(): Slice {
    return slice(this.body, this.tokenLength);
  }

  /** The payload's segment, base64url as received. */
  get payloadSegment(): Slice {
    return slice(this.body + <usize>this.payloadStart, this.payloadEnd - this.payloadStart);
  }

  get issuer(): Slice {
    return slice(this.body + <usize>this.tokenLength, this.issuerLength);
  }

  get subject(): Slice {
    return slice(this.body + <usize>(this.tokenLength + this.issuerLength), this.subjectLength);
  }

  /** Address of the token predicates' bits. */
  get bits(): usize {
    return this.body + <usize>(this.tokenLength + this.issuerLength + this.subjectLength);
  }

  /** Address of the first output. */
  get outputs(): usize {
    return this.bits + <usize>this.bitsLength;
  }
}

/** Index into claimsToHeaders of the output at `address`. */
export function outputIndex(address: usize): i32 {
  return load<i32>(address);
}

/** Value of the output at `address`. */
export function outputValue(address: usize): Slice {
  return slice(address + 8, load<i32>(address, 4));
}

/** Address of the output after the one at `address`. */
export function nextOutput(address: usize): usize {
  return address + 8 + load<u32>(address, 4);
}

/** Writes an output at `address`. @returns the address after it */
export function writeOutput(address: usize, index: i32, value: Slice): usize {
  store<i32>(address, index);
  store<i32>(address, lengthOf(value), 4);
  memory.copy(address + 8, pointerOf(value), <usize>lengthOf(value));
  return nextOutput(address);
}

function copyInto(target: Slice, source: Slice): void {
  memory.copy(pointerOf(target), pointerOf(source), <usize>lengthOf(source));
}
