/**
 * Which policies a waypoint enforces, as istiod decides it (istio pilot/pkg/model/policyattachment.go): those whose
 * targetRefs name a Service or a ServiceEntry that it serves, its Gateway, or in the root namespace the class of all
 * waypoints. It ignores selectors.
 */
import type { Report } from "./report.ts";
import type { Resource, TargetRef } from "./resource.ts";
import { nameOf, onlyNamespace, type SelectedResources, type Selection } from "./selection.ts";

/** What is known about a waypoint, and the requests that it is compiled for. */
export interface Waypoint {
  namespace?: string | undefined;
  /** The Gateway (of the Kubernetes Gateway API) that it is an instance of. */
  gateway?: string | undefined;
  /** The Service whose requests count; all that it serves if absent. */
  service?: ServedBy | undefined;
}

/** What a waypoint serves. */
export interface ServedBy {
  kind: "Service" | "ServiceEntry";
  name: string;
}

/**
 * The filter state in which istiod gives a waypoint the principal of the peer
 * (pilot/pkg/security/authz/model/principal.go).
 */
export const PEER_PRINCIPAL = "io.istio.peer_principal";

/** The class of the Gateways that are waypoints (pkg/config/constants). */
const WAYPOINT_CLASS = "istio-waypoint";

const GROUPS = { Gateway: "gateway.networking.k8s.io", Service: "", ServiceEntry: "networking.istio.io" };

/** `unknown`: it depends on the Gateway or the Service, which the input lacks. */
type Relation = "its" | "another's" | "unknown";

function relationOf(
  { attachment: { targetRefs }, metadata, isAttached }: Resource,
  { namespace, gateway, service }: Waypoint,
  rootNamespace: string,
): Relation {
  const isElsewhere = namespace !== undefined && metadata.namespace !== namespace;
  // A target with a fault decides nothing, except in an unrelated namespace.
  if (!isAttached) return isElsewhere && metadata.namespace !== rootNamespace ? "another's" : "unknown";
  const relations = targetRefs.map(({ kind, name }): Relation => {
    if (kind === "GatewayClass")
      return name === WAYPOINT_CLASS && metadata.namespace === rootNamespace ? "its" : "another's";
    if (isElsewhere) return "another's";
    if (kind === "Gateway") return compare(gateway, name);
    if (service !== undefined && service.kind !== kind) return "another's";
    return compare(service?.name, name);
  });
  if (relations.includes("its")) return "its";
  return relations.includes("unknown") ? "unknown" : "another's";
}

function compare(known: string | undefined, name: string): Relation {
  if (known === undefined) return "unknown";
  return known === name ? "its" : "another's";
}

/** Whether a policy certainly does not apply to the waypoint. */
export function isForOtherWaypoints(resource: Resource, waypoint: Waypoint, rootNamespace: string): boolean {
  return relationOf(resource, waypoint, rootNamespace) === "another's";
}

/**
 * The policies of one waypoint, or of one Service of it.
 *
 * @returns none, with an error, if too little is known about the waypoint
 */
export function selectForWaypoint(
  waypoint: Waypoint,
  resources: Resource[],
  rootNamespace: string,
  report: Report,
): SelectedResources | undefined {
  const { gateway, service } = waypoint;
  const namespace = waypoint.namespace ?? onlyNamespace(resources, rootNamespace, report);
  if (namespace === undefined) return undefined;
  const selected = resources.filter((resource) => {
    const relation = relationOf(resource, { ...waypoint, namespace }, rootNamespace);
    if (relation === "unknown") report.error(resource.at, undecided(resource, waypoint));
    if (relation === "another's") {
      const isNear = [namespace, rootNamespace].includes(resource.metadata.namespace);
      if (isNear) warnOfNoWaypoint(resource, rootNamespace, report);
      else if (hasGateway(resource, gateway)) report.warning(resource.at, elsewhere(resource, namespace));
    }
    return relation === "its";
  });
  const target = service ?? (gateway === undefined ? undefined : { kind: "Gateway" as const, name: gateway });
  const selection: Selection = {
    namespace,
    ...(target && { targetRefs: [{ group: GROUPS[target.kind], ...target }] }),
  };
  return { selection, resources: selected };
}

/** The policies that some waypoint enforces; reports the others. */
export function forWaypoints(resources: Resource[], rootNamespace: string, report: Report): Resource[] {
  return resources.filter((resource) => {
    if (!isForOtherWaypoints(resource, {}, rootNamespace)) return true;
    warnOfNoWaypoint(resource, rootNamespace, report);
    return false;
  });
}

function undecided(resource: Resource, { gateway, service }: Waypoint): string {
  const name = nameOf(resource);
  const targets = namesOf(resource.attachment.targetRefs);
  if (gateway !== undefined && service === undefined) {
    return `${name} is for ${targets}, and a plugin for the Gateway ${gateway} would run on its requests too, next to one for it: compile with --service NAME or --service-entry NAME for each, or leave the policy out if another waypoint serves it`;
  }
  if (gateway === undefined && service !== undefined) {
    return `${name} is for ${targets}: pass --gateway NAME, the waypoint that serves the ${service.kind} ${service.name}`;
  }
  return `${name} is for ${targets}: pass --gateway NAME, --service NAME or --service-entry NAME`;
}

function namesOf(targetRefs: readonly TargetRef[]): string {
  return targetRefs.map(({ kind, name }) => `the ${kind} ${name}`).join(", ") || "a target with a fault";
}

/** Reports a policy that no waypoint enforces; one for another waypoint is not reported. */
function warnOfNoWaypoint(resource: Resource, rootNamespace: string, report: Report): void {
  const { targetRefs } = resource.attachment;
  if (targetRefs.length === 0) {
    const what =
      resource.kind === "AuthorizationPolicy" ? "; ztunnel enforces its conditions about connections" : "";
    const message = `${nameOf(resource)} has no targetRefs, so no waypoint enforces it, and it is not compiled${what}`;
    report.warning(resource.at, message);
  } else if (targetRefs.every(({ kind }) => kind === "GatewayClass")) {
    const message = `${nameOf(resource)} is for ${namesOf(targetRefs)}, so no waypoint enforces it, and it is not compiled: waypoints are of the class ${WAYPOINT_CLASS}, and a policy for them is in ${rootNamespace}`;
    report.warning(resource.at, message);
  }
}

function hasGateway({ attachment }: Resource, gateway: string | undefined): boolean {
  return attachment.targetRefs.some(({ kind, name }) => kind === "Gateway" && name === gateway);
}

function elsewhere(resource: Resource, namespace: string): string {
  return `${nameOf(resource)} is for a Gateway of that name in another namespace than ${namespace}, so it is not compiled here: if that is the waypoint, move the policy to targetRefs of the Services that it serves`;
}
