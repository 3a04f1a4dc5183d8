/**
 * Istio's resources that put the filter into a mesh: one WasmPlugin or one TrafficExtension (extensions.istio.io/v1alpha1)
 * for each selection of workloads.
 */
import type { Configuration } from "../config/schema.ts";
import type { Selection } from "../istio/selection.ts";
import type { Message, Mode } from "./bootstrap.ts";
import { uniqueName } from "./names.ts";
import type { Reasons } from "./yaml.ts";

export interface WasmPluginOptions {
  /** Where the cluster gets the module from: oci://, https://, http:// or file://. */
  image: string;
  /** SHA-256 of what `image` names, in hexadecimal. */
  sha256?: string;
  /** Absent only if every selection is a Gateway's. */
  mode?: Mode | "waypoint";
}

/**
 * Istio treats traffic through a gateway as client traffic (istio/api extensions/v1alpha1, WorkloadMode), and traffic
 * through a waypoint as server traffic (istio pilot/pkg/networking/core/listener_waypoint.go,
 * buildWaypointHTTPFilters).
 */
const MATCH: Record<Mode | "waypoint", Message[]> = {
  gateway: [{ mode: "CLIENT" }],
  sidecar: [{ mode: "SERVER" }],
  waypoint: [{ mode: "SERVER" }],
};

/** Whether the plugin can only run on gateways, so that `--mode` is not needed. */
export function isForGateway({ targetRefs }: Selection): boolean {
  return targetRefs?.every(({ kind }) => kind === "Gateway") ?? false;
}

/** A WasmPlugin for the policies of one selection. */
export function renderWasmPlugin(
  selection: Selection,
  configuration: Configuration,
  options: WasmPluginOptions,
): Message {
  const { url, sha256, failStrategy, pluginConfig } = moduleOf(configuration, options);
  return extension("WasmPlugin", selection, {
    ...workloadsOf(selection),
    url,
    ...(sha256 && { sha256 }),
    ...PHASE,
    failStrategy,
    ...matchOf(options),
    pluginConfig,
  });
}

/**
 * A TrafficExtension (Istio 1.30 and newer) for the policies of one selection: the same, with a separate part for the
 * module.
 */
export function renderTrafficExtension(
  selection: Selection,
  configuration: Configuration,
  options: WasmPluginOptions,
): Message {
  return extension("TrafficExtension", selection, {
    ...workloadsOf(selection),
    ...PHASE,
    ...matchOf(options),
    wasm: moduleOf(configuration, options),
  });
}

function extension(kind: string, selection: Selection, spec: Message): Message {
  const metadata = { name: nameOf(selection), namespace: selection.namespace };
  return { apiVersion: "extensions.istio.io/v1alpha1", kind, metadata, spec };
}

function workloadsOf({ matchLabels, targetRefs }: Selection): Message {
  return { ...(matchLabels && { selector: { matchLabels } }), ...(targetRefs && { targetRefs }) };
}

const PHASE = { phase: "AUTHN" };

function matchOf({ mode }: WasmPluginOptions): Message {
  return mode ? { match: MATCH[mode] } : {};
}

/** The members for the module that both resources share. */
function moduleOf(configuration: Configuration, { image, sha256 }: WasmPluginOptions) {
  return {
    url: image,
    ...(sha256 !== undefined && { sha256 }),
    failStrategy: configuration.shadow ? "FAIL_OPEN" : "FAIL_RELOAD",
    pluginConfig: configuration,
  };
}

/** A name for every selection in a namespace, independent of the order of its labels. */
export function nameOf({ matchLabels = {}, targetRefs = [] }: Selection): string {
  const labels = Object.entries(matchLabels).sort(([a], [b]) => (a < b ? -1 : 1));
  if (labels.length + targetRefs.length === 0) return "jwtgate";
  const values = [...labels.map(([, value]) => value), ...targetRefs.map(({ name }) => name)];
  return uniqueName(
    ["jwtgate", ...values],
    [labels, targetRefs.map(({ group, kind, name }) => [group, kind, name])],
  );
}

/** The heading's lines about CUSTOM policies that are not part of the resources. @param left each with its provider */
export function notesOn(left: readonly string[]): string[] {
  if (left.length === 0) return [];
  return [
    "Leave these policies in the cluster, where Istio asks their extension providers before it runs the plugin:",
    ...[...new Set(left)].map((policy) => `  ${policy}`),
  ];
}

const REASONS: Reasons = {
  phase:
    "Before Istio's own authentication, which must not run on the same policies: the token has been removed by then.",
  failStrategy:
    "A filter that fails or cannot be loaded refuses every request. A filter that has failed is started again.",
  match:
    "CLIENT means traffic through a gateway, SERVER traffic into a sidecar or through a waypoint. Without it, a sidecar's outbound calls are filtered too.",
};

/** As `REASONS`, for a filter in shadow. */
const SHADOW_REASONS: Reasons = {
  ...REASONS,
  phase: "Before Istio's own authentication, which decides while this plugin is in shadow.",
  failStrategy:
    "In shadow the filter protects nothing, so a failure must not refuse requests. Without --shadow: FAIL_RELOAD.",
};

/** The comments for the resources. */
export function reasonsFor({ isShadow }: { isShadow: boolean }): Reasons {
  return isShadow ? SHADOW_REASONS : REASONS;
}
