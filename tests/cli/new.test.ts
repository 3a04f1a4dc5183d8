/** `jwtgate new`: every answer's resources, which compile and which do in the filter what the answers say. */
import { readFileSync, writeFileSync } from "node:fs";
import { PassThrough } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import type { Host } from "../../tools/host/host.ts";
import { createNodeHost } from "../../tools/host/node.ts";
import { compile } from "../../tools/targets/compile.ts";
import { Interrupted, Questions } from "../../tools/wizard/questions.ts";
import { Workspace } from "../support/cli.ts";
import { MODULE } from "../support/envoy.ts";
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
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
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
  test("all, where nothing is said", async () => {
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

  test("all but those that match in everything", async () => {
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

  test("an end of hosts that any port would slip past is told", () => {
    const args = ["new", "--issuer", ISSUER, "--jwks", "jwks.json", "--auth-if", "--host", "*.example.com"];
    const { status, stderr } = workspace.run(args);
    expect(status).toBe(0);
    expect(stderr).toContain(
      "warning: *.example.com does not match a request that names a port (x.example.com:80)",
    );
  });
});

describe("where the token stands and what becomes of it", () => {
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

  test("it is passed on, with claims and payload in headers", async () => {
    const host = await gate("--forward", "--payload-header", "x-payload", "--claim-header", "x-user=sub");
    const { upstream } = host.send({ headers: [bearer(token), ["x-user", "forged"]] }).outcome ?? {};
    const headers = upstream?.headers.map(([name, value]) => [name.toLowerCase(), value]);
    expect(headers).toContainEqual(["authorization", `Bearer ${token}`]);
    expect(headers).toContainEqual(["x-payload", token.split(".")[1]]);
    expect(headers?.filter(([name]) => name === "x-user")).toEqual([["x-user", "alice"]]);
  });

  test("an audience is wanted", async () => {
    expect(statusOf(await gate("--audience", "shop"), { headers: [bearer(token)] })).toBe(200);
    expect(statusOf(await gate("--audience", "bank"), { headers: [bearer(token)] })).toBe(403);
  });
});

describe("the resources", () => {
  const resources = (yaml: string) =>
    parseAllDocuments(yaml).map((document) => document.toJS() as { metadata: object; spec: object });

  test("stand in a namespace, for labels or for a Gateway", () => {
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
    expect(ruleOf("--jwks-uri", `${ISSUER}/jwks.json`)).toEqual({
      issuer: ISSUER,
      jwksUri: `${ISSUER}/jwks.json`,
    });
    expect(ruleOf()).toEqual({ issuer: ISSUER });
  });
});

describe("what makes no policy is said, and nothing is printed", () => {
  test.each<[string[], number, string]>([
    [["--issuer", "me"], 1, 'the keys of "me" cannot be discovered'],
    [["--issuer", "me", "--jwks", "missing"], 1, "missing: there is no such file or folder"],
    [["--issuer", "me", "--jwks", "."], 1, ".: this is a folder"],
    [["--issuer", "me", "--jwks", "/dev/zero"], 1, "/dev/zero: this is larger than 1 MiB"],
    [["--issuer", "me", "--jwks-uri", "ftp://x"], 1, "must be a URL with http:// or https://"],
    [[], 2, "--issuer is needed where nobody can be asked: this is no terminal"],
    [["--issuer", "a", "--jwks", "b", "--jwks-uri", "c"], 2, "leave --jwks-uri out"],
    [["--issuer", "a", "--labels", "a=b", "--gateway", "c"], 2, "a policy has one target"],
    [["--issuer", "a", "--auth-if", "--bypass-if", "--path", "/"], 2, "both together mean nothing"],
    [["--issuer", "a", "--path", "/"], 2, "say what --path, --host and --method are for"],
    [["--issuer", "a", "--auth-if"], 2, "say what to match"],
    [["--issuer", "a", "--from-header", ":x"], 2, "Write NAME or 'NAME:PREFIX '"],
    [["--issuer", "a", "--claim-header", "x"], 2, "Write HEADER=CLAIM"],
  ])("%j", (args, status, words) => {
    const result = workspace.run(["new", ...args]);
    expect({ status: result.status, stdout: result.stdout }).toEqual({ status, stdout: "" });
    expect(result.stderr).toContain(words);
    expect(result.stderr).not.toContain("    at ");
  });
});

describe("questions", () => {
  function terminal(...lines: string[]) {
    const [input, output] = [new PassThrough(), new PassThrough()];
    const questions = new Questions(input, output);
    let said = "";
    output.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      // A person types an answer when the question stands there.
      if (said.endsWith(": ")) {
        const line = lines.shift();
        if (line === undefined) input.end();
        else input.write(`${line}\n`);
      }
    });
    return { questions, said: () => said };
  }

  test("are asked again until the answer will do; nothing is the fallback", async () => {
    const { questions, said } = terminal("no", "yes", "");
    const check = (answer: string) => (answer === "no" ? "Write yes." : undefined);
    expect(await questions.ask("Well", "", check)).toBe("yes");
    expect(said()).toBe("Well:   Write yes.\nWell: ");
    expect(await questions.ask("Name", "gate")).toBe("gate");
    questions.close();
  });

  test("have choices, by number or name, and lists", async () => {
    const { questions } = terminal("3", "2", "b", "x, y  z", "");
    const choices = [
      ["a", "the first"],
      ["b", "the second"],
    ] as const;
    expect(await questions.choose("Which?", choices)).toBe("b");
    expect(await questions.choose("Which?", choices)).toBe("b");
    expect(await questions.list("Words")).toEqual(["x", "y", "z"]);
    expect(await questions.list("Words")).toEqual([]);
    questions.close();
  });

  test("end where the answers end", async () => {
    await expect(terminal().questions.ask("Well", "")).rejects.toThrow(Interrupted);
  });
});

test("a path that no request has is refused, and a method's case is mended", () => {
  const args = ["new", "--issuer", ISSUER, "--jwks", "jwks.json", "--auth-if"];
  const { status, stderr } = workspace.run([...args, "--path", "healthz"]);
  expect(status).toBe(2);
  expect(stderr).toContain("Write a path that begins with / or *");
  expect(yamlOf("--auth-if", "--method", "get")).toContain("methods: [GET]");
});
