/**
 * The filter as an OCI image (github.com/opencontainers/image-spec 1.1), in the two forms that Istio accepts (istio
 * pkg/wasm/imagefetcher.go).
 */
import { createHash } from "node:crypto";
import { gzipStored, tar } from "./tar.ts";

/**
 * `image`: an ordinary image with the file plugin.wasm in its last layer, which every registry accepts. `artifact`: the
 * module's own bytes as a layer, with the media types of the Wasm artifact specification.
 */
export type Form = "image" | "artifact";

export const FORMS: readonly Form[] = ["image", "artifact"];

/** A manifest's description of a blob. */
export interface Descriptor {
  mediaType: string;
  /** `sha256:` and hexadecimal. */
  digest: string;
  /** Bytes. */
  size: number;
  annotations?: Record<string, string>;
}

export interface Image {
  form: Form;
  /** The descriptor of the manifest, by which a registry names an image. */
  manifest: Descriptor;
  /** The manifest and everything that it names, by digest. */
  blobs: Map<string, Uint8Array>;
}

export interface ImageOptions {
  form: Form;
  /** The module. */
  wasm: Uint8Array;
  /** Of the filter. */
  version: string;
}

const MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json";

/** Media types of the artifact form, as Istio and `oras` know them. */
const WASM_CONFIG_TYPE = "application/vnd.module.wasm.config.v1+json";
const WASM_CONTENT_TYPE = "application/vnd.module.wasm.content.layer.v1+wasm";

/** Makes an image. The same module always gives the same bytes. */
export async function makeImage({ form, wasm, version }: ImageOptions): Promise<Image> {
  const blobs = new Map<string, Uint8Array>();
  const put = (mediaType: string, data: Uint8Array): Descriptor => {
    const digest = `sha256:${sha256(data)}`;
    blobs.set(digest, data);
    return { mediaType, digest, size: data.length };
  };
  const content = form === "image" ? await compatibleImage(wasm, put) : wasmArtifact(wasm, put);
  const manifest = put(
    MANIFEST_TYPE,
    json({ schemaVersion: 2, mediaType: MANIFEST_TYPE, ...content, annotations: annotations(version) }),
  );
  return { form, manifest, blobs };
}

type Put = (mediaType: string, data: Uint8Array) => Descriptor;

/** What a manifest names. */
interface Content {
  config: Descriptor;
  layers: Descriptor[];
}

/** The image that `FROM scratch` and `COPY jwtgate.wasm ./plugin.wasm` make. */
async function compatibleImage(wasm: Uint8Array, put: Put): Promise<Content> {
  const layer = await tar([{ path: "plugin.wasm", data: wasm }]);
  const config = json({
    architecture: "wasm",
    os: "wasip1",
    config: {},
    rootfs: { type: "layers", diff_ids: [`sha256:${sha256(layer)}`] },
  });
  return {
    config: put("application/vnd.oci.image.config.v1+json", config),
    layers: [put("application/vnd.oci.image.layer.v1.tar+gzip", gzipStored(layer))],
  };
}

/** Istio requires exactly two layers, and reads the module from one of them. */
function wasmArtifact(wasm: Uint8Array, put: Put): Content {
  const config = put(WASM_CONFIG_TYPE, json({ type: "envoy_proxy", abiVersions: ["0.2.1"], config: {} }));
  const module = put(WASM_CONTENT_TYPE, wasm);
  const title = (name: string) => ({ annotations: { "org.opencontainers.image.title": name } });
  return {
    config,
    layers: [
      { ...config, ...title("runtime-config.json") },
      { ...module, ...title("plugin.wasm") },
    ],
  };
}

/** Without a time, so that builds are equal. */
function annotations(version: string): Record<string, string> {
  return {
    "org.opencontainers.image.description":
      "Istio's RequestAuthentication and AuthorizationPolicy as a proxy-wasm filter",
    "org.opencontainers.image.licenses": "Apache-2.0",
    "org.opencontainers.image.title": "jwtgate",
    "org.opencontainers.image.version": version,
  };
}

/** In hexadecimal. */
export function sha256(data: Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

export function json(value: object): Buffer {
  return Buffer.from(JSON.stringify(value));
}
