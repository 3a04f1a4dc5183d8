/** CUSTOM policies: Envoy asks real authorizers, in HTTP and in gRPC, about the requests that the policies name. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type Authorizer,
  type Check,
  startGrpcAuthorizer,
  startHttpAuthorizer,
  type Verdict,
} from "../support/authorizers.ts";
import { envoyVersion } from "../support/envoy.ts";
import { Gate, type GateAnswer, jwtgate } from "../support/gate.ts";
import { headerOf, http1 } from "../support/http1.ts";
import { RunWorkspace, stop } from "../support/run-command.ts";
import { bearer, TestKey } from "../support/tokens.ts";
import { until } from "../support/until.ts";
import { startUpstream } from "../support/upstream.ts";

const ISSUER = "https://issuer.example";
const key = TestKey.generate("ES256", "one");

const folder = mkdtempSync(join(tmpdir(), "jwtgate-authorizers-"));
afterAll(() => rmSync(folder, { recursive: true }));

const authentication = JSON.stringify({
  apiVersion: "security.istio.io/v1",
  kind: "RequestAuthentication",
  metadata: { name: "jwt" },
  spec: {
    jwtRules: [{ issuer: ISSUER, jwks: key.jwks, outputClaimToHeaders: [{ header: "x-sub", claim: "sub" }] }],
  },
});

function policy(name: string, spec: object): string {
  const [apiVersion, kind] = ["security.istio.io/v1", "AuthorizationPolicy"];
  return JSON.stringify({ apiVersion, kind, metadata: { name }, spec });
}

function custom(provider: string, ...paths: string[]): string {
  const rules = [{ to: [{ operation: { paths } }] }];
  return policy(`custom-${provider}`, { action: "CUSTOM", provider: { name: provider }, rules });
}

/** A gate whose mesh config has these providers. */
function startGate(policies: string[], extensionProviders: object[], flags: string[] = []): Promise<Gate> {
  const file = join(folder, `${Math.random()}.json`);
  writeFileSync(file, JSON.stringify({ extensionProviders }));
  return Gate.start(policies.join("\n---\n"), ["--mesh-config", file, ...flags]);
}

/** By the path of the request. */
function decide({ path, headers }: Check): Verdict {
  if (path.endsWith("/allow")) {
    return { allow: true, headers: { "x-user": "alice", "x-sub": "forged" }, toClient: { "x-note": "seen" } };
  }
  if (path.endsWith("/echo")) return { allow: true, headers: { "x-user": JSON.stringify(headers) } };
  if (path.endsWith("/never")) return "never";
  return {
    allow: false,
    status: 418,
    body: "no tea for you\n",
    headers: { "x-why": "tea", "x-hidden": "1" },
  };
}

/** What both kinds have. */
interface Kind {
  start: (decide: (check: Check) => Verdict) => Promise<Authorizer>;
  member: "envoyExtAuthzHttp" | "envoyExtAuthzGrpc";
  /** Fields that only HTTP has: gRPC says it in its answer. */
  headers: object;
}

const KINDS: Record<string, Kind> = {
  HTTP: {
    start: startHttpAuthorizer,
    member: "envoyExtAuthzHttp",
    headers: {
      headersToUpstreamOnAllow: ["x-user", "X-Su*"],
      headersToDownstreamOnAllow: ["*-note"],
      headersToDownstreamOnDeny: ["x-why"],
    },
  },
  gRPC: { start: startGrpcAuthorizer, member: "envoyExtAuthzGrpc", headers: {} },
};

/** A port without a listener. */
async function closedPort(): Promise<number> {
  const { port, close } = await startHttpAuthorizer(decide);
  await close();
  return port;
}

