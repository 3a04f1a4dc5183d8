/** Reads tests/vectors. */
import { existsSync, readFileSync } from "node:fs";
import { brotliDecompressSync } from "node:zlib";

/** @param name of a file, without `.json` or, if it is compressed, `.json.br` */
export function readVectors<T>(name: string): T {
  const file = new URL(`../vectors/${name}.json`, import.meta.url);
  const text = existsSync(file)
    ? readFileSync(file)
    : brotliDecompressSync(readFileSync(new URL(`${file}.br`)));
  return JSON.parse(text.toString()) as T;
}
