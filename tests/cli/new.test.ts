/** `jwtgate new`: the resources of all answers compile, and the filter behaves according to the answers. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { review } from "../../tools/check/review.ts";
import type { Host } from "../../tools/host/host.ts";
import { createNodeHost } from "../../tools/host/node.ts";
import { compile } from "../../tools/targets/compile.ts";
import { keySetOf, makeTrialKey, readPastedKeys } from "../../tools/wizard/keys.ts";
import { type Answers, renderResources, type TokenLocation } from "../../tools/wizard/resources.ts";
import { renderRequests, renderTests } from "../../tools/wizard/tests.ts";
import { TOOL, Workspace } from "../support/cli.ts";
import { MODULE } from "../support/envoy.ts";
import { KEY, onTerminal } from "../support/terminal.ts";
import { bearer, TestKey } from "../support/tokens.ts";

const workspace = new Workspace();
afterAll(() => workspace.remove());

const ISSUER = "https://idp.example.com";
const key = TestKey.generate("ES256", "k");
const token = key.token({ iss: ISSUER, sub: "alice", aud: "shop" });

let module: WebAssembly.Module;
beforeAll(async () => {
  module = await WebAssembly.compile(readFileSync(MODULE));
  writeFileSync(workspace.path("jwks.json"), key.jwks);
});

function yamlOf(...args: string[]): string {
  const { status, stdout, stderr } = workspace.run([
    "new",
    "--issuer",
    ISSUER,
    "--jwks",
    "jwks.json",
    ...args,
  ]);
  // Most tests are not about audiences, and the tool warns if there are none.
  const others = stderr.split("\n").filter((line) => line !== "" && !/ (JG002|JG010): /.test(line));
  expect({ status, others }).toEqual({ status: 0, others: [] });
  return stdout;
}

/** A host with what was printed. */
async function gate(...args: string[]): Promise<Host> {
  const { configuration } = compile([{ name: "new", text: yamlOf(...args) }], { target: "envoy" });
  const host = await createNodeHost(module);
  expect(host.configure(configuration).accepted).toBe(true);
  return host;
}

const statusOf = (host: Host, request: Parameters<Host["send"]>[0]) =>
  host.send(request).outcome?.answer?.status ?? 200;

describe("which requests need a token", () => {
  test("all, by default", async () => {
    const host = await gate();
    expect(statusOf(host, { path: "/" })).toBe(403);
    expect(statusOf(host, { path: "/", headers: [bearer(token)] })).toBe(200);
    expect(statusOf(host, { path: "/", headers: [bearer("x")] })).toBe(401);
  });

  test("only those that match, with any port of the host, and with a dot at its end", async () => {
    const host = await gate(
      ...[
        "--auth-if",
        "--path",
        "/admin*",
        "--host",
        "shop.example.com",
        "--method",
        "GET",
        "--method",
        "POST",
      ],
    );
    const request = { path: "/admin/x", authority: "shop.example.com", method: "POST" };
    expect(statusOf(host, request)).toBe(403);
    // The same name in other spellings.
    for (const authority of ["SHOP.example.com:8443", "shop.example.com.", "shop.example.com.:8443"])
      expect(statusOf(host, { ...request, authority })).toBe(403);
    expect(statusOf(host, { ...request, headers: [bearer(token)] })).toBe(200);
    for (const other of [{ path: "/" }, { authority: "other.example.com" }, { method: "PUT" }]) {
      expect(statusOf(host, { ...request, ...other })).toBe(200);
    }
  });

  test("all except those that match every condition", async () => {
    const host = await gate(
      ...["--bypass-if", "--path", "/healthz", "--host", "shop.example.com", "--method", "GET"],
    );
    const request = { path: "/healthz", authority: "shop.example.com" };
    expect(statusOf(host, request)).toBe(200);
    expect(statusOf(host, { ...request, authority: "shop.example.com:80" })).toBe(200);
    expect(statusOf(host, { ...request, authority: "shop.example.com." })).toBe(403);
    for (const other of [{ path: "/x" }, { authority: "other.example.com" }, { method: "POST" }]) {
      expect(statusOf(host, { ...request, ...other })).toBe(403);
      expect(statusOf(host, { ...request, ...other, headers: [bearer(token)] })).toBe(200);
    }
  });

  test("a suffix of hosts that any port would evade is reported", () => {
    const args = ["new", "--issuer", ISSUER, "--jwks", "jwks.json", "--auth-if", "--host", "*.example.com"];
    const { status, stderr } = workspace.run(args);
    expect(status).toBe(0);
    expect(stderr).toContain('warning JG210: "*.example.com" does not match "*.example.com:8080"');
  });
});

