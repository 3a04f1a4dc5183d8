/**
 * Cases that were not recorded – HTTP/2, gRPC over it, IPv6 peers, client certificates, `presence: REQUIRED` – against
 * Envoy's own filters, configured by hand as istiod would: the same requests, side by side in one Envoy.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Configuration } from "../../tools/config/schema.ts";
import { formatDiagnostic } from "../../tools/diagnostics.ts";
import type { Envoy } from "../../tools/envoy/process.ts";
import { cluster, listener, type Message, type Tls } from "../../tools/render/bootstrap.ts";
import { compile } from "../../tools/targets/compile.ts";
import { MODULE, startEnvoy, tellDetails } from "../support/envoy.ts";
import { type Http1Request, type Http1Response, http1, type Target } from "../support/http1.ts";
import { http2 } from "../support/http2.ts";
import {
  ANY,
  AUTHENTICATED,
  certificate,
  cidr,
  claim,
  host,
  jwtAuthn,
  NON_EMPTY,
  provider,
  rbac,
  withFilters,
} from "../support/native.ts";
import { CertificateAuthority } from "../support/pki.ts";
import { bearer, TestKey } from "../support/tokens.ts";
import { receivedOf, startUpstream, type Upstream } from "../support/upstream.ts";

const ISSUER = "https://issuer.example";
const OTHER_ISSUER = "https://second.example";
const key = TestKey.generate("RS256", "k");
const second = TestKey.generate("ES256", "k2");
const stranger = TestKey.generate("RS256", "k");

/** The same policies twice: as Istio's YAML for jwtgate, and as Envoy's own filters. */
interface Setup {
  policies: string;
  filters: Message[];
  tls?: true;
}

function authentication(...rules: string[]): string {
  return `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: a, namespace: foo}
spec:
  jwtRules:
${rules.map((rule) => `  - ${rule}\n`).join("")}`;
}

function authorization(name: string, spec: string): string {
  return `
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ${name}, namespace: foo}
spec: ${spec}`;
}

const idOf = (policy: string): string => `ns[foo]-policy[${policy}]-rule[0]`;
const OUTPUTS = "outputPayloadToHeader: x-payload, outputClaimToHeaders: [{header: x-sub, claim: sub}]";
const NATIVE_OUTPUTS: Message = {
  forward_payload_header: "x-payload",
  claim_to_headers: [{ header_name: "x-sub", claim_name: "sub" }],
};
const ROLE_OUTPUTS =
  "outputPayloadToHeader: x-payload, outputClaimToHeaders: [{header: x-role, claim: role}]";
const NATIVE_ROLE_OUTPUTS: Message = {
  forward_payload_header: "x-payload",
  claim_to_headers: [{ header_name: "x-role", claim_name: "role" }],
};
const OPTIONAL: Message = {
  requires_any: { requirements: [{ provider_name: "origins-0" }, { allow_missing: {} }] },
};

