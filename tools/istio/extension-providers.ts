/**
 * Extension providers of Istio's mesh config (istio/api mesh/v1alpha1/config.proto, `MeshConfig.ExtensionProvider`):
 * the authorizers that CUSTOM policies name. A provider is refused if istiod refuses it
 * (pilot/pkg/security/authz/builder/extauthz.go, pkg/config/validation/agent/extensionprovider.go), or Envoy would.
 */
import type { Diagnostic } from "../diagnostics.ts";
import { isAddress } from "../encoding/address.ts";
import { Fields } from "./fields.ts";
import { quote, Report } from "./report.ts";
import { type Located, type MapNode, nodeAt, parseYaml, type StringNode, type YamlNode } from "./yaml.ts";

/** An authorizer that Envoy's ext_authz can ask. */
export interface ExtensionProvider {
  name: string;
  /** Where it answers: a name that Envoy resolves, or an IP address. */
  host: string;
  port: number;
  timeoutMs: number;
  /** Whether a request passes if the authorizer cannot be asked. */
  failOpen: boolean;
  /** The status of a request that is refused because the authorizer could not be asked; Envoy's own, 403, if absent. */
  statusOnError?: number;
  clearRouteCache: boolean;
  /** How much of the request's body it receives; nothing if absent. */
  body?: { maxRequestBytes: number; allowPartialMessage: boolean; packAsBytes: boolean };
  /** Present if it is asked over HTTP; gRPC otherwise. */
  http?: HttpCheck;
}

/** What an HTTP authorizer receives, and which parts of its answer are forwarded. Lists are of headers, as patterns. */
export interface HttpCheck {
  pathPrefix?: string;
  includeRequestHeaders: string[];
  includeAdditionalHeaders: [string, string][];
  toUpstreamOnAllow: string[];
  toDownstreamOnDeny: string[];
  toDownstreamOnAllow: string[];
}

/** A provider of the mesh config, and its faults, which count only if a policy asks it. */
interface ReadProvider {
  name: Located<string>;
  /** Absent if there is an error, or it is not an authorizer. */
  provider?: ExtensionProvider;
  faults: readonly Diagnostic[];
}

/** The extension providers of one mesh config. */
export class ExtensionProviders {
  /** @param file the mesh config's, as messages name it */
  private constructor(
    private readonly file: string,
    private readonly providers: readonly ReadProvider[],
  ) {}

  /**
   * @param file as the user named it
   * @param text of the file: a MeshConfig, Istio's ConfigMap, or Helm values or an IstioOperator with a meshConfig
   * @returns the providers; undefined, with an error, if it is none of these
   */
  static read(file: string, text: string, report: Report): ExtensionProviders | undefined {
    const { documents, diagnostics } = parseYaml(file, text);
    report.addAll(diagnostics);
    if (report.hasErrors) return undefined;
    const found = documents.flatMap((document) => findMeshConfig(file, text, document, report) ?? []);
    const [config, second] = found;
    if (second !== undefined) report.error(second.at, "there is a mesh config before this one: keep one");
    else if (config === undefined && !report.hasErrors) report.error({ file, line: 0, column: 0 }, NO_CONFIG);
    if (config === undefined || report.hasErrors) return undefined;
    const fields = Fields.of(config, "", report);
    const read = fields?.objects("extensionProviders").flatMap((entry) => readProvider(entry)) ?? [];
    return new ExtensionProviders(file, read);
  }

  /**
   * The authorizer of that name.
   *
   * @param name as in a policy
   * @returns undefined, with an error, if there is none or it cannot be asked
   */
  find({ value: name, at }: Located<string>, report: Report): ExtensionProvider | undefined {
    const named = this.providers.filter((one) => one.name.value === name);
    const [first, second] = named;
    if (first === undefined) {
      const names = this.providers.map((one) => quote(one.name.value)).join(", ");
      const others = names === "" ? "it has no extensionProviders" : `it has ${names}`;
      report.error(at, `${this.file} has no extension provider ${quote(name)}: ${others}`);
      return undefined;
    }
    if (second !== undefined) {
      report.error(
        second.name.at,
        `the extension provider ${quote(name)} is there twice: rename or remove one`,
      );
    }
    report.addAll(first.faults);
    return second === undefined ? first.provider : undefined;
  }
}

const NO_CONFIG =
  "this file has no mesh config: name one with extensionProviders, Istio's ConfigMap (kubectl get -n istio-system configmap istio -o yaml), or Helm values or an IstioOperator with meshConfig";

/** Where a mesh config is in a document. */
function findMeshConfig(file: string, text: string, document: YamlNode, report: Report): MapNode | undefined {
  const kind = nodeAt(document, "kind");
  const isConfigMap = kind?.kind === "string" && kind.value === "ConfigMap";
  if (!isConfigMap) {
    const nested = nodeAt(document, "meshConfig") ?? nodeAt(document, "spec", "meshConfig");
    if (nested?.kind === "map") return nested;
    return document.kind === "map" && document.entries.has("extensionProviders") ? document : undefined;
  }
  const mesh = nodeAt(document, "data", "mesh");
  if (mesh?.kind !== "string") return undefined;
  const { documents, diagnostics } = parseEmbedded(file, text, mesh);
  report.addAll(diagnostics);
  const [config] = documents;
  return config?.kind === "map" ? config : undefined;
}

