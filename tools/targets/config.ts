/** Only the filter's configuration, as JSON, for an existing Envoy: docs/configuration.md. */
import { STANDALONE } from "../compile.ts";
import { asciiJson } from "../diagnostics.ts";
import { warnOfNeeds } from "./needs.ts";
import { onlyConfiguration, type Target } from "./target.ts";

export const config = {
  ...STANDALONE,
  name: "config",
  summary: "the filter's JSON",
  example: `Check policies, and see the filter's configuration:
    $ jwtgate compile -f policies/`,
  options: [],
  custom: {
    note: (policy) =>
      `${policy} is not part of the filter's configuration: put Envoy's ext_authz before the filter, as --output envoy with --mesh-config does`,
  },
  review: warnOfNeeds,
  render: (workloads) => ({ text: `${asciiJson(onlyConfiguration(workloads), 2)}\n` }),
} as const satisfies Target;
