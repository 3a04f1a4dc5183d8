/** What the wizard writes, used unchanged: its curl lines in a shell, against the Envoy that its bootstrap starts. */
import { execFile, spawn } from "node:child_process";
import { copyFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { promisify } from "node:util";
import type { Page } from "playwright-core";
import { afterAll, expect, test } from "vitest";
import { openPage } from "../support/browser.ts";
import { Workspace } from "../support/cli.ts";
import { envoyBinary, MODULE } from "../support/envoy.ts";
import { TestKey } from "../support/tokens.ts";
import { until } from "../support/until.ts";
import { listen, startUpstream } from "../support/upstream.ts";
import { useConsole } from "../support/use-console.ts";

const used = useConsole();
const workspace = new Workspace();
afterAll(() => workspace.remove());

/** A port on which no server listens. */
async function freePort(): Promise<number> {
  const server = createServer();
  await listen(server);
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The text of a document of the result. */
async function documentOf(page: Page, title: string): Promise<string> {
  const found = page.locator(".document").filter({ has: page.getByText(title, { exact: true }) });
  return (await found.locator("pre").textContent()) ?? "";
}

/** Starts Envoy with a bootstrap as a user does: in a folder with the module. */
async function startEnvoy(bootstrap: string, port: number): Promise<() => Promise<void>> {
  writeFileSync(workspace.path("envoy.yaml"), bootstrap);
  copyFileSync(MODULE, workspace.path("jwtgate.wasm"));
  const options = ["--config-path", "envoy.yaml", "--concurrency", "1", "--disable-hot-restart"];
  const child = spawn(await envoyBinary(), options, {
    cwd: workspace.folder,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    log += text;
  });
  const ended = new Promise<void>((resolve) => child.on("close", () => resolve()));
  const stop = () => {
    child.kill("SIGKILL");
    return ended;
  };
  await until("Envoy listens", async () => {
    if (child.exitCode !== null) throw new Error(`Envoy ended: ${log}`);
    return accepts(port);
  });
  return stop;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}

/** The statuses that the lines get, in a shell. */
async function statusesOf(lines: string): Promise<string[]> {
  writeFileSync(workspace.path("requests.sh"), lines);
  // Not synchronously: the service is in this process.
  const { stdout } = await promisify(execFile)("sh", ["-eu", workspace.path("requests.sh")]);
  return stdout.match(/HTTP\/1\.1 \d+/g)?.map((line) => line.slice(9)) ?? [];
}

/** What the page says of the same requests. */
async function answersOf(page: Page): Promise<string[]> {
  const answers = await page.locator(".proofs b").allTextContents();
  return answers.map((answer) => answer.slice(0, 3));
}

test("curl gets from Envoy the page's answers, with any matching rules", async () => {
  const upstream = await startUpstream();
  const { page, messages, close } = await openPage(used.browser, used.site.url);
  const port = await freePort();
  // Everything of the machine, which curl reaches by the loopback address.
  await page.getByLabel("Envoy listens at").fill(`0.0.0.0:${port}`);
  await page.getByLabel("The service is at").fill(`127.0.0.1:${upstream.port}`);
  const scope = page.getByLabel("Requests that need a token");
  for (const [value, expected] of [
    ["all", ["403", "200", "401", "401"]],
    ["matched", ["403", "200", "401", "200"]],
    ["unmatched", ["403", "200", "401", "200"]],
  ] as const) {
    await scope.selectOption(value);
    if (value !== "all") {
      await page.getByLabel("Paths, such as /public/*").fill("/it's/[1]/*, /orders/*");
      await page.getByLabel("Hosts").fill("shop.example.com");
      await page.getByLabel("Methods").fill("POST, get");
    }
    await page.locator(".results[aria-busy=false] .proofs").waitFor();
    expect(await answersOf(page)).toEqual(expected);
    const stop = await startEnvoy(await documentOf(page, "Envoy bootstrap"), port);
    try {
      expect(await statusesOf(await documentOf(page, "curl lines"))).toEqual(expected);
    } finally {
      await stop();
    }
  }
  expect(messages).toEqual([]);
  await close();
  await upstream.close();
});

test("Envoy takes tokens from the locations that the wizard names, and passes the claims on", async () => {
  const key = TestKey.generate("RS256", "own");
  const upstream = await startUpstream();
  const { page, messages, close } = await openPage(used.browser, used.site.url);
  const port = await freePort();
  await page.getByLabel("Envoy listens at").fill(`127.0.0.1:${port}`);
  await page.getByLabel("The service is at").fill(`127.0.0.1:${upstream.port}`);
  await page.getByLabel("Keys", { exact: true }).selectOption("pasted");
  await page.getByLabel("Key set, public key or certificate").fill(key.jwks);
  await page.getByText("Advanced", { exact: true }).click();
  await page.getByRole("button", { name: "Add a location" }).click();
  await page.getByLabel("Name of location 1").fill("x-token");
  await page.getByLabel("Prefix of location 1").fill("Token");
  await page.getByRole("button", { name: "Add a location" }).click();
  await page.getByLabel("Kind of location 2").selectOption("cookie");
  await page.getByLabel("Name of location 2").fill("session");
  await page.getByLabel("Pass the token to the service").check();
  await page.getByLabel("Header that gets the payload").fill("x-payload");
  await page.getByLabel("Claims to headers: HEADER=CLAIM, one per line").fill("x-user=sub\nx-level=level");
  await page.locator(".results[aria-busy=false] .proofs").waitFor();
  // The page has no token of that issuer, and writes a remark instead of one.
  expect(await documentOf(page, "curl lines")).toContain("VALID_TOKEN='a token of https://idp.example.com'");
  const stop = await startEnvoy(await documentOf(page, "Envoy bootstrap"), port);
  try {
    const token = key.token({ iss: "https://idp.example.com", sub: "alice", level: 3 });
    const send = (headers: Record<string, string>) => fetch(`http://127.0.0.1:${port}/`, { headers });
    const carriers: Record<string, string>[] = [
      { "x-token": `Token ${token}` },
      { cookie: `session=${token}` },
    ];
    for (const headers of carriers) {
      const response = await send(headers);
      expect(response.status).toBe(200);
      const received = Buffer.from(response.headers.get("x-received") ?? "", "base64").toString();
      const { headers: got } = JSON.parse(received) as { headers: [string, string][] };
      expect(Object.fromEntries(got)).toMatchObject({
        ...headers,
        "x-user": "alice",
        "x-level": "3",
        "x-payload": token.split(".")[1],
      });
    }
    expect((await send({ authorization: `Bearer ${token}` })).status).toBe(403);
  } finally {
    await stop();
  }
  expect(messages).toEqual([]);
  await close();
  await upstream.close();
});
