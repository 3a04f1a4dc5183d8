/**
 * The compiler: converts Istio's policies to the filter's configuration. A library: it uses neither files nor a
 * process.
 */
import { withContents } from "./config/contents.ts";
import {
  type Authorization,
  CONFIGURATION_VERSION,
  type Configuration,
  type Provider,
} from "./config/schema.ts";
import { byPosition, type Diagnostic, formatPosition, type Position } from "./diagnostics.ts";
import { type CompiledProvider, compileAuthorization, compileCustom } from "./istio/authorization.ts";
import { ExtensionProviders } from "./istio/extension-providers.ts";
import { isMeshResource, MeshResources } from "./istio/mesh-resources.ts";
import { compileProviders } from "./istio/providers.ts";
import { quote, Report } from "./istio/report.ts";
import {
  type AnyResource,
  type AuthorizationPolicyResource,
  findTemplate,
  leaveOut,
  mayBeResource,
  type RequestAuthenticationResource,
  type Resource,
  readResources,
  type TokenPolicyResource,
} from "./istio/resource.ts";
import {
  findStrangers,
  isForOthers,
  nameOf,
  partition,
  reportElsewhere,
  type SelectedResources,
  type Selection,
  selectFor,
} from "./istio/selection.ts";
import { attachTokenPolicies, targetsOf } from "./istio/token-policy-targets.ts";
import {
  forWaypoints,
  isForOtherWaypoints,
  PEER_PRINCIPAL,
  type ServedBy,
  selectForWaypoint,
} from "./istio/waypoint.ts";
import { readYaml, type YamlNode } from "./istio/yaml.ts";
import { bootstrapCluster } from "./jwks/source.ts";

/** A file of policies. */
export interface SourceFile {
  /** As the user named it; `<stdin>` for `-`. */
  name: string;
  text: string;
  /** Its documents, if they were already parsed; the text is then ignored. */
  documents?: YamlNode[];
  /** Whether it was found in a folder, which may contain files that are not Kubernetes resources. */
  found?: boolean;
}

/** What the compiler needs to know about the environment of the filter, and about the output for it. */
export interface CompileTarget {
  /** Its name in messages, with its article. */
  noun: string;
  /** Whether the filter can know the direct peer's address. */
  knowsDirectPeer: boolean;
  /** Whether the filter runs in a mesh, where loopback is the proxy's own pod. */
  inMesh: boolean;
  /** The Envoy cluster that serves a URL for a policy of that namespace, in the workloads of that selection. */
  clusterFor: (url: URL, namespace: string, selection: Selection | undefined) => string;
  /** Whether ServiceEntries, DestinationRules and Services of the input are considered before `clusterFor`. */
  usesMeshResources?: boolean;
  /** What is compiled if no workload is named: all policies together, or each selection of workloads separately. */
  grouping: "all" | "selections";
  /**
   * How CUSTOM policies are treated. `asked`: Envoy asks their extension providers, and the output contains the filters
   * for it. An object: they are not part of the output. Absent: they are an error.
   */
  custom?: "asked" | CustomLeft;
  /** Warns of what the output leaves to its user. */
  review?(workload: ReviewedWorkload, report: Report): void;
}

/** CUSTOM policies are not part of an output. */
export interface CustomLeft {
  /** A message for each; none if absent. */
  note?: (policy: string) => string;
}

/** A compiled workload, for a target to review. */
export interface ReviewedWorkload {
  selection: Selection | undefined;
  policies: readonly Resource[];
  providers: readonly Provider[];
  /** The position of each provider's rule, by its name. */
  positions: Readonly<Record<string, Position>>;
  /** The first policy that needs the direct peer's address, if any. */
  needsDirectPeer: Position | undefined;
}

/** A dedicated Envoy, which can know everything that policies ask for. */
export const STANDALONE: CompileTarget = {
  noun: "an Envoy",
  knowsDirectPeer: true,
  inMesh: false,
  clusterFor: bootstrapCluster,
  grouping: "all",
};

/** For tools that inspect policies and write no output: they report CUSTOM policies themselves. */
export const INSPECTED: CompileTarget = { ...STANDALONE, custom: {} };