describe.each(Object.entries(KINDS))(
  "an authorizer that is asked in %s",
  (_name, { start, member, headers }) => {
    let authorizer: Authorizer;
    let gate: Gate;
    /** Envoy 1.37.0 drops headers of an HTTP authorizer's refusal and its `statusOnError`; 1.37.1 does not. */
    let dropsRefusals: boolean;
    const provider = (name: string, more: object) => ({
      name,
      [member]: { service: "127.0.0.1", port: authorizer.port, ...headers, ...more },
    });

    beforeAll(async () => {
      dropsRefusals = member === "envoyExtAuthzHttp" && (await envoyVersion()) === "1.37.0";
      authorizer = await start(decide);
      const down = { port: await closedPort() };
      gate = await startGate(
        [
          authentication,
          custom("asked", "/asked/*", "/token"),
          custom("quick", "/quick/*"),
          custom("quick-open", "/quick-open/*"),
          custom("down", "/down/*"),
          custom("down-open", "/down-open/*"),
          custom("body", "/body/*"),
          policy("deny", { action: "DENY", rules: [{ to: [{ operation: { paths: ["/asked/deny/*"] } }] }] }),
        ],
        [
          provider("asked", {}),
          provider("quick", { timeout: "0.05s" }),
          provider("quick-open", { timeout: "0.05s", failOpen: true }),
          provider("down", { ...down, statusOnError: "503" }),
          provider("down-open", { ...down, failOpen: true }),
          provider("body", { includeRequestBodyInCheck: { maxRequestBytes: 8 } }),
        ],
      );
    });
    afterAll(async () => {
      await gate?.stop();
      await authorizer?.close();
    });

    /** The answer, and the request to the authorizer. */
    async function ask(
      path: string,
      more: { headers?: [string, string][]; method?: string; body?: string } = {},
    ): Promise<{ answer: GateAnswer; checks: Check[] }> {
      const before = authorizer.checks.length;
      const answer = await gate.request({ path, ...more });
      return { answer, checks: authorizer.checks.slice(before) };
    }

    test("allows a request, with headers to the service and to the client", async () => {
      const { answer, checks } = await ask("/asked/allow");
      expect(answer.status).toBe(200);
      expect(headerOf(answer.received ?? { headers: [] }, "x-user")).toBe("alice");
      expect(headerOf(answer, "x-note")).toBe("seen");
      expect(checks).toMatchObject([{ method: "GET", path: "/asked/allow" }]);
    });

    test("refuses one, in its own words", async () => {
      const { answer, checks } = await ask("/asked/refuse");
      expect(answer).toMatchObject({ status: 418, body: "no tea for you\n", details: "ext_authz_denied" });
      expect(answer.received).toBeUndefined();
      expect(headerOf(answer, "x-why")).toBe(dropsRefusals ? undefined : "tea");
      if (member === "envoyExtAuthzHttp") expect(headerOf(answer, "x-hidden")).toBeUndefined();
      expect(checks).toHaveLength(1);
    });

    test("is not asked about what no rule matches", async () => {
      const { answer, checks } = await ask("/elsewhere/allow");
      expect(answer.status).toBe(200);
      expect(headerOf(answer.received ?? { headers: [] }, "x-user")).toBeUndefined();
      expect(checks).toEqual([]);
    });

    test("overrides a client's values of its headers", async () => {
      const { answer } = await ask("/asked/allow", { headers: [["X-User", "mallory"]] });
      expect(headerOf(answer.received ?? { headers: [] }, "x-user")).toBe("alice");
    });

    test("cannot set a header that the filter writes", async () => {
      const { answer } = await ask("/asked/allow");
      expect(headerOf(answer.received ?? { headers: [] }, "x-sub")).toBeUndefined();
      const token = key.token({ iss: ISSUER, sub: "bob" });
      const { answer: withToken } = await ask("/asked/allow", { headers: [bearer(token)] });
      expect(headerOf(withToken.received ?? { headers: [] }, "x-sub")).toBe("bob");
    });

    test("decides before the filter does", async () => {
      const bad: [string, string][] = [["Authorization", "Bearer a.b.c"]];
      expect((await ask("/asked/refuse", { headers: bad })).answer.status).toBe(418);
      expect((await ask("/asked/allow", { headers: bad })).answer.status).toBe(401);
      expect((await ask("/asked/deny/refuse")).answer.status).toBe(418);
      const { answer, checks } = await ask("/asked/deny/allow");
      expect(answer).toMatchObject({ status: 403, body: "RBAC: access denied" });
      expect(checks).toHaveLength(1);
    });

    test("that does not answer in time refuses, or lets pass if it fails open", async () => {
      const { answer } = await ask("/quick/never");
      expect(answer).toMatchObject({ status: 403, details: "ext_authz_error" });
      expect((await ask("/quick-open/never")).answer.status).toBe(200);
      expect((await ask("/quick-open/refuse")).answer.status).toBe(418);
    });

    test("that is not there refuses with its own status, or lets pass if it fails open", async () => {
      const { answer } = await ask("/down/allow");
      expect(answer).toMatchObject({ status: dropsRefusals ? 403 : 503, details: "ext_authz_error" });
      expect(answer.received).toBeUndefined();
      expect((await ask("/down-open/allow")).answer.status).toBe(200);
    });

    test("gets the body, if it is asked for, and Envoy refuses one that is too large", async () => {
      const { answer, checks } = await ask("/body/allow", { method: "POST", body: "12345678" });
      expect(answer.received?.body).toBe("12345678");
      expect(checks).toMatchObject([{ method: "POST", body: "12345678" }]);
      expect((await ask("/asked/allow", { method: "POST", body: "12345678" })).checks).toMatchObject([
        { body: "" },
      ]);
      const tooLarge = await ask("/body/allow", { method: "POST", body: "123456789" });
      expect(tooLarge.answer.status).toBe(413);
      expect(tooLarge.checks).toEqual([]);
    });
  },
);

