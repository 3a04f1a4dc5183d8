/**
 * The protocols that a connection may change to (RFC 9110, 7.8): those that istiod's connection manager allows
 * (pilot/pkg/networking/core/listener_builder.go, buildHTTPConnectionManager), in lower case. CONNECT is not one of
 * them.
 */
export const UPGRADES: readonly string[] = ["websocket"];