describe("the token's location, and its forwarding", () => {
  test("a header with its prefix, a parameter, a cookie", async () => {
    const host = await gate(
      ...[
        "--from-header",
        "x-auth:Token ",
        "--from-header",
        "x-jwt",
        "--from-param",
        "t",
        "--from-cookie",
        "c",
      ],
    );
    for (const [path, headers] of [
      ["/", [["x-auth", `Token ${token}`]]],
      ["/", [["x-jwt", token]]],
      [`/?t=${token}`, []],
      ["/", [["cookie", `c=${token}`]]],
    ] as [string, [string, string][]][]) {
      expect(statusOf(host, { path, headers })).toBe(200);
    }
    expect(statusOf(host, { headers: [bearer(token)] })).toBe(403);
  });

  test("it is forwarded, with claims and payload in headers", async () => {
    const host = await gate("--forward", "--payload-header", "x-payload", "--claim-header", "x-user=sub");
    const { upstream } = host.send({ headers: [bearer(token), ["x-user", "forged"]] }).outcome ?? {};
    const headers = upstream?.headers.map(([name, value]) => [name.toLowerCase(), value]);
    expect(headers).toContainEqual(["authorization", `Bearer ${token}`]);
    expect(headers).toContainEqual(["x-payload", token.split(".")[1]]);
    expect(headers?.filter(([name]) => name === "x-user")).toEqual([["x-user", "alice"]]);
  });

  test("an audience is required", async () => {
    expect(statusOf(await gate("--audience", "shop"), { headers: [bearer(token)] })).toBe(200);
    expect(statusOf(await gate("--audience", "bank"), { headers: [bearer(token)] })).toBe(403);
  });
});

describe("the resources", () => {
  const resources = (yaml: string) =>
    parseAllDocuments(yaml).map((document) => document.toJS() as { metadata: object; spec: object });

  test("are in a namespace, for labels or for a Gateway", () => {
    const labelled = resources(yamlOf("--name", "shop", "--namespace", "web", "--labels", "app=shop"));
    expect(labelled.map(({ metadata }) => metadata)).toEqual([
      { name: "shop", namespace: "web" },
      { name: "shop-require-token", namespace: "web" },
    ]);
    for (const { spec } of labelled)
      expect(spec).toMatchObject({ selector: { matchLabels: { app: "shop" } } });
    const targetRefs = [{ group: "gateway.networking.k8s.io", kind: "Gateway", name: "edge" }];
    for (const { spec } of resources(yamlOf("--gateway", "edge"))) expect(spec).toMatchObject({ targetRefs });
  });

  test("take keys by URL, or from the issuer's discovery", () => {
    const ruleOf = (...args: string[]) => {
      const { stdout } = workspace.run(["new", "--issuer", ISSUER, ...args]);
      const [first] = resources(stdout);
      return (first!.spec as { jwtRules: object[] }).jwtRules[0];
    };
    const fromHeaders = [{ name: "Authorization", prefix: "Bearer " }];
    expect(ruleOf("--jwks-uri", `${ISSUER}/jwks.json`)).toEqual({
      issuer: ISSUER,
      jwksUri: `${ISSUER}/jwks.json`,
      fromHeaders,
    });
    expect(ruleOf()).toEqual({ issuer: ISSUER, fromHeaders });
  });
});

