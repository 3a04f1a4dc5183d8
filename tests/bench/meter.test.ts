/** The meter counts correctly, and the module stays within its budgets. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import binaryen from "binaryen";
import { beforeAll, describe, expect, test } from "vitest";
import { BUDGETS_FILE, PAGE_FILE, withTable } from "../../bench/meter/budgets.ts";
import { HOOKS, instrument } from "../../bench/meter/instrument.ts";
import { COLUMNS, type Counts, measure } from "../../bench/meter/meter.ts";
import { ROOT } from "../support/cli.ts";

const read = (file: string) => readFileSync(join(ROOT, file), "utf8");
const budgets = JSON.parse(read(BUDGETS_FILE)) as Record<string, Counts>;

describe("the module", () => {
  let counts: Map<string, Counts>;
  beforeAll(async () => {
    counts = await measure(readFileSync(join(ROOT, "build/jwtgate.wasm")));
  });

  test("has a budget for each kind of request", () => {
    expect([...counts.keys()]).toEqual(Object.keys(budgets));
  });

  test.each(Object.keys(budgets))(
    "%s: stays within the budget (npm run meter -- --write raises it)",
    (name) => {
      const over = (Object.keys(COLUMNS) as (keyof Counts)[])
        .map((column) => ({
          column,
          now: counts.get(name)?.[column] ?? 0,
          budget: budgets[name]?.[column] ?? 0,
        }))
        .filter(({ now, budget }) => now > budget);
      expect(over).toEqual([]);
    },
  );

  test("takes the same steps a second time", async () => {
    expect(await measure(readFileSync(join(ROOT, "build/jwtgate.wasm")))).toEqual(counts);
  });
});

test("the page about performance has the budgets", () => {
  const page = read(PAGE_FILE);
  expect(page).toBe(withTable(page, new Map(Object.entries(budgets))));
});

const SAMPLE = `(module
  (import "e" "h" (func $host))
  (memory (export "m") 1)
  (func (export "f") (param $x i32) (result i32)
    (i32.store (i32.const 128) (i32.const 1))
    (i32.store8 offset=192 (local.get $x) (i32.const 7))
    (call $host)
    (memory.copy (i32.const 1024) (i32.const 0) (local.get $x))
    (v128.store (i32.const 2048) (v128.load32_splat (i32.const 64)))
    (loop $again
      (br_if $again (local.tee $x (i32.sub (local.get $x) (i32.const 1)))))
    (i32.load8_u (i32.const 128))))`;

/** The module of a text, with every feature that the filter uses. */
function assemble(text: string): Uint8Array {
  const module = binaryen.parseText(text);
  module.setFeatures(binaryen.Features.All);
  return module.emitBinary();
}

test("counts instructions, accesses, calls and copies, and changes no result", async () => {
  const { module, stretches } = instrument(assemble(SAMPLE));
  const seen = { instructions: 0, accesses: [] as [number, number][], calls: 0, copied: 0 };
  const compiled = await WebAssembly.compile(module as Uint8Array<ArrayBuffer>);
  const { exports } = new WebAssembly.Instance(compiled, {
    e: { h: () => undefined },
    [HOOKS]: {
      stretch: (number: number) => {
        seen.instructions += stretches[number]?.instructions ?? 0;
      },
      access: (address: number, length: number) => {
        seen.accesses.push([address, length]);
      },
      call: () => {
        seen.calls++;
      },
      copy: (length: number) => {
        seen.copied += length;
      },
    },
  });
  expect((exports["f"] as (x: number) => number)(3)).toBe(1);
  // 3 + 3 + 1 + 4 + 4 before the loop, 5 in each of three rounds, 2 at the end.
  expect(seen).toEqual({
    instructions: 15 + 3 * 5 + 2,
    accesses: [
      [128, 4],
      [195, 1],
      [1024, 3],
      [0, 3],
      [64, 4],
      [2048, 16],
      [128, 1],
    ],
    calls: 1,
    copied: 3,
  });
});

test("refuses an unknown instruction instead of counting wrongly", () => {
  const unknown = assemble(
    '(module (memory 1) (data "abc") (func (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 1))))',
  );
  expect(() => instrument(unknown)).toThrow("instruction 0xfc 8 is not known to the meter");
});
