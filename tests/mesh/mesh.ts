/**
 * A mesh on one machine: etcd and kube-apiserver, istiod, a registry, and Envoys that istio-agent runs with configurations
 * and certificates of that istiod. Everything listens on the loopback, at ports that were free, in a temporary folder.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import {
  createWriteStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Http1Response, http1 } from "../support/http1.ts";
import { until } from "../support/until.ts";

const execute = promisify(execFile);

// The programs that scripts/run.mjs bundles are one folder below the project's own.
const TOOL = fileURLToPath(new URL("../dist/jwtgate.mjs", import.meta.url));

/** A proxy of the mesh. */
export interface MeshProxy {
  name: string;
  /** Of Envoy's admin interface. */
  admin: number;
  /** With the workload's certificate, if the agent was asked to write it. */
  certificates: string;
}

/** What a client sends. */
export interface Ask {
  path?: string;
  token?: string;
  /** A folder with the client's certificate; plain text without. */
  certificates?: string;
}

/** A request without an answer: the connection was refused or reset. */
export const NO_ANSWER = 0;

export interface Answer {
  status: number;
  body: string;
}

/** Programs that tests/mesh/programs.sh builds. */
const PROGRAMS = ["pilot-discovery", "pilot-agent", "crane", "kube-apiserver", "kubectl"];

/** The module's path in the registry. */
const REPOSITORY = "jwtgate:test";

/** Ports that are in use. Some processes begin to listen later. */
const given = new Set<number>();

