/** What a configuration needs from an existing Envoy, and what `--output envoy` would have written. */
import { DIRECT_REMOTE_ADDRESS, fetchedKeys, type ReviewedWorkload } from "../compile.ts";
import type { Report } from "../istio/report.ts";

/** Warns of the clusters that keys are fetched through, and of the filter state with the direct peer's address. */
export function warnOfNeeds(workload: ReviewedWorkload, report: Report): void {
  for (const { at, uri, cluster } of fetchedKeys(workload)) {
    const message = `the keys are fetched from ${uri} through the Envoy cluster "${cluster}": your Envoy must have it (--output envoy writes it)`;
    report.warning(at, message);
  }
  const { needsDirectPeer } = workload;
  if (needsDirectPeer === undefined) return;
  const message = `this needs the filter state ${DIRECT_REMOTE_ADDRESS} to hold the direct peer's address: --output envoy sets it`;
  report.warning(needsDirectPeer, message);
}
