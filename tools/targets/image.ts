/**
 * The module as something that a cluster fetches: the options that name it, the same for all resources with a module.
 */
import { parseImage, parseSha256 } from "../values.ts";
import { VERSION } from "../version.ts";
import type { TargetOption } from "./target.ts";

export interface ImageOptions {
  image: string;
  sha256: string;
}

/** In help and messages; users write their own. */
export const EXAMPLE_IMAGE = `oci://registry.example.com/jwtgate:${VERSION}`;

export const IMAGE_OPTIONS: readonly TargetOption[] = [
  {
    flags: "--image <url>",
    description: "where the cluster finds the module: oci://…, https://…, file://…",
    parse: parseImage,
  },
  { flags: "--sha256 <digest>", description: "of what --image names", parse: parseSha256 },
];

/** Reports contradictions between options. @param output its name */
export function checkImage(output: string, { image }: Partial<ImageOptions>): string | undefined {
  if (image !== undefined) return undefined;
  return `--output ${output} needs --image with the place that you pushed the module to, such as --image ${EXAMPLE_IMAGE}: a plugin that cannot be fetched refuses every request (docs/image.md)`;
}
