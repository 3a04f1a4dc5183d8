/**
 * Every output that there is. The command, its help, its completion and its page go over this list, so that a new output is
 * a file beside this one, a line here, what the compiler has to know of it in `compile.ts`, and a page of the documentation.
 */
import type { TargetName } from "./compile.ts";
import { config } from "./config.ts";
import { envoy } from "./envoy.ts";
import type { Target } from "./target.ts";
import { wasmplugin } from "./wasmplugin.ts";

/** By name, in the order of help. The first is what `jwtgate compile` writes if nothing is said. */
export const TARGETS = byName(config, envoy, wasmplugin);

function byName(...targets: readonly (Target & { name: TargetName })[]): ReadonlyMap<TargetName, Target> {
  return new Map(targets.map((target) => [target.name, target]));
}

export function targetOf(name: TargetName): Target {
  const found = TARGETS.get(name);
  if (found === undefined) throw new RangeError(`there is no output ${name}`);
  return found;
}