/** A free port below those that Linux gives to connections, so that it stays free. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 12_000 + Math.floor(Math.random() * 20_000);
    if (given.has(port)) continue;
    given.add(port);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}

export class Mesh {
  private readonly folder = mkdtempSync(join(tmpdir(), "jwtgate-mesh-"));
  private readonly processes: { name: string; process: ChildProcess }[] = [];
  private readonly ports = new Map<string, number>();
  /** SHA-256 of the image in the registry. */
  digest = "";

  private constructor(
    private readonly programs: string,
    readonly envoy: string,
    private readonly keepsLogs: boolean,
  ) {}

  /**
   * Starts everything but proxies.
   *
   * @param programs the folder of tests/mesh/programs.sh
   * @param envoy an Envoy with V8
   */
  static async start(programs: string, envoy: string, keepsLogs: boolean): Promise<Mesh> {
    const missing = PROGRAMS.filter((program) => !existsSync(join(programs, program)));
    if (missing.length > 0) {
      throw new Error(`${programs} lacks ${missing.join(", ")}: run tests/mesh/programs.sh ${programs}`);
    }
    const mesh = new Mesh(programs, envoy, keepsLogs);
    try {
      await mesh.startAll();
    } catch (error) {
      await mesh.stop();
      throw error;
    }
    return mesh;
  }

  private async startAll(): Promise<void> {
    const names = ["etcd", "peer", "api", "grpc", "http", "injection", "xds", "monitoring", "registry"];
    for (const name of names) this.ports.set(name, await freePort());
    // The agent stores modules here, and does not create the folder.
    mkdirSync("/var/lib/istio/data", { recursive: true });
    await this.startApiServer();
    await this.startIstiod();
    await this.tool(["image", this.path("image")]);
    await this.startRegistry();
  }

  private async startApiServer(): Promise<void> {
    const openssl = (line: string) => execute("openssl", line.split(" "), { cwd: this.folder });
    await openssl("genrsa -out sa.key 2048");
    await openssl("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 30 -subj /CN=ca");
    await openssl(
      "req -newkey rsa:2048 -nodes -keyout admin.key -out admin.csr -subj /O=system:masters/CN=admin",
    );
    await openssl("x509 -req -in admin.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out admin.crt -days 30");
    const store = `http://127.0.0.1:${this.port("etcd")}`;
    const peers = `http://127.0.0.1:${this.port("peer")}`;
    this.spawn("etcd", "etcd", [
      ...["--data-dir", this.path("etcd"), "--listen-client-urls", store, "--advertise-client-urls", store],
      ...["--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers],
      ...["--initial-cluster", `default=${peers}`],
    ]);
    const issuer = "https://kubernetes.default.svc";
    this.spawn("kube-apiserver", join(this.programs, "kube-apiserver"), [
      ...["--etcd-servers", store, "--bind-address", "127.0.0.1", "--secure-port", String(this.port("api"))],
      ...["--cert-dir", this.path("certs"), "--client-ca-file", "ca.crt", "--advertise-address", "127.0.0.1"],
      ...["--service-account-key-file", "sa.key", "--service-account-signing-key-file", "sa.key"],
      ...["--service-account-issuer", issuer, "--api-audiences", `istio-ca,${issuer}`],
      ...["--authorization-mode", "RBAC", "--service-cluster-ip-range", "10.96.0.0/16"],
      ...["--disable-admission-plugins", "ServiceAccount", "--endpoint-reconciler-type", "none"],
    ]);
    const server = `https://127.0.0.1:${this.port("api")}`;
    const user = { "client-certificate": this.path("admin.crt"), "client-key": this.path("admin.key") };
    const kubeconfig = {
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "mesh", cluster: { server, "insecure-skip-tls-verify": true } }],
      users: [{ name: "admin", user }],
      contexts: [{ name: "mesh", context: { cluster: "mesh", user: "admin" } }],
      "current-context": "mesh",
    };
    writeFileSync(this.path("kubeconfig"), JSON.stringify(kubeconfig));
    await until("kube-apiserver answers", () =>
      this.kubectl(["get", "namespaces"]).then(
        () => true,
        () => false,
      ),
    );
    await this.kubectl(["apply", "-f", join(this.programs, "crd-all.gen.yaml")]);
    for (const namespace of ["istio-system", "shop"]) await this.kubectl(["create", "namespace", namespace]);
  }

  private async startIstiod(): Promise<void> {
    const discoveryAddress = `127.0.0.1:${this.port("xds")}`;
    const config = {
      trustDomain: "cluster.local",
      rootNamespace: "istio-system",
      defaultConfig: { discoveryAddress },
    };
    writeFileSync(this.path("mesh.json"), JSON.stringify(config));
    const at = (name: string) => `127.0.0.1:${this.port(name)}`;
    this.spawn(
      "istiod",
      join(this.programs, "pilot-discovery"),
      [
        ...["discovery", "--kubeconfig", this.path("kubeconfig"), "--meshConfig", this.path("mesh.json")],
        ...["--grpcAddr", at("grpc"), "--httpAddr", at("http"), "--httpsAddr", at("injection")],
        ...["--secureGRPCAddr", at("xds"), "--monitoringAddr", at("monitoring"), "--ctrlz_port", "0"],
      ],
      {
        // An Envoy of Envoy's own project has none of Istio's extensions.
        PILOT_ENABLE_METADATA_EXCHANGE: "false",
        PILOT_DISABLE_MX_ALPN: "true",
        PILOT_CERT_PROVIDER: "istiod",
        POD_NAMESPACE: "istio-system",
        POD_NAME: "istiod",
        SERVICE_ACCOUNT: "istiod",
        ISTIOD_CUSTOM_HOST: "istiod.istio-system.svc,localhost",
        JWT_POLICY: "third-party-jwt",
      },
    );
    await until("istiod is ready", async () => {
      const answer = await fetch(`http://${at("http")}/ready`).catch(() => undefined);
      return answer?.status === 200;
    });
    await until("istiod writes its root certificate", async () => {
      const list = await this.kubectl(["get", "configmaps", "-n", "shop"]);
      return list.includes("istio-ca-root-cert");
    });
    await this.apply(WITHOUT_EXTENSIONS);
  }

  /** Starts the registry, which stores no data permanently, and pushes the module. */
  async startRegistry(): Promise<void> {
    const address = `127.0.0.1:${this.port("registry")}`;
    this.spawn("registry", join(this.programs, "crane"), ["registry", "serve", "--address", address]);
    const index = JSON.parse(readFileSync(this.path("image/index.json"), "utf8"));
    const [{ digest, annotations }] = index.manifests;
    this.digest = digest.replace(/^sha256:/, "");
    const from = `oci:${this.path("image")}:${annotations["org.opencontainers.image.ref.name"]}`;
    const push = ["copy", "--dest-tls-verify=false", "--preserve-digests", from];
    await until("the registry takes the image", () =>
      execute("skopeo", [...push, `docker://${address}/${REPOSITORY}`]).then(
        () => true,
        () => false,
      ),
    );
  }

  /** Ends a process that was started here. */
  async end(name: string): Promise<void> {
    const index = this.processes.findIndex((one) => one.name === name);
    const [found] = this.processes.splice(index, 1);
    if (found === undefined) throw new Error(`${name} was not started`);
    await ended(found.process, "SIGKILL");
  }

  /** The image in the registry, for `--image`. */
  get image(): string {
    return `oci://127.0.0.1:${this.port("registry")}/${REPOSITORY}`;
  }

  path(...names: string[]): string {
    return join(this.folder, ...names);
  }

  private port(name: string): number {
    const port = this.ports.get(name);
    if (port === undefined) throw new Error(`${name} has no port`);
    return port;
  }

  private spawn(
    name: string,
    program: string,
    args: readonly string[],
    environment = {},
    cwd = this.folder,
  ): void {
    const log = createWriteStream(this.path(`${name}.log`), { flags: "a" });
    const child = spawn(program, args, { cwd, env: { ...process.env, ...environment }, detached: true });
    child.stdout.pipe(log);
    child.stderr.pipe(log);
    child.on("error", (error) => log.write(`${error.message}\n`));
    this.processes.push({ name, process: child });
  }

  /** What a process has printed. */
  log(name: string): string {
    return readFileSync(this.path(`${name}.log`), "utf8");
  }

  /** @returns standard output @throws if it fails */
  async kubectl(args: readonly string[], input = ""): Promise<string> {
    const promise = execute(
      join(this.programs, "kubectl"),
      ["--kubeconfig", this.path("kubeconfig"), ...args],
      { maxBuffer: 1 << 26 },
    );
    promise.child.stdin?.end(input);
    return (await promise).stdout;
  }

  apply(yaml: string): Promise<string> {
    return this.kubectl(["apply", "-f", "-"], yaml);
  }

  /** Deletes what scenarios make. */
  async clean(): Promise<void> {
    const kinds = [
      ...["wasmplugins", "requestauthentications", "authorizationpolicies", "peerauthentications"],
      ...[
        "serviceentries",
        "destinationrules",
        "gateways.networking.istio.io",
        "virtualservices",
        "sidecars",
      ],
    ];
    for (const namespace of ["istio-system", "shop"]) {
      await this.kubectl(["delete", kinds.join(","), "--all", "-n", namespace]);
    }
  }

  /** Runs jwtgate. @throws if it fails, with its output */
  async tool(args: readonly string[], input = ""): Promise<string> {
    const promise = execute(process.execPath, [TOOL, ...args], { cwd: this.folder, maxBuffer: 1 << 26 });
    promise.child.stdin?.end(input);
    return (await promise).stdout;
  }

  /** Compiles policies in addition to the other resources of the mesh, and applies the results. */
  async plugin(policies: string, options: readonly string[], image: readonly string[] = []): Promise<string> {
    const where = image.length > 0 ? image : ["--image", this.image, "--sha256", this.digest];
    const written = await this.tool(
      ["compile", "-f", "-", "--output", "wasmplugin", ...options, ...where],
      policies,
    );
    await this.apply(written);
    return written;
  }

  /** Starts a proxy: an istio-agent that runs an Envoy. */
  async proxy(
    name: string,
    kind: "router" | "sidecar",
    { namespace, account, labels }: { namespace: string; account: string; labels: Record<string, string> },
  ): Promise<MeshProxy> {
    const folder = this.path(name);
    for (const inner of ["var/run/secrets/tokens", "var/run/secrets/istio", "etc", "out"]) {
      mkdirSync(join(folder, inner), { recursive: true });
    }
    await this.kubectl(["create", "serviceaccount", account, "-n", namespace]).catch(() => undefined);
    const token = await this.kubectl(["create", "token", account, "-n", namespace, "--audience", "istio-ca"]);
    writeFileSync(join(folder, "var/run/secrets/tokens/istio-token"), token);
    const root = await this.kubectl([
      ...[
        "get",
        "configmap",
        "istio-ca-root-cert",
        "-n",
        namespace,
        "-o",
        "jsonpath={.data.root-cert\\.pem}",
      ],
    ]);
    writeFileSync(join(folder, "var/run/secrets/istio/root-cert.pem"), root);
    const [admin, status, health, prometheus] = [
      await freePort(),
      await freePort(),
      await freePort(),
      await freePort(),
    ];
    const discoveryAddress = `127.0.0.1:${this.port("xds")}`;
    const bootstrap = join(this.programs, "envoy_bootstrap.json");
    this.spawn(
      name,
      join(this.programs, "pilot-agent"),
      [
        ...[
          "proxy",
          kind,
          "--domain",
          `${namespace}.svc.cluster.local`,
          "--meshConfig",
          this.path("mesh.json"),
        ],
        ...["--proxyLogLevel=warning", "--proxyComponentLogLevel=wasm:info", "--templateFile", bootstrap],
      ],
      {
        POD_NAME: name,
        POD_NAMESPACE: namespace,
        INSTANCE_IP: "127.0.0.1",
        SERVICE_ACCOUNT: account,
        ISTIO_META_CLUSTER_ID: "Kubernetes",
        // Without it a sidecar takes ports 15001 and 15006, and expects that all traffic is redirected to them.
        ISTIO_META_INTERCEPTION_MODE: "NONE",
        ISTIO_METAJSON_LABELS: JSON.stringify(labels),
        CA_ADDR: discoveryAddress,
        PILOT_CERT_PROVIDER: "istiod",
        JWT_POLICY: "third-party-jwt",
        WASM_INSECURE_REGISTRIES: `127.0.0.1:${this.port("registry")}`,
        ISTIO_BOOTSTRAP: bootstrap,
        ENVOY_STATUS_PORT: String(health),
        ENVOY_PROMETHEUS_PORT: String(prometheus),
        OUTPUT_CERTS: join(folder, "out"),
        PROXY_CONFIG: JSON.stringify({
          discoveryAddress,
          binaryPath: this.envoy,
          configPath: join(folder, "etc"),
          concurrency: 1,
          proxyBootstrapTemplatePath: bootstrap,
          statusPort: status,
          proxyAdminPort: admin,
        }),
      },
      folder,
    );
    await until(`${name} has its certificate`, async () => existsSync(join(folder, "out/key.pem")));
    return { name, admin, certificates: join(folder, "out") };
  }

  /** The answer of a proxy's admin interface. */
  async admin({ admin }: MeshProxy, path: string): Promise<string> {
    return (await fetch(`http://127.0.0.1:${admin}${path}`)).text();
  }

  /** Ends everything, and removes the folder unless logs are kept. */
  async stop(): Promise<void> {
    for (const { process } of this.processes.reverse()) await ended(process, "SIGTERM");
    if (this.keepsLogs) console.log(`logs: ${this.folder}`);
    else rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Ends a process and those that it started: the agent's Envoy. */
async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const end = new Promise((resolve) => child.once("exit", resolve));
  const kill = (name: NodeJS.Signals) => {
    try {
      process.kill(-(child.pid ?? 0), name);
    } catch {
      // It has already exited.
    }
  };
  kill(signal);
  const patience = setTimeout(() => kill("SIGKILL"), 5000);
  await end;
  clearTimeout(patience);
  kill("SIGKILL");
}

