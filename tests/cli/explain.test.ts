/** `jwtgate explain`: its output, how it reads requests, and what it never shows. */
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ISTIO_TOKEN } from "../../tools/demo/tokens.ts";
import { CurlError, parseCurl } from "../../tools/explain/curl.ts";
import { IGNORED, OBEYED, REFUSED } from "../../tools/explain/curl-effects.ts";
import { CURL_OPTIONS } from "../../tools/explain/curl-options.ts";
import { ROOT, TOOL, Workspace } from "../support/cli.ts";
import { TestKey } from "../support/tokens.ts";

const workspace = new Workspace();
afterAll(() => workspace.remove());
const run = (...args: string[]) => workspace.run(["explain", ...args], { env: { NO_COLOR: "1" } });
const write = (name: string, content: string | Uint8Array) => writeFileSync(workspace.path(name), content);

const ISSUER = "https://idp.example.com";
const KEY = TestKey.generate("ES256", "a");
const POLICIES = `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: idp}
spec:
  jwtRules:
  - issuer: ${ISSUER}
    audiences: [shop]
    jwks: '${KEY.jwks}'
    outputClaimToHeaders: [{header: x-sub, claim: sub}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: blocked}
spec:
  action: DENY
  rules:
  - from: [{source: {ipBlocks: [10.0.0.0/8]}}]
  - when: [{key: "request.auth.claims[role]", values: [guest]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: readers}
spec:
  rules:
  - from: [{source: {requestPrincipals: ["${ISSUER}/*"]}}]
    to:
    - operation: {methods: [GET], paths: ["/shop/*"]}
    - operation: {hosts: ["admin.example.com"]}
    when: [{key: "request.auth.claims[groups]", values: [readers], notValues: [banned]}]
`;

const claims = { iss: ISSUER, sub: "alice", aud: "shop", groups: ["readers"] };

beforeAll(() => {
  write("p.yaml", POLICIES);
  write("good.jwt", `${KEY.token(claims)}\n`);
});

/** The line that has these words. */
const lineWith = (text: string, words: string) => text.split("\n").find((line) => line.includes(words)) ?? "";