describe("answers without a policy are reported, and nothing is printed", () => {
  test.each<[string[], number, string]>([
    [["--issuer", "me"], 1, 'the keys of "me" cannot be discovered'],
    [["--issuer", "me", "--jwks", "missing"], 1, "missing: there is no such file or folder"],
    [["--issuer", "me", "--jwks", "."], 1, ".: this is a folder"],
    [["--issuer", "me", "--jwks", "/dev/zero"], 1, "/dev/zero: this is larger than 1 MiB"],
    [["--issuer", "me", "--jwks-uri", "ftp://x"], 1, "must be a URL with http:// or https://"],
    [[], 2, "--issuer is required, because this is not a terminal"],
    [["--issuer", "a", "--jwks", "b", "--jwks-uri", "c"], 2, "leave --jwks-uri out"],
    [["--issuer", "a", "--labels", "a=b", "--gateway", "c"], 2, "a policy has one target"],
    [["--issuer", "a", "--auth-if", "--bypass-if", "--path", "/"], 2, "exclude each other"],
    [["--issuer", "a", "--path", "/"], 2, "--path, --host and --method need --auth-if or --bypass-if"],
    [["--issuer", "a", "--auth-if"], 2, "name what to match"],
    [["--issuer", "a", "--from-header", ":x"], 2, "Write NAME or 'NAME:PREFIX '"],
    [["--issuer", "a", "--claim-header", "x"], 2, "Write HEADER=CLAIM"],
    [["--issuer", "a", "--claim", "x"], 2, "Write NAME=VALUE, such as role=admin"],
    [["--issuer", "a", "--name", "My Gate"], 2, "Write lower-case letters, digits and -"],
    [["--issuer", "a", "--tests", "x.test.yaml"], 2, "--tests needs -o FILE"],
    [["--issuer", "a", "--tests", "x.yaml", "-o", "x.yaml"], 2, "--tests names the file of the policy"],
    [["--issuer", "a", "--tests", "y/x.test.yaml", "-o", "x.yaml"], 2, "into the folder of the policy"],
  ])("%j", (args, status, words) => {
    const result = workspace.run(["new", ...args]);
    expect({ status: result.status, stdout: result.stdout }).toEqual({ status, stdout: "" });
    expect(result.stderr).toContain(words);
    expect(result.stderr).not.toContain("    at ");
  });
});

describe("several issuers", () => {
  const other = TestKey.generate("ES256", "o");
  const OTHER = "https://partners.example.com";

  test("each have their own keys, audiences and locations", async () => {
    writeFileSync(workspace.path("other.json"), other.jwks);
    const host = await gate(
      ...["--audience", "shop", "--issuer", OTHER, "--jwks", "other.json", "--audience", "partner"],
      ...["--from-cookie", "session"],
    );
    const partner = other.token({ iss: OTHER, sub: "bob", aud: "partner" });
    const inCookie = (value: string): [string, string] => ["cookie", `session=${value}`];
    expect(statusOf(host, { headers: [bearer(token)] })).toBe(200);
    expect(statusOf(host, { headers: [inCookie(partner)] })).toBe(200);
    // The locations and audiences of one issuer are not those of the other.
    expect(statusOf(host, { headers: [bearer(partner)] })).not.toBe(200);
    expect(statusOf(host, { headers: [inCookie(token)] })).not.toBe(200);
    const wrong = other.token({ iss: OTHER, sub: "bob", aud: "shop" });
    expect(statusOf(host, { headers: [inCookie(wrong)] })).toBe(403);
    const forged = key.token({ iss: OTHER, sub: "bob", aud: "partner" });
    expect(statusOf(host, { headers: [inCookie(forged)] })).toBe(401);
  });

  test("flags before the first --issuer are about it", () => {
    const args = ["new", "--audience", "a", "--issuer", ISSUER, "--issuer", OTHER, "--audience", "b"];
    const [first] = parseAllDocuments(workspace.run(args).stdout).map((one) => one.toJS());
    const rules = first.spec.jwtRules as { issuer: string; audiences: string[] }[];
    expect(rules.map(({ issuer, audiences }) => [issuer, audiences])).toEqual([
      [ISSUER, ["a"]],
      [OTHER, ["b"]],
    ]);
  });
});

describe("scopes and claims", () => {
  test("all scopes are required, and one of a claim's values", async () => {
    const host = await gate(
      ...["--scope", "read", "--scope", "write", "--claim", "role=admin", "--claim", "role=edit*"],
      ...["--claim", "[realm][group]=staff"],
    );
    const claims = {
      iss: ISSUER,
      sub: "alice",
      scope: "read write",
      role: "editor",
      realm: { group: "staff" },
    };
    const status = (changed: object) =>
      statusOf(host, { headers: [bearer(key.token({ ...claims, ...changed }))] });
    expect(status({})).toBe(200);
    expect(status({ role: "admin" })).toBe(200);
    for (const changed of [{ scope: "read" }, { scope: "" }, { role: "guest" }, { realm: {} }]) {
      expect(status(changed)).toBe(403);
    }
    expect(statusOf(host, {})).toBe(403);
  });

  test("are conditions only for requests that need a token", async () => {
    const host = await gate("--scope", "read", "--bypass-if", "--path", "/healthz");
    expect(statusOf(host, { path: "/healthz" })).toBe(200);
    expect(statusOf(host, { path: "/", headers: [bearer(token)] })).toBe(403);
  });
});

