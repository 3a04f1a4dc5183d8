/** `compile --output ecds` in a real Envoy: files that are moved to the place that `compile --output envoy --ecds` names. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { askAdminForJson } from "../../tools/envoy/admin.ts";
import { Envoy } from "../../tools/envoy/process.ts";
import { envoyBinary } from "../support/envoy.ts";
import { jwtgate } from "../support/gate.ts";
import { Http1Client, http1, type Target } from "../support/http1.ts";
import { until } from "../support/until.ts";
import { startUpstream, type Upstream } from "../support/upstream.ts";

/** Allows one path, to clients of one address. */
const policies = (path: string, client = "0.0.0.0/0") => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: allow}
spec: {rules: [{from: [{source: {ipBlocks: [${client}]}}], to: [{operation: {paths: [${path}]}}]}]}
`;

let folder: string;
let upstream: Upstream;
beforeAll(async () => {
  upstream = await startUpstream();
});
afterAll(() => upstream?.close());

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "jwtgate-ecds-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function compile(text: string, ...options: string[]): string {
  const file = join(folder, "policies.yaml");
  writeFileSync(file, text);
  const { status, stdout, stderr } = jwtgate("compile", "-f", file, ...options);
  expect(status, stderr).toBe(0);
  return stdout;
}

const ecds = (text: string) => compile(text, "--output", "ecds");

/** Moves a file to the place of another. */
function replace(file: string, content: string): void {
  writeFileSync(`${file}.next`, content);
  renameSync(`${file}.next`, file);
}

class Fleet {
  private constructor(
    readonly envoy: Envoy,
    readonly target: Target,
  ) {}

  /** @param file that the filter's configuration is read from */
  static async start(file: string): Promise<Fleet> {
    const bootstrap = compile(
      policies("/never"),
      ...["--output", "envoy", "--listen", "127.0.0.1:0", "--upstream", `127.0.0.1:${upstream.port}`],
      ...["--ecds", file],
    );
    const envoy = await Envoy.start({ binary: await envoyBinary(), bootstrap: parse(bootstrap) as object });
    return new Fleet(envoy, { host: "127.0.0.1", port: await envoy.portOf("gate") });
  }

  async status(path: string): Promise<number> {
    return (await http1(this.target, { path })).status;
  }

  /** Which of the paths /a, /b, … is allowed. */
  async allowed(...paths: string[]): Promise<string> {
    const statuses = await Promise.all(paths.map(async (path) => [path, await this.status(path)]));
    return statuses.flatMap(([path, status]) => (status === 200 ? [path] : [])).join();
  }

  /** Waits until one of Envoy's counters of files has reached a number. */
  async counted(of: string, atLeast: number): Promise<void> {
    const name = `extension_config_discovery.http_filter.jwtgate.${of}`;
    await until(
      `${of} is ${atLeast}`,
      async () => ((await this.envoy.stats(name)).get(name) ?? 0) >= atLeast,
    );
  }

  /** The version in use, as Envoy shows it. */
  async version(): Promise<string | undefined> {
    const path = "/config_dump?resource=ecds_filters";
    const dump = (await askAdminForJson(this.envoy.admin, path)) as { configs: { version_info: string }[] };
    return dump.configs[0]?.version_info;
  }
}

describe("a file", () => {
  test("that replaces another is used without a restart, and a bad one is ignored", async () => {
    const file = join(folder, "jwtgate.yaml");
    const first = ecds(policies("/a"));
    replace(file, first);
    const fleet = await Fleet.start(file);
    try {
      expect(await fleet.allowed("/a", "/b")).toBe("/a");
      expect(await fleet.version()).toBe((parse(first) as { version_info: string }).version_info);

      const client = new Http1Client(fleet.target);
      expect((await client.request({ path: "/a" })).status).toBe(200);
      const { localPort } = client;
      const second = ecds(policies("/b"));
      replace(file, second);
      await until("the second is in force", async () => (await fleet.allowed("/a", "/b")) === "/b");
      // A connection from before stays open, and is under the policies after.
      expect((await client.request({ path: "/a" })).status).toBe(403);
      expect(client.localPort).toBe(localPort);
      client.close();
      const { version_info } = parse(second) as { version_info: string };
      expect(await fleet.version()).toBe(version_info);

      // One that the filter refuses, one that is not for it, and one that is not YAML.
      const lost = second.replace(/"contents": \{[^}]*\}/, '"contents": {}');
      expect(lost).not.toBe(second);
      replace(file, lost);
      await fleet.counted("update_rejected", 1);
      replace(file, second.replace("name: jwtgate", "name: other"));
      await fleet.counted("update_rejected", 2);
      replace(file, "resources: [");
      await fleet.counted("update_failure", 1);
      expect(await fleet.allowed("/a", "/b")).toBe("/b");
      expect(await fleet.version()).toBe(version_info);
      expect(fleet.envoy.log).toContain("jwtgate: configuration refused: /contents");

      replace(file, first);
      await until("the first is in force again", async () => (await fleet.allowed("/a", "/b")) === "/a");
    } finally {
      await fleet.envoy.stop();
    }
  });

  test("may use the direct peer, even if the policies of the bootstrap did not", async () => {
    const file = join(folder, "jwtgate.yaml");
    replace(file, ecds(policies("/a", "127.0.0.1")));
    const fleet = await Fleet.start(file);
    try {
      expect(await fleet.allowed("/a")).toBe("/a");
      replace(file, ecds(policies("/a", "10.0.0.0/8")));
      await until("the peer is another", async () => (await fleet.status("/a")) === 403);
    } finally {
      await fleet.envoy.stop();
    }
  });

  test("may be a ConfigMap's, in a folder that Kubernetes replaces as a whole", async () => {
    const volume = join(folder, "volume");
    const publish = (revision: string, content: string) => {
      mkdirSync(join(volume, revision), { recursive: true });
      writeFileSync(join(volume, revision, "jwtgate.yaml"), content);
      symlinkSync(revision, join(volume, "..data_tmp"));
      renameSync(join(volume, "..data_tmp"), join(volume, "..data"));
    };
    publish("..1", ecds(policies("/a")));
    symlinkSync("..data/jwtgate.yaml", join(volume, "jwtgate.yaml"));
    const fleet = await Fleet.start(join(volume, "jwtgate.yaml"));
    try {
      expect(await fleet.allowed("/a", "/b")).toBe("/a");
      publish("..2", ecds(policies("/b")));
      await until("the second is in force", async () => (await fleet.allowed("/a", "/b")) === "/b");
    } finally {
      await fleet.envoy.stop();
    }
  });
});

describe("an Envoy that starts", () => {
  test("with a file that the filter refuses allows no request until there is a good one", async () => {
    const file = join(folder, "jwtgate.yaml");
    const good = ecds(policies("/a"));
    replace(file, good.replace(/"contents": \{[^}]*\}/, '"contents": {}'));
    const fleet = await Fleet.start(file);
    try {
      expect([await fleet.status("/a"), await fleet.status("/b")]).toEqual([500, 500]);
      replace(file, good);
      await until("the good one is in force", async () => (await fleet.allowed("/a", "/b")) === "/a");
    } finally {
      await fleet.envoy.stop();
    }
  });

  test("without the file does not start, and reports why", async () => {
    await expect(Fleet.start(join(folder, "missing.yaml"))).rejects.toThrow("missing.yaml' does not exist");
  });
});
