/** Changes that know the structure of what they change, and others that do not. */
import type { Random } from "./random.ts";

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** Numbers and texts at the edges of what readers take. */
const EDGES: readonly Json[] = [
  null,
  true,
  false,
  0,
  -0,
  -1,
  0.5,
  1e308,
  -1e308,
  5e-324,
  2 ** 31,
  2 ** 32,
  2 ** 53 + 2,
  2 ** 63,
  2 ** 64,
  "",
  " ",
  "*",
  "none",
  "HS256",
  "ES256",
  "a.b.c",
  "é😀",
  "\u0000",
  "a\r\nb",
  "x".repeat(5000),
  [],
  {},
  [[]],
  [null],
  ["", 1],
];

/** Something else in this value's place. */
export function anyJson(random: Random, depth = 3): Json {
  if (depth === 0 || random.oneIn(2)) return random.pick(EDGES);
  if (random.oneIn(2)) return random.list(0, 4, () => anyJson(random, depth - 1));
  return Object.fromEntries(
    random.list(0, 4, () => [
      random.pick(["a", "b", "iss", "sub", "keys", "", random.bytes(3)]),
      anyJson(random, depth - 1),
    ]),
  );
}

/** A copy with one value somewhere in it taken out, put in, doubled or changed. */
export function mutateJson(random: Random, value: Json): Json {
  if (value !== null && typeof value === "object" && !random.oneIn(6)) {
    return Array.isArray(value) ? mutateArray(random, value) : mutateObject(random, value);
  }
  if (typeof value === "string" && random.oneIn(2)) return mutateText(random, value);
  if (typeof value === "number" && random.oneIn(2)) return value + random.pick([-1, 1, 0.5, 1e9, -1e9]);
  return anyJson(random);
}

function mutateArray(random: Random, list: Json[]): Json[] {
  const at = random.below(list.length + 1);
  const item = list[at];
  if (item === undefined || random.oneIn(5)) return list.toSpliced(at, 0, anyJson(random));
  return random.pick([
    () => list.toSpliced(at, 1),
    () => list.toSpliced(at, 0, item),
    () => list.toSpliced(at, 1, mutateJson(random, item)),
    () => list.toSpliced(at, 1, mutateJson(random, item)),
  ])();
}

function mutateObject(random: Random, object: { [name: string]: Json }): Json {
  const names = Object.keys(object);
  const name = random.pick(names);
  if (name === undefined || random.oneIn(5)) {
    return { ...object, [random.pick([...names, "unknown", random.bytes(4)])]: anyJson(random) };
  }
  const { [name]: item, ...rest } = object;
  return random.oneIn(5) ? rest : { ...object, [name]: mutateJson(random, item as Json) };
}

/** A copy with up to four changes of bytes. */
export function mutateText(random: Random, text: string): string {
  let result = text;
  for (let i = random.below(4); i >= 0; i--) {
    const at = random.below(result.length + 1);
    result = random.pick([
      () => result.slice(0, at) + random.bytes(1) + result.slice(at + 1),
      () => result.slice(0, at) + result.slice(at + 1 + random.below(20)),
      () => result.slice(0, at) + random.bytes(1 + random.below(5)) + result.slice(at),
      () => result.slice(0, at) + random.pick([".", "=", "%", "%2e", '"', "&", ";", " "]) + result.slice(at),
      () => result.slice(at) + result.slice(0, at),
      () => result + result.slice(at),
      () => result.slice(0, at),
    ])();
  }
  return result;
}
