/**
 * What ServiceEntries, DestinationRules and Services of the input define for key servers: the cluster that a proxy of
 * the mesh already has for a server, and whether the proxy makes the TLS connection. This follows istiod (istio
 * pilot/pkg/model/push_context.go, pilot/pkg/serviceregistry/serviceentry/conversion.go,
 * pilot/pkg/networking/core/cluster_traffic_policy.go).
 *
 * The API server validates these resources: what cannot be read here counts as absent.
 */
import { formatPosition, type Position } from "../diagnostics.ts";
import { clusterOf, hostOf, meshHost, portOf, serviceHost } from "../jwks/source.ts";
import type { OtherResource, Report } from "./report.ts";
import { nodeAt, type YamlNode } from "./yaml.ts";

interface MeshResource {
  kind: string;
  namespace: string;
  name: string;
  at: Position;
  /** Namespaces that see it, `*` for all; its own by name. */
  exportTo: readonly string[];
}

interface Port {
  number: number;
  /** Ports that the endpoints listen on. */
  targets: readonly number[];
}

interface ServiceEntry extends MeshResource {
  hosts: readonly string[];
  ports: readonly Port[];
  resolution: string;
}

interface Service extends MeshResource {
  host: string;
  ports: readonly number[];
  /** The name that a Service of type ExternalName refers to. */
  externalName: string | undefined;
}

interface TlsSettings {
  mode: string;
  insecureSkipVerify: boolean;
}

interface DestinationRule extends MeshResource {
  host: string;
  /** The settings of every port without its own. */
  tls: TlsSettings | undefined;
  portTls: ReadonlyMap<number, TlsSettings | undefined>;
  /** Labels of the proxies that it applies to; of all if there are none. */
  workloadSelector: ReadonlyMap<string, string>;
}

/** The proxies that fetch keys. */
export interface Client {
  namespace: string;
  labels: Readonly<Record<string, string>>;
  rootNamespace: string;
}

/** Modes in which the proxy makes a TLS connection that the server treats like an ordinary client's. */
const ORIGINATES = ["SIMPLE", "MUTUAL"];

/** What the mesh has for a key server. */
export interface MeshServer {
  cluster: string;
  /** Whether the input has the server, so that no resource is written for it. */
  isCovered: boolean;
}

/** The mesh as the input describes it, for the proxies of one selection. */
export class MeshResources {
  private readonly entries: readonly ServiceEntry[];
  private readonly services: readonly Service[];
  private readonly rules: readonly DestinationRule[];

  /**
   * @param others resources of the input that are not policies
   * @param namespace of those that name none
   */
  constructor(
    others: readonly OtherResource[],
    namespace: string,
    private readonly client: Client,
    private readonly report: Report,
  ) {
    const all = others.flatMap((other) => read(other, namespace) ?? []);
    this.entries = all.flatMap((one) => ("hosts" in one ? one : []));
    this.services = all.flatMap((one) => ("externalName" in one ? one : []));
    this.rules = all.flatMap((one) => ("portTls" in one ? one : []));
  }

  /**
   * The cluster that serves a URL.
   *
   * @param namespace of the policy
   * @param at of the rule that names the URL, for messages about what is missing
   */
  serverOf(url: URL, namespace: string, at: Position): MeshServer {
    const host = hostOf(url).toLowerCase().replace(/\.$/, "");
    const service = serviceHost(host, namespace);
    return (
      (service === undefined ? this.entryOf(host, url, at) : this.serviceOf(service, url, at)) ?? {
        cluster: clusterOf(meshHost(url, namespace)),
        isCovered: false,
      }
    );
  }

