/**
 * A file for Envoy's extension config discovery (ECDS): the answer of a control plane, a DiscoveryResponse with the
 * filter as its one resource. Envoy reads it through `path_config_source`.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import type { Configuration } from "../config/schema.ts";
import { hexEncode, utf8Encode } from "../host/bytes.ts";
import { FILTER_REASONS, jwtgateFilter, type Message } from "./bootstrap.ts";
import { toYaml } from "./yaml.ts";

/** An envoy.service.discovery.v3.DiscoveryResponse. @param module as Envoy will see it */
export function renderEcds(configuration: Configuration, module: string): Message {
  const filter = jwtgateFilter(configuration, module);
  const digest = hexEncode(sha256(utf8Encode(JSON.stringify(filter))));
  return {
    version_info: digest.slice(0, 16),
    resources: [{ "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig", ...filter }],
  };
}

/** As YAML, with the reasons in comments. @param version of the tool */
export function printEcds(message: Message, version: string): string {
  const heading = `The filter's configuration for Envoy's path_config_source, written by jwtgate ${version} (compile --output ecds).\nReplace the old file with it: mv THIS_FILE FILE.yaml. Envoy does not notice a file that is changed in place.`;
  const version_info = "A digest of what follows. Envoy shows the version that is in force.";
  return toYaml([message], heading, { reasons: { version_info, ...FILTER_REASONS } });
}