/** An Envoy that the output configures completely, so that it can ask the extension providers of CUSTOM policies. */
export const WHOLE_ENVOY: CompileTarget = { ...STANDALONE, custom: "asked" };

/** The options of `compile`. */
export interface CompileOptions {
  /** The environment of the configuration: decides what the filter can know about a request. `STANDALONE` if absent. */
  target?: CompileTarget | undefined;
  /**
   * The workload's namespace. Without this, labels and gateway, every policy applies. Resources without a namespace are
   * in it, as with `kubectl -n`.
   */
  namespace?: string | undefined;
  /** All labels of the workload. */
  labels?: Record<string, string> | undefined;
  /** The Gateway (of the Kubernetes Gateway API) that the workload belongs to. */
  gateway?: string | undefined;
  /**
   * Whether the workload is a waypoint, which enforces only policies with targetRefs, and identifies peers by filter
   * state.
   */
  waypoint?: boolean | undefined;
  /** The service behind the waypoint whose requests are compiled for; all if absent. */
  service?: ServedBy | undefined;
  /** Whether there may be no policy for the workload, so that everything is let through: a warning, not an error. */
  mayBeOpen?: boolean | undefined;
  /** The namespace whose policies apply to every namespace; `istio-system` if absent. */
  rootNamespace?: string | undefined;
  /** The mesh's own trust domain; `cluster.local` if absent. */
  trustDomain?: string | undefined;
  /** Decide, count and log, but never answer or change a request. */
  shadow?: boolean | undefined;
  /** Write principal, policy and reason into filter state, for access logs. */
  filterState?: boolean | undefined;
  /** Also remove headers that a backend may take for an output header. */
  removeLookalikes?: boolean | undefined;
  /** The name of the compiler that the configuration contains. */
  compiler?: string | undefined;
  /** The jwks_uri of discovery documents that were already read, by the document's URL. */
  discovered?: Record<string, string> | undefined;
  /** Origins (`https://host[:port]`) that a discovered jwks_uri may have besides its issuer's. */
  jwksHosts?: string[] | undefined;
  /** Whether keys may be fetched from link-local addresses and metadata services. */
  allowMetadataService?: boolean | undefined;
  /** Istio's mesh config, which defines the extension providers of CUSTOM policies. */
  meshConfig?: Pick<SourceFile, "name" | "text"> | undefined;
}

/** Positions in the YAML, by the names that the filter uses. */
export interface SourceMap {
  /** By rule id. */
  rules: Record<string, Position>;
  /** By provider name. */
  providers: Record<string, Position>;
  /** By provider name: the fields that TokenPolicies set. */
  constraints: Record<string, Record<string, Position>>;
}

/** The configuration of one workload, or of all. */
export interface CompiledWorkload {
  /** Absent if every policy applies, to any workload. */
  selection?: Selection;
  configuration: Configuration;
  /** Extension providers that CUSTOM policies ask, in this order, before the filter decides. */
  custom: CompiledProvider[];
  sourceMap: SourceMap;
  /** Clusters of key servers that the input's own resources give the proxies. */
  coveredClusters: ReadonlySet<string>;
}

/** A resource of the sources. */
export interface CompiledResource {
  kind: AnyResource["kind"];
  namespace: string;
  name: string;
  at: Position;
  /** Whether it is part of what was compiled. */
  selected: boolean;
}

/** The result of a compilation. */
export interface CompileResult {
  /**
   * One; or, if the target requires it and no workload is named, one for each selection. Empty if there is an error.
   */
  workloads: CompiledWorkload[];
  /** The configuration of the only workload. */
  configuration?: Configuration;
  sourceMap?: SourceMap;
  /** Sorted by file and position. */
  diagnostics: Diagnostic[];
  resources: CompiledResource[];
}

/** The filter state key under which a bootstrap passes the direct peer's address to the filter. */
export const DIRECT_REMOTE_ADDRESS = "jwtgate.direct_remote_address";

const DEFAULT_NAMESPACE = "default";

/**
 * Compiles policies.
 *
 * @param sources YAML files, each with any number of documents
 * @returns the configuration, if `diagnostics` has no error
 */
export function compile(sources: readonly SourceFile[], options: CompileOptions = {}): CompileResult {
  return compileSources(sources, options).result;
}

