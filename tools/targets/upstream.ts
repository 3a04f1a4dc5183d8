/** The service that Envoy forwards requests to: its options, the same for all outputs with an Envoy. */
import { systemCaFile, type Upstream } from "../render/bootstrap.ts";
import { parseHostHeader, parseUpstream, UPSTREAM_SCHEMES, type UpstreamAddress } from "../values.ts";
import type { Files, TargetOption } from "./target.ts";

export interface UpstreamOptions {
  upstream: UpstreamAddress;
  upstreamHost: string;
  upstreamCa: string;
  upstreamCert: string;
  upstreamKey: string;
}

const SCHEMES = Object.keys(UPSTREAM_SCHEMES);

export const UPSTREAM_OPTIONS = [
  {
    flags: "--upstream <address>",
    description: `the service: HOST:PORT, or a URL of ${SCHEMES.slice(0, -1).join(", ")} or ${SCHEMES.at(-1)}`,
    parse: parseUpstream,
  },
  {
    flags: "--upstream-host <host>",
    description: "the Host header that the service gets (default: the client's own)",
    parse: parseHostHeader,
  },
  {
    flags: "--upstream-ca <file>",
    description: "authorities of the service's certificate, PEM (default: the system's)",
  },
  { flags: "--upstream-cert <file>", description: "certificate chain that Envoy shows the service, PEM" },
  { flags: "--upstream-key <file>", description: "its private key, PEM" },
] as const satisfies readonly TargetOption[];

/** Reports contradictions between options. */
export function checkUpstream(options: Partial<UpstreamOptions>): string | undefined {
  const { upstream, upstreamCa, upstreamCert, upstreamKey } = options;
  if (upstream === undefined) return undefined;
  if ((upstreamCert === undefined) !== (upstreamKey === undefined)) {
    return "--upstream-cert and --upstream-key go together";
  }
  const needsTls = upstreamCa === undefined ? upstreamCert && "--upstream-cert" : "--upstream-ca";
  const { isTls, protocol } = UPSTREAM_SCHEMES[upstream.scheme];
  if (needsTls === undefined || isTls) return undefined;
  const address = upstreamUrl({ ...upstream, scheme: protocol === "HTTP/2" ? "h2" : "https" });
  return `${needsTls} is for a service with TLS: write --upstream ${address}`;
}

/** The service's URL, with its port. */
export function upstreamUrl({ scheme, host, port }: UpstreamAddress): string {
  return `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** The service in the form of the bootstrap, from checked options. */
export function upstreamOf(
  { upstream, ...options }: Pick<UpstreamOptions, "upstream"> & Partial<UpstreamOptions>,
  { exists, resolve }: Pick<Files, "exists" | "resolve">,
): Upstream {
  const { scheme, host, port } = upstream;
  const { upstreamHost, upstreamCa, upstreamCert, upstreamKey } = options;
  const { isTls, protocol } = UPSTREAM_SCHEMES[scheme];
  const tls = {
    // A name in a certificate, and in SNI, has no trailing dot (RFC 6066, 3).
    serverName: host.replace(/\.$/, ""),
    caFile: upstreamCa === undefined ? systemCaFile(exists) : resolve(upstreamCa),
    ...(upstreamCert !== undefined &&
      upstreamKey !== undefined && {
        client: { certificate: resolve(upstreamCert), key: resolve(upstreamKey) },
      }),
  };
  return {
    host,
    port,
    protocol,
    ...(isTls && { tls }),
    ...(upstreamHost !== undefined && { requestHost: upstreamHost }),
  };
}
