/**
 * Envoy's ext_authz for the extension providers that CUSTOM policies ask, as istiod generates it (istio
 * pilot/pkg/security/authz/builder/builder.go, extauthz.go): for each provider an RBAC filter, which enforces nothing
 * and records the rule that matches, followed by an ext_authz filter, which asks about the requests with such a record.
 */
import type { CompiledProvider } from "../istio/authorization.ts";
import type { ExtensionProvider, HttpCheck } from "../istio/extension-providers.ts";
import { cluster, type FiltersBefore, type Message } from "./bootstrap.ts";
import { rbacPolicies } from "./rbac.ts";

/** An extension provider that is known. */
interface AskedProvider extends Pick<CompiledProvider, "matches"> {
  provider: ExtensionProvider;
}

/**
 * The filters that ask the extension providers of a workload, in order.
 *
 * @param custom of a compilation for an Envoy that asks them itself, so that each is known
 */
export function renderExtAuthz(custom: readonly CompiledProvider[]): FiltersBefore {
  const providers = custom.map(({ matches, provider, name }): AskedProvider => {
    if (provider === undefined) throw new RangeError(`no extension provider is called ${name.value}`);
    return { matches, provider };
  });
  return {
    filters: providers.flatMap((asked) => [noteFilter(asked), extAuthzFilter(asked.provider)]),
    clusters: providers.map(({ provider }) => extAuthzCluster(provider)),
  };
}

const type = (name: string) => `type.googleapis.com/envoy.extensions.filters.http.${name}`;

const RBAC = "envoy.filters.http.rbac";

/** The beginning of RBAC's records, as istiod writes it; Envoy adds `shadow_effective_policy_id`. */
const NOTE = "istio_ext_authz_";

/**
 * The beginning of one provider's records. istiod's ends before `ns[`, so it confuses the records of the provider
 * `a-ns` with those of `a`.
 */
function noteOf({ name }: ExtensionProvider): string {
  return `istio-ext-authz-${name}-`;
}

function noteFilter({ provider, matches }: AskedProvider): Message {
  return {
    name: RBAC,
    typed_config: {
      "@type": type("rbac.v3.RBAC"),
      shadow_rules: {
        action: "DENY",
        policies: rbacPolicies(matches.deny.rules, matches, ({ id }) => `${noteOf(provider)}${id}`),
      },
      shadow_rules_stat_prefix: NOTE,
    },
  };
}

function extAuthzFilter(provider: ExtensionProvider): Message {
  const { http, timeoutMs, host, body } = provider;
  const timeout = `${timeoutMs / 1000}s`;
  return {
    name: "envoy.filters.http.ext_authz",
    typed_config: {
      "@type": type("ext_authz.v3.ExtAuthz"),
      transport_api_version: "V3",
      stat_prefix: provider.name,
      failure_mode_allow: provider.failOpen,
      ...(provider.statusOnError !== undefined && { status_on_error: { code: provider.statusOnError } }),
      ...(provider.clearRouteCache && { clear_route_cache: true }),
      ...(body && {
        with_request_body: {
          max_request_bytes: body.maxRequestBytes,
          allow_partial_message: body.allowPartialMessage,
          pack_as_bytes: body.packAsBytes,
        },
      }),
      ...(http
        ? {
            ...allowed("allowed_headers", http.includeRequestHeaders),
            http_service: httpService(provider, http),
          }
        : {
            grpc_service: {
              envoy_grpc: { cluster_name: clusterOf(provider), authority: host },
              timeout,
            },
          }),
      filter_enabled_metadata: {
        filter: RBAC,
        path: [{ key: `${NOTE}shadow_effective_policy_id` }],
        value: { string_match: { prefix: `${noteOf(provider)}ns[` } },
      },
    },
  };
}

function httpService(provider: ExtensionProvider, http: HttpCheck): Message {
  const { host, timeoutMs } = provider;
  const answer = {
    ...allowed("allowed_upstream_headers", http.toUpstreamOnAllow),
    ...allowed("allowed_client_headers", http.toDownstreamOnDeny),
    ...allowed("allowed_client_headers_on_success", http.toDownstreamOnAllow),
  };
  return {
    // Envoy requires a URI, and asks the cluster.
    server_uri: {
      uri: `http://${host.includes(":") ? `[${host}]` : host}`,
      cluster: clusterOf(provider),
      timeout: `${timeoutMs / 1000}s`,
    },
    ...(http.pathPrefix !== undefined && { path_prefix: http.pathPrefix }),
    ...(http.includeAdditionalHeaders.length > 0 && {
      authorization_request: {
        headers_to_add: http.includeAdditionalHeaders.map(([key, value]) => ({ key, value })),
      },
    }),
    ...(Object.keys(answer).length > 0 && { authorization_response: answer }),
  };
}

/** A list of header patterns; absent if it is empty, because Envoy treats an empty list differently. */
function allowed(member: string, headers: readonly string[]): Message {
  if (headers.length === 0) return {};
  const patterns = headers.map((header) => ({ ...headerPattern(header), ignore_case: true }));
  return { [member]: { patterns } };
}

function headerPattern(header: string): Message {
  if (header.startsWith("*")) return { suffix: header.slice(1) };
  return header.endsWith("*") ? { prefix: header.slice(0, -1) } : { exact: header };
}

function extAuthzCluster(provider: ExtensionProvider): Message {
  const { host, port, http } = provider;
  return cluster({
    name: clusterOf(provider),
    address: { host, port },
    protocol: http ? "HTTP/1.1" : "HTTP/2",
  });
}

function clusterOf({ name, host, port }: ExtensionProvider): string {
  return `ext_authz|${name}|${port}|${host}`;
}
