/** The filter's configuration alone, as JSON, for an Envoy that is there already: docs/configuration.md. */
import { asciiJson } from "../diagnostics.ts";
import { COMPILE_TARGETS } from "./compile.ts";
import { onlyConfiguration, type Target } from "./target.ts";

export const config = {
  ...COMPILE_TARGETS.config,
  name: "config",
  summary: "the filter's JSON",
  example: `Check policies, and see the filter's configuration:
    $ jwtgate compile -f policies/`,
  options: [],
  render: (workloads) => ({ text: `${asciiJson(onlyConfiguration(workloads), 2)}\n` }),
} as const satisfies Target;
