/**
 * Small changes to the filter from which somebody who attacks it would profit. `npm run mutate` applies each and runs its
 * tests, one of which has to fail. `npm test` checks that every text to change is still there, once.
 */

/** A change to one file of the filter. */
export interface Mutant {
  file: string;
  /** The text to change; it occurs once in the file. */
  from: string;
  to: string;
  /** Files for Vitest, or specs for as-pect, one of which has to fail. */
  tests: string[];
  /** What goes wrong with the change. */
  why: string;
  /** Why no test can notice the change. It is then not applied. */
  equivalent?: string;
}

export const MUTANTS: Mutant[] = [
  {
    file: "assembly/index.ts",
    from: "if (streamRoot == root) streamRoot = null;",
    to: "",
    tests: ["tests/conformance/isolation.test.ts"],
    why: "a root context with the id of one that is gone gets its place, and answers 500",
  },
  {
    file: "assembly/waiting.ts",
    from: "if (!setEffectiveContext(streamId)) return;",
    to: "setEffectiveContext(streamId);",
    tests: ["tests/conformance/waiting.test.ts"],
    why: "a request is answered for another one, which has ended",
  },
  {
    file: "assembly/plugin.ts",
    from: "if (period == this.currentPeriod || !setEffectiveContext(rootContextId)) return;",
    to: "if (period == this.currentPeriod) return;",
    tests: ["tests/conformance/waiting.test.ts"],
    why: "the period is set for a context that may not be the root context, and never again",
  },
  {
    file: "assembly/authn/authenticator.ts",
    from: "const stays = this.extractor.count == 1 && !this.anyRequired && !this.wrotePlace;",
    to: "const stays = true;",
    tests: ["tests/cache/filter.test.ts"],
    why: "the memory of a token that was accepted gets the bytes of another token",
  },
  {
    file: "assembly/authn/authenticator.ts",
    from: "this.extractor.count == 1 && !this.anyRequired &&",
    to: "this.extractor.count == 1 &&",
    tests: ["tests/cache/filter.test.ts"],
    why: "the claims of a token become those that another provider takes from it",
  },
  {
    file: "assembly/authn/authenticator.ts",
    from: "&& !this.wrotePlace;",
    to: ";",
    tests: ["tests/cache/filter.test.ts"],
    why: "a token that a provider wrote into the request moves the block of the first token",
    equivalent:
      "if no provider is required, the request passes with the first provider whose only token verifies: nothing is inserted later",
  },
  {
    file: "assembly/authn/remote-jwks.ts",
    from: "if (!setEffectiveContext(this.rootContextId)) return;",
    to: "setEffectiveContext(this.rootContextId);",
    tests: ["tests/conformance/waiting.test.ts"],
    why: "the answer to a fetch comes to a stream, and is lost when it ends",
  },
  {
    file: "assembly/authn/remote-jwks.ts",
    from: "    this.refetch(now);\n    setEffectiveContext(streamId);",
    to: "    this.refetch(now);",
    tests: ["tests/conformance/waiting.test.ts"],
    why: "a stream's request is handled in the root context",
  },
  {
    file: "assembly/crypto/rsa.ts",
    from: "if (emLength < this.modulus.byteLength && load<u8>(encoded++) != 0) return false;",
    to: "if (emLength < this.modulus.byteLength) encoded++;",
    tests: ["tests/crypto/rsa.test.ts"],
    why: "with a modulus of 8k + 1 bits the first byte of the encoded message is not checked",
  },
  {
    file: "assembly/crypto/rsa.ts",
    from: "if (load<u8>(encoded) > used) return false;",
    to: "",
    tests: ["tests/crypto/rsa.test.ts"],
    why: "the bits above the encoded message are not checked",
  },
];
