/** The licences of what a bundle holds: each wants to be told wherever its code goes. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * @param {string[]} inputs paths of the bundled files
 * @returns {string} a text with each package's name, version and licence
 * @throws {Error} where a package has no licence to tell
 */
export function notices(inputs) {
  // A package may have packages of its own, such as another version of one.
  const folders = new Set(
    inputs.flatMap(
      (path) => /^(node_modules\/(?:.*\/node_modules\/)?(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? [],
    ),
  );
  const texts = [...folders].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const file = readdirSync(folder).find((entry) => /^licen[sc]e(-mit)?(\.(md|txt))?$/i.test(entry));
    if (file === undefined) throw new Error(`${name} has no licence file`);
    const text = readFileSync(join(folder, file), "utf8").trim();
    return `${name} ${version} (${license})\n\n${text}\n`;
  });
  return `The files in this folder hold code of these packages.\n\n${texts.join(`\n${"-".repeat(80)}\n\n`)}`;
}