describe("prints step by step", () => {
  test("how a request passes", () => {
    const { status, stdout, stderr } = run("-f", "p.yaml", "--token", "@good.jwt", "--path", "/shop/1?x=y");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toContain("GET /shop/1 of localhost");
    expect(lineWith(stdout, "issuer ")).toContain("p.yaml:6:5, RequestAuthentication default/idp");
    expect(stdout).toContain('key 0 (EC, ES256, kid "a"): verified');
    expect(lineWith(stdout, "blocked, rule 0")).toContain(
      "✗ default/blocked, rule 0: does not match  p.yaml:17:5",
    );
    expect(lineWith(stdout, "ipBlocks")).toContain("p.yaml:17:33: the peer is 127.0.0.1");
    expect(lineWith(stdout, "readers, rule 0")).toContain("✓ default/readers, rule 0: matches  p.yaml:25:5");
    expect(lineWith(stdout, "paths /shop/*")).toContain("the path is /shop/1");
    expect(lineWith(stdout, "✗ hosts")).toContain("the host is localhost");
    expect(lineWith(stdout, "groups] readers")).toMatch(/✓ .*: groups is \["readers"\]$/);
    expect(lineWith(stdout, "groups] banned")).toMatch(/✓ not request.auth.claims\[groups\] banned/);
    expect(stdout).toMatch(/forwarded\n {2}default\/readers, rule 0 \(p.yaml:25:5\) allows it\n/);
    expect(stdout).toContain("- header authorization\n");
    expect(stdout).toContain("+ header x-sub: alice\n");
  });

  test("that no ALLOW rule matches", () => {
    const { stdout } = run("-f", "p.yaml", "--token", "@good.jwt", "--path", "/other");
    expect(stdout).toContain("403 RBAC: access denied\n  no rule of an ALLOW policy matches\n");
  });

  test("which DENY rule matches, and that ALLOW was not evaluated", () => {
    const { stdout } = run("-f", "p.yaml", "--token", "@good.jwt", "--peer", "10.1.2.3");
    expect(stdout).toContain("403 RBAC: access denied\n  default/blocked, rule 0 (p.yaml:17:5) refuses it\n");
    expect(lineWith(stdout, "readers, rule 0")).toContain("not asked: it was decided before");
  });

  test("that a claim named with dots is a member of an object", () => {
    const key = "request.auth.claims[realm_access.roles]";
    write("dots.yaml", POLICIES.replace("request.auth.claims[groups]", key));
    const saw = (changed: object) =>
      run("-f", "dots.yaml", "--token", KEY.token({ ...claims, ...changed }), "--path", "/shop/1").stdout;
    const hint = "but [realm_access][roles] is there: write request.auth.claims[realm_access][roles]";
    expect(saw({ realm_access: { roles: ["readers"] } })).toContain(
      `the token has no realm_access.roles, ${hint}`,
    );
    const without = saw({ realm_access: {} });
    expect(without).toContain("the token has no realm_access.roles");
    expect(without).not.toContain("is there");
  });

  test.each<[string, object, string[], string]>([
    ["an issuer", { iss: "https://other" }, [], 'the token\'s iss is "https://other"'],
    ["an audience", { aud: "mail" }, [], 'its aud is "mail", and one of ["shop"] is needed'],
    ["a time", { exp: 1_700_000_000 }, [], "exp is 2023-11-14T22:13:20Z"],
    ["a time before", { nbf: 4_000_000_000 }, [], "nbf is 2096-10-02T07:06:40Z"],
    ["a time that --at sets", {}, ["--at", "2101-01-01"], "Jwt is expired: exp is 2100-01-01T00:00:00Z"],
  ])("why a token is refused: %s", (_, changed, flags, words) => {
    const { status, stdout } = run("-f", "p.yaml", "--token", KEY.token({ ...claims, ...changed }), ...flags);
    expect(status).toBe(0);
    expect(stdout).toContain(words);
    expect(stdout).toContain("a token was refused, so policies were not asked");
  });

  test("why each key does not verify", () => {
    const other = TestKey.generate("ES256", "b");
    expect(run("-f", "p.yaml", "--token", other.token(claims)).stdout).toContain(
      'key 0 (EC, ES256, kid "a"): not tried: its kid is not "b"',
    );
    const impostor = TestKey.generate("ES256", "a");
    expect(run("-f", "p.yaml", "--token", impostor.token(claims)).stdout).toContain(
      "tried: the signature is not by this key",
    );
    const hmac = TestKey.generate("HS256", "a");
    expect(run("-f", "p.yaml", "--token", hmac.token(claims)).stdout).toContain(
      "not tried: it is for ES256 only, and the token has HS256",
    );
  });

  test.each([
    ["a.b", "it has 2 sections instead of 3"],
    ["a..b", "its payload is empty"],
  ])("what is wrong with the form of %s", (token, words) => {
    expect(run("-f", "p.yaml", "--token", token).stdout).toContain(words);
  });

  test("the locations that it searched for tokens", () => {
    expect(run("-f", "p.yaml").stdout).toContain(
      'no token found: looked in the header authorization after "Bearer ", the query parameter access_token',
    );
  });

  test("what Envoy itself refuses", () => {
    expect(run("-f", "p.yaml", "--method", "FOO").stdout).toContain("Envoy itself refuses such a request");
  });

  describe("what Envoy does with an upgrade", () => {
    const upgradeTo = (type: string) => ["-H", "Connection: Upgrade", "-H", `Upgrade: ${type}`];
    const token = KEY.token(claims);
    const shop = ["-f", "p.yaml", "--path", "/shop/ws"];

    test("a request for a WebSocket reaches the filter like any other", () => {
      const refused = run(...shop, ...upgradeTo("websocket"), "--token", "a.b.c").stdout;
      expect(refused).toContain("401 ");
      const { stdout } = run(...shop, ...upgradeTo("websocket"), "--token", token);
      expect(stdout).toContain("  forwarded\n");
      expect(stdout).toContain(
        "if the service answers 101, the connection becomes a websocket, whose data policies",
      );
    });

    test.each(["chat", "websocket, chat"])(
      "%s is refused before the filter, with a good token too",
      (type) => {
        const { stdout } = run(...shop, ...upgradeTo(type), "--token", token);
        expect(stdout).toContain(
          "  403\n  Envoy itself refuses such a request: upgrade_failed: it allows only the upgrade websocket",
        );
        expect(stdout).not.toContain("forwarded");
        expect(stdout).not.toContain("Tokens");
      },
    );

    test("a curl line with these headers, or for ws://", () => {
      const headers = `-H "Connection: Upgrade" -H "Upgrade: websocket" -H "Authorization: Bearer ${token}"`;
      const lines = [
        `curl -i ${headers} http://a/shop/chat`,
        `curl -H "Authorization: Bearer ${token}" ws://a/shop/chat`,
      ];
      for (const line of lines) {
        const { stdout } = run("-f", "p.yaml", "--curl", line);
        expect(stdout).toContain("GET /shop/chat of a,");
        expect(stdout).toContain("if the service answers 101");
      }
      expect(run("-f", "p.yaml", "--curl", "curl wss://a/shop/chat -H 'Upgrade: chat'").stdout).toContain(
        "upgrade_failed",
      );
    });

    test("an offer of HTTP/2 in plain text is ignored", () => {
      const { stdout } = run(...shop, ...upgradeTo("h2c"), "--token", token);
      expect(stdout).toContain("  forwarded\n");
      expect(stdout).not.toContain("101");
    });

    test("CONNECT is never forwarded", () => {
      const spec = { jwtRules: [{ issuer: ISSUER, jwks: KEY.jwks }] };
      const [apiVersion, kind] = ["security.istio.io/v1", "RequestAuthentication"];
      write("connect.yaml", JSON.stringify({ apiVersion, kind, metadata: { name: "r" }, spec }));
      const connect = ["-f", "connect.yaml", "-X", "CONNECT", "--token", token];
      const { stdout } = run(...connect, "--host", "db:5432");
      expect(stdout).toContain("CONNECT db:5432 of db:5432,");
      expect(stdout).toContain(
        "  404\n  Envoy itself refuses such a request: route_not_found: the policies allow it",
      );
      expect(run(...connect, "--path", "/").stdout).toContain("400 Bad Request");
      expect(run(...connect, "--host", "db:5432", "--json").stdout).toContain('"forwarded": false');
    });
  });

  test("client certificates and server names", () => {
    write(
      "mtls.yaml",
      `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: a}
spec: {rules: [{from: [{source: {namespaces: [foo]}}], when: [{key: connection.sni, values: [a.example]}]}]}
`,
    );
    const san = "spiffe://cluster.local/ns/foo/sa/bar";
    const { stdout } = run("-f", "mtls.yaml", "--client-san", san, "--sni", "a.example");
    expect(stdout).toContain(`the client's certificate has ${san}`);
    expect(stdout).toContain("forwarded");
    expect(run("-f", "mtls.yaml").stdout).toContain("there is no client certificate");
  });
});

