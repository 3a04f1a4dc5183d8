/** Envoy's own filters, configured by hand as istiod would: jwtgate is compared with them. */

import type { Message } from "../../tools/render/bootstrap.ts";
import { connectionManager } from "./envoy.ts";

const type = (name: string) => `type.googleapis.com/envoy.extensions.filters.http.${name}`;

/** Replaces jwtgate by other filters. */
export function withFilters(listener: Message, filters: Message[]): Message {
  const manager = connectionManager(listener);
  const others = (manager["http_filters"] as Message[]).filter(
    ({ name }) => name === "envoy.filters.http.router",
  );
  manager["http_filters"] = [...filters, ...others];
  return listener;
}

/** jwt_authn with providers and a requirement for every request. */
export function jwtAuthn(providers: Record<string, Message>, requires: Message): Message {
  return {
    name: "envoy.filters.http.jwt_authn",
    typed_config: {
      "@type": type("jwt_authn.v3.JwtAuthentication"),
      providers,
      rules: [{ match: { prefix: "/" }, requires }],
      bypass_cors_preflight: true,
    },
  };
}

/** A provider as istiod generates it from a jwtRule; `more` adds to it. */
export function provider(issuer: string, jwks: string, more: Message = {}): Message {
  return {
    issuer,
    local_jwks: { inline_string: jwks },
    payload_in_metadata: "payload",
    normalize_payload_in_metadata: { space_delimited_claims: ["permission", "scope"] },
    ...more,
  };
}

/** rbac with one policy of one action. */
export function rbac(
  action: "ALLOW" | "DENY",
  id: string,
  principals: Message[],
  permissions: Message[],
): Message {
  return {
    name: `envoy.filters.http.rbac.${action}`,
    typed_config: {
      "@type": type("rbac.v3.RBAC"),
      rules: { action, policies: { [id]: { principals, permissions } } },
    },
  };
}

export const ANY: Message = { any: true };

/** Whether a claim matches; several names step into objects. */
export function claim(name: string | readonly string[], match: Message): Message {
  return {
    metadata: {
      filter: "envoy.filters.http.jwt_authn",
      path: ["payload", ...[name].flat()].map((key) => ({ key })),
      value: {
        or_match: {
          value_matchers: [{ string_match: match }, { list_match: { one_of: { string_match: match } } }],
        },
      },
    },
  };
}

/** Whether the authority matches, without regard to case. */
export const host = (match: Message): Message => ({
  header: { name: ":authority", string_match: { ...match, ignore_case: true } },
});

/** Istio's `*`. */
export const NON_EMPTY: Message = { safe_regex: { regex: ".+" } };

/** Istio's `requestPrincipals: ['*']`. */
export const AUTHENTICATED: Message = {
  and_ids: { ids: [claim("iss", NON_EMPTY), claim("sub", NON_EMPTY)] },
};

/** Whether the peer's certificate has the name. */
export const certificate = (match: Message): Message => ({ authenticated: { principal_name: match } });

/** An address, as `direct_remote_ip` or `remote_ip`. */
export const cidr = (address: string, bits: number): Message => ({
  address_prefix: address,
  prefix_len: bits,
});
