/**
 * docker-compose.yml and what it mounts. Docker is not run: the tests check the file against its schema, and
 * the bootstrap in Envoy.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Ajv } from "ajv";
import addFormats from "ajv-formats";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { ENVOY_VERSION } from "../../tools/envoy/pins.ts";
import { validateBootstrap } from "../../tools/envoy/process.ts";
import { normalizeJwks } from "../../tools/jwks/normalize.ts";
import { envoyBinary, MODULE } from "../support/envoy.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const read = (path: string) => readFileSync(join(ROOT, path), "utf8");

interface Compose {
  services: {
    envoy: {
      image: string;
      command: string[];
      ports: string[];
      volumes: { source: string; target: string }[];
    };
    httpbin: { image: string; expose: string[] };
    "nginx-proxy": { image: string; expose: string[]; volumes: { source: string; target: string }[] };
  };
}

const compose = parse(read("docker-compose.yml")) as Compose;

/** The command that envoy/README.md gives for rendering the bootstrap, without where it writes to. */
const command = /^node dist\/jwtgate\.mjs (compile [\s\S]*?) > envoy\/envoy\.yaml$/m.exec(
  read("envoy/README.md"),
)?.[1];
const args = command?.split(/[\s\\]+/) ?? [];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "jwtgate-compose-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("docker-compose.yml", () => {
  test("is of the Compose Specification", () => {
    const schema = JSON.parse(read("tests/compose/compose-spec.schema.json")) as { $schema?: string };
    // Draft 7 under a spelling that Ajv does not know.
    delete schema.$schema;
    const validate = addFormats.default(new Ajv({ strict: false, allErrors: true })).compile(schema);
    validate(compose);
    expect(validate.errors).toBeNull();
  });

  test("runs the Envoy that the project is tested with", () => {
    expect(compose.services.envoy.image).toBe(`envoyproxy/envoy:v${ENVOY_VERSION}`);
  });

  test("names the full version of every image, so that all users run the same", () => {
    for (const { image } of Object.values(compose.services))
      expect(image).toMatch(/:v?\d+\.\d+\.\d+(-alpine)?$/);
  });

  test("mounts what the bootstrap and the command name, and publishes the port that Envoy listens on", () => {
    const { envoy, httpbin } = compose.services;
    const value = (flag: string) => args[args.indexOf(flag) + 1] ?? "";
    const mounts = new Map(envoy.volumes.map(({ source, target }) => [target, source]));
    expect(mounts.get(value("--module"))).toBe("./build/jwtgate.wasm");
    expect(mounts.get(envoy.command.at(-1) ?? "")).toBe("./envoy/envoy.yaml");
    expect(envoy.ports).toEqual([expect.stringMatching(new RegExp(`:${value("--listen").split(":")[1]}$`))]);
    expect(value("--upstream")).toBe(`httpbin:${httpbin.expose[0]}`);
  });
});

test("nginx serves a key set that is good, where the policies look for it", () => {
  const { expose, volumes } = compose.services["nginx-proxy"];
  const [, uri = ""] = /jwksUri: (\S+)/.exec(read("envoy/istio/httpbin.yaml")) ?? [];
  expect(new URL(uri).hostname).toBe("nginx-proxy");
  expect(expose).toEqual([new URL(uri).port || "80"]);

  const server = read("envoy/nginx/default.conf");
  expect(server).toContain(`location = ${new URL(uri).pathname} {`);
  const [, file = ""] = /alias (\S+);/.exec(server) ?? [];
  const source = volumes.find(({ target }) => target === file)?.source ?? "";
  const { keys, problems } = normalizeJwks(read(source));
  expect({ keys: keys.length, problems }).toEqual({ keys: 1, problems: [] });
});

describe("envoy/envoy.yaml", () => {
  test("is the output of the command in envoy/README.md", () => {
    const rendered = execFileSync(process.execPath, ["dist/jwtgate.mjs", ...args], {
      cwd: ROOT,
      encoding: "utf8",
    });
    expect(read("envoy/envoy.yaml")).toBe(rendered);
  });

  test("is valid for Envoy", async () => {
    const file = join(folder, "envoy.yaml");
    writeFileSync(file, read("envoy/envoy.yaml").replace("/etc/envoy/jwtgate.wasm", MODULE));
    expect(await validateBootstrap(await envoyBinary(), file)).toBeUndefined();
  });
});

test("envoy/Dockerfile makes an image of one file, plugin.wasm", () => {
  const lines = read("envoy/Dockerfile")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));
  expect(lines).toEqual(["FROM scratch", "COPY build/jwtgate.wasm ./plugin.wasm"]);
});
