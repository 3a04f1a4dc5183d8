/**
 * Which policies apply to which workload, as istiod decides it (istio pilot/pkg/model/policyattachment.go,
 * authorization.go, authentication.go).
 */
import { formatPosition } from "../diagnostics.ts";
import type { Report } from "./report.ts";
import type { AnyResource, Attachment, Resource, TargetRef } from "./resource.ts";

/** What is known about the workload. */
export interface Workload {
  namespace?: string | undefined;
  /** All labels of its pods; absent if they are unknown. */
  labels?: Record<string, string> | undefined;
  /** The Gateway (of the Kubernetes Gateway API) that it is an instance of. */
  gateway?: string | undefined;
}

/** Workloads as a WasmPlugin selects them. */
export interface Selection {
  namespace: string;
  matchLabels?: Record<string, string>;
  targetRefs?: TargetRef[];
}

export interface SelectedResources {
  selection: Selection;
  resources: Resource[];
}

/** Label of the pods of a Gateway. */
const GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name";

/**
 * The policies of one workload.
 *
 * @returns none, with an error, if too little is known about the workload
 */
export function selectFor(
  workload: Workload,
  resources: Resource[],
  rootNamespace: string,
  report: Report,
): SelectedResources | undefined {
  const namespace = workload.namespace ?? onlyNamespace(resources, rootNamespace, report);
  if (namespace === undefined) return undefined;
  const { gateway, labels } = labelled(workload);
  const selected = resources.filter((resource) => {
    const { attachment, metadata } = resource;
    if (isForOthers(resource, { ...workload, namespace }, rootNamespace)) {
      if (gateway !== undefined && metadata.namespace === namespace)
        warnOfWaypoint(resource, gateway, report);
      return false;
    }
    if (attachment.targetRefs.length === 0) return hasLabels(resource, labels, report);
    if (gateway === undefined) report.error(resource.at, undecidedTarget(resource));
    return gateway !== undefined;
  });
  const selection: Selection = {
    namespace,
    ...(workload.labels && { matchLabels: labels }),
    ...(!workload.labels && gateway !== undefined && { targetRefs: [gatewayRef(gateway)] }),
  };
  return { selection, resources: selected };
}

/** The Gateway and the labels of a workload; each implies the other. */
function labelled({ labels, gateway = labels?.[GATEWAY_NAME] }: Workload): {
  gateway: string | undefined;
  labels: Record<string, string>;
} {
  return { gateway, labels: { ...labels, ...(gateway !== undefined && { [GATEWAY_NAME]: gateway }) } };
}

/**
 * Whether a policy certainly does not apply to the workload, by its namespace, its selector or its targets. A selector
 * or a target with a fault decides nothing.
 */
export function isForOthers(
  { metadata, attachment, isAttached }: Resource,
  workload: Workload,
  rootNamespace: string,
): boolean {
  const { namespace } = workload;
  if (namespace !== undefined && metadata.namespace !== namespace && metadata.namespace !== rootNamespace)
    return true;
  if (!isAttached) return false;
  const { gateway, labels } = labelled(workload);
  if (attachment.targetRefs.length > 0) {
    if (gateway === undefined) return workload.labels !== undefined;
    if (namespace !== undefined && metadata.namespace !== namespace) return true;
    return !attachment.targetRefs.some(({ kind, name }) => kind === "Gateway" && name === gateway);
  }
  return Object.entries(attachment.matchLabels ?? {}).some(([key, value]) =>
    Object.hasOwn(labels, key) ? labels[key] !== value : workload.labels !== undefined,
  );
}

/** The namespace of a workload of which only labels or a gateway are known. */
export function onlyNamespace(
  resources: Resource[],
  rootNamespace: string,
  report: Report,
): string | undefined {
  const namespaces = new Set(resources.map(({ metadata }) => metadata.namespace));
  namespaces.delete(rootNamespace);
  const [first, second] = [...namespaces];
  if (second === undefined) return first ?? rootNamespace;
  const other = resources.find(({ metadata }) => metadata.namespace === second);
  if (other)
    report.error(
      other.at,
      `the policies are of several namespaces, ${first} and ${second}: pass --namespace`,
    );
  return undefined;
}

/** Whether a policy that may apply to the workload does: the labels that its selector needs are known. */
function hasLabels(resource: Resource, labels: Record<string, string>, report: Report): boolean {
  const wanted = Object.entries(resource.attachment.matchLabels ?? {});
  const missing = wanted.filter(([key]) => !Object.hasOwn(labels, key)).map((label) => label.join("="));
  if (missing.length > 0) {
    const message = `${nameOf(resource)} is for workloads with the labels ${missing.join(",")}: pass its labels with --labels`;
    report.error(resource.at, message);
  }
  return missing.length === 0;
}

/** Warns that a policy for waypoints is not compiled for a gateway. */
function warnOfWaypoint(resource: Resource, gateway: string, report: Report): void {
  const other = resource.attachment.targetRefs.find(({ kind }) => kind !== "Gateway");
  if (other) {
    const message = `${nameOf(resource)} is for waypoints (its target is the ${other.kind} ${other.name}), so it is not compiled for the gateway ${gateway}`;
    report.warning(resource.at, message);
  }
}

