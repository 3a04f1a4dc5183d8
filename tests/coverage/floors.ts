/**
 * What the tests have to cover at least: figures that only rise, in floors.json. Floors are whole percents, for a few lines
 * are run by chance.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const FILE = fileURLToPath(new URL("../tests/coverage/floors.json", import.meta.url));

/** For `lines` and for `branches`: how many there are, and how many the tests run. */
export type Figures = Record<string, { covered: number; all: number }>;

/** By part of the project and what is counted: percent. */
type Floors = Record<string, Record<string, number>>;

/** 1 of 3 as `33.33 % (1 of 3)`. */
export function percent({ covered, all }: Figures[string]): string {
  return `${hundredths({ covered, all }).toFixed(2)} % (${covered} of ${all})`;
}

/** In percent, cut to hundredths. */
function hundredths({ covered, all }: Figures[string]): number {
  return Math.floor((10_000 * covered) / all) / 100;
}

/**
 * Prints figures, and compares them with their floors.
 *
 * @param part of the project: `assembly` or `tools`
 * @param raise writes each figure that is above its floor as the new floor
 * @returns whether none is below its floor
 */
export function checkFloor(part: string, figures: Figures, raise: boolean): boolean {
  const floors = JSON.parse(readFileSync(FILE, "utf8")) as Floors;
  const own = floors[part] ?? {};
  floors[part] = own;
  let holds = true;
  for (const [what, figure] of Object.entries(figures)) {
    const floor = own[what] ?? 0;
    const isBelow = hundredths(figure) < floor;
    holds &&= !isBelow;
    console.log(`${part}: ${what} ${percent(figure)}, floor ${floor} %${isBelow ? ": TOO FEW" : ""}`);
    own[what] = Math.max(floor, Math.floor(hundredths(figure)));
  }
  if (raise) writeFileSync(FILE, `${JSON.stringify(floors, null, 2)}\n`);
  return holds;
}