  private entryOf(host: string, url: URL, at: Position): MeshServer | undefined {
    const all = this.entries.filter(({ hosts }) => hosts.includes(host));
    const entries = all.filter((entry) => this.sees(entry));
    const [entry] = entries;
    if (entry === undefined) {
      const [hidden] = all;
      if (hidden !== undefined) {
        const message = `${nameOf(hidden)} has ${host} and is not exported to namespace ${this.client.namespace}: a separate ServiceEntry is written for the keys`;
        this.report.warning(at, message);
      }
      return undefined;
    }
    // A ServiceEntry with another name does not change the one of the input.
    const apart = { cluster: clusterOf(meshHost(url, "", true)), isCovered: false };
    const lack = (what: string, add: string): MeshServer => {
      const message = `${nameOf(entry)} has ${host} and ${what}, so the keys are fetched through a separate ServiceEntry with another name, ${apart.cluster.split("|").at(-1)}; to use yours, ${add}`;
      this.report.warning(at, message);
      return apart;
    };
    if (entry.resolution === "NONE") {
      return lack(
        "resolution NONE, which gives the proxy no address to fetch keys from",
        "write resolution: DNS",
      );
    }
    const wanted = portOf(url);
    const ports = entries
      .flatMap(({ ports }) => ports)
      .filter(({ number, targets }) => number === wanted || targets.includes(wanted))
      .sort((a, b) => Number(b.number === wanted) - Number(a.number === wanted));
    if (url.protocol === "http:") {
      if (ports.some(({ number }) => number === wanted)) {
        return { cluster: clusterOf({ host, port: wanted }), isCovered: true };
      }
      return lack(
        `no port ${wanted}`,
        `add {number: ${wanted}, name: http-jwks, protocol: HTTP} to its ports`,
      );
    }
    for (const { number } of ports) {
      const rule = this.ruleOf(host, entry.namespace);
      if (rule !== undefined && this.originates(rule, number, at)) {
        return { cluster: clusterOf({ host, port: number }), isCovered: true };
      }
    }
    const { port } = meshHost(url, "");
    const own = ports.find(({ number }) => number !== wanted)?.number ?? port;
    const tls = `{port: {number: ${own}}, tls: {mode: SIMPLE, sni: ${host}, subjectAltNames: [${host}]}}`;
    const toPorts = ports.some(({ number }) => number === own)
      ? ""
      : `add {number: ${own}, name: http-jwks, protocol: HTTP, targetPort: ${wanted}} to its ports, and `;
    return lack(
      `no DestinationRule has the proxy speak TLS to its port ${wanted}`,
      `${toPorts}write a DestinationRule for ${host} with trafficPolicy.portLevelSettings: [${tls}]`,
    );
  }

  private serviceOf(host: string, url: URL, at: Position): MeshServer | undefined {
    const service = this.services.find((one) => one.host === host && this.sees(one));
    if (service === undefined) return undefined;
    const port = portOf(url);
    if (service.externalName !== undefined) {
      const message = `${nameOf(service)} is another name for ${service.externalName}, for which proxies have no cluster: write ${service.externalName} in the URL of the keys`;
      this.report.error(at, message);
    } else if (!service.ports.includes(port)) {
      const has = service.ports.length === 0 ? "none" : service.ports.join(", ");
      this.report.error(
        at,
        `${nameOf(service)} has no port ${port}, only ${has}: correct the URL of the keys`,
      );
    }
    if (url.protocol === "http:") return { cluster: clusterOf({ host, port }), isCovered: true };
    const rule = this.ruleOf(host, service.namespace);
    if (rule === undefined || !this.originates(rule, port, at)) return undefined;
    return { cluster: clusterOf({ host, port }), isCovered: true };
  }

  /** Whether the proxy makes the TLS connection to a port. */
  private originates(rule: DestinationRule, port: number, at: Position): boolean {
    const tls = rule.portTls.has(port) ? rule.portTls.get(port) : rule.tls;
    if (tls === undefined || !ORIGINATES.includes(tls.mode)) return false;
    if (tls.insecureSkipVerify) {
      const message = `${nameOf(rule)} has insecureSkipVerify, so anyone who answers instead of the server supplies the keys: remove it, and write caCertificates for a server with your own authority`;
      this.report.warning(at, message);
    }
    return true;
  }

  /**
   * The rule for a host: from the client's namespace, then the host's, then the root; of each the one with the longest
   * host (istio pilot/pkg/model/push_context.go, destinationRule).
   */
  private ruleOf(host: string, namespace: string): DestinationRule | undefined {
    const rules = this.rules.filter(
      (rule) =>
        this.sees(rule) &&
        (rule.host === host || (rule.host.startsWith("*") && host.endsWith(rule.host.slice(1)))) &&
        [...rule.workloadSelector].every(([name, value]) => this.client.labels[name] === value),
    );
    for (const place of [this.client.namespace, namespace, this.client.rootNamespace]) {
      const [first] = rules
        .filter((rule) => rule.namespace === place)
        .sort((a, b) => Number(b.host === host) - Number(a.host === host) || b.host.length - a.host.length);
      if (first !== undefined) return first;
    }
    return undefined;
  }

  private sees({ exportTo }: MeshResource): boolean {
    return exportTo.includes("*") || exportTo.includes(this.client.namespace);
  }
}

function nameOf({ kind, namespace, name, at }: MeshResource): string {
  return `${kind} ${namespace}/${name} (${formatPosition(at)})`;
}

/** Whether this file reads a resource. */
export function isMeshResource({ kind, apiVersion }: OtherResource): boolean {
  return apiVersion === "v1" ? kind === "Service" : isNetworking(apiVersion) && NETWORKING.includes(kind);
}

const NETWORKING = ["ServiceEntry", "DestinationRule"];

