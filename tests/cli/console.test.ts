/** `jwtgate console`: the answers of its server, and the page in one file. */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request as sendRequest } from "node:http";
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ROOT, TOOL, Workspace } from "../support/cli.ts";
import { answer, JwksServer } from "../support/jwks-server.ts";
import { CertificateAuthority } from "../support/pki.ts";
import { until } from "../support/until.ts";

const workspace = new Workspace();
let keys: JwksServer;
/** An issuer with a discovery document. */
let issuer: JwksServer;
let child: ChildProcess;
let stderr = "";
let port = 0;

const policyOf = (name: string, rule: object) => `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata:
  name: ${name}
spec:
  jwtRules: [${JSON.stringify(rule)}]
`;
const keysPolicy = () => policyOf("a", { issuer: "a", jwksUri: `${keys.origin}/keys` });

beforeAll(async () => {
  keys = await JwksServer.start(answer(200, '{"keys":[]}'));
  const authority = new CertificateAuthority();
  issuer = await JwksServer.start(answer(404, ""), authority.issue({ dns: ["localhost"] }));
  writeFileSync(workspace.path("ca.pem"), authority.certificate);
  mkdirSync(workspace.path("policies"));
  writeFileSync(workspace.path("policies/a.yaml"), keysPolicy());
  const args = ["-f", "policies", "--listen", "127.0.0.1:0", "--jwks-ca", "ca.pem"];
  child = spawn(process.execPath, [TOOL, "console", ...args], {
    cwd: workspace.folder,
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    port = Number(/^http:\/\/127\.0\.0\.1:(\d+)\/$/.exec(line)?.[1]);
    break;
  }
});
afterAll(async () => {
  child.kill("SIGKILL");
  await keys.close();
  await issuer.close();
  workspace.remove();
});

interface Sent {
  method?: string;
  headers?: Record<string, string>;
  body?: string | Buffer;
}

function send(path: string, { method = "GET", headers = {}, body = "" }: Sent = {}) {
  return new Promise<{ status: number; headers: Record<string, unknown>; text: string }>(
    (resolve, reject) => {
      const request = sendRequest(
        { host: "127.0.0.1", port, path, method, headers, agent: false },
        (response) => {
          let text = "";
          response.setEncoding("utf8").on("data", (part: string) => {
            text += part;
          });
          response.on("end", () =>
            resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
          );
        },
      );
      request.on("error", reject);
      request.end(body);
    },
  );
}

/** A request of the page itself. */
const post = (body: string | Buffer, headers: Record<string, string> = {}) =>
  send("/api/jwks", {
    method: "POST",
    headers: { "content-type": "application/json", origin: `http://127.0.0.1:${port}`, ...headers },
    body,
  });
const fetchKeys = async (uri: string) => {
  const { status, text } = await post(JSON.stringify({ uri }));
  return { status, ...(JSON.parse(text) as object) };
};

/** The answer to a page that requests the policies. */
interface Policies {
  files: { name: string; text: string }[];
  problems: string[];
}

/** Polls like a page until the policies are these. */
function policiesWhere(what: string, matches: (policies: Policies) => boolean): Promise<Policies> {
  return until(what, async () => {
    const policies = JSON.parse((await send("/api/policies")).text) as Policies;
    return matches(policies) && policies;
  });
}

/** A connection that a page keeps open after one request. */
function openConnection(): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.write(`GET /api/policies HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n\r\n`);
    });
    socket.once("data", () => resolve(socket));
    socket.on("error", reject);
  });
}