const SETUPS: Record<string, Setup> = {
  tokens: {
    policies: [
      authentication(`{issuer: '${ISSUER}', jwks: '${key.jwks}', audiences: [api], ${OUTPUTS}}`),
      authorization("deny", "{action: DENY, rules: [{to: [{operation: {paths: [/denied]}}]}]}"),
      authorization("allow", "{rules: [{from: [{source: {requestPrincipals: ['*']}}]}]}"),
    ].join(""),
    filters: [
      jwtAuthn(
        { "origins-0": provider(ISSUER, key.jwks, { audiences: ["api"], ...NATIVE_OUTPUTS }) },
        OPTIONAL,
      ),
      rbac("DENY", idOf("deny"), [ANY], [{ url_path: { path: { exact: "/denied" } } }]),
      rbac("ALLOW", idOf("allow"), [AUTHENTICATED], [ANY]),
    ],
  },
  places: {
    policies: authentication(
      `{issuer: '${ISSUER}', jwks: '${key.jwks}', fromCookies: [session], fromParams: [t], fromHeaders: [{name: x-t}], ${OUTPUTS}}`,
    ),
    filters: [
      jwtAuthn(
        {
          "origins-0": provider(ISSUER, key.jwks, {
            from_cookies: ["session"],
            from_params: ["t"],
            from_headers: [{ name: "x-t" }],
            ...NATIVE_OUTPUTS,
          }),
        },
        OPTIONAL,
      ),
    ],
  },
  "forwarded claims": {
    policies: [
      authentication(
        `{issuer: '${ISSUER}', jwks: '${key.jwks}', fromHeaders: [{name: x-a}, {name: x-b}], ${ROLE_OUTPUTS}}`,
      ),
      authorization(
        "deny",
        "{action: DENY, rules: [{when: [{key: 'request.auth.claims[role]', values: [admin]}]}]}",
      ),
    ].join(""),
    filters: [
      jwtAuthn(
        {
          "origins-0": provider(ISSUER, key.jwks, {
            from_headers: [{ name: "x-a" }, { name: "x-b" }],
            ...NATIVE_ROLE_OUTPUTS,
          }),
        },
        OPTIONAL,
      ),
      rbac("DENY", idOf("deny"), [claim("role", { exact: "admin" })], [ANY]),
    ],
  },
  // What docs/security-model.md advises.
  "forwarded claims without blanks, from Authorization": {
    policies: [
      authentication(
        `{issuer: '${ISSUER}', jwks: '${key.jwks}', fromHeaders: [{name: Authorization, prefix: 'Bearer '}], ${ROLE_OUTPUTS}}`,
      ),
      authorization(
        "deny",
        `{action: DENY, rules: [{when: [{key: 'request.auth.claims[role]', values: [admin, " *", "* ", "\\t*", "*\\t"]}]}]}`,
      ),
    ].join(""),
    filters: [
      jwtAuthn(
        {
          "origins-0": provider(ISSUER, key.jwks, {
            from_headers: [{ name: "Authorization", value_prefix: "Bearer " }],
            ...NATIVE_ROLE_OUTPUTS,
          }),
        },
        OPTIONAL,
      ),
      rbac(
        "DENY",
        idOf("deny"),
        [
          claim("role", { exact: "admin" }),
          ...[" ", "\t"].flatMap((blank) => [
            claim("role", { prefix: blank }),
            claim("role", { suffix: blank }),
          ]),
        ],
        [ANY],
      ),
    ],
  },
  hosts: {
    policies: [
      authorization(
        "deny",
        "{action: DENY, rules: [{to: [{operation: {hosts: [admin.example, 'admin.example:*']}}]}]}",
      ),
      authorization("allow", "{rules: [{to: [{operation: {notHosts: ['*.closed.example']}}]}]}"),
    ].join(""),
    filters: [
      rbac(
        "DENY",
        idOf("deny"),
        [ANY],
        [host({ exact: "admin.example" }), host({ prefix: "admin.example:" })],
      ),
      rbac("ALLOW", idOf("allow"), [ANY], [{ not_rule: host({ suffix: ".closed.example" }) }]),
    ],
  },
  "one required": {
    policies: authentication(`{issuer: '${ISSUER}', jwks: '${key.jwks}', presence: REQUIRED, ${OUTPUTS}}`),
    filters: [
      jwtAuthn({ "origins-0": provider(ISSUER, key.jwks, NATIVE_OUTPUTS) }, { provider_name: "origins-0" }),
    ],
  },
  "one required, one optional": {
    policies: authentication(
      `{issuer: '${ISSUER}', jwks: '${key.jwks}', presence: REQUIRED, ${OUTPUTS}}`,
      `{issuer: '${OTHER_ISSUER}', jwks: '${second.jwks}', fromHeaders: [{name: x-second}], outputClaimToHeaders: [{header: x-second-sub, claim: sub}]}`,
    ),
    filters: [
      jwtAuthn(
        {
          "origins-0": provider(ISSUER, key.jwks, NATIVE_OUTPUTS),
          "origins-1": provider(OTHER_ISSUER, second.jwks, {
            from_headers: [{ name: "x-second" }],
            claim_to_headers: [{ header_name: "x-second-sub", claim_name: "sub" }],
          }),
        },
        {
          requires_all: {
            requirements: [
              { provider_name: "origins-0" },
              { requires_any: { requirements: [{ provider_name: "origins-1" }, { allow_missing: {} }] } },
            ],
          },
        },
      ),
    ],
  },
  "direct peers": {
    policies: authorization("allow", "{rules: [{from: [{source: {ipBlocks: ['::1', 10.0.0.0/8]}}]}]}"),
    filters: [
      rbac(
        "ALLOW",
        idOf("allow"),
        [{ direct_remote_ip: cidr("::1", 128) }, { direct_remote_ip: cidr("10.0.0.0", 8) }],
        [ANY],
      ),
    ],
  },
  "remote addresses": {
    policies: authorization(
      "deny",
      "{action: DENY, rules: [{from: [{source: {notRemoteIpBlocks: ['::/64']}}]}]}",
    ),
    filters: [rbac("DENY", idOf("deny"), [{ not_id: { remote_ip: cidr("::", 64) } }], [ANY])],
  },
  "one client": {
    policies: authorization("allow", "{rules: [{from: [{source: {principals: [td/ns/foo/sa/one]}}]}]}"),
    filters: [rbac("ALLOW", idOf("allow"), [certificate({ exact: "spiffe://td/ns/foo/sa/one" })], [ANY])],
    tls: true,
  },
  "a namespace of clients": {
    policies: authorization("deny", "{action: DENY, rules: [{from: [{source: {namespaces: [foo, b*]}}]}]}"),
    filters: [
      rbac(
        "DENY",
        idOf("deny"),
        ["foo", "b.*"].map((namespace) => certificate({ safe_regex: { regex: `.*/ns/${namespace}/.*` } })),
        [ANY],
      ),
    ],
    tls: true,
  },
  "a service account": {
    policies: authorization("allow", "{rules: [{from: [{source: {serviceAccounts: [foo/one]}}]}]}"),
    filters: [
      rbac(
        "ALLOW",
        idOf("allow"),
        [certificate({ safe_regex: { regex: "spiffe://.+/ns/foo/(.+/|)sa/one(/.+)?" } })],
        [ANY],
      ),
    ],
    tls: true,
  },
  "any but a prefix, and a server name": {
    policies: authorization(
      "allow",
      "{rules: [{from: [{source: {notPrincipals: ['td/ns/foo/*']}}], when: [{key: connection.sni, values: ['*.example']}]}]}",
    ),
    filters: [
      rbac(
        "ALLOW",
        idOf("allow"),
        [{ not_id: certificate({ prefix: "spiffe://td/ns/foo/" }) }],
        [{ requested_server_name: { suffix: ".example" } }],
      ),
    ],
    tls: true,
  },
  "a client and a token": {
    policies: [
      authentication(`{issuer: '${ISSUER}', jwks: '${key.jwks}'}`),
      authorization(
        "allow",
        "{rules: [{from: [{source: {principals: ['*'], requestPrincipals: ['*']}}], when: [{key: 'request.auth.claims[role]', values: [admin]}]}]}",
      ),
    ].join(""),
    filters: [
      jwtAuthn({ "origins-0": provider(ISSUER, key.jwks) }, OPTIONAL),
      rbac(
        "ALLOW",
        idOf("allow"),
        [{ and_ids: { ids: [certificate(NON_EMPTY), AUTHENTICATED, claim("role", { exact: "admin" })] } }],
        [ANY],
      ),
    ],
    tls: true,
  },
};

