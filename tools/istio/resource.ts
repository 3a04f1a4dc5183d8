/** Kubernetes resources: their kinds, names and attachments. */
import type { Diagnostic, Position } from "../diagnostics.ts";
import { type AuthorizationPolicy, readAuthorizationPolicy } from "./authorization-policy.ts";
import { closest, Fields } from "./fields.ts";
import { type Metadata, readMetadata } from "./metadata.ts";
import { quote, Report } from "./report.ts";
import { type RequestAuthentication, readRequestAuthentication } from "./request-authentication.ts";
import { readTokenPolicy, type TokenPolicy } from "./token-policy.ts";
import type { Located, StringNode, YamlNode } from "./yaml.ts";

export type TargetKind = "Gateway" | "GatewayClass" | "Service" | "ServiceEntry";

export interface TargetRef {
  group: string;
  kind: TargetKind;
  name: string;
}

/** The workloads that a policy applies to: those of its namespace if neither is set. */
export interface Attachment {
  /** Absent if the policy has no selector; empty if it selects everything. */
  matchLabels?: Record<string, string>;
  targetRefs: TargetRef[];
}

interface NamedResource<Kind extends string> {
  kind: Kind;
  /** The position at which the resource begins. */
  at: Position;
  metadata: Metadata;
  /** Faults of the spec. They count if the policy applies to the workload. */
  faults: readonly Diagnostic[];
}

interface ResourceBase<Kind extends string> extends NamedResource<Kind> {
  attachment: Attachment;
  /** Whether the attachment is what its author wrote: no selector and no target has a fault. */
  isAttached: boolean;
}
export interface RequestAuthenticationResource extends ResourceBase<"RequestAuthentication"> {
  spec: RequestAuthentication;
}
export interface AuthorizationPolicyResource extends ResourceBase<"AuthorizationPolicy"> {
  spec: AuthorizationPolicy;
}
/** A policy of Istio, which applies to workloads. */
export type Resource = RequestAuthenticationResource | AuthorizationPolicyResource;

/** A policy about the tokens of RequestAuthentications. It applies to their workloads. */
export interface TokenPolicyResource extends NamedResource<"TokenPolicy"> {
  spec: TokenPolicy;
}
export type AnyResource = Resource | TokenPolicyResource;

const GROUP = "security.istio.io";
const KINDS = ["RequestAuthentication", "AuthorizationPolicy"];

/** An API with kinds that are compiled. */
interface Api {
  group: string;
  versions: string[];
  kinds: string[];
}
const ISTIO: Api = { group: GROUP, versions: ["v1", "v1beta1"], kinds: KINDS };
const OWN: Api = { group: "jwtgate.dev", versions: ["v1alpha1"], kinds: ["TokenPolicy"] };
const APIS = [ISTIO, OWN];

/** Groups of Istio's old security APIs: a cluster that has them enforces something that is not compiled. */
const REMOVED_GROUPS = ["authentication.istio.io", "rbac.istio.io"];

/**
 * Reads the resources of a file.
 *
 * @param documents of the file, in order
 * @param namespace of the resources that name none
 * @returns those that have a name, with the faults of their specs; other faults, and other resources, are in the report
 */
export function readResources(documents: YamlNode[], namespace: string, report: Report): AnyResource[] {
  return documents.flatMap((document) => readDocument(document, namespace, report));
}