function undecidedTarget(resource: Resource): string {
  const targets = resource.attachment.targetRefs.map(({ kind, name }) => `${kind} ${name}`).join(", ");
  return `${nameOf(resource)} is for ${targets}: pass --gateway NAME if the workload is a gateway, or --labels if it is not`;
}

function gatewayRef(name: string): TargetRef {
  return { group: "gateway.networking.k8s.io", kind: "Gateway", name };
}

/**
 * All policies, by the workloads that they apply to: one plugin for each, none of which can run next to another.
 *
 * @param isLeft whether a policy needs no plugin: it is part of each one whose workloads it may apply to
 * @returns none, with an error, if two could apply to the same workload
 */
export function partition(
  resources: Resource[],
  rootNamespace: string,
  report: Report,
  isLeft: (resource: Resource) => boolean,
): SelectedResources[] | undefined {
  const groups = new Map<string, SelectedResources & { first: Resource }>();
  for (const resource of resources.filter((one) => !isLeft(one))) {
    const selection = selectionOf(resource.metadata.namespace, resource.attachment);
    const key = JSON.stringify(selection);
    const group = groups.get(key) ?? { selection, resources: [], first: resource };
    group.resources.push(resource);
    groups.set(key, group);
  }
  const all = [...groups.values()];
  for (const [i, a] of all.entries()) {
    for (const b of all.slice(i + 1)) {
      if (areDisjoint(a.selection, b.selection, rootNamespace)) continue;
      const message = `${nameOf(b.first)} and ${nameOf(a.first)} (${formatPosition(a.first.at)}) can be for the same workload, where two plugins would run: compile for one workload at a time, with --namespace and --labels, --gateway or (for a waypoint) --service`;
      report.error(b.first.at, message);
      return undefined;
    }
  }
  const left = resources.filter(isLeft).map((resource) => {
    const selection = selectionOf(resource.metadata.namespace, resource.attachment);
    return { selection, resource };
  });
  return all.map(({ selection, resources: members }) => {
    const own = left.filter((one) => !areDisjoint(one.selection, selection, rootNamespace));
    return { selection, resources: [...members, ...own.map(({ resource }) => resource)] };
  });
}

/**
 * Two policies that no workload has both of: compiled together, one would allow requests to the other's workloads.
 *
 * @returns the later and the earlier of the first such two
 */
export function findStrangers(
  resources: Resource[],
  rootNamespace: string,
): [Resource, Resource] | undefined {
  const firsts = new Map<string, { selection: Selection; resource: Resource }>();
  for (const resource of resources) {
    const selection = selectionOf(resource.metadata.namespace, resource.attachment);
    const key = JSON.stringify(selection);
    if (firsts.has(key)) continue;
    for (const first of firsts.values()) {
      if (areDisjoint(first.selection, selection, rootNamespace)) return [resource, first.resource];
    }
    firsts.set(key, { selection, resource });
  }
  return undefined;
}

/** A key that is equal for equal selections. */
function selectionOf(namespace: string, { matchLabels = {}, targetRefs }: Attachment): Selection {
  const labels = Object.entries(matchLabels).sort(([a], [b]) => (a < b ? -1 : 1));
  const refs = [...targetRefs].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  return {
    namespace,
    ...(labels.length > 0 && { matchLabels: Object.fromEntries(labels) }),
    ...(refs.length > 0 && { targetRefs: refs }),
  };
}

/** Whether no workload can be in both. */
function areDisjoint(a: Selection, b: Selection, rootNamespace: string): boolean {
  if (a.namespace !== b.namespace) return a.namespace !== rootNamespace && b.namespace !== rootNamespace;
  if (a.targetRefs && b.targetRefs) return haveDisjointTargets(a.targetRefs, b.targetRefs);
  const others = new Map(Object.entries(b.matchLabels ?? {}));
  return Object.entries(a.matchLabels ?? {}).some(([key, value]) => (others.get(key) ?? value) !== value);
}

/** A proxy is an instance of one Gateway, and a Service's listener in a waypoint belongs to that Service alone. */
function haveDisjointTargets(a: TargetRef[], b: TargetRef[]): boolean {
  const isServed = ({ kind }: TargetRef) => kind === "Service" || kind === "ServiceEntry";
  return a.every((one) =>
    b.every((other) =>
      one.kind === other.kind ? one.name !== other.name : isServed(one) && isServed(other),
    ),
  );
}

/** `AuthorizationPolicy foo/bar`. */
export function nameOf({ kind, metadata }: AnyResource): string {
  return `${kind} ${metadata.namespace}/${metadata.name}`;
}

/** Reports faults of another workload's policy as warnings: it may need a newer version. */
export function reportElsewhere(resource: AnyResource, report: Report): void {
  const fault = resource.faults.find(({ severity }) => severity === "error");
  if (fault === undefined) return;
  const outcome = `${nameOf(resource)} is for other workloads, so it is left out here`;
  report.warning(fault, `${fault.message}; ${outcome}`);
}