const NUMBERS: Record<string, number> = {};
const nameOf = (setup: string, kind: "jwtgate" | "native", host: string): string => {
  NUMBERS[setup] ??= Object.keys(NUMBERS).length;
  return `${kind}-${NUMBERS[setup]}-${host.includes(":") ? 6 : 4}`;
};
const HOSTS = ["127.0.0.1", "::1"];

const authority = new CertificateAuthority();
let folder: string;
let upstream: Upstream;
let envoy: Envoy;
const ports = new Map<string, number>();

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "jwtgate-native-"));
  const server = authority.issue({ dns: ["gate.example"] });
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const tls: Tls = {
    certificate: file("server.pem", server.certificate),
    key: file("server.key", server.key),
    clientCa: file("ca.pem", authority.certificate),
  };
  upstream = await startUpstream();
  const listeners = Object.entries(SETUPS).flatMap(([name, setup]) =>
    HOSTS.flatMap((host) =>
      (["jwtgate", "native"] as const).map((kind) => {
        const made = tellDetails(
          listener({
            name: nameOf(name, kind, host),
            address: { host, port: 0 },
            module: MODULE,
            configuration: configurationOf(setup),
            cluster: "upstream",
            accessLog: false,
            ...(setup.tls && { tls }),
          }),
        );
        return kind === "native" ? withFilters(made, setup.filters) : made;
      }),
    ),
  );
  envoy = await startEnvoy({
    listeners,
    clusters: [cluster({ name: "upstream", address: { host: "127.0.0.1", port: upstream.port } })],
  });
  for (const { name } of listeners) ports.set(String(name), await envoy.portOf(String(name)));
});

