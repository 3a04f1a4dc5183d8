/** What must be true in a mesh: policies that istiod brings to proxies, and the answers that clients get. */
import { writeFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { JwksServer, keys as serveKeys } from "../support/jwks-server.ts";
import { CertificateAuthority } from "../support/pki.ts";
import { TestKey } from "../support/tokens.ts";
import { until } from "../support/until.ts";
import { type Cluster, clustersOf, NAMESPACE, POLICIES, RESOURCES, wantedClusters } from "./key-servers.ts";
import { type Answer, type Ask, ask, freePort, type Mesh, type MeshProxy, NO_ANSWER } from "./mesh.ts";

const ISSUER = "https://issuer.example";
const DENIED = "RBAC: access denied";
const VERIFICATION_FAILS = "Jwt verification fails";

/** What scenarios work with. */
export interface Stage {
  mesh: Mesh;
  /** An ingress gateway in istio-system: plain text, and mutual TLS by the mesh's certificates. */
  gateway: MeshProxy & { http: number; mtls: number };
  /** A sidecar in the namespace shop. */
  sidecar: MeshProxy & { inbound: number };
  /** The port of the service that both forward to. */
  service: number;
  /** Keeps what istiod made, if the run was asked to. */
  record(name: string, value: unknown): void;
  /** Compares, and records the differences. */
  want(what: string, got: Answer, status: number, body?: string): void;
}

export interface Scenario {
  name: string;
  run(stage: Stage): Promise<void>;
}

const GATEWAY = "selector: {matchLabels: {istio: ingressgateway}}";
const CART = "selector: {matchLabels: {app: cart}}";
const GATEWAY_OPTIONS = [
  "--mode",
  "gateway",
  "--namespace",
  "istio-system",
  "--labels",
  "istio=ingressgateway",
];
const SIDECAR_OPTIONS = ["--mode", "sidecar", "--namespace", "shop", "--labels", "app=cart"];

const key = TestKey.generate("ES256", "first");
const stranger = TestKey.generate("ES256", "first");
const TOKEN = key.token({ iss: ISSUER, sub: "alice" });
const FORGED = stranger.token({ iss: ISSUER, sub: "alice" });

interface Place {
  namespace: string;
  /** `selector: …` or `targetRefs: …` */
  attachment: string;
}
const AT_GATEWAY: Place = { namespace: "istio-system", attachment: GATEWAY };
const AT_CART: Place = { namespace: "shop", attachment: CART };

const authentication = ({ namespace, attachment }: Place, rule = `jwks: '${key.jwks}'`) => `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: jwt, namespace: ${namespace}}
spec:
  ${attachment}
  jwtRules: [{issuer: '${ISSUER}', ${rule}}]
---
`;
const authorization = ({ namespace, attachment }: Place, rules: string, action = "ALLOW") => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: rules, namespace: ${namespace}}
spec:
  ${attachment}
  action: ${action}
  rules: ${rules}
---
`;
/** A token is needed except for /open. */
const tokenNeeded = (place: Place, rule?: string) =>
  authentication(place, rule) +
  authorization(
    place,
    "[{from: [{source: {notRequestPrincipals: ['*']}}], to: [{operation: {notPaths: [/open]}}]}]",
    "DENY",
  );

/** The ways to the service: for the gateway its ports and routes, for the sidecar its listener. */
async function ways({ mesh, gateway, sidecar, service }: Stage): Promise<void> {
  await mesh.apply(`
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gateway, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {hosts: ['*'], port: {name: http, number: ${gateway.http}, protocol: HTTP}}
  - {hosts: ['*'], port: {name: https, number: ${gateway.mtls}, protocol: HTTPS}, tls: {mode: ISTIO_MUTUAL}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: service, namespace: istio-system}