/** The same, with the resources that were compiled. */
export function compileSources(
  sources: readonly SourceFile[],
  options: CompileOptions,
): { result: CompileResult; selected: Resource[] } {
  const report = new Report();
  const { rootNamespace = "istio-system" } = options;
  const { resources, tokenPolicies } = readSources(sources, options, rootNamespace, report);
  const selected = report.hasErrors ? [] : select(resources, options, rootNamespace, report);
  const { custom } = options.target ?? STANDALONE;
  if (typeof custom === "object" && !report.hasErrors) {
    reviewLeft(
      isWorkloadNamed(options) ? selected.flatMap((one) => one.resources) : resources,
      custom,
      report,
    );
  }
  const workloads = selected.map((selection) => compileWorkload(selection, options, rootNamespace, report));
  const compiled = new Set(selected.flatMap((selection) => selection.resources));
  const [only] = workloads;
  const order = new Map(sources.map(({ name }, index) => [name, index]));
  const result: CompileResult = {
    workloads: report.hasErrors ? [] : workloads,
    ...(!report.hasErrors &&
      workloads.length === 1 &&
      only && { configuration: only.configuration, sourceMap: only.sourceMap }),
    diagnostics: report.diagnostics.sort(
      (a, b) => (order.get(a.file) ?? 0) - (order.get(b.file) ?? 0) || byPosition(a, b),
    ),
    resources: [
      ...resources.map((resource) => describe(resource, compiled.has(resource))),
      ...tokenPolicies.map((policy) => describe(policy, isCompiled(policy, compiled))),
    ],
  };
  return { result, selected: resources.filter((resource) => compiled.has(resource)) };
}

function describe({ kind, metadata, at }: AnyResource, selected: boolean): CompiledResource {
  const { namespace, name } = metadata;
  return { kind, namespace, name, at, selected };
}

/** Whether a RequestAuthentication that the policy targets is compiled. */
function isCompiled(policy: TokenPolicyResource, compiled: Iterable<Resource>): boolean {
  const authentications = [...compiled].filter(isAuthentication);
  const byName = new Map(authentications.map((one) => [nameOf(one), one]));
  return targetsOf(policy, byName).some(({ resource }) => resource !== undefined);
}

function isAuthentication(resource: AnyResource): resource is RequestAuthenticationResource {
  return resource.kind === "RequestAuthentication";
}

function isTokenPolicy(resource: AnyResource): resource is TokenPolicyResource {
  return resource.kind === "TokenPolicy";
}

function readSources(
  sources: readonly SourceFile[],
  options: CompileOptions,
  rootNamespace: string,
  report: Report,
): { resources: Resource[]; tokenPolicies: TokenPolicyResource[] } {
  const { namespace, waypoint, target: { usesMeshResources = false } = STANDALONE } = options;
  const isForOther = waypoint ? isForOtherWaypoints : isForOthers;
  const known = new Map<string, AnyResource>();
  for (const { name, text, documents: read, found = false } of sources) {
    const faults: Diagnostic[] = [];
    for (const document of read ?? readYaml(name, text, faults)) {
      if (found) {
        if (!mayBeResource(document)) continue;
        refuseTemplate(document, report);
      }
      for (const resource of readResources([document], namespace ?? DEFAULT_NAMESPACE, report)) {
        const first = known.get(nameOf(resource));
        if (first === undefined) known.set(nameOf(resource), resource);
        else report.error(resource.at, duplicate(resource, first));
        if (isTokenPolicy(resource)) continue;
        if (!isForOther(resource, options, rootNamespace)) report.addAll(resource.faults);
        else reportElsewhere(resource, report);
      }
      if (report.isFull(name)) break;
    }
    report.addAll(found ? faultsOfFound(faults, text) : faults);
  }
  const all = [...known.values()];
  const tokenPolicies = all.filter(isTokenPolicy);
  const isLeftOut = (resource: Resource) => isForOther(resource, options, rootNamespace);
  const attached = attachTokenPolicies(tokenPolicies, all.filter(isAuthentication), isLeftOut, report);
  reportOthers(report, usesMeshResources);
  const [first] = sources;
  if (known.size === 0 && !report.hasErrors && options.mayBeOpen) {
    if (first) report.warning({ file: first.name, line: 0, column: 0 }, "there is no policy here");
  } else if (known.size === 0 && !report.hasErrors) {
    const isEmpty = sources.every(({ text, documents }) => documents === undefined && text.trim() === "");
    const outcome = isEmpty ? "the input is empty" : "a filter would let everything through";
    const message = `there is no RequestAuthentication and no AuthorizationPolicy here: ${outcome}`;
    report.error({ file: first?.name ?? "<none>", line: 0, column: 0 }, message);
  }
  const resources = all.flatMap((one) => (isTokenPolicy(one) ? [] : (attached.get(nameOf(one)) ?? one)));
  return { resources, tokenPolicies };
}

