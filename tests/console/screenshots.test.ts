/**
 * Screenshots of the console for README and docs. Each run makes new ones: `JWTGATE_SCREENSHOTS=1` writes
 * those of a wide window into docs/. Look at them before you commit them.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import sharp from "sharp";
import { afterAll, expect, test } from "vitest";
import { openPage } from "../support/browser.ts";
import { useConsole } from "../support/use-console.ts";

const used = useConsole();

const temporary = mkdtempSync(join(tmpdir(), "jwtgate-screenshots-"));
const folder = process.env["JWTGATE_SCREENSHOTS"] === "1" ? "docs" : temporary;
afterAll(() => rmSync(temporary, { recursive: true }));

/** A picture of a page in a repository is small enough for a slow line. */
const MAX_BYTES = 150_000;

/** What is shown, and texts that the picture of a wide window has. */
const SCENES: readonly { name: string; height: number; show(page: Page): Promise<void>; texts: string[] }[] =
  [
    {
      name: "wizard",
      height: 1000,
      show: async (page) => {
        await page.getByLabel("Keys", { exact: true }).selectOption("uri");
        await page.getByLabel("URL of the key set").fill("https://idp.example.com/keys.json");
        await page.getByLabel("Audiences (empty: any)").fill("shop");
        await page.getByLabel("Requests that need a token").selectOption("unmatched");
        await page.getByLabel("Paths, such as /public/*").fill("/public/*");
        await page.locator(".results[aria-busy=false] .proofs").getByText("if none is needed").waitFor();
      },
      texts: [
        "jwtgate console",
        "JWT config",
        "Matching rules",
        "Requests, answered by the filter",
        "kind: AuthorizationPolicy",
      ],
    },
    {
      name: "playground",
      height: 1060,
      show: async (page) => {
        await page.getByRole("tab", { name: "Playground" }).click();
        await page.locator(".saved").getByText("7 of 7 as expected").waitFor();
        await page.getByLabel("Path", { exact: true }).fill("/orders");
        await page.getByRole("button", { name: "one-principal.yaml:21" }).first().click();
        await page.locator(".cm-lit").waitFor();
        await page.locator(".verdict", { hasText: "200 forwarded" }).waitFor();
        await typeUntilQuick(page);
      },
      texts: [
        "jwtgate console",
        "kind: AuthorizationPolicy",
        "Claims, as JSON",
        "forwarded to the service",
        "Steps",
        "7 of 7 as expected",
      ],
    },
  ];

/** Types until the answer is as fast as on an idle machine, because the picture shows the time. */
async function typeUntilQuick(page: Page): Promise<void> {
  const path = page.getByLabel("Path", { exact: true });
  for (let attempt = 0; attempt < 20; attempt++) {
    const time = await page.locator("#answer-title small").textContent();
    if (attempt % 2 === 0 && Number.parseInt(time ?? "", 10) < 50) return;
    const number = await page.locator(".answer").getAttribute("data-number");
    await path.fill(attempt % 2 === 0 ? "/order" : "/orders");
    await page.locator(`.answer:not([data-number="${number}"])`).waitFor();
  }
}

for (const { name, height, show, texts } of SCENES) {
  for (const colorScheme of ["light", "dark"] as const) {
    test(`the ${name}, ${colorScheme}, is drawn wide and narrow`, async () => {
      const viewport = { width: 1400, height };
      const { page, messages, close } = await openPage(used.browser, used.site.url, {
        colorScheme,
        viewport,
      });
      await show(page);
      await page.evaluate("document.activeElement.blur(); scrollTo(0, 0)");
      for (const text of texts) {
        const box = await page.getByText(text).filter({ visible: true }).first().boundingBox();
        expect(box && box.y >= 0 && box.y + box.height <= height, text).toBe(true);
      }
      const wide = await page.screenshot();
      await expectPicture(wide, colorScheme, viewport);
      const small = await sharp(wide).png({ palette: true, quality: 90, effort: 10 }).toBuffer();
      expect(small.length).toBeLessThan(MAX_BYTES);
      writeFileSync(join(folder, `console-${name}-${colorScheme}.png`), small);
      await page.setViewportSize({ width: 360, height });
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(360);
      const narrow = await page.screenshot({ fullPage: true });
      await expectPicture(narrow, colorScheme, { width: 360 });
      expect(messages).toEqual([]);
      await close();
    });
  }
}

/** A picture of that size, with something on it, on a ground of the colour scheme. */
async function expectPicture(
  png: Buffer,
  colorScheme: "light" | "dark",
  size: { width: number; height?: number },
): Promise<void> {
  const picture = sharp(png);
  expect(await picture.metadata()).toMatchObject({ format: "png", ...size });
  const { entropy, channels, dominant } = await picture.stats();
  // One colour has none, and text on a ground has more than half a bit for each pixel.
  expect(entropy).toBeGreaterThan(0.5);
  for (const { stdev } of channels.slice(0, 3)) expect(stdev).toBeGreaterThan(10);
  expect(dominant.g > 128 ? "light" : "dark").toBe(colorScheme);
}