describe("files", () => {
  const folder = new Workspace();
  afterAll(() => folder.remove());
  const create = (...args: string[]) =>
    folder.run([
      "new",
      "--issuer",
      ISSUER,
      "--audience",
      "shop",
      "--jwks",
      workspace.path("jwks.json"),
      ...args,
    ]);
  const read = (name: string) => readFileSync(folder.path(name), "utf8");

  test("are a policy and its tests, and the next commands work as they are printed", () => {
    const { status, stdout, stderr } = create("-o", "it's a gate.yaml");
    expect({ status, stdout }).toEqual({ status: 0, stdout: "" });
    expect(stderr).toContain("wrote it's a gate.yaml and it's a gate.test.yaml\n");
    const commands = [...stderr.matchAll(/^ {2}jwtgate (.*)$/gm)].map(([, rest]) => rest ?? "");
    expect(commands.map((line) => line.split(" ")[0])).toEqual(["test", "check", "run", "compile"]);
    for (const line of commands) {
      // `run` serves until a user ends it; its own tests start it. Here only its command line is checked.
      const script = line.startsWith("run ") ? `${line} --help` : line;
      const result = spawnSync("bash", ["-c", `"$0" "$1" ${script}`, process.execPath, TOOL], {
        cwd: folder.folder,
        encoding: "utf8",
      });
      expect({ line, status: result.status, stderr: result.stderr }).toEqual({ line, status: 0, stderr: "" });
    }
  });

  test("are not replaced without --force, neither of them", () => {
    writeFileSync(folder.path("mine.test.yaml"), "mine");
    const refused = create("-o", "mine.yaml");
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain("mine.test.yaml: this file exists");
    expect(existsSync(folder.path("mine.yaml"))).toBe(false);
    expect(read("mine.test.yaml")).toBe("mine");
    expect(create("-o", "mine.yaml", "--no-tests").status).toBe(0);
    const policy = read("mine.yaml");
    expect(create("-o", "mine.yaml", "--name", "other", "--force").status).toBe(0);
    expect(read("mine.yaml")).not.toBe(policy);
    expect(read("mine.test.yaml")).toContain("policies: [mine.yaml]");
  });

  test("are both missing if the second cannot be written", () => {
    mkdirSync(folder.path("taken.test.yaml"));
    const { status, stderr } = create("-o", "taken.yaml");
    expect(status).toBe(1);
    expect(stderr).toContain("taken.test.yaml: the tests cannot be written");
    expect(existsSync(folder.path("taken.yaml"))).toBe(false);
  });

  test("may have another name for the tests, and need none if the result is printed", () => {
    expect(create("-o", "a.yaml", "--tests", "b.test.yaml").status).toBe(0);
    expect(folder.run(["test", "b.test.yaml"]).status).toBe(0);
    expect(create("-o", "-").stdout).toContain("kind: RequestAuthentication");
    expect(create("-o", "/dev/null").status).toBe(0);
  });
});