/** A file in a folder may belong to another program; one that names a policy must not be left out. */
function faultsOfFound(faults: readonly Diagnostic[], text: string): Diagnostic[] {
  const [first, ...more] = faults;
  if (first === undefined) return [];
  const left = leaveOut(first, text);
  if (left.severity === "warning") return [left];
  return [
    { ...first, message: text.includes("{{") ? `${first.message}; ${RENDER}` : first.message },
    ...more,
  ];
}

/** A template that is also valid YAML would be compiled with its braces, and match nothing. */
function refuseTemplate(document: YamlNode, report: Report): void {
  const at = findTemplate(document);
  if (at) report.error(at, `this value is part of a template; ${RENDER}`);
}

const RENDER = "a template is rendered first: `helm template … | jwtgate compile -f -`";

/** Warns of resources that are not policies: one by its name, several by their number. */
function reportOthers(report: Report, usesMeshResources: boolean): void {
  const others = report.others.filter((other) => !usesMeshResources || !isMeshResource(other));
  const [first, ...more] = others;
  if (first === undefined) return;
  if (more.length === 0) {
    report.warning(first.at, `${first.name} (${first.apiVersion}) is not a policy and is not compiled`);
    return;
  }
  const counts = new Map<string, number>();
  for (const { kind } of others) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  const list = [...counts].sort(([, a], [, b]) => b - a).map(([kind, count]) => `${count} ${kind}`);
  report.warning(
    first.at,
    `${others.length} resources are not policies and are not compiled: ${list.join(", ")}`,
  );
}

function duplicate(resource: AnyResource, { at }: AnyResource): string {
  const place = [at.file, at.line, at.column].join(":");
  return `${nameOf(resource)} already exists, at ${place}, and a cluster would keep only one of them: rename or remove one`;
}

function together(resource: Resource, other: Resource): string {
  return `no workload has both this ${nameOf(resource)} and ${nameOf(other)} (${formatPosition(other.at)}), but here both apply to one workload, and what either allows is allowed: pass --namespace, --labels or --gateway to name the workload`;
}

/** Whether the options name the workload. */
function isWorkloadNamed({ namespace, labels, gateway, service }: CompileOptions): boolean {
  return [namespace, labels, gateway, service].some((one) => one !== undefined);
}

/** Selects the policies that are compiled together. */
function select(
  resources: Resource[],
  options: CompileOptions,
  rootNamespace: string,
  report: Report,
): (Omit<SelectedResources, "selection"> & { selection?: Selection })[] {
  const { waypoint } = options;
  const [first] = resources;
  if (options.mayBeOpen && first === undefined) return [{ resources: [] }];
  if (!isWorkloadNamed(options)) {
    const { grouping, custom } = options.target ?? STANDALONE;
    if (grouping === "all") {
      const strangers = findStrangers(resources, rootNamespace);
      if (strangers) report.warning(strangers[0].at, together(...strangers));
      return [{ resources }];
    }
    const isLeft = (resource: Resource) => typeof custom === "object" && isCustom(resource);
    const attached = waypoint ? forWaypoints(resources, rootNamespace, report) : resources;
    if (attached.length === 0 && first) report.error({ ...first.at, line: 0, column: 0 }, NO_WAYPOINT);
    return partition(attached, rootNamespace, report, isLeft) ?? [];
  }
  const selected = waypoint
    ? selectForWaypoint(options, resources, rootNamespace, report)
    : selectFor(options, resources, rootNamespace, report);
  if (selected?.resources.length === 0 && !report.hasErrors && first) {
    const flags = waypoint
      ? "--namespace, --gateway, --service or --service-entry"
      : "--namespace, --labels or --gateway";
    const what = "no policy here is for this workload";
    const place = { ...first.at, line: 0, column: 0 };
    if (options.mayBeOpen) report.warning(place, what);
    else report.error(place, `${what}: a filter would let everything through; correct ${flags}`);
  }
  return selected ? [selected] : [];
}