afterAll(async () => {
  await envoy?.stop();
  await upstream?.close();
  rmSync(folder, { recursive: true, force: true });
});

function configurationOf({ policies }: Setup): Configuration {
  const { configuration, diagnostics } = compile([{ name: "policies.yaml", text: policies }], {
    target: "envoy",
  });
  if (configuration === undefined) throw new Error(diagnostics.map(formatDiagnostic).join("\n"));
  return configuration;
}

/** What a client and a backend see, in the same form for both listeners. */
function seen(response: Http1Response, port: number): unknown {
  const own = /^(date|x-request-id|x-envoy-.*|x-received)$/;
  const neutral = (value: string): string => value.replaceAll(`:${port}`, ":PORT");
  const headersOf = (headers: [string, string][]): string[] =>
    headers
      .filter(([name]) => !own.test(name.toLowerCase()))
      .map(([name, value]) => `${name.toLowerCase()}: ${neutral(value)}`)
      .sort();
  const received = receivedOf(response);
  return {
    status: response.status,
    body: response.body,
    headers: headersOf(response.headers),
    received: received && { ...received, headers: headersOf(received.headers) },
  };
}

const PROTOCOLS = { "HTTP/1.1": http1, "HTTP/2": http2 } as const;

/** The same request to both listeners of a setup, over each protocol and each kind of address. */
async function compare(setup: string, request: Http1Request, tls?: Target["tls"]): Promise<number[]> {
  const statuses: number[] = [];
  for (const host of HOSTS) {
    for (const [protocol, send] of Object.entries(PROTOCOLS)) {
      const of = async (kind: "jwtgate" | "native"): Promise<{ status: number; seen: unknown }> => {
        const port = ports.get(nameOf(setup, kind, host)) ?? 0;
        const alpn = protocol === "HTTP/2" ? ["h2"] : ["http/1.1"];
        const target = { host, port, ...(tls && { tls: { ...tls, ALPNProtocols: alpn } }) };
        const response = await send(target, request);
        return { status: response.status, seen: seen(response, port) };
      };
      const [ours, native] = [await of("jwtgate"), await of("native")];
      expect(ours.seen, `${protocol} to ${host}`).toEqual(native.seen);
      statuses.push(ours.status);
    }
  }
  return statuses;
}

const claims = { iss: ISSUER, sub: "alice", aud: "api" };
const good = key.token(claims);
const TOKENS: Record<string, string | undefined> = {
  "no token": undefined,
  "a good token": good,
  "an expired token": key.token({ ...claims, exp: 1_600_000_000 }),
  "another audience": key.token({ ...claims, aud: "else" }),
  "no subject": key.token({ iss: ISSUER, aud: "api" }),
  "another issuer": key.token({ ...claims, iss: OTHER_ISSUER }),
  "another key": stranger.token(claims),
  junk: "junk",
};

