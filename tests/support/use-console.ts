/** The console in a browser, for the tests of a file. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll } from "vitest";
import { openBrowser, serveConsole } from "./browser.ts";

/** Starts Chromium and serves the console for all tests of a file or of a `describe`; both are there when tests run. */
export function useConsole(): { browser: Browser; site: Awaited<ReturnType<typeof serveConsole>> } {
  const used = {} as ReturnType<typeof useConsole>;
  beforeAll(async () => {
    [used.browser, used.site] = await Promise.all([openBrowser(), serveConsole()]);
  }, 60_000);
  afterAll(async () => {
    await used.browser.close();
    await used.site.close();
  });
  return used;
}