describe("the same as JSON", () => {
  test("with every step", () => {
    const { stdout } = run("-f", "p.yaml", "--token", "@good.jwt", "--path", "/shop/1", "--json");
    expect(JSON.parse(stdout)).toMatchObject({
      request: { method: "GET", path: "/shop/1" },
      authentication: {
        refusal: null,
        providers: [
          { at: "p.yaml:6:5", tokens: [{ claims: { sub: "alice" }, keys: [{ outcome: "verified" }] }] },
        ],
      },
      policies: [
        { action: "DENY", rules: [{ matched: false }, { matched: false }] },
        { action: "ALLOW", rules: [{ matched: true, at: "p.yaml:25:5", from: [[{ verdict: true }]] }] },
      ],
      decision: { forwarded: true, rule: "ns[default]-policy[readers]-rule[0]", at: "p.yaml:25:5" },
      upstream: { removed: ["authorization"], added: { "x-sub": "alice" } },
    });
  });
});

test("never shows a token, a signature, a secret or a query", () => {
  const secret = TestKey.generate("HS256", "s");
  write("secret.yaml", POLICIES.replace(KEY.jwks, secret.jwks));
  const token = secret.token(claims);
  const k = secret.jwk["k"] ?? "";
  for (const flags of [[], ["--json"]]) {
    const curl = `curl -H 'authorization: Bearer ${token}' 'localhost/shop/1?access_token=${token}&key=hunter2'`;
    const { stdout, stderr } = run("-f", "secret.yaml", "--curl", curl, ...flags);
    const said = stdout + stderr;
    expect(said).toContain("alice");
    for (const hidden of [token, token.split(".")[2] ?? "", k, "hunter2"]) expect(said).not.toContain(hidden);
  }
});

test("never shows the value of a header that is a location of tokens, even if a policy compares it", () => {
  const placed = POLICIES.replace(
    "audiences: [shop]",
    "fromHeaders: [{name: x-t}]\n    forwardOriginalToken: true",
  );
  write("placed.yaml", placed.replace('"request.auth.claims[role]"', '"request.headers[x-t]"'));
  const token = KEY.token(claims);
  for (const flags of [[], ["--json"]]) {
    const { stdout } = run("-f", "placed.yaml", "-H", `x-t: ${token}`, ...flags);
    expect(stdout).toContain("the header x-t is there");
    expect(stdout).not.toContain(token.slice(0, 20));
  }
});

describe("keys that are fetched", () => {
  const uri = "https://idp.example.com/keys";
  beforeAll(() => {
    const remote = POLICIES.replace(/jwks: .*/, `jwksUri: ${uri}`);
    write("remote.yaml", remote);
    write("discovered.yaml", POLICIES.replace(/\n {4}jwks: .*/, ""));
    write("keys.json", KEY.jwks);
  });

  test("come from a file", () => {
    const { stdout } = run(
      "-f",
      "remote.yaml",
      "--token",
      "@good.jwt",
      "--jwks-at",
      `${uri}=keys.json`,
      "--path",
      "/shop/1",
    );
    expect(stdout).toContain("verified");
    expect(stdout).toContain("allows it");
  });

  test.each([
    ["--jwks", "--jwks-at", `${uri}=keys.json`],
    ["--now", "--at", "2026-01-01"],
  ])("%s is %s in its old spelling, and warns", (former, current, value) => {
    const args = ["-f", "remote.yaml", "--jwks-at", `${uri}=keys.json`, "--token", "@good.jwt"];
    const old = run(...args, former, value);
    expect(old.stdout).toBe(
      run(...args, current, value).stdout.replace(/, 20.*Z$/m, old.stdout.match(/, 20.*Z$/m)?.[0] ?? ""),
    );
    expect(old.stderr).toBe(
      `warning: ${former} is ${current} now, and will be removed in the next version: write ${current}\n`,
    );
    expect(run("--help").stdout).not.toMatch(new RegExp(`${former} `));
  });

  test("that no policy uses are reported", () => {
    const given = ["--jwks-at", `${uri}/=keys.json`];
    expect(run("-f", "remote.yaml", ...given).stderr).toBe(
      `warning: --jwks-at ${uri}/: no policy takes keys from there: they take them from ${uri}\n`,
    );
    expect(run("-f", "remote.yaml", "--jwks-at", `${uri}=keys.json`).stderr).toBe("");
  });

  test("are reported as missing if no option names them", () => {
    const { stdout } = run("-f", "remote.yaml", "--token", "@good.jwt");
    expect(stdout).toContain(`Jwks remote fetch is failed: there are no keys from ${uri}`);
  });

  test("are found by discovery", () => {
    write("openid.json", JSON.stringify({ issuer: ISSUER, jwks_uri: `${ISSUER}/k` }));
    const document = `${ISSUER}/.well-known/openid-configuration=openid.json`;
    const { stdout } = run(
      "-f",
      "discovered.yaml",
      "--token",
      "@good.jwt",
      "--jwks-at",
      document,
      "--jwks-at",
      `${ISSUER}/k=keys.json`,
    );
    expect(stdout).toContain("✓ verified");
  });

  test("are fetched with --fetch, and only then", async () => {
    const server = createServer((_, response) => response.end(KEY.jwks)).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as AddressInfo;
    write("local.yaml", POLICIES.replace(/jwks: .*/, `jwksUri: http://127.0.0.1:${port}/k`));
    const child = spawn(
      process.execPath,
      [TOOL, "explain", "-f", "local.yaml", "--token", "@good.jwt", "--fetch"],
      {
        cwd: workspace.folder,
      },
    );
    let stdout = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      stdout += chunk;
    });
    await new Promise((resolve) => child.on("close", resolve));
    server.close();
    expect(stdout).toContain("✓ verified");
  });

  test("a server that does not answer is named", () => {
    write("dead.yaml", POLICIES.replace(/jwks: .*/, "jwksUri: http://127.0.0.1:1/k"));
    const { status, stderr, stdout } = run("-f", "dead.yaml", "--fetch", "--token", KEY.token(claims));
    expect(status).toBe(0);
    expect(stderr).toMatch(/^warning: --fetch: http:\/\/127\.0\.0\.1:1\/k: .*ECONNREFUSED.*\n$/);
    expect(stdout).toContain(
      "there are no keys from http://127.0.0.1:1/k: the server refused the connection",
    );
  });

  test("a file that is not a key set is named with the filter's reason", () => {
    write("remote.yaml", POLICIES.replace(/jwks: .*/, "jwksUri: http://127.0.0.1:1/k"));
    write("page.html", "<!doctype html>");
    const { stdout, stderr } = run(
      ...["-f", "remote.yaml", "--jwks-at", "http://127.0.0.1:1/k=page.html", "--token", KEY.token(claims)],
    );
    expect(stdout).toContain(
      "there are no keys from http://127.0.0.1:1/k: the answer is not JSON (it is HTML or XML)",
    );
    expect(stderr).toBe("");
  });
});