/** Asks a proxy. */
export async function ask(port: number, { path = "/", token, certificates }: Ask = {}): Promise<Answer> {
  const headers: [string, string][] = [
    ["connection", "close"],
    ...(token === undefined ? [] : [["authorization", `Bearer ${token}`] as [string, string]]),
  ];
  const tls = certificates && {
    cert: readFileSync(join(certificates, "cert-chain.pem")),
    key: readFileSync(join(certificates, "key.pem")),
    // The server's name is a SPIFFE ID, which Node does not compare.
    rejectUnauthorized: false,
    ALPNProtocols: ["istio", "http/1.1"],
  };
  try {
    const target = { host: "127.0.0.1", port, ...(tls && { tls }) };
    const { status, body }: Http1Response = await http1(target, { path, authority: "gate.example", headers });
    return { status, body };
  } catch {
    return { status: NO_ANSWER, body: "" };
  }
}

/** Removes the filters that only Istio's own Envoy has. */
const WITHOUT_EXTENSIONS = JSON.stringify({
  apiVersion: "networking.istio.io/v1alpha3",
  kind: "EnvoyFilter",
  metadata: { name: "without-extensions", namespace: "istio-system" },
  spec: {
    configPatches: ["istio.alpn", "istio.stats", "istio.metadata_exchange", "istio_authn"].map((name) => ({
      applyTo: "HTTP_FILTER",
      match: {
        context: "ANY",
        listener: {
          filterChain: {
            filter: { name: "envoy.filters.network.http_connection_manager", subFilter: { name } },
          },
        },
      },
      patch: { operation: "REMOVE" },
    })),
  },
});
