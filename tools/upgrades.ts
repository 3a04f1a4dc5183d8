/**
 * The protocols that a connection may change to (RFC 9110, 7.8): those that istiod's connection manager lets through
 * (pilot/pkg/networking/core/listener_builder.go, buildHTTPConnectionManager), in lower case. CONNECT is none of them.
 */
export const UPGRADES: readonly string[] = ["websocket"];
