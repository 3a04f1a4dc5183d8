/**
 * All outputs. The command, its help, its completion and its page iterate over this list, so a new output is a file in
 * this folder, a line here and a page of the documentation.
 */
import { config } from "./config.ts";
import { ecds } from "./ecds.ts";
import { envoy } from "./envoy.ts";
import { envoygateway } from "./envoygateway.ts";
import { google } from "./google.ts";
import { higress } from "./higress.ts";
import type { Target } from "./target.ts";
import { trafficextension } from "./trafficextension.ts";
import { wasmplugin } from "./wasmplugin.ts";

/** By name, in the order of help. The first is the default of `jwtgate compile`. */
export const TARGETS = byName(
  config,
  envoy,
  ecds,
  wasmplugin,
  trafficextension,
  envoygateway,
  higress,
  google,
);

/** The name of an output, as in `--output NAME`. */
export type TargetName = typeof TARGETS extends ReadonlyMap<infer Name, Target> ? Name : never;

function byName<Name extends string>(
  ...targets: readonly (Target & { name: Name })[]
): ReadonlyMap<Name, Target> {
  return new Map(targets.map((target) => [target.name, target]));
}

/** @throws {RangeError} if there is no such output */
export function targetOf(name: TargetName): Target {
  const found = TARGETS.get(name);
  if (found === undefined) throw new RangeError(`there is no output ${name}`);
  return found;
}
