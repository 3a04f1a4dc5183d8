/** What the outputs for a mesh share: Istio's resources of one kind, and those for its key servers. */
import type { CompiledWorkload, CompileTarget } from "../compile.ts";
import type { Configuration } from "../config/schema.ts";
import { isAboutPeer } from "../istio/attributes.ts";
import { quote } from "../istio/report.ts";
import type { Resource } from "../istio/resource.ts";
import type { Selection } from "../istio/selection.ts";
import { meshCluster } from "../jwks/source.ts";
import type { Message } from "../render/bootstrap.ts";
import { renderKeyServers } from "../render/key-servers.ts";
import { printResources } from "../render/resources.ts";
import { isForGateway, notesOn, reasonsFor, type WasmPluginOptions } from "../render/wasmplugin.ts";
import { VERSION } from "../version.ts";
import { checkImage, EXAMPLE_IMAGE, IMAGE_OPTIONS, type ImageOptions } from "./image.ts";
import { NotRendered, type Target } from "./target.ts";

/** How the outputs for a mesh differ. */
export interface Kind<Name extends string> extends Pick<CompileTarget, "noun"> {
  name: Name;
  summary: string;
  /** The purpose of the first example in the command's help. */
  purpose: string;
  /** One resource for the policies of a selection. */
  resource(selection: Selection, configuration: Configuration, options: WasmPluginOptions): Message;
}

/** An output that writes Istio's resources of one kind. */
export function istioExtension<Name extends string>({ name, purpose, resource, ...kind }: Kind<Name>) {
  return {
    ...kind,
    knowsDirectPeer: false,
    inMesh: true,
    clusterFor: meshCluster,
    usesMeshResources: true,
    grouping: "selections",
    custom: {
      note: (policy) =>
        `${policy} stays in the cluster: Istio asks its extension provider before it runs the plugin, which has nothing of this policy`,
    },
    name,
    withoutMode: "required",
    hasWaypoints: true,
    example: `${purpose}:
    $ jwtgate compile -f policies/ --output ${name} --mode sidecar --namespace foo --labels app=httpbin \\
        --image ${EXAMPLE_IMAGE} | kubectl apply -f -`,
    options: IMAGE_OPTIONS,
    check: (options) => checkImage(name, options),
    review({ selection, policies: [first] }, report) {
      if (first) report.warning(first.at, uncoveredTcp(first, selection));
    },
    render(workloads, options) {
      const { waypoint, sha256, image } = options;
      const mode = waypoint ? "waypoint" : options.mode;
      if (image === undefined) throw new Error("check() refuses options without this");
      const resources = workloads.flatMap(({ selection, configuration, coveredClusters }) => {
        if (selection === undefined) return [];
        const served = selection.targetRefs?.find(({ kind }) => kind !== "Gateway");
        if (served && !waypoint) {
          throw new NotRendered(
            `error: the ${served.kind} ${served.name} is served by a waypoint, which identifies peers differently from other proxies: compile its policies with --mode waypoint`,
          );
        }
        if (mode === undefined && configuration.authorization?.predicates.some(isAboutPeer)) {
          throw new NotRendered(
            `error: --output ${name} needs --mode gateway, sidecar or waypoint: these policies are about the peer, which a waypoint identifies by filter state and other proxies by the certificate`,
          );
        }
        if (mode === undefined && !isForGateway(selection)) {
          throw new NotRendered(
            `error: --output ${name} needs --mode gateway, --mode sidecar or --mode waypoint: without it, Istio runs a plugin on a sidecar's outbound calls too, and a gateway counts as the client side; it is optional only if every policy's targetRefs name a Gateway`,
          );
        }
        return [
          resource(selection, configuration, { image, ...(sha256 && { sha256 }), ...(mode && { mode }) }),
          ...renderKeyServers(configuration, {
            namespace: selection.namespace,
            coveredClusters,
            ...(options.jwksCa !== undefined && { caFile: options.jwksCa }),
          }),
        ];
      });
      const isShadow = workloads.some(({ configuration }) => configuration.shadow === true);
      const reasons = reasonsFor({ isShadow });
      const notes = notesOn(workloads.flatMap(leftToIstio));
      return { text: printResources(resources, { version: VERSION, output: name, reasons, notes }) };
    },
  } as const satisfies Target<ImageOptions> & { name: Name };
}

/** CUSTOM policies of a workload, each with the extension provider that it asks. */
function leftToIstio({ custom }: CompiledWorkload): string[] {
  return custom.flatMap(({ name, policies }) => policies.map((policy) => `${policy} (${quote(name.value)})`));
}

/** An HTTP filter does not see TCP: policies for other TCP must stay with Istio. */
function uncoveredTcp(policy: Resource, selection: Selection | undefined): string {
  const { namespace, matchLabels, targetRefs } = selection ?? { namespace: policy.metadata.namespace };
  const spec = {
    ...(matchLabels && { selector: { matchLabels } }),
    ...(targetRefs && { targetRefs }),
    action: "DENY",
    rules: [{ to: [{ operation: { ports: ["YOUR TCP PORTS"] } }] }],
  };
  const resource = {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name: "tcp-without-jwtgate", namespace },
    spec,
  };
  return `TCP ports are not covered by an HTTP filter: keep a policy for them in the cluster, such as ${JSON.stringify(resource)}`;
}
