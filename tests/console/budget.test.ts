/** What the console may cost: its size, and an input of many rules. `npm run bench:console` measures times. */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { CONSOLE_FOLDER, openPage } from "../support/browser.ts";
import { tenThousandRules } from "../support/many-rules.ts";
import { useConsole } from "../support/use-console.ts";

const used = useConsole();

const KIBIBYTE = 1024;

test("has at most 360 KB, gzipped, without the modules and what only a comparison loads", () => {
  const files = ["index.html", "main.js", "worker.js", "style.css"];
  const sizes = files.map((file) => gzipSync(readFileSync(join(CONSOLE_FOLDER, file)), { level: 9 }).length);
  expect(sizes.reduce((sum, size) => sum + size)).toBeLessThanOrEqual(360 * KIBIBYTE);
  expect(statSync(join(CONSOLE_FOLDER, "jwtgate.wasm")).size).toBeGreaterThan(0);
});

test("10,000 rules can be edited", async () => {
  const { page, messages, close } = await openPage(used.browser, used.site.url);
  await page.getByRole("tab", { name: "Playground" }).click();
  const text = tenThousandRules();
  const input = page.getByLabel("Files to open");
  await page.locator(".verdict").waitFor();
  await input.setInputFiles({ name: "many.yaml", mimeType: "application/yaml", buffer: Buffer.from(text) });
  await page.getByLabel("Path", { exact: true }).fill("/19/499");
  await page
    .locator(".steps .at", { hasText: `many.yaml:${text.split("\n").length - 1}` })
    .first()
    .waitFor();
  await page.locator(".code .cm-content").click();
  await page.keyboard.press("ControlOrMeta+Home");
  await page.keyboard.type("# edited");
  await page.locator(".code .cm-line").first().getByText("# edited").waitFor();
  expect(messages).toEqual([]);
  await close();
});
