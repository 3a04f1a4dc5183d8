/** Finds the HTTP filters in an Envoy bootstrap, a /config_dump, a listener, or a list of filters. */
import type { Position } from "../diagnostics.ts";
import { quote, type Report } from "../istio/report.ts";
import type { MapNode, YamlNode } from "../istio/yaml.ts";
import { JWT_AUTHN } from "./claims.ts";
import { Message, snakeCase } from "./message.ts";

/** The filters of one HTTP connection manager. */
export interface FilterChain {
  listener: string;
  /** Its name, or its number in the listener. */
  name: string;
  at: Position;
  filters: HttpFilter[];
  hasProxyProtocol: boolean;
  /** Absent for a list of filters. */
  manager?: MapNode;
}

export interface HttpFilter {
  name: string;
  at: Position;
  kind: "jwt_authn" | "rbac" | "other";
  /** The configuration of a filter that is imported. */
  config?: MapNode;
  /** The configuration with its wrappers. */
  typedConfig?: YamlNode;
  /** Whether its configuration is missing here, or it is switched off. */
  isDisabled: boolean;
}

/** The context of a node. */
interface Place {
  listener: string;
  chain: string;
  hasProxyProtocol: boolean;
}

const TYPES: Record<string, "jwt_authn" | "rbac"> = {
  "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication": "jwt_authn",
  "envoy.extensions.filters.http.rbac.v3.RBAC": "rbac",
};
const PER_ROUTE = [
  "envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig",
  "envoy.extensions.filters.http.rbac.v3.RBACPerRoute",
];
const MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const PROXY_PROTOCOL = "envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol";
const NETWORK_RBAC = "envoy.extensions.filters.network.rbac.v3.RBAC";

/** A field of a message, in either spelling. */
export function fieldOf(node: YamlNode | undefined, name: string): YamlNode | undefined {
  if (node?.kind !== "map") return undefined;
  const camelCase = name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return (node.entries.get(name) ?? node.entries.get(camelCase))?.value;
}

function textOf(node: YamlNode | undefined): string | undefined {
  return node?.kind === "string" ? node.value : undefined;
}

function itemsOf(node: YamlNode | undefined): readonly YamlNode[] {
  return node?.kind === "list" ? node.items : [];
}

