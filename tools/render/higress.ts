/** The WasmPlugin of Higress (extensions.higress.io/v1alpha1), which applies to everything that its gateway serves. */
import type { Configuration } from "../config/schema.ts";
import type { Message } from "./bootstrap.ts";
import type { Reasons } from "./yaml.ts";

export interface HigressOptions {
  /** Where the gateway gets the module from: oci://, https://, http:// or file://. */
  image: string;
  /** SHA-256 of what `image` names, in hexadecimal. */
  sha256?: string;
  /** Higress's own namespace: it reads plugins only from there. */
  namespace: string;
}

/**
 * The priority of Higress's own plugin for JWTs, which this one replaces: plugins of one phase run from high to low.
 */
const PRIORITY = 340;

export function renderHigressPlugin(
  configuration: Configuration,
  { image, sha256, namespace }: HigressOptions,
): Message {
  return {
    apiVersion: "extensions.higress.io/v1alpha1",
    kind: "WasmPlugin",
    metadata: { name: "jwtgate", namespace },
    spec: {
      url: image,
      ...(sha256 !== undefined && { sha256 }),
      phase: "AUTHN",
      priority: PRIORITY,
      failStrategy: configuration.shadow ? "FAIL_OPEN" : "FAIL_CLOSE",
      pluginConfig: configuration,
    },
  };
}

const REASONS: Reasons = {
  priority: "Where Higress's own plugin for JWTs runs, which must not check the same tokens.",
  failStrategy: "A filter that fails or cannot be loaded refuses every request.",
  pluginConfig:
    "Not defaultConfig, to which Higress adds rules for routes and domains: the filter refuses them.",
};

/** As `REASONS`, for a filter in shadow. */
const SHADOW_REASONS: Reasons = {
  ...REASONS,
  failStrategy:
    "In shadow the filter protects nothing, so a failure must not refuse requests. Without --shadow: FAIL_CLOSE.",
};

/** The comments for the resources. */
export function higressReasons({ isShadow }: { isShadow: boolean }): Reasons {
  return isShadow ? SHADOW_REASONS : REASONS;
}