const NO_WAYPOINT =
  "no policy here is for a waypoint: give it targetRefs to a Service, a ServiceEntry or a Gateway";

function compileWorkload(
  { selection, resources }: { selection?: Selection; resources: Resource[] },
  options: CompileOptions,
  rootNamespace: string,
  report: Report,
): CompiledWorkload {
  const authentications = resources.filter((resource) => resource.kind === "RequestAuthentication");
  const policies = resources.filter((resource) => resource.kind === "AuthorizationPolicy");
  const { trustDomain = "cluster.local", discovered, jwksHosts, allowMetadataService } = options;
  const { target = STANDALONE } = options;
  const { inMesh } = target;
  const covered = new Set<string>();
  const mesh =
    target.usesMeshResources && selection
      ? new MeshResources(
          report.others,
          options.namespace ?? DEFAULT_NAMESPACE,
          {
            namespace: selection.namespace,
            labels: options.labels ?? selection.matchLabels ?? {},
            rootNamespace,
          },
          report,
        )
      : undefined;
  const clusterFor = (url: URL, namespace: string, at: Position) => {
    if (mesh === undefined) return target.clusterFor(url, namespace, selection);
    const { cluster, isCovered } = mesh.serverOf(url, namespace, at);
    if (isCovered) covered.add(cluster);
    return cluster;
  };
  const { providers, positions, constraints } = compileProviders(
    authentications,
    { rootNamespace, clusterFor, discovered, jwksHosts, allowMetadataService, inMesh },
    report,
  );
  const decided = policies.filter((policy) => !isCustom(policy));
  const inWaypoint = options.waypoint === true;
  const authorization = compileAuthorization(decided, { trustDomain, target, inWaypoint }, report);
  if (inWaypoint) warnOfKeyServers(providers, positions, report);
  const custom = compileProvidersAsked(policies.filter(isCustom), options, report);
  const { needsDirectPeer } = authorization;
  const rules = authorization.authorization ?? (providers.length === 0 ? NOTHING_DENIED : undefined);
  target.review?.({ selection, policies, providers, positions, needsDirectPeer }, report);
  if (options.removeLookalikes) refuseFramingLookalikes(providers, positions, report);
  return {
    ...(selection && { selection }),
    configuration: withContents({
      version: CONFIGURATION_VERSION,
      ...(options.compiler && { compiler: options.compiler }),
      ...(options.shadow && { shadow: true }),
      ...(options.filterState && { filterState: true }),
      ...(options.removeLookalikes && { removeLookalikes: true }),
      ...(needsDirectPeer && { directRemoteAddress: DIRECT_REMOTE_ADDRESS }),
      ...(inWaypoint && { peerPrincipal: PEER_PRINCIPAL }),
      ...(providers.length > 0 && { providers }),
      ...(rules && { authorization: rules }),
    }),
    custom,
    sourceMap: {
      rules: Object.assign({}, authorization.positions, ...custom.map((one) => one.positions)),
      providers: positions,
      constraints,
    },
    coveredClusters: covered,
  };
}

/** A key set that a provider fetches. */
export interface FetchedKeys {
  /** The position of its rule. */
  at: Position;
  /** The URL of the key set, or of the discovery document that names it. */
  uri: string | undefined;
  /** The Envoy cluster through which it is fetched. */
  cluster: string;
}

/** The key sets that providers fetch, in the providers' order. */
export function fetchedKeys({
  providers,
  positions,
}: Pick<ReviewedWorkload, "providers" | "positions">): FetchedKeys[] {
  return providers.flatMap(({ name, remoteJwks }) => {
    const at = positions[name];
    if (remoteJwks === undefined || at === undefined) return [];
    const { uri = remoteJwks.discovery?.uri, cluster } = remoteJwks;
    return [{ at, uri, cluster }];
  });
}

