/** The wizard in a real browser, typed through as a user does. */

import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { axeViolations } from "../support/axe.ts";
import { openPage } from "../support/browser.ts";
import { envoyBinary, MODULE } from "../support/envoy.ts";
import { useConsole } from "../support/use-console.ts";

const used = useConsole();

test("answers become resources, and the filter answers four requests", async () => {
  const { page, messages, close } = await openPage(used.browser, used.site.url);
  await page.getByRole("textbox", { name: "Issuer" }).fill("https://login.example.org");
  await page.getByLabel("Requests that need a token").selectOption("unmatched");
  await page.locator("[data-fault=match]", { hasText: "Name a path, a host or a method." }).waitFor();
  await page.getByLabel("Paths, such as /public/*").fill("/public/*");
  await page.locator(".proofs").getByText("no token, if none is needed").waitFor();
  const answers = await page.locator(".proofs b").allTextContents();
  expect(answers.map((answer) => answer.slice(0, 3))).toEqual(["403", "200", "401", "200"]);
  expect(await page.locator(".proofs .bad").count()).toBe(0);
  const folder = mkdtempSync(join(tmpdir(), "jwtgate-wizard-"));
  try {
    for (const [title, name] of [
      ["", "jwt.yaml"],
      ["Test file", "jwt.test.yaml"],
      ["WasmPlugin", "wasmplugin.yaml"],
      ["Envoy bootstrap", "envoy.yaml"],
    ] as const) {
      if (title !== "") await page.getByText(title, { exact: true }).click();
      const downloading = page.waitForEvent("download");
      await page.getByRole("button", { name: `Download ${name}` }).click();
      await (await downloading).saveAs(join(folder, name));
    }
    const cli = ["dist/jwtgate.mjs"];
    execFileSync("node", [...cli, "compile", "-f", join(folder, "jwt.yaml")]);
    execFileSync("node", [...cli, "test", join(folder, "jwt.test.yaml")]);
    expect(readFileSync(join(folder, "wasmplugin.yaml"), "utf8")).toContain("kind: WasmPlugin");
    const options = ["--mode", "validate", "--config-path", "envoy.yaml"];
    copyFileSync(MODULE, join(folder, "jwtgate.wasm"));
    execFileSync(await envoyBinary(), options, { cwd: folder, stdio: "pipe" });
  } finally {
    rmSync(folder, { recursive: true });
  }
  expect(await axeViolations(page)).toEqual([]);
  expect(messages).toEqual([]);
  await close();
});

test("the playground opens with the wizard's request, whose token is at the location of the policies", async () => {
  const { page, messages, close } = await openPage(used.browser, used.site.url);
  await page.getByLabel("Requests that need a token").selectOption("matched");
  await page.getByLabel("Paths, such as /public/*").fill("/user/*");
  await page.getByText("Advanced", { exact: true }).click();
  await page.getByRole("button", { name: "Add a location" }).click();
  await page.getByPlaceholder("name").fill("x-token");
  await page.getByPlaceholder("prefix").fill("Token ");
  await page.getByLabel("Claims that the token must have").fill("role=admin");
  await page.locator(".proofs").getByText("GET /user/x, a valid token: 200").waitFor();
  await page.getByRole("button", { name: "Open in the playground" }).click();
  // The answer before it is of the example that the playground begins with.
  await page.locator(".answer").getByText('Token in the header x-token after "Token "').waitFor();
  expect(await page.getByLabel("Path", { exact: true }).inputValue()).toBe("/user/x");
  await page.locator(".verdict").filter({ hasText: "200 forwarded" }).waitFor();
  expect(messages).toEqual([]);
  await close();
});

test("shows hostile text as text, at 360 px", async () => {
  const { page, messages, close } = await openPage(used.browser, used.site.url, {
    viewport: { width: 360, height: 800 },
  });
  const hostile = "<img src=x onerror=alert(1)>";
  await page.getByRole("textbox", { name: "Issuer" }).fill(`https://x.example/${hostile}`);
  await page.locator(".results pre").first().getByText(hostile).waitFor();
  expect(await page.locator("img").count()).toBe(0);
  await page.getByLabel("Keys", { exact: true }).selectOption("pasted");
  await page.getByLabel("Key set, public key or certificate").fill(hostile);
  await page.locator("[data-fault=pasted]").waitFor();
  expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(360);
  expect(messages).toEqual([]);
  await close();
});
