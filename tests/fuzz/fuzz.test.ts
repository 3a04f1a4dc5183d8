/** A few rounds of each target, always the same; `npm run fuzz` has more of them. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { MODULE } from "../support/envoy.ts";
import { Random } from "./random.ts";
import { STEPS, TARGETS } from "./targets.ts";

const module = await WebAssembly.compile(readFileSync(MODULE));

test.each(Object.entries(TARGETS))("%s: no input makes it fail", async (_name, run) => {
  for (let seed = 1; seed <= 4; seed++) {
    await expect(run(module, new Random(seed), STEPS), `seed ${seed}`).resolves.toBeUndefined();
  }
});