function readDocument(node: YamlNode, namespace: string, report: Report): AnyResource[] {
  const other = whatElse(node);
  if (other !== undefined) {
    report.error(node.at, other);
    return [];
  }
  const fields = Fields.of(node, "", report);
  if (fields === undefined) return [];
  const apiVersion = fields.string("apiVersion");
  const kind = fields.string("kind");
  if (apiVersion === undefined || kind === undefined) {
    if (!fields.has("apiVersion")) {
      const { group, versions } = APIS.find(({ kinds }) => kinds.includes(kind?.value ?? "")) ?? ISTIO;
      report.error(fields.at, `apiVersion is missing: write ${group}/${versions[0]}`);
    }
    if (!fields.has("kind")) report.error(fields.at, `kind is missing: write ${KINDS.join(" or ")}`);
    return [];
  }
  const slash = apiVersion.value.indexOf("/");
  const group = slash < 0 ? "" : apiVersion.value.slice(0, slash);
  const version = apiVersion.value.slice(slash + 1);
  if (isList(group, kind.value)) {
    fields.ignore("metadata");
    const items = fields.list("items");
    fields.finish();
    return readResources(items, namespace, report);
  }
  const api = APIS.find((one) => one.group === group && one.kinds.includes(kind.value));
  if (api === undefined) {
    reportOther(fields, { group, apiVersion, kind, node }, report);
    return [];
  }
  if (!api.versions.includes(version)) {
    const versions = api.versions.map((known) => `${group}/${known}`).join(" or ");
    report.error(apiVersion.at, `${apiVersion.value} is not a version of ${kind.value}: write ${versions}`);
    return [];
  }
  return readPolicy(fields, kind.value, namespace, report);
}

/** What a document is that users give instead of policies, and what to do with it; undefined for any other document. */
function whatElse(node: YamlNode): string | undefined {
  if (node.kind === "string" && node.value.startsWith("-----BEGIN ")) {
    return "this is PEM, not a policy: `jwtgate new --jwks FILE` writes a policy that trusts its key";
  }
  if (node.kind !== "map" || node.entries.has("apiVersion") || node.entries.has("kind")) return undefined;
  const has = (...names: string[]) => names.some((name) => node.entries.has(name));
  if (has("policies") && has("tests", "tables")) return "these are tests: run them with `jwtgate test FILE`";
  if (has("static_resources", "http_filters", "filter_chains", "configs")) {
    return "this is a configuration of Envoy: `jwtgate import FILE` turns its jwt_authn and rbac filters into policies";
  }
  if (node.entries.get("keys")?.value.kind === "list" || has("kty")) {
    return "this is a key set, not a policy: `jwtgate new --jwks FILE` writes a policy that trusts its keys";
  }
  return undefined;
}

/**
 * Whether a document in a folder is meant to be a resource. Helm's values and Chart.yaml, a kustomization without a
 * kind, a package.json or a schema are not. A doubtful document is, so that a misspelt policy is an error.
 */
export function mayBeResource(node: YamlNode): boolean {
  if (node.kind === "list") return node.items.some(mayBeResource);
  if (node.kind !== "map") return false;
  const entries = new Map([...node.entries].map(([name, { value }]) => [name.toLowerCase(), value]));
  if (entries.has("apiversion") && entries.has("kind")) return true;
  if (entries.has("metadata") || entries.has("spec")) return true;
  const texts = [...entries.values()].flatMap((value) => (value.kind === "string" ? value.value : []));
  if (texts.some((text) => APIS.some((api) => api.kinds.includes(text) || text.startsWith(`${api.group}/`))))
    return true;
  const items = entries.get("items");
  return items !== undefined && mayBeResource(items);
}

/**
 * What a file in a folder is that is not YAML. A policy that was cut off or damaged may contain no recognisable name,
 * so only a template, or a file whose JSON may have comments, counts as another program's.
 *
 * @returns a warning that the file is left out, or the error
 */
export function leaveOut(fault: Diagnostic, text: string): Diagnostic {
  const isOther = text.includes("{{") || /(^|[\\/])[jt]sconfig[^\\/]*\.json$/i.test(fault.file);
  const names = APIS.flatMap(({ group, kinds }) => [group, ...kinds]);
  if (!isOther || names.some((name) => text.includes(name))) return fault;
  const message = `this file is left out: it names no policy, and it is not YAML (${fault.message})`;
  return { ...fault, severity: "warning", message };
}