describe("for any answers", () => {
  const some = <T>(value: fc.Arbitrary<T>, maxLength = 2) => fc.uniqueArray(value, { maxLength });
  const issuer = fc.record({
    audiences: fc.uniqueArray(fc.constantFrom("shop", "bank", "true"), { minLength: 1, maxLength: 2 }),
    keys: fc.constantFrom({ jwks: key.jwks }, { jwksUri: `${ISSUER}/keys` }, {}),
    locations: some(
      fc.constantFrom<TokenLocation>(
        { kind: "header", name: "x-auth", prefix: "Token " },
        { kind: "header", name: "x-jwt" },
        { kind: "cookie", name: "session" },
      ),
    ),
  });
  const match = fc
    .record({
      paths: some(
        fc.constantFrom("/admin", "/admin/*", "/a*", "*/health", "*", "/shop/{*}/items", "/x/{**}", "/"),
      ),
      hosts: some(fc.constantFrom("shop.example.com", "api.example.com:8443", "*.example.com", "api.*", "*")),
      methods: some(fc.constantFrom("GET", "POST", "DELETE", "*")),
    })
    .filter(({ paths, hosts, methods }) => paths.length + hosts.length + methods.length > 0);
  const answers: fc.Arbitrary<Answers> = fc
    .record({
      name: fc.constant("gate"),
      place: fc.constantFrom({}, { namespace: "web" }, { labels: { app: "shop" } }, { gateway: "edge" }),
      issuers: fc
        .array(issuer, { minLength: 1, maxLength: 3 })
        .map((all) => all.map((one, i) => ({ ...one, issuer: `https://idp-${i}.example.com` }))),
      scopes: some(fc.constantFrom("read", "write:orders", "a*")),
      claims: some(
        fc.constantFrom(
          { name: "role", value: "admin" },
          { name: "role", value: "edit*" },
          { name: "[realm][group]", value: "*staff" },
          { name: "tenant", value: "*" },
          { name: "sub", value: "alice" },
          { name: "azp", value: "web" },
        ),
        3,
      ),
      forward: fc.boolean(),
      claimHeaders: fc.constantFrom([], [{ header: "x-user", claim: "sub" }]),
      scope: fc.constantFrom("all", "matched", "unmatched"),
      match,
    })
    .map(({ place, ...rest }) => ({ ...rest, ...place }) as unknown as Answers);

  test("the policy compiles without a finding, and its tests pass", () => {
    const folder = new Workspace();
    const seed = Number(process.env["RANDOM_SEED"] ?? Date.now() % 2 ** 31);
    for (const [i, given] of fc.sample(answers, { numRuns: 25, seed }).entries()) {
      const [policy, tests] = [`gate-${i}.yaml`, `gate-${i}.test.yaml`];
      const text = renderResources(given);
      const { diagnostics, findings } = review([{ name: policy, text }]);
      // A suffix of hosts cannot have every port, which is reported.
      const others = findings.filter(({ code, message }) => code !== "JG210" || !message.startsWith('"*.'));
      expect({ diagnostics, others }, `seed ${seed}: ${text}`).toEqual({ diagnostics: [], others: [] });
      writeFileSync(folder.path(policy), text);
      writeFileSync(folder.path(tests), renderTests(given, policy));
      writeFileSync(folder.path(`four-${i}.test.yaml`), renderRequests(given, policy));
    }
    const { status, stdout, stderr } = folder.run(["test"]);
    const failed = stdout.split("\n").filter((line) => !/^ *✓/.test(line));
    expect({ status, stderr }, `seed ${seed}: ${failed.join("\n")}`).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(/\d{3,} passed/);
    folder.remove();
  });
});

describe("keys", () => {
  test("made for a trial sign tokens that the policy accepts, of each kind", async () => {
    const folder = new Workspace();
    for (const alg of ["ES256", "RS256", "EdDSA", "HS256"]) {
      const { jwks, privateKey } = await makeTrialKey(alg);
      const given: Answers = {
        name: "gate",
        issuers: [{ issuer: ISSUER, audiences: ["shop"], keys: { jwks }, locations: [] }],
        forward: false,
        claimHeaders: [],
        scope: "unmatched",
        match: { paths: ["/healthz"], hosts: [], methods: [] },
        scopes: [],
        claims: [],
      };
      expect(jwks).not.toContain('"d"');
      writeFileSync(folder.path(`${alg}.yaml`), renderResources(given));
      writeFileSync(folder.path(`${alg}.test.yaml`), renderRequests(given, `${alg}.yaml`, privateKey));
    }
    const { status, stdout } = folder.run(["test"]);
    expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringContaining("16 passed") });
    folder.remove();
  });

  test("that are pasted are read as those of a file", () => {
    expect(readPastedKeys(key.jwks)).toEqual(keySetOf((JSON.parse(key.jwks) as { keys: unknown[] }).keys));
    expect(readPastedKeys(key.jwks).jwks).toContain('"kid": "k"');
    expect(readPastedKeys("hello")).toEqual({
      problems: [{ severity: "error", message: "this is neither PEM, DER nor a JWK: not JSON" }],
    });
  });
});

