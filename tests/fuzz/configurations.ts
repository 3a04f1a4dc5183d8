/**
 * Configurations, good ones and changed ones: the module either accepts one as a whole, or names the position
 * of the fault and keeps the one before.
 */

import type { Host } from "../../tools/host/host.ts";
import { createNodeHost } from "../../tools/host/node.ts";
import { whole } from "../support/configuration.ts";
import { type Json, mutateJson, mutateText } from "./mutate.ts";
import type { Random } from "./random.ts";
import { type FuzzKey, fuzzKey, ISSUERS, token } from "./tokens.ts";

type JsonObject = { [name: string]: Json };

/** Keys whose tokens may be good, and one unknown key. */
export const KEYS: readonly FuzzKey[] = ["k0", "k1", "k2"].map(fuzzKey);
export const STRANGER = fuzzKey("stranger");

const PREDICATES: Json[] = [
  { path: { prefix: "/a" } },
  { path: { exact: "/denied" } },
  { path: { template: "/x/{*}/y/{**}" } },
  { host: { suffix: ".example" } },
  { method: { exact: "GET" } },
  { header: "x-h", match: { nonEmpty: true } },
  { claim: ["scope"], match: { exact: "read" } },
  { claim: ["a", "b"], match: { prefix: "x" } },
  { claim: ["sub"], match: { exact: "alice" } },
  { remoteIp: "127.0.0.0/8" },
  { destinationPort: 8080 },
];

function provider(random: Random, index: number): JsonObject {
  const place = (): JsonObject => ({
    ...(random.oneIn(3)
      ? {}
      : { fromHeaders: [{ name: "authorization", valuePrefix: "Bearer " }, { name: "x-t" }] }),
    ...(random.oneIn(3) ? {} : { fromParams: ["access_token"] }),
    ...(random.oneIn(2) ? {} : { fromCookies: ["session"] }),
  });
  const places = place();
  return {
    name: `origins-${index}`,
    ...(random.oneIn(6) ? {} : { issuer: ISSUERS[index] as string }),
    localJwks: { keys: KEYS.slice(index, index + 1 + random.below(2)).map(({ jwk }) => jwk) },
    ...(Object.keys(places).length > 0 ? places : { fromParams: ["access_token"] }),
    ...(random.oneIn(3) ? { audiences: ["x"] } : {}),
    ...(random.oneIn(3) ? { forward: true } : {}),
    ...(random.oneIn(2) ? { forwardPayloadHeader: "x-payload" } : {}),
    claimToHeaders: [
      { headerName: "x-sub", claimName: "sub" },
      { headerName: "x-a", claimName: random.pick(["a", "a.b", "scope"]) },
    ],
    ...(random.oneIn(6) ? { presence: "REQUIRED" } : {}),
  };
}

/** A configuration that the module takes. */
export function configuration(random: Random): JsonObject {
  const providers = random.list(1, 3, (index) => provider(random, index));
  const condition = (depth: number): Json => {
    if (depth === 0 || random.oneIn(2)) return random.below(PREDICATES.length);
    if (random.oneIn(4)) return { not: condition(depth - 1) };
    return { [random.pick(["and", "or"])]: random.list(1, 3, () => condition(depth - 1)) };
  };
  const rules = (): Json => random.list(0, 3, (index) => ({ id: `rule-${index}`, condition: condition(3) }));
  const action = (): JsonObject => random.pick<JsonObject>([{ rules: rules() }, { shadowRules: rules() }]);
  return whole({
    providers,
    ...(random.oneIn(3)
      ? {}
      : { authorization: { predicates: PREDICATES, deny: action(), allow: action() } }),
    ...(random.oneIn(3) ? { tokenCache: { maxEntries: 8, maxBytes: 8192 } } : {}),
    ...(random.oneIn(4) ? { limits: { maxTokens: 3, maxTokenBytes: 1024 } } : {}),
  }) as JsonObject;
}

/** One host that is given changed configurations, with requests between. */
export async function fuzzConfigurations(
  module: WebAssembly.Module,
  random: Random,
  steps: number,
): Promise<void> {
  const host = await createNodeHost(module);
  host.clock.set(1_800_000_000_000);
  const good = configuration(random);
  if (!host.configure(good).accepted) throw new Error(`refused: ${JSON.stringify(good)}`);
  for (let step = 0; step < steps; step++) {
    let changed: Json = random.oneIn(3) ? configuration(random) : good;
    for (let i = random.below(3); i >= 0; i--) changed = mutateJson(random, changed);
    const text = random.oneIn(6) ? mutateText(random, JSON.stringify(changed)) : JSON.stringify(changed);
    const bytes = Buffer.from(text, random.oneIn(9) ? "latin1" : "utf8");
    const { accepted, logs, trapped } = host.configure(new Uint8Array(bytes));
    if (trapped) throw new Error(`${trapped.callback} failed, ${trapped.message}, with ${text}`);
    const refusal = logs.find(({ level }) => level === "error")?.message ?? "";
    if (!accepted && !/^jwtgate: configuration refused: (\/|the configuration is )/.test(refusal)) {
      throw new Error(`refused without a place, "${refusal}": ${text}`);
    }
    use(host, random, text);
    host.logs.length = 0;
  }
}

/** A request with any outcome. */
function use(host: Host, random: Random, text: string): void {
  const headers: [string, string][] = [["authorization", `Bearer ${token(random, KEYS, 1_800_000_000)}`]];
  const { outcome } = host.send({ path: "/a?access_token", headers });
  if (outcome?.trapped) throw new Error(`${outcome.trapped.message}, under ${text}`);
}