describe("the module's less obvious decisions", () => {
  const other = TestKey.generate("ES256", "b");
  const rule = (issuer: string, jwks: string, rest: string) =>
    `  - {issuer: ${issuer}, jwks: '${jwks}', ${rest}}\n`;
  const policies = (rules: string) => `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: r}
spec:
  jwtRules:
${rules}`;

  test("a header's name and its prefix are one key, by which locations are sorted", () => {
    const places = "fromHeaders: [{name: x-t, prefix: JWT}, {name: x-t-2}]";
    write("order.yaml", policies(rule(ISSUER, KEY.jwks, places)));
    const expired = KEY.token({ ...claims, exp: 1_600_000_000 });
    const { status, stdout } = run("-f", "order.yaml", "-H", `x-t: JWT${expired}`, "-H", "x-t-2: junk");
    expect(status).toBe(0);
    // The last location is checked first.
    expect(stdout).toContain('token in the header x-t after "JWT"\n');
    expect(stdout).not.toContain("token in the header x-t-2");
    expect(stdout).toMatch(/✗ Jwt is expired: exp is 2020-09-13T12:26:40Z, \d+ s ago\n/);
    expect(stdout).toContain("401 Jwt is expired\n");
  });

  test("if two providers share an output header, only the later one sets it", () => {
    const rest = (header: string) =>
      `fromHeaders: [{name: ${header}}], outputPayloadToHeader: x-payload, presence: REQUIRED`;
    const rules = rule(ISSUER, KEY.jwks, rest("x-a")) + rule("https://z", other.jwks, rest("x-b"));
    write("share.yaml", policies(rules));
    const tokens = [
      "-H",
      `x-a: ${KEY.token(claims)}`,
      "-H",
      `x-b: ${other.token({ iss: "https://z", sub: "bob" })}`,
    ];
    const { status, stdout } = run("-f", "share.yaml", ...tokens, "--json");
    expect(status).toBe(0);
    const { decision, upstream } = JSON.parse(stdout) as {
      decision: { forwarded: boolean };
      upstream: { added: Record<string, string> };
    };
    expect(decision.forwarded).toBe(true);
    const payload = Buffer.from(upstream.added["x-payload"] ?? "", "base64url").toString();
    expect(JSON.parse(payload)).toMatchObject({ sub: "bob" });
  });

  const uri = "https://idp.example.com/keys";
  test.each<[string, string, string]>([
    ["a kid that is a number is ignored", JSON.stringify({ keys: [{ ...KEY.jwk, kid: 7 }] }), "✓ verified"],
    [
      "101 keys are too many",
      JSON.stringify({ keys: Array.from({ length: 101 }, () => KEY.jwk) }),
      `Jwks remote fetch is failed: there are no keys from ${uri}`,
    ],
    [
      "a byte order mark is not JSON",
      `\ufeff${KEY.jwks}`,
      `Jwks remote fetch is failed: there are no keys from ${uri}`,
    ],
  ])("of fetched keys: %s", (_, document, words) => {
    write("remote-r.yaml", policies(`  - {issuer: ${ISSUER}, jwksUri: ${uri}}\n`));
    write("odd.json", document);
    const given = ["--token", "@good.jwt", "--jwks-at", `${uri}=odd.json`];
    const { status, stdout } = run("-f", "remote-r.yaml", ...given);
    expect(status).toBe(0);
    expect(stdout).toContain(words);
  });

  test("a known token is not verified again", () => {
    const two = ["-H", `x-a: ${KEY.token(claims)}`];
    const places = "fromHeaders: [{name: x-a}, {name: x-b}]";
    write("twice.yaml", policies(rule(ISSUER, KEY.jwks, places)));
    const { stdout } = run("-f", "twice.yaml", ...two, "-H", `x-b: ${two[1]?.slice(5)}`);
    expect(stdout.match(/: verified\n/g)).toHaveLength(1);
    expect(stdout).toContain("no key was tried: the token was verified before\n");
  });

  test("dry-run rules are evaluated before enforced ones", () => {
    const policy = (name: string, dryRun: boolean) => `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ${name}, annotations: {"istio.io/dry-run": "${dryRun}"}}
spec: {action: DENY, rules: [{to: [{operation: {paths: ["/a"]}}]}]}
`;
    write("dry.yaml", `${policy("enforced", false)}---\n${policy("trial", true)}`);
    const { stdout } = run("-f", "dry.yaml", "--path", "/a", "--json");
    expect(JSON.parse(stdout)).toMatchObject({
      policies: [
        {
          action: "DENY",
          rules: [
            { id: "ns[default]-policy[trial]-rule[0]", dryRun: true, matched: true, asked: true },
            { id: "ns[default]-policy[enforced]-rule[0]", dryRun: false, matched: true, asked: true },
          ],
        },
      ],
      decision: { status: 403 },
    });
  });
});