spec:
  hosts: [service.example]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 8000, name: http, protocol: HTTP}]
  endpoints: [{address: 127.0.0.1, ports: {http: ${service}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: service, namespace: istio-system}
spec:
  gateways: [gateway]
  hosts: ['*']
  http: [{route: [{destination: {host: service.example, port: {number: 8000}}}]}]
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: cart, namespace: shop}
spec:
  workloadSelector: {labels: {app: cart}}
  ingress:
  - {port: {number: ${sidecar.inbound}, protocol: HTTP, name: http}, bind: 127.0.0.1, defaultEndpoint: '127.0.0.1:${service}', captureMode: NONE}
  egress: [{hosts: ['./*', istio-system/*]}]
`);
  const { certificates } = sidecar;
  await arrives(gateway.http, { path: "/" }, 200);
  await arrives(gateway.mtls, { path: "/", certificates }, 200);
  await arrives(sidecar.inbound, { path: "/" }, 200);
}

/** How many answers in a row show that every worker of a proxy has what istiod brought: each request may meet another. */
const WORKERS_ASKED = 10;

/** Waits for an answer, because istiod's updates take a while. */
function arrives(port: number, request: Ask, status: number): Promise<unknown> {
  const { path, token } = request;
  return until(`${path} with ${token === undefined ? "no token" : "a token"} gets ${status}`, async () => {
    for (let i = 0; i < WORKERS_ASKED; i++) {
      if ((await ask(port, request)).status !== status) return false;
    }
    return true;
  });
}

async function wantTokenNeeded({ want }: Stage, what: string, port: number, more: Ask = {}): Promise<void> {
  want(`${what}: no token`, await ask(port, { path: "/", ...more }), 403, DENIED);
  want(`${what}: no token if none is needed`, await ask(port, { path: "/open", ...more }), 200);
  want(`${what}: a token`, await ask(port, { path: "/", token: TOKEN, ...more }), 200);
  want(
    `${what}: a forged token`,
    await ask(port, { path: "/", token: FORGED, ...more }),
    401,
    VERIFICATION_FAILS,
  );
}

const PEERS = `[
    {from: [{source: {principals: [cluster.local/ns/shop/sa/client]}}], to: [{operation: {paths: [/principal]}}]},
    {from: [{source: {namespaces: [shop]}}], to: [{operation: {paths: [/namespace]}}]},
    {from: [{source: {serviceAccounts: [shop/client]}}], to: [{operation: {paths: [/account]}}]},
    {from: [{source: {notPrincipals: [cluster.local/ns/shop/sa/client]}}], to: [{operation: {paths: [/others]}}]},
]`;
const PEER_PATHS = { "/principal": 200, "/namespace": 200, "/account": 200, "/others": 403, "/": 403 };

export const SCENARIOS: readonly Scenario[] = [
  {
    name: "a gateway, keys in the policy",
    async run(stage) {
      const { mesh, gateway } = stage;
      await mesh.plugin(tokenNeeded(AT_GATEWAY), GATEWAY_OPTIONS);
      await arrives(gateway.http, { path: "/" }, 403);
      await wantTokenNeeded(stage, "gateway", gateway.http);
    },
  },
  {
    name: "a gateway that targetRefs name",
    async run(stage) {
      const { mesh, gateway } = stage;
      const place = {
        namespace: "istio-system",
        attachment: "targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]",
      };
      await mesh.plugin(tokenNeeded(place), ["--namespace", "istio-system", "--gateway", "edge"]);
      await arrives(gateway.http, { path: "/" }, 403);
      await wantTokenNeeded(stage, "targetRefs", gateway.http);
    },
  },
  {
    name: "principals by mutual TLS, at a gateway",
    async run({ mesh, gateway, sidecar, want }) {
      await mesh.plugin(authorization(AT_GATEWAY, PEERS), GATEWAY_OPTIONS);
      const { certificates } = sidecar;
      await arrives(gateway.http, { path: "/" }, 403);
      await arrives(gateway.mtls, { path: "/", certificates }, 403);
      for (const [path, status] of Object.entries(PEER_PATHS)) {
        want(`principals: ${path}`, await ask(gateway.mtls, { path, certificates }), status);
      }
      want("principals: plain text", await ask(gateway.http, { path: "/others" }), 200);
    },
  },
  {
    name: "a sidecar, strict and permissive",
    async run(stage) {
      const { mesh, sidecar, want } = stage;
      const { certificates } = sidecar;
      const policies =
        tokenNeeded(AT_CART) + authorization(AT_CART, PEERS).replace("name: rules", "name: peers");
      const peers = (mode: string) => `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: cart, namespace: shop}
spec: {${CART}, mtls: {mode: ${mode}}}
`;
      await mesh.apply(peers("STRICT"));
      await mesh.plugin(policies, SIDECAR_OPTIONS);
      await arrives(sidecar.inbound, { path: "/", certificates }, 403);
      const asked = (path: string, token?: string, encrypted = true) =>
        ask(sidecar.inbound, { path, ...(token && { token }), ...(encrypted && { certificates }) });
      for (const [path, status] of Object.entries(PEER_PATHS)) {
        want(`strict: ${path}`, await asked(path, TOKEN), status);
        want(`strict: ${path}, no token`, await asked(path), 403, DENIED);
        want(`strict: ${path}, a forged token`, await asked(path, FORGED), 401, VERIFICATION_FAILS);
      }
      want("strict: plain text", await asked("/principal", TOKEN, false), NO_ANSWER);
      await mesh.apply(peers("PERMISSIVE"));
      await arrives(sidecar.inbound, { path: "/others", token: TOKEN }, 200);
      want("permissive: plain text has no principal", await asked("/principal", TOKEN, false), 403, DENIED);
      want("permissive: plain text, not that principal", await asked("/others", TOKEN, false), 200);
      want("permissive: mutual TLS", await asked("/principal", TOKEN), 200);
      want("permissive: mutual TLS, not that principal", await asked("/others", TOKEN), 403, DENIED);
    },
  },
  {
    name: "keys by URL, through a ServiceEntry with TLS of a DestinationRule, and their rotation",
    async run(stage) {
      const { mesh, gateway, want } = stage;
      const authority = new CertificateAuthority();
      const caFile = mesh.path("keys-ca.pem");
      writeFileSync(caFile, authority.certificate);
      const second = TestKey.generate("ES256", "second");
      const server = await JwksServer.start(serveKeys([key.jwk]), authority.issue({ dns: ["keys.example"] }));
      try {
        const port = Number(new URL(server.origin).port);
        const entry = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: keys, namespace: istio-system}
spec:
  hosts: [keys.example]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{number: 443, name: http, protocol: HTTP}]
  endpoints: [{address: 127.0.0.1, ports: {http: ${port}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: keys, namespace: istio-system}
spec:
  host: keys.example
  trafficPolicy:
    tls: {mode: SIMPLE, sni: keys.example, subjectAltNames: [keys.example], caCertificates: ${caFile}}
---
`;
        await mesh.apply(entry);
        const uri = "jwksUri: https://keys.example/jwks";
        const written = await mesh.plugin(tokenNeeded(AT_GATEWAY, uri) + entry, GATEWAY_OPTIONS);
        want(
          "keys by URL: nothing is written for the server",
          { status: written.split("ServiceEntry").length, body: "" },
          1,
        );
        await arrives(gateway.http, { path: "/" }, 403);
        await arrives(gateway.http, { path: "/", token: TOKEN }, 200);
        await wantTokenNeeded(stage, "keys by URL", gateway.http);
        const rotated = second.token({ iss: ISSUER, sub: "alice" });
        server.behaviour = serveKeys([key.jwk, second.jwk]);
        await arrives(gateway.http, { path: "/", token: rotated }, 200);
        want("rotation: the first key still", await ask(gateway.http, { path: "/", token: TOKEN }), 200);
      } finally {
        await server.close();
      }
    },
  },
  {
    name: "clusters of servers of keys",
    async run({ mesh, gateway, want, record }) {
      await mesh.apply(RESOURCES);
      await mesh.plugin(POLICIES + RESOURCES, GATEWAY_OPTIONS);
      const configuration = await mesh.tool(
        ["compile", "-f", "-", "--output", "wasmplugin", ...GATEWAY_OPTIONS, "--image", mesh.image],
        POLICIES + RESOURCES,
      );
      const wanted = wantedClusters(configuration);
      let clusters: Record<string, Cluster> = {};
      await until("istiod has all clusters", async () => {
        clusters = clustersOf(await mesh.admin(gateway, "/config_dump?resource=dynamic_active_clusters"));
        return wanted.every(({ cluster }) => clusters[cluster] !== undefined);
      }).catch(() => undefined);
      for (const { uri, cluster } of wanted) {
        const found = clusters[cluster];
        want(`${uri}: there is ${cluster}`, { status: found === undefined ? 0 : 1, body: "" }, 1);
        want(
          `${uri}: TLS`,
          { status: found?.tls === undefined ? 0 : 1, body: "" },
          uri.startsWith("https") ? 1 : 0,
        );
      }
      await mesh.kubectl(["delete", "services", "in-mesh", "secure", "-n", NAMESPACE]);
      record("clusters", Object.fromEntries(wanted.map(({ cluster }) => [cluster, clusters[cluster]])));
    },
  },
  {
    name: "shadow together with Istio's own policies",
    async run(stage) {
      const { mesh, gateway, want } = stage;
      await mesh.plugin(tokenNeeded(AT_GATEWAY), [...GATEWAY_OPTIONS, "--shadow"]);
      await until("the plugin runs", async () =>
        (await mesh.admin(gateway, "/stats/prometheus")).includes("jwtgate_"),
      );
      await ask(gateway.http, { path: "/" });
      want("shadow refuses nothing", await ask(gateway.http, { path: "/" }), 200);
      want("shadow refuses no forged token", await ask(gateway.http, { path: "/", token: FORGED }), 200);
      await mesh.apply(tokenNeeded(AT_GATEWAY));
      // Two resources, which istiod may push one after the other.
      await arrives(gateway.http, { path: "/" }, 403);
      await arrives(gateway.http, { path: "/", token: TOKEN }, 200);
      await wantTokenNeeded(stage, "Istio's own policies, together with shadow", gateway.http);
      await until("shadow counts refusals", async () => {
        const stats = await mesh.admin(gateway, "/stats/prometheus");
        return [...stats.matchAll(/^jwtgate_shadow_denied\S* (\d+)/gm)].some(
          ([, count]) => Number(count) > 0,
        );
      });
    },
  },
  {
    name: "from Istio's filters to the plugin and back, under load",
    async run({ mesh, gateway, want }) {
      const policies = tokenNeeded(AT_GATEWAY);
      const both = policies.replace("jwtRules: [{", "jwtRules: [{forwardOriginalToken: true, ");
      const removePolicies = () =>
        mesh.kubectl([
          "delete",
          "requestauthentications,authorizationpolicies",
          "--all",
          "-n",
          "istio-system",
        ]);
      await mesh.apply(policies);
      await arrives(gateway.http, { path: "/" }, 403);
      const requests: [Ask, number][] = [
        [{ path: "/" }, 403],
        [{ path: "/", token: TOKEN }, 200],
        [{ path: "/", token: FORGED }, 401],
        [{ path: "/open" }, 200],
      ];
      let isOver = false;
      let count = 0;
      const wrong: string[] = [];
      const load = requests.map(async ([request, status]) => {
        while (!isOver) {
          const got = await ask(gateway.http, request);
          count++;
          if (got.status !== status) wrong.push(`${JSON.stringify(request)}: ${got.status} ${got.body}`);
        }
      });
      // As long as a person waits after each step; istiod needs a second or two.
      const step = async (change: () => Promise<unknown>) => {
        await change();
        await pause(5000);
      };
      try {
        await step(() => mesh.plugin(policies, [...GATEWAY_OPTIONS, "--shadow"]));
        await step(() => mesh.plugin(both, GATEWAY_OPTIONS));
        await step(removePolicies);
        await step(() => mesh.plugin(policies, GATEWAY_OPTIONS));
        await step(() => mesh.plugin(both, GATEWAY_OPTIONS));
        await step(() => mesh.apply(policies));
        await step(() => mesh.kubectl(["delete", "wasmplugins", "--all", "-n", "istio-system"]));
      } finally {
        isOver = true;
        await Promise.all(load);
      }
      want(`${count} requests under load`, { status: wrong.length, body: wrong.slice(0, 3).join("; ") }, 0);
      want("there was load", { status: count > 200 ? 1 : 0, body: String(count) }, 1);
    },
  },
  {
    name: "an image whose digest is another",
    async run({ mesh, gateway, want }) {
      const wrong = ["--image", mesh.image, "--sha256", "0".repeat(64)];
      await mesh.plugin(tokenNeeded(AT_GATEWAY), GATEWAY_OPTIONS, wrong);
      await arrives(gateway.http, { path: "/open" }, 403);
      want("a wrong digest: a good token", await ask(gateway.http, { path: "/", token: TOKEN }), 403);
      await mesh.plugin(tokenNeeded(AT_GATEWAY), GATEWAY_OPTIONS);
      await arrives(gateway.http, { path: "/open" }, 200);
      want("the right digest afterwards", await ask(gateway.http, { path: "/", token: TOKEN }), 200);
    },
  },
  {
    name: "an image that a shadow plugin cannot fetch",
    async run({ mesh, gateway, want }) {
      await mesh.plugin(
        tokenNeeded(AT_GATEWAY),
        [...GATEWAY_OPTIONS, "--shadow"],
        ["--image", `${mesh.image}-missing`],
      );
      await until("the agent has tried", async () => mesh.log(gateway.name).includes("test-missing"));
      await arrives(gateway.http, { path: "/" }, 200);
      want("shadow without an image", await ask(gateway.http, { path: "/", token: FORGED }), 200);
    },
  },
  {
    name: "a registry that is down when a proxy starts",
    async run({ mesh, gateway, want }) {
      await mesh.end("registry");
      // An agent keeps the modules that it has fetched, so this tag is new.
      const image = ["--image", mesh.image, "--sha256", mesh.digest];
      await mesh.plugin(tokenNeeded(AT_GATEWAY), GATEWAY_OPTIONS, image);
      const late = { ...(await startGateway(mesh, "late")), http: gateway.http, mtls: gateway.mtls };
      await mesh.end(gateway.name);
      await arrives(late.http, { path: "/open" }, 403);
      want("no registry: a good token", await ask(late.http, { path: "/", token: TOKEN }), 403);
      await mesh.startRegistry();
      // The agent does not retry, but it fetches after a change of the plugin.
      await mesh.kubectl(["delete", "wasmplugins", "--all", "-n", "istio-system"]);
      await mesh.plugin(tokenNeeded(AT_GATEWAY), GATEWAY_OPTIONS, image);
      await arrives(late.http, { path: "/" }, 403);
      await arrives(late.http, { path: "/open" }, 200);
      want("the registry is back: a good token", await ask(late.http, { path: "/", token: TOKEN }), 200);
    },
  },
];

function startGateway(mesh: Mesh, name: string): Promise<MeshProxy> {
  const labels = { istio: "ingressgateway", "gateway.networking.k8s.io/gateway-name": "edge" };
  return mesh.proxy(name, "router", { namespace: "istio-system", account: "gateway", labels });
}

/** The proxies that all scenarios use. The last scenario ends the gateway. */
export async function setStage(
  mesh: Mesh,
  service: number,
  { want, record }: Pick<Stage, "want" | "record">,
): Promise<Stage> {
  const [http, mtls, inbound] = [await freePort(), await freePort(), await freePort()];
  const gateway = { ...(await startGateway(mesh, "gateway")), http, mtls };
  const labels = { app: "cart" };
  const sidecar = {
    ...(await mesh.proxy("sidecar", "sidecar", { namespace: "shop", account: "client", labels })),
    inbound,
  };
  return { mesh, gateway, sidecar, service, want, record };
}

/** Runs one, on ways that are open. */
export async function play(scenario: Scenario, stage: Stage): Promise<void> {
  await stage.mesh.clean();
  await ways(stage);
  await scenario.run(stage);
}