/** The name of an Any's type. */
function typeOf(node: YamlNode | undefined): string {
  return (textOf(fieldOf(node, "@type")) ?? "").replace(/^.*\//, "");
}

/** The children of a node, each with its field's name. */
function* childrenOf(node: YamlNode): Generator<{ name: string; value: YamlNode }> {
  if (node.kind === "list") for (const value of node.items) yield { name: "", value };
  if (node.kind === "map")
    for (const [name, { value }] of node.entries) yield { name: snakeCase(name), value };
}

/** Every node of a tree, except those that are left out and their descendants. */
function* nodesOf(node: YamlNode, isLeftOut: (node: YamlNode, name: string) => boolean): Generator<YamlNode> {
  yield node;
  for (const { name, value } of childrenOf(node))
    if (!isLeftOut(value, name)) yield* nodesOf(value, isLeftOut);
}

export class ChainFinder {
  readonly chains: FilterChain[] = [];
  private readonly routes = new Map<string, YamlNode>();

  constructor(private readonly report: Report) {}

  /** Searches a document. */
  read(document: YamlNode): void {
    const configs = itemsOf(fieldOf(document, "configs"));
    const hasListeners = configs.some((one) => typeOf(one).endsWith("ListenersConfigDump"));
    // A dump repeats the bootstrap's listeners, and has listeners that are not in use.
    const isLeftOut = (node: YamlNode, name: string) =>
      OLD_STATES.includes(name) || (hasListeners && typeOf(node).endsWith("BootstrapConfigDump"));
    for (const node of nodesOf(document, isLeftOut)) {
      const name = textOf(fieldOf(node, "name"));
      if (name !== undefined && fieldOf(node, "virtual_hosts") !== undefined) this.routes.set(name, node);
    }
    this.visit(document, { listener: "", chain: "", hasProxyProtocol: false }, isLeftOut);
    const known = new Set<YamlNode>(
      this.chains.flatMap(({ filters }) => filters.flatMap(({ typedConfig }) => typedConfig ?? [])),
    );
    for (const node of nodesOf(document, (one, name) => known.has(one) || isLeftOut(one, name))) {
      const { type } = unwrap(node);
      if (TYPES[type] === undefined) continue;
      this.report.error(
        node.at,
        `${type} is not in a connection manager's http_filters here, and cannot be imported`,
      );
    }
  }

  private visit(node: YamlNode, place: Place, isLeftOut: (node: YamlNode, name: string) => boolean): void {
    if (fieldOf(node, "filter_chains") !== undefined || fieldOf(node, "default_filter_chain") !== undefined) {
      this.listener(node, isLeftOut);
    } else if (typeOf(node) === MANAGER || fieldOf(node, "http_filters") !== undefined) {
      this.chains.push(this.chain(node, itemsOf(fieldOf(node, "http_filters")), place));
    } else if (isListOfFilters(node)) {
      this.chains.push(this.chain(node, itemsOf(node), place));
    } else {
      if (typeOf(node) === NETWORK_RBAC) this.networkRbac(node);
      for (const { name, value } of childrenOf(node)) {
        if (!isLeftOut(value, name)) this.visit(value, place, isLeftOut);
      }
    }
  }

  private networkRbac(node: YamlNode): void {
    this.report.warning(
      node.at,
      "the network filter rbac decides about connections, and is not imported: leave it in the listener",
    );
  }

  private listener(node: YamlNode, isLeftOut: (node: YamlNode, name: string) => boolean): void {
    const listener = textOf(fieldOf(node, "name")) ?? `listener at line ${node.at.line}`;
    const hasProxyProtocol = itemsOf(fieldOf(node, "listener_filters")).some(
      (filter) => typeOf(fieldOf(filter, "typed_config")) === PROXY_PROTOCOL,
    );
    const chains = [...itemsOf(fieldOf(node, "filter_chains")), fieldOf(node, "default_filter_chain")];
    for (const [index, chain] of chains.entries()) {
      if (chain === undefined) continue;
      const number = index === chains.length - 1 ? "default" : String(index);
      const name = textOf(fieldOf(chain, "name")) ?? number;
      this.visit(fieldOf(chain, "filters") ?? chain, { listener, chain: name, hasProxyProtocol }, isLeftOut);
    }
  }

  private chain(
    node: YamlNode,
    filters: readonly YamlNode[],
    { listener, chain, hasProxyProtocol }: Place,
  ): FilterChain {
    return {
      listener,
      name: chain,
      at: node.at,
      filters: filters.map((filter) => this.filter(filter)),
      hasProxyProtocol,
      ...(node.kind === "map" && typeOf(node) === MANAGER && { manager: node }),
    };
  }

  private filter(node: YamlNode): HttpFilter {
    const name = textOf(fieldOf(node, "name")) ?? "";
    const typedConfig = fieldOf(node, "typed_config");
    const config = unwrap(typedConfig);
    const kind = TYPES[config.type] ?? "other";
    const disabled = fieldOf(node, "disabled");
    const isDisabled = disabled?.kind === "boolean" && disabled.value === true;
    const discovery = fieldOf(node, "config_discovery");
    if (
      discovery !== undefined &&
      itemsOf(fieldOf(discovery, "type_urls")).some((url) => isType(textOf(url) ?? ""))
    ) {
      this.report.error(
        node.at,
        `the configuration of the filter ${quote(name)} is discovered (ECDS), and not here: import one that has it as typed_config`,
      );
    }
    if (/^envoy\.config\.filter\.http\.(jwt_authn|rbac)\.v2/.test(config.type)) {
      this.report.error(
        node.at,
        `${config.type} is of Envoy's API v2, which is not imported: use ${Object.keys(TYPES).join(" or ")}`,
      );
    }
    if (config.node?.kind !== "map" || kind === "other")
      return { name, at: node.at, kind: "other", isDisabled };
    return { name, at: node.at, kind, config: config.node, ...(typedConfig && { typedConfig }), isDisabled };
  }

  /**
   * Checks settings of a connection manager that change what its filters do. @param ignoresRoutes whether no route
   * changes the filters
   */
  check(chain: FilterChain, ignoresRoutes: boolean): void {
    const { manager } = chain;
    if (manager === undefined) return;
    const names = new Set(chain.filters.flatMap(({ kind, name }) => (kind === "other" ? [] : [name])));
    const routes = this.routesOf(manager, ignoresRoutes);
    for (const route of routes) this.refuseOverrides(route, names);
    this.warnOfReaders(chain, manager);
    warnOfPaths(manager, this.report);
  }

  private routesOf(manager: MapNode, ignoresRoutes: boolean): YamlNode[] {
    const own = fieldOf(manager, "route_config");
    if (own !== undefined) return [own];
    const rds = fieldOf(manager, "rds") ?? fieldOf(manager, "scoped_routes");
    if (rds === undefined) return [];
    const name = textOf(fieldOf(rds, "route_config_name")) ?? "";
    const known = this.routes.get(name);
    if (known !== undefined) return [known];
    if (!ignoresRoutes) {
      this.report.error(
        rds.at,
        `the routes ${quote(name)} are not here, and routes can change what these filters do (typed_per_filter_config): import the whole /config_dump, or pass --no-route-overrides if none does`,
      );
    }
    return [];
  }

  private refuseOverrides(routes: YamlNode, names: ReadonlySet<string>): void {
    for (const node of nodesOf(routes, () => false)) {
      const overrides = fieldOf(node, "typed_per_filter_config");
      if (overrides?.kind !== "map") continue;
      for (const [name, { key, value }] of overrides.entries) {
        const inner = unwrap(fieldOf(value, "config"));
        const types = [unwrap(value).type, inner.type];
        if (!names.has(name) && !types.some((type) => PER_ROUTE.includes(type))) continue;
        this.report.error(
          key.at,
          `this route changes what the filter ${quote(name)} does, and Istio's policies cannot select routes: write it as rules of the filter (an Envoy Gateway's SecurityPolicy can be imported itself)`,
        );
      }
    }
  }

  /** Warns of readers of jwt_authn's metadata, which is no longer written. */
  private warnOfReaders(chain: FilterChain, manager: MapNode): void {
    const known = new Set<YamlNode>(chain.filters.flatMap(({ typedConfig }) => typedConfig ?? []));
    for (const node of nodesOf(manager, (one) => known.has(one))) {
      for (const { name, value } of childrenOf(node)) {
        const text = textOf(value);
        if (text === undefined || name === "name" || !text.includes(JWT_AUTHN)) continue;
        this.report.warning(
          value.at,
          `this reads the metadata ${quote(JWT_AUTHN)}, which no filter writes when jwtgate replaces that filter`,
        );
      }
    }
  }
}

/** States of a listener that is not the one in use. */
const OLD_STATES = ["warming_state", "draining_state", "error_state"];

function isType(url: string): boolean {
  return Object.hasOwn(TYPES, url.replace(/^.*\//, ""));
}

function isListOfFilters(node: YamlNode): boolean {
  return itemsOf(node).some((item) => TYPES[unwrap(fieldOf(item, "typed_config")).type] !== undefined);
}

/** A message in an Any, which may be in a TypedStruct. */
function unwrap(node: YamlNode | undefined): { type: string; node?: YamlNode } {
  const type = typeOf(node);
  if (/^(xds|udpa)\.type\.v[13]\.TypedStruct$/.test(type)) {
    const value = fieldOf(node, "value");
    return {
      type: (textOf(fieldOf(node, "type_url")) ?? "").replace(/^.*\//, ""),
      ...(value && { node: value }),
    };
  }
  return { type, ...(node && { node }) };
}

/** The message of a filter's configuration. */
export function configOf(config: MapNode, path: string, report: Report): Message {
  const message = new Message(config, path, report);
  message.ignore("@type");
  return message;
}

function isOn(manager: MapNode, name: string): boolean {
  const node = fieldOf(manager, name);
  return node?.kind === "boolean" && node.value === true;
}

/** Which address is the client's (`remote_ip`) depends on the connection manager. For policies that ask for it. */
export function warnOfAddresses({ manager }: FilterChain, report: Report): void {
  if (manager === undefined) return;
  if (!isOn(manager, "use_remote_address")) {
    report.warning(
      manager.at,
      "this connection manager takes the client's address from X-Forwarded-For: compile a bootstrap with --mode sidecar, which does so too",
    );
  }
  for (const name of ["xff_num_trusted_hops", "original_ip_detection_extensions"]) {
    const node = fieldOf(manager, name);
    if (node === undefined || (node.kind === "number" && node.source === "0")) continue;
    report.warning(
      node.at,
      `${name} decides which address is the client's, and the bootstraps of compile --output envoy do not have it: set it there, or remoteIpBlocks are compared with another address`,
    );
  }
}

/** The paths that policies see depend on the connection manager. */
function warnOfPaths(manager: MapNode, report: Report): void {
  const has = (name: string) => isOn(manager, name);
  const escaped = textOf(fieldOf(manager, "path_with_escaped_slashes_action")) ?? "";
  const unescapes = escaped.startsWith("UNESCAPE");
  const normalization = !has("normalize_path")
    ? "NONE"
    : unescapes
      ? "DECODE_AND_MERGE_SLASHES"
      : has("merge_slashes")
        ? "MERGE_SLASHES"
        : "BASE";
  if (normalization !== "BASE") {
    report.warning(
      manager.at,
      `policies see paths as this connection manager normalizes them: compile for Envoy with --path-normalization ${normalization}`,
    );
  }
}