describe("wrong input is reported in one line", () => {
  mkdirSync(workspace.path("empty"));
  write("binary.yaml", Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 0xff));
  test.each<[string[], number, string]>([
    [["-f", "missing.yaml"], 1, "missing.yaml: there is no such file or folder\n"],
    [["-f", "empty"], 1, "empty: no .yaml, .yml or .json file is in this folder\n"],
    [["-f", "/dev/zero"], 1, "/dev/zero: this is larger than 16 MiB\n"],
    [["-f", "p.yaml", "--token", "@missing"], 1, "missing: there is no such file or folder\n"],
    [["-f", "p.yaml", "--jwks-at", "https://a/b=missing"], 1, "missing: there is no such file or folder\n"],
    [["-f", "p.yaml", "--peer", "a"], 2, "Write an IP address"],
    [["-f", "p.yaml", "--path", "a"], 2, "A path begins with /"],
    [["-f", "p.yaml", "--method", "get"], 2, "in capital letters"],
    [["-f", "p.yaml", "-H", "a b: c"], 2, "Write NAME: VALUE."],
    [
      ["-f", "p.yaml", "--at", "yesterday"],
      2,
      "Write now+1h, now-30m, 2026-01-31T12:00:00Z or seconds since 1970.",
    ],
    [["-f", "p.yaml", "--jwks-at", "a"], 2, "Write URI=FILE"],
    [["-f", "p.yaml", "--curl", "wget a"], 2, "error: --curl: this is not a curl line"],
    [["-f", "p.yaml", "--curl", "curl ftp://a/"], 2, "is not a URL of http, https, ws or wss"],
    [["-f", "p.yaml", "--mode", "edge"], 2, "Allowed choices are gateway, sidecar"],
    [[], 2, "error: name the policies with -f FILE, or use --from-cluster"],
  ])("%j", (args, status, words) => {
    const ran = run(...args);
    expect({ status: ran.status, stdout: ran.stdout }).toEqual({ status, stdout: "" });
    expect(ran.stderr).toContain(words);
    expect(ran.stderr).not.toMatch(/\n {4}at /);
  });

  test("bytes that are not text", () => {
    const { status, stderr } = run("-f", "binary.yaml");
    expect(status).toBe(1);
    expect(stderr).toBe("binary.yaml:1:5: this is not valid UTF-8: save the file as UTF-8\n");
  });
});

const JSON_TYPE = "application/json";
const FORM_TYPE = "application/x-www-form-urlencoded";

