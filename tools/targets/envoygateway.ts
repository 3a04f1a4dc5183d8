/** Envoy Gateway's resources that put the filter before the routes of a Gateway: docs/envoygateway.md. */
import type { ReviewedWorkload } from "../compile.ts";
import type { Report } from "../istio/report.ts";
import type { Resource } from "../istio/resource.ts";
import { bootstrapCluster } from "../jwks/source.ts";
import {
  gatewayCluster,
  gatewayReasons,
  gatewaysOf,
  keyServerFault,
  renderEnvoyExtensionPolicy,
  renderGatewayKeyServers,
} from "../render/envoygateway.ts";
import { printResources } from "../render/resources.ts";
import { parseName } from "../values.ts";
import { VERSION } from "../version.ts";
import { checkImage, EXAMPLE_IMAGE, IMAGE_OPTIONS, type ImageOptions } from "./image.ts";
import { NotRendered, type Target } from "./target.ts";

interface Options extends ImageOptions {
  jwksCaConfigmap: string;
}

const NAME = "envoygateway";

export const envoygateway = {
  name: NAME,
  noun: "an EnvoyExtensionPolicy",
  knowsDirectPeer: false,
  // The loopback has its own error.
  inMesh: false,
  clusterFor(url, namespace, selection) {
    const gateways = selection && gatewaysOf(selection);
    return gateways ? gatewayCluster(url, namespace, gateways) : bootstrapCluster(url);
  },
  grouping: "selections",
  summary: "Envoy Gateway's resources",
  example: `The filter for a Gateway of Envoy Gateway:
    $ jwtgate compile -f policies/ --output ${NAME} --namespace foo --gateway edge \\
        --image ${EXAMPLE_IMAGE} | kubectl apply -f -`,
  options: [
    ...IMAGE_OPTIONS,
    {
      flags: "--jwks-ca-configmap <name>",
      description: "a ConfigMap with authorities of the servers of keys as ca.crt (default: the system's)",
      parse: parseName,
    },
  ],
  check(options) {
    const { image, mode, jwksCa, jwksCaConfigmap } = options;
    if (mode !== undefined && mode !== "gateway") {
      return `Envoy Gateway runs at the edge: leave --mode ${mode} out`;
    }
    if (image?.startsWith("file://")) {
      return "Envoy Gateway fetches modules, and reads no file of the proxy: write --image oci://… or https://…";
    }
    if (jwksCa !== undefined && jwksCaConfigmap === undefined) {
      return "Envoy Gateway takes authorities from a ConfigMap: write --jwks-ca-configmap NAME (kubectl create configmap NAME --from-file ca.crt=FILE)";
    }
    return checkImage(NAME, options);
  },
  review(workload, report) {
    refuseKeyServers(workload, report);
    for (const policy of workload.policies) refusePorts(policy, report);
  },
  render(workloads, options) {
    const { image, sha256, jwksCaConfigmap } = options;
    if (image === undefined) throw new Error("check() refuses options without this");
    const resources = workloads.flatMap(({ selection, configuration }) => {
      const gateways = selection && gatewaysOf(selection);
      if (gateways === undefined) {
        throw new NotRendered(
          `error: --output ${NAME} needs --gateway NAME (and --namespace): an EnvoyExtensionPolicy is for Gateways, and these policies are for workloads; without it, each of them needs targetRefs that name a Gateway`,
        );
      }
      return [
        renderEnvoyExtensionPolicy(gateways, configuration, { image, ...(sha256 && { sha256 }) }),
        ...renderGatewayKeyServers(configuration, gateways, {
          ...(jwksCaConfigmap !== undefined && { caConfigMap: jwksCaConfigmap }),
        }),
      ];
    });
    const isShadow = workloads.some(({ configuration }) => configuration.shadow === true);
    const reasons = gatewayReasons({ isShadow });
    return { text: printResources(resources, { version: VERSION, output: NAME, reasons }) };
  },
} as const satisfies Target<Options>;

function refuseKeyServers({ selection, providers, positions }: ReviewedWorkload, report: Report): void {
  for (const { name, policy, remoteJwks } of providers) {
    const at = positions[name];
    if (remoteJwks === undefined || at === undefined) continue;
    const namespace = policy?.split("/")[0] ?? selection?.namespace ?? "";
    const { uri = remoteJwks.discovery?.uri, discovery } = remoteJwks;
    for (const server of [uri, ...(discovery?.jwksHosts ?? []).map(({ origin }) => origin)]) {
      const fault = server && keyServerFault(new URL(server), namespace);
      if (fault) report.error(at, `${server} cannot be fetched from: ${fault}`);
    }
  }
}

/** Ports below this one are privileged; Envoy Gateway makes Envoy listen at others instead. */
const FIRST_FREE_PORT = 1024;
const SHIFT = 10_000;

/**
 * A policy on the port of a Gateway would never match, because the filter sees the port that Envoy listens at
 * (internal/gatewayapi/listener.go, servicePortToContainerPort).
 */
function refusePorts({ kind, spec }: Resource, report: Report): void {
  if (kind !== "AuthorizationPolicy") return;
  for (const { to, when } of spec.rules) {
    for (const { name, values, notValues } of [...to.flat(), ...when]) {
      if (name !== "ports" && name !== "destination.port") continue;
      for (const list of [values, notValues]) {
        const listed = new Set(list.map(({ value }) => Number(value)));
        for (const { value, at } of list) {
          const seen = Number(value) + SHIFT;
          if (Number(value) >= FIRST_FREE_PORT || listed.has(seen)) continue;
          report.error(
            at,
            `the filter sees the port that Envoy listens at, and for port ${value} of a Gateway that is ${seen}, unless useListenerPortAsContainerPort is set: write both, "${value}" and "${seen}"`,
          );
        }
      }
    }
  }
}
