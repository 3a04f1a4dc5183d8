/** The packages that a bundle contains, their licences, and the software bill of materials that lists them. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Enums, Models, Serialize, Spec } from "@cyclonedx/cyclonedx-library";
import { PackageURL } from "packageurl-js";

/**
 * @typedef {object} Package
 * @property {string} name
 * @property {string} version
 * @property {string} license an SPDX expression
 * @property {string} folder where it is installed
 */

/** The packages that the filter is compiled with: declarations of the host's calls, and the standard library. */
export const FILTER_PACKAGES = ["@solo-io/proxy-runtime", "assemblyscript"];

/**
 * @param {string[]} inputs paths of the bundled files
 * @returns {Package[]} in the order of their folders
 */
export function packagesOf(inputs) {
  // A package may have packages of its own, such as another version of one.
  const folders = inputs.flatMap(
    (path) => /^(node_modules\/(?:.*\/node_modules\/)?(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? [],
  );
  return [...new Set(folders)].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    return { name, version, license, folder };
  });
}

/**
 * @param {Package[]} packages
 * @returns {string} a text with each package's name, version and licence
 * @throws {Error} if a package has no licence file
 */
export function notices(packages) {
  const texts = packages.map(({ name, version, license, folder }) => {
    const file = readdirSync(folder).find((entry) => /^licen[sc]e(-mit)?(\.(md|txt))?$/i.test(entry));
    if (file === undefined) throw new Error(`${name} has no licence file`);
    const text = readFileSync(join(folder, file), "utf8").trim();
    return `${name} ${version} (${license})\n\n${text}\n`;
  });
  return `The files in this folder hold code of these packages.\n\n${texts.join(`\n${"-".repeat(80)}\n\n`)}`;
}

/**
 * A bill of materials in CycloneDX 1.6 (ECMA-424), without times and random numbers: the same files give the same text.
 *
 * @param {{name: string, version: string, license: string}} root what contains the packages
 * @param {Package[]} packages
 * @returns {string} JSON
 */
export function billOfMaterials(root, packages) {
  const bom = new Models.Bom();
  bom.metadata.component = component(Enums.ComponentType.Application, root);
  const locked = JSON.parse(readFileSync("package-lock.json", "utf8")).packages;
  for (const one of packages) {
    const added = component(Enums.ComponentType.Library, one);
    const [algorithm, digest] = (locked[one.folder]?.integrity ?? "").split("-");
    if (algorithm === "sha512") {
      added.hashes.set(Enums.HashAlgorithm["SHA-512"], Buffer.from(digest, "base64").toString("hex"));
    }
    bom.components.add(added);
    bom.metadata.component.dependencies.add(added.bomRef);
  }
  const { Factory } = Serialize.JSON.Normalize;
  const serializer = new Serialize.JsonSerializer(new Factory(Spec.Spec1dot6));
  return `${serializer.serialize(bom, { sortLists: true, space: 2 })}\n`;
}

function component(type, { name, version, license }) {
  const [group, base] = name.startsWith("@") ? name.split("/") : [undefined, name];
  const url = new PackageURL("npm", group, base, version).toString();
  const made = new Models.Component(type, base, { group, version, bomRef: url, purl: url });
  made.licenses.add(new Models.LicenseExpression(license));
  return made;
}