describe("a curl line", () => {
  const FILES = new Map([["f.txt", "a b\n&c=1"]]);
  const readFile = (path: string) => {
    const text = FILES.get(path);
    if (text === undefined) throw new Error(path);
    return Buffer.from(text);
  };
  const parse = (line: string, variables = {}) => parseCurl(line, { variables });
  const header = (line: string, name: string) =>
    parse(line).headers.find(([other]) => other.toLowerCase() === name)?.[1];

  test("as a browser copies it", () => {
    const line = `curl 'https://a.example/b?c=d' \\\n  -H 'accept: text/html' \\\n  -H $'x: it\\'s' --compressed --insecure`;
    expect(parse(line)).toEqual({
      method: "GET",
      url: "https://a.example/b?c=d",
      headers: [
        ["User-Agent", "curl"],
        ["Accept-Encoding", "deflate, gzip, br, zstd"],
        ["accept", "text/html"],
        ["x", "it's"],
      ],
      body: "",
    });
  });

  test.each([
    ["curl a", "GET"],
    ["curl -XPUT a", "PUT"],
    ["curl -sSX DELETE a", "DELETE"],
    ["curl --request PATCH a", "PATCH"],
    ["curl -sI a", "HEAD"],
    ["curl -d x=y a", "POST"],
    ["curl -G -d x=y a", "GET"],
    ["curl --json '{}' a", "POST"],
    ["curl -F f=@x a", "POST"],
  ])("%s is a %s", (line, method) => expect(parse(line).method).toBe(method));

  test("its own headers, and options that remove them", () => {
    expect(header("curl a", "accept")).toBe("*/*");
    expect(header("curl -H Accept: a", "accept")).toBeUndefined();
    expect(header("curl -H 'X-Empty;' a", "x-empty")).toBe("");
    expect(header("curl -A me a", "user-agent")).toBe("me");
    expect(header("curl -b s=1 a", "cookie")).toBe("s=1");
    expect(header("curl -u a:b a", "authorization")).toBe("Basic YTpi");
    expect(header("curl --oauth2-bearer t a", "authorization")).toBe("Bearer t");
    expect(header("curl -d x a", "content-type")).toBe("application/x-www-form-urlencoded");
  });

  test("data and query", () => {
    expect(parse("curl -d a=1 -d b=2 u").body).toBe("a=1&b=2");
    expect(parse("curl -G -d a=1 'u?b=2'").url).toBe("u?b=2&a=1");
  });

  // Recorded from curl 7.88.1; escapes in upper case and "; " between cookies as from 8.16 on.
  test.each<[string, string, Record<string, string>]>([
    ["http://user:pw@h/", "GET h/", { Authorization: "Basic dXNlcjpwdw==" }],
    ["http://us%20er:p%40w@h/x", "GET h/x", { Authorization: "Basic dXMgZXI6cEB3" }],
    ["http://user@h/", "GET h/", { Authorization: "Basic dXNlcjo=" }],
    ["http://:pw@h/", "GET h/", { Authorization: "Basic OnB3" }],
    ["http://@h/", "GET h/", { Authorization: "Basic Og==" }],
    ["http://us:er:pw@h/", "GET h/", { Authorization: "Basic dXM6ZXI6cHc=" }],
    ["http://u%é:%zz@h/", "GET h/", { Authorization: "Basic dSXDqToleno=" }],
    ["user:pw@h/", "GET h/", { Authorization: "Basic dXNlcjpwdw==" }],
    ["-u a:b http://user:pw@h/", "GET h/", { Authorization: "Basic YTpi" }],
    ["-u a:b -u c:d http://h/", "GET h/", { Authorization: "Basic Yzpk" }],
    ["-H 'Authorization: Bearer t' http://user:pw@h/", "GET h/", { Authorization: "Bearer t" }],
    ["-H 'authorization:' http://user:pw@h/", "GET h/", {}],
    ["-H 'Authorization;' http://user:pw@h/", "GET h/", { Authorization: "" }],
    ["-H 'Authorization: Bearer t' -u a:b http://h/", "GET h/", { Authorization: "Bearer t" }],
    ["--oauth2-bearer t http://user:pw@h/", "GET h/", { Authorization: "Bearer t" }],
    ["--oauth2-bearer t -u a:b http://h/", "GET h/", { Authorization: "Bearer t" }],
    ["--anyauth -u a:b http://h/", "GET h/", {}],
    ["-A x -A y http://h/", "GET h/", { "User-Agent": "y" }],
    ["-A x -H 'User-Agent: z' http://h/", "GET h/", { "User-Agent": "z" }],
    ["-e 'x;auto' http://h/", "GET h/", { Referer: "x" }],
    ["-e x -H 'Referer: z' http://h/", "GET h/", { Referer: "z" }],
    ["-b a=1 -b b=2 http://h/", "GET h/", { Cookie: "a=1; b=2" }],
    ["-b a=1 -H 'Cookie: c=3' http://h/", "GET h/", { Cookie: "c=3" }],
    ["-r 0-5 http://h/", "GET h/", { Range: "bytes=0-5" }],
    ["--json '{}' --json '{}' http://h/", "POST h/", { "Content-Type": JSON_TYPE, Accept: JSON_TYPE }],
    ["--url-query 'n=a b' http://h/", "GET h/?n=a+b", {}],
    ["--url-query '=a b&c' http://h/", "GET h/?a+b%26c", {}],
    ["--url-query 'a b&c' http://h/", "GET h/?a+b%26c", {}],
    ["--url-query @f.txt http://h/", "GET h/?a+b%0A%26c%3D1", {}],
    ["--url-query n@f.txt http://h/", "GET h/?n=a+b%0A%26c%3D1", {}],
    ["--url-query '+n=%2ffoo&x=a' http://h/", "GET h/?n=%2Ffoo&x=a", {}],
    ["--url-query n=1 --url-query m=2 'http://h/?a=1#frag'", "GET h/?a=1&n=1&m=2", {}],
    ["--url-query n=1 'http://h?'", "GET h?n=1", {}],
    ["--url-query n=1 'http://h/?a=1&'", "GET h/?a=1&n=1", {}],
    ["--url-query 'n=é*~._-!' http://h/", "GET h/?n=%C3%A9%2A~._-%21", {}],
    ["--url-query n=a=b@c http://h/", "GET h/?n=a%3Db%40c", {}],
    ["--url-query '' http://h/", "GET h/", {}],
    ["--url-query n=1 -d x=y 'http://h/p?a=1'", "POST h/p?a=1&n=1", { "Content-Type": FORM_TYPE }],
    ["--url-query n=1 -G -d x=y 'http://h/p?a=1'", "GET h/p?a=1&x=y", {}],
    ["--url-query n=1 -I 'http://h/p?a=1'", "HEAD h/p?a=1&n=1", {}],
    ["-G --data-urlencode 'q=a b' http://h/", "GET h/?q=a+b", {}],
    ["-G --data-urlencode @f.txt http://h/", "GET h/?a+b%0A%26c%3D1", {}],
    ["-G --data-raw @f.txt http://h/", "GET h/?@f.txt", {}],
    ["-G -d '' http://h/", "GET h/", {}],
    ["-G -d a=1 -d b=2 'http://h/#x'", "GET h/?a=1&b=2", {}],
    ["-X POST -G -d a=1 http://h/", "POST h/?a=1", {}],
    ["'http://h/a/../b/./c/..'", "GET h/b/", {}],
    ["--path-as-is 'http://h/a/../b'", "GET h/a/../b", {}],
    ["--path-as-is --url-query n=1 'http://h/a/../b'", "GET h/b?n=1", {}],
    ["'http://h/é'", "GET h/%C3%A9", {}],
    ["-g 'http://h/{x,y}?f[x]=1'", "GET h/{x,y}?f[x]=1", {}],
    ["'http://[::1]:80/'", "GET [::1]:80/", {}],
    ["-u a:b 'http://[fe80::1%25lo]/a'", "GET [fe80::1%25lo]/a", { Authorization: "Basic YTpi" }],
  ])("curl %s", (line, target, differing) => {
    const { method, url, headers } = parseCurl(`curl -s ${line}`, { readFile });
    const named = new Map(headers);
    expect(named.size).toBe(headers.length);
    expect(`${method} ${url}`).toBe(target.replace(" ", line.includes("//") ? " http://" : " "));
    expect(Object.fromEntries(named)).toEqual({ "User-Agent": "curl", Accept: "*/*", ...differing });
  });

  test.each([
    ["--url-query '+n=a b' http://h/", "write spaces as %20"],
    ["-G -d 'q=a b' http://h/", "write spaces as %20"],
    ["'http://h/a b'", "write spaces as %20"],
    ["http://user:p%00w@h/", "has a control character"],
    ["http://user:pw@x@h/", "has two @"],
    ["-u a http://h/", "-u without a password asks for one"],
    ["-d a=1 -I http://h/", "leave one out"],
    ["--url-query @- http://h/", "data from standard input is not read"],
  ])("curl %s is refused, as curl does", (line, words) => {
    expect(() => parseCurl(`curl -s ${line}`, { readFile })).toThrow(CurlError);
    expect(() => parseCurl(`curl -s ${line}`, { readFile })).toThrow(words);
  });

  test.each([
    ["curl --constructor a", "has no option --constructor"],
    ["curl --__proto__ a", "has no option --__proto__"],
    ["curl --no-toString a", "has no option --no-toString"],
    ["curl $constructor", "the variable constructor is not set here"],
    ["curl ${__proto__}", "the variable __proto__ is not set here"],
    ['curl "$toString"', "the variable toString is not set here"],
  ])("%s: names are not looked up on a prototype", (line, words) => {
    expect(() => parse(line)).toThrow(CurlError);
    expect(() => parse(line)).toThrow(words);
  });

  test("headers may have any name", () => {
    const { headers } = parse("curl -H '__proto__: x' -H 'constructor: y' a");
    expect(headers.slice(-2)).toEqual([
      ["__proto__", "x"],
      ["constructor", "y"],
    ]);
  });

  test("in the command: files are read, and flags go before the line's own headers", () => {
    const token = KEY.token(claims);
    write("token.txt", token);
    const forwarded = (...args: string[]) => run("-f", "p.yaml", ...args).stdout;
    expect(forwarded("--curl", "curl --url-query access_token@token.txt http://user:pw@h/shop/1")).toMatch(
      /\n {2}forwarded\n/,
    );
    expect(forwarded("--curl", "curl -H 'Authorization: Bearer bad' h/shop/1", "--token", token)).toMatch(
      /\n {2}forwarded\n/,
    );
    const missing = run("-f", "p.yaml", "--curl", "curl --url-query @missing h/");
    expect(missing).toMatchObject({ status: 1, stderr: "missing: there is no such file or folder\n" });
  });

  test("options without effect are ignored, with their values", () => {
    expect(
      parse("curl -o out -w '%{http_code}' --max-time 5 -k -L --resolve a:1:2 --no-progress-meter u").url,
    ).toBe("u");
  });

  test("options have all forms of curl: in a row, with the value after = or after the letter, switched off", () => {
    const post = { method: "POST", url: "u", body: "x=1" };
    expect(parse("curl -sSXPOST -dx=1 -w%{http_code} -ZN u")).toMatchObject(post);
    expect(parse("curl --request=POST --data=x=1 --max-time=5 --silent u")).toMatchObject(post);
    expect(parse("curl -I --no-head -G --no-get -d x=1 u")).toMatchObject(post);
    expect(parse("curl --no-netrc --no-digest --no-location u").method).toBe("GET");
    expect(header("curl --compressed a", "accept-encoding")).toBe("deflate, gzip, br, zstd");
    expect(header("curl --compressed -H 'Accept-Encoding: br' a", "accept-encoding")).toBe("br");
    expect(header("curl --compressed --no-compressed a", "accept-encoding")).toBeUndefined();
  });

  test("each of curl's options is either obeyed, ignored or refused with a reason", () => {
    const placed = [...OBEYED, ...IGNORED, ...REFUSED.keys()];
    expect([...placed].sort()).toEqual(CURL_OPTIONS.map(([name]) => name).sort());
    for (const [name, takes, letter] of CURL_OPTIONS.filter(([one]) => REFUSED.has(one))) {
      const value = takes === "value" ? " v" : "";
      for (const written of [`--${name}`, ...(letter === "" ? [] : [`-${letter}`])])
        expect(() => parse(`curl ${written}${value} u`), written).toThrow(
          `the option ${written === `--${name}` ? written : `${written} (--${name})`} of curl ${REFUSED.get(name)}`,
        );
    }
    for (const [name, takes, letter, off] of CURL_OPTIONS.filter(([one]) => IGNORED.includes(one))) {
      const value = takes === "value" ? " v" : "";
      const written = [
        `--${name}`,
        ...(letter === "" ? [] : [`-${letter}`]),
        ...(takes === "switch" ? [`--no-${name}`] : []),
      ];
      for (const one of written) expect(parse(`curl ${one}${value} u`), one).toEqual(parse("curl u"));
      expect(off === undefined || letter !== "").toBe(true);
    }
  });

  test("the escapes of $'…' are bash's", () => {
    const escapes =
      "\\a\\b\\e\\E\\f\\n\\r\\t\\v\\\\\\'\\\"\\?|\\x41\\101\\u0021\\U1F600|\\xc3\\xa9\\303\\251|\\ca|\\q\\u00e9x";
    const { status, stdout } = spawnSync("bash", ["-c", `printf %s $'${escapes}'`], {
      encoding: "utf8",
      env: { ...process.env, LC_ALL: "C.UTF-8" },
    });
    expect(status).toBe(0);
    expect(parse(`curl -d $'${escapes}' u`).body).toBe(stdout);
    expect(parse("curl -d $'a\\0b'c u").body).toBe("ac");
  });

  test("any line gives a request or a CurlError", () => {
    const word = fc.oneof(
      fc.constantFrom(
        ...CURL_OPTIONS.flatMap(([name, , letter]) => [`--${name}`, `--no-${name}`, `-${letter}`]),
      ),
      fc.constantFrom(
        "'",
        '"',
        "$'",
        "\\",
        "^",
        "$",
        "`",
        "=",
        "@",
        "%",
        ":",
        ";",
        "-",
        "--",
        "\n",
        "http://",
        "\\u",
        "\\x",
        "\ud800",
      ),
      fc.string({ unit: "binary", maxLength: 8 }),
    );
    const line = fc.array(fc.tuple(word, fc.constantFrom("", " ")), { maxLength: 12 });
    fc.assert(
      fc.property(line, (parts) => {
        try {
          const { method, url } = parse(`curl ${parts.flat().join("")}`);
          expect([typeof method, typeof url]).toEqual(["string", "string"]);
        } catch (error) {
          expect(error).toBeInstanceOf(CurlError);
        }
      }),
      { numRuns: 5_000 },
    );
  });

  test("variables are those of the environment, in double quotes and outside", () => {
    const line = "curl -H \"authorization: Bearer $TOKEN\" ${HOST}/a -H 'x: $TOKEN'";
    const { url, headers } = parse(line, { TOKEN: "t", HOST: "h" });
    expect(url).toBe("h/a");
    expect(headers).toContainEqual(["authorization", "Bearer t"]);
    expect(headers).toContainEqual(["x", "$TOKEN"]);
  });

  test("text after a pipe is not part of the curl line", () =>
    expect(parse("curl a | jq . > b").url).toBe("a"));

  test.each([
    ["curl", "has no URL"],
    ["curl a b", "has two URLs"],
    ["curl 'http://a/{x,y}'", "curl makes several URLs of {…} and […]"],
    ["curl 'http://a/?f[x]=1'", "-g to send it as it is"],
    ["curl 'http://[::1]/?f[x]=1'", "-g to send it as it is"],
    ["curl -g --no-globoff 'http://a/[1-2]'", "-g to send it as it is"],
    ["curl --frobnicate a", "curl 8.22.0 has no option --frobnicate"],
    ["curl -5 a", "curl 8.22.0 has no option -5"],
    ["curl --heade 'x: y' a", "has no option --heade: write --header"],
    ["curl --no-insecur a", "has no option --no-insecur: write --no-insecure"],
    ["curl --re x a", /has no option --re$/],
    ["curl --no-header a", "has no option --no-header, but --header"],
    ["curl -sK file a", "the option -K (--config) of curl reads more options from a file"],
    ["curl --config=file a", "the option --config of curl reads more options from a file"],
    ["curl --netrc a", "the option --netrc of curl reads a password from a file"],
    ["curl -T file a", "the option -T (--upload-file) of curl reads a file"],
    ["curl --variable '%TOKEN' a", "the option --variable of curl reads a file or the environment"],
    ["curl --expand-header 'x: {{y}}' a", "--expand-header puts variables in"],
    ["curl -E c.pem a", "write its URI with --client-san"],
    ["curl --request-target /x a", "write --path"],
    ["curl a --next b", "begins another request"],
    ["curl --digest -u a:b a", "asks for: write the header Authorization"],
    ["curl --ftp-pasv a", "is for another protocol than HTTP"],
    ["curl -V", "prints something, and no request is sent"],
    ['curl ^"http://a/^" ^\n  -H ^"x: y^"', "is for cmd of Windows"],
    ["curl $'\\U110000'", "is not a character of Unicode"],
    ["curl -H", "-H needs a value"],
    ["curl 'a", "a single quote is not closed"],
    ['curl "a', "a double quote is not closed"],
    ["curl $(cat url)", "would run a command"],
    ["curl `cat url`", "would run a command"],
    ["curl $URL", "the variable URL is not set here"],
    ["curl -d @file a", "data from a file is not read"],
    ["curl -b jar a", "-b with a file is not read"],
    ["curl -H @file a", "-H with a file is not read"],
    ["wget a", "this is not a curl line"],
    ["", "this is not a curl line"],
  ])("%j is refused", (line, words) => {
    expect(() => parse(line)).toThrow(CurlError);
    expect(() => parse(line)).toThrow(words);
  });
});

test("the sample's own token passes the sample", () => {
  const sample = join(ROOT, "envoy/istio/one-principal.yaml");
  expect(readFileSync(sample, "utf8")).toContain("DHFbpoIUqrY8t2zpA2qXfCmr5VO5ZEr4RzHU_-envvQ");
  expect(run("-f", sample, "--token", ISTIO_TOKEN).stdout).toContain("default/one-principal, rule 0");
});
