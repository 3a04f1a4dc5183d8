/**
 * SHA-2's known answers: the examples of FIPS 180-4 that RFC 6234 section 8.5 repeats, and lengths at which a
 * block or the space for the length is full.
 */
import { slice } from "../memory/slice";
import { Hash, digest, digestLength, hashBegin, hashFinish, hashUpdate } from "../crypto/sha2";
import { bytes, toHex } from "./support";

const DIGEST = memory.data(64, 16);
const TEXT = memory.data(1000, 16);

function hashOf(hash: Hash, text: string): string {
  digest(hash, bytes(text), DIGEST);
  return toHex(slice(DIGEST, digestLength(hash)));
}

/** The digest of `count` times "a", passed to the hash `part` bytes at a time. */
function hashOfAs(hash: Hash, count: i32, part: i32): string {
  memory.fill(TEXT, 0x61, 1000);
  hashBegin(hash);
  for (let rest = count; rest > 0; rest -= part) hashUpdate(slice(TEXT, min(rest, part)));
  hashFinish(DIGEST);
  return toHex(slice(DIGEST, digestLength(hash)));
}

const TWO_BLOCKS_OF_512 = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
const TWO_BLOCKS_OF_1024 =
  "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu";

describe("SHA-256", () => {
  it("of the standard's examples", () => {
    expect(hashOf(Hash.Sha256, "")).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect(hashOf(Hash.Sha256, "abc")).toBe(
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    );
    expect(hashOf(Hash.Sha256, TWO_BLOCKS_OF_512)).toBe(
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
    );
    expect(hashOfAs(Hash.Sha256, 1000000, 1000)).toBe(
      "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
    );
  });
});

describe("SHA-384", () => {
  it("of the standard's examples", () => {
    expect(hashOf(Hash.Sha384, "abc")).toBe(
      "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
    );
    expect(hashOf(Hash.Sha384, TWO_BLOCKS_OF_1024)).toBe(
      "09330c33f71147e83d192fc782cd1b4753111b173b3b05d22fa08086e3b0f712fcc7c71a557e2db966c3e9fa91746039",
    );
    expect(hashOfAs(Hash.Sha384, 1000000, 1000)).toBe(
      "9d0e1809716474cb086e834e310a4a1ced149e9c00f248527972cec5704c2a5b07b8b3dc38ecc4ebae97ddd87f3d8985",
    );
  });
});

describe("SHA-512", () => {
  it("of the standard's examples", () => {
    expect(hashOf(Hash.Sha512, "abc")).toBe(
      "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    );
    expect(hashOf(Hash.Sha512, TWO_BLOCKS_OF_1024)).toBe(
      "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909",
    );
    expect(hashOfAs(Hash.Sha512, 1000000, 1000)).toBe(
      "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973ebde0ff244877ea60a4cb0432ce577c31beb009c5c2c49aa2e4eadb217ad8cc09b",
    );
  });
});

describe("a running hash", () => {
  it("does not depend on how the text is split", () => {
    for (let hash = Hash.Sha256; hash <= Hash.Sha512; hash++) {
      for (let count = 0; count <= 300; count++) {
        const whole = hashOfAs(hash, count, 1000);
        expect(hashOfAs(hash, count, 1)).toBe(whole, `${count} bytes, one by one`);
        expect(hashOfAs(hash, count, 63)).toBe(whole, `${count} bytes in parts of 63`);
        expect(hashOfAs(hash, count, 128)).toBe(whole, `${count} bytes in parts of 128`);
      }
    }
  });
});
