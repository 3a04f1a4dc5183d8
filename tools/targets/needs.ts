/** What a configuration needs of an Envoy that is there already, and that `--output envoy` would have written. */
import { DIRECT_REMOTE_ADDRESS, type ReviewedWorkload } from "../compile.ts";
import type { Report } from "../istio/report.ts";

/** Warns of the clusters that keys are fetched through, and of the filter state with the direct peer's address. */
export function warnOfNeeds(
  { providers, positions, needsDirectPeer }: ReviewedWorkload,
  report: Report,
): void {
  for (const { name, remoteJwks } of providers) {
    const at = positions[name];
    if (remoteJwks === undefined || at === undefined) continue;
    const uri = remoteJwks.uri ?? remoteJwks.discovery?.uri;
    const message = `the keys are fetched from ${uri} through the Envoy cluster "${remoteJwks.cluster}": your Envoy must have it (--output envoy writes it)`;
    report.warning(at, message);
  }
  if (needsDirectPeer === undefined) return;
  const message = `this needs the filter state ${DIRECT_REMOTE_ADDRESS} to hold the direct peer's address: --output envoy arranges that`;
  report.warning(needsDirectPeer, message);
}
