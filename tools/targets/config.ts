/** The filter's configuration alone, as JSON, for an Envoy that is there already: docs/configuration.md. */
import { DIRECT_REMOTE_ADDRESS, type ReviewedWorkload, STANDALONE } from "../compile.ts";
import { asciiJson } from "../diagnostics.ts";
import type { Report } from "../istio/report.ts";
import { onlyConfiguration, type Target } from "./target.ts";

export const config = {
  ...STANDALONE,
  name: "config",
  summary: "the filter's JSON",
  example: `Check policies, and see the filter's configuration:
    $ jwtgate compile -f policies/`,
  options: [],
  review(workload, report) {
    warnOfClusters(workload, report);
    if (workload.needsDirectPeer === undefined) return;
    const message = `this needs the filter state ${DIRECT_REMOTE_ADDRESS} to hold the direct peer's address: --output envoy arranges that`;
    report.warning(workload.needsDirectPeer, message);
  },
  render: (workloads) => ({ text: `${asciiJson(onlyConfiguration(workloads), 2)}\n` }),
} as const satisfies Target;

/** A bare configuration brings no clusters along. */
function warnOfClusters({ providers, positions }: ReviewedWorkload, report: Report): void {
  for (const { name, remoteJwks } of providers) {
    const at = positions[name];
    if (remoteJwks === undefined || at === undefined) continue;
    const uri = remoteJwks.uri ?? remoteJwks.discovery?.uri;
    const message = `the keys are fetched from ${uri} through the Envoy cluster "${remoteJwks.cluster}": your Envoy must have it (--output envoy writes it)`;
    report.warning(at, message);
  }
}