/**
 * Reads YAML that is the text of a value. Positions in a block (`|`) are those of the file: it is read with its own
 * indentation, after as many empty lines as there are lines before it.
 */
function parseEmbedded(file: string, text: string, { value, at: place }: StringNode) {
  const lines = value.replace(/\n+$/, "").split("\n");
  const own = text.split(/\r?\n/).slice(place.line, place.line + lines.length);
  const indent = /^ */.exec(own.find((line) => line.trim() !== "") ?? "")?.[0] ?? "";
  const isBlock = lines.every((line, i) => (own[i] ?? "") === (line === "" ? "" : `${indent}${line}`));
  if (isBlock) return parseYaml(file, `${"\n".repeat(place.line)}${own.join("\n")}\n`);
  return parseYaml(`${file} (data.mesh)`, value);
}

/** istiod names Envoy's metadata and rules after a provider (extauthz.go, validateProviderName). */
const NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** Kinds that are not authorizers. */
const OTHER_KINDS = [
  ...["zipkin", "lightstep", "datadog", "stackdriver", "opencensus", "skywalking", "opentelemetry"],
  ...["prometheus", "envoyFileAccessLog", "envoyHttpAls", "envoyTcpAls", "envoyOtelAls", "sds"],
];

function readProvider(entry: Fields): ReadProvider[] {
  const own = new Report();
  const fields = entry.reportingTo(own);
  const name = fields.string("name");
  if (name === undefined) return [];
  if (!NAME.test(name.value)) {
    const allowed = "lower-case letters, digits and -, at most 63 characters";
    own.error(name.at, `the extension provider's name ${quote(name.value)} cannot be used: use ${allowed}`);
  }
  const http = fields.object("envoyExtAuthzHttp");
  const grpc = fields.object("envoyExtAuthzGrpc");
  const other = OTHER_KINDS.find((kind) => fields.has(kind));
  fields.finish();
  const check = http ?? grpc;
  if (http && grpc)
    own.error(grpc.at, "envoyExtAuthzHttp and envoyExtAuthzGrpc exclude each other: keep one");
  if (check === undefined && !own.hasErrors) {
    const what =
      other === undefined ? "names no authorizer" : `is one of ${other}, which is not an authorizer`;
    own.error(
      name.at,
      `the extension provider ${quote(name.value)} ${what}: a CUSTOM policy needs envoyExtAuthzHttp or envoyExtAuthzGrpc`,
    );
  }
  const provider = check && readCheck(name.value, check, check === http, own);
  return [{ name, ...(provider && !own.hasErrors && { provider }), faults: own.diagnostics }];
}

/** istiod's default for a provider without a timeout (extauthz.go, timeoutOrDefault). */
const DEFAULT_TIMEOUT_MS = 600_000;

function readCheck(
  name: string,
  fields: Fields,
  isHttp: boolean,
  report: Report,
): ExtensionProvider | undefined {
  const host = readService(fields, report);
  const port = readInteger(fields, "port", 1, 65_535, report);
  if (!fields.has("port")) fields.miss(`${fields.path}.port is missing: the port of the authorizer`);
  const statusOnError = readStatus(fields, report);
  const body = readBody(fields, report);
  const common = {
    name,
    timeoutMs: readTimeout(fields, report) ?? DEFAULT_TIMEOUT_MS,
    failOpen: fields.boolean("failOpen") ?? false,
    clearRouteCache: fields.boolean("clearRouteCache") ?? false,
    ...(statusOnError !== undefined && { statusOnError }),
    ...(body && { body }),
  };
  const http = isHttp ? readHttpCheck(fields, report) : undefined;
  fields.finish();
  if (host === undefined || port === undefined) return undefined;
  return { ...common, host, port, ...(http && { http }) };
}

/**
 * `[NAMESPACE/]HOST`. In a mesh, the namespace distinguishes services with the same host; for an Envoy it has no
 * meaning.
 */
function readService(fields: Fields, report: Report): string | undefined {
  const service = fields.string("service");
  if (service === undefined) {
    if (!fields.has("service")) fields.miss(`${fields.path}.service is missing: the host of the authorizer`);
    return undefined;
  }
  const [, namespace, host = ""] = /^(?:([^/]*)\/)?(.*)$/s.exec(service.value) ?? [];
  const isNamespace = namespace === undefined || NAME.test(namespace);
  if (isNamespace && (isAddress(host) || (host.length <= 255 && HOST.test(host)))) return host;
  report.error(
    service.at,
    `${quote(service.value)} is not a service: write HOST or NAMESPACE/HOST, such as authz.example.com, without a scheme and a port`,
  );
  return undefined;
}

const LABEL = "[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?";
const HOST = new RegExp(`^${LABEL}(\\.${LABEL})*\\.?$`);