describe.each(Object.entries(TOKENS))("%s", (_name, token) => {
  const headers: [string, string][] = token === undefined ? [] : [bearer(token)];

  test.each<[string, Http1Request]>([
    ["GET", {}],
    ["GET of a path that is denied", { path: "/denied?x=1" }],
    ["HEAD", { method: "HEAD" }],
    ["POST", { method: "POST", body: "body" }],
    ["a path that is normalized", { path: "/a/../b//%41?q=%2F" }],
    [
      "forged headers",
      {
        headers: [
          ["x-sub", "forged"],
          ["x-payload", "forged"],
        ],
      },
    ],
    [
      "a preflight",
      {
        method: "OPTIONS",
        headers: [
          ["origin", "https://a.example"],
          ["access-control-request-method", "PUT"],
          ["x-sub", "forged"],
        ],
      },
    ],
    ["OPTIONS without an origin", { method: "OPTIONS", headers: [["access-control-request-method", "PUT"]] }],
    [
      "gRPC",
      {
        method: "POST",
        path: "/pkg.Service/Call",
        headers: [
          ["content-type", "application/grpc"],
          ["te", "trailers"],
        ],
      },
    ],
    [
      "gRPC with a message",
      {
        method: "POST",
        path: "/pkg.Service/Call",
        headers: [
          ["content-type", "application/grpc+proto"],
          ["te", "trailers"],
        ],
        body: "\0\0\0\0\x01x",
      },
    ],
    [
      "gRPC-Web",
      {
        method: "POST",
        path: "/pkg.Service/Call",
        headers: [["content-type", "application/grpc-web"]],
        body: "x",
      },
    ],
    [
      "gRPC that is denied",
      {
        method: "POST",
        path: "/denied",
        headers: [
          ["content-type", "application/grpc"],
          ["te", "trailers"],
        ],
      },
    ],
  ])("%s", async (_request, request) => {
    await compare("tokens", { ...request, headers: [...headers, ...(request.headers ?? [])] });
  });

  test("at other places", async () => {
    const value = token ?? "";
    for (const request of [
      { headers: [["cookie", `a=1; session=${value}; b=2`]] },
      {
        headers: [
          ["cookie", "a=1"],
          ["cookie", `session="${value}"`],
        ],
      },
      { path: `/?a=1&t=${value}&b=2` },
      { headers: [["x-t", value]] },
      {
        headers: [
          ["x-t", value],
          ["cookie", `session=${value}`],
        ],
      },
    ] as Http1Request[]) {
      await compare("places", request);
    }
  });

  test("if one is required", async () => {
    await compare("one required", { headers });
    await compare("one required", { headers: [...headers, ["x-sub", "forged"]], path: "/x?y" });
    await compare("one required", {
      method: "OPTIONS",
      headers: [...headers, ["origin", "https://a.example"], ["access-control-request-method", "GET"]],
    });
    await compare("one required", {
      method: "POST",
      headers: [...headers, ["content-type", "application/grpc"]],
    });
  });

  test("if one is required and another optional", async () => {
    const optional = second.token({ iss: OTHER_ISSUER, sub: "bob" });
    const expired = second.token({ iss: OTHER_ISSUER, sub: "bob", exp: 1_600_000_000 });
    for (const other of [undefined, optional, expired, "junk"]) {
      const more: [string, string][] = other === undefined ? [] : [["x-second", other]];
      await compare("one required, one optional", { headers: [...headers, ...more] });
    }
  });
});

test("some compared requests pass, and some are refused", async () => {
  expect(new Set(await compare("tokens", { headers: [bearer(good)] }))).toEqual(new Set([200]));
  expect(new Set(await compare("tokens", {}))).toEqual(new Set([403]));
  expect(new Set(await compare("one required", {}))).toEqual(new Set([401]));
});

describe("claims that a backend reads differently from policies", () => {
  const tokenOf = (role: string): string => key.token({ iss: ISSUER, sub: "alice", role });
  const BLANKS = ["admin ", " admin", "\tadmin", "admin\t", "admin  "];
  const SAFE = "forwarded claims without blanks, from Authorization";

  /** The roles that a backend reads; its parser drops blanks around a field's value (RFC 9112, 5.1). */
  async function roles(setup: string, headers: [string, string][]): Promise<string[]> {
    const target = { host: "127.0.0.1", port: ports.get(nameOf(setup, "jwtgate", "127.0.0.1")) ?? 0 };
    const received = receivedOf(await http1(target, { headers }));
    return (received?.headers ?? []).filter(([name]) => name === "x-role").map(([, value]) => value);
  }

  test("a role with blanks around it: another to a DENY policy, the same to the backend", async () => {
    expect(new Set(await compare("forwarded claims", { headers: [["x-a", tokenOf("admin")]] }))).toEqual(
      new Set([403]),
    );
    for (const role of BLANKS) {
      const headers: [string, string][] = [["x-a", tokenOf(role)]];
      expect(new Set(await compare("forwarded claims", { headers })), role).toEqual(new Set([200]));
      expect(await roles("forwarded claims", headers)).toEqual(["admin"]);
    }
  });

  test("two tokens of one provider: policies see that of the first place, the backend both", async () => {
    const both = (a: string, b: string): [string, string][] => [
      ["x-a", tokenOf(a)],
      ["x-b", tokenOf(b)],
    ];
    const seenFirst = both("admin", "user");
    expect(new Set(await compare("forwarded claims", { headers: seenFirst }))).toEqual(new Set([403]));
    const seenSecond = both("user", "admin");
    // A header that is sent twice counts as two locations.
    const twice = seenSecond.map(([, value]): [string, string] => ["x-a", value]);
    for (const headers of [seenSecond, twice]) {
      expect(new Set(await compare("forwarded claims", { headers }))).toEqual(new Set([200]));
      expect(await roles("forwarded claims", headers)).toEqual(["admin", "user"]);
    }
  });

  test("with a DENY rule for blanks and only Authorization, neither reaches it", async () => {
    for (const role of BLANKS) {
      expect(new Set(await compare(SAFE, { headers: [bearer(tokenOf(role))] })), role).toEqual(
        new Set([403]),
      );
    }
    const user = bearer(tokenOf("a user"));
    for (const headers of [[user], [user, ["x-a", tokenOf("admin")]]] as [string, string][][]) {
      expect(new Set(await compare(SAFE, { headers }))).toEqual(new Set([200]));
      expect(await roles(SAFE, headers)).toEqual(["a user"]);
    }
    // Envoy joins a repeated header: one value, which is not a token. (Node's HTTP/2 client does not send it.)
    for (const kind of ["jwtgate", "native"] as const) {
      const target = { host: "127.0.0.1", port: ports.get(nameOf(SAFE, kind, "127.0.0.1")) ?? 0 };
      const twice = await http1(target, { headers: [user, bearer(tokenOf("admin"))] });
      expect(twice).toMatchObject({ status: 401, body: expect.stringContaining("two dots and 3 sections") });
    }
  });
});

