/**
 * Converts RequestAuthentications to the filter's providers, as istiod generates jwt_authn's from them (istio
 * pilot/pkg/security/authn/policy_applier.go).
 */
import type { Provider, RemoteJwks } from "../config/schema.ts";
import type { Position } from "../diagnostics.ts";
import { compareUtf8 } from "../host/bytes.ts";
import { normalizeJwks } from "../jwks/normalize.ts";
import { isLoopback, isMetadataService, portOf, requestUrl } from "../jwks/source.ts";
import { quote, type Report } from "./report.ts";
import type { JwtRule } from "./request-authentication.ts";
import type { RequestAuthenticationResource } from "./resource.ts";
import type { RuleConstraints } from "./token-constraints.ts";
import type { Located } from "./yaml.ts";

export interface ProviderOptions {
  rootNamespace: string;
  /** The Envoy cluster that serves a URL for a policy of that namespace. */
  clusterFor: (url: URL, namespace: string, at: Position) => string;
  /** The jwks_uri of discovery documents that were already read, by the document's URL. */
  discovered?: Record<string, string> | undefined;
  /** Origins that a discovered jwks_uri may have besides its issuer's. */
  jwksHosts?: string[] | undefined;
  /** Whether keys may be fetched from link-local addresses and metadata services. */
  allowMetadataService?: boolean | undefined;
  /** Whether the filter runs in a mesh, where loopback is the proxy's own pod. */
  inMesh?: boolean;
}

export interface CompiledProviders {
  /** In the order in which the filter tries them. */
  providers: Provider[];
  /** The position of each provider's rule, by the provider's name. */
  positions: Record<string, Position>;
  /** The positions of the fields that TokenPolicies set, by the provider's name. */
  constraints: Record<string, Record<string, Position>>;
}

export function compileProviders(
  resources: RequestAuthenticationResource[],
  options: ProviderOptions,
  report: Report,
): CompiledProviders {
  const rules = [...resources]
    .sort((a, b) => byPrecedence(a, b, options.rootNamespace))
    .flatMap(({ metadata, spec }) => spec.jwtRules.map((rule) => ({ rule, metadata })))
    // Equal issuers keep their order.
    .sort((a, b) => compareUtf8(a.rule.issuer?.value ?? "", b.rule.issuer?.value ?? ""));
  const positions: Record<string, Position> = {};
  const constraints: Record<string, Record<string, Position>> = {};
  const clusters = new Clusters(options.clusterFor, report);
  const providers = rules.map(({ rule, metadata: { namespace, name: policyName } }, index) => {
    const name = `origins-${index}`;
    positions[name] = rule.at;
    if (rule.constraints) constraints[name] = positionsOf(rule.constraints);
    const policy = `${namespace}/${policyName}`;
    const clusterFor = (url: URL) => clusters.of(url, namespace, rule.at);
    return { name, policy, ...compileRule(rule, { ...options, clusterFor }, report) };
  });
  return { providers, positions, constraints };
}

function positionsOf({ fields }: RuleConstraints): Record<string, Position> {
  return Object.fromEntries(Object.entries(fields).map(([name, { at }]) => [name, at]));
}

/** The clusters through which keys are fetched. */
class Clusters {
  private readonly known = new Map<string, URL>();

  constructor(
    private readonly clusterFor: ProviderOptions["clusterFor"],
    private readonly report: Report,
  ) {}

  /**
   * The cluster's name identifies the host. It leads to one port, with TLS or without, so it cannot fetch keys from
   * another.
   */
  of(url: URL, namespace: string, at: Position): string {
    const cluster = this.clusterFor(url, namespace, at);
    const first = this.known.get(cluster) ?? url;
    this.known.set(cluster, first);
    if (first.protocol !== url.protocol || portOf(first) !== portOf(url)) {
      const message = `keys of ${quote(url.origin)} and of ${quote(first.origin)} would be fetched from one of the two, because both have the Envoy cluster "${cluster}": give one of the servers another port`;
      this.report.error(at, message);
    }
    return cluster;
  }
}

/** The workload's namespace before the root's; then the older first, then by name. */
function byPrecedence(
  { metadata: a }: RequestAuthenticationResource,
  { metadata: b }: RequestAuthenticationResource,
  root: string,
): number {
  return (
    Number(a.namespace === root) - Number(b.namespace === root) ||
    a.created - b.created ||
    compareUtf8(a.name, b.name) ||
    compareUtf8(a.namespace, b.namespace)
  );
}

/** Claims that are always lists. */
const ALWAYS_SPACE_DELIMITED = ["permission", "scope"];

/** As `ProviderOptions`, for the rules of one policy. */
interface RuleOptions extends Omit<ProviderOptions, "clusterFor"> {
  clusterFor: (url: URL) => string;
}

