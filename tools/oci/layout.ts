/** OCI image layout (image-spec, image-layout.md): images as the files of a folder, or as one tar archive of them. */
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { writeFileSafely } from "../files.ts";
import { type Image, json } from "./image.ts";
import { type Entry, tar } from "./tar.ts";

export interface TaggedImage extends Image {
  /** The tag in `oci:FOLDER:TAG`. */
  tag: string;
}

/** The files of a layout, sorted by name, so that their archive is always the same. */
export function layoutFiles(images: readonly TaggedImage[]): Entry[] {
  const index = {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: images.map(({ manifest, tag }) => ({
      ...manifest,
      annotations: { "org.opencontainers.image.ref.name": tag },
    })),
  };
  const blobs = new Map(images.flatMap((image) => [...image.blobs]));
  const files = [
    { path: "index.json", data: json(index) },
    { path: "oci-layout", data: json({ imageLayoutVersion: "1.0.0" }) },
    ...[...blobs].map(([digest, data]) => ({ path: `blobs/${digest.replace(":", "/")}`, data })),
  ];
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** The layout as one archive: `oci-archive:FILE` for skopeo and podman. */
export function layoutArchive(images: readonly TaggedImage[]): Promise<Uint8Array> {
  return tar(layoutFiles(images));
}

/** A folder contains something other than a layout. */
export class NotALayout extends Error {
  override readonly name = "NotALayout";
}

/**
 * Writes a layout into a folder, which is made if it is missing (its parent is not). An existing layout is replaced;
 * its blobs may stay, because their names depend on their content.
 *
 * @throws {NotALayout} if the folder contains other files
 */
export async function writeLayout(folder: string, images: readonly TaggedImage[]): Promise<void> {
  makeFolder(folder);
  const there = readdirSync(folder);
  if (there.length > 0 && !there.includes("oci-layout")) throw new NotALayout();
  makeFolder(join(folder, "blobs"));
  makeFolder(join(folder, "blobs/sha256"));
  // The marker first, so that a failed run can be repeated; the index last: until then the layout is the old one.
  const isFirst = ({ path }: Entry) => path === "oci-layout";
  const isLast = ({ path }: Entry) => path === "index.json";
  const rank = (file: Entry) => Number(isLast(file)) - Number(isFirst(file));
  const files = layoutFiles(images).sort((a, b) => rank(a) - rank(b));
  for (const { path, data } of files) await writeFileSafely(join(folder, path), data);
}

/** Not with `recursive`, which in Node 20 never returns if a file system refuses with ENOENT, as /proc does. */
function makeFolder(folder: string): void {
  try {
    mkdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}
