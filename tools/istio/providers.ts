/**
 * RequestAuthentications → the filter's providers, as istiod makes jwt_authn's of them (istio
 * pilot/pkg/security/authn/policy_applier.go).
 */
import type { Provider, RemoteJwks } from "../config/schema.ts";
import type { Position } from "../diagnostics.ts";
import { normalizeJwks } from "../jwks/normalize.ts";
import { quote, type Report } from "./report.ts";
import type { JwtRule } from "./request-authentication.ts";
import type { RequestAuthenticationResource } from "./resource.ts";
import type { Located } from "./yaml.ts";

export interface ProviderOptions {
  rootNamespace: string;
  /** The Envoy cluster that serves a URL; none where the target has none for it. */
  clusterFor?: ((url: string) => string | undefined) | undefined;
}

export interface CompiledProviders {
  /** In the order in which the filter tries them. */
  providers: Provider[];
  /** Of each provider's rule, by the provider's name. */
  positions: Record<string, Position>;
}

export function compileProviders(
  resources: RequestAuthenticationResource[],
  options: ProviderOptions,
  report: Report,
): CompiledProviders {
  const rules = [...resources]
    .sort((a, b) => byPrecedence(a, b, options.rootNamespace))
    .flatMap(({ metadata, spec }) =>
      spec.jwtRules.map((rule) => ({ rule, policy: `${metadata.namespace}/${metadata.name}` })),
    )
    // Equal issuers keep their order.
    .sort((a, b) => byBytes(a.rule.issuer?.value ?? "", b.rule.issuer?.value ?? ""));
  const positions: Record<string, Position> = {};
  const providers = rules.map(({ rule, policy }, index) => {
    const name = `origins-${index}`;
    positions[name] = rule.at;
    return { name, policy, ...compileRule(rule, options, report) };
  });
  return { providers, positions };
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
    byBytes(a.name, b.name) ||
    byBytes(a.namespace, b.namespace)
  );
}

/** Go compares strings by their UTF-8 bytes. */
function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Claims that are lists whether the rule says so or not. */
const ALWAYS_SPACE_DELIMITED = ["permission", "scope"];

function compileRule(rule: JwtRule, options: ProviderOptions, report: Report): Omit<Provider, "name"> {
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
  };
}

/** Where tokens are looked for: Envoy's defaults where the rule names no place. */
function compilePlaces({ fromHeaders, fromParams, fromCookies }: JwtRule): Partial<Provider> {
  if (fromHeaders.length + fromParams.length + fromCookies.length === 0) {
    return { fromHeaders: [{ name: "authorization", valuePrefix: "Bearer " }], fromParams: ["access_token"] };
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

function compileKeys(rule: JwtRule, options: ProviderOptions, report: Report): Partial<Provider> {
  const { issuer, jwks, jwksUri, timeoutMs } = rule;
  if (jwks) return compileInlineKeys(jwks, report);
  const source = jwksUri ?? issuer;
  if (source === undefined) return {};
  const url = jwksUri ? jwksUri.value : `${source.value.replace(/\/$/, "")}/.well-known/openid-configuration`;
  const cluster = options.clusterFor?.(url);
  if (cluster === undefined) {
    const what = jwksUri
      ? `the keys at ${quote(url)}`
      : `the keys of ${quote(source.value)}, discovered at ${quote(url)},`;
    report.error(
      source.at,
      `${what} would have to be fetched, which this output cannot: put the key set into jwks`,
    );
    return {};
  }
  const remoteJwks: RemoteJwks = {
    ...(jwksUri ? { uri: url } : { discovery: { uri: url } }),
    cluster,
    ...(timeoutMs !== undefined && { timeoutMs }),
  };
  return { remoteJwks };
}

function compileInlineKeys(jwks: Located<string>, report: Report): Partial<Provider> {
  const { keys, problems } = normalizeJwks(jwks.value);
  for (const { severity, message } of problems) report[severity](jwks.at, `jwks: ${message}`);
  return keys.length > 0 ? { localJwks: { keys } } : {};
}
