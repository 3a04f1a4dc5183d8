/** The filter's configuration for a plugin of Google Cloud's Service Extensions: docs/google.md. */
import { type ReviewedWorkload, STANDALONE } from "../compile.ts";
import { asciiJson } from "../diagnostics.ts";
import type { Report } from "../istio/report.ts";
import type { Resource } from "../istio/resource.ts";
import { NotRendered, onlyConfiguration, type Target } from "./target.ts";

const NAME = "google";

/**
 * The largest configuration, in bytes. Google gives a plugin 16 MiB of memory. A test proves that this is enough for
 * the most expensive configurations of this size, a full token cache and 1,000 requests at a time.
 */
export const MAX_CONFIGURATION_BYTES = 128 * 1024;

export const google = {
  ...STANDALONE,
  noun: "a plugin of Google Cloud",
  knowsDirectPeer: false,
  name: NAME,
  summary: "for a plugin of Google Cloud",
  example: `The configuration of a plugin for a load balancer of Google Cloud:
    $ jwtgate compile -f policies/ --output ${NAME} -o jwtgate.json`,
  options: [],
  check({ mode }) {
    return mode === undefined || mode === "gateway"
      ? undefined
      : `a load balancer is at the edge: leave --mode ${mode} out`;
  },
  review(workload, report) {
    refuseFetchedKeys(workload, report);
    refuseHeaders(workload, report);
    for (const policy of workload.policies) refuseAttributes(policy, report);
  },
  render(workloads) {
    const configuration = onlyConfiguration(workloads);
    if (configuration.filterState) {
      throw new NotRendered(
        "error: --filter-state is for Envoy's access logs, and a plugin of Google Cloud cannot write to request logs: leave it out",
      );
    }
    const text = `${asciiJson(configuration, 0)}\n`;
    if (text.length > MAX_CONFIGURATION_BYTES) {
      throw new NotRendered(
        `error: the configuration has ${text.length} bytes, and with more than ${MAX_CONFIGURATION_BYTES} the filter may need more than the 16 MiB of memory that Google Cloud gives a plugin: leave policies or keys out that this load balancer does not need`,
      );
    }
    return { text };
  },
} as const satisfies Target;

/** A plugin makes no calls, and has no timer for them. */
function refuseFetchedKeys({ providers, positions }: ReviewedWorkload, report: Report): void {
  for (const { name, remoteJwks } of providers) {
    const at = positions[name];
    if (remoteJwks === undefined || at === undefined) continue;
    const uri = remoteJwks.uri ?? remoteJwks.discovery?.uri;
    report.error(
      at,
      `a plugin of Google Cloud makes no calls, so it cannot fetch keys from ${uri}: write the key set into the policy, as jwks instead of jwksUri`,
    );
  }
}

/** Headers that Google does not let a plugin change (Service Extensions, limitations of plugins). */
const PROTECTED = /^(x-(forwarded|goog|gfe|amz-).*|x-user-ip|cdn-loop)$/;

function refuseHeaders({ providers, positions }: ReviewedWorkload, report: Report): void {
  for (const {
    name,
    forwardPayloadHeader = "",
    claimToHeaders = [],
    fromHeaders = [],
    forward,
  } of providers) {
    const at = positions[name];
    if (at === undefined) continue;
    const fault = (headers: string[], advice: string) => {
      const header = headers.find((one) => PROTECTED.test(one));
      if (header !== undefined)
        report.error(at, `Google Cloud lets no plugin change the header ${header}: ${advice}`);
    };
    const written = [forwardPayloadHeader, ...claimToHeaders.map(({ headerName }) => headerName)];
    fault(written, "use another one, such as x-jwt-claim");
    if (!forward)
      fault(
        fromHeaders.map((place) => place.name),
        "the token stays in it if you write forwardOriginalToken: true",
      );
  }
}

/** What a plugin sees of a request: its headers, and therefore its tokens. */
const SEEN = /^(requestPrincipals|hosts|methods|paths|request\.headers\[.*\]|request\.auth\..*)$/s;

/**
 * Anything else has no value there, and a condition of a DENY policy that never holds would let requests
 * pass.
 */
function refuseAttributes({ kind, spec }: Resource, report: Report): void {
  if (kind !== "AuthorizationPolicy") return;
  for (const { from, to, when } of spec.rules) {
    for (const { name, at, attribute } of [...from.flat(), ...to.flat(), ...when]) {
      // The direct peer has its own error.
      if (attribute === undefined || attribute.needsDirectPeer || SEEN.test(name)) continue;
      report.error(
        at,
        `a plugin of Google Cloud sees only the headers of a request, so ${name} would go unchecked: use hosts, methods, paths, request.headers or claims, or a policy of Google Cloud (Cloud Armor, IAM) for it`,
      );
    }
  }
}
