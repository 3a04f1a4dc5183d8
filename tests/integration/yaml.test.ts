/** Envoy's own YAML reader reads the tool's output as the intended values. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { askAdminForJson } from "../../tools/envoy/admin.ts";
import { Envoy, validateBootstrap } from "../../tools/envoy/process.ts";
import { printBootstrap, renderBootstrap } from "../../tools/render/bootstrap.ts";
import { toBareYaml } from "../../tools/render/yaml.ts";
import { compile } from "../../tools/targets/compile.ts";
import { anyRendered, TRICKY_WORDS } from "../render/strings.ts";
import { envoyBinary, MODULE } from "../support/envoy.ts";

const SEED = Number(process.env["RANDOM_SEED"] ?? 2026);

/** The metadata of a cluster that Envoy reads from a file, as its admin shows it. */
async function readByEnvoy(content: object): Promise<unknown> {
  const folder = mkdtempSync(join(tmpdir(), "jwtgate-yaml-"));
  let envoy: Envoy | undefined;
  try {
    const path = join(folder, "clusters.yaml");
    const cluster = {
      "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
      name: "held",
      metadata: { filter_metadata: { held: content } },
    };
    writeFileSync(path, toBareYaml([{ version_info: "1", resources: [cluster] }]));
    envoy = await Envoy.start({
      binary: await envoyBinary(),
      bootstrap: {
        node: { id: "yaml", cluster: "yaml" },
        dynamic_resources: { cds_config: { path_config_source: { path }, resource_api_version: "V3" } },
      },
    });
    const query = "/config_dump?resource=dynamic_active_clusters";
    const { configs } = (await askAdminForJson(envoy.admin, query)) as {
      configs: { cluster: { metadata: { filter_metadata: { held: unknown } } } }[];
    };
    expect(configs, envoy.log).toHaveLength(1);
    return configs[0]?.cluster.metadata.filter_metadata.held;
  } finally {
    await envoy?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Envoy makes texts of numbers that are not whole or need more than 32 bits; its messages take them for numbers again. */
function asEnvoyHolds(_name: string, value: unknown): unknown {
  return typeof value === "number" && value !== (value | 0) ? String(value) : value;
}

test("resources and bootstraps of any strings, and words that mean something else", async () => {
  const samples = fc.sample(anyRendered, { seed: SEED, numRuns: 100 }).flatMap(({ documents }) => documents);
  const words = TRICKY_WORDS.map((word) => ({ [word]: word, list: [word, [word]], map: { [word]: "" } }));
  const content = { samples, words };
  expect(await readByEnvoy(content)).toEqual(JSON.parse(JSON.stringify(content, asEnvoyHolds)));
});

test("a policy on any words is the policy that the filter gets", async () => {
  // What a tenant may write: values of claims, names of claims, and a header's prefix.
  const words = TRICKY_WORDS.filter((word) => word !== "" && !/[*[\]]/.test(word) && word.length < 1000);
  const policies = [
    {
      apiVersion: "security.istio.io/v1",
      kind: "RequestAuthentication",
      metadata: { name: "words" },
      spec: { jwtRules: words.map((issuer) => ({ issuer: `i${issuer}`, jwks: JWKS, fromParams: [issuer] })) },
    },
    {
      apiVersion: "security.istio.io/v1",
      kind: "AuthorizationPolicy",
      metadata: { name: "words" },
      spec: {
        action: "DENY",
        rules: words.map((word) => ({ when: [{ key: `request.auth.claims[${word}]`, values: [word] }] })),
      },
    },
  ];
  const text = toBareYaml(policies);
  const { configuration, diagnostics } = compile([{ name: "words.yaml", text }], { target: "envoy" });
  expect(diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
  if (configuration === undefined) throw new Error("there is no configuration");
  expect(configuration.contents).toEqual({ providers: words.length, rules: words.length });
  const folder = mkdtempSync(join(tmpdir(), "jwtgate-yaml-"));
  try {
    const file = join(folder, "envoy.yaml");
    const bootstrap = renderBootstrap(configuration, {
      listen: { host: "127.0.0.1", port: 0 },
      upstream: { host: "127.0.0.1", port: 80 },
      mode: "gateway",
      pathNormalization: "BASE",
      module: MODULE,
    });
    writeFileSync(file, printBootstrap(bootstrap, "1.0.0"));
    expect(await validateBootstrap(await envoyBinary(), file)).toBeUndefined();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

const JWKS = '{"keys":[{"kty":"oct","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}]}';