test("an authorizer in HTTP is asked below its prefix, and gets the headers that are named", async () => {
  const authorizer = await startHttpAuthorizer(decide);
  const service = { service: "default/localhost", port: authorizer.port };
  const gate = await startGate(
    [custom("a", "/*")],
    [
      {
        name: "a",
        envoyExtAuthzHttp: {
          ...service,
          pathPrefix: "/check",
          includeRequestHeadersInCheck: ["x-one", "x-two-*"],
          includeAdditionalHeadersInCheck: { "x-gate": "100%%", "x-one": "1" },
          headersToUpstreamOnAllow: ["x-user"],
        },
      },
    ],
  );
  try {
    const headers: [string, string][] = [
      ["X-One", "client"],
      ["x-two-b", "2"],
      ["x-three", "3"],
      ["authorization", "Basic YTpi"],
    ];
    expect((await gate.request({ path: "/echo", headers })).status).toBe(200);
    const [check] = authorizer.checks;
    expect(check?.path).toBe("/check/echo");
    expect(check?.headers).toMatchObject({ "x-one": "1", "x-two-b": "2", "x-gate": "100%" });
    expect(check?.headers).toMatchObject({ authorization: "Basic YTpi" });
    expect(check?.headers).not.toHaveProperty("x-three");
  } finally {
    await gate.stop();
    await authorizer.close();
  }
});

test("several authorizers are asked in the order of their names, each about its own requests", async () => {
  const asked: string[] = [];
  const authorizer = async (name: string) =>
    startHttpAuthorizer(() => {
      asked.push(name);
      return { allow: true };
    });
  // The notes of one must not be taken for those of another whose name they begin with.
  const names = ["b", "a", "a-ns", "a-b"];
  const authorizers = await Promise.all(names.map(authorizer));
  const providers = authorizers.map(({ port }, i) => ({
    name: names[i],
    envoyExtAuthzHttp: { service: "127.0.0.1", port },
  }));
  const policies = names.map((name) => custom(name, `/${name}`, "/all"));
  const gate = await startGate(policies, providers);
  try {
    for (const name of names) {
      asked.length = 0;
      expect((await gate.request({ path: `/${name}` })).status).toBe(200);
      expect(asked, name).toEqual([name]);
    }
    asked.length = 0;
    await gate.request({ path: "/all" });
    expect(asked).toEqual(["a", "a-b", "a-ns", "b"]);
    asked.length = 0;
    await gate.request({ path: "/none" });
    expect(asked).toEqual([]);
  } finally {
    await gate.stop();
    for (const one of authorizers) await one.close();
  }
});

