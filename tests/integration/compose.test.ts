/**
 * The setup of docker-compose.yml, with our own servers instead of its services: it gives the documented
 * answers.
 */
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parse } from "yaml";
import { Envoy } from "../../tools/envoy/process.ts";
import { envoyBinary, MODULE } from "../support/envoy.ts";
import { headerOf, http1 } from "../support/http1.ts";
import { listen, receivedOf, startUpstream, type Upstream } from "../support/upstream.ts";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const [, TOKEN = ""] = /^TOKEN=(\S+)$/m.exec(read("envoy/README.md")) ?? [];

let httpbin: Upstream;
let nginx: Server;
let fetches = 0;
let envoy: Envoy;
let port: number;

beforeAll(async () => {
  httpbin = await startUpstream();
  nginx = createServer((request, response) => {
    fetches++;
    const found = request.url === "/get_jwks";
    response.writeHead(found ? 200 : 404, { "content-type": "application/json" });
    response.end(found ? read("envoy/nginx/jwks.json") : "");
  });
  await listen(nginx);
  const places: Record<string, number> = {
    "0.0.0.0:8080": 0,
    "httpbin:8080": httpbin.port,
    "nginx-proxy:80": (nginx.address() as AddressInfo).port,
  };
  const text = read("envoy/envoy.yaml")
    .replace("/etc/envoy/jwtgate.wasm", MODULE)
    .replace(
      /address: "?([^\s"]+)"?(\s+port_value): (\d+)/g,
      (_, host: string, name: string, number: string) => {
        return `address: 127.0.0.1${name}: ${places[`${host}:${number}`]}`;
      },
    );
  envoy = await Envoy.start({ binary: await envoyBinary(), bootstrap: parse(text) as object });
  port = await envoy.portOf("gate");
});

afterAll(async () => {
  await envoy?.stop();
  await httpbin?.close();
  nginx?.closeAllConnections();
  nginx?.close();
});

const get = (path: string, headers: [string, string][] = []) =>
  http1({ host: "127.0.0.1", port }, { path, headers });

test("/headers needs a token", async () => {
  const answer = await get("/headers");
  expect(answer).toMatchObject({ status: 403, body: "RBAC: access denied" });
});

test("/headers gets the token and its claim, the keys being fetched", async () => {
  const authorization = `Bearer ${TOKEN}`;
  const answer = await get("/headers", [["authorization", authorization]]);
  expect(answer.status).toBe(200);
  const { headers = [] } = receivedOf(answer) ?? {};
  expect(headerOf({ headers }, "authorization")).toBe(authorization);
  expect(headerOf({ headers }, "x-foo")).toBe("bar");
  expect(fetches).toBeGreaterThan(0);
});

test("all else is open, but not to a bad token", async () => {
  expect((await get("/get")).status).toBe(200);
  expect((await get("/get", [["authorization", "Bearer bad"]])).status).toBe(401);
});
