/** Resources of Kubernetes as a user applies them. */
import type { Message } from "./bootstrap.ts";
import { type Reasons, toYaml } from "./yaml.ts";

/** What `printResources` needs besides the resources. */
export interface Printed {
  /** Of the tool. */
  version: string;
  /** The output's name. */
  output: string;
  /** Comments, by the names of members. */
  reasons: Reasons;
  /** Further lines of the heading. */
  notes?: readonly string[];
}

/** The resources as YAML, ready for `kubectl apply -f -`. */
export function printResources(
  resources: readonly Message[],
  { version, output, reasons, notes = [] }: Printed,
): string {
  const heading = `Written by jwtgate ${version} (compile --output ${output}).\nApply it: kubectl apply -f THIS_FILE`;
  return toYaml(resources, [heading, ...notes].join("\n"), { reasons });
}