describe("the server", () => {
  test("serves the built console, and marks the page as served", async () => {
    const page = await send("/");
    expect(page.status).toBe(200);
    expect(page.text).toContain('<meta name="jwtgate-console" content="served" />');
    expect(page.headers).toMatchObject({
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": expect.stringMatching(/^default-src 'self';.*; frame-ancestors 'none'$/),
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "cross-origin-resource-policy": "same-origin",
    });
    for (const name of readdirSync(`${ROOT}/dist/console`)) {
      const { status, headers, text } = await send(`/${name}`);
      expect({ name, status }).toEqual({ name, status: 200 });
      expect(headers["x-content-type-options"]).toBe("nosniff");
      if (name === "main.js") expect(text).toBe(readFileSync(`${ROOT}/dist/console/main.js`, "utf8"));
      if (name.endsWith(".wasm")) expect(headers["content-type"]).toBe("application/wasm");
      const head = await send(`/${name}`, { method: "HEAD" });
      expect([head.status, head.text, head.headers["content-length"]]).toEqual([
        200,
        "",
        headers["content-length"],
      ]);
    }
  });

  test.each<[string, Sent, number]>([
    ["/nothing", {}, 404],
    ["/../package.json", {}, 404],
    ["/%2e%2e/package.json", {}, 404],
    ["//etc/passwd", {}, 404],
    ["/__proto__", {}, 404],
    ["/", { method: "DELETE", headers: { origin: "$own" } }, 405],
    ["/api/jwks", {}, 405],
    ["/api/policies", { method: "PUT", headers: { origin: "$own" } }, 405],
    // Another site's page, under a name that leads here, or from its own origin.
    ["/", { headers: { host: "attacker.example" } }, 403],
    ["/api/policies", { headers: { host: "127.0.0.1.attacker.example:7519" } }, 403],
    ["/api/policies", { headers: { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" } }, 403],
    ["/", { headers: { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" } }, 200],
    ["/api/policies", { headers: { host: "localhost:1" } }, 200],
    ["/api/policies", { headers: { host: "[::1]:7519", "sec-fetch-site": "same-origin" } }, 200],
  ])("%s %j: %d", async (path, { headers = {}, ...sent }, status) => {
    const own = Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [
        name,
        value === "$own" ? `http://127.0.0.1:${port}` : value,
      ]),
    );
    const result = await send(path, { ...sent, headers: own });
    expect(result.status).toBe(status);
    if (status === 405) expect(result.headers["allow"]).toBe(path === "/api/jwks" ? "POST" : "GET, HEAD");
  });

  test("posts are the page's own, small, and JSON", async () => {
    const uri = JSON.stringify({ uri: `${keys.origin}/keys` });
    const statusOf = async (...args: Parameters<typeof post>) => (await post(...args)).status;
    expect(await statusOf(uri)).toBe(200);
    expect(await statusOf(uri, { origin: "http://attacker.example" })).toBe(403);
    expect(await statusOf(uri, { origin: "null" })).toBe(403);
    const without = { method: "POST", body: uri, headers: { "content-type": "application/json" } };
    expect((await send("/api/jwks", without)).status).toBe(403);
    expect(await statusOf(uri, { "content-type": "text/plain" })).toBe(415);
    for (const bad of ["", "{", "null", "[]", '{"uri":1}', "\u0000"]) expect(await statusOf(bad)).toBe(400);
    expect(await statusOf(Buffer.alloc(20_000, 32))).toBe(413);
  });

  test("fetches the keys of loaded policies, and asks no other address", async () => {
    const before = keys.count;
    expect(await fetchKeys(`${keys.origin}/keys`)).toEqual({ status: 200, body: '{"keys":[]}' });
    for (const uri of [
      `${keys.origin}/other`,
      `${keys.origin}/keys?x`,
      "http://169.254.169.254/latest/meta-data/",
      "file:///etc/passwd",
      "",
      "__proto__",
    ])
      expect(await fetchKeys(uri)).toEqual({ status: 403, error: "no policy names this URI" });
    expect(keys.requests.slice(before)).toEqual(["/keys"]);
  });

  test("reports why there are no keys, follows no redirect, and calls no metadata service", async () => {
    const behaviour = keys.behaviour;
    keys.behaviour = answer(302, "", { location: `${keys.origin}/elsewhere` });
    const before = keys.count;
    expect(await fetchKeys(`${keys.origin}/keys`)).toEqual({ status: 302, body: "" });
    keys.behaviour = answer(200, Buffer.from([0xff]));
    expect(await fetchKeys(`${keys.origin}/keys`)).toEqual({
      status: 200,
      error: "the document is not UTF-8",
    });
    keys.behaviour = answer(200, Buffer.alloc(600_000, 32));
    expect(await fetchKeys(`${keys.origin}/keys`)).toEqual({
      status: 200,
      error: "the document is larger than 524288 bytes",
    });
    expect(keys.requests.slice(before)).toEqual(["/keys", "/keys", "/keys"]);
    keys.behaviour = behaviour;
    // A policy that names one does not compile, so the previous policies stay.
    const metadata = "http://169.254.169.254/keys";
    writeFileSync(
      workspace.path("policies/metadata.yaml"),
      policyOf("b", { issuer: "b", jwksUri: metadata }),
    );
    await policiesWhere("the policy", ({ files }) => files.some(({ text }) => text.includes(metadata)));
    expect(await fetchKeys(metadata)).toMatchObject({ status: 403 });
    expect(await fetchKeys(`${keys.origin}/keys`)).toMatchObject({ status: 200 });
    rmSync(workspace.path("policies/metadata.yaml"));
    await policiesWhere("the policy gone", ({ files }) => files.length === 1);
  });

  test("follows a discovery document to the key set that the filter would fetch", async () => {
    const origin = issuer.origin.replace("127.0.0.1", "localhost");
    const document = `${origin}/.well-known/openid-configuration`;
    const rule = policyOf("c", { issuer: origin });
    writeFileSync(workspace.path("policies/discovered.yaml"), rule);
    await policiesWhere("the policy", ({ files }) => files.some(({ text }) => text === rule));
    for (const [jwks_uri, status] of [
      ["http://elsewhere.example/keys", 403],
      [`${origin}/found`, 200],
    ] as const) {
      issuer.behaviour = answer(200, JSON.stringify({ issuer: origin, jwks_uri }));
      expect(await fetchKeys(jwks_uri)).toMatchObject({ status: 403 });
      expect(await fetchKeys(document)).toMatchObject({ status: 200 });
      expect(await fetchKeys(jwks_uri)).toMatchObject({ status });
    }
    rmSync(workspace.path("policies/discovered.yaml"));
  });

  test("serves every change on disk to pages, and names files that cannot be read", async () => {
    await policiesWhere("the first", ({ files }) => files.some(({ name }) => name === "policies/a.yaml"));
    writeFileSync(workspace.path("policies/b.yaml"), "# <script>\n");
    const both = await policiesWhere("b", ({ files }) => files.some(({ text }) => text === "# <script>\n"));
    expect(both.files).toHaveLength(2);
    writeFileSync(workspace.path("policies/b.yaml"), Buffer.from([0xff, 0xfe, 0xfd]));
    await policiesWhere("the problem", ({ problems }) =>
      problems.some((line) => line.startsWith("policies/b.yaml:")),
    );
    rmSync(workspace.path("policies/b.yaml"));
    await policiesWhere("b gone", ({ files, problems }) => files.length === 1 && problems.length === 0);
  });

  test("has no body for a page that has the newest policies", async () => {
    const first = await send("/api/policies");
    const tag = String(first.headers["etag"]);
    const headers = { "if-none-match": tag };
    const again = await send("/api/policies", { headers });
    expect([again.status, again.text, again.headers["etag"]]).toEqual([304, "", tag]);
    writeFileSync(workspace.path("policies/b.yaml"), "# new\n");
    const changed = await until("other policies", async () => {
      const found = await send("/api/policies", { headers });
      return found.status === 200 && found;
    });
    expect(changed.headers["etag"]).not.toBe(tag);
    rmSync(workspace.path("policies/b.yaml"));
    await policiesWhere("b gone", ({ files }) => files.length === 1);
  });

  test("no bytes from a client end it", async () => {
    const lines = fc.array(
      fc.oneof(
        fc.constantFrom(
          "GET / HTTP/1.1",
          "POST /api/jwks HTTP/1.1",
          "CONNECT a:1 HTTP/1.1",
          "OPTIONS * HTTP/1.1",
        ),
        fc.constantFrom(
          "host: localhost",
          "content-length: 5",
          "transfer-encoding: chunked",
          "upgrade: websocket",
        ),
        fc.constantFrom("connection: upgrade", "expect: 100-continue", "expect: x", "", "ffffffff", "\0"),
        fc.string({ unit: "binary" }),
      ),
      { maxLength: 8 },
    );
    await fc.assert(
      fc.asyncProperty(lines, async (given) => {
        await new Promise<void>((resolve) => {
          const socket = connect(port, "127.0.0.1", () => socket.end(`${given.join("\r\n")}\r\n\r\n`));
          socket.on("error", () => {}).on("close", () => resolve());
          socket.resume();
        });
      }),
      { numRuns: 100 },
    );
    // A page that disconnects in the middle.
    for (let i = 0; i < 20; i++) (await openConnection()).destroy();
    expect((await send("/")).status).toBe(200);
    expect(child.exitCode).toBe(null);
    expect(stderr).toBe("Ctrl-C ends it\n");
  });

  test("an address in use is named", () => {
    const { status, stderr } = workspace.run(["console", "--listen", `127.0.0.1:${port}`]);
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: `--listen 127.0.0.1:${port} is in use: choose another with --listen IP:PORT\n`,
    });
  });

  test("Ctrl-C ends it with 0, with a page open", async () => {
    const socket = await openConnection();
    const ended = new Promise((resolve) => child.on("close", resolve));
    child.kill("SIGINT");
    expect(await ended).toBe(0);
    socket.destroy();
  });
});

describe("--export", () => {
  test("writes one file that refers to no other, and runs only its own content", () => {
    expect(workspace.run(["console", "policies", "--export", "console.html"])).toEqual({
      status: 0,
      stdout: "",
      stderr: "",
    });
    const html = readFileSync(workspace.path("console.html"), "utf8");
    const [head = ""] = html.split("<script");
    expect(head).not.toMatch(/ (src|href)="(?!data:)/);
    const policy = /Content-Security-Policy"\s+content="([^"]*)"/.exec(html)?.[1] ?? "";
    expect(policy).not.toContain("'self'");
    expect(policy).toContain("default-src 'none'");
    for (const name of ["script", "style"]) {
      const [, text = ""] = new RegExp(`<${name}(?: type="module")?>([\\s\\S]*?)</${name}>`).exec(html) ?? [];
      const digest = createHash("sha256").update(text).digest("base64");
      expect(policy).toContain(`${name}-src 'sha256-${digest}'`);
    }
    const data = JSON.parse(/id="jwtgate-export">([^<]*)</.exec(html)?.[1] ?? "") as Record<string, never>;
    expect(data["policies"]).toEqual({
      files: [{ name: "policies/a.yaml", text: keysPolicy() }],
    });
    expect(html).not.toContain('<meta name="jwtgate-console"');
  });

  test("contains policies that would end a script, unchanged", () => {
    const text = "# </script><!--<script>\u2028\n";
    writeFileSync(workspace.path("hostile.yaml"), text);
    const { stdout } = workspace.run(["console", "-f", "hostile.yaml", "--export", "-"]);
    const [, json = ""] = /id="jwtgate-export">([\s\S]*?)<\/script>/.exec(stdout) ?? [];
    expect(JSON.parse(json)).toMatchObject({ policies: { files: [{ name: "hostile.yaml", text }] } });
  });

  test.each<[string[], number, string]>([
    [["-f", "missing.yaml", "--export", "x.html"], 1, "missing.yaml: there is no such file or folder"],
    [["--export", "missing/x.html"], 1, "missing/x.html: the page cannot be written"],
    [["--export", "x.html", "--listen", "127.0.0.1:0"], 2, "--export starts no server: leave --listen out"],
    [["-f", "-"], 2, "cannot watch standard input"],
    [["--listen", "localhost:80"], 2, "Listen on an IP address, not on a name"],
    [["missing.yaml"], 1, "missing.yaml: there is no such file or folder"],
    [["--jwks-ca", "missing.pem"], 1, "missing.pem"],
  ])("%j: %d", (args, status, words) => {
    const result = workspace.run(["console", ...args]);
    expect({ status: result.status, stdout: result.stdout }).toEqual({ status, stdout: "" });
    expect(result.stderr).toContain(words);
  });
});