/**
 * istiod gives a waypoint clusters for the services behind it, and for few others (push_context.go,
 * extraServicesForProxy).
 */
function warnOfKeyServers(
  providers: readonly Provider[],
  positions: Readonly<Record<string, Position>>,
  report: Report,
): void {
  for (const { at, uri } of fetchedKeys({ providers, positions })) {
    const message = `istiod gives a waypoint no cluster for the server of ${uri}, unless the mesh refers to it, and without a cluster every token is refused: write the keys into jwks, or see docs/keys.md`;
    report.warning(at, message);
  }
}

function isCustom(resource: Resource): resource is AuthorizationPolicyResource {
  return resource.kind === "AuthorizationPolicy" && resource.spec.action === "CUSTOM";
}

/** Reports CUSTOM policies that are not part of the output, and refuses to write an output without any other. */
function reviewLeft(resources: readonly Resource[], { note }: CustomLeft, report: Report): void {
  if (note === undefined) return;
  const left = resources.filter(isCustom);
  for (const policy of left) report.warning(policy.spec.provider?.at ?? policy.at, note(nameOf(policy)));
  const [first] = left;
  if (first && left.length === resources.length && !report.hasErrors) {
    report.error(first.at, "there are only CUSTOM policies here, and nothing for the filter to decide");
  }
}

/** The extension providers of CUSTOM policies that the target uses. */
function compileProvidersAsked(
  policies: readonly AuthorizationPolicyResource[],
  { target = STANDALONE, trustDomain = "cluster.local", meshConfig, shadow }: CompileOptions,
  report: Report,
): CompiledProvider[] {
  const known = meshConfig && ExtensionProviders.read(meshConfig.name, meshConfig.text, report);
  const asked = compileCustom(policies, trustDomain, report);
  if (typeof target.custom === "object") return asked;
  for (const { name } of asked) {
    if (target.custom === undefined) report.error(name.at, cannotAsk(target.noun));
    else if (meshConfig === undefined) report.error(name.at, needsMeshConfig(name.value));
  }
  if (known === undefined) return [];
  const found = asked.flatMap((one) => {
    const provider = known.find(one.name, report);
    return provider ? [{ ...one, provider }] : [];
  });
  if (!shadow) return found;
  for (const { name } of found) report.warning(name.at, NOT_ASKED_IN_SHADOW);
  return [];
}

function cannotAsk(noun: string): string {
  return `CUSTOM asks an external authorizer, which ${noun} cannot do: compile with --output envoy and --mesh-config FILE, or leave the policy to Istio; if it is for another workload, name yours with --namespace and --labels`;
}

function needsMeshConfig(name: string): string {
  return `this policy asks the extension provider ${quote(name)}: define it with --mesh-config FILE, Istio's mesh config (docs/external-authorization.md); if the policy is for another workload, name yours with --namespace and --labels`;
}

const NOT_ASKED_IN_SHADOW =
  "in shadow Envoy does not ask this extension provider, because its answer would be enforced: its refusals are not seen";

/**
 * For a RequestAuthentication without jwtRules and no other policy. The filter refuses a configuration with neither
 * providers nor policies, because it may have lost them; this one states that nothing is denied.
 */
const NOTHING_DENIED: Authorization = { predicates: [], deny: { rules: [] } };

/**
 * If lookalikes of output headers are removed, an output with one of these names would remove the header that defines
 * the end of a body.
 */
const FRAMING_LOOKALIKE = /^(content.length|transfer.encoding)$/;

function refuseFramingLookalikes(
  providers: readonly Provider[],
  positions: Record<string, Position>,
  report: Report,
): void {
  for (const { name, forwardPayloadHeader, claimToHeaders = [] } of providers) {
    const at = positions[name];
    const outputs = [forwardPayloadHeader ?? "", ...claimToHeaders.map(({ headerName }) => headerName)];
    const header = outputs.find((output) => FRAMING_LOOKALIKE.test(output));
    if (header === undefined || at === undefined) continue;
    const message = `"${header}" looks like a header that defines where a request ends, which --remove-lookalikes would remove: use another header, such as x-jwt-claim`;
    report.error(at, message);
  }
}