function compileRule(rule: JwtRule, options: RuleOptions, report: Report): Omit<Provider, "name"> {
  const { issuer, audiences, outputPayloadToHeader, outputClaimToHeaders, forwardOriginalToken, presence } =
    rule;
  const delimited = new Set(
    rule.spaceDelimitedClaims.filter((claim) => !ALWAYS_SPACE_DELIMITED.includes(claim)),
  );
  return {
    ...(issuer && { issuer: issuer.value }),
    ...(audiences.length > 0 && { audiences }),
    ...compileKeys(rule, options, report),
    ...compilePlaces(rule),
    ...(forwardOriginalToken && { forward: true }),
    ...(outputPayloadToHeader && { forwardPayloadHeader: outputPayloadToHeader.toLowerCase() }),
    ...(outputClaimToHeaders.length > 0 && {
      claimToHeaders: outputClaimToHeaders.map(({ header, claim }) => ({
        headerName: header.toLowerCase(),
        claimName: claim,
      })),
    }),
    ...(delimited.size > 0 && { spaceDelimitedClaims: [...delimited].sort() }),
    ...(presence === "REQUIRED" && { presence }),
    ...rule.constraints?.values,
  };
}

/** The query parameter that tokens are taken from if a rule names no location (RFC 6750 §2.3). */
export const DEFAULT_PARAM = "access_token";

/** The locations of tokens: Envoy's defaults if the rule names none. */
function compilePlaces({ fromHeaders, fromParams, fromCookies }: JwtRule): Partial<Provider> {
  if (fromHeaders.length + fromParams.length + fromCookies.length === 0) {
    return { fromHeaders: [{ name: "authorization", valuePrefix: "Bearer " }], fromParams: [DEFAULT_PARAM] };
  }
  return {
    ...(fromHeaders.length > 0 && {
      fromHeaders: fromHeaders.map(({ name, prefix }) => ({
        name: name.toLowerCase(),
        ...(prefix && { valuePrefix: prefix }),
      })),
    }),
    ...(fromParams.length > 0 && { fromParams }),
    ...(fromCookies.length > 0 && { fromCookies }),
  };
}

function compileKeys(rule: JwtRule, options: RuleOptions, report: Report): Partial<Provider> {
  const { issuer, jwks, jwksUri, timeoutMs } = rule;
  if (jwks) return compileInlineKeys(jwks, report);
  const source = jwksUri ?? issuer;
  if (source === undefined) return {};
  if (jwksUri === undefined && /[?#]/.test(source.value)) {
    report.error(
      source.at,
      `the issuer ${quote(source.value)} has a query or a fragment, which no issuer that is discovered has (OpenID Connect Discovery 1.0 §3): write jwksUri, the URL of its keys`,
    );
    return {};
  }
  const discovery = discoveryUrl(source.value);
  const found = jwksUri ? jwksUri.value : options.discovered?.[discovery];
  const written = found ?? discovery;
  const url = requestUrl(written);
  if (url === undefined) {
    const form = "write https://HOST[:PORT]/PATH";
    report.error(source.at, `${quote(written)} is not a URL to fetch keys from: ${form}`);
    return {};
  }
  const target = new URL(url);
  const hosts = found === undefined ? (options.jwksHosts ?? []) : [];
  const secret = [written, ...hosts].find((one) => isMetadataService(new URL(one)));
  if (secret !== undefined && !options.allowMetadataService) {
    const message = `${quote(secret)} names a link-local address or a metadata service, which has no keys: correct it, or pass --allow-jwks-metadata-service`;
    report.error(source.at, message);
    return {};
  }
  if (target.username !== "" || target.password !== "") {
    report.error(source.at, `${quote(url)} has a user name or password, which is not sent: leave it out`);
    return {};
  }
  if (isLoopback(target) && options.inMesh) {
    const message = `${quote(url)} is the proxy's own pod, where its admin port answers: name the host of the key server`;
    report.warning(source.at, message);
  }
  return {
    remoteJwks: {
      ...(found === undefined ? { discovery: compileDiscovery(url, options) } : { uri: url }),
      cluster: options.clusterFor(target),
      ...(timeoutMs !== undefined && { timeoutMs }),
    },
  };
}

/** OpenID Connect Discovery 1.0, section 4: appended to the issuer without its last slash. */
export function discoveryUrl(issuer: string): string {
  return `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
}

function compileDiscovery(
  uri: string,
  { jwksHosts = [], clusterFor }: RuleOptions,
): NonNullable<RemoteJwks["discovery"]> {
  const hosts = jwksHosts.map((origin) => ({ origin, cluster: clusterFor(new URL(origin)) }));
  return { uri, ...(hosts.length > 0 && { jwksHosts: hosts }) };
}

function compileInlineKeys(jwks: Located<string>, report: Report): Partial<Provider> {
  const { keys, problems } = normalizeJwks(jwks.value);
  for (const { severity, message } of problems) report[severity](jwks.at, `jwks: ${message}`);
  return keys.length > 0 ? { localJwks: { keys } } : {};
}