/** The first value of a spec with the braces of a template, in a document that is a policy or a list of them. */
export function findTemplate(document: YamlNode): Position | undefined {
  if (document.kind !== "map") return undefined;
  const valueAt = (name: string) => document.entries.get(name)?.value;
  const apiVersion = valueAt("apiVersion");
  const isOurs = ({ group }: Api) =>
    apiVersion?.kind === "string" && apiVersion.value.startsWith(`${group}/`);
  if (APIS.some(isOurs)) {
    const found = findValue(valueAt("spec"), ({ value }) => /\{\{.*\}\}/s.test(value));
    if (found) return found.at;
  }
  const items = valueAt("items");
  return items?.kind === "list" ? items.items.map(findTemplate).find((at) => at !== undefined) : undefined;
}

/** The first text in a value, at any depth, that matches. The YAML reader limits the depth. */
function findValue(
  node: YamlNode | undefined,
  isWanted: (text: StringNode) => boolean,
): StringNode | undefined {
  switch (node?.kind) {
    case "string":
      return isWanted(node) ? node : undefined;
    case "list":
    case "map": {
      const values = node.kind === "list" ? node.items : [...node.entries.values()].map(({ value }) => value);
      for (const value of values) {
        const found = findValue(value, isWanted);
        if (found) return found;
      }
    }
  }
  return undefined;
}

function isList(group: string, kind: string): boolean {
  if (group === "") return kind === "List";
  return APIS.some((api) => api.group === group && api.kinds.some((known) => kind === `${known}List`));
}

/** Reports a resource that is not one of our policies: an error if a user could believe that it is enforced. */
function reportOther(
  fields: Fields,
  {
    group,
    apiVersion,
    kind,
    node,
  }: { group: string; apiVersion: Located<string>; kind: Located<string>; node: YamlNode },
  report: Report,
): void {
  const metadata = fields.object("metadata");
  const name = [kind.value, metadata?.string("name")?.value].filter(Boolean).join(" ");
  const home = APIS.find((api) => api.kinds.includes(kind.value));
  if (group === GROUP && kind.value === "PeerAuthentication") {
    const message = `${name} is not compiled: the listener (--tls-client-ca) or Istio decides who must use mTLS`;
    report.warning(kind.at, message);
  } else if (home) {
    const { group: own, versions } = home;
    report.error(apiVersion.at, `${kind.value} belongs to ${own}: write apiVersion: ${own}/${versions[0]}`);
  } else if (group === GROUP || group === OWN.group) {
    const { kinds } = group === GROUP ? ISTIO : OWN;
    const meant = closest(kind.value, kinds);
    const known = meant ? `did you mean ${meant}?` : `jwtgate compiles ${kinds.join(" and ")}`;
    report.error(kind.at, `${group} has no kind ${quote(kind.value)}: ${known}`);
  } else if (REMOVED_GROUPS.includes(group)) {
    report.error(
      apiVersion.at,
      `Istio removed ${group}: write ${KINDS.join(" and ")} of ${GROUP}/v1 instead`,
    );
  } else {
    report.others.push({ at: fields.at, kind: kind.value, name, apiVersion: apiVersion.value, node });
  }
}

function readPolicy(fields: Fields, kind: string, namespace: string, report: Report): AnyResource[] {
  const metadata = readMetadata(fields, namespace, report);
  fields.ignore("status");
  const own = new Report();
  // A resource without a spec has an empty one: an AuthorizationPolicy then allows nothing.
  const spec =
    fields.object("spec", own) ?? new Fields({ kind: "map", at: fields.at, entries: new Map() }, "spec", own);
  fields.finish();
  const resource = readSpec(kind, spec, metadata, own);
  spec.finish();
  if (metadata !== undefined) return [{ ...resource, at: fields.at, metadata, faults: own.diagnostics }];
  report.addAll(own.diagnostics);
  return [];
}