describe("hosts in other spellings", () => {
  test.each<[string, number]>([
    ["admin.example", 403],
    ["ADMIN.example", 403],
    ["admin.example:8080", 403],
    // The same name in DNS, and no hop removes the dot: JG213 warns of this.
    ["admin.example.", 200],
    ["admin.example.:8080", 200],
    ["a.closed.example", 403],
    ["a.closed.example.", 200],
    ["open.example", 200],
  ])("%s: %d", async (authority, status) => {
    expect(new Set(await compare("hosts", { authority }))).toEqual(new Set([status]));
  });

  test("the backend gets the dot too", async () => {
    const target = { host: "127.0.0.1", port: ports.get(nameOf("hosts", "jwtgate", "127.0.0.1")) ?? 0 };
    const received = receivedOf(await http1(target, { authority: "admin.example." }));
    expect(received?.headers).toContainEqual(["host", "admin.example."]);
  });
});

describe("addresses", () => {
  test("the direct peer", async () => {
    // 127.0.0.1 over both protocols, then ::1.
    expect(await compare("direct peers", {})).toEqual([403, 403, 200, 200]);
    expect(await compare("direct peers", { headers: [["x-forwarded-for", "10.1.2.3"]] })).toEqual([
      403, 403, 200, 200,
    ]);
  });

  test("the address that the listener trusts", async () => {
    expect(await compare("remote addresses", {})).toEqual([403, 403, 200, 200]);
    expect(await compare("remote addresses", { headers: [["x-forwarded-for", "::2"]] })).toEqual([
      403, 403, 200, 200,
    ]);
  });
});

describe("client certificates", () => {
  const CLIENTS: Record<string, string[]> = {
    one: ["spiffe://td/ns/foo/sa/one"],
    "another account": ["spiffe://td/ns/foo/sa/two"],
    "another namespace": ["spiffe://td/ns/bar/sa/one"],
    "the account in a longer path": ["spiffe://td/ns/foo/x/sa/one/y"],
    "another trust domain": ["spiffe://else/ns/foo/sa/one"],
    "two names, the second fits": ["spiffe://td/ns/zoo/sa/none", "spiffe://td/ns/foo/sa/one"],
    "no name that is a URI": [],
    "no SPIFFE name": ["https://td/ns/foo/sa/one"],
  };

  test.each(Object.entries(CLIENTS))("%s", async (_name, uris) => {
    const { certificate: cert, key: clientKey } = authority.issue({ uris, dns: ["client.example"] });
    const admin = key.token({ iss: ISSUER, sub: "s", role: ["user", "admin"] });
    for (const servername of ["gate.example", "gate.else"]) {
      const tls: Target["tls"] = {
        cert,
        key: clientKey,
        ca: authority.certificate,
        servername,
        checkServerIdentity: () => undefined,
      };
      for (const setup of Object.keys(SETUPS).filter((name) => SETUPS[name]?.tls)) {
        await compare(setup, {}, tls);
        await compare(setup, { headers: [bearer(admin)] }, tls);
      }
    }
  });
});