function isNetworking(apiVersion: string): boolean {
  return apiVersion.startsWith("networking.istio.io/");
}

function read(other: OtherResource, defaultNamespace: string) {
  if (!isMeshResource(other)) return undefined;
  const { node, kind, at } = other;
  const metadata = nodeAt(node, "metadata");
  const spec = nodeAt(node, "spec");
  const namespace = text(nodeAt(metadata, "namespace")) ?? defaultNamespace;
  const exported = kind === "Service" ? annotatedExport(metadata) : texts(nodeAt(spec, "exportTo"));
  const resource: MeshResource = {
    kind,
    namespace,
    name: text(nodeAt(metadata, "name")) ?? "",
    at,
    exportTo: exported.length === 0 ? ["*"] : exported.map((one) => (one === "." ? namespace : one)),
  };
  switch (kind) {
    case "ServiceEntry":
      return readServiceEntry(resource, spec);
    case "DestinationRule":
      return readDestinationRule(resource, spec);
    default:
      return readService(resource, spec);
  }
}

/** Of a Service (istio.io/api annotation, networking.istio.io/exportTo). */
function annotatedExport(metadata: YamlNode | undefined): string[] {
  const value = text(nodeAt(metadata, "annotations", "networking.istio.io/exportTo")) ?? "";
  return value.split(",").flatMap((one) => one.trim() || []);
}

function readServiceEntry(resource: MeshResource, spec: YamlNode | undefined): ServiceEntry {
  const endpoints = items(nodeAt(spec, "endpoints"));
  return {
    ...resource,
    hosts: texts(nodeAt(spec, "hosts")).map((host) => host.toLowerCase()),
    resolution: text(nodeAt(spec, "resolution")) ?? "NONE",
    ports: items(nodeAt(spec, "ports")).flatMap((port) => {
      const number = numeral(nodeAt(port, "number"));
      if (number === undefined) return [];
      const target = numeral(nodeAt(port, "targetPort")) ?? number;
      const name = text(nodeAt(port, "name")) ?? "";
      const targets = endpoints.map((endpoint) => numeral(nodeAt(endpoint, "ports", name)) ?? target);
      return { number, targets: targets.length === 0 ? [target] : targets };
    }),
  };
}

function readService(resource: MeshResource, spec: YamlNode | undefined): Service {
  const isExternal = text(nodeAt(spec, "type")) === "ExternalName";
  return {
    ...resource,
    host: serviceHost(resource.name, resource.namespace) ?? "",
    ports: items(nodeAt(spec, "ports")).flatMap((port) => numeral(nodeAt(port, "port")) ?? []),
    externalName: isExternal ? (text(nodeAt(spec, "externalName")) ?? "") : undefined,
  };
}

function readDestinationRule(resource: MeshResource, spec: YamlNode | undefined): DestinationRule {
  const policy = nodeAt(spec, "trafficPolicy");
  const host = (text(nodeAt(spec, "host")) ?? "").toLowerCase();
  const labels = nodeAt(spec, "workloadSelector", "matchLabels");
  return {
    ...resource,
    // As in the URL of keys, a short name is a Service of the resource's namespace.
    host: host.startsWith("*") ? host : (serviceHost(host, resource.namespace) ?? host),
    tls: readTls(nodeAt(policy, "tls")),
    portTls: new Map(
      items(nodeAt(policy, "portLevelSettings")).flatMap((settings) => {
        const number = numeral(nodeAt(settings, "port", "number"));
        return number === undefined ? [] : [[number, readTls(nodeAt(settings, "tls"))] as const];
      }),
    ),
    workloadSelector: new Map(
      labels?.kind === "map"
        ? [...labels.entries].map(([name, { value }]) => [name, text(value) ?? ""] as const)
        : [],
    ),
  };
}

function readTls(tls: YamlNode | undefined): TlsSettings | undefined {
  if (tls?.kind !== "map") return undefined;
  const skip = nodeAt(tls, "insecureSkipVerify");
  return {
    mode: text(nodeAt(tls, "mode")) ?? "DISABLE",
    insecureSkipVerify: skip?.kind === "boolean" && skip.value === true,
  };
}

function items(node: YamlNode | undefined): readonly YamlNode[] {
  return node?.kind === "list" ? node.items : [];
}

function text(node: YamlNode | undefined): string | undefined {
  return node?.kind === "string" ? node.value : undefined;
}

function texts(node: YamlNode | undefined): string[] {
  return items(node).flatMap((item) => text(item) ?? []);
}

function numeral(node: YamlNode | undefined): number | undefined {
  const number = node?.kind === "number" ? Number(node.source) : Number.NaN;
  return Number.isInteger(number) ? number : undefined;
}