/** @param report receives the faults of the spec */
function readSpec(kind: string, spec: Fields, metadata: Metadata | undefined, report: Report) {
  if (kind === "TokenPolicy") return { kind: "TokenPolicy" as const, spec: readTokenPolicy(spec, report) };
  const attachment = readAttachment(spec, report);
  const isAttached = !report.hasErrors;
  return kind === "RequestAuthentication"
    ? {
        ...{ kind: "RequestAuthentication" as const, attachment, isAttached },
        spec: readRequestAuthentication(spec, metadata, report),
      }
    : {
        ...{ kind: "AuthorizationPolicy" as const, attachment, isAttached },
        spec: readAuthorizationPolicy(spec, metadata, report),
      };
}

const GATEWAY_GROUP = "gateway.networking.k8s.io";

/** Kinds that a policy can attach to, with their groups. */
const TARGETS: { kind: TargetKind; group: string }[] = [
  { kind: "Gateway", group: GATEWAY_GROUP },
  { kind: "GatewayClass", group: GATEWAY_GROUP },
  { kind: "Service", group: "" },
  { kind: "ServiceEntry", group: "networking.istio.io" },
];

const MAX_TARGET_REFS = 16;
const MAX_LABELS = 4096;
const MAX_LABEL_VALUE = 63;

function readAttachment(spec: Fields, report: Report): Attachment {
  const selector = spec.object("selector");
  const references = spec.objects("targetRefs");
  // The field that targetRefs replaced.
  const reference = spec.object("targetRef");
  const set = ["selector", "targetRef", "targetRefs"].filter((name) => spec.has(name));
  if (set.length > 1) {
    report.error(spec.keyAt(set[1] ?? ""), `only one of ${set.join(" and ")} can be set: remove the other`);
  }
  if (references.length > MAX_TARGET_REFS) {
    report.error(spec.keyAt("targetRefs"), `spec.targetRefs has more than ${MAX_TARGET_REFS} entries`);
  }
  const targetRefs = [...references, ...(reference ? [reference] : [])];
  return {
    ...(selector && { matchLabels: readSelector(selector, report) }),
    targetRefs: targetRefs.flatMap((fields) => readTargetRef(fields, report) ?? []),
  };
}

function readSelector(fields: Fields, report: Report): Record<string, string> {
  const labels = fields.stringMap("matchLabels");
  fields.finish();
  if (labels.size === 0)
    report.warning(fields.at, "this selector has no labels, so it selects every workload");
  if (labels.size > MAX_LABELS) report.error(fields.at, `spec.selector has more than ${MAX_LABELS} labels`);
  for (const [key, { value, at }] of labels) {
    if (key === "") report.error(at, "a label's name must not be empty");
    if (`${key}${value}`.includes("*")) {
      report.error(at, "a selector takes no wildcards: name each label's value, or leave the label out");
    }
    if (value.length > MAX_LABEL_VALUE) {
      report.error(
        at,
        `the label's value is longer than the ${MAX_LABEL_VALUE} characters that a label can have`,
      );
    }
  }
  return Object.fromEntries([...labels].map(([key, { value }]) => [key, value]));
}

function readTargetRef(fields: Fields, report: Report): TargetRef | undefined {
  const group = fields.string("group");
  const kind = fields.string("kind");
  const name = fields.string("name");
  const namespace = fields.string("namespace");
  for (const field of ["kind", "name"] as const) {
    if (!fields.has(field) || fields.string(field)?.value === "") {
      fields.miss(`${fields.path}.${field} is missing`, fields.keyAt(field));
    }
  }
  fields.finish();
  if (namespace && namespace.value !== "") {
    report.error(namespace.at, `${fields.path} must be in the policy's own namespace: remove namespace`);
  }
  if (!kind?.value || !name?.value) return undefined;
  const canonical = group?.value === "core" ? "" : (group?.value ?? "");
  const target = TARGETS.find((known) => known.kind === kind.value);
  if (target === undefined || target.group !== canonical) {
    const advice = target
      ? `the group of ${target.kind} is ${quote(target.group)}`
      : `a policy attaches to ${TARGETS.map((known) => known.kind).join(", ")}`;
    report.error((target ? group : kind)?.at ?? fields.at, `${fields.path} names no target: ${advice}`);
    return undefined;
  }
  return { group: target.group, kind: target.kind, name: name.value };
}
