/**
 * `npm run bench:scale`: large inputs. Measures time and peak memory of whole processes of the built tool, interleaved
 * with a process whose work never changes (SHA-256): the ratio to it distinguishes a slower tool from a slower machine.
 * Then the module loads 10,000 providers in the TypeScript host.
 */
import { spawnSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { createNodeHost } from "../tools/host/node.ts";
import { MODULE_FILE } from "../tools/package.ts";
import { estimate, ratio } from "./statistics.ts";

const TOOL = fileURLToPath(new URL("../dist/jwtgate.mjs", import.meta.url));

/** Prints the peak memory of the process, in KiB, to descriptor 3. */
const HOOK =
  'import{writeSync}from"node:fs";process.on("exit",()=>writeSync(3,String(process.resourceUsage().maxRSS)))';

/** The constant work: SHA-256 of 256 MiB. */
const REFERENCE =
  'import{createHash}from"node:crypto";const h=createHash("sha256"),b=Buffer.alloc(1<<20);for(let i=0;i<256;i++)h.update(b);h.digest()';

/** How many rules the API server accepts in one policy. */
const RULES_OF_A_POLICY = 500;

const resource = (kind: string, name: string, spec: object) => ({
  apiVersion: "security.istio.io/v1",
  kind,
  metadata: { name, namespace: "shop" },
  spec,
});

/** Policies in block style, as a person writes them. */
function policies(count: number, rule: (i: number) => string): string {
  const all = Array.from({ length: count }, (_, i) => rule(i));
  return Array.from({ length: Math.ceil(count / RULES_OF_A_POLICY) }, (_, p) => {
    const rules = all.slice(p * RULES_OF_A_POLICY, (p + 1) * RULES_OF_A_POLICY).join("");
    return `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: p${p}
  namespace: shop
spec:
  action: ALLOW
  rules:
${rules}`;
  }).join("---\n");
}

const onePath = (i: number) => `  - to:
    - operation:
        methods: ["GET"]
        paths: ["/api/v1/items/${i}"]
`;
const conditions = (i: number) => `  - from:
    - source:
        requestPrincipals: ["https://idp.example/user${i}"]
    to:
    - operation:
        methods: ["GET", "POST"]
        paths: ["/api/v1/items/${i}", "/api/v1/items/${i}/*"]
    when:
    - key: request.auth.claims[group]
      values: ["group${i % 50}"]
`;

/** 10,000 jwtRules, 1,000 per resource, as `kubectl get -o json` prints them. */
function providers(keys: (i: number) => object): string {
  const items = Array.from({ length: 10 }, (_, p) => {
    const jwtRules = Array.from({ length: 1000 }, (_, i) => {
      const n = p * 1000 + i;
      return { issuer: `https://idp${n}.example`, ...keys(n) };
    });
    return resource("RequestAuthentication", `r${p}`, { jwtRules });
  });
  return JSON.stringify({ apiVersion: "v1", kind: "List", items }, undefined, 2);
}

const jwks = (type: "ec" | "rsa" | "ed25519") => {
  const { publicKey } =
    type === "ec"
      ? generateKeyPairSync("ec", { namedCurve: "P-256" })
      : type === "rsa"
        ? generateKeyPairSync("rsa", { modulusLength: 2048 })
        : generateKeyPairSync("ed25519");
  return { jwks: JSON.stringify({ keys: [publicKey.export({ format: "jwk" })] }) };
};

interface Input {
  name: string;
  text: string;
  commands: readonly string[];
  /** Whether the module loads it too. */
  loads: boolean;
}

function inputs(): Input[] {
  const [ec, rsa, ed25519] = [jwks("ec"), jwks("rsa"), jwks("ed25519")];
  const remote = (i: number) => ({ jwksUri: `https://idp${i}.example/jwks.json` });
  const both = ["compile", "check"];
  return [
    { name: "10,000 rules of one path", text: policies(10_000, onePath), commands: ["compile"], loads: true },
    { name: "5,000 rules of one path", text: policies(5_000, onePath), commands: both, loads: false },
    { name: "5,000 rules of conditions", text: policies(5_000, conditions), commands: both, loads: true },
    { name: "10,000 providers, jwksUri", text: providers(remote), commands: ["compile"], loads: true },
    { name: "10,000 providers, EC", text: providers(() => ec), commands: ["compile"], loads: true },
    { name: "10,000 providers, RSA", text: providers(() => rsa), commands: ["compile"], loads: true },
    { name: "10,000 providers, Ed25519", text: providers(() => ed25519), commands: ["compile"], loads: true },
  ];
}

interface Run {
  milliseconds: number;
  mebibytes: number;
}

function run(args: readonly string[]): Run {
  const begun = performance.now();
  const { status, stderr, output } = spawnSync(
    process.execPath,
    ["--import", `data:text/javascript,${encodeURIComponent(HOOK)}`, ...args],
    { stdio: ["ignore", "ignore", "pipe", "pipe"], encoding: "utf8", maxBuffer: 1 << 26 },
  );
  const milliseconds = performance.now() - begun;
  // `check` ends with 1 if it finds something.
  if (status !== 0 && !(status === 1 && args.includes("check"))) throw new Error(stderr);
  return { milliseconds, mebibytes: Number(output[3]) / 1024 };
}

async function main(): Promise<void> {
  const { rounds } = new Command("bench:scale")
    .description("time and memory of the tool, and of loading, for large inputs")
    .option("--rounds <count>", "interleaved rounds", Number, 7)
    .parse()
    .opts<{ rounds: number }>();
  const folder = mkdtempSync(join(tmpdir(), "jwtgate-scale-"));
  try {
    const all = inputs();
    const tasks = all.flatMap(({ name, text, commands }, i) => {
      const file = join(folder, `${i}.yaml`);
      writeFileSync(file, text);
      return commands.map((command) => ({ name: `${command}: ${name}`, args: [TOOL, command, "-f", file] }));
    });
    const reference: number[] = [];
    const runs = new Map<string, Run[]>(tasks.map(({ name }) => [name, []]));
    for (let round = 0; round < rounds; round++) {
      reference.push(run(["--input-type=module", "--eval", REFERENCE]).milliseconds);
      for (const { name, args } of tasks) runs.get(name)?.push(run(args));
    }
    console.log("| a process of the tool | ms | ÷ reference | MiB |\n| --- | --: | --: | --: |");
    console.log(`| reference: SHA-256 of 256 MiB | ${estimate(reference).median.toFixed(0)} | 1 | |`);
    for (const [name, list] of runs) {
      const times = list.map(({ milliseconds }) => milliseconds);
      const most = Math.max(...list.map(({ mebibytes }) => mebibytes));
      const { median, low, high } = ratio(times, reference);
      const shown = `${median.toFixed(1)} [${low.toFixed(1)}, ${high.toFixed(1)}]`;
      console.log(`| ${name} | ${estimate(times).median.toFixed(0)} | ${shown} | ${most.toFixed(0)} |`);
    }
    await loads(folder, all, rounds);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Measures how long the module takes to load each configuration, in a new host each time. */
async function loads(folder: string, all: readonly Input[], rounds: number): Promise<void> {
  const module = readFileSync(MODULE_FILE);
  const times = new Map<string, number[]>();
  const configurations = all.flatMap(({ name, loads }, i) => {
    if (!loads) return [];
    const output = join(folder, `${i}.json`);
    run([TOOL, "compile", "-f", join(folder, `${i}.yaml`), "-o", output]);
    return [{ name, configuration: readFileSync(output, "utf8") }];
  });
  for (let round = 0; round < rounds; round++) {
    for (const { name, configuration } of configurations) {
      const host = await createNodeHost(module);
      const begun = performance.now();
      const { accepted, logs } = host.configure(configuration);
      if (!accepted) throw new Error(logs.at(-1)?.message);
      times.set(name, [...(times.get(name) ?? []), performance.now() - begun]);
    }
  }
  console.log("\n| the module loads | ms |\n| --- | --: |");
  for (const [name, list] of times) console.log(`| ${name} | ${estimate(list).median.toFixed(0)} |`);
}

await main();
