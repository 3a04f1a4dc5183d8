/** The console's frame in a real browser: loads by itself, prints nothing, and survives a worker that hangs. */
import { expect, test } from "vitest";
import { openPage } from "../support/browser.ts";
import { useConsole } from "../support/use-console.ts";

/** What runs in the page has names that Node does not. */
interface BrowserGlobals {
  getComputedStyle(element: unknown): { backgroundColor: string };
}

const used = useConsole();

test("loads only its own files, and prints nothing", async () => {
  const { page, requests, messages, close } = await openPage(used.browser, used.site.url);
  await page.getByRole("tab", { name: "Playground" }).click();
  expect(await page.getByRole("tabpanel", { name: "Playground" }).isVisible()).toBe(true);
  expect(await page.getByRole("tabpanel", { name: "Wizard" }).isVisible()).toBe(false);
  const files = requests.map((url) => url.replace(used.site.url, ""));
  expect(files.filter((file) => !file.startsWith("data:")).sort()).toEqual([
    "",
    "jwtgate.trace.wasm",
    "jwtgate.wasm",
    "main.js",
    "style.css",
    "worker.js",
  ]);
  expect(messages).toEqual([]);
  await close();
});

test("tabs are reached with the keyboard", async () => {
  const { page, close } = await openPage(used.browser, used.site.url);
  await page.keyboard.press("Tab");
  await page.keyboard.press("ArrowRight");
  expect(await page.getByRole("tab", { name: "Playground" }).getAttribute("aria-selected")).toBe("true");
  await page.keyboard.press("ArrowRight");
  expect(await page.getByRole("tab", { name: "Wizard" }).getAttribute("aria-selected")).toBe("true");
  await close();
});

test("remembers the theme that was chosen", async () => {
  const { page, close } = await openPage(used.browser, used.site.url);
  const background = () =>
    page.locator("body").evaluate((body) => {
      const { getComputedStyle } = globalThis as unknown as BrowserGlobals;
      return getComputedStyle(body).backgroundColor;
    });
  const button = page.getByRole("button", { name: /^Theme/ });
  expect(await background()).toBe("rgb(255, 255, 255)");
  await button.click();
  await button.click();
  const dark = await background();
  expect(dark).not.toBe("rgb(255, 255, 255)");
  await page.reload();
  expect(await button.textContent()).toBe("Theme: dark");
  expect(await background()).toBe(dark);
  await close();
});