test("in shadow no authorizer is asked, and every request passes", async () => {
  const authorizer = await startHttpAuthorizer(decide);
  const provider = { name: "a", envoyExtAuthzHttp: { service: "127.0.0.1", port: authorizer.port } };
  const gate = await startGate([custom("a", "/*")], [provider], ["--shadow"]);
  try {
    expect((await gate.request({ path: "/refuse" })).status).toBe(200);
    expect(authorizer.checks).toEqual([]);
  } finally {
    await gate.stop();
    await authorizer.close();
  }
});

test("run asks them too, prints which, and watches the mesh config", async () => {
  const upstream = await startUpstream();
  const first = await startHttpAuthorizer(decide);
  const second = await startHttpAuthorizer(() => ({ allow: true }));
  const workspace = new RunWorkspace();
  const mesh = (port: number) => {
    const provider = { name: "a", envoyExtAuthzHttp: { service: "127.0.0.1", port } };
    writeFileSync(workspace.path("mesh.yaml"), JSON.stringify({ extensionProviders: [provider] }));
  };
  try {
    writeFileSync(workspace.path("policies", "a.yaml"), custom("a", "/*"));
    mesh(first.port);
    const running = await workspace.serve(upstream.port, ["--mesh-config", "mesh.yaml"]);
    const ask = () => http1({ host: "127.0.0.1", port: running.port }, { path: "/refuse" });
    expect((await ask()).status).toBe(418);
    const line = "GET /refuse 418 ext_authz_denied the extension provider of a CUSTOM policy";
    await until(line, async () => running.stdout().includes(line));
    writeFileSync(workspace.path("mesh.yaml"), "extensionProviders: []");
    await running.printed('mesh.yaml has no extension provider "a"');
    await running.printed("the previous policies stay in force");
    expect((await ask()).status).toBe(418);
    mesh(second.port);
    await running.printed("reloaded: ");
    await until("the second is asked", async () => (await ask()).status === 200);
    expect(second.checks.length).toBeGreaterThan(0);
    await stop(running);
  } finally {
    workspace.remove();
    for (const one of [upstream, first, second]) await one.close();
  }
});

test("explain prints which authorizer is asked, and why", () => {
  const file = join(folder, "policies.json");
  const rules = [
    { to: [{ operation: { paths: ["/a"] } }], from: [{ source: { ipBlocks: ["10.0.0.0/8"] } }] },
  ];
  writeFileSync(file, policy("ask", { action: "CUSTOM", provider: { name: "opa" }, rules }));
  const explain = (...flags: string[]) => jwtgate("explain", "-f", file, "--path", "/a", ...flags);
  const asked = explain("--peer", "10.1.2.3");
  expect(asked.status).toBe(0);
  expect(asked.stdout).toContain('"opa" is asked first; its answer is unknown');
  expect(asked.stdout).toContain("✓ ipBlocks 10.0.0.0/8");
  expect(asked.stdout).toContain('forwarded, if "opa" allows it');
  const other = explain();
  expect(other.stdout).toContain('"opa" is not asked: no rule of its CUSTOM policies matches');
  expect(other.stdout).toContain("✗ ipBlocks 10.0.0.0/8");
  expect(other.stdout).toContain("\n  forwarded\n");
  const json = JSON.parse(explain("--peer", "10.1.2.3", "--json").stdout);
  expect(json.externalAuthorization).toMatchObject([
    {
      provider: "opa",
      policies: ["AuthorizationPolicy default/ask"],
      asked: true,
      rules: [{ matched: true }],
    },
  ]);
});
