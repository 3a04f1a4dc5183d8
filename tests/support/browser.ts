/**
 * A real browser for tests and benchmarks: Chromium from npm's `@sparticuz/chromium`, driven by playwright-core. Every page
 * is watched: each request, each message on its console, and each error.
 */
import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import browserManifest from "../../node_modules/@sparticuz/chromium/package.json" with { type: "json" };
import fontsManifest from "../../node_modules/dejavu-fonts-ttf/package.json" with { type: "json" };

/** The site as it was built. */
export const CONSOLE_FOLDER = "dist/console";

/** A page, and its forbidden actions. */
export interface WatchedPage {
  page: Page;
  /** The URLs of all requests, in their order. */
  requests: string[];
  /** Messages on the console, and uncaught errors. */
  messages: string[];
  close(): Promise<void>;
}

/** Starts Chromium. It is unpacked the first time. */
export async function openBrowser(): Promise<Browser> {
  const folder = await unpack();
  const start = (libraries: string) =>
    chromium.launch({
      executablePath: join(folder, "chromium"),
      args: ["--no-sandbox", "--no-zygote", "--disable-gpu", "--font-render-hinting=none"],
      env: {
        ...process.env,
        FONTCONFIG_FILE: join(folder, FONTS_CONFIGURATION),
        ...(libraries !== "" && { LD_LIBRARY_PATH: libraries }),
      },
    });
  try {
    return await start("");
  } catch (error) {
    // A machine without the libraries of a desktop: the package has them, for Amazon Linux.
    if (!String(error).includes("shared libraries")) throw error;
    return start(join(folder, "al2023", "lib"));
  }
}

/**
 * Opens a page in its own context.
 *
 * @param url where to go; absent: nowhere yet
 */
export async function openPage(
  browser: Browser,
  url?: string,
  options: BrowserContextOptions = {},
): Promise<WatchedPage> {
  const context = await browser.newContext({ viewport: { width: 1400, height: 900 }, ...options });
  // A busy machine needs longer than Playwright's 30 seconds.
  context.setDefaultTimeout(120_000);
  const page = await context.newPage();
  const requests: string[] = [];
  const messages: string[] = [];
  context.on("request", (request) => requests.push(request.url()));
  context.on("console", (message) => messages.push(`${message.type()}: ${message.text()}`));
  context.on("weberror", (error) => messages.push(`error: ${error.error().message}`));
  if (url !== undefined) await page.goto(url);
  return { page, requests, messages, close: () => context.close() };
}

const TYPES: Record<string, string> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".wasm": "application/wasm",
};

/** Serves the console's folder as any web server does. */
export async function serveConsole(): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://localhost").pathname;
    const file = path === "/" ? "/index.html" : path;
    readFile(join(CONSOLE_FOLDER, file)).then(
      (bytes) => {
        response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "text/plain" }).end(bytes);
      },
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { url: `http://127.0.0.1:${port}/`, close };
}

const FONTS_CONFIGURATION = "jwtgate-fonts.conf";

/** Fonts besides the browser's own Open Sans: one for code, and one with most of the signs that Open Sans lacks. */
const MORE_FONTS = ["DejaVuSans.ttf", "DejaVuSansMono.ttf", "DejaVuSansMono-Bold.ttf"];

/** The same fonts on every machine. Without any font Chromium ends itself as soon as a page has text. */
const fontsConfiguration = (folder: string) => `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>${join(folder, "fonts")}</dir>
  <cachedir>${join(folder, "fonts-cache")}</cachedir>
  <alias><family>sans-serif</family><prefer><family>Open Sans</family></prefer></alias>
  <alias><family>system-ui</family><prefer><family>Open Sans</family></prefer></alias>
  <alias><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>
</fontconfig>
`;

/** Unpacks the browser into a folder that exists completely or not at all, for tests that run side by side. */
async function unpack(): Promise<string> {
  const folder = join(tmpdir(), `jwtgate-chromium-${browserManifest.version}-${fontsManifest.version}`);
  if (existsSync(folder)) return folder;
  const partial = `${folder}-${process.pid}`;
  mkdirSync(partial, { recursive: true });
  const before = { ...process.env };
  try {
    // The package writes to the system's temporary folder, and unpacks libraries only on Amazon's machines.
    Object.assign(process.env, { TMPDIR: partial, AWS_EXECUTION_ENV: "AWS_Lambda_nodejs22.x" });
    const { default: packed } = await import("@sparticuz/chromium");
    await packed.executablePath();
    for (const font of MORE_FONTS)
      copyFileSync(join("node_modules/dejavu-fonts-ttf/ttf", font), join(partial, "fonts", font));
    writeFileSync(join(partial, FONTS_CONFIGURATION), fontsConfiguration(folder));
  } finally {
    for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
    Object.assign(process.env, before);
  }
  try {
    renameSync(partial, folder);
  } catch (error) {
    // Another test was faster.
    rmSync(partial, { recursive: true, force: true });
    if (!existsSync(folder)) throw error;
  }
  return folder;
}
