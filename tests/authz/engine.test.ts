/** The engine decides what a naive evaluator of the same policies decides: random policies, tokens and requests. */
import { beforeAll, describe, expect, test } from "vitest";
import { decide } from "../model/authz.ts";
import { forAll } from "../support/for-all.ts";
import { AuthzGuest } from "./guest.ts";
import { authorization, payload, request } from "./random.ts";

const POLICIES = 400;
const TOKENS = 4;
const REQUESTS = 8;

let module: WebAssembly.Module;
beforeAll(async () => {
  module = await AuthzGuest.compile();
});

describe("random policies", () => {
  test.each([
    ["with guards that the structure of their conditions shows", 1, false],
    ["with any guards, most of them wrong and refused", 2, true],
  ])("%s", (_, seed, wild) => {
    const guest = AuthzGuest.create(module);
    const seen = { refused: 0, passed: 0, wrongGuards: 0, rightGuards: 0 };
    forAll(
      POLICIES,
      (random) => {
        const policies = authorization(random, wild);
        for (let fault = guest.load(policies); fault !== undefined; fault = guest.load(policies)) {
          // Without the guard that cannot be proven the rest must load.
          const pointer = /^\/(audit|deny|allow)\/(rules|shadowRules)\/(\d+)\/guard: /.exec(fault);
          if (!wild || pointer === null) throw new Error(`${fault} in ${JSON.stringify(policies)}`);
          const [, action, list, index] = pointer as unknown as [string, "deny", "rules", string];
          delete policies[action]![list]![Number(index)]!.guard;
          seen.wrongGuards++;
        }
        const sets = [policies.audit, policies.deny, policies.allow];
        const rules = sets.flatMap((set) => [...(set?.rules ?? []), ...(set?.shadowRules ?? [])]);
        seen.rightGuards += rules.filter((rule) => rule.guard !== undefined).length;
        for (let t = 0; t < TOKENS; t++) {
          const claims = payload(random);
          const spaceDelimited = random.pick(["perms", ""]);
          guest.token(claims, spaceDelimited);
          for (let r = 0; r < REQUESTS; r++) {
            const asked = request(random);
            const decision = guest.decide(asked);
            const expected = decide(policies, asked, claims, spaceDelimited ? [spaceDelimited] : []);
            expect(decision, JSON.stringify({ policies, claims, spaceDelimited, asked }, null, 1)).toEqual(
              expected,
            );
            seen[decision.refused ? "refused" : "passed"]++;
          }
        }
      },
      seed,
    );
    // Policies, requests and guards matched often enough for the test to be conclusive.
    expect(seen.refused).toBeGreaterThan(1000);
    expect(seen.passed).toBeGreaterThan(1000);
    expect(seen.rightGuards).toBeGreaterThan(200);
    if (wild) expect(seen.wrongGuards).toBeGreaterThan(200);
  });
});
