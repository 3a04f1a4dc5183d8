/** A whole bootstrap of Envoy with the filter before one upstream: docs/envoy.md. */

import { DIRECT_REMOTE_ADDRESS, WHOLE_ENVOY } from "../compile.ts";
import {
  type Address,
  PATH_NORMALIZATIONS,
  type PathNormalization,
  printBootstrap,
  renderBootstrap,
  systemCaFile,
} from "../render/bootstrap.ts";
import { renderExtAuthz } from "../render/ext-authz.ts";
import { parseHeapSize, parseListenAddress, parseYamlFile } from "../values.ts";
import { VERSION } from "../version.ts";
import { MODULE_OPTION, type ModuleOptions, moduleFile } from "./module.ts";
import { type Files, onlyWorkload, type Target, type TargetOption } from "./target.ts";
import { checkUpstream, UPSTREAM_OPTIONS, type UpstreamOptions, upstreamOf } from "./upstream.ts";

interface Options extends UpstreamOptions, ModuleOptions {
  listen: Address;
  admin: Address;
  maxHeapSize: number;
  pathNormalization: PathNormalization;
  ecds: string;
  meshConfig: string;
  tlsCert: string;
  tlsKey: string;
  tlsClientCa: string;
}

/** For the filters that ask the extension providers of CUSTOM policies. */
export const MESH_CONFIG_OPTION = {
  flags: "--mesh-config <file>",
  description: "Istio's mesh config, whose extensionProviders CUSTOM policies name",
} as const satisfies TargetOption;

export const envoy = {
  ...WHOLE_ENVOY,
  name: "envoy",
  summary: "a whole bootstrap",
  withoutMode: "gateway by default",
  example: `A gateway before a service on port 8000:
    $ jwtgate compile -f policies/ --output envoy --listen 127.0.0.1:8080 --upstream 127.0.0.1:8000 -o envoy.yaml
    $ envoy --config-path envoy.yaml
  With a CUSTOM policy, whose extension provider Istio's mesh config names:
    $ jwtgate compile -f envoy/istio/ask-an-authorizer.yaml --mesh-config envoy/mesh-config.yaml --output envoy \\
        --listen 127.0.0.1:8080 --upstream 127.0.0.1:8000`,
  options: [
    { flags: "--listen <address>", description: "IP:PORT to listen on", parse: parseListenAddress },
    ...UPSTREAM_OPTIONS,
    {
      flags: "--admin <address>",
      description: "IP:PORT of Envoy's admin interface (default: none)",
      parse: parseListenAddress,
    },
    {
      flags: "--path-normalization <how>",
      description: "as in Istio's mesh config (default: BASE)",
      choices: PATH_NORMALIZATIONS,
    },
    {
      flags: "--max-heap-size <size>",
      description: "Envoy's heap at which it refuses requests, such as 512MiB (default: 2GiB)",
      parse: parseHeapSize,
    },
    MODULE_OPTION,
    {
      flags: "--ecds <file>",
      description: "the filter reads its configuration from this file, which --output ecds writes",
      parse: parseYamlFile,
    },
    MESH_CONFIG_OPTION,
    { flags: "--tls-cert <file>", description: "listen with TLS: certificate chain, PEM" },
    { flags: "--tls-key <file>", description: "its private key, PEM" },
    {
      flags: "--tls-client-ca <file>",
      description: "clients must have a certificate of this authority (mutual TLS), PEM",
    },
  ],
  check(options) {
    const { listen, upstream, tlsCert, tlsKey, tlsClientCa } = options;
    if (!listen || !upstream) return "--output envoy needs --listen IP:PORT and --upstream HOST:PORT";
    if ((tlsCert === undefined) !== (tlsKey === undefined)) return "--tls-cert and --tls-key go together";
    if (tlsClientCa !== undefined && tlsCert === undefined) {
      return "--tls-client-ca needs --tls-cert and --tls-key: clients present certificates only in TLS";
    }
    if (options.ecds !== undefined && options.module !== undefined) {
      return "--module belongs in the file that --ecds names: write that with --output ecds --module FILE";
    }
    return checkUpstream(options);
  },
  render(workloads, options, files) {
    const { listen, upstream, admin, maxHeapSize, jwksCa } = options;
    const { mode = "gateway", pathNormalization = "BASE", ecds } = options;
    if (!listen || !upstream) throw new Error("check() refuses options without these");
    const { configuration, custom } = onlyWorkload(workloads);
    const message = renderBootstrap(configuration, {
      listen,
      upstream: upstreamOf({ ...options, upstream }, files),
      mode,
      pathNormalization,
      module: moduleFile(options.module, files),
      ...(admin && { admin }),
      ...(maxHeapSize !== undefined && { maxHeapBytes: maxHeapSize }),
      ...(ecds !== undefined && {
        ecds: { path: files.resolve(ecds), directRemoteAddress: DIRECT_REMOTE_ADDRESS },
      }),
      jwksCa: jwksCa === undefined ? systemCaFile(files.exists) : files.resolve(jwksCa),
      ...tls(options, files),
      before: renderExtAuthz(custom),
    });
    return { text: printBootstrap(message, VERSION) };
  },
} as const satisfies Target<Options>;

function tls({ tlsCert, tlsKey, tlsClientCa }: Partial<Options>, { resolve }: Files) {
  if (tlsCert === undefined || tlsKey === undefined) return {};
  return {
    tls: {
      certificate: resolve(tlsCert),
      key: resolve(tlsKey),
      ...(tlsClientCa !== undefined && { clientCa: resolve(tlsClientCa) }),
    },
  };
}