/** google.protobuf.Duration in JSON. */
function readTimeout(fields: Fields, report: Report): number | undefined {
  const timeout = fields.string("timeout");
  if (timeout === undefined) return undefined;
  const [, seconds] = /^(\d{1,6}(?:\.\d{1,9})?)s$/.exec(timeout.value) ?? [];
  // Envoy refuses less than a millisecond; no time at all would be no limit.
  if (seconds !== undefined && Number(seconds) >= 0.001) return Math.round(Number(seconds) * 1000);
  report.error(timeout.at, `${quote(timeout.value)} is not a timeout: write seconds, such as 0.5s`);
  return undefined;
}

/** envoy.type.v3.StatusCode; 0 is not one. */
const STATUSES = new Set([
  ...[100, 200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 307, 308],
  ...[400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 421],
  ...[422, 423, 424, 426, 428, 429, 431, 500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511],
]);

function readStatus(fields: Fields, report: Report): number | undefined {
  const status = fields.string("statusOnError");
  if (status === undefined || status.value === "") return undefined;
  if (/^[1-5]\d\d$/.test(status.value) && STATUSES.has(Number(status.value))) return Number(status.value);
  report.error(status.at, `${quote(status.value)} is not a status that Envoy knows: write one such as "503"`);
  return undefined;
}

function readBody(fields: Fields, report: Report): ExtensionProvider["body"] {
  const body = fields.object("includeRequestBodyInCheck");
  if (body === undefined) return undefined;
  const maxRequestBytes = readInteger(body, "maxRequestBytes", 1, 0xffff_ffff, report);
  // Envoy refuses 0.
  if (!body.has("maxRequestBytes")) {
    body.miss(
      `${body.path}.maxRequestBytes is missing: how many bytes of a body Envoy holds for the authorizer`,
    );
  }
  const rest = {
    allowPartialMessage: body.boolean("allowPartialMessage") ?? false,
    packAsBytes: body.boolean("packAsBytes") ?? false,
  };
  body.finish();
  return maxRequestBytes === undefined ? undefined : { maxRequestBytes, ...rest };
}

/** A number, or its digits as a string: protobuf's JSON has both. */
function readInteger(
  fields: Fields,
  name: string,
  minimum: number,
  maximum: number,
  report: Report,
): number | undefined {
  const digits = fields.digits(name);
  if (digits === undefined) return undefined;
  const value = Number(digits.value);
  if (value >= minimum && value <= maximum) return value;
  report.error(digits.at, `${fields.path}.${name} must be a number from ${minimum} to ${maximum}`);
  return undefined;
}

function readHttpCheck(fields: Fields, report: Report): HttpCheck {
  const headers = (name: string) => readHeaders(fields, name, report);
  const pathPrefix = fields.string("pathPrefix");
  if (pathPrefix && pathPrefix.value !== "" && !/^\/[\x21-\x7e]*$/.test(pathPrefix.value)) {
    report.error(
      pathPrefix.at,
      `${quote(pathPrefix.value)} is not a prefix of a path: write one such as /check`,
    );
  }
  // The field that includeRequestHeadersInCheck replaced; istiod uses it if the new one is empty.
  const former = headers("includeHeadersInCheck");
  const included = headers("includeRequestHeadersInCheck");
  return {
    ...(pathPrefix && pathPrefix.value !== "" && { pathPrefix: pathPrefix.value }),
    includeRequestHeaders: included.length > 0 ? included : former,
    includeAdditionalHeaders: readAdditionalHeaders(fields, report),
    toUpstreamOnAllow: headers("headersToUpstreamOnAllow"),
    toDownstreamOnDeny: headers("headersToDownstreamOnDeny"),
    toDownstreamOnAllow: headers("headersToDownstreamOnAllow"),
  };
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Names of headers, `x-*` and `*-x`. */
function readHeaders(fields: Fields, name: string, report: Report): string[] {
  const headers = fields.strings(name);
  for (const { value, at: place } of headers) {
    if (value === "*") {
      report.error(
        place,
        `Istio takes no lone "*" in ${name}: name the headers, or write a prefix such as x-*`,
      );
    } else if (!TOKEN.test(value)) {
      report.error(place, `${quote(value)} is not a header's name: write one such as x-user, x-* or *-id`);
    }
  }
  return headers.map(({ value }) => value);
}

function readAdditionalHeaders(fields: Fields, report: Report): [string, string][] {
  const name = "includeAdditionalHeadersInCheck";
  const headers = [...fields.stringMap(name)];
  for (const [header, { value, at: place }] of headers) {
    if (!TOKEN.test(header)) report.error(place, `${quote(header)} is not a header's name`);
    if (/[^\t\x20-\x7e]/.test(value)) {
      report.error(
        place,
        `the value of ${quote(header)} must be printable ASCII: no header has such a value`,
      );
    } else if (value.replaceAll("%%", "").includes("%")) {
      report.error(
        place,
        `Envoy reads % in the value of ${quote(header)} as a command: write %% for a percent sign`,
      );
    }
  }
  // Sorted by name, as in istiod.
  return headers
    .map(([header, { value }]): [string, string] => [header, value])
    .sort(([a], [b]) => (a < b ? -1 : 1));
}
