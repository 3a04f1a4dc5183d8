/**
 * The site of the docs: each link has a target, all files are its own, and the search finds the right pages.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, extname, join, normalize } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openBrowser, openPage } from "../support/browser.ts";
import { ROOT, Workspace } from "../support/cli.ts";

const workspace = new Workspace();
const folder = workspace.path("site");
const TYPES: Record<string, string> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".woff2": "font/woff2",
};

let browser: Browser;
let server: Server;
let origin: string;
let pages: string[];

beforeAll(async () => {
  execFileSync(process.execPath, [join(ROOT, "scripts/site.mjs"), "--output", folder], { stdio: "pipe" });
  pages = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter(
    (path) => path.endsWith(".html") && !path.startsWith("console/"),
  );
  server = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://localhost").pathname;
    const file = join(folder, path.endsWith("/") ? `${path}index.html` : path);
    if (!existsSync(file)) return response.writeHead(404).end();
    response.setHeader("content-type", TYPES[extname(file)] ?? "application/octet-stream");
    return response.end(readFileSync(file));
  }).listen(0, "127.0.0.1");
  browser = await openBrowser();
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(async () => {
  await browser?.close();
  server?.close();
  workspace.remove();
});

const read = (page: string) => readFileSync(join(folder, page), "utf8");
const attributes = (html: string, name: string) =>
  [...html.matchAll(new RegExp(`\\s${name}="([^"]*)"`, "g"))].map(([, value = ""]) =>
    value.replaceAll("&amp;", "&"),
  );

test("has a page for each page of the docs", () => {
  const sources = readdirSync(join(ROOT, "docs"), { recursive: true, encoding: "utf8" });
  const expected = sources
    .filter((path) => path.endsWith(".md"))
    .map((path) => join("docs", path.replace(/README\.md$/, "index.md").replace(/\.md$/, ".html")));
  expect(expected.length).toBeGreaterThan(40);
  expect(expected.filter((page) => !pages.includes(page))).toEqual([]);
});

test("has no broken link", () => {
  const ids = new Map(pages.map((page) => [page, new Set(attributes(read(page), "id"))]));
  const dead = pages.flatMap((page) =>
    [...attributes(read(page), "href"), ...attributes(read(page), "src")].flatMap((link) => {
      if (/^(?:https?:|mailto:|data:)/.test(link)) return [];
      const [path = "", anchor = ""] = link.split("#");
      let target =
        path === "" ? page : normalize(path.startsWith("/") ? path.slice(1) : join(dirname(page), path));
      if (target === "." || target.endsWith("/")) target = join(target, "index.html");
      const file = join(folder, target);
      if (!existsSync(file) || statSync(file).isDirectory()) return [`${page}: ${link}`];
      const known = ids.get(target);
      return anchor !== "" && known && !known.has(decodeURIComponent(anchor)) ? [`${page}: ${link}`] : [];
    }),
  );
  expect(dead).toEqual([]);
});

test("sends no request to another server, and prints nothing to the console", async () => {
  for (const path of ["/", "/docs/start.html", "/docs/performance.html", "/docs/console.html"]) {
    const { page, requests, messages, close } = await openPage(browser, `${origin}${path}`);
    await page.waitForLoadState("networkidle");
    expect(requests.length).toBeGreaterThan(3);
    expect(requests.filter((url) => !url.startsWith(`${origin}/`) && !url.startsWith("data:"))).toEqual([]);
    expect(messages).toEqual([]);
    await close();
  }
});

test("contains the console", async () => {
  const { page, close } = await openPage(browser, origin);
  await page.getByRole("link", { name: "Console", exact: true }).first().click();
  await page.waitForURL(`${origin}/console/index.html`);
  await page.getByText("403", { exact: false }).first().waitFor();
  await close();
});

describe("the search finds", () => {
  test.each([
    ["remote jwks", "Remote JWKS"],
    ["websocket", "Plain Envoy"],
    ["Jwt is expired", "Troubleshooting"],
    ["prometheus", "Metrics"],
    ["outputClaimToHeaders", "Istio"],
    ["wasmplugin", "Istio"],
    ["cookie", "Where tokens are found"],
    ["github sarif", "Linting"],
    ["import config_dump", "Migrating"],
    ["loadSuite", "Reference of the library"],
  ])("%s", async (words, title) => {
    const { page, close } = await openPage(browser, `${origin}/docs/`);
    await page
      .getByRole("button", { name: /search/i })
      .first()
      .click();
    await page.locator("#localsearch-input").fill(words);
    const titles = page.locator(".results .result .titles");
    await titles.first().waitFor();
    const found = (await titles.allInnerTexts()).slice(0, 5).map((text) => text.replaceAll(/\s+/g, " "));
    expect(found.join(" | ")).toContain(title);
    await close();
  });
});
