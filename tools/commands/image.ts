/** `jwtgate image`: the module as an OCI image, without Docker. */
import { Command, InvalidArgumentError, Option } from "commander";
import { printableJson } from "../diagnostics.ts";
import { FORMS, type Form, makeImage, sha256 } from "../oci/image.ts";
import { layoutArchive, NotALayout, type TaggedImage, writeLayout } from "../oci/layout.ts";
import { MODULE_FILE } from "../package.ts";
import { shellWord } from "../shell.ts";
import { VERSION } from "../version.ts";
import { readInput } from "./input.ts";
import { outputFileOption, print, UserError, writeUserFile } from "./output.ts";
import { writeReasonOf } from "./sources.ts";

interface Options {
  form: Form | "both";
  tag: string;
  module: string;
  json?: boolean;
}

/** Istio accepts no larger module (ISTIO_WASM_MAX_BINARY_SIZE_BYTES). */
const MAX_MODULE_BYTES = 256 * 1024 * 1024;

const WASM_MAGIC = Buffer.from("\0asm");

const EXAMPLES = `
Examples:
  A folder that skopeo, crane and oras can push:
    $ jwtgate image jwtgate-image
    $ skopeo copy oci:jwtgate-image:${VERSION} docker://registry.example.com/jwtgate:${VERSION}
  One file, in the artifact form:
    $ jwtgate image jwtgate-image.tar --form artifact
  The sha256 for compile --output wasmplugin:
    $ jwtgate image jwtgate-image --json

Both forms run in Istio: "image" is what docker build makes of one file, "artifact" is smaller and needs a registry that
takes artifacts. The same module gives the same digest on every machine. Exit code: 0, or 1 if the image cannot be
written, or 2 if the command line is wrong.`;

export function imageCommand(): Command {
  return new Command("image")
    .description("write the filter as an OCI image for Istio's WasmPlugin, without Docker")
    .argument(
      "<path>",
      "folder to write, or a file that ends in .tar, or - for a tar on standard output",
      parsePath,
    )
    .addOption(
      new Option("--form <form>", "how the image holds the module")
        .choices([...FORMS, "both"])
        .default("image"),
    )
    .option("--tag <tag>", "the image's tag", parseTag, VERSION)
    .addOption(new Option("--module <file>", "the module").default(MODULE_FILE, "the one of this package"))
    .option("--json", "print digests as JSON")
    .addOption(outputFileOption())
    .addHelpText("after", EXAMPLES)
    .action(run);
}

/** A path that `oci:PATH:TAG` can contain: tools that push end the path at the first colon. */
function parsePath(text: string): string {
  if (!text.includes(":")) return text;
  throw new InvalidArgumentError("Tools that push an image cut a path at its colon: write one without.");
}

/** A tag as registries accept it (distribution-spec, "Pulling manifests"). */
function parseTag(text: string): string {
  if (/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/.test(text)) return text;
  throw new InvalidArgumentError("Write letters, digits, and . _ - after the first; at most 128.");
}

async function run(path: string, { form, tag, module, json }: Options): Promise<void> {
  const wasm = readInput(module, MAX_MODULE_BYTES);
  if (!wasm.subarray(0, 4).equals(WASM_MAGIC))
    throw new UserError(`${module}: this is not a WebAssembly module`);
  const images: TaggedImage[] = [];
  for (const one of form === "both" ? FORMS : [form]) {
    const image = await makeImage({ form: one, wasm, version: VERSION });
    images.push({ ...image, tag: form === "both" && one === "artifact" ? `${tag}-artifact` : tag });
  }
  const summary = json ? asJson(path, wasm, images) : asText(path, images);
  if (path === "-") {
    await print(await layoutArchive(images));
    process.stderr.write(summary);
    return;
  }
  await write(path, images);
  await print(summary);
}

async function write(path: string, images: readonly TaggedImage[]): Promise<void> {
  if (path.endsWith(".tar")) {
    await writeUserFile("the image", path, await layoutArchive(images));
    return;
  }
  try {
    await writeLayout(path, images);
  } catch (error) {
    const reason =
      error instanceof NotALayout
        ? "this folder holds other files: name a new one, or one that holds an OCI layout"
        : writeReasonOf(error);
    throw new UserError(`${path}: the image cannot be written: ${reason}`);
  }
}

function asJson(path: string, wasm: Uint8Array, images: readonly TaggedImage[]): string {
  const summary = {
    path,
    module: { sha256: sha256(wasm), size: wasm.length },
    images: images.map(({ form, tag, manifest }) => ({
      form,
      tag,
      digest: manifest.digest,
      sha256: manifest.digest.replace("sha256:", ""),
      size: manifest.size,
    })),
  };
  return `${printableJson(summary, 2)}\n`;
}

function asText(path: string, images: readonly TaggedImage[]): string {
  const source = path.endsWith(".tar") || path === "-" ? "oci-archive" : "oci";
  const file = path === "-" ? "FILE" : path;
  const lines = images.flatMap(({ form, tag, manifest }) => [
    `${form} ${tag}`,
    `  digest  ${manifest.digest}`,
    `  push    skopeo copy --preserve-digests ${shellWord(`${source}:${file}:${tag}`)} docker://registry.example.com/jwtgate:${tag}`,
    `  plugin  jwtgate compile … --image oci://registry.example.com/jwtgate:${tag} --sha256 ${manifest.digest.replace("sha256:", "")}`,
  ]);
  return `${lines.join("\n")}\n`;
}
