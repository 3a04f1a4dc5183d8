/** The page as `jwtgate console` serves it, and as the one file that it writes. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeLink } from "../../console/links/link.ts";
import { openBrowser, openPage } from "../support/browser.ts";
import { TOOL, Workspace } from "../support/cli.ts";
import { JwksServer, keys as keysOf, signingKey } from "../support/jwks-server.ts";

const workspace = new Workspace();
let browser: Browser;
let keys: JwksServer;
let child: ChildProcess;
let url = "";
let token = "";

const policy = (path: string) => `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: a}
spec:
  jwtRules: [{issuer: me, jwksUri: "${keys.origin}/keys"}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: b}
spec:
  action: DENY
  rules: [{to: [{operation: {paths: ["${path}"]}}]}]
`;

beforeAll(async () => {
  const key = await signingKey("k");
  keys = await JwksServer.start(keysOf([key.publicJwk]));
  token = await key.sign("me");
  writeFileSync(workspace.path("policy.yaml"), policy("/secret"));
  child = spawn(process.execPath, [TOOL, "console", "-f", "policy.yaml", "--listen", "127.0.0.1:0"], {
    cwd: workspace.folder,
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    url = line.trim();
    break;
  }
  browser = await openBrowser();
});

afterAll(async () => {
  child.kill("SIGKILL");
  await browser.close();
  await keys.close();
  workspace.remove();
});

test("follows the policies on disk, and has their keys fetched", async () => {
  const { page, messages, requests, close } = await openPage(browser, url);
  const verdict = (text: string) => page.locator(".verdict").filter({ hasText: text }).waitFor();
  await page.getByLabel("Path", { exact: true }).fill("/other");
  await verdict("200");
  writeFileSync(workspace.path("policy.yaml"), policy("/other"));
  await verdict("403 RBAC: access denied");
  await page.getByLabel("Path", { exact: true }).fill("/secret");
  await page.getByRole("radio", { name: "Paste one" }).check();
  await page.getByLabel("The token; it stays in this page").fill(token);
  await verdict("401 Jwks remote fetch is failed");
  await page.getByRole("button", { name: "Fetch it" }).click();
  await verdict("200");
  expect(await page.getByLabel(/^The key set at/).inputValue()).toContain('"kid":"k"');
  expect(requests.filter((one) => !one.startsWith(url) && !one.startsWith("data:"))).toEqual([]);
  expect(messages).toEqual([]);
  await close();
});

test("follows the policies in more tabs than a browser has connections", async () => {
  const first = await openPage(browser, url);
  const pages = [first.page];
  while (pages.length < 8) {
    const page = await first.page.context().newPage();
    await page.goto(url);
    pages.push(page);
  }
  writeFileSync(workspace.path("policy.yaml"), policy("/in-every-tab"));
  for (const page of pages) await page.locator(".code").getByText("/in-every-tab").waitFor();
  expect(first.messages).toEqual([]);
  await first.close();
});

test("reports that its server has ended, and continues when it is back", async () => {
  const { page, close } = await openPage(browser, url);
  await page.getByRole("tab", { name: "Playground" }).click();
  await page.route("**/api/policies", (route) => route.abort());
  await page.getByText("The server of this page does not answer").waitFor();
  await page.unroute("**/api/policies");
  await page.getByText("The server of this page does not answer").waitFor({ state: "detached" });
  await close();
});

test("opens a link next to the policies on disk", async () => {
  const { fragment } = await writeLink({ files: [{ name: "linked.yaml", text: policy("/linked") }] }, false);
  const { page, messages, close } = await openPage(browser, `${url}${fragment}`);
  for (const name of ["linked.yaml", "policy.yaml"]) {
    await page.getByRole("button", { name, exact: true }).waitFor();
  }
  expect(messages).toEqual([]);
  await close();
});

test("works as one file, from the disk and without a network", async () => {
  const { status, stderr } = spawnSync(
    process.execPath,
    [TOOL, "console", "-f", "policy.yaml", "--export", "console.html"],
    { cwd: workspace.folder, encoding: "utf8" },
  );
  expect(status, stderr).toBe(0);
  const file = pathToFileURL(workspace.path("console.html")).href;
  expect(file).toMatch(/^file:\/\/\//);
  const { page, messages, requests, close } = await openPage(browser, undefined, { offline: true });
  // A request to a server fails the test, and gets no response.
  const asked: string[] = [];
  await page.context().route(/^(?!file:|data:|blob:)/, (route) => {
    asked.push(route.request().url());
    return route.abort();
  });
  await page.goto(file);
  await page.getByLabel("Path", { exact: true }).fill("/in-every-tab");
  await page.locator(".verdict").filter({ hasText: "403 RBAC: access denied" }).waitFor();
  await page.getByRole("button", { name: "Compare from here" }).click();
  await page.getByText("Every request gets the same answer as before.").waitFor();
  await page.getByRole("button", { name: "Make a link" }).click();
  await page.getByLabel(/^The link/).waitFor();
  await page.getByRole("tab", { name: "Wizard" }).click();
  await page.locator(".proofs").getByText("an expired token").waitFor();
  expect(requests.filter((one) => one !== file && !/^(data|blob):/.test(one))).toEqual([]);
  expect(requests).toContain(file);
  expect(asked).toEqual([]);
  expect(messages).toEqual([]);
  await close();
});
