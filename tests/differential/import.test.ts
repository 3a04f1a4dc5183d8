/**
 * Random filters of Envoy, and those that Envoy Gateway generates from random SecurityPolicies, in Envoy, and jwtgate's
 * import of them, side by side: no request passes that did not pass before, and without a warning every
 * answer is the same.
 *
 * RANDOM_SEED, RANDOM_GATES and RANDOM_REQUESTS (for each gate) choose another run, or a longer one.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compile } from "../../tools/compile.ts";
import type { Configuration } from "../../tools/config/schema.ts";
import type { Envoy } from "../../tools/envoy/process.ts";
import { importPolicies } from "../../tools/import/import.ts";
import { cluster, listener, type Message } from "../../tools/render/bootstrap.ts";
import { Random } from "../fuzz/random.ts";
import { MODULE, startEnvoy } from "../support/envoy.ts";
import { Http1Client, type Http1Request } from "../support/http1.ts";
import { withFilters } from "../support/native.ts";
import { receivedOf, startUpstream, type Upstream } from "../support/upstream.ts";
import { gatewayFilters, randomSecurityPolicy } from "./gateway-filters.ts";
import { randomFilters, randomRequest } from "./random-filters.ts";

const numberOf = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise);
const SEED = numberOf("RANDOM_SEED", 20_261_126);
const GATES = numberOf("RANDOM_GATES", 40);
const REQUESTS = numberOf("RANDOM_REQUESTS", 60);

interface Gate {
  /** What was imported. */
  source: unknown;
  filters: Message[];
  configuration: Configuration;
  /** What the import warns of, except for warnings that do not concern answers. */
  warnings: string[];
}

/** Reported for every file that has keys in it. */
const ABOUT_KEYS = /^keys are written as they are/;

/** Random sources that can be imported, and how many cannot. */
function importable(make: (random: Random) => Pick<Gate, "source" | "filters">): {
  gates: Gate[];
  refused: number;
} {
  const random = new Random(SEED);
  const gates: Gate[] = [];
  let refused = 0;
  while (gates.length < GATES) {
    const { source, filters } = make(random);
    const { text, diagnostics } = importPolicies(
      { name: "source.json", text: JSON.stringify(source) },
      {
        readFile: () => ({ fault: "there are no files" }),
        keepGoing: random.oneIn(3),
        preflights: "deny",
      },
    );
    if (text === undefined) {
      expect(diagnostics.some(({ severity }) => severity === "error")).toBe(true);
      refused++;
      continue;
    }
    const { configuration, diagnostics: faults } = compile([{ name: "imported.yaml", text }]);
    if (configuration === undefined) throw new Error(`${JSON.stringify(faults)}\n${text}`);
    const warnings = diagnostics.map(({ message }) => message).filter((message) => !ABOUT_KEYS.test(message));
    gates.push({ source, filters, configuration, warnings });
  }
  return { gates, refused };
}

const SOURCES = {
  filters: importable((random) => {
    const filters = randomFilters(random);
    return { source: filters, filters };
  }),
  "Envoy Gateway": importable((random) => {
    const spec = randomSecurityPolicy(random);
    const targetRefs = [{ group: "gateway.networking.k8s.io", kind: "Gateway", name: "edge" }];
    const source = {
      apiVersion: "gateway.envoyproxy.io/v1alpha1",
      kind: "SecurityPolicy",
      metadata: { name: "gate", namespace: "web" },
      spec: { targetRefs, ...spec },
    };
    return { source, filters: gatewayFilters(spec) };
  }),
};
const ALL = Object.entries(SOURCES).flatMap(([name, { gates }]) =>
  gates.map((gate, index) => ({ ...gate, name: `${name} ${index}` })),
);

let upstream: Upstream;
let envoy: Envoy;

beforeAll(async () => {
  upstream = await startUpstream();
  const listeners = ALL.flatMap(({ name, filters, configuration }) =>
    ["jwtgate", "native"].map((kind) => {
      const made = listener({
        name: `${kind} ${name}`,
        address: { host: "127.0.0.1", port: 0 },
        module: MODULE,
        configuration,
        cluster: "upstream",
        accessLog: false,
      });
      return kind === "native" ? withFilters(made, filters) : made;
    }),
  );
  envoy = await startEnvoy({
    listeners,
    clusters: [cluster({ name: "upstream", address: { host: "127.0.0.1", port: upstream.port } })],
  });
});

afterAll(async () => {
  await envoy?.stop();
  await upstream?.close();
});

async function clientOf(kind: string, name: string): Promise<Http1Client> {
  return new Http1Client({ host: "127.0.0.1", port: await envoy.portOf(`${kind} ${name}`) });
}

async function answer(
  client: Http1Client,
  request: Http1Request,
): Promise<{ passes: boolean; seen: object }> {
  const response = await client.request(request);
  const received = receivedOf(response);
  const own = /^(x-request-id|x-envoy-.*|x-forwarded-.*)$/;
  return {
    passes: received !== undefined,
    seen: {
      status: response.status,
      body: received ? "" : response.body,
      headers: received?.headers
        .filter(([name]) => !own.test(name))
        .map(([name, value]) => `${name}: ${value}`)
        .sort(),
    },
  };
}

describe.each(Object.entries(SOURCES))(`%s, seed ${SEED}`, (source, { gates, refused }) => {
  const answered = { passed: 0, refused: 0, stricter: 0 };

  test.each(gates.map((gate, index) => ({ index, gate })))("gate $index", async ({ index, gate }) => {
    const random = new Random(SEED + index + 1);
    const name = `${source} ${index}`;
    const [ours, native] = [await clientOf("jwtgate", name), await clientOf("native", name)];
    for (let i = 0; i < REQUESTS; i++) {
      const request = randomRequest(random);
      const [is, was] = [await answer(ours, request), await answer(native, request)];
      const shown = () =>
        JSON.stringify({ request, is, was, source: gate.source, warnings: gate.warnings }, null, 1);
      if (is.passes) expect(was.passes, shown()).toBe(true);
      if (gate.warnings.length === 0) expect(is.seen, shown()).toEqual(was.seen);
      answered[is.passes ? "passed" : was.passes ? "stricter" : "refused"]++;
    }
    ours.close();
    native.close();
  });

  test("there is something to compare: exact and stricter gates, refused ones, requests that pass and do not", () => {
    expect(gates.some(({ warnings }) => warnings.length > 0)).toBe(true);
    // Envoy Gateway checks the tokens of preflights, which is reported for every gate.
    if (source === "filters") expect(gates.some(({ warnings }) => warnings.length === 0)).toBe(true);
    expect(refused).toBeGreaterThan(0);
    for (const count of Object.values(answered)) expect(count).toBeGreaterThan(0);
  });
});
