/** The release and the traced module side by side in two hosts, and what must be true of both. */
import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import type { Condition, Configuration } from "../../tools/config/schema.ts";
import { readTrace, type Trace, type TracedPolicies } from "../../tools/explain/trace.ts";
import type { Host, Outcome, PluginOptions } from "../../tools/host/host.ts";
import type { DownstreamRequest } from "../../tools/host/http-connection-manager.ts";
import { createNodeHost } from "../../tools/host/node.ts";
import { MODULE, TRACE_MODULE } from "../support/envoy.ts";

export interface Both {
  release: Outcome;
  traced: Outcome;
  trace?: Trace;
}

export class Pair {
  private constructor(
    private readonly hosts: readonly [release: Host, traced: Host],
    private readonly events: Uint8Array[],
  ) {}

  /** @param now milliseconds since 1970, at which the clocks stop */
  static async open(now: number): Promise<Pair> {
    const events: Uint8Array[] = [];
    const foreignFunctions = {
      jwtgate_trace(event: Uint8Array): Uint8Array {
        events.push(event);
        return new Uint8Array();
      },
    };
    const [release, traced] = await Promise.all(
      [MODULE, TRACE_MODULE].map((file) => createNodeHost(readFileSync(file), { foreignFunctions })),
    );
    if (release === undefined || traced === undefined) throw new Error("there is no host");
    for (const host of [release, traced]) host.clock.set(now);
    return new Pair([release, traced], events);
  }

  /** Loads a configuration into both. */
  configure(configuration: Configuration, options: PluginOptions): void {
    for (const host of this.hosts) {
      const { accepted, logs } = host.configure({ ...configuration, filterState: true }, options);
      if (!accepted) throw new Error(`refused: ${JSON.stringify({ logs, configuration })}`);
      host.logs.length = 0;
    }
  }

  /** Sends a request to both. One that waits for keys waits until its time is over. */
  send(request: DownstreamRequest): Both {
    const [release, traced] = this.hosts.map((host) => {
      this.events.length = 0;
      const stream = host.send(request);
      if (stream.outcome === undefined) host.advance(MAX_WAIT_MS);
      host.logs.length = 0;
      if (stream.outcome === undefined) throw new Error("the request waits forever");
      return stream.outcome;
    }) as [Outcome, Outcome];
    const trace = readTrace(this.events);
    return { release, traced, ...(trace && { trace }) };
  }

  /** What both have counted. */
  counters(): unknown[] {
    return this.hosts.map((host) => {
      host.advance(2_000);
      return host.metrics.values();
    });
  }
}

/** A configuration's default is 5,000. */
const MAX_WAIT_MS = 10_000;

const DENIED = "RBAC: access denied";

/** The faults of a pair of answers and the trace, one line each. */
export function contradictions({ release, traced, trace }: Both, configuration: Configuration): string[] {
  const found: string[] = [];
  const same = (what: string, left: unknown, right: unknown): void => {
    if (!isDeepStrictEqual(left, right)) {
      found.push(`${what}: ${JSON.stringify(left)} is not ${JSON.stringify(right)}`);
    }
  };
  same("the traced module's outcome", traced, release);
  const reason = release.properties["jwtgate.reason"];
  if (trace === undefined) {
    same("the reason of a request that the module never saw", reason, undefined);
    return found;
  }
  const { authentication, policies } = trace;
  const refusal = authentication?.refusal ?? "";
  const denied = policies?.refused ? DENIED : "allowed";
  same("the reason", reason, refusal === "" ? denied : refusal);
  same("the rule", release.properties["jwtgate.policy"] ?? "", policies?.ruleId ?? "");
  same(
    "whether policies were asked",
    policies !== undefined,
    refusal === "" && Boolean(configuration.authorization),
  );
  for (const { tokens, refusal: said } of authentication?.providers ?? []) {
    if (said !== "Too many Jwts in the request") {
      same("what a provider says", said, tokens.at(-1)?.refusal ?? "Jwt is missing");
    }
    for (const { refusal: fault, remembered, keys } of tokens) {
      const verified = keys.findIndex(({ outcome }) => outcome === "Verified");
      const isKnown = remembered || verified >= 0;
      if (fault === "") same("a good token", isKnown, true);
      if (verified >= 0) same("keys after the one that verified", verified, keys.length - 1);
      if (remembered) same("keys of a remembered token", keys, []);
    }
  }
  if (policies) found.push(...ruleContradictions(policies, configuration));
  return found;
}

function ruleContradictions(
  { held, ruleSets, ruleId, refused }: TracedPolicies,
  configuration: Configuration,
): string[] {
  const found: string[] = [];
  const { authorization } = configuration;
  const all = (["audit", "deny", "allow"] as const).flatMap((action) =>
    (["shadowRules", "rules"] as const).flatMap((list) => {
      const rules = authorization?.[action]?.[list];
      return rules ? [{ action, dryRun: list === "shadowRules", rules }] : [];
    }),
  );
  const holds = (condition: Condition): boolean => {
    if (typeof condition === "number") return held.has(condition);
    if ("and" in condition) return condition.and.every(holds);
    return "or" in condition ? condition.or.some(holds) : !holds(condition.not);
  };
  let isOpen = true;
  let decided = "";
  for (const [i, { action, dryRun, rules }] of all.entries()) {
    const matched = rules.map(({ condition }) => holds(condition));
    const first = matched.indexOf(true);
    const should = rules.map(({ id }, k) => {
      const asked: boolean = isOpen && (first < 0 || k <= first);
      return { id, matched: matched[k], asked };
    });
    const is = ruleSets[i];
    if (!isDeepStrictEqual(is, { action: action.toUpperCase(), dryRun, rules: should })) {
      found.push(`rules: ${JSON.stringify(is)} is not ${JSON.stringify(should)}`);
    }
    if (dryRun || action === "audit" || !isOpen) continue;
    decided = rules[first]?.id ?? "";
    isOpen = action === "deny" ? first < 0 : first >= 0;
  }
  if (ruleSets.length !== all.length) found.push(`${ruleSets.length} rule sets instead of ${all.length}`);
  if (decided !== ruleId) found.push(`the rule ${ruleId} decided instead of ${decided}`);
  if (refused === isOpen) found.push(`refused: ${refused}`);
  return found;
}