describe("questions", () => {
  const folder = new Workspace();
  afterAll(() => folder.remove());
  writeFileSync(folder.path("jwks.json"), key.jwks);
  const { enter, down, interrupt, clear } = KEY;
  const answer = (text: string) => `${text}${enter}`;
  const ask = (steps: [string, string][], ...args: string[]) =>
    onTerminal([process.execPath, TOOL, "new", ...args], steps, folder.folder);
  const names = () => readdirSync(folder.folder).sort();

  test("write a policy of two issuers and its tests, which pass", () => {
    const { status, text, missing } = ask(
      [
        ["Issuer (the token's iss)", answer(ISSUER)],
        ["Where are its keys?", down + enter],
        ["File", answer("jwks.json")],
        ["Audiences", answer("shop")],
        ["Where is the token?", enter],
        ["Does another issuer", down + enter],
        ["Issuer (the token's iss)", answer("https://partners.example.com")],
        ["Where are its keys?", enter],
        ["URL", answer("partners.example.com/keys")],
        ["Audiences", answer("partner, shop")],
        ["Where is the token?", down + down + down + enter],
        ["Its name", answer("session")],
        ["Does another issuer", enter],
        ["Scopes", answer("orders")],
        ["A claim that it must have", answer("role=admin")],
        ["A claim that it must have", enter],
        ["Does the service get the token itself?", enter],
        ["A claim for the service", answer("x-user=sub")],
        ["A claim for the service", enter],
        ["Which requests need a token?", down + down + enter],
        ["Paths", answer("/healthz")],
        ["Hosts", enter],
        ["Methods", enter],
        ["Name of the resources", enter],
        ["Namespace", enter],
        ["Is this right?", enter],
      ],
      "-o",
      "two.yaml",
    );
    expect({ status, missing }, text).toEqual({ status: 0, missing: null });
    const policy = readFileSync(folder.path("two.yaml"), "utf8");
    for (const part of [
      ISSUER,
      "https://partners.example.com/keys",
      "fromCookies: [session]",
      "orders",
      "admin",
      "/healthz",
    ])
      expect(policy).toContain(part);
    expect(text).toContain("jwtgate test two.test.yaml");
    expect(folder.run(["test", "two.test.yaml"])).toMatchObject({ status: 0, stderr: "" });
    expect(folder.run(["check", "-f", "two.yaml", "--fail-on", "warning"]).status).toBe(0);
  });

  test("allow going back, check each answer at once, and allow changing every answer at the end", () => {
    const flags = [
      "--jwks",
      "jwks.json",
      "--audience",
      "shop",
      "--scope",
      "a",
      "--claim",
      "role=admin",
      "--forward",
    ];
    const { status, text, missing } = ask(
      [
        ["Issuer (the token's iss)", answer("")],
        ["Write what the claim iss has", answer("https://first.example.com")],
        ["Where is the token?", down + enter],
        ["Its name", answer("a b")],
        ["is not a header that can hold a token", clear + answer("<")],
        ["Where is the token?", down + enter],
        ["Its name", answer("t")],
        ["Does another issuer", enter],
        ["Which requests need a token?", enter],
        ["Name of the resources", clear + answer("Not A Name")],
        ["Write lower-case letters", clear + answer("gate")],
        ["Namespace", enter],
        ["Is this right?", down + enter],
        ["Issuer (the token's iss)", clear + answer("https://second.example.com")],
        ["Is this right?", enter],
      ],
      ...[...flags, "--claim-header", "x-user=sub", "-o", "back.yaml", "--no-tests"],
    );
    expect({ status, missing }, text).toEqual({ status: 0, missing: null });
    const policy = readFileSync(folder.path("back.yaml"), "utf8");
    expect(policy).toContain("https://second.example.com");
    expect(policy).not.toContain("first.example.com");
    expect(policy).toContain("fromParams: [t]");
    expect(policy).toContain("name: gate");
  });

  test.each(["Issuer", "Is this right?"])("Ctrl-C at %j writes nothing and ends with 130", (at) => {
    const before = names();
    const steps: [string, string][] = [
      ["Issuer", answer(ISSUER)],
      ["Where are its keys?", enter],
      ["URL", answer("idp.example.com/keys")],
      ["Audiences", enter],
      ["Where is the token?", enter],
      ["Does another issuer", enter],
      ["Scopes", enter],
      ["A claim that", enter],
      ["Does the service get", enter],
      ["A claim for", enter],
      ["Which requests", enter],
      ["Name of", enter],
      ["Namespace", enter],
      ["Is this right?", enter],
    ];
    const last = steps.findIndex(([wanted]) => wanted === at);
    const { status, missing } = ask([...steps.slice(0, last), [at, interrupt]], "-o", "left.yaml");
    expect({ status, missing }).toEqual({ status: 130, missing: null });
    expect(names()).toEqual(before);
  });
});

test("a path that no request has is refused, and a method's case is corrected", () => {
  const args = ["new", "--issuer", ISSUER, "--jwks", "jwks.json", "--auth-if"];
  const { status, stderr } = workspace.run([...args, "--path", "healthz"]);
  expect(status).toBe(2);
  expect(stderr).toContain("Write a path that begins with / or *");
  expect(yamlOf("--auth-if", "--method", "get")).toContain("methods: [GET]");
});
