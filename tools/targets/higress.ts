/** Higress's resources that put the filter before all that its gateway serves: docs/higress.md. */
import { STANDALONE } from "../compile.ts";
import { meshCluster } from "../jwks/source.ts";
import { higressReasons, renderHigressPlugin } from "../render/higress.ts";
import { renderKeyServers } from "../render/key-servers.ts";
import { printResources } from "../render/resources.ts";
import { parseName } from "../values.ts";
import { VERSION } from "../version.ts";
import { checkImage, EXAMPLE_IMAGE, IMAGE_OPTIONS, type ImageOptions } from "./image.ts";
import { onlyConfiguration, type Target } from "./target.ts";

interface Options extends ImageOptions {
  higressNamespace: string;
}

const NAME = "higress";

export const higress = {
  ...STANDALONE,
  noun: "a WasmPlugin of Higress",
  knowsDirectPeer: false,
  inMesh: true,
  clusterFor: meshCluster,
  name: NAME,
  summary: "Higress's WasmPlugin",
  example: `The filter for everything that a Higress gateway serves:
    $ jwtgate compile -f policies/ --output ${NAME} --image ${EXAMPLE_IMAGE} | kubectl apply -f -`,
  options: [
    ...IMAGE_OPTIONS,
    {
      flags: "--higress-namespace <name>",
      description: "where Higress is installed (default: higress-system)",
      parse: parseName,
    },
  ],
  check(options) {
    const { mode } = options;
    if (mode !== undefined && mode !== "gateway") return `Higress runs at the edge: leave --mode ${mode} out`;
    return checkImage(NAME, options);
  },
  review({ providers, positions }, report) {
    for (const { name, remoteJwks } of providers) {
      const at = positions[name];
      if (remoteJwks === undefined || at === undefined) continue;
      const uri = remoteJwks.uri ?? remoteJwks.discovery?.uri;
      report.warning(
        at,
        `the keys are fetched from ${uri} through the cluster "${remoteJwks.cluster}", which a gateway of Higress has only if Istio's API is enabled and onlyPushRouteCluster is false (docs/higress.md)`,
      );
    }
  },
  render(workloads, options) {
    const { image, sha256, higressNamespace: namespace = "higress-system", jwksCa } = options;
    if (image === undefined) throw new Error("check() refuses options without this");
    const configuration = onlyConfiguration(workloads);
    const resources = [
      renderHigressPlugin(configuration, { image, namespace, ...(sha256 !== undefined && { sha256 }) }),
      ...renderKeyServers(configuration, { namespace, ...(jwksCa !== undefined && { caFile: jwksCa }) }),
    ];
    const reasons = higressReasons({ isShadow: configuration.shadow === true });
    return { text: printResources(resources, { version: VERSION, output: NAME, reasons }) };
  },
} as const satisfies Target<Options>;
