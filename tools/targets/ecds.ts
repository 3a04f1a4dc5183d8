/** The filter for Envoy's extension config discovery, in a file that is replaced while Envoy serves: docs/ecds.md. */
import { STANDALONE } from "../compile.ts";
import { printEcds, renderEcds } from "../render/ecds.ts";
import { VERSION } from "../version.ts";
import { MODULE_OPTION, type ModuleOptions, moduleFile } from "./module.ts";
import { warnOfNeeds } from "./needs.ts";
import { onlyConfiguration, type Target } from "./target.ts";

export const ecds = {
  ...STANDALONE,
  noun: "a file for ECDS",
  name: "ecds",
  summary: "a file that replaces the policies of a running Envoy",
  example: `New policies for an Envoy whose bootstrap was written with --ecds jwtgate.yaml:
    $ jwtgate compile -f policies/ --output ecds -o next.yaml
    $ mv next.yaml jwtgate.yaml`,
  options: [MODULE_OPTION],
  custom: {
    note: (policy) =>
      `${policy} is not part of this file: the bootstrap of --output envoy, --ecds and --mesh-config asks its extension provider, so write the bootstrap again if the policy is new or has changed`,
  },
  review: warnOfNeeds,
  render(workloads, options, files) {
    const message = renderEcds(onlyConfiguration(workloads), moduleFile(options.module, files));
    return { text: printEcds(message, VERSION) };
  },
} as const satisfies Target<ModuleOptions>;
